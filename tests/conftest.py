"""What every test may ask for: a database of each kind, a clock that is moved."""

import asyncio
import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog

from bot.database.engine import Database
from bot.database.migrate import upgrade
from tests.support.postgres import (
    PostgresServer,
    create_database,
    drop_database,
    empty_database,
    find_programs,
    shape_of,
)

POSTGRES = "MACHINE_TEST_POSTGRES"
_started: list[PostgresServer] = []


structlog.configure(
    # The default draws every local value of a traceback, which takes seconds on a busy machine.
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(),
    ]
)


def pytest_configure(config):
    """Start one PostgreSQL before the workers of xdist inherit its address."""
    if hasattr(config, "workerinput") or os.environ.get(POSTGRES) or config.option.collectonly:
        return
    programs = find_programs()
    if programs is None:
        return
    server = PostgresServer(programs, durable=False)
    server.start()
    _started.append(server)
    os.environ[POSTGRES] = server.url


def pytest_unconfigure(config):
    for server in _started:
        server.remove()
        os.environ.pop(POSTGRES, None)
    _started.clear()


def pytest_make_parametrize_id(val, argname):
    """Leave bytes out of the names of tests: gzip writes the time into them, and the workers would disagree on the names."""
    return argname if isinstance(val, bytes) else None


def _apart(coroutine):
    """Run to the end in a loop of its own, wherever we are called from."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="session")
def postgres_url():
    """The address of a PostgreSQL server; never missing in CI."""
    url = os.environ.get(POSTGRES)
    if url is None and os.environ.get("CI"):
        pytest.fail("PostgreSQL is not installed: CI must have it")
    if url is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    return url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "machine.db"

    async def migrate():
        async with Database(f"sqlite+aiosqlite:///{path}") as database:
            await upgrade(database)

    _apart(migrate())
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url):
    """The name of a migrated database to copy."""
    name = f"template_{uuid.uuid4().hex[:12]}"

    async def migrate():
        url = await create_database(postgres_url, name)
        async with Database(url) as database:
            await upgrade(database)

    _apart(migrate())
    yield name
    _apart(drop_database(postgres_url, name))


@pytest.fixture(scope="session")
def spare_postgres(postgres_url):
    """Migrated and empty databases that no test uses now: their addresses and shapes."""
    spare: dict[str, str] = {}
    yield spare
    for url in spare:
        _apart(drop_database(postgres_url, url.rpartition("/")[2]))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request):
    return request.param


@pytest.fixture
async def database_url(database_kind, request, tmp_path: Path):
    """The address of a fresh migrated database of each kind."""
    if database_kind == "sqlite":
        path = tmp_path / "machine.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    spare, server = (request.getfixturevalue(name) for name in ("spare_postgres", "postgres_url"))
    if spare:
        url, shape = spare.popitem()
    else:
        template = request.getfixturevalue("migrated_postgres")
        url = await create_database(server, f"test_{uuid.uuid4().hex[:12]}", template)
        shape = await shape_of(url)
    yield url
    if await empty_database(url) == shape:
        spare[url] = shape
    else:
        await drop_database(server, url.rpartition("/")[2])


@pytest.fixture
async def database(database_url):
    """A fresh migrated database of each kind, open."""
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
async def sqlite_url(migrated_sqlite, tmp_path: Path):
    """For what does not depend on the kind of database."""
    path = tmp_path / "machine.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite+aiosqlite:///{path}"
