"""`machine inbox`, on a real database file."""

import asyncio

import pytest

from bot.alerts.inbox import store
from bot.alerts.inbox.model import DeliveryState
from bot.cli.inbox import printable
from bot.cli.main import main
from bot.database.engine import Database
from bot.settings.reference import EXAMPLE
from tests.support.clock import NOON
from tests.support.deliveries import an_arrival, put, states


@pytest.fixture
def deliveries(sqlite_url, tmp_path, monkeypatch):
    """Two deliveries, the first of them quarantined, and a configuration that finds them."""
    monkeypatch.chdir(tmp_path)
    text = EXAMPLE.replace("token_file: /run/secrets/discord-token", "token: x")
    (tmp_path / "machine.yaml").write_text(
        text.replace("tokens_file: /run/secrets/webhook-tokens", "tokens: [x]")
    )
    monkeypatch.delenv("MACHINE_CONFIG", raising=False)
    monkeypatch.setenv("MACHINE_DATABASE__URL", sqlite_url)

    async def fill():
        async with Database(sqlite_url) as database:
            bad, good = await put(database, an_arrival(b"\x1b[31mnot \xff json"), an_arrival(b"{}"))
            async with database.transaction() as tx:
                error = "not_json: The body is not JSON."
                await store.mark(tx, bad, DeliveryState.QUARANTINED, now=NOON, error=error)
            return bad, good

    return asyncio.run(fill())


def test_the_quarantined_ones_are_listed(deliveries, capsys):
    assert main(["inbox", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].split()[:3] == [str(deliveries[0]), "2026-11-21T12:00:00+00:00", "quarantined"]
    assert lines[0].endswith("not_json: The body is not JSON.")
    assert lines[1] == "1 pending, 0 applied, 0 repeat, 1 quarantined"


def test_all_are_listed_newest_first(deliveries, capsys):
    assert main(["inbox", "list", "--state", "all"]) == 0
    listed = [int(line.split()[0]) for line in capsys.readouterr().out.splitlines()[:-1]]
    assert listed == sorted(deliveries, reverse=True)


def test_a_delivery_is_shown_without_acting_on_the_terminal(deliveries, capsys):
    assert main(["inbox", "show", str(deliveries[0])]) == 0
    shown = capsys.readouterr().out
    assert "\\x1b[31mnot \\xff json" in shown
    assert "\x1b" not in shown


def test_the_body_is_written_byte_for_byte_if_wanted(deliveries, capfdbinary):
    assert main(["inbox", "show", str(deliveries[0]), "--raw"]) == 0
    assert capfdbinary.readouterr().out == b"\x1b[31mnot \xff json"


def test_a_quarantined_delivery_is_retried(deliveries, sqlite_url, capsys):
    assert main(["inbox", "retry", str(deliveries[0])]) == 0

    async def look():
        async with Database(sqlite_url) as database:
            return await states(database)

    assert asyncio.run(look()) == [DeliveryState.PENDING] * 2
    assert "waits to be applied again" in capsys.readouterr().out


def test_what_cannot_be_done_is_said(deliveries, capsys):
    assert main(["inbox", "retry", str(deliveries[1])]) == 1
    assert "is pending, not quarantined" in capsys.readouterr().err
    assert main(["inbox", "show", "999"]) == 1
    assert "there is no delivery 999" in capsys.readouterr().err


def test_text_from_outside_is_made_printable():
    assert printable("grün\n\x1b]0;title\x07\u202e\r") == "grün\n\\x1b]0;title\\x07\\u202e\\r"
