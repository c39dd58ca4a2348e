"""When storms begin and end, who is held, who is called."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.policy import StormRules
from bot.alerts.storm.model import (
    HAND_HOLDS,
    PAGE_LINES,
    Line,
    Owed,
    Place,
    Storm,
    Verdict,
    batch,
    busiest_minute,
    decide,
    due_mentions,
    page_for,
    place_of,
)
from bot.cards.model import Pressure
from tests.support.alerts import NOON, at

RULES = StormRules()
SECOND = timedelta(seconds=1)
RESTLESS = Pressure(1, 16, 1.0)
CALM = Pressure(1, 0, 1.0)


def a_storm(*, since=NOON, **more):
    return Storm(id=1, channel_id=1, since=since, **more)


def verdict(storm, pressure, newcomers=0, *, now=NOON):
    return decide(storm, pressure, newcomers, now=now, rules=RULES)


@pytest.mark.parametrize(
    ("waiting", "rate", "begins"),
    [(15, 1, False), (16, 1, True), (30, 2, False), (31, 2, True), (8, 0.5, True), (10_000, 10_000, False)],
)
def test_it_begins_by_time_and_not_by_count(waiting, rate, begins):
    assert (verdict(None, Pressure(1, waiting, rate)) is Verdict.BEGIN) is begins


@pytest.mark.parametrize(
    ("waiting", "newcomers", "minutes", "ends"),
    [
        (0, 0, 2, True),
        (0, 0, 0.5, False),
        (5, 0, 2, True),
        (6, 0, 2, False),
        (0, 6, 2, False),
        (2, 3, 2, True),
    ],
)
def test_it_ends_when_it_was_calm_for_a_while(waiting, newcomers, minutes, ends):
    storm = a_storm(since=at(-minutes))
    assert (verdict(storm, Pressure(1, waiting, 1), newcomers) is Verdict.END) is ends


def test_one_that_is_wanted_by_hand_does_not_end_by_itself():
    assert verdict(a_storm(since=at(-600), forced=True), CALM) is Verdict.STAY


def test_one_that_was_ended_by_hand_does_not_begin_at_once():
    ended = a_storm(since=at(-60), ended_at=NOON, ended_by="1")
    assert verdict(ended, RESTLESS, now=NOON + HAND_HOLDS - SECOND) is Verdict.STAY
    assert verdict(ended, RESTLESS, now=NOON + HAND_HOLDS) is Verdict.BEGIN
    assert verdict(replace(ended, ended_by=None), RESTLESS) is Verdict.BEGIN


@given(
    waiting=st.integers(0, 5000),
    rate=st.floats(0.01, 1000),
    newcomers=st.integers(0, 5000),
    age=st.integers(0, 9000),
)
def test_what_ends_a_storm_never_begins_one(waiting, rate, newcomers, age):
    pressure = Pressure(1, waiting, rate)
    ends = verdict(a_storm(since=NOON - age * SECOND), pressure, newcomers) is Verdict.END
    assert not (ends and verdict(None, replace(pressure, waiting=waiting + newcomers)) is Verdict.BEGIN)


@given(pressure=st.builds(Pressure, st.just(1), st.integers(0, 5000), st.floats(0.01, 1000)))
def test_giving_cards_back_begins_no_storm(pressure):
    after = replace(pressure, waiting=pressure.waiting + batch(pressure))
    one_more = timedelta(seconds=1 / pressure.rate)
    assert batch(pressure) == 0 or after.drain <= max(RULES.after, pressure.drain + one_more)


@pytest.mark.parametrize(
    ("line", "severity", "has_card", "is_on", "place"),
    [
        (None, "warning", False, True, Place.DIGEST),
        (None, "info", False, True, Place.DIGEST),
        (None, "critical", False, True, Place.QUIET_CARD),
        (None, "warning", True, True, Place.CARD),
        (None, "critical", True, True, Place.CARD),
        (None, "warning", False, False, Place.CARD),
        (1, "warning", False, True, Place.DIGEST),
        (1, "warning", False, False, Place.DIGEST),
        (1, "critical", False, True, Place.QUIET_CARD),
        ("own", "critical", True, True, Place.QUIET_CARD),
        ("released", "warning", True, False, Place.QUIET_CARD),
    ],
)
def test_where_an_incident_is_shown(line, severity, has_card, is_on, place):
    lines = {
        None: None,
        1: Line(IncidentNumber(1), 1, NOON),
        "own": Line(IncidentNumber(1), None, NOON),
        "released": Line(IncidentNumber(1), 1, NOON, NOON),
    }
    storm = a_storm(ended_at=None if is_on else NOON)
    goes_first = severity == "critical"
    assert place_of(lines[line], storm, has_card=has_card, goes_first=goes_first) is place


def test_pages_fill_one_after_the_other():
    assert page_for(0, 0) == 1
    assert page_for(1, PAGE_LINES - 1) == 1
    assert page_for(1, PAGE_LINES) == 2


@given(
    wishes=st.lists(st.tuples(st.integers(0, 600), st.sampled_from(["role:a", "role:b"])), max_size=60),
    looks=st.lists(st.integers(0, 600), max_size=60),
)
def test_nobody_is_mentioned_twice_within_the_window(wishes, looks):
    state = {name: Owed(name, 0, None) for name in ("role:a", "role:b")}
    said = {name: [] for name in state}
    events = sorted(
        [(second, name) for second, name in wishes] + [(second, None) for second in looks], key=str
    )
    for second, name in sorted(events, key=lambda event: event[0]):
        now = NOON + second * SECOND
        if name is not None:
            state[name] = replace(state[name], owed=state[name].owed + 1)
            continue
        for called in due_mentions(state.values(), now=now, rules=RULES):
            assert state[called].owed > 0
            said[called].append(now)
            state[called] = Owed(called, 0, now)
    for moments in said.values():
        assert all(b - a >= RULES.mention_every for a, b in pairwise(moments))


@given(st.lists(st.integers(0, 500), max_size=80))
def test_the_busiest_minute_is_the_most_within_any_sixty_seconds(seconds):
    joined = [NOON + second * SECOND for second in seconds]
    naive = max((sum(0 <= other - one < 60 for other in seconds) for one in seconds), default=0)
    assert busiest_minute(joined) == naive
