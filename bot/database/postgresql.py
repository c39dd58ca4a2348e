"""A pool of connections to a PostgreSQL that may be restarted, replaced by another one, or silent."""

import asyncio
import math
import socket
import time
from functools import cache, partial
from typing import Any

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from bot.database.limits import Limits

_GRACE_SECONDS = 2.0
"""What the client gives the server beyond the server's own limit for a statement."""
FROZEN_AFTER_SECONDS = 5
"""A process that does nothing in a transaction lets go of its locks, so that another can lead."""
_UNHEARD_AFTER_SECONDS = 6
"""How long a machine may leave unanswered what was sent to it, before it counts as gone."""
_GOODBYE_WITHIN_SECONDS = 0.5
_IDLE_SINCE = "idle_since"
_PING_AFTER_SECONDS = 1.0
_PING_WITHIN_SECONDS = 2.0

DOWN = "The database does not answer. Try again in a moment."
_READ_ONLY = "25006"
_FORBIDDEN = "42501"
_SAID = {
    "26000": "A pooler in front of the database shares sessions: it must keep them (pool_mode = session).",
    "28000": "The database refuses the bot's user, or the address that it comes from (pg_hba.conf).",
    "28P01": "The database refuses the bot's user or its password.",
    "3D000": "The server has no database of the name that it is asked for.",
    _FORBIDDEN: "The database's user may not do this: it must own the database.",
    "53100": "The disk of the database is full.",
    "53300": "The database has no connection left: raise max_connections, or lower database.pool_size.",
}
"""What a person can do something about, by SQLSTATE."""
_LOCK_TIMEOUT = "55P03"
_ENDING = ("08", "57P")
"""SQLSTATEs of a connection that has failed, and of a server that stops, crashed or starts."""
_ABOUT_DATA = "22"

_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}


def make_engine(url: str, limits: Limits) -> AsyncEngine:
    """Make the pool; nothing connects yet."""
    longest = limits.statement_timeout.total_seconds() if limits.statement_timeout else None
    engine = create_async_engine(
        url,
        # Of a BEGIN of ours: whoever configured the server otherwise would take the sense out of the epoch.
        isolation_level="READ COMMITTED",
        pool_size=limits.pool_size,
        max_overflow=limits.pool_overflow,
        pool_timeout=limits.pool_timeout.total_seconds(),
        connect_args={
            "timeout": limits.pool_timeout.total_seconds(),
            # The server ends what takes too long; this is for a server that says nothing any more.
            "command_timeout": longest and longest + _GRACE_SECONDS,
            # An address may lead to a standby for a while, as in a switchover: it reads, and is behind.
            "target_session_attrs": "read-write",
            "server_settings": {"application_name": "the-machine"},
            "async_creator_fn": partial(_connect, _session(longest)),
        },
    )
    _ping_idle_ones(engine.sync_engine)
    _discard_lost_ones(engine.sync_engine)
    return engine


def driver_errors() -> tuple[type[Exception], ...]:
    """Return what the driver raises where SQLAlchemy does not translate it."""
    import asyncpg  # noqa: PLC0415 (SQLite does without it)

    return asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError


def outage(error: BaseException | None) -> str:
    """Say in a sentence for people why the database cannot be used."""
    if isinstance(error, socket.gaierror):
        return "The name of the database's server is not known: look at database.url, and at DNS."
    return _SAID.get(str(getattr(error, "sqlstate", "")), DOWN)


def is_forbidden(error: BaseException | None) -> bool:
    """Say whether it is a right that a statement lacks, and not our fault."""
    return getattr(error, "sqlstate", None) == _FORBIDDEN


def is_kept_waiting(error: BaseException) -> bool:
    """Say whether somebody else held for too long what a statement needed."""
    original = getattr(error.__cause__, "orig", None)
    return getattr(original, "sqlstate", None) == _LOCK_TIMEOUT


def is_about_data(error: BaseException | None) -> bool:
    """Say whether a statement failed because of a value in it, and would fail again."""
    return str(getattr(error, "sqlstate", None) or "").startswith(_ABOUT_DATA)


def _session(longest_seconds: float | None) -> str:
    """Return the statement that makes a session what we need.

    A pooler refuses parameters of the start that it does not know.
    """
    settings = {
        "statement_timeout": f"{round(longest_seconds * 1000) if longest_seconds else 0}ms",
        "idle_in_transaction_session_timeout": f"{FROZEN_AFTER_SECONDS if longest_seconds else 0}s",
        # The same for the server's end, also while it waits for somebody frozen to read an answer.
        "tcp_keepalives_idle": f"{_KEEPALIVE['TCP_KEEPIDLE']}s",
        "tcp_keepalives_interval": f"{_KEEPALIVE['TCP_KEEPINTVL']}s",
        "tcp_keepalives_count": str(_KEEPALIVE["TCP_KEEPCNT"]),
        "tcp_user_timeout": f"{_UNHEARD_AFTER_SECONDS}s",
    }
    calls = (f"set_config('{name}', '{value}', false)" for name, value in settings.items())
    return f"SELECT {', '.join(calls)}"


async def _connect(session: str, **arguments: Any) -> Any:
    import asyncpg  # noqa: PLC0415 (SQLite does without it)

    try:
        driver = await asyncpg.connect(**arguments, connection_class=_brisk_connection())
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise ConnectionRefusedError("the server is a standby") from error
    try:
        _watch_over(driver)
        await driver.execute(session)
    except BaseException:
        driver.terminate()
        raise
    return driver


@cache
def _brisk_connection() -> type[Any]:
    import asyncpg  # noqa: PLC0415 (SQLite does without it)

    class BriskConnection(asyncpg.Connection):  # type: ignore[misc]  # It has no types.
        """Waits for no long goodbye: a leader whose statement is cancelled must have stopped in time."""

        async def close(self, *, timeout: float | None = None) -> None:
            within = min(timeout or math.inf, _GOODBYE_WITHIN_SECONDS)
            await super().close(timeout=within)

    return BriskConnection


def _watch_over(driver: Any) -> None:
    # The driver has no public way to its socket.
    line = driver._transport.get_extra_info("socket")  # noqa: SLF001
    if line is None or line.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {**_KEEPALIVE, "TCP_USER_TIMEOUT": _UNHEARD_AFTER_SECONDS * 1000}
    for name, value in options.items():
        if hasattr(socket, name):  # Linux has all of them.
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _discard_lost_ones(engine: Engine) -> None:
    """Give up connections that are still open, but lead to a server that is no use any more."""

    @event.listens_for(engine, "handle_error")
    def _look(context: ExceptionContext) -> None:
        error = context.original_exception
        state = str(getattr(error, "sqlstate", None) or "")
        if state == _READ_ONLY or state.startswith(_ENDING) or isinstance(error, TimeoutError):
            context.is_disconnect = True


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
        lost: tuple[type[Exception], ...] = (*driver_errors(), OSError)
        try:
            await_only(_ask(connection.driver_connection))
        except lost as error:
            # The pool makes another one, and in the place of all that are as old.
            raise InvalidatePoolError("the connection is lost") from error


async def _ask(driver: Any) -> None:
    async with asyncio.timeout(_PING_WITHIN_SECONDS):
        await driver.execute("SELECT 1")
