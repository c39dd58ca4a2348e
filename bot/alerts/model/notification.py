"""One delivery of an alert group, and the keys by which it is known."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bot.alerts.model.alert import Alert

OURSELVES = "the-machine"
"""The source of alerts that other rooms tell of, and no Alertmanager."""

_FIRST_ORGANISATION = "1"
_ORGANISATION = re.compile(r"org:[0-9]+:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One delivery of an alert group, as its sender meant it."""

    source: str
    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    common_labels: Mapping[str, str]
    common_annotations: Mapping[str, str]
    external_url: str
    truncated: int
    """How many alerts the sender cut off (`max_alerts`)."""
    reason: str | None
    """Alertmanager's `notification_reason` (0.32 and later)."""
    route_labels: Mapping[str, str]
    alerts: tuple[Alert, ...]

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire."""
        return tuple(alert for alert in self.alerts if alert.is_firing)


def delivery_key(notification: Notification) -> str:
    """Return what is equal for two deliveries that say the same (annotations aside)."""
    alerts = sorted(
        # As numbers: ten thousand moments are written as text in twice the time.
        (alert.fingerprint, alert.is_firing, alert.starts_at.timestamp(), alert.end.timestamp())
        for alert in notification.alerts
    )
    facts = (notification.receiver, notification.group_key, notification.truncated, alerts)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def labels_key(labels: Mapping[str, str]) -> str:
    """Return a short text that is equal for equal label sets."""
    return hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:32]


def in_organisation(organisation: str, group_key: str) -> str:
    """Return the key of a group within one of Grafana's organisations, which know nothing of one another.

    The first organisation, which most Grafanas leave the only one, has plain keys.
    """
    if organisation in {"", _FIRST_ORGANISATION}:
        return group_key
    return f"org:{organisation}:{group_key}"


def group_labels_key(group_key: str, group_labels: Mapping[str, str]) -> str:
    """Return what finds a group whose key has changed: its labels, within its organisation."""
    organisation = _ORGANISATION.match(group_key)
    return labels_key({**group_labels, "": organisation[0]} if organisation else group_labels)
