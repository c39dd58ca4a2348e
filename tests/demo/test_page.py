"""When a message of the page is drawn anew."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.demo.page import ages

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def a_message(since: datetime, style: str = "R"):
    stamp = {"type": "timestamp", "unix": int(since.timestamp()), "style": style}
    return {"components": [{"tokens": [{"type": "text", "content": "since "}, stamp]}]}


@pytest.mark.parametrize(
    ("seconds", "later", "reads_differently"),
    [(10, 1, False), (10, 6, True), (600, 30, False), (600, 60, True), (-600, 60, True)],
)
def test_an_age_is_drawn_anew_when_it_reads_differently(seconds, later, reads_differently):
    message = a_message(NOON - timedelta(seconds=seconds))
    changed = [*ages(message, NOON)] != [*ages(message, NOON + timedelta(seconds=later))]
    assert changed is reads_differently


def test_a_time_of_day_is_not_drawn_anew():
    assert [*ages(a_message(NOON, style="t"), NOON)] == []
