"""How the processes on one PostgreSQL wake each other: NOTIFY and LISTEN.

Nothing depends on it. What a bell would have told is found a moment later by the
look that its hearer takes anyway, so that a lost one costs two seconds and no more.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import text

from bot.core.loops import AT_ONCE, NOTHING_TRIED, Loop
from bot.database.engine import Database, Transaction

CHANNEL = "the_machine"

_LOOK_EVERY = timedelta(seconds=10)
"""How long a connection that says nothing is believed."""
_LONGEST_BACKOFF = timedelta(seconds=5)
_REST = timedelta(milliseconds=25)
"""Between two bells of one process: in a storm one stands for many deliveries."""
_NOTIFY = text(f"SELECT pg_notify('{CHANNEL}', :name)")

log = structlog.get_logger(__name__)


class Bell(StrEnum):
    """What there is to tell."""

    DELIVERY = "delivery"
    """Somebody committed a delivery that the leader has to apply."""
    VACANCY = "vacancy"
    """The leader has stopped."""


class Bells:
    """Rings for other processes and hears them; with SQLite there are none."""

    def __init__(self, database: Database) -> None:
        """Take the database without an epoch."""
        self._database = database
        self._hearers: dict[str, Callable[[], None]] = {}
        self._wanted: set[Bell] = set()
        self._ringing = Loop("bells", self.ring_wanted, shortest_wait=_REST, longest_backoff=_LONGEST_BACKOFF)
        self._listening = Loop("listener", self._listen, longest_backoff=_LONGEST_BACKOFF)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """What runs as long as the process does."""
        return () if self._database.is_sqlite else (self._ringing, self._listening)

    def on(self, bell: Bell, hear: Callable[[], None]) -> None:
        """Say what to do when another process rings."""
        self._hearers[bell] = hear

    def ring(self, bell: Bell) -> None:
        """Ring soon; many times before then are one."""
        self._wanted.add(bell)
        self._ringing.wake()

    async def ring_wanted(self) -> timedelta | None:
        """Ring what was asked for."""
        wanted, self._wanted = self._wanted, set()
        if not wanted:
            return NOTHING_TRIED
        async with self._database.transaction() as tx:
            for bell in wanted:
                await ring(tx, bell)
        return None

    async def _listen(self) -> timedelta | None:
        """Hear until the connection is lost."""
        async with self._database.own_connection() as connection:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(CHANNEL, self._hear)
            self._listening.recovered()
            # Whatever was rung while nobody listened.
            for hear in self._hearers.values():
                hear()
            while not lost.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY.total_seconds()):
                        await lost.wait()
                if not lost.is_set():
                    await connection.execute("SELECT 1")
        log.info("listener_lost")
        return AT_ONCE

    def _hear(self, _connection: Any, _process: int, _channel: str, name: str) -> None:
        if hear := self._hearers.get(name):
            hear()


async def ring(tx: Transaction, bell: Bell) -> None:
    """Ring with the commit of a transaction; does nothing with SQLite."""
    if tx.dialect == "postgresql":
        await tx.execute(_NOTIFY, {"name": bell.value})
