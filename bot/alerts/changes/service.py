"""Reads what changed where an incident is, and has its cards say so when something does."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from bot.alerts import kinds
from bot.alerts.changes.card import changed_lines
from bot.alerts.changes.model import choose
from bot.alerts.model.incident import Incident
from bot.alerts.policy import AlertPolicy
from bot.alerts.showing import Index
from bot.alerts.whereabouts import Targets, Whereabouts, whereabouts
from bot.cards.store import Cards, list_shown
from bot.database.engine import Transaction
from bot.journal.changes import Changed, card_of, is_news
from bot.journal.model import Recorded
from bot.journal.service import Journal

_MOST_READ: Final = 12
"""Entries; an operation has several."""
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Alerts say of themselves when they began, and some say the year one."""
_MOST_MARKED: Final = 50
"""Of all the incidents at a place, the worst and newest: a sync must not hold the cards of others up."""


class ChangesHere:
    """The changes around the incidents."""

    def __init__(
        self,
        journal: Journal,
        cards: Cards,
        index: Index,
        *,
        policy: Callable[[], AlertPolicy],
        targets: Targets,
        guild: Callable[[], int],
    ) -> None:
        """Take the rooms below, the open incidents and what knows the Application of an alert."""
        self._journal = journal
        self._cards = cards
        self._index = index
        self._policy = policy
        self._targets = targets
        self._guild = guild
        index.use(targets)

    async def read(self, tx: Transaction, incident: Incident, *, channel_id: int) -> tuple[str, ...]:
        """Return the lines that its card in a channel shows; none where nothing changed.

        What people did to the incident itself stands on the card already.
        """
        window, began = self._policy().changes, incident.opened_at
        where = whereabouts(incident, self._targets)
        if not window or not where or not incident.is_open:
            return ()
        since = max(began, _EARLIEST) - window
        found, is_all = await self._find(tx, where, since=since, began=began)
        changes = [change for change in found if change.incident != incident.number]
        shown = choose(changes, began=began)
        urls = await self._urls(tx, shown, channel_id)
        return tuple(
            changed_lines(
                list(zip(shown, urls, strict=True)),
                more=len(changes) - len(shown),
                is_all=is_all,
                began=began,
                window=window,
            )
        )

    async def _find(
        self, tx: Transaction, where: Whereabouts, *, since: datetime, began: datetime
    ) -> tuple[list[Changed], bool]:
        """Return the newest changes and in any case one from before it began, and whether those are all."""
        find = partial(self._journal.list_changes, tx, namespaces=where.namespaces, apps=where.apps)
        found = await find(since=since, limit=_MOST_READ)
        is_all = len(found) < _MOST_READ
        if not is_all and found[-1].at > began:
            found += await find(since=since, until=began, limit=1)
        return await self._journal.put_together(tx, found), is_all

    async def _urls(self, tx: Transaction, shown: Sequence[Changed], channel_id: int) -> list[str]:
        """Return where the card of each is, the one in the same channel if there are several."""
        names = [card_of(change) for change in shown]
        cards = await list_shown(tx, {name for name in names if name is not None})
        cards.sort(key=lambda card: card.posted_in == channel_id)
        urls = {(card.kind, card.key): card.url(self._guild()) or "" for card in cards}
        return [urls.get(name, "") if name is not None else "" for name in names]

    async def hear(self, tx: Transaction, recorded: Recorded) -> None:
        """Have the open cards at the place of a change rendered anew, in the transaction that records it."""
        entry = recorded.entry
        if not is_news(entry) or not (entry.namespace or entry.app):
            return
        near = [known for known in self._index.all() if known.whereabouts.holds(entry.namespace, entry.app)]
        for known in near[:_MOST_MARKED]:
            await self._cards.touch(tx, kinds.INCIDENT, str(known.number))
