import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

import bot.app  # every room's tables
from bot.database.engine import Database
from bot.database.migrate import downgrade, upgrade
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
