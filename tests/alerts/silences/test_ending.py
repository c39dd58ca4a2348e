"""What else is heard again when a silence ends."""

from dataclasses import replace

import pytest

from bot.alerts.model.incident import IncidentNumber, Muting
from bot.alerts.model.severity import SeverityWords
from bot.alerts.silences.ending import Heard, heard_without, mark_of
from tests.support.alerts import an_alert, an_incident

ONE, TWO = IncidentNumber(1), IncidentNumber(2)
WORDS = SeverityWords()


def hidden(number, *alerts, silences=("s1",), quiet=None, **others):
    firing = len(alerts)
    muting = Muting(silences=silences, alerts=firing if quiet is None else quiet, firing=firing, **others)
    return replace(an_incident(*alerts, number=number), muting=muting)


def of_two(*, severity="warning"):
    return [an_alert(f"f{number}", severity=severity) for number in (1, 2)]


def heard(*incidents, besides=None, silences=frozenset({"s1"})):
    return heard_without(silences, incidents, besides=besides, words=WORDS)


def test_what_hides_only_the_incident_that_it_is_ended_for_brings_nothing_else_back():
    mine = hidden(1, *of_two())
    assert heard(mine, besides=mine) == Heard(besides=ONE)


def test_alerts_of_other_incidents_are_counted_and_the_critical_ones_among_them():
    mine, other = hidden(1, an_alert("f9")), hidden(2, an_alert("f1", severity="critical"), an_alert("f2"))
    assert heard(mine, other, besides=mine) == Heard(alerts=2, critical=1, incidents=(TWO,), besides=ONE)


def test_without_an_incident_that_it_is_ended_for_all_count():
    assert heard(hidden(1, *of_two())) == Heard(alerts=2, incidents=(ONE,))


def test_the_same_alerts_from_another_alertmanager_are_nothing_else():
    mine = hidden(1, *of_two())
    assert heard(mine, hidden(2, *of_two()), besides=mine).incidents == ()


@pytest.mark.parametrize(
    "others",
    [
        {"silences": ("s1", "s2")},
        {"inhibitors": ("f7",)},
        {"intervals": ("nights",)},
    ],
    ids=["silence", "inhibition", "interval"],
)
def test_what_something_else_hides_as_well_is_at_most_that(others):
    found = heard(hidden(2, *of_two(), **others))
    assert (found.alerts, found.is_exact) == (2, False)


def test_of_an_incident_that_is_hidden_in_part_no_more_count_than_are_quiet():
    found = heard(hidden(2, *of_two(severity="critical"), quiet=1))
    assert (found.alerts, found.critical, found.is_exact) == (1, 1, False)


def test_the_same_silence_in_several_alertmanagers_is_not_something_else():
    both = frozenset({"s1", "s2"})
    assert heard(hidden(2, *of_two(), silences=("s1", "s2")), silences=both).is_exact


def test_a_mark_stays_while_more_is_heard_until_critical_alerts_join():
    silences = [("main", "s1"), ("second", "s2")]
    said = mark_of(silences, Heard(alerts=1))
    assert mark_of(reversed(silences), Heard(alerts=5, incidents=(ONE,))) == said
    assert mark_of(silences, Heard(alerts=5, critical=1)) != said
    assert mark_of([("main", "s1")], Heard(alerts=1)) != said
