from urllib.parse import unquote

import pytest

from bot.alerts import words
from bot.core.matchers import Matcher, MatchOp, parse_matchers
from tests.support.alerts import NOON, an_alert, an_incident, at


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ({"namespace": "prod", "deployment": "checkout"}, "prod / checkout"),
        ({"namespace": "prod", "pod": "checkout-7d9f5b6c4-x2x9k"}, "prod / checkout"),
        ({"namespace": "prod", "pod": "agent-x2x9k"}, "prod / agent"),
        ({"namespace": "prod", "pod": "db-0"}, "prod / db"),
        ({"namespace": "prod", "pod": "my-redis"}, "prod / my-redis"),
        ({"namespace": "prod"}, "prod"),
        ({"node": "node-2", "instance": "node-2:9100"}, "node-2"),
        ({"instance": "10.0.0.1:9100", "job": "node"}, "10.0.0.1:9100"),
        ({}, ""),
    ],
)
def test_the_place_is_namespace_and_workload_else_a_machine(labels, place):
    assert words.where(an_incident(an_alert(**labels))) == place


@pytest.mark.parametrize(
    ("group", "place"),
    [
        ({"alertname": "SlowAnswers", "customer": "acme", "tier": "gold"}, "acme / gold"),
        ({"alertname": "SlowAnswers", "severity": "warning"}, ""),
        ({"customer": "acme"}, "acme"),
        ({}, ""),
    ],
)
def test_where_no_label_names_a_place_it_is_what_tells_the_group_from_others(group, place):
    alert = an_alert("SlowAnswers", customer="acme", tier="gold")
    assert words.where(an_incident(alert, group_labels=group)) == place


def test_a_group_of_many_names_says_its_labels_once():
    alerts = [an_alert(name, customer="acme") for name in ("SlowAnswers", "NoAnswers")]
    incident = an_incident(*alerts, group_labels={"customer": "acme"})
    assert (incident.title, words.where(incident)) == ("acme", "")


def test_the_pods_of_one_workload_are_in_its_place():
    pods = [an_alert(namespace="prod", pod=f"checkout-7d9f5b6c4-{end}") for end in ("x2x9k", "fghj7")]
    assert words.where(an_incident(*pods)) == "prod / checkout"


def test_the_pods_of_two_workloads_are_only_in_their_namespace():
    pods = [an_alert(namespace="prod", pod=pod) for pod in ("db-0", "web-0")]
    assert words.where(an_incident(*pods)) == "prod"


def test_alerts_are_told_apart_by_what_differs():
    alerts = [an_alert(namespace="prod", pod=pod, uid=pod * 2) for pod in ("a", "b")]
    assert words.identities(alerts, known="") == [("a",), ("b",)]


def test_two_labels_tell_apart_what_one_does_not():
    alerts = [an_alert(node=node, device=device) for node in ("n1", "n2") for device in ("sda", "sdb")]
    assert words.identities(alerts, known="")[1] == ("n1", "sdb")


def test_a_label_that_all_have_tells_more_than_one_that_some_lack():
    alerts = [an_alert(pod="x", zone="a"), an_alert(zone="b")]
    assert words.identities(alerts, known="") == [("a",), ("b",)]


def test_an_alert_that_lacks_the_label_has_a_dash():
    assert words.identities([an_alert(), an_alert(pod="x")], known="") == [("-",), ("x",)]


def test_alerts_that_nothing_tells_apart_have_no_identity():
    assert words.identities([an_alert(), an_alert()], known="") == [(), ()]


def test_a_single_alert_is_named_by_what_was_not_said_yet():
    alert = an_alert(instance="node-2:9100", device="/dev/sda3", mountpoint="/var", pod="told")
    assert words.identities([alert], known="it was told") == [("node-2:9100", "/dev/sda3")]


def test_the_summary_is_the_common_one_else_the_first():
    same = {"summary": "All is lost"}
    assert words.summary(an_incident(an_alert(annotations=same), an_alert(pod="b", annotations=same))) == (
        "All is lost"
    )
    first, second = an_alert(pod="a"), an_alert(pod="b", since=at(1), annotations={"summary": "b crashes"})
    assert words.summary(an_incident(first, second)) == "b crashes"
    assert words.summary(an_incident()) == ""


def test_a_message_is_not_said_twice():
    incident = an_incident(an_alert(annotations={"message": "It is down"}))
    assert words.summary(incident) == "It is down"
    assert words.description(incident) == ""


def test_links_come_from_annotations_and_the_sender():
    notes = {"runbook_url": "https://r", "dashboard": "https://d"}
    incident = an_incident(an_alert(annotations=notes, generator_url="https://q"))
    named = dict(words.links(incident))
    assert (named["runbook"], named["dashboard"], named["query"]) == ("https://r", "https://d", "https://q")
    assert named["silence"].startswith("https://alertmanager.example.org/#/silences/new?filter=")


def test_the_silence_form_is_filled_with_exactly_the_labels():
    labels = {"alertname": "Disk full", "path": 'C:\\"x"', "zone é": "a,b}&c=d#%"}
    url = words.silence_url("https://am.example.org/prefix/", labels)
    base, _, query = url.partition("?filter=")
    assert base == "https://am.example.org/prefix/#/silences/new"
    assert set(parse_matchers(unquote(query))) == {
        Matcher(name, MatchOp.EQUAL, value) for name, value in labels.items()
    }


def test_without_labels_or_a_sender_there_is_no_silence_form():
    assert words.silence_url("https://am.example.org", {}) == ""
    assert words.silence_url("", {"a": "b"}) == ""


def test_the_listing_has_every_label_and_annotation():
    alert = an_alert(pod="x", annotations={"description": "one\ntwo"}, generator_url="https://q")
    gone = an_alert(pod="y", until=at(5))
    listed = words.listing(an_incident(alert, gone, truncated=7), now=NOON).decode()
    assert listed.startswith("#417 KubePodCrashLooping, as of 2026-11-21 12:00:00+00:00")
    for expected in (
        "cut 7 more",
        "1. FIRING since",
        "pod: x",
        "       two",
        "query: https://q",
        "2. RESOLVED",
    ):
        assert expected in listed


def test_the_listing_keeps_within_its_bound(monkeypatch):
    monkeypatch.setattr(words, "MOST_LISTED_BYTES", 1000)  # eight megabytes would take a while
    alerts = [an_alert(pod=f"pod-{n}", annotations={"d": "é" * 50}) for n in range(20)]
    listed = words.listing(an_incident(*alerts), now=NOON)
    assert len(listed) <= 1000
    assert "more, too long for a file." in listed.decode()
