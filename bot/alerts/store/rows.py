"""Incidents and their alerts as rows, there and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Row

from bot.alerts.model.alert import Alert, AlertStatus, in_order
from bot.alerts.model.incident import (
    Acknowledgement,
    Closing,
    Destination,
    Incident,
    IncidentNumber,
    Muting,
    State,
)
from bot.alerts.model.notification import group_labels_key
from bot.alerts.model.severity import Severity

T = TypeVar("T")

_MOST_IN_A_STATEMENT = 100
"""Incidents: reading more at a time would hold up webhooks for long."""
ALERTS_AT_A_TIME = 250
"""Of one incident: what is made of more rows in one go would hold up the event loop."""


def columns_of(value: Incident) -> dict[str, Any]:
    """Return the columns of an incident, all but its number."""
    acknowledged, closing = value.acknowledgement, value.closing
    return {
        "source": value.source,
        "receiver": value.receiver,
        "group_key": value.group_key,
        "labels_key": group_labels_key(value.group_key, value.group_labels),
        "group_labels": dict(value.group_labels),
        "external_url": value.external_url,
        "title": value.title,
        "namespace": value.common_labels.get("namespace"),
        "state": value.state.value,
        "severity": int(value.severity),
        "opened_at": value.opened_at,
        "changed_at": value.changed_at,
        "closed_at": value.closed_at,
        "unknown_since": value.unknown_since,
        "reopened": value.reopened,
        "reopened_at": value.reopened_at,
        "truncated": value.truncated,
        "acknowledged_by": acknowledged and acknowledged.by_id,
        "acknowledged_name": acknowledged and acknowledged.by_name,
        "acknowledged_at": acknowledged and acknowledged.at,
        "acknowledged_note": acknowledged and acknowledged.note,
        "closed_by": closing and closing.by_id,
        "closed_name": closing and closing.by_name,
        "closed_note": closing and closing.note,
        "muting": asdict(value.muting) if value.muting is not None else None,
        "notes": dict(value.notes),
        "last_key": value.last_key,
    }


def alert_row(number: IncidentNumber, told: Alert) -> dict[str, Any]:
    """Return the row of an alert of an incident."""
    return {
        "incident": number,
        "fingerprint": told.fingerprint,
        "status": told.status.value,
        "labels": dict(told.labels),
        "annotations": dict(told.annotations),
        "starts_at": told.starts_at,
        "ends_at": told.ends_at,
        "generator_url": told.generator_url,
    }


def seconds(remind: timedelta | None) -> int | None:
    """Return how a wait is kept."""
    return None if remind is None else int(remind.total_seconds())


def parts(everything: Sequence[T], size: int = _MOST_IN_A_STATEMENT) -> Iterator[Sequence[T]]:
    """Yield as many at a time as fit into a statement."""
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def incident_of(row: Row[Any], alerts: Iterable[Alert], shown: Iterable[Row[Any]]) -> Incident:
    """Return an incident out of its row, its alerts and the rows of its destinations."""
    acknowledgement = (
        Acknowledgement(
            row.acknowledged_by, row.acknowledged_name, row.acknowledged_at, row.acknowledged_note or ""
        )
        if row.acknowledged_by is not None
        else None
    )
    return Incident(
        number=IncidentNumber(row.number),
        source=row.source,
        receiver=row.receiver,
        group_key=row.group_key,
        group_labels=row.group_labels,
        external_url=row.external_url,
        state=State(row.state),
        severity=Severity(row.severity),
        opened_at=row.opened_at,
        changed_at=row.changed_at,
        closed_at=row.closed_at,
        unknown_since=row.unknown_since,
        reopened=row.reopened,
        reopened_at=row.reopened_at,
        truncated=row.truncated,
        acknowledgement=acknowledgement,
        closing=Closing(row.closed_by, row.closed_name, row.closed_note or "") if row.closed_by else None,
        muting=read_muting(row.muting),
        destinations=tuple(_destination_of(each) for each in shown),
        alerts=in_order(alerts),
        notes=row.notes,
        last_key=row.last_key,
    )


def read_muting(kept: Mapping[str, Any] | None) -> Muting | None:
    """Return what keeps an incident quiet out of its column."""
    if kept is None:
        return None
    return Muting(
        silences=tuple(kept["silences"]),
        inhibitors=tuple(kept["inhibitors"]),
        intervals=tuple(kept["intervals"]),
        alerts=kept["alerts"],
        firing=kept["firing"],
    )


def alert_of(row: Row[Any]) -> Alert:
    """Return an alert out of its row."""
    return Alert(
        fingerprint=row.fingerprint,
        status=AlertStatus(row.status),
        labels=row.labels,
        annotations=row.annotations,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        generator_url=row.generator_url,
    )


def _destination_of(row: Row[Any]) -> Destination:
    remind = None if row.remind_seconds is None else timedelta(seconds=row.remind_seconds)
    return Destination(row.channel, tuple(row.mention), remind, row.thread)
