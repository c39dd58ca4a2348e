"""The database is looked at, and each thing that is wrong says what to do."""

from pathlib import Path

from sqlalchemy import text

from bot.alerts.inbox import store
from bot.alerts.inbox.model import DeliveryState
from bot.database.engine import Database
from bot.examination.database import check_database
from tests.support.clock import NOON
from tests.support.deliveries import an_arrival, put


async def test_a_database_with_its_tables_is_fine(database_url):
    found = {finding.subject: finding for finding in await check_database(database_url)}
    assert all(finding.is_fine for finding in found.values())
    assert "nobody" in found["leader"].text


async def test_quarantined_deliveries_need_a_look(database_url):
    async with Database(database_url) as database:
        [number] = await put(database, an_arrival())
        async with database.transaction() as tx:
            await store.mark(tx, number, DeliveryState.QUARANTINED, now=NOON, error="odd")
    found = {finding.subject: str(finding) for finding in await check_database(database_url)}
    assert found["inbox"] == "FAIL inbox: quarantined deliveries: 1; look at them with machine inbox list"


async def test_a_database_without_tables_is_to_be_migrated(tmp_path: Path):
    (tmp_path / "empty.db").touch()
    [finding] = await check_database(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    assert not finding.is_fine
    assert "run machine migrate" in finding.text


async def test_tables_of_a_newer_version_are_no_fault(database_url):
    async with Database(database_url) as database, database.transaction() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = 'of-tomorrow'"))
    found = {finding.subject: finding for finding in await check_database(database_url)}
    assert found["database"].is_fine
    assert "of a newer version (of-tomorrow)" in found["database"].text
    assert "leader" in found


async def test_a_database_that_is_down_says_what_to_check():
    [finding] = await check_database("postgresql+asyncpg://postgres@127.0.0.1:1/machine")
    assert not finding.is_fine
    assert "database.url" in finding.text
    assert "postgres@" not in finding.text


async def test_a_file_that_is_not_there_yet_is_not_made(tmp_path: Path):
    [finding] = await check_database(f"sqlite+aiosqlite:///{tmp_path}/new.db")
    assert finding.is_fine
    assert not (tmp_path / "new.db").exists()


async def test_a_folder_that_is_not_there_is_to_be_made(tmp_path: Path):
    [finding] = await check_database(f"sqlite+aiosqlite:///{tmp_path}/nowhere/new.db")
    assert not finding.is_fine
    assert str(tmp_path / "nowhere") in finding.text
