"""What is done by the calendar: forgetting what is old, and posting the head of the journal."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta

import structlog

from bot.alerts.inbox import store as inbox_store
from bot.alerts.kinds import INCIDENT, TIMELINE
from bot.alerts.settings import RetentionSettings
from bot.alerts.silences import store as silences_store
from bot.alerts.store import writing as alerts_store
from bot.alerts.storm import store as storm_store
from bot.argocd import store as argocd_store
from bot.argocd.crowds import CARD as CROWD
from bot.argocd.news import CARD as STORY
from bot.cards import store as cards_store
from bot.cards.notices import store as notices_store
from bot.cards.store import Cards
from bot.cards.threads import store as threads_store
from bot.chat.rendered import Rendered
from bot.core.clock import Clock
from bot.database.engine import Database, Transaction
from bot.journal.card import render_head
from bot.journal.model import PostedHead
from bot.journal.service import Journal
from bot.operations import store as operations_store
from bot.operations.life import PREVIEW_LASTS
from bot.operations.sources import OPERATION
from bot.telemetry.metrics import JOB_LAST_SUCCESS
from bot.timers.service import Timers

HEAD = "journal-head"

_BATCH = 500
_FORGOTTEN_WITH_THEIRS = (INCIDENT, TIMELINE, OPERATION, STORY, CROWD)
"""Kinds of cards that are forgotten together with what they show."""

log = structlog.get_logger(__name__)


class Housekeeping:
    """The jobs of the calendar, as one step that can be called at any time."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        cards: Cards,
        timers: Timers,
        *,
        clock: Clock,
        retention: Callable[[], RetentionSettings],
        audit_channel: Callable[[], int | None],
        also: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        """Take the leading database and what the configuration says at the moment of asking.

        `also` are the jobs of rooms that not everybody has.
        """
        self._database = database
        self._journal = journal
        self._cards = cards
        self._timers = timers
        self._clock = clock
        self._retention = retention
        self._audit_channel = audit_channel
        self._also = also

    async def step(self) -> timedelta | None:
        """Do everything once; called when the calendar says so."""
        await self._post_heads()
        await self._forget()
        for job in self._also:
            await job()
        JOB_LAST_SUCCESS.labels("housekeeping").set(self._clock.now().timestamp())
        return None

    async def _post_heads(self) -> None:
        channel = self._audit_channel()
        if channel is None:
            return
        async with self._database.transaction() as tx:
            for head in await self._journal.heads_to_post(tx, self._clock.now().date()):
                card = await cards_store.find_card(tx, HEAD, head_key(head), channel)
                if card is None:
                    await self._cards.want(tx, HEAD, head_key(head), channel)
                elif card.message_id is not None:
                    await self._journal.mark_posted(tx, head.day, str(card.message_id))

    async def _forget(self) -> None:
        now, retention = self._clock.now(), self._retention()
        forgotten = {
            "incidents": await self._all(
                lambda tx: _forget_incidents(tx, closed_before=now - retention.incidents)
            ),
            "operations": await self._all(
                lambda tx: _forget_operations(tx, ended_before=now - retention.incidents)
            ),
            "stories": await self._all(
                lambda tx: _forget_stories(tx, closed_before=now - retention.incidents)
            ),
            "deliveries": await self._all(
                lambda tx: inbox_store.purge(
                    tx,
                    before=now - retention.deliveries,
                    quarantined_before=now - retention.incidents,
                    limit=_BATCH,
                )
            ),
            "journal": await self._all(
                lambda tx: self._journal.purge(tx, before=now - retention.incidents, limit=_BATCH)
            ),
            "timers": await self._all(
                lambda tx: self._timers.purge(tx, before=now - retention.deliveries, limit=_BATCH)
            ),
        }
        async with self._database.transaction() as tx:
            await silences_store.purge_drafts(tx, now=now)
            await operations_store.purge_previews(tx, before=now - PREVIEW_LASTS)
            await storm_store.purge(tx, settled_before=now - retention.incidents)
            await notices_store.purge(tx, before=now - retention.incidents)
            await cards_store.purge(tx, untouched_since=now - retention.incidents, but=_FORGOTTEN_WITH_THEIRS)
        if any(forgotten.values()):
            log.info("old_rows_forgotten", **forgotten)

    async def _all(self, purge: Callable[[Transaction], Awaitable[int]]) -> int:
        """Delete in small transactions, so that no webhook waits."""
        total = 0
        while True:
            async with self._database.transaction() as tx:
                deleted = await purge(tx)
            total += deleted
            if deleted < _BATCH:
                return total


async def _forget_incidents(tx: Transaction, *, closed_before: datetime) -> int:
    """Forget incidents and their cards together: one that stays open for months keeps its message."""
    numbers = await alerts_store.purge(tx, closed_before=closed_before, limit=_BATCH)
    keys = [str(number) for number in numbers]
    await threads_store.forget_cards(tx, await threads_store.forget(tx, INCIDENT, keys))
    await cards_store.forget(tx, INCIDENT, keys)
    return len(numbers)


async def _forget_operations(tx: Transaction, *, ended_before: datetime) -> int:
    """Forget operations and their cards together: one that runs for months keeps its message."""
    ids = await operations_store.purge(tx, ended_before=ended_before, limit=_BATCH)
    await cards_store.forget(tx, OPERATION, ids)
    return len(ids)


async def _forget_stories(tx: Transaction, *, closed_before: datetime) -> int:
    """Forget what was told of Applications, with the cards."""
    numbers, crowds = await argocd_store.purge_stories(tx, closed_before=closed_before, limit=_BATCH)
    await cards_store.forget(tx, STORY, [str(number) for number in numbers])
    await cards_store.forget(tx, CROWD, [str(number) for number in crowds])
    return len(numbers)


class HeadCards:
    """Renders the posted heads; the key holds all that there is to say."""

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render a head."""
        del channel_id
        day, seq, digest = key.split("/")
        return render_head(PostedHead(date.fromisoformat(day), int(seq), digest))


def head_key(head: PostedHead) -> str:
    """Name the card of a head."""
    return f"{head.day.isoformat()}/{head.seq}/{head.hash}"
