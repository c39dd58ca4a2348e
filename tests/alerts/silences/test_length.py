"""How long a silence lasts, as people write it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.silences.length import PRESETS, parse_end, preset_text
from bot.core.errors import InvalidError
from tests.support.alerts import NOON

OSLO = ZoneInfo("Europe/Oslo")
"""One hour ahead of UTC in November: there it is Saturday, 13:00."""

ZONES = st.sampled_from([UTC, OSLO, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Kiritimati")])
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90m", timedelta(minutes=90)),
        ("2h30m", timedelta(minutes=150)),
        (" 2H 30M ", timedelta(minutes=150)),
        ("2 hours 30 minutes", timedelta(minutes=150)),
        ("90 min", timedelta(minutes=90)),
        ("for 1 week", timedelta(days=7)),
        ("3 days", timedelta(days=3)),
        ("1 hr", timedelta(hours=1)),
        ("30 secs", timedelta(seconds=30)),
    ],
)
def test_a_length_is_counted_from_now(text, length):
    assert parse_end(text, now=NOON) == NOON + length


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("until 18:00", "2026-11-21 18:00"),
        ("until 08:00", "2026-11-22 08:00"),
        ("until 13:00", "2026-11-22 13:00"),
        ("until 8", "2026-11-22 08:00"),
        ("till 6pm", "2026-11-21 18:00"),
        ("6:30 pm", "2026-11-21 18:30"),
        ("until 12am", "2026-11-22 00:00"),
        ("until tomorrow 8:00", "2026-11-22 08:00"),
        ("tomorrow at 8:00", "2026-11-22 08:00"),
        ("until tomorrow", "2026-11-22 00:00"),
        ("until today 20:15", "2026-11-21 20:15"),
        ("until monday 9:00", "2026-11-23 09:00"),
        ("until Mon", "2026-11-23 00:00"),
        ("until saturday 8:00", "2026-11-28 08:00"),
        ("until saturday 14:00", "2026-11-21 14:00"),
        ("until 2026-12-24 16:00", "2026-12-24 16:00"),
        ("2026-12-24T16:00", "2026-12-24 16:00"),
        ("until 2026-12-24", "2026-12-24 00:00"),
    ],
)
def test_a_time_of_day_is_the_next_one_where_people_are(text, end):
    expected = datetime.fromisoformat(end).replace(tzinfo=OSLO)
    assert parse_end(text, now=NOON, zone=OSLO) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "until", "90", "8", "0", "0m", "soon", "for ever", "2h2h", "until 25:00", "until 13pm", "until 0am",
        "until today", "until today 08:00", "until 2026-11-20 08:00", "until 2026-13-01", "until 2026-02-30",
        "-1h", "until 08:0", "999999999w", "until 9999-12-31 23:59 or later",
    ],
)  # fmt: skip
def test_what_is_no_end_in_the_future_is_refused(text):
    with pytest.raises(InvalidError, match="expected"):
        parse_end(text, now=NOON, zone=OSLO)


def test_in_the_hour_that_comes_twice_the_next_such_time_is_meant():
    # Clocks go back from 03:00 to 02:00 at 01:00 UTC.
    second_half_past_two = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    end = parse_end("until 02:45", now=second_half_past_two, zone=OSLO)
    assert end == datetime(2026, 10, 25, 1, 45, tzinfo=UTC)


def test_a_time_that_the_clocks_skip_is_an_hour_later():
    evening = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
    assert parse_end("until 02:30", now=evening, zone=OSLO) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_can_be_typed(preset):
    assert parse_end(preset_text(preset), now=NOON) == NOON + preset


@given(
    text=st.text(max_size=30) | st.from_regex(r"(until |for )?[0-9a-z:. -]{0,20}", fullmatch=True),
    now=MOMENTS,
    zone=ZONES,
)
def test_whatever_is_typed_is_refused_or_ends_later(text, now, zone):
    try:
        end = parse_end(text, now=now, zone=zone)
    except InvalidError:
        return
    assert end > now
    assert end.tzinfo is UTC


@given(now=MOMENTS, zone=ZONES, hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_any_time_of_day_is_at_most_about_a_day_away(now, zone, hour, minute):
    end = parse_end(f"until {hour}:{minute:02}", now=now, zone=zone)
    assert timedelta(0) < end - now <= timedelta(hours=26)
