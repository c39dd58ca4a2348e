"""Who leads: one row in the same database, so that no other service must be up.

The row holds the holder, an epoch that only grows, and until when the lease is
valid by the database's own clock. Each leading transaction checks the epoch.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

import structlog
from sqlalchemy import Column, Integer, Table, Text, func, select, text, update

from bot.core.errors import LostLeadershipError, UnavailableError
from bot.database.engine import FENCE, Database, Transaction
from bot.database.schema import UtcDateTime, metadata

LEASE = timedelta(seconds=10)
RENEW_EVERY = timedelta(seconds=3)
STOP_BEFORE = timedelta(seconds=2)
"""How long before the end of an unrenewed lease the leading stack begins to stop."""

log = structlog.get_logger(__name__)

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


class Leadership:
    """One process's part in the election."""

    def __init__(self, database: Database, holder: str) -> None:
        """Take the database without an epoch and a name that no other process has."""
        self._database = database
        self._holder = holder

    async def acquire(self) -> int | None:
        """Lead if nobody does: the new epoch, or None while another's lease is valid.

        With SQLite there is one process: it leads from its start, and whichever
        was there before finds its epoch gone.
        """
        async with self._database.transaction() as tx:
            if not self._database.is_sqlite:
                # Waits for leading transactions in flight; a frozen one is ended by the server.
                await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FENCE})
            row = (await tx.execute(select(leadership).where(leadership.c.id == 1))).first()
            if row is None:
                await tx.execute(
                    leadership.insert().values(
                        id=1, holder=self._holder, epoch=1, expires_at=await _lease_end(tx)
                    )
                )
                return 1
            if not self._database.is_sqlite and row.expires_at and row.expires_at > await _now(tx):
                return None
            epoch = int(row.epoch) + 1
            await tx.execute(
                update(leadership).values(holder=self._holder, epoch=epoch, expires_at=await _lease_end(tx))
            )
            return epoch

    async def renew(self, epoch: int) -> bool:
        """Extend the lease; False when somebody else leads now."""
        async with self._database.transaction() as tx:
            renewed = await tx.execute(
                update(leadership)
                .where(leadership.c.id == 1, leadership.c.epoch == epoch)
                .values(expires_at=await _lease_end(tx))
            )
            return renewed.rowcount == 1

    async def keep(self, epoch: int) -> NoReturn:
        """Renew the lease until cancelled.

        Raises:
            LostLeadershipError: Somebody else leads, or the lease is about to end unrenewed.
        """
        valid_until = time.monotonic() + LEASE.total_seconds()
        while True:
            await asyncio.sleep(RENEW_EVERY.total_seconds())
            tried_at = time.monotonic()
            try:
                async with asyncio.timeout(max(0.1, valid_until - STOP_BEFORE.total_seconds() - tried_at)):
                    holds = await self._still_holds(epoch)
            except (UnavailableError, TimeoutError):
                if time.monotonic() >= valid_until - STOP_BEFORE.total_seconds():
                    raise LostLeadershipError("the lease could not be renewed in time") from None
                continue
            if not holds:
                raise LostLeadershipError("another process leads now")
            valid_until = tried_at + LEASE.total_seconds()

    async def _still_holds(self, epoch: int) -> bool:
        if not self._database.is_sqlite:
            return await self.renew(epoch)
        # One process, no lease: only whether another one has begun with this file.
        leader = await self.find_leader()
        return leader is not None and leader.epoch == epoch

    async def release(self, epoch: int) -> None:
        """Let another lead at once; without a database it does so when the lease ends."""
        try:
            async with self._database.transaction() as tx:
                ours = leadership.c.epoch == epoch
                await tx.execute(update(leadership).where(ours).values(expires_at=None))
        except UnavailableError as error:
            log.warning("leadership_not_released", why=str(error))

    async def find_leader(self) -> Leader | None:
        """Say who leads or led last."""
        async with self._database.reading() as tx:
            row = (await tx.execute(select(leadership))).first()
        return Leader(row.holder, row.epoch, row.expires_at) if row else None


async def _now(tx: Transaction) -> datetime:
    moment: datetime = (await tx.execute(select(func.current_timestamp(type_=UtcDateTime())))).scalar_one()
    return moment


async def _lease_end(tx: Transaction) -> datetime:
    return await _now(tx) + LEASE
