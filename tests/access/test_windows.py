from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.access.windows import Window, next_opening

OSLO = ZoneInfo("Europe/Oslo")
OFFICE_HOURS = Window("0 8 * * 1-5", timedelta(hours=9), "Europe/Oslo")


def at(text, zone=OSLO, *, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23 07:59:59", False),
        ("2026-11-23 08:00:00", True),
        ("2026-11-23 16:59:59", True),
        ("2026-11-23 17:00:00", False),
        ("2026-11-21 12:00:00", False),
        ("2026-06-22 08:00:00", True),
        ("2026-06-22 17:00:00", False),
    ],
)
def test_a_window_is_open_from_its_opening_until_its_end(moment, is_open):
    assert OFFICE_HOURS.is_open(at(moment).astimezone(UTC)) is is_open


def test_a_window_can_last_over_midnight():
    night = Window("0 22 * * *", timedelta(hours=8))

    assert night.is_open(at("2026-11-22 03:00", UTC))
    assert not night.is_open(at("2026-11-22 06:00", UTC))


def test_windows_that_open_again_before_they_end_stay_open():
    always = Window("0 * * * *", timedelta(hours=2), "Europe/Oslo")

    assert all(always.is_open(at("2026-10-25 00:00") + timedelta(minutes=7 * n)) for n in range(60))


def test_in_the_night_of_the_clock_change_a_window_opens_once():
    late = Window("30 2 * * *", timedelta(minutes=10), "Europe/Oslo")

    assert late.is_open(at("2026-10-25 02:35").astimezone(UTC))
    assert not late.is_open(at("2026-10-25 02:15", fold=1).astimezone(UTC))
    assert not late.is_open(at("2026-10-25 02:35", fold=1).astimezone(UTC))


def test_an_opening_that_the_clocks_skip_comes_right_after():
    late = Window("30 2 * * *", timedelta(hours=1), "Europe/Oslo")

    assert late.is_open(at("2026-03-29 03:10").astimezone(UTC))


def test_the_next_opening_is_the_first_of_all_windows():
    weekend = Window("0 10 * * 6", timedelta(hours=2), "America/New_York")

    opening = next_opening([OFFICE_HOURS, weekend], at("2026-11-20 18:00"))

    assert opening == at("2026-11-21 10:00", ZoneInfo("America/New_York"))
    assert next_opening([], at("2026-11-20 18:00")) is None


@given(
    moment=st.integers(0, 2 * 366 * 24 * 60).map(lambda n: at("2026-01-01", UTC) + timedelta(minutes=n)),
    window=st.sampled_from(
        [
            OFFICE_HOURS,
            Window("30 2 * * *", timedelta(minutes=45), "Europe/Oslo"),
            Window("*/20 1-3 * * 0", timedelta(minutes=5), "America/New_York"),
            Window("0 0 1 * *", timedelta(days=2), "Asia/Kolkata"),
        ]
    ),
)
def test_what_is_closed_is_open_at_its_next_opening_and_not_before(moment, window):
    opening = window.opens_after(moment)
    assert opening is not None
    opening = opening.astimezone(UTC)

    assert opening > moment
    assert window.is_open(opening)
    if not window.is_open(moment):
        assert not window.is_open(opening - timedelta(seconds=1))
