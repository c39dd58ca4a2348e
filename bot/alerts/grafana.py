"""What Grafana's own alerting says, read into our words: webhook bodies of version 1.

The format: https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/.
It is Alertmanager's with more: links, values and an image of each alert, and the
organisation. Its `title` and `message` render the same facts for other chats.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.alerts.extras import (
    DASHBOARD,
    IMAGE,
    ORGANISATION,
    PANEL,
    RULE,
    SILENCE,
    VALUES,
    numbers_in,
)
from bot.alerts.inbox.model import QuarantineReason, UnreadableError
from bot.alerts.model.alert import AlertStatus
from bot.alerts.model.notification import Notification, in_organisation
from bot.alerts.payload import Json, read_body, read_notification

_VERSIONS = frozenset({None, "1", 1.0, "4"})
"""A custom payload may leave it out, or imitate Alertmanager's."""
_STATES = {"ok": AlertStatus.RESOLVED, "alerting": AlertStatus.FIRING}
_UNTIL_NOW = re.compile(r"(?<=[?&])to=[0-9]+(?:&|$)")
_VALUE = re.compile(r"\[ var='([^']{1,50})' [^\n]{0,500}?value=([-+.0-9e]{1,40}) \]")
_LONGEST_VALUES = 2_000


def parse(body: bytes, *, source: str, received_at: datetime | None = None) -> Notification:
    """Return what a webhook body says; raises `UnreadableError`, and nothing else, if it says nothing.

    `received_at` is the start of an alert that names none.
    """
    return read_body(body, lambda tree: _notification(_object(tree), source, received_at))


def _object(tree: Any) -> Json:
    version = tree.get("version") if isinstance(tree, dict) else None
    is_known = isinstance(version, str | float | None) and version in _VERSIONS
    if not isinstance(tree, dict) or "alerts" not in tree or not is_known:
        raise UnreadableError(QuarantineReason.NOT_GRAFANA)
    return tree


def _notification(told: Json, source: str, received_at: datetime | None) -> Notification:
    organisation = _number(told.get("orgId"))
    state = told.get("state")
    if told.get("status") is None and isinstance(state, str) and state in _STATES:
        told = {**told, "status": _STATES[state].value}
    read = read_notification(
        told, source=source, received_at=received_at, extras=lambda entry: _extras(entry, organisation)
    )
    return replace(read, group_key=in_organisation(organisation, read.group_key))


def _extras(entry: Json, organisation: str) -> Mapping[str, str]:
    fires = entry.get("status") != AlertStatus.RESOLVED
    said = {
        DASHBOARD: _address(entry, "dashboardURL", fires=fires),
        PANEL: _address(entry, "panelURL", fires=fires),
        IMAGE: _text(entry, "imageURL"),
        VALUES: _values(entry),
        RULE: _text(entry, "ruleUID"),
        ORGANISATION: _number(entry.get("orgId")) or organisation,
    }
    # The silence's is there in any case: it tells Grafana's alerts from others.
    return {name: value for name, value in said.items() if value} | {SILENCE: _text(entry, "silenceURL")}


def _text(entry: Json, name: str) -> str:
    """Return an extra; one of another type is not worth an alert that nobody sees."""
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _address(entry: Json, name: str, *, fires: bool) -> str:
    """Return the address of a dashboard; while an alert fires, up to whenever it is opened."""
    address = _text(entry, name)
    # The moment of sending would make every repetition a change.
    return _UNTIL_NOW.sub("", address).rstrip("?&") if fires else address


def _values(entry: Json) -> str:
    values = numbers_in(entry.get("values"))
    if not values:
        # Older versions write them into a text only.
        values = _values_in(_text(entry, "valueString")[:_LONGEST_VALUES])
    return json.dumps(values, sort_keys=True) if values else ""


def _values_in(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, written in _VALUE.findall(text):
        try:
            found[name] = float(written)
        except ValueError:
            continue
    return found


def _number(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and 0 < value < 2**63:
        return str(int(value))
    return ""
