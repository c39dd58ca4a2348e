"""What Alertmanager says, read into our words: webhook bodies of version 4.

The format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
It is read leniently, because a body that is put aside is an alert that nobody
sees: unknown fields are ignored, absent ones have a default. What has the wrong
type is refused as a whole, with the reason.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from bot.alerts.inbox.model import QuarantineReason, UnreadableError
from bot.alerts.model import Alert, AlertStatus, Change, Notification, labels_key

MOST_ALERTS = 20_000
"""Alerts that are kept of one body, firing ones first; the rest counts as cut off by the sender."""

_MOST_TRUNCATED = 2**31 - 1
_NOBODY_KNOWS_WHEN = datetime(1970, 1, 1, tzinfo=UTC)
_QUOTED = re.compile(r"\\([\\.+*?()|\[\]{}^$])")
_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")

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

    `received_at` is the start of an alert that names none. Lone surrogates and
    NUL are taken out: no database stores them.
    """
    try:
        told = _object(_loads(body))
        return _notification(told, source, received_at or _NOBODY_KNOWS_WHEN)
    except RecursionError:
        raise UnreadableError(QuarantineReason.TOO_DEEP) from None


def derive_reason(change: Change, changed: Sequence[Alert] = ()) -> str:
    """Return why a delivery came, in Alertmanager's words, where it did not say so (before 0.32)."""
    if change is Change.ALERTS_CHANGED:
        fires = any(alert.is_firing for alert in changed)
        return "new alerts added" if fires or not changed else "some alerts resolved"
    return _REASONS[change]


def _loads(body: bytes) -> Any:
    try:
        text = body.decode("utf-8-sig", "replace")
        # As floats: there is no limit to the digits of one, and a count needs no more.
        tree = json.loads(text, parse_int=float)
    except ValueError:
        raise UnreadableError(QuarantineReason.NOT_JSON) from None
    # Nearly no body has what cannot be stored; looking at the whole is cheaper than at each string.
    return _storable(tree) if _UNSTORABLE.search(text) else tree


def _storable(value: Any) -> Any:
    match value:
        case str():
            return _SURROGATE.sub("\ufffd", value.replace("\x00", ""))
        case dict():
            return {_storable(name): _storable(item) for name, item in value.items()}
        case list():
            return [_storable(item) for item in value]
        case _:
            return value


def _object(tree: Any) -> Mapping[str, Any]:
    if isinstance(tree, list) and tree and all(_is_of_prometheus(item) for item in tree):
        raise UnreadableError(QuarantineReason.RAW_PROMETHEUS)
    if not isinstance(tree, dict):
        _wrong("the body", "an object")
    version = tree.get("version")
    is_four = version in {"4", 4.0} if isinstance(version, str | float) else version is None
    if not is_four or (version is None and "alerts" not in tree):
        raise UnreadableError(QuarantineReason.NOT_VERSION_4)
    return tree


def _is_of_prometheus(item: Any) -> bool:
    return isinstance(item, dict) and "labels" in item and "status" not in item


def _notification(told: Mapping[str, Any], source: str, received_at: datetime) -> Notification:
    group_labels = _texts(told, "groupLabels")
    common_labels = _texts(told, "commonLabels")
    entries, cut_off = _entries(told)
    is_over = told.get("status") == AlertStatus.RESOLVED
    return Notification(
        source=source,
        receiver=_QUOTED.sub(r"\1", _text(told, "receiver")),
        group_key=_text(told, "groupKey") or f"labels:{labels_key(group_labels or common_labels)}",
        group_labels=group_labels,
        common_labels=common_labels,
        common_annotations=_texts(told, "commonAnnotations"),
        external_url=_text(told, "externalURL"),
        truncated=_count(told, "truncatedAlerts") + cut_off,
        reason=_text(told, "notification_reason") or None,
        route_labels=_texts(told, "routeLabels"),
        alerts=tuple(_alert(entry, received_at, is_over=is_over) for entry in entries),
    )


def _entries(told: Mapping[str, Any]) -> tuple[list[Any], int]:
    entries = told.get("alerts")
    if entries is None:
        return [], 0
    if not isinstance(entries, list):
        _wrong("alerts", "a list")
    too_many = max(len(entries) - MOST_ALERTS, 0)
    if too_many:
        entries.sort(key=lambda entry: isinstance(entry, dict) and entry.get("status") == "resolved")
    return entries[:MOST_ALERTS], too_many


def _alert(entry: Any, received_at: datetime, *, is_over: bool) -> Alert:
    if not isinstance(entry, dict):
        _wrong("an alert", "an object")
    labels = _texts(entry, "labels")
    starts_at = _moment(entry, "startsAt")
    ends_at = _moment(entry, "endsAt")
    # A status that nobody knows fires: what is shown needlessly can be seen to be needless.
    status = _text(entry, "status") or ("resolved" if is_over else "firing")
    is_resolved = status == AlertStatus.RESOLVED
    start = starts_at or (ends_at if is_resolved and ends_at else received_at)
    return Alert(
        fingerprint=_text(entry, "fingerprint") or labels_key(labels)[:16],
        status=AlertStatus.RESOLVED if is_resolved else AlertStatus.FIRING,
        labels=labels,
        annotations=_texts(entry, "annotations"),
        starts_at=start,
        ends_at=(ends_at or start) if is_resolved else None,
        generator_url=_text(entry, "generatorURL"),
    )


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        _wrong(name, "a text")
    return value


def _texts(told: Mapping[str, Any], name: str) -> Mapping[str, str]:
    value = told.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        _wrong(name, "an object")
    for item in value.values():
        if not isinstance(item, str):
            _wrong(name, "an object of texts")
    return value


def _count(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    if value is None:
        return 0
    # Infinity is beyond the bound, and NaN is no number that could be compared.
    if not isinstance(value, float) or value != value:  # noqa: PLR0124 — that is what NaN is
        _wrong(name, "a number")
    return int(min(max(value, 0.0), _MOST_TRUNCATED))


def _moment(entry: Mapping[str, Any], name: str) -> datetime | None:
    """Read RFC 3339, cut to microseconds; None for what is absent or Go's zero time."""
    text = _text(entry, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.year == 1:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        _wrong(name, "a time such as 2026-11-21T12:00:00Z")


def _wrong(what: str, expected: str) -> NoReturn:
    raise UnreadableError(QuarantineReason.WRONG_TYPES, f"Expected {what} to be {expected}.")
