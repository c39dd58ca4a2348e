"""What Alertmanager says, read into our words: webhook bodies of version 4.

The format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
So speak Prometheus' Alertmanager, which also passes on what vmalert fires, and
the Alertmanagers of Mimir and Cortex.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.alerts.inbox.model import QuarantineReason, UnreadableError
from bot.alerts.model.alert import Alert
from bot.alerts.model.applying import Change
from bot.alerts.model.notification import Notification
from bot.alerts.payload import Json, read_body, read_notification, wrong

_REASONS = {
    Change.NOTHING_NEW: "repeat interval elapsed",
    Change.RESOLVED_UNSEEN: "all alerts resolved",
    Change.OPENED: "first notification",
    Change.REOPENED: "new alerts added",
    Change.SEVERITY_ROSE: "new alerts added",
    Change.RESOLVED: "all alerts resolved",
    Change.UNKNOWN: "some alerts resolved",
}


def parse(body: bytes, *, source: str, received_at: datetime | None = None) -> Notification:
    """Return what a webhook body says; raises `UnreadableError`, and nothing else, if it says nothing.

    `received_at` is the start of an alert that names none.
    """
    return read_body(
        body, lambda tree: read_notification(_object(tree), source=source, received_at=received_at)
    )


def derive_reason(change: Change, changed: Sequence[Alert] = ()) -> str:
    """Return why a delivery came, in Alertmanager's words, where it did not say so (before 0.32)."""
    if change is Change.ALERTS_CHANGED:
        fires = any(alert.is_firing for alert in changed)
        return "new alerts added" if fires or not changed else "some alerts resolved"
    return _REASONS[change]


def _object(tree: Any) -> Json:
    if isinstance(tree, list) and tree and all(_is_of_prometheus(item) for item in tree):
        raise UnreadableError(QuarantineReason.RAW_PROMETHEUS)
    if not isinstance(tree, dict):
        wrong("the body", "an object")
    version = tree.get("version")
    is_four = version in {"4", 4.0} if isinstance(version, str | float) else version is None
    if not is_four or (version is None and "alerts" not in tree):
        is_of_grafana = version == "1" and "orgId" in tree
        reason = QuarantineReason.GRAFANA_ASTRAY if is_of_grafana else QuarantineReason.NOT_VERSION_4
        raise UnreadableError(reason)
    return tree


def _is_of_prometheus(item: Any) -> bool:
    return isinstance(item, dict) and "labels" in item and "status" not in item
