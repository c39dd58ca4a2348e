import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

import bot.app  # every room's tables
from bot.database import migrate
from bot.database.engine import Database
from bot.database.migrate import downgrade, known_revisions, revisions, upgrade
from bot.database.schema import metadata
from tests.support.postgres import create_database, drop_database


@pytest.fixture
async def empty(database_kind, request, tmp_path):
    if database_kind == "sqlite":
        async with Database(f"sqlite+aiosqlite:///{tmp_path}/new.db") as database:
            yield database
        return
    server = request.getfixturevalue("postgres_url")
    name = f"empty_{tmp_path.name}".lower().replace("-", "_")[:60]
    async with Database(await create_database(server, name)) as database:
        yield database
    await drop_database(server, name)


def differences(connection):
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, metadata)


async def test_the_migrations_make_the_tables_that_the_rooms_declare(database):
    assert bot.app.App
    async with database.transaction() as tx:
        assert await tx.run_sync(differences) == []


async def test_migrating_twice_changes_nothing(database):
    await upgrade(database)
    async with database.transaction() as tx:
        assert await tx.run_sync(differences) == []


async def test_up_down_and_up_again(empty):
    await upgrade(empty)
    await downgrade(empty, "base")
    async with empty.reading() as tx:
        tables = await tx.run_sync(lambda connection: inspect(connection).get_table_names())
    assert tables == ["alembic_version"]
    await upgrade(empty)
    async with empty.transaction() as tx:
        assert await tx.run_sync(differences) == []


_A_START = """
import asyncio, sys
import bot.app
from bot.database.engine import Database
from bot.database.migrate import upgrade

async def start():
    async with Database(sys.argv[1]) as database:
        await upgrade(database)
    print("alembic" in sys.modules)

asyncio.run(start())
"""


async def test_a_start_with_nothing_to_migrate_does_without_alembic(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/new.db"
    async with Database(url) as database:
        await upgrade(database)
    command = [sys.executable, "-c", _A_START, url]
    start = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    assert start.stdout == "False\n"


def test_the_files_of_the_migrations_are_named_by_their_revisions():
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert known_revisions() == [script.revision for script in scripts.walk_revisions()][::-1]


async def test_processes_that_start_at_once_on_an_empty_database_migrate_it_once(empty):
    url = empty._url
    async with Database(url) as one, Database(url) as two:
        await asyncio.gather(upgrade(empty), upgrade(one), upgrade(two))
        async with two.transaction() as tx:
            assert await tx.run_sync(differences) == []


WAITS = text("SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT granted")


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_a_migration_that_waits_for_a_dump_holds_no_webhook_up(empty, monkeypatch):
    monkeypatch.setattr(migrate, "_WAITS_FOR_A_TABLE", timedelta(milliseconds=100))
    monkeypatch.setattr(migrate, "_PAUSE", timedelta(milliseconds=10))
    await upgrade(empty, "0008")
    async with Database(empty._url) as other:
        async with other.transaction() as dump:
            await dump.execute(text("LOCK TABLE delivery IN ACCESS SHARE MODE"))
            migrating = asyncio.create_task(upgrade(empty))
            while not (await dump.execute(WAITS)).scalar_one():
                pass
            async with asyncio.timeout(5), other.transaction() as tx:
                await tx.execute(text("LOCK TABLE delivery IN ROW EXCLUSIVE MODE"))  # As an INSERT does.
            assert not migrating.done()
        await migrating
    assert (await revisions(empty)).agree


async def made_by_a_newer_program(database):
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = 'of-tomorrow'"))


async def test_a_release_that_is_taken_back_leaves_newer_tables_alone(empty):
    await upgrade(empty)
    assert not (await revisions(empty)).is_of_a_newer_program
    await made_by_a_newer_program(empty)
    with structlog.testing.capture_logs() as said:
        await upgrade(empty)
    assert [line["event"] for line in said] == ["tables_are_newer"]
    found = await revisions(empty)
    assert (found.present, found.is_of_a_newer_program, found.agree) == ("of-tomorrow", True, False)
    async with empty.transaction() as tx:
        assert await tx.run_sync(differences) == []


def columns(connection):
    """Each column, and whether a row can do without it."""
    looked = inspect(connection)
    return {
        (table, column["name"]): column["nullable"] or column["default"] is not None
        for table in looked.get_table_names()
        for column in looked.get_columns(table)
    }


async def test_with_each_migration_the_release_before_goes_on_working(empty):
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    known = [script.revision for script in scripts.walk_revisions()][::-1]
    before = {}
    for revision in known:
        await upgrade(empty, revision)
        async with empty.reading() as tx:
            after = await tx.run_sync(columns)
        assert before.keys() <= after.keys(), f"{revision} takes away what is still read and written"
        tables = {table for table, _ in before}
        demanded = {
            (table, name)
            for (table, name), is_free in after.items()
            if table in tables and (table, name) not in before and not is_free
        }
        assert demanded == set(), f"{revision} demands what the release before does not write"
        before = after
