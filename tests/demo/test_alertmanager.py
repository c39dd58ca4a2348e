"""The made-up Alertmanager says what the real one does."""

import json
from datetime import UTC, datetime, timedelta

from bot.alerts.alertmanager import parse
from bot.demo.alertmanager import AlertGroup

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def told(group):
    return parse(json.dumps(group.body()).encode(), source="main")


def a_group():
    return AlertGroup("PodCrashes", summary="It crashes").fire(NOON, pod="a").fire(NOON, pod="b")


def test_alerts_of_a_group_are_told_of_together():
    notification = told(a_group())
    assert [alert.labels["pod"] for alert in notification.alerts] == ["a", "b"]
    assert all(alert.is_firing and alert.starts_at == NOON for alert in notification.alerts)
    assert notification.group_labels == {"alertname": "PodCrashes"}


def test_an_alert_that_ends_is_told_of_once_more():
    group = a_group().resolve(NOON + timedelta(minutes=3), pod="a")
    assert [alert.is_firing for alert in told(group).alerts] == [False, True]
    assert [alert.labels["pod"] for alert in told(group).alerts] == ["b"]


def test_an_alert_keeps_its_fingerprint():
    assert told(a_group()).alerts[0].fingerprint == told(a_group()).alerts[0].fingerprint
