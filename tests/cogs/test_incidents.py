"""Incidents and labels as people type them."""

import pytest

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.showing import Known
from bot.core.errors import InvalidError
from cogs.incidents import (
    ALL_HERE,
    offer_one,
    offer_several,
    parse_incident,
    parse_incidents,
    parse_labels,
)


def known(number, title="DiskFull", *, where="shop", severity=Severity.WARNING, acknowledged=False):
    return Known(IncidentNumber(number), title, where, severity, acknowledged, ())


@pytest.mark.parametrize("text", ["417", "#417", "  #417 "])
def test_a_number_is_read_with_and_without_its_sign(text):
    assert parse_incident(text) == 417


@pytest.mark.parametrize("text", ["", "#", "DiskFull", "4 1", "-1", "٤", "9" * 40])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InvalidError, match="Expected the number"):
        parse_incident(text)


@pytest.mark.parametrize("text", ["#417 418", "417,418", "417, #418 ; 417", "417 + 418"])
def test_several_are_read_each_once(text):
    assert parse_incidents(text) == (417, 418)


@pytest.mark.parametrize("text", ["", " , ", "417 disk"])
def test_several_that_are_none_are_refused(text):
    with pytest.raises(InvalidError, match="Expected"):
        parse_incidents(text)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("alertname=X severity=critical", {"alertname": "X", "severity": "critical"}),
        ('{alertname="X", severity="critical"}', {"alertname": "X", "severity": "critical"}),
        ('a="one two", b="say \\"hi\\""', {"a": "one two", "b": 'say "hi"'}),
        (
            "instance=10.0.0.1:9100,__receiver__=discord",
            {"instance": "10.0.0.1:9100", "__receiver__": "discord"},
        ),
        ('a=""', {"a": ""}),
    ],
)
def test_labels_are_read_in_both_ways(text, labels):
    assert parse_labels(text) == labels


@pytest.mark.parametrize("text", ["", "{}", "alone", "a!=b", 'a=~"b.*"', "=b", 'a="open'])
def test_what_is_no_labels_is_refused(text):
    with pytest.raises(InvalidError, match="xpected"):
        parse_labels(text)


def test_an_offer_says_what_it_is_and_fits():
    [one] = offer_one(
        "", [known(1, "Disk\u202eFull\n" + "x" * 200, severity=Severity.CRITICAL, acknowledged=True)]
    )
    assert one.name.startswith("#1 CRITICAL DiskFull x")
    assert len(one.name) <= 100
    assert one.value == "1"


def test_no_more_are_offered_than_discord_takes():
    many = [known(n) for n in range(100)]
    assert len(offer_one("", many)) == 25
    assert len(offer_several("", many)) == 25


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("", [ALL_HERE, "7", "8", "71"]),
        ("al", [ALL_HERE, "8"]),
        ("7", ["7", "71"]),
        ("#7 ", ["7 8", "7 71"]),
        ("7 8 slow", ["7 8 71"]),
        ("7, 8,", ["7 8 71"]),
        ("disk full", ["7"]),
    ],
)
def test_one_more_is_offered_behind_those_that_were_chosen(typed, values):
    offered = offer_several(typed, [known(7), known(8, "Tall"), known(71, "Slow")])
    assert [choice.value for choice in offered] == values


def test_severity_finds_too():
    assert [c.value for c in offer_one("crit", [known(1), known(2, severity=Severity.CRITICAL)])] == ["2"]
