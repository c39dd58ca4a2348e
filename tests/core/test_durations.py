import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.durations import format_duration, parse_duration, spoken_duration
from bot.core.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("250ms", timedelta(milliseconds=250)),
        ("1m500ms", timedelta(minutes=1, milliseconds=500)),
        ("90m", timedelta(minutes=90)),
        (" 5m ", timedelta(minutes=5)),
        ("0", timedelta(0)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "m",
        "-5m",
        "1.5h",
        "30m1h",
        "5m5m",
        "5 m",
        "5M",
        "٥m",
        "1h\n1m",
        "9" * 30 + "d",
        "9" * 18 + "w",
    ],
)
def test_what_is_no_duration_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(InvalidError, match="expected a duration"):
        parse_duration(text)


@given(st.text(alphabet="0123456789wdhms -."))
def test_only_our_own_error_is_raised(text: str) -> None:
    with contextlib.suppress(InvalidError):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**15))
def test_a_formatted_duration_reads_as_itself(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "written", "spoken"),
    [
        (timedelta(0), "0s", "0 s"),
        (timedelta(seconds=45), "45s", "45 s"),
        (timedelta(minutes=12), "12m", "12 min"),
        (timedelta(minutes=12, seconds=5), "12m5s", "12 min 5 s"),
        (timedelta(hours=2, minutes=5, seconds=9), "2h5m9s", "2 h 5 min"),
        (timedelta(days=3, minutes=4), "3d4m", "3 d"),
        (timedelta(days=14), "14d", "14 d"),
        (timedelta(milliseconds=300), "300ms", "0 s"),
        (timedelta(seconds=-5), "0s", "0 s"),
    ],
)
def test_a_duration_is_written_and_spoken(duration: timedelta, written: str, spoken: str) -> None:
    assert format_duration(duration) == written
    assert spoken_duration(duration) == spoken
