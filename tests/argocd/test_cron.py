from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.argocd.cron import Firings, parse_go_duration, parse_schedule
from bot.core.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("2h", timedelta(hours=2)),
        ("30m1h", timedelta(hours=1, minutes=30)),
        ("1.5h", timedelta(minutes=90)),
        (".5m", timedelta(seconds=30)),
        ("1.s", timedelta(seconds=1)),
        ("0", timedelta(0)),
        ("-90s", -timedelta(seconds=90)),
        ("+8h", timedelta(hours=8)),
        ("300ms", timedelta(milliseconds=300)),
        ("1h1h", timedelta(hours=2)),
        ("10us", timedelta(microseconds=10)),
        ("10µs", timedelta(microseconds=10)),
        ("5ns", timedelta(0)),
        ("2562047h", timedelta(hours=2562047)),
    ],
)
def test_durations_are_those_of_go(text: str, expected: timedelta):
    assert parse_go_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "1d", "8", "h", "1 h", "1h ", " 1h", "1H", "1,5h", "--1h", ".h", "2562048h", "1e3s", "٣h", "1w2d"],
)
def test_what_go_does_not_read_is_no_duration(text: str):
    with pytest.raises(InvalidError):
        parse_go_duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "* * * * *"),
        ("? ? ? ? ?", "* * * * *"),
        ("0 22 * * *", "0 22 * * *"),
        ("  0   22\t* * * ", "0 22 * * *"),
        ("*/15 * * * *", "0,15,30,45 * * * *"),
        ("5/20 * * * *", "5,25,45 * * * *"),
        ("10-20/5 8-10 * * *", "10,15,20 8,9,10 * * *"),
        ("0 0 1,15 * *", "0 0 1,15 * *"),
        ("0 0 * jan-MAR Mon", "0 0 * 1,2,3 1"),
        ("0 0 * * sun,3-5", "0 0 * * 0,3,4,5"),
        ("0 0 */1 * *", "0 0 * * *"),
        ("0 0 */2 2 *", "0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 2 *"),
        ("0 0 1-31 * *", f"0 0 {','.join(map(str, range(1, 32)))} * *"),
        ("0 0 *,5 * *", "0 0 * * *"),
        ("+5 0 * * *", "5 0 * * *"),
        (",5, 0 * * *", "5 0 * * *"),
        (", 0 * * *", ""),
    ],
)
def test_schedules_are_those_of_robfig(text: str, expected: str):
    assert parse_schedule(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@daily",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * L * *",
        "* * * * 5L",
        "* * * * 1#2",
        "* * * * fri-mon",
        "5-1 * * * *",
        "*/0 * * * *",
        "1/2/3 * * * *",
        "1-2-3 * * * *",
        "-1 * * * *",
        "x * * * *",
        "1.5 * * * *",
        "*/mon * * * *",
        "* * * * monday",
        "CRON_TZ=UTC * * * * *",
    ],
)
def test_what_robfig_does_not_read_is_no_schedule(text: str):
    with pytest.raises(InvalidError):
        parse_schedule(text)


local = datetime.fromisoformat


def next_firing(schedule: str, after: datetime) -> datetime | None:
    return Firings(parse_schedule(schedule), after).next()


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("0 22 * * *", local("2026-03-11T22:00"), local("2026-03-12T22:00")),
        ("0 22 * * *", local("2026-03-11T21:59:59.999999"), local("2026-03-11T22:00")),
        # Both day fields are restricted: either is enough.
        ("0 0 13 * fri", local("2026-03-11"), local("2026-03-13")),
        ("0 0 20 * fri", local("2026-03-14"), local("2026-03-20")),
        ("0 0 18 * fri", local("2026-03-14"), local("2026-03-18")),
        # A step takes the star's meaning away: the 15th, or a Monday.
        ("0 0 */14 * mon", local("2026-03-12"), local("2026-03-15")),
        ("0 0 */14 * mon", local("2026-03-15"), local("2026-03-16")),
        # With a real star the other field decides alone.
        ("0 0 * * mon", local("2026-03-12"), local("2026-03-16")),
        ("0 0 29 2 *", local("2026-03-12"), local("2028-02-29")),
        ("0 0 30 2 *", local("2026-03-12"), None),
        ("0 0 31 4,6 *", local("2026-03-12"), None),
        ("0 0 29 2 *", local("2096-03-01"), None),
        (", 0 * * *", local("2026-03-12"), None),
    ],
)
def test_schedules_fire_when_argo_cd_thinks_so(schedule: str, after: datetime, expected: datetime | None):
    assert next_firing(schedule, after) == expected


FIELDS = [
    "*",
    "?",
    "*/2",
    "1",
    "1-5",
    "1,3",
    "2/3",
    "0",
    "7",
    "59",
    "31",
    "mon",
    "jan",
    "x",
    "",
    "1-",
    "/",
    "-",
]


@settings(max_examples=300, deadline=None)
@given(
    fields=st.lists(
        st.sampled_from(FIELDS) | st.text("0123456789*/-,?LW#", max_size=6), min_size=4, max_size=6
    )
)
def test_a_schedule_is_refused_or_fires_later_or_never(fields: list[str]):
    after = local("2026-03-11T12:00")
    try:
        found = next_firing(" ".join(fields), after)
    except InvalidError:
        return
    assert found is None or found > after


@given(text=st.text("0123456789.+-hmsuµnx ", max_size=12))
def test_a_duration_is_refused_or_read(text: str):
    with suppress(InvalidError):
        assert isinstance(parse_go_duration(text), timedelta)
