"""Who leads: one row in the same database, so that no other service must be up.

The row holds the holder, an epoch that only grows, and until when the lease is
valid by the database's own clock. Each leading transaction checks the epoch.
"""

import asyncio
import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

import structlog
from sqlalchemy import Column, ColumnElement, Integer, Table, Text, and_, func, select, text, update

from bot.core.errors import LostLeadershipError, UnavailableError
from bot.database.bells import Bell, ring
from bot.database.engine import FENCE, Database, Transaction
from bot.database.postgresql import FROZEN_AFTER_SECONDS
from bot.database.schema import UtcDateTime, metadata

LEASE = timedelta(seconds=10)
RENEW_EVERY = timedelta(seconds=3)
RETRY_EVERY = timedelta(seconds=1)
"""After a renewal that failed."""
ANSWERED_WITHIN = timedelta(seconds=2)
"""How long a renewal may take; a connection that says nothing is given up, and another one is tried."""
TAKEN_WITHIN = timedelta(seconds=5)
"""How long a take-over may take, or giving the lease back."""
STOP_BEFORE = timedelta(seconds=2)
"""How long before the end of an unrenewed lease the leading stack begins to stop."""
ACT_BEFORE = timedelta(seconds=1)
"""How long before its end nothing is begun any more: it would be on its way when another leads."""

log = structlog.get_logger(__name__)

_END_FROZEN = text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND mode = 'ShareLock' "
    "AND (classid, objid, objsubid) = (0, :key, 1) AND datname = current_database() "
    "AND database = datid AND xact_start < clock_timestamp() - make_interval(secs => :seconds)"
)
"""End the sessions of a former leader that has been in the same transaction for long.

As a rule the server does so by itself, but not where the process was frozen between preparing a
statement and executing it: the server takes the statement for one that goes on, and no limit of
its own holds while it waits for the rest (the extended protocol, before `Sync`).
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
"""

leadership = Table(
    "leadership",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires_at", UtcDateTime),
)


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads, as the database says."""

    holder: str
    epoch: int
    expires_at: datetime | None
    is_current: bool
    """Whether the lease still holds; with SQLite whether it was not given back."""


class Leadership:
    """One process's part in the election."""

    def __init__(self, database: Database, holder: str) -> None:
        """Take the database without an epoch and a name that no other process has."""
        self._database = database
        self.holder = holder
        self._valid_until = -math.inf

    async def acquire(self) -> int | None:
        """Lead if nobody does: the new epoch, or None while another's lease is valid.

        With SQLite there is one process: it leads from its start, and whichever
        was there before finds its epoch gone.

        Raises:
            UnavailableError: The database does not answer.
        """
        began = _moment()
        try:
            async with asyncio.timeout(TAKEN_WITHIN.total_seconds()):
                epoch = await self._take_over()
        except TimeoutError as error:
            raise UnavailableError("the database takes too long") from error
        if epoch is not None:
            self._valid_until = math.inf if self._database.is_sqlite else began + LEASE.total_seconds()
        return epoch

    def check(self) -> None:
        """Say by the clock of this process whether it may still act as the leader; asks nobody.

        A process that was frozen has not renewed its lease, and learns it here
        before it does anything that cannot be taken back.

        Raises:
            LostLeadershipError: It may not.
        """
        if _moment() >= self._valid_until - ACT_BEFORE.total_seconds():
            raise LostLeadershipError("the lease was not renewed in time")

    async def _take_over(self) -> int | None:
        if not self._database.is_sqlite and (leader := await self.find_leader()) and leader.is_current:
            return None  # Seen without the lock, on which all leading transactions would queue.
        async with self._database.transaction() as tx:
            if not self._database.is_sqlite:
                await self._pass_fence(tx)
            row = (await tx.execute(select(leadership).where(leadership.c.id == 1))).first()
            if row is None:
                await tx.execute(
                    leadership.insert().values(
                        id=1, holder=self.holder, epoch=1, expires_at=await _lease_end(tx)
                    )
                )
                return 1
            if not self._database.is_sqlite and row.expires_at and row.expires_at > await _now(tx):
                return None
            epoch = int(row.epoch) + 1
            await tx.execute(
                update(leadership).values(holder=self.holder, epoch=epoch, expires_at=await _lease_end(tx))
            )
            return epoch

    async def _pass_fence(self, tx: Transaction) -> None:
        """Wait for leading transactions in flight, but not for those of a process that is frozen."""
        ended = await tx.execute(_END_FROZEN, {"key": FENCE, "seconds": float(FROZEN_AFTER_SECONDS)})
        if count := len(ended.all()):
            log.warning("frozen_transactions_ended", count=count)
        await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FENCE})

    async def renew(self, epoch: int) -> bool:
        """Extend the lease; False when somebody else leads now."""
        async with self._database.transaction() as tx:
            renewed = await tx.execute(
                update(leadership).where(self._is_ours(epoch)).values(expires_at=await _lease_end(tx))
            )
            return renewed.rowcount == 1

    async def keep(self, epoch: int) -> NoReturn:
        """Renew the lease until cancelled.

        Raises:
            LostLeadershipError: Somebody else leads, or the lease is about to end unrenewed.
        """
        wait = RENEW_EVERY.total_seconds()
        while True:
            stop_at = self._valid_until - STOP_BEFORE.total_seconds()
            await asyncio.sleep(min(wait, max(stop_at - _moment(), 0)))
            tried_at = _moment()
            if tried_at >= stop_at:
                raise LostLeadershipError("the lease could not be renewed in time")
            try:
                async with asyncio.timeout(min(stop_at - tried_at, ANSWERED_WITHIN.total_seconds())):
                    holds = await self._still_holds(epoch)
            except (UnavailableError, TimeoutError):
                wait = RETRY_EVERY.total_seconds()
                continue
            if not holds:
                raise LostLeadershipError("another process leads now")
            wait = RENEW_EVERY.total_seconds()
            if not self._database.is_sqlite:
                self._valid_until = tried_at + LEASE.total_seconds()

    async def _still_holds(self, epoch: int) -> bool:
        if not self._database.is_sqlite:
            return await self.renew(epoch)
        # One process, no lease: only whether another one has begun with this file.
        leader = await self.find_leader()
        return leader is not None and (leader.epoch, leader.holder) == (epoch, self.holder)

    async def release(self, epoch: int) -> None:
        """Let another lead at once; without a database it does so when the lease ends."""
        self._valid_until = -math.inf
        try:
            async with asyncio.timeout(TAKEN_WITHIN.total_seconds()), self._database.transaction() as tx:
                await tx.execute(update(leadership).where(self._is_ours(epoch)).values(expires_at=None))
                await ring(tx, Bell.VACANCY)
        except (UnavailableError, TimeoutError) as error:
            log.warning("leadership_not_released", why=str(error) or "the database takes too long")

    def _is_ours(self, epoch: int) -> ColumnElement[bool]:
        # Not by the epoch alone: see `Database.under`.
        return and_(leadership.c.id == 1, leadership.c.epoch == epoch, leadership.c.holder == self.holder)

    async def find_leader(self) -> Leader | None:
        """Say who leads or led last."""
        async with self._database.reading() as tx:
            row = (await tx.execute(select(leadership))).first()
            if row is None:
                return None
            holds = row.expires_at is not None and (
                self._database.is_sqlite or row.expires_at > await _now(tx)
            )
            return Leader(row.holder, row.epoch, row.expires_at, is_current=holds)


async def _now(tx: Transaction) -> datetime:
    # PostgreSQL's current_timestamp is when the transaction began, before it waited for a lock.
    now = func.current_timestamp if tx.dialect == "sqlite" else func.clock_timestamp
    moment: datetime = (await tx.execute(select(now(type_=UtcDateTime())))).scalar_one()
    return moment


async def _lease_end(tx: Transaction) -> datetime:
    return await _now(tx) + LEASE


def _moment() -> float:
    # Either goes on while the process is frozen; the first one also while the machine sleeps.
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
