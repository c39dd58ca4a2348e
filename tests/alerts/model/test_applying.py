from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.alerts.model.alert import in_order
from bot.alerts.model.applying import Change, Outcome, apply_notification, heard_of
from bot.alerts.model.incident import Incident, IncidentNumber, Muting, State, acknowledge, close_by_hand
from bot.alerts.model.notification import Notification, delivery_key
from bot.alerts.model.severity import Severity, SeverityWords
from bot.core.actor import Actor, ActorKind
from tests.support.alert_histories import FINGERPRINTS, alerts
from tests.support.alerts import NOON, a_notification, an_alert, an_incident, at

ALICE = Actor(ActorKind.PERSON, "7", "alice")
REOPEN_WITHIN = timedelta(minutes=30)


def tell(incident: Incident | None, told: Notification, *, now: datetime = NOON) -> Outcome:
    return apply_notification(incident, told, words=SeverityWords(), now=now, reopen_within=REOPEN_WITHIN)


def after(incident: Incident | None, *deliveries: Notification, now: datetime = NOON) -> Incident:
    for told in deliveries:
        incident = tell(incident, told, now=now).incident or incident
    assert incident is not None
    return incident


def test_a_firing_alert_opens_an_incident():
    outcome = tell(None, a_notification(an_alert(since=at(-2)), truncated=3))
    assert outcome.change is Change.OPENED
    assert outcome.incident is not None
    assert outcome.incident.number == 0
    assert outcome.incident.state is State.FIRING
    assert outcome.incident.opened_at == at(-2)
    assert outcome.incident.truncated == 3
    assert outcome.changed == (an_alert(since=at(-2)),)


def test_an_alert_from_the_future_opens_it_now():
    assert after(None, a_notification(an_alert(since=at(60)))).opened_at == NOON


def test_a_resolved_delivery_of_an_unknown_group_opens_nothing():
    assert tell(None, a_notification(an_alert(until=at(5)))) == Outcome(Change.RESOLVED_UNSEEN, None)


def test_one_alert_told_twice_in_a_body_is_one_and_fires_if_either_does():
    for told in ([an_alert(), an_alert(until=at(5))], [an_alert(until=at(5)), an_alert()]):
        opened = after(None, a_notification(*told))
        assert opened.alerts == (an_alert(),)
        assert tell(opened, a_notification(*told)).change is Change.NOTHING_NEW


def test_the_same_delivery_again_is_nothing_new():
    told = a_notification()
    opened = after(None, told)
    assert tell(opened, told, now=at(15)) == Outcome(Change.NOTHING_NEW, opened)


def test_another_delivery_that_says_nothing_else_is_remembered_as_the_last():
    first, second = an_alert(pod="a"), an_alert(pod="b")
    opened = after(None, a_notification(first, second))
    outcome = tell(opened, a_notification(first), now=at(5))
    assert outcome.change is Change.NOTHING_NEW
    assert outcome.incident == replace(opened, last_key=delivery_key(a_notification(first)))


def test_an_alert_that_joins_is_a_change():
    opened = after(None, a_notification(an_alert(pod="a")))
    joined = an_alert(pod="b", since=at(1))
    outcome = tell(opened, a_notification(an_alert(pod="a"), joined), now=at(1))
    assert outcome.change is Change.ALERTS_CHANGED
    assert outcome.changed == (joined,)
    assert outcome.incident is not None
    assert outcome.incident.changed_at == at(1)


def test_other_annotations_are_a_change():
    opened = after(None, a_notification(an_alert()))
    told = a_notification(an_alert(annotations={"summary": "worse"}))
    assert tell(opened, told).change is Change.ALERTS_CHANGED


def test_an_alert_that_is_absent_still_fires():
    opened = after(None, a_notification(an_alert(pod="a"), an_alert(pod="b")))
    told = a_notification(an_alert(pod="a", until=at(5)))
    incident = after(opened, told)
    assert incident.state is State.FIRING
    assert incident.firing == (an_alert(pod="b"),)


def test_a_worse_alert_raises_the_severity():
    opened = after(None, a_notification(an_alert(pod="a")))
    worse = an_alert(pod="b", severity="critical")
    outcome = tell(opened, a_notification(an_alert(pod="a"), worse))
    assert outcome.change is Change.SEVERITY_ROSE
    assert outcome.incident is not None
    assert outcome.incident.severity is Severity.CRITICAL


def test_the_severity_falls_with_the_worst_firing_alert_and_can_rise_again():
    mild, bad = an_alert(pod="a"), an_alert(pod="b", severity="critical")
    opened = after(None, a_notification(mild, bad))
    eased = after(opened, a_notification(mild, an_alert(pod="b", severity="critical", until=at(5))))
    assert eased.severity is Severity.WARNING
    assert tell(eased, a_notification(mild, bad)).change is Change.SEVERITY_ROSE


def test_the_last_resolved_alert_closes_it_and_it_keeps_its_severity():
    opened = after(None, a_notification(an_alert(severity="critical")))
    outcome = tell(opened, a_notification(an_alert(severity="critical", until=at(5))), now=at(6))
    assert outcome.change is Change.RESOLVED
    assert outcome.incident is not None
    assert outcome.incident.state is State.RESOLVED
    assert outcome.incident.closed_at == at(6)
    assert outcome.incident.severity is Severity.CRITICAL


def test_a_truncated_delivery_makes_it_unknown_instead_of_closing_it():
    opened = after(None, a_notification(an_alert()))
    told = a_notification(an_alert(until=at(5)), truncated=7)
    outcome = tell(opened, told, now=at(6))
    assert outcome.change is Change.UNKNOWN
    assert outcome.incident is not None
    assert outcome.incident.is_open
    assert outcome.incident.unknown_since == at(6)
    assert tell(outcome.incident, told, now=at(9)) == Outcome(Change.NOTHING_NEW, outcome.incident)


def test_an_unknown_one_stays_unknown_since_the_first_time():
    unknown = after(None, a_notification(an_alert(pod="a"), an_alert(pod="b")))
    unknown = after(unknown, a_notification(an_alert(pod="a", until=at(5)), truncated=7), now=at(5))
    assert unknown.state is State.FIRING
    told = a_notification(an_alert(pod="b", until=at(6)), truncated=7)
    unknown = after(unknown, told, now=at(6))
    again = tell(unknown, a_notification(an_alert(pod="b", until=at(6)), truncated=6), now=at(9))
    assert again.change is Change.ALERTS_CHANGED
    assert again.incident is not None
    assert again.incident.unknown_since == at(6)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (a_notification(an_alert(until=at(5))), State.RESOLVED),
        (a_notification(an_alert(since=at(7))), State.FIRING),
    ],
)
def test_a_whole_delivery_ends_the_uncertainty(told, state):
    opened = after(None, a_notification(an_alert()))
    unknown = after(opened, a_notification(an_alert(until=at(5)), truncated=7), now=at(6))
    known = after(unknown, told, now=at(8))
    assert known.state is state
    assert known.unknown_since is None


def test_a_re_fire_soon_after_reopens_the_same_incident_and_forgets_who_looked():
    opened = after(None, a_notification(an_alert()))
    seen = replace(acknowledge(opened, ALICE, note="", now=at(1)), number=IncidentNumber(9))
    closed = after(seen, a_notification(an_alert(until=at(5))), now=at(5))
    outcome = tell(closed, a_notification(an_alert(since=at(20))), now=at(20))
    assert outcome.change is Change.REOPENED
    reopened = outcome.incident
    assert reopened is not None
    assert (reopened.number, reopened.reopened, reopened.reopened_at) == (9, 1, at(20))
    assert (reopened.state, reopened.closed_at, reopened.acknowledgement) == (State.FIRING, None, None)
    assert reopened.opened_at == NOON


def test_a_re_fire_long_after_is_a_new_incident():
    closed = after(None, a_notification(an_alert()), a_notification(an_alert(until=at(5))), now=at(5))
    outcome = tell(closed, a_notification(an_alert(since=at(60))), now=at(60))
    assert outcome.change is Change.OPENED
    assert outcome.incident is not None
    assert outcome.incident.number == 0


def test_a_resolved_delivery_after_the_end_is_nothing_new():
    resolved = a_notification(an_alert(until=at(5)))
    closed = after(None, a_notification(an_alert()), resolved)
    assert tell(closed, resolved) == Outcome(Change.NOTHING_NEW, None)


def test_one_closed_by_hand_opens_again_when_it_is_told_firing():
    told = a_notification()
    closed = close_by_hand(after(None, told), ALICE, note="maintenance", now=at(1))
    assert not closed.is_open
    assert closed.closing is not None
    assert (closed.closing.by_id, closed.closing.note) == ("7", "maintenance")
    outcome = tell(closed, told, now=at(2))
    assert outcome.change is Change.REOPENED
    assert outcome.incident is not None
    assert outcome.incident.closing is None


def deliveries() -> st.SearchStrategy[Notification]:
    return st.builds(
        lambda told, truncated: a_notification(*told, truncated=truncated),
        st.lists(alerts(), min_size=1, max_size=4),
        st.sampled_from([0, 0, 7]),
    )


HISTORIES = st.lists(st.tuples(deliveries(), st.integers(0, 40)), min_size=1, max_size=8)


def lives(history: list[tuple[Notification, int]]) -> list[tuple[Incident | None, Outcome, datetime]]:
    """Apply a history; give the incident before, the outcome and the moment of each step."""
    incident, steps, now = None, [], NOON
    for told, minutes in history:
        now += timedelta(minutes=minutes)
        outcome = tell(incident, told, now=now)
        steps.append((incident, outcome, now))
        incident = outcome.incident or incident
    return steps


@given(HISTORIES)
def test_the_last_delivery_again_changes_nothing(history):
    before, outcome, now = lives(history)[-1]
    incident = outcome.incident or before
    again = tell(incident, history[-1][0], now=now + timedelta(minutes=1))
    assert again.change in {Change.NOTHING_NEW, Change.RESOLVED_UNSEEN}
    assert (again.incident or incident) == incident


@given(HISTORIES)
def test_what_the_last_delivery_calls_firing_is_never_resolved(history):
    for (told, _), (before, outcome, _) in zip(history, lives(history), strict=True):
        incident = outcome.incident or before
        for alert in told.firing:
            assert incident is not None
            assert incident.is_open
            assert incident.state is State.FIRING
            assert alert.fingerprint in {known.fingerprint for known in incident.firing}


@given(HISTORIES)
def test_a_truncated_delivery_closes_nothing(history):
    for (told, _), (before, outcome, _) in zip(history, lives(history), strict=True):
        if told.truncated and before is not None and before.is_open:
            assert outcome.change is not Change.RESOLVED
            assert outcome.incident is not None
            assert outcome.incident.is_open


@given(HISTORIES)
def test_the_severity_is_that_of_the_worst_firing_alert(history):
    for _, outcome, _ in lives(history):
        if outcome.incident is not None and outcome.incident.firing:
            assert outcome.incident.severity is SeverityWords().worst(outcome.incident.firing)


@given(HISTORIES)
def test_an_incident_is_closed_exactly_when_it_is_resolved(history):
    for _, outcome, _ in lives(history):
        if outcome.incident is not None:
            assert outcome.incident.is_open is (outcome.incident.state is not State.RESOLVED)
            assert (outcome.incident.unknown_since is not None) is (outcome.incident.state is State.UNKNOWN)


@given(HISTORIES)
def test_an_incident_knows_each_alert_once_firing_ones_first(history):
    for _, outcome, _ in lives(history):
        if outcome.incident is not None:
            known = outcome.incident.alerts
            assert len({alert.fingerprint for alert in known}) == len(known)
            assert known == in_order(known)


@st.composite
def runs_of_a_group(draw: st.DrawFn) -> list[Notification]:
    """What one Alertmanager sends over time: each alert fires and is resolved in turns."""
    turns = {
        fingerprint: draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
        for fingerprint in FINGERPRINTS[: draw(st.integers(1, 3))]
    }
    told: list[Notification] = []
    for step in range(max(map(len, turns.values()))):
        current = []
        for fingerprint, lengths in turns.items():
            if step >= len(lengths):
                continue
            minute = step // 2 * 20
            until = at(minute + lengths[step]) if step % 2 else None
            current.append(an_alert(fingerprint=fingerprint, since=at(minute), until=until))
        told.append(a_notification(*current))
    return told


@settings(max_examples=200)
@given(runs_of_a_group(), st.lists(st.integers(0, 1), max_size=12))
def test_duplicates_of_a_pair_in_any_interleaving_end_in_the_same_alerts(run, turns):
    left = [list(run), list(run)]
    mixed = [left[turn].pop(0) for turn in turns if left[turn]]
    mixed += left[0] + left[1]
    assert after(None, *mixed).alerts == after(None, *run).alerts


def test_what_is_sent_is_not_kept_quiet():
    quiet = replace(an_incident(), muting=Muting(silences=("s1",), alerts=1, firing=1))
    assert quiet.is_muted
    assert not heard_of(quiet, a_notification()).is_muted
    assert heard_of(quiet, a_notification(an_alert(until=at(5)))) is quiet
