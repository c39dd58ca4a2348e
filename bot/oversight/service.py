"""Answers what operators ask. Each method checks access itself, at the moment of asking."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from importlib.metadata import metadata
from math import ceil

from bot.access.model import KNOWN_ACTIONS
from bot.access.service import Access
from bot.cards.notices.model import Notice
from bot.cards.notices.service import Notices
from bot.cards.store import list_shown
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import InvalidError, NotAllowedError
from bot.core.findings import Finding
from bot.core.status import StatusLine
from bot.database.engine import Database, Transaction
from bot.journal.changes import Changed, card_of
from bot.journal.model import Entry, Filter, Outcome
from bot.journal.service import Journal
from bot.oversight.model import (
    About,
    AccessAnswer,
    AuditPage,
    AuditQuestion,
    ChangesPage,
    ChangesQuestion,
    Examination,
    Status,
    answer_access,
    parse_since,
    places_named,
)
from bot.version import VERSION

PAGE = 10
USUAL_SINCE = timedelta(hours=1)
"""How far back changes are shown where nobody says otherwise."""
_CHANGES = "machine:changes"
_MOST_READ = 500
"""Entries of the journal; an operation has several."""


class Oversight:
    """The use cases of operators."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        access: Access,
        notices: Notices,
        *,
        clock: Clock,
        status: Callable[[], Awaitable[Sequence[StatusLine]]],
        examine: Callable[[], Awaitable[Sequence[Finding]]],
        places: Callable[[], Sequence[str]],
        guild: Callable[[], int],
        started_at: datetime,
    ) -> None:
        """Take the rooms that know, what says how each part is, and what knows places for completion.

        `examine` asks everything that the configuration names, and may take its time.
        """
        self._database = database
        self._journal = journal
        self._access = access
        self._notices = notices
        self._clock = clock
        self._status = status
        self._examine = examine
        self._places = places
        self._guild = guild
        self._started_at = started_at

    async def ask_audit(self, *, by: Actor, who: str = "", action: str = "", since: str = "") -> AuditPage:
        """Return the newest of what people did; `since` is `2h` or a day.

        Raises:
            InvalidError: `since` is no time.
        """
        moment = parse_since(since, now=self._clock.now()) if since else None
        return await self.audit(AuditQuestion(who, action.strip(), moment), by=by)

    async def audit(self, question: AuditQuestion, *, by: Actor, before: int | None = None) -> AuditPage:
        """Return a page of what people did, newest first."""
        await self._allow(by, "machine:audit")
        wanted = Filter(
            actor=question.who or None,
            action=question.action or None,
            since=question.since,
            people_only=True,
        )
        async with self._database.reading() as tx:
            found = await self._journal.list_entries(tx, wanted, before=before, limit=PAGE + 1)
            total = await self._journal.count_entries(tx, wanted)
        older_than = found[PAGE - 1].id if len(found) > PAGE else None
        return AuditPage(question, tuple(found[:PAGE]), total, before is None, older_than)

    def places(self, *, by: Actor) -> list[str]:
        """Return the places of which somebody may see the changes; no request leaves the process."""
        return [place for place in self._places() if self._access.decide(by, _CHANGES, (place,)).allowed]

    async def ask_changes(self, *, by: Actor, where: str = "", since: str = "") -> ChangesPage:
        """Return the newest changes; `since` is `2h` or a day.

        Raises:
            InvalidError: `since` is no time.
        """
        now = self._clock.now()
        moment = parse_since(since, now=now) if since else now - USUAL_SINCE
        return await self.changes(ChangesQuestion(where.strip(), moment), by=by)

    async def changes(self, question: ChangesQuestion, *, by: Actor, page: int = 0) -> ChangesPage:
        """Return a page of what changed, newest first: of everything, what somebody may see."""
        places = places_named(question.where, self._places())
        await self._allow(by, _CHANGES, places.targets)
        async with self._database.reading() as tx:
            found = await self._journal.list_changes(
                tx,
                namespaces=places.namespaces,
                apps=places.apps,
                since=question.since,
                limit=_MOST_READ,
            )
            changes = [
                change for change in await self._journal.put_together(tx, found) if self._may_see(by, change)
            ]
            pages = max(ceil(len(changes) / PAGE), 1)
            number = min(max(page, 0), pages - 1)
            shown = changes[number * PAGE : (number + 1) * PAGE]
            urls = await self._urls(tx, shown)
        return ChangesPage(
            question,
            tuple(zip(shown, urls, strict=True)),
            len(changes),
            len(found) < _MOST_READ,
            number,
            pages,
        )

    def _may_see(self, by: Actor, change: Changed) -> bool:
        return self._access.decide(by, _CHANGES, change.targets).allowed

    async def _urls(self, tx: Transaction, changes: Sequence[Changed]) -> list[str]:
        names = [card_of(change) for change in changes]
        cards = await list_shown(tx, {name for name in names if name is not None})
        urls = {(card.kind, card.key): card.url(self._guild()) or "" for card in cards}
        return [urls.get(name, "") if name is not None else "" for name in names]

    async def who_may(self, action: str, target: str, *, subject: Actor, by: Actor) -> AccessAnswer:
        """Say who may do an action to a thing, and whether `subject` may.

        Raises:
            InvalidError: There is no such action.
        """
        await self._allow(by, "machine:access")
        if action not in KNOWN_ACTIONS:
            raise InvalidError("Expected an action such as alerts:ack: pick one of those that are offered.")
        targets = (target.strip(),) if target.strip() else ()
        return answer_access(self._access.policy, action, targets, subject, now=self._clock.now())

    async def status(self, *, by: Actor) -> Status:
        """Say how each part of the bot is."""
        await self._allow(by, "machine:status")
        return Status(tuple(await self._status()))

    async def examine(self, *, by: Actor) -> Examination:
        """Look for what could keep the bot from working; takes as long as the systems outside do."""
        await self._allow(by, "machine:doctor")
        return Examination(tuple(await self._examine()))

    async def about(self, *, by: Actor) -> About:
        """Say what this is and since when it runs."""
        await self._allow(by, "machine:about")
        return About(VERSION, self._started_at, _links())

    async def notice(self, number: int, *, by: Actor) -> Notice:
        """Return what operators were told.

        Raises:
            NotFoundError: It is no longer kept.
        """
        await self._allow(by, "machine:status")
        return await self._notices.get(number)

    async def _allow(self, by: Actor, action: str, targets: Sequence[str] = ()) -> None:
        try:
            self._access.check(by, action, targets)
        except NotAllowedError as refusal:
            target = next(iter(targets), "")
            entry = Entry(
                actor=by, action=action, target=target, outcome=Outcome.REFUSED, reason=str(refusal)
            )
            async with self._database.transaction() as tx:
                await self._journal.append(tx, entry)
            raise


def _links() -> tuple[tuple[str, str], ...]:
    written = metadata("the-machine").get_all("Project-URL") or ()
    return tuple(
        (name.strip(), address.strip()) for name, _, address in (line.partition(",") for line in written)
    )
