import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.minecraft.history import (
    HOLDS_FOR,
    HOUR,
    KEEP_EVERY,
    Outage,
    Period,
    Sample,
    columns_of,
    hours_of,
    past_of,
    stretch_of,
    stretches_of,
    truncate,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(minutes, players=None):
    """A sample; without players it was down."""
    up = players is not None
    return Sample(NOON + timedelta(minutes=minutes), up, players or 0, 20 if up else 0, 10 if up else 0)


def a_past(*samples, start=0, end=60):
    first, last = NOON + timedelta(minutes=start), NOON + timedelta(minutes=end)
    found = stretches_of(samples, start=first, end=last)
    return past_of("survival", Period.DAY, found, start=first, end=last)


def every_five(first, last, players):
    return [at(minute, players) for minute in range(first, last, 5)]


def test_a_sample_is_kept_when_something_changed_and_now_and_then():
    kept = at(0, 3)
    assert kept.says_more_than(None)
    assert not at(1, 3).says_more_than(kept)
    assert at(1, 4).says_more_than(kept)
    assert at(1).says_more_than(kept)
    assert Sample(kept.at + KEEP_EVERY, kept.up, kept.players, kept.most).says_more_than(kept)


def test_the_facts_of_an_hour():
    past = a_past(*every_five(0, 30, 2), at(30, 8), at(35, 4), at(40), at(45), at(50, 1), at(55, 1))
    assert past.peak == 8
    assert past.peak_at == NOON + timedelta(minutes=30)
    assert past.down == timedelta(minutes=10)
    [outage] = past.outages
    assert (outage.start, outage.end) == (NOON + timedelta(minutes=40), NOON + timedelta(minutes=50))
    assert outage.down == past.down
    assert past.availability == pytest.approx(50 / 60)
    assert past.average == pytest.approx((30 * 2 + 5 * 8 + 5 * 4 + 10 * 1) / 50)


def test_what_nobody_saw_is_unknown_and_not_down():
    past = a_past(at(0, 5), at(50, 5))
    assert past.up == HOLDS_FOR + HOLDS_FOR
    assert past.down == timedelta(0)
    assert past.outages == ()


def test_an_outage_that_goes_on_after_a_gap_is_one():
    past = a_past(at(0), at(30), at(35, 1))
    assert past.outages == (Outage(NOON, NOON + timedelta(minutes=35), HOLDS_FOR + timedelta(minutes=5)),)


def test_of_an_hour_it_is_kept_how_long_it_was_down_and_not_when():
    samples = [*every_five(0, 30, 2), at(30), *every_five(35, 60, 2)]
    hours = [stretch_of(hour) for hour in hours_of(samples, start=NOON, end=NOON + HOUR)]
    past = past_of("survival", Period.MONTH, hours, start=NOON, end=NOON + HOUR)
    assert past.outages == (Outage(NOON, NOON + HOUR, timedelta(minutes=5)),)


def test_samples_are_so_close_that_each_reaches_the_next_however_seldom_it_is_asked():
    for every in (timedelta(seconds=15), timedelta(minutes=2), timedelta(minutes=5)):
        until_next = every * 1.2 + timedelta(seconds=5)
        moment, kept = NOON, [at(0, 1)]
        while moment < NOON + HOUR:
            moment += every * 1.1
            if (sample := Sample(moment, up=True, players=1, most=20)).says_more_than(
                kept[-1], until_next=until_next
            ):
                kept.append(sample)
        assert all(b.at - a.at <= HOLDS_FOR for a, b in itertools.pairwise(kept)), every
        assert len(kept) <= 2 + HOUR / min(KEEP_EVERY, every)


def test_the_sample_before_reaches_into_the_period():
    assert a_past(at(-3, 5)).up == timedelta(minutes=3)
    assert a_past(at(-30, 5)).is_known is False


def test_nothing_known_says_nothing():
    past = a_past()
    assert (past.peak, past.peak_at, past.average, past.availability) == (0, None, 0, 0)
    assert columns_of(past, 12) == [None] * 12


def test_an_hour_says_the_same_as_its_samples():
    samples = [*every_five(0, 30, 2), at(30, 8), at(35), *every_five(40, 60, 3)]
    [hour] = hours_of(samples, start=NOON, end=NOON + HOUR)
    raw = a_past(*samples)
    assert (hour.up, hour.down, hour.peak, hour.peak_at) == (raw.up, raw.down, raw.peak, raw.peak_at)
    assert stretch_of(hour).average == pytest.approx(raw.average)


def test_hours_of_which_nothing_is_known_are_left_out():
    hours = list(hours_of([at(0, 1), at(125, 1)], start=NOON, end=NOON + 3 * HOUR))
    assert [hour.start for hour in hours] == [NOON, NOON + 2 * HOUR]


def test_columns_show_the_most_of_each_part():
    past = a_past(*every_five(0, 30, 2), at(30, 8), at(35), at(40))
    assert columns_of(past, 6) == [2, 2, 2, 8, None, None]


def test_an_hour_begins_on_the_hour():
    assert truncate(NOON + timedelta(minutes=59, seconds=59)) == NOON


SAMPLES = st.lists(
    st.tuples(st.integers(-10, 190), st.none() | st.integers(0, 50)), max_size=40, unique_by=lambda s: s[0]
).map(lambda found: [at(minute, players) for minute, players in sorted(found, key=lambda s: s[0])])


@given(SAMPLES)
def test_no_time_is_counted_twice_and_hours_add_up(samples):
    end = NOON + 3 * HOUR
    stretches = list(stretches_of(samples, start=NOON, end=end))
    assert all(a.end <= b.start for a, b in itertools.pairwise(stretches))
    assert all(NOON <= s.start < s.end <= end for s in stretches)
    hours = list(hours_of(samples, start=NOON, end=end))
    total = sum((s.up + s.down for s in stretches), timedelta(0))
    assert sum((h.up + h.down for h in hours), timedelta(0)) == total
    assert max((h.peak for h in hours), default=0) == max((s.peak for s in stretches if s.up), default=0)


@given(SAMPLES, st.integers(1, 60))
def test_there_are_as_many_columns_as_asked_for(samples, count):
    assert len(columns_of(a_past(*samples, end=180), count)) == count
