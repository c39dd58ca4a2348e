"""Engines and transactions: SQLite with one writer, PostgreSQL with a pool.

A transaction loads, decides and records; nothing but the database is awaited in
it. What must happen after it is registered with `after_commit`.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from sqlalchemy import CursorResult, Engine, Executable, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from bot.core.errors import LostLeadershipError, UnavailableError
from bot.database import sqlite

FENCE = 7_420_417
"""The advisory lock that leading transactions share and a take-over takes alone."""

_DOWN = "the database does not answer"
_IDLE_SINCE = "idle_since"
_PING_AFTER_SECONDS = 1.0
_SHARE_FENCE = text(f"SELECT pg_advisory_xact_lock_shared({FENCE})")
_EPOCH = text("SELECT epoch FROM leadership WHERE id = 1")


class Transaction:
    """A transaction in progress."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Wrap a connection that is inside a transaction."""
        self._connection = connection
        self._after_commit: list[Callable[[], None]] = []

    @property
    def dialect(self) -> str:
        """Name the database: "sqlite" or "postgresql"."""
        return self._connection.dialect.name

    async def execute(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> CursorResult[Any]:
        """Run a statement; a sequence of parameters runs it for each."""
        return await self._connection.execute(statement, parameters)

    async def run_sync(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function of a synchronous connection, as migrations are."""
        return await self._connection.run_sync(function, *arguments)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the commit has succeeded; the same callback is called once."""
        if callback not in self._after_commit:
            self._after_commit.append(callback)

    def committed(self) -> None:
        """Tell those who wait for the commit."""
        for callback in self._after_commit:
            callback()


class Database:
    """The two engines of one database, opened by entering it."""

    def __init__(self, url: str) -> None:
        """Take an SQLAlchemy URL with an async driver; nothing connects yet."""
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            self._writer = _sqlite_engine(url, begin="BEGIN IMMEDIATE", size=1)
            self._reader = _sqlite_engine(url, begin="BEGIN", size=4, query_only=True)
        else:
            self._writer = self._reader = _postgresql_engine(url)
        self._epoch: int | None = None
        # Leading writes go one after the other on PostgreSQL too, as they must on
        # SQLite: two decisions about one incident never interleave.
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Open; the first connection is made by the first transaction."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._reader.dispose()

    def under(self, epoch: int) -> "Database":
        """Give the same database to a leader: each write first checks that the epoch still holds."""
        led = object.__new__(Database)
        led.__dict__.update(self.__dict__)
        led._epoch = epoch
        led._turn = asyncio.Lock()
        return led

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Write: commit at the end, roll back on any exception.

        Raises:
            UnavailableError: The database does not answer.
            LostLeadershipError: Somebody else leads now (only under an epoch).
        """
        if self._epoch is None:
            async with _translated(), self._writer.begin() as connection:
                tx = Transaction(connection)
                yield tx
            tx.committed()
            return
        async with self._turn:
            async with _translated(), self._writer.begin() as connection:
                tx = Transaction(connection)
                await self._check_epoch(tx)
                yield tx
            tx.committed()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Read one consistent state.

        Raises:
            UnavailableError: The database does not answer.
        """
        async with _translated(), self._reader.connect() as connection, connection.begin():
            yield Transaction(connection)

    async def _check_epoch(self, tx: Transaction) -> None:
        if not self.is_sqlite:
            # First the lock, then a new statement: its snapshot is younger than any take-over.
            await tx.execute(_SHARE_FENCE)
        epoch = (await tx.execute(_EPOCH)).scalar()
        if epoch != self._epoch:
            raise LostLeadershipError("another process leads now")


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        raise UnavailableError(_DOWN) from error


def _sqlite_engine(url: str, *, begin: str, size: int, query_only: bool = False) -> AsyncEngine:
    # The driver's own BEGIN comes too late and too weak (reads outside, upgrades that fail at once).
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        connect_args={"isolation_level": None, "timeout": 5, "async_creator_fn": sqlite.connect},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        if query_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql_engine(url: str) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=8,
        max_overflow=4,
        pool_timeout=5,
        connect_args={
            "timeout": 5,
            "command_timeout": 10,
            "server_settings": {
                "application_name": "the-machine",
                "statement_timeout": "10000",
                # A frozen process lets go of its locks, so that another can lead.
                "idle_in_transaction_session_timeout": "5000",
            },
        },
    )
    _ping_idle_ones(engine.sync_engine)
    return engine


def _ping_idle_ones(engine: Engine) -> None:
    """Look whether a connection is still there that nobody used for a while.

    `pool_pre_ping` asks each time, in three round trips, as many as a small transaction has itself.
    """

    @event.listens_for(engine, "checkin")
    def _note(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if time.monotonic() - record.info.get(_IDLE_SINCE, math.inf) < _PING_AFTER_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError(_DOWN) from error  # The pool makes another one.
