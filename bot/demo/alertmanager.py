"""A made-up Alertmanager: says what fires as the real one does, over HTTP."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import aiohttp

_YEAR_ONE = "0001-01-01T00:00:00Z"
_RESOLVED = "resolved"


class AlertGroup:
    """Alerts of one name that Alertmanager tells of together."""

    def __init__(self, name: str, **annotations: str) -> None:
        """Take the alert's name, and what its rule says about it."""
        self.name = name
        self._annotations = {
            **annotations,
            "runbook_url": f"https://runbooks.example.org/{name}",
            "dashboard_url": f"https://grafana.example.org/d/{name.lower()}",
        }
        self._alerts: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}

    def fire(self, at: datetime, **labels: str) -> "AlertGroup":
        """Have an alert fire since a moment."""
        key = tuple(sorted(labels.items()))
        written = {"alertname": self.name, **labels}
        self._alerts[key] = {
            "status": "firing",
            "labels": written,
            "annotations": self._annotations,
            "startsAt": at.isoformat(),
            "endsAt": _YEAR_ONE,
            "generatorURL": f"https://prometheus.example.org/graph?g0.expr={quote(self.name)}",
            "fingerprint": sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:16],
        }
        return self

    def resolve(self, at: datetime, **labels: str) -> "AlertGroup":
        """Have the alerts end that carry these labels; without any, all of them."""
        for alert in self._alerts.values():
            if labels.items() <= alert["labels"].items() and alert["status"] != _RESOLVED:
                alert.update(status=_RESOLVED, endsAt=at.isoformat())
        return self

    def body(self) -> dict[str, Any]:
        """Return what Alertmanager posts now; what is over is told of once."""
        alerts = [dict(alert) for alert in self._alerts.values()]
        fires = any(alert["status"] != _RESOLVED for alert in alerts)
        self._alerts = {key: alert for key, alert in self._alerts.items() if alert["status"] != _RESOLVED}
        return {
            "version": "4",
            "groupKey": f'{{}}:{{alertname="{self.name}"}}',
            "truncatedAlerts": 0,
            "status": "firing" if fires else _RESOLVED,
            "receiver": "the-machine",
            "groupLabels": {"alertname": self.name},
            "commonLabels": _common([alert["labels"] for alert in alerts]),
            "commonAnnotations": self._annotations,
            "externalURL": "https://alertmanager.example.org",
            "alerts": alerts,
        }


def _common(labels: list[Mapping[str, str]]) -> dict[str, str]:
    first, *others = labels
    return {name: value for name, value in first.items() if all(each.get(name) == value for each in others)}


class Alertmanager:
    """Posts what groups of alerts have to say."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        """Take a session to the app's web server, and the token that it asks for."""
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}

    async def post(self, group: AlertGroup) -> None:
        """Tell of a group; raises `aiohttp.ClientError` when nobody takes it."""
        async with self._session.post(
            "/webhooks/alertmanager", json=group.body(), headers=self._headers
        ) as response:
            response.raise_for_status()
