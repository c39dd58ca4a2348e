"""The doctor looks at everything that it can reach and says what to do."""

import os
from pathlib import Path

import pytest

from bot.alerts.inbox import store
from bot.alerts.inbox.model import DeliveryState
from bot.cli.doctor import check_database
from bot.cli.main import main
from bot.database.engine import Database
from tests.support.clock import NOON
from tests.support.deliveries import an_arrival, put

CONFIGURATION = """
discord: {{token: x, guild: "1136200000000000000", channels: {{alerts: "1136200000000000001"}}}}
web: {{tokens: [x]}}
database: {{url: "{url}"}}
alertmanagers: [{{name: main, urls: ["http://127.0.0.1:1"]}}]
alerts: {{routes: [{{channel: alerts}}]}}
access: {{grants: []}}
"""


@pytest.fixture
def file(tmp_path: Path, sqlite_url: str) -> Path:
    path = tmp_path / "machine.yaml"
    path.write_text(CONFIGURATION.format(url=sqlite_url))
    return path


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


def test_after_a_migration_it_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "machine.yaml"
    path.write_text(CONFIGURATION.format(url=f"sqlite+aiosqlite:///{tmp_path}/new.db"))
    assert main(["migrate", "--config", str(path)]) == 0
    assert main(["migrate", "--config", str(path)]) == 0
    assert "already" in capsys.readouterr().out
    assert main(["doctor", "--config", str(path), "--offline"]) == 0


def test_offline_it_is_quick_and_well(file: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "--config", str(file), "--offline"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "All is well."


def test_what_cannot_be_reached_is_said(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setitem(os.environ, "MACHINE_DISCORD__API_URL", "http://127.0.0.1:1/api/v10")
    assert main(["doctor", "--config", str(file)]) == 1
    told = capsys.readouterr().out
    assert "FAIL discord.token" in told
    assert "FAIL alertmanagers.main" in told
    assert "need a look" in told


def test_a_wrong_configuration_comes_first(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(file.read_text() + "acess: {}\n")
    assert main(["doctor", "--config", str(file)]) == 2
    assert "did you mean access?" in capsys.readouterr().out
