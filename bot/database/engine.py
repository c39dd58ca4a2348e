"""Engines and transactions: SQLite with one writer, PostgreSQL with a pool.

A transaction loads, decides and records; nothing but the database is awaited in
it. What must happen after it is registered with `after_commit`.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

from sqlalchemy import CursorResult, Executable, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.core.errors import LostLeadershipError, UnavailableError
from bot.database import postgresql, sqlite
from bot.database.limits import Limits

FENCE = 7_420_417
"""The advisory lock that leading transactions share and a take-over takes alone."""

_SHARE_FENCE = text(f"SELECT pg_advisory_xact_lock_shared({FENCE})")
_EPOCH = text("SELECT epoch, holder FROM leadership WHERE id = 1")
_CLOSED_WITHIN = timedelta(seconds=3)
"""How long a server may take to say goodbye; one that says nothing must not hold up our end."""
_ONE_STATE = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


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

    def __init__(self, url: str, limits: Limits = Limits()) -> None:  # noqa: B008 (it is frozen)
        """Take an SQLAlchemy URL with an async driver; nothing connects yet."""
        self.is_sqlite = url.startswith("sqlite")
        self._url, self._limits = url, limits
        if self.is_sqlite:
            self._writer = _sqlite_engine(url, begin="BEGIN IMMEDIATE", size=1)
            self._reader = _sqlite_engine(url, begin="BEGIN", size=4, query_only=True)
        else:
            self._writer = postgresql.make_engine(url, limits)
            # The same connections. Without its own BEGIN a reader would see each statement's moment.
            self._reader = self._writer.execution_options(**_ONE_STATE)
        self._epoch: int | None = None
        self._holder: str | None = None
        self.check_lease: Callable[[], None] = _holds
        """Raises `LostLeadershipError` once this process knows by itself that it may not lead any more."""
        # Leading writes go one after the other on PostgreSQL too, as they must on
        # SQLite: two decisions about one incident never interleave.
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Open; the first connection is made by the first transaction."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSED_WITHIN.total_seconds()):
                await self._writer.dispose()
                await self._reader.dispose()

    def under(
        self, epoch: int, check_lease: Callable[[], None] | None = None, *, holder: str | None = None
    ) -> "Database":
        """Give the same database to a leader: each write first checks that the epoch still holds.

        `check_lease` is asked before each transaction, also those that only read. With
        `holder` the epoch must be his: a server that became the primary without the last
        commits of the former one gives the same epoch again, to another process.
        """
        led = object.__new__(Database)
        led.__dict__.update(self.__dict__)
        led._epoch, led._holder = epoch, holder
        led.check_lease = check_lease or _holds
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
            self.check_lease()
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
            LostLeadershipError: This process may not lead any more (only under an epoch).
        """
        self.check_lease()
        async with _translated(), self._reader.connect() as connection, connection.begin():
            yield Transaction(connection)

    @asynccontextmanager
    async def unhurried(self) -> AsyncIterator["Database"]:
        """Give the same database without a limit for a statement, for what takes as long as it takes."""
        if self.is_sqlite:
            yield self
            return
        limits = replace(self._limits, pool_size=1, pool_overflow=0, statement_timeout=None)
        async with Database(self._url, limits) as patient:
            yield patient

    @asynccontextmanager
    async def own_connection(self) -> AsyncIterator[Any]:
        """Give the driver's own connection, taken out of the pool, for what SQLAlchemy has no words for.

        Raises:
            UnavailableError: The database does not answer.
        """
        async with _translated(), self._writer.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await connection.run_sync(lambda synchronous: synchronous.detach())
            try:
                yield driver
            except postgresql.driver_errors() as error:
                raise UnavailableError(postgresql.DOWN) from error
            finally:
                driver.terminate()  # A server that says nothing any more would not even say goodbye.

    async def _check_epoch(self, tx: Transaction) -> None:
        if not self.is_sqlite:
            # First the lock, then a new statement: its snapshot is younger than any take-over.
            await tx.execute(_SHARE_FENCE)
        row = (await tx.execute(_EPOCH)).first()
        if row is None or row.epoch != self._epoch or self._holder not in {None, row.holder}:
            raise LostLeadershipError("another process leads now")


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except DBAPIError as error:
        if _is_ours(error):
            raise
        raise UnavailableError(_outage(error.orig)) from error
    except (PoolTimeoutError, OSError) as error:
        raise UnavailableError(postgresql.outage(error)) from error


def _is_ours(error: DBAPIError) -> bool:
    """Say whether a statement failed by a fault of ours, and would fail again."""
    if isinstance(error, IntegrityError | ProgrammingError):
        return not postgresql.is_forbidden(error.orig)
    return postgresql.is_about_data(error.orig)


def _outage(error: BaseException | None) -> str:
    if isinstance(error, sqlite3.Error):
        return sqlite.outage(error) or postgresql.DOWN
    return postgresql.outage(error)


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
        # Not as a statement of its own: SQLAlchemy would keep books about it.
        connection.connection.driver_connection.begin(begin)

    return engine


def _holds() -> None:
    """Know of no lease."""
