import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli.main import main
from bot.cli.registry import COMMANDS
from bot.settings.reference import EXAMPLE


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MACHINE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "machine.yaml"
    text = EXAMPLE.replace("token_file: /run/secrets/discord-token", "token: x")
    path.write_text(text.replace("tokens_file: /run/secrets/webhook-tokens", "tokens: [x]"))
    return path


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {command.name} " in listed for command in COMMANDS)


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chek-config"]) == 2
    assert "did you mean check-config?" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split()[0].count(".") == 2


def test_the_version_needs_no_library() -> None:
    code = "import sys; from bot.cli.main import main; main(['version']); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"pydantic", "aiohttp", "discord", "sqlalchemy", "yaml", "asyncio"}.isdisjoint(loaded)


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].endswith("2020-12/schema")


def test_a_valid_configuration_is_summed_up(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config"]) == 0
    assert (
        capsys.readouterr().out
        == "machine.yaml: OK, 3 channels, 3 routes, 1 Alertmanager, 1 grant, 0 warnings\n"
    )


def test_warnings_are_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text().partition("access:")[0])
    assert main(["check-config", str(file)]) == 0
    assert f"warning: {file}:1: access: without it only members with Administrator" in capsys.readouterr().out


def test_a_wrong_configuration_is_two_with_a_line_each(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(
        file.read_text().replace("channel: critical", "chanel: critical").replace("port: 8080", "port: x")
    )
    assert main(["check-config", "machine.yaml"]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "machine.yaml:6: web.port: expected a whole number",
        "machine.yaml:13: alerts.routes[1].chanel: unknown key; did you mean channel?",
    ]


def test_the_file_can_be_named_by_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MACHINE_CONFIG", str(file.rename(file.with_name("other.yaml"))))
    assert main(["check-config"]) == 0
    assert "other.yaml: OK" in capsys.readouterr().out


def test_a_route_is_explained(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain-route", "alertname=Down", 'severity="critical"']) == 0
    assert capsys.readouterr().out.splitlines() == [
        'routes[0] → no card: no, alertname=~"Watchdog|InfoInhibitor" does not match "Down"',
        "routes[1] → critical, mentions role:oncall, reminds after 15m: matches",
        "routes[2] → alerts: not asked, an earlier route matched",
    ]


def test_what_is_no_label_is_a_wrong_call(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain-route", "severity"]) == 2
    assert "expected label=value" in capsys.readouterr().err


def test_explaining_with_a_wrong_configuration_says_what_is_wrong(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("web: {}\n")
    assert main(["explain-route", "a=b"]) == 2
    assert "machine.yaml:1: discord: missing" in capsys.readouterr().err


def test_a_command_that_is_not_ready_yet_ends_on_sigterm_by_itself(tmp_path: Path) -> None:
    """The kernel would not end it where it is the first process of a container."""
    never_written = tmp_path / "machine.yaml"
    os.mkfifo(never_written)
    command = [sys.executable, "-m", "bot", "check-config", str(never_written)]
    # Opened for writing only once the command reads it.
    with subprocess.Popen(command) as process, never_written.open("w"):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
