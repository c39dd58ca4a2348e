"""Everything moves from SQLite to PostgreSQL, or nothing does."""

import shutil
import sqlite3
import uuid
from datetime import date, timedelta

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Text,
    func,
    insert,
    select,
    text,
)

from bot.cli.database import copy
from bot.cli.main import main
from bot.core.errors import BrokenError, ConflictError, InvalidError, NotFoundError
from bot.database.engine import Database
from bot.database.facts import set_fact
from bot.database.leadership import Leadership
from bot.database.schema import UtcDateTime, metadata
from bot.journal import store as journal_store
from bot.journal.service import Journal
from tests.support.clock import NOON, ManualClock
from tests.support.journal import an_entry
from tests.support.postgres import create_database, drop_database

ITS_OWN = {"journal", "journal_head", "leadership"}
"""Tables that are filled by those whose they are."""


@pytest.fixture
async def empty_url(postgres_url):
    """A PostgreSQL database without a single table."""
    name = f"copy_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_url, name)
    await drop_database(postgres_url, name)


@pytest.fixture
async def full_url(sqlite_url):
    """A file with rows in every table."""
    async with Database(sqlite_url) as database:
        await fill(database)
    return sqlite_url


async def fill(database):
    journal = Journal(ManualClock())
    await Leadership(database, "one").acquire()
    async with database.transaction() as tx:
        for table in metadata.sorted_tables:
            if table.name not in ITS_OWN:
                rows = 250 if table.name == "delivery" else 3
                await tx.execute(insert(table), [a_row(table, number) for number in range(1, rows + 1)])
        for number in range(5):
            await journal.append(tx, an_entry(detail={"ø": number, "kept": "1.10"}))


def a_row(table, number):
    return {column.name: a_value(column, number) for column in table.c}


def a_value(column, number):
    if column.nullable and number == 3:
        return None
    counts = column.primary_key or column.foreign_keys or column.table.name in {"alert", "destination"}
    match column.type:
        case UtcDateTime() | DateTime():
            return NOON + timedelta(minutes=number, microseconds=number)
        case Date():
            return date(2026, 11, number)
        case Boolean():
            return number % 2 == 0
        case JSON():
            return {"ø": [number, 1.1, None, "\\u0041"], "z": {}, "a": True}
        case LargeBinary():
            return bytes(range(256)) * number
        case Float():
            return number / 3
        case Integer() if counts:
            return number
        case Integer():
            return 2**31 - number
        case Text():
            return f"{column.name} {number} ‘ø’ \N{PERSONAL COMPUTER}\n\\x"
        case _ if counts:
            return number
        case _:
            return 1136200000000000000 + number


async def all_rows(url):
    async with Database(url) as database, database.reading() as tx:
        return {
            table.name: [
                tuple(row) for row in await tx.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
        }


async def test_every_row_of_every_table_moves(full_url, empty_url):
    copied, verdict = await copy(full_url, empty_url)
    before, after = await all_rows(full_url), await all_rows(empty_url)
    [led], [leads] = before.pop("leadership"), after.pop("leadership")
    assert before == after
    assert copied["delivery"] == 250
    assert all(copied.values()), copied
    assert verdict.intact
    assert verdict.head.seq == 5
    # Nobody leads there, and the epochs go on.
    assert (leads[1], leads[2], leads[3]) == (led[1], led[2], None)


async def test_what_comes_next_has_numbers_that_nothing_had(full_url, empty_url):
    file = full_url.removeprefix("sqlite+aiosqlite:///")
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM delivery WHERE id > 100")
    connection.close()
    await copy(full_url, empty_url)
    async with Database(empty_url) as database:
        async with database.transaction() as tx:
            delivery = metadata.tables["delivery"]
            new = a_row(delivery, 1) | {"id": None}
            del new["id"]
            assert (
                await tx.execute(insert(delivery).values(new).returning(delivery.c.id))
            ).scalar_one() == 251
            for table in metadata.sorted_tables:
                if (column := table.autoincrement_column) is not None:
                    last = (await tx.execute(select(func.max(column)))).scalar_one()
                    sequence = select(func.nextval(func.pg_get_serial_sequence(table.name, column.name)))
                    assert (await tx.execute(sequence)).scalar_one() == last + 1, table.name
        async with database.transaction() as tx:
            recorded = await Journal(ManualClock()).append(tx, an_entry())
        assert recorded.seq == 6


async def test_a_target_that_holds_something_is_refused_and_left_as_it_is(full_url, empty_url):
    await copy(full_url, empty_url)
    before = await all_rows(empty_url)
    with pytest.raises(ConflictError, match="not empty"):
        await copy(full_url, empty_url)
    assert await all_rows(empty_url) == before


async def test_a_row_that_is_refused_leaves_the_target_empty(full_url, empty_url):
    async with Database(full_url) as database, database.transaction() as tx:
        await set_fact(tx, "odd", "a\0b")
    with pytest.raises(BrokenError, match="fact"):
        await copy(full_url, empty_url)
    assert not any((await all_rows(empty_url)).values())


async def test_a_file_that_is_in_use_is_refused(full_url, empty_url, tmp_path):
    # In one process SQLite knows of both; another process is seen in tests/end_to_end.
    async with Database(full_url) as database, database.reading() as tx:
        await journal_store.find_head(tx)
        with pytest.raises(ConflictError, match="stop the bot"):
            await copy(full_url, empty_url)
    copied, _ = await copy(full_url, empty_url)
    assert copied["fact"] == 3


async def test_a_file_of_another_version_is_to_be_migrated_first(tmp_path, empty_url):
    file = tmp_path / "old.db"
    sqlite3.connect(file).close()
    with pytest.raises(ConflictError, match="machine migrate"):
        await copy(f"sqlite+aiosqlite:///{file}", empty_url)


async def test_a_table_that_nobody_declared_is_not_left_out_in_silence(full_url, empty_url):
    async with Database(full_url) as database, database.transaction() as tx:
        await tx.execute(text("CREATE TABLE somebodys (id INTEGER)"))
    with pytest.raises(BrokenError, match="somebodys"):
        await copy(full_url, empty_url)


async def test_a_record_that_was_tampered_with_is_copied_and_said_so(full_url, empty_url):
    async with Database(full_url) as database, database.transaction() as tx:
        await tx.execute(text("UPDATE journal SET target = 'forged' WHERE seq = 2"))
    _, verdict = await copy(full_url, empty_url)
    assert not verdict.intact


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("postgresql+asyncpg://a@b/c", "postgresql+asyncpg://a@b/d", InvalidError),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///y.db", InvalidError),
        ("sqlite+aiosqlite:///nowhere.db", "postgresql+asyncpg://a@127.0.0.1:1/c", NotFoundError),
    ],
)
async def test_other_moves_are_refused(source, target, error):
    with pytest.raises(error):
        await copy(source, target)


def test_the_command_says_what_it_copied(migrated_sqlite, postgres_url, tmp_path, capsys):
    from tests.conftest import _apart  # noqa: PLC0415 (a loop of its own beside the command's)

    file, name = tmp_path / "machine.db", f"copy_{uuid.uuid4().hex[:12]}"
    shutil.copy(migrated_sqlite, file)
    secret = tmp_path / "url"
    secret.write_text(_apart(create_database(postgres_url, name)) + "\n")
    try:
        arguments = ["database", "copy", "--from", f"sqlite+aiosqlite:///{file}", "--to-file", str(secret)]
        assert main(arguments) == 0
        assert "0 rows" in capsys.readouterr().out
    finally:
        _apart(drop_database(postgres_url, name))
