"""Setting timers in the transaction that creates the need, and running what is due."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from bot.core.clock import Clock
from bot.core.errors import LostLeadershipError, UnavailableError
from bot.core.loops import AT_ONCE, survive
from bot.database.engine import Database, Transaction
from bot.timers import store
from bot.timers.model import Claim, wait_until

Handler = Callable[[Transaction, str, datetime], Awaitable[None]]
"""Does what a timer is for, with its subject and due time; awaits nothing but the database."""

_BATCH = 100
_CONCERN_ALL = (UnavailableError, LostLeadershipError)

_log = structlog.get_logger(__name__)


class Timers:
    """Due times as rows: what was set before a restart is due after it, once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Take the database that the steps run in; the leader's, where there is one."""
        self._database = database
        self._clock = clock
        self._handlers: dict[str, Handler] = {}
        self._wakes: list[Callable[[], None]] = []

    def register(self, kind: str, handler: Handler) -> None:
        """Have a handler run the timers of a kind; timers of a kind without one wait."""
        if kind in self._handlers:
            raise ValueError(f"timers of kind {kind} have a handler")
        self._handlers[kind] = handler

    def on_set(self, wake: Callable[[], None]) -> None:
        """Call back after each commit that set a timer: the loop's `wake`."""
        self._wakes.append(wake)

    async def set(self, tx: Transaction, kind: str, subject: str, due_at: datetime) -> None:
        """Have a timer run at a time, in place of the pending one of the same kind and subject."""
        await store.put_timer(tx, kind, subject, due_at)
        tx.after_commit(self._wake)

    async def cancel(self, tx: Transaction, kind: str, subject: str) -> bool:
        """Forget the pending timer of a kind and subject; tell whether there was one."""
        return await store.delete_pending(tx, kind, subject)

    async def find_due_at(self, tx: Transaction, kind: str, subject: str) -> datetime | None:
        """Return when the pending timer of a kind and subject is due."""
        return await store.find_due_at(tx, kind, subject)

    async def purge(self, tx: Transaction, *, before: datetime, limit: int = 1000) -> int:
        """Delete timers that are done and were due before a moment; return how many."""
        return await store.delete_done(tx, before=before, limit=limit)

    async def step(self) -> timedelta:
        """Run what is due and return how long it is until the next timer, at most 30 s.

        A try is counted in a commit of its own before it is made. One whose handler fails is
        tried again later and later, and holds up no other.
        """
        claims = await self._claim()
        for claim in claims:
            await survive(
                self._run(claim), name="timers", but=_CONCERN_ALL, kind=claim.kind, subject=claim.subject
            )
        if len(claims) == _BATCH:
            return AT_ONCE
        async with self._database.reading() as tx:
            next_due = await store.find_next(tx, tuple(self._handlers))
        return wait_until(next_due, now=self._clock.now())

    async def _claim(self) -> list[Claim]:
        now = self._clock.now()
        async with self._database.reading() as tx:
            next_due = await store.find_next(tx, tuple(self._handlers))
        if next_due is None or next_due > now:
            # Nothing is due: the one writer is left to others.
            return []
        async with self._database.transaction() as tx:
            return await store.claim_due(tx, tuple(self._handlers), now=now, limit=_BATCH)

    async def _run(self, claim: Claim) -> None:
        async with self._database.transaction() as tx:
            # Done first: a handler that sets its own timer anew sets the next one.
            if not await store.finish(tx, claim):
                return
            await self._handlers[claim.kind](tx, claim.subject, claim.due_at)
        _log.debug("timer_ran", kind=claim.kind, subject=claim.subject, attempt=claim.attempt)

    def _wake(self) -> None:
        for wake in self._wakes:
            wake()
