"""Reading the bodies of webhooks: what Alertmanager's and Grafana's have in common.

They are read leniently, because a body that is put aside is an alert that nobody
sees: unknown fields are ignored, absent ones have a default. What has the wrong
type is refused as a whole, with the reason.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from bot.alerts.inbox.model import QuarantineReason, UnreadableError
from bot.alerts.model.alert import Alert, AlertStatus
from bot.alerts.model.notification import Notification, labels_key

MOST_ALERTS = 20_000
"""Alerts that are kept of one body, firing ones first; the rest counts as cut off by the sender."""

Json = Mapping[str, Any]
T = TypeVar("T")
Extras = Callable[[Json], Mapping[str, str]]
"""Returns what an entry of `alerts` says beyond Alertmanager's fields; never raises."""

_MOST_TRUNCATED = 2**31 - 1
_NOBODY_KNOWS_WHEN = datetime(1970, 1, 1, tzinfo=UTC)
_QUOTED = re.compile(r"\\([\\.+*?()|\[\]{}^$])")
_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_body(body: bytes, read: Callable[[Any], T]) -> T:
    """Return what `read` makes of the JSON in a body; raises `UnreadableError`, and nothing else.

    All numbers are floats. Lone surrogates and NUL are taken out: no database stores them.
    """
    try:
        return read(_loads(body))
    except RecursionError:
        raise UnreadableError(QuarantineReason.TOO_DEEP) from None


def read_notification(
    told: Json, *, source: str, received_at: datetime | None, extras: Extras = lambda _: {}
) -> Notification:
    """Return what a body says, with the alerts that it lists.

    `received_at` is the start of an alert that names none; `extras` are kept
    among its annotations.
    """
    group_labels = _texts(told, "groupLabels")
    common_labels = _texts(told, "commonLabels")
    entries, cut_off = _entries(told)
    is_over = told.get("status") == AlertStatus.RESOLVED
    when = received_at or _NOBODY_KNOWS_WHEN
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
        alerts=tuple(_alert(entry, when, extras, is_over=is_over) for entry in entries),
    )


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


def _entries(told: Json) -> tuple[list[Any], int]:
    entries = told.get("alerts")
    if entries is None:
        return [], 0
    if not isinstance(entries, list):
        wrong("alerts", "a list")
    too_many = max(len(entries) - MOST_ALERTS, 0)
    if too_many:
        entries.sort(key=lambda entry: isinstance(entry, dict) and entry.get("status") == "resolved")
    return entries[:MOST_ALERTS], too_many


def _alert(entry: Any, received_at: datetime, extras: Extras, *, is_over: bool) -> Alert:
    if not isinstance(entry, dict):
        wrong("an alert", "an object")
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
        annotations={**_texts(entry, "annotations"), **extras(entry)},
        starts_at=start,
        ends_at=(ends_at or start) if is_resolved else None,
        generator_url=_text(entry, "generatorURL"),
    )


def _text(told: Json, name: str) -> str:
    value = told.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        wrong(name, "a text")
    return value


def _texts(told: Json, name: str) -> Mapping[str, str]:
    value = told.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        wrong(name, "an object")
    for item in value.values():
        if not isinstance(item, str):
            wrong(name, "an object of texts")
    return value


def _count(told: Json, name: str) -> int:
    value = told.get(name)
    if value is None:
        return 0
    # Infinity is beyond the bound, and NaN is no number that could be compared.
    if not isinstance(value, float) or value != value:  # noqa: PLR0124 — that is what NaN is
        wrong(name, "a number")
    return int(min(max(value, 0.0), _MOST_TRUNCATED))


def _moment(entry: Json, name: str) -> datetime | None:
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
        wrong(name, "a time such as 2026-11-21T12:00:00Z")


def wrong(what: str, expected: str) -> NoReturn:
    """Refuse a body for the type of something in it."""
    raise UnreadableError(QuarantineReason.WRONG_TYPES, f"Expected {what} to be {expected}.")
