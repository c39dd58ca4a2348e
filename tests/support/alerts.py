"""Builders of alerts, deliveries and incidents that show only what matters to a test."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from bot.alerts.model.alert import Alert, AlertStatus, in_order
from bot.alerts.model.incident import Acknowledgement, Closing, Destination, Incident, IncidentNumber, State
from bot.alerts.model.notification import Notification, labels_key
from bot.alerts.model.severity import Severity, SeverityWords

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
"""When things happen unless a test says otherwise."""

YEAR_ONE = "0001-01-01T00:00:00Z"


def at(minutes: float) -> datetime:
    """Return the moment so many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def an_alert(
    name: str = "KubePodCrashLooping",
    /,
    *,
    firing: bool = True,
    since: datetime = NOON,
    until: datetime | None = None,
    fingerprint: str | None = None,
    annotations: Mapping[str, str] | None = None,
    generator_url: str = "",
    **labels: str,
) -> Alert:
    """Make an alert; one that was given an end is resolved."""
    all_labels = {"alertname": name, "severity": "warning", **labels}
    resolved = not firing or until is not None
    return Alert(
        fingerprint=fingerprint or labels_key(all_labels)[:16],
        status=AlertStatus.RESOLVED if resolved else AlertStatus.FIRING,
        labels=all_labels,
        annotations=annotations or {},
        starts_at=since,
        ends_at=(until or since + timedelta(minutes=5)) if resolved else None,
        generator_url=generator_url,
    )


def a_notification(
    *alerts: Alert,
    source: str = "main",
    receiver: str = "discord",
    group_key: str = '{}:{alertname="KubePodCrashLooping"}',
    group_labels: Mapping[str, str] | None = None,
    external_url: str = "https://alertmanager.example.org",
    truncated: int = 0,
    reason: str | None = None,
) -> Notification:
    """Make a delivery of these alerts; without any, of one that fires."""
    told = alerts or (an_alert(),)
    return Notification(
        source=source,
        receiver=receiver,
        group_key=group_key,
        group_labels={"alertname": "KubePodCrashLooping"} if group_labels is None else group_labels,
        common_labels={},
        common_annotations={},
        external_url=external_url,
        truncated=truncated,
        reason=reason,
        route_labels={},
        alerts=told,
    )


def an_incident(
    *alerts: Alert,
    number: int = 417,
    state: State | None = None,
    severity: Severity | None = None,
    opened_at: datetime | None = None,
    changed_at: datetime = NOON,
    closed_at: datetime | None = None,
    unknown_since: datetime | None = None,
    reopened: int = 0,
    reopened_at: datetime | None = None,
    truncated: int = 0,
    acknowledgement: Acknowledgement | None = None,
    closing: Closing | None = None,
    destinations: tuple[Destination, ...] = (),
    notes: Mapping[str, str] | None = None,
    group_labels: Mapping[str, str] | None = None,
    external_url: str = "https://alertmanager.example.org",
) -> Incident:
    """Make an incident of these alerts; without any, of one that fires. It is closed where none fires."""
    known = in_order(alerts or (an_alert(),))
    firing = [alert for alert in known if alert.is_firing]
    settled = state or (State.FIRING if firing else State.RESOLVED)
    if settled is State.RESOLVED and closed_at is None:
        closed_at = max(alert.ends_at or alert.starts_at for alert in known)
    return Incident(
        number=IncidentNumber(number),
        source="main",
        receiver="discord",
        group_key='{}:{alertname="KubePodCrashLooping"}',
        group_labels={"alertname": "KubePodCrashLooping"} if group_labels is None else group_labels,
        external_url=external_url,
        state=settled,
        severity=severity or SeverityWords().worst(firing or known) or Severity.WARNING,
        opened_at=opened_at or min(alert.starts_at for alert in known),
        changed_at=changed_at,
        closed_at=closed_at,
        unknown_since=unknown_since,
        reopened=reopened,
        reopened_at=reopened_at,
        truncated=truncated,
        acknowledgement=acknowledgement,
        closing=closing,
        destinations=destinations,
        alerts=known,
        notes=notes or {},
    )


def an_entry(
    name: str = "KubePodCrashLooping",
    /,
    *,
    status: str = "firing",
    since: str = "2026-11-21T12:00:00Z",
    until: str = YEAR_ONE,
    annotations: Mapping[str, str] | None = None,
    generator_url: str = "https://prometheus.example.org/graph?g0.expr=up",
    **labels: str,
) -> dict[str, Any]:
    """Make one entry of a webhook body's `alerts`, as Alertmanager writes it."""
    all_labels = {"alertname": name, "severity": "warning", **labels}
    return {
        "status": status,
        "labels": all_labels,
        "annotations": dict(annotations or {}),
        "startsAt": since,
        "endsAt": until,
        "generatorURL": generator_url,
        "fingerprint": hashlib.sha256(json.dumps(sorted(all_labels.items())).encode()).hexdigest()[:16],
    }


def a_body(
    *entries: Mapping[str, Any],
    receiver: str = "discord",
    group_labels: Mapping[str, str] | None = None,
    group_key: str | None = None,
    truncated: int = 0,
    **fields: Any,
) -> bytes:
    """Make a webhook body of Alertmanager's version 4; `fields` replace or add top-level ones."""
    alerts: Sequence[Mapping[str, Any]] = entries or (an_entry(),)
    labels = {"alertname": "KubePodCrashLooping"} if group_labels is None else dict(group_labels)
    written = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    fires = any(alert.get("status") == "firing" for alert in alerts)
    body = {
        "receiver": receiver,
        "status": "firing" if fires else "resolved",
        "alerts": list(alerts),
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "https://alertmanager.example.org",
        "version": "4",
        "groupKey": group_key if group_key is not None else f"{{}}:{{{written}}}",
        "truncatedAlerts": truncated,
        **fields,
    }
    return json.dumps(body).encode()


def a_grafana_entry(
    name: str = "High CPU",
    /,
    *,
    status: str = "firing",
    since: str = "2026-11-21T12:00:00Z",
    until: str = YEAR_ONE,
    annotations: Mapping[str, str] | None = None,
    fields: Mapping[str, Any] | None = None,
    **labels: str,
) -> dict[str, Any]:
    """Make one entry of a webhook body's `alerts`, as Grafana writes it; `fields` replace or add some."""
    all_labels = {"alertname": name, "grafana_folder": "Hosts", **labels}
    matchers = [("matcher", f"{label}={value}") for label, value in sorted(all_labels.items())]
    silence = urlencode([("alertmanager", "grafana"), *matchers, ("orgId", "1")])
    dashboard = "https://grafana.example.org/d/cpu?from=1795258800000&orgId=1&to=1795262460000"
    return {
        "status": status,
        "labels": all_labels,
        "annotations": dict(annotations or {}),
        "startsAt": since,
        "endsAt": until,
        "generatorURL": "https://grafana.example.org/alerting/grafana/fe1/view?orgId=1",
        "fingerprint": hashlib.sha256(json.dumps(sorted(all_labels.items())).encode()).hexdigest()[:16],
        "silenceURL": f"https://grafana.example.org/alerting/silence/new?{silence}",
        "dashboardURL": dashboard,
        "panelURL": f"{dashboard}&viewPanel=4",
        "values": {"B": 91.2, "C": 1},
        "valueString": "[ var='B' labels={instance=web-1} value=91.2 ], [ var='C' labels={} value=1 ]",
        "orgId": 1,
        **(fields or {}),
    }


def a_grafana_body(
    *entries: Mapping[str, Any],
    organisation: int = 1,
    group_labels: Mapping[str, str] | None = None,
    group_key: str | None = None,
    **fields: Any,
) -> bytes:
    """Make a webhook body of Grafana's version 1; `fields` replace or add top-level ones."""
    alerts: Sequence[Mapping[str, Any]] = entries or (a_grafana_entry(),)
    labels = {"alertname": "High CPU", "grafana_folder": "Hosts"} if group_labels is None else group_labels
    written = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    fires = any(alert.get("status") == "firing" for alert in alerts)
    body = {
        "receiver": "machine",
        "status": "firing" if fires else "resolved",
        "alerts": list(alerts),
        "groupLabels": dict(labels),
        "commonLabels": dict(labels),
        "commonAnnotations": {},
        "externalURL": "https://grafana.example.org/",
        "appVersion": "12.1.0",
        "version": "1",
        "groupKey": group_key or f'{{}}/{{__grafana_autogenerated__="true"}}:{{{written}}}',
        "truncatedAlerts": 0,
        "orgId": organisation,
        "title": f"[FIRING:{len(alerts)}] High CPU Hosts",
        "state": "alerting" if fires else "ok",
        "message": "**Firing**\n\nValue: B=91.2, C=1\nLabels:\n - alertname = High CPU\n",
        **fields,
    }
    return json.dumps(body).encode()
