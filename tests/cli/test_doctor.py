"""The doctor looks at everything that it can reach and says what to do."""

import os
from pathlib import Path

import pytest

from bot.cli.main import main

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
