"""What alerts are after a delivery told of them.

An *episode* is one firing of one alert: (source, fingerprint, startsAt).
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from bot.alerts.model.alert import Alert, in_order

KEEP_RESOLVED = timedelta(days=1)
"""How long an open incident remembers an alert that resolved."""


def merge_alert(known: Alert | None, told: Alert) -> Alert:
    """Say what an alert is after a delivery told this of it.

    The last delivery is right about what fires. An episode keeps its earliest start
    (the peers of a Prometheus pair differ), and a resolved entry that ended before
    the present episode began, or before the end that is known, is an older one and
    changes nothing.
    """
    if known is None:
        return told
    if told.is_firing:
        return _since_the_first(known, told) if known.is_firing else told
    if told.end < (known.starts_at if known.is_firing else known.end):
        return known
    if known.is_firing or told.starts_at <= known.end:
        return _since_the_first(known, told)
    return told


def _since_the_first(known: Alert, told: Alert) -> Alert:
    # Nearly always nothing changes, and a copy costs more than all the rest.
    return told if told.starts_at <= known.starts_at else replace(told, starts_at=known.starts_at)


def without_old(alerts: Iterable[Alert], told: Iterable[Alert], *, now: datetime) -> tuple[Alert, ...]:
    """Drop what resolved long ago: pods come and go for weeks in an incident that stays open."""
    just_told = {alert.fingerprint for alert in told}
    return tuple(
        alert
        for alert in alerts
        if alert.is_firing or alert.fingerprint in just_told or now - alert.end <= KEEP_RESOLVED
    )


def merge_alerts(
    before: tuple[Alert, ...], told: Iterable[Alert]
) -> tuple[tuple[Alert, ...], tuple[Alert, ...]]:
    """Return all alerts after a delivery, and those of them that changed."""
    known = {alert.fingerprint: alert for alert in before}
    changed: list[Alert] = []
    for alert in one_each(told):
        was = known.get(alert.fingerprint)
        after = merge_alert(was, alert)
        if after != was:
            known[alert.fingerprint] = after
            changed.append(after)
    if not changed:
        return before, ()
    return in_order(known.values()), tuple(changed)


def one_each(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Join entries of one alert in one delivery: no Alertmanager sends such; it fires if any does."""
    joined: dict[str, Alert] = {}
    for alert in sorted(alerts, key=lambda alert: alert.is_firing):
        joined[alert.fingerprint] = merge_alert(joined.get(alert.fingerprint), alert)
    return tuple(joined.values())
