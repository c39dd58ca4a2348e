"""Appending to the journal, asking it, and checking that nobody changed it.

What the bot does by itself is recorded outside the hash chain and may be deleted
when it is old. What people do stands in the chain and is never deleted: a chain
with its beginning cut off could not be told from one that somebody shortened.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime

from bot.core.clock import Clock
from bot.database.engine import Database, Transaction
from bot.journal import store
from bot.journal.changes import Changed, changes_of
from bot.journal.model import (
    ChainReader,
    Entry,
    Filter,
    Head,
    PostedHead,
    Recorded,
    Verdict,
    conclude,
    is_chained,
    link,
    recordable,
)
from bot.telemetry.metrics import AUDIT_EVENTS

Subscriber = Callable[[Transaction, Recorded], Awaitable[None]]
"""Is told of each entry inside the transaction that records it."""

_ANYTHING = Filter()
_BATCH = 500


class Journal:
    """The one record of who did what."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock that gives each entry its time."""
        self._clock = clock
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell somebody of every entry from now on, in the order of subscribing."""
        self._subscribers.append(subscriber)

    @asynccontextmanager
    async def telling(self, subscriber: Subscriber) -> AsyncIterator[None]:
        """Tell somebody of every entry until the context ends."""
        self.subscribe(subscriber)
        try:
            yield
        finally:
            self._subscribers.remove(subscriber)

    async def append(self, tx: Transaction, entry: Entry, *, at: datetime | None = None) -> Recorded:
        """Record an entry in the transaction of the change itself, and tell the subscribers.

        `at` is when it happened, of what was only seen later; it is never later than now,
        whatever the clock of another system says. What people do has the time of its writing:
        the chain stands for that.

        On PostgreSQL people's entries lock the chain's one head until the transaction ends:
        append after the rows of the change are locked, not before.
        """
        if at is not None and is_chained(entry):
            raise ValueError("what a person does is recorded when it is done")
        now = self._clock.now()
        at = now if at is None else min(at, now)
        kept = recordable(entry)
        head = link(await store.lock_head(tx), at, kept) if is_chained(kept) else None
        recorded = await store.insert_entry(tx, at, kept, head)
        if head is not None:
            await store.move_head(tx, head)
        tx.after_commit(lambda: AUDIT_EVENTS.labels(action=kept.action).inc())
        for subscriber in self._subscribers:
            await subscriber(tx, recorded)
        return recorded

    async def list_entries(
        self, tx: Transaction, wanted: Filter = _ANYTHING, *, before: int | None = None, limit: int = 50
    ) -> list[Recorded]:
        """Return the entries that match, what was written last first; `before` is the id to page on from."""
        return await store.list_entries(tx, wanted, before=before, limit=limit)

    async def count_entries(self, tx: Transaction, wanted: Filter = _ANYTHING) -> int:
        """Return how many entries match."""
        return await store.count_entries(tx, wanted)

    async def list_changes(
        self,
        tx: Transaction,
        *,
        namespaces: Collection[str] = (),
        apps: Collection[str] = (),
        since: datetime,
        until: datetime | None = None,
        limit: int = 50,
    ) -> list[Recorded]:
        """Return what changed in any of these namespaces or apps, newest first; without any, everywhere.

        `since` is the first moment that counts, `until` the first that does not any more.
        """
        return await store.list_changes(
            tx, namespaces=namespaces, apps=apps, since=since, until=until, limit=limit
        )

    async def read_changes(
        self,
        tx: Transaction,
        *,
        namespaces: Collection[str] = (),
        apps: Collection[str] = (),
        since: datetime,
        until: datetime | None = None,
        limit: int = 50,
    ) -> list[Changed]:
        """Return the same as `list_changes`, each operation as one change with how it ended.

        `limit` counts entries, of which an operation has several.
        """
        found = await self.list_changes(
            tx, namespaces=namespaces, apps=apps, since=since, until=until, limit=limit
        )
        return await self.put_together(tx, found)

    async def put_together(self, tx: Transaction, found: Sequence[Recorded]) -> list[Changed]:
        """Return changes that were found, newest first, each operation as one with how it ended."""
        operations = {one.entry.operation for one in found if one.entry.operation is not None}
        steps = await store.list_steps(tx, operations) if operations else []
        return changes_of(found, steps)

    async def head(self, tx: Transaction) -> Head:
        """Return the end of the chain."""
        return await store.find_head(tx)

    async def heads_to_post(self, tx: Transaction, day: date) -> list[PostedHead]:
        """Take the chain's head as that of the day and return all heads that wait for posting.

        A day has one head, the first that is taken; a day on which nobody did anything has none.
        The text of each is the line to post; `mark_posted` follows.
        """
        head = await store.find_head(tx)
        last = await store.find_last_post(tx)
        is_new = last is None or (last.day < day and last.hash != head.hash)
        if head.seq and is_new:
            await store.insert_post(tx, PostedHead(day, head.seq, head.hash))
        return await store.list_unposted(tx)

    async def mark_posted(self, tx: Transaction, day: date, message_id: str) -> None:
        """Remember that the head of a day stands in the audit channel."""
        await store.set_posted(tx, day, message_id)

    async def purge(self, tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
        """Delete old entries of the bot itself, at most `limit`; return how many.

        Nothing that a person did is deleted, so the chain stays whole.
        """
        return await store.delete_unchained(tx, before=before, limit=limit)


async def list_vanished(database: Database, posted: Sequence[PostedHead]) -> list[PostedHead]:
    """Return the heads that the database remembers as posted, but that are not among those found."""
    async with database.reading() as tx:
        remembered = await store.list_posted(tx)
    found = frozenset(posted)
    return [head for head in remembered if head not in found]


async def verify_journal(
    database: Database, posted: Sequence[PostedHead] = (), *, batch: int = _BATCH
) -> Verdict:
    """Compute the whole chain anew and compare it with itself and with the heads that were posted.

    The journal may grow meanwhile; read the posted heads before.
    """
    reader = ChainReader()
    hashes: dict[int, str] = {}
    wanted = {one.seq for one in posted}
    while True:
        async with database.reading() as tx:
            # The head first: when nothing comes after what was read, it must be the end of that.
            head = await store.find_head(tx)
            entries = await store.read_chain(tx, reader, limit=batch)
        for entry in entries:
            reader = reader.stop_at_unreadable(entry) if isinstance(entry, int) else reader.read(entry)
            if reader.head.seq in wanted:
                hashes[reader.head.seq] = reader.head.hash
        if not entries or reader.fault is not None:
            break
    async with database.reading() as tx:
        unchained = await store.find_unchained(tx)
    return conclude(reader, hashes, posted, head=head, unchained=unchained)
