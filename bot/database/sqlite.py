"""SQLite's connection for SQLAlchemy, with one trip to its thread for each statement.

A connection of aiosqlite lives in a thread. SQLAlchemy would go there four times
for a query (open a cursor, execute, fetch, close), and each trip costs the event
loop more than the statement itself does. BEGIN goes along with the statement
after it, so that the lock is taken then.

Written for SQLAlchemy 2.1, which uses of a cursor what is here, and aiosqlite 0.22.
"""

import sqlite3
from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import aiosqlite

_CHUNK = 64
_LOCKED = "Another program holds the database locked. Try again in a moment; only one bot may use the file."
_OUTAGES = {
    "SQLITE_CANTOPEN": "The database file cannot be opened. Its folder must be there, and let the bot write.",
    "SQLITE_READONLY": "The database file cannot be written. It and its folder must let the bot write.",
    "SQLITE_FULL": "The disk that the database is on is full. Make room there.",
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_CORRUPT": "The database file is damaged. Restore it from a backup.",
    "SQLITE_NOTADB": "The file is no database of SQLite. Name another one, or restore it from a backup.",
    "SQLITE_IOERR": "The disk that the database is on fails. Look at the volume.",
}


def connect(database: str | Path, **options: Any) -> Awaitable[aiosqlite.Connection]:
    """Open a connection; the options are those of `sqlite3.connect`."""
    return _Connection(lambda: sqlite3.connect(database, **options), _CHUNK)


def outage(error: sqlite3.Error) -> str | None:
    """Say in sentences for people why the file cannot be used, where SQLite tells."""
    name = str(getattr(error, "sqlite_errorname", ""))
    return next((said for kind, said in _OUTAGES.items() if name.startswith(kind)), None)


class _Connection(aiosqlite.Connection):
    """A connection whose cursors fetch what they find at once."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        # SQLAlchemy knows no other way to end it with the process; its pool closes what is idle.
        self._thread.daemon = True
        self._in_doubt = False
        self._begin = ""
        self._ended: Future[Any] | None = None

    def cursor(self) -> "_Cursor":  # type: ignore[override]  # Theirs goes to the thread for it.
        """Make a cursor, without asking anybody."""
        return _Cursor(self)

    def stop(self) -> Future[Any] | None:
        """Have the thread end; the future is done when it has."""
        self._ended = super().stop()
        return self._ended

    async def _connect(self) -> aiosqlite.Connection:
        try:
            return await super()._connect()
        except sqlite3.Error:
            # Theirs does not wait, and its thread then tells a loop that may be closed by now.
            if self._ended is not None:
                await self._ended
            raise

    def begin(self, statement: str) -> None:
        """Begin a transaction on the trip of its first statement."""
        self._begin = statement

    async def commit(self) -> None:
        """Commit, if anything was begun."""
        if not self._begin:
            await super().commit()
        self._begin = ""

    async def rollback(self) -> None:
        """Roll back, if anything was begun: the pool asks for it after each commit too."""
        self._begin = ""
        if self._in_doubt or self.in_transaction:
            await super().rollback()

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Whoever is cancelled here does not know what the thread still does.
        self._in_doubt = True
        result = await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        self._in_doubt = False
        return result

    async def run(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do something in the thread."""
        begin, self._begin = self._begin, ""
        await self._execute(_begin_and, begin, work, self._conn)


def _begin_and(begin: str, work: Callable[[sqlite3.Connection], None], raw: sqlite3.Connection) -> None:
    if begin:
        raw.execute(begin)
    work(raw)


class _Cursor:
    """One statement and all that it gave."""

    arraysize = 1

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Self:
        await self._connection.run(lambda raw: self._take(raw.execute(statement, parameters)))
        return self

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> Self:
        await self._connection.run(lambda raw: self._take(raw.executemany(statement, parameters)))
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Do nothing: the real cursor is closed already."""

    def _take(self, cursor: sqlite3.Cursor) -> None:
        """Keep what a statement gave; the count of its rows is right once they have been fetched."""
        self._rows = cursor.fetchall()
        self.description = cursor.description
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid
        cursor.close()


def is_open_elsewhere(file: Path) -> bool:
    """Say whether another process has this file open, which SQLite shows by a lock on it."""
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None
    )
    try:
        # Whoever has it open shares a lock; this mode wants it alone.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise
        return True
    finally:
        connection.close()
    return False
