import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bot.telemetry.logs import configure_logging
from bot.telemetry.redaction import redact, redact_text

BOT_TOKEN = "MTEzNjIwMDAwMDAwMDAwMDAwMA" + ".GaBcDe." + "x" * 38


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("info", json=True, stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_compact_line_with_its_keys_in_order(written: io.StringIO) -> None:
    structlog.get_logger("bot.alerts").info("alert_acknowledged", incident=7, note="blå\nbær")
    (line,) = written.getvalue().splitlines()
    assert list(json.loads(line)) == ["ts", "level", "logger", "event", "incident", "note"]
    assert (
        '"level":"info","logger":"bot.alerts","event":"alert_acknowledged","incident":7,"note":"blå\\nbær"'
        in line
    )
    assert json.loads(line)["ts"].endswith("Z")


def test_the_standard_library_goes_the_same_way(written: io.StringIO) -> None:
    logging.getLogger("aiohttp").warning("gone: %s", "x", extra={"loop": "courier"})
    (line,) = _lines(written)
    assert (line["logger"], line["level"], line["event"], line["loop"]) == (
        "aiohttp",
        "warning",
        "gone: x",
        "courier",
    )


def test_lines_below_the_level_are_not_written(written: io.StringIO) -> None:
    structlog.get_logger("a").debug("quiet")
    logging.getLogger("b").debug("quiet")
    assert written.getvalue() == ""


def test_an_exception_stays_within_its_line_and_loses_its_secrets(written: io.StringIO) -> None:
    error = ValueError("postgresql://bot:hunter2@db/x is down")
    structlog.get_logger("a").error("query_failed", exc_info=error)
    logging.getLogger("b").error("query_failed", exc_info=error)
    first, second = _lines(written)
    for line in (first, second):
        assert "postgresql://[redacted]@db/x" in line["exception"]
        assert "hunter2" not in json.dumps(line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer [redacted]"),
        ("sent Basic dXNlcjpwYXNz to it", "sent Basic [redacted] to it"),
        (f"Bot {BOT_TOKEN}", "Bot [redacted]"),
        (f"token was {BOT_TOKEN}!", "token was [redacted]!"),
        ("https://user:pass@host/x", "https://[redacted]@host/x"),
        ("GET /oncall/a.ics?token=abc123&x=1", "GET /oncall/a.ics?token=[redacted]&x=1"),
        ('{"password": "hunter2", "a": 1}', '{"password": [redacted], "a": 1}'),
        ("client_secret=hunter2", "client_secret=[redacted]"),
        ("https://discord.com/api/webhooks/1136200000000000000/" + "a" * 60, "https://discord.com/api/webhooks/1136200000000000000/[redacted]"),
        ("nothing of that sort, 12:30, a@b.example", "nothing of that sort, 12:30, a@b.example"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_blotted_out(text: str, expected: str) -> None:
    found = redact_text(text)
    for secret in ("abcdefghijkl", "dXNlcjpwYXNz", BOT_TOKEN, "pass@", "abc123", "hunter2", "a" * 60):
        assert secret not in found
    if "Authorization" not in text:
        assert found == expected


def test_values_are_blotted_out_by_their_names_at_any_depth() -> None:
    found = redact(
        {
            "headers": {"Authorization": "x", "n": 1},
            "list": [{"api_key": "x"}],
            "web.tokens": ["x"],
            "tokenizer": "y",
        }
    )
    assert found == {
        "headers": {"Authorization": "[redacted]", "n": 1},
        "list": [{"api_key": "[redacted]"}],
        "web.tokens": "[redacted]",
        "tokenizer": "y",
    }
