"""Reads incidents whole, with their alerts and destinations."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, exists, select

from bot.alerts.model.alert import Alert
from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.model.notification import Notification, group_labels_key
from bot.alerts.store.rows import ALERTS_AT_A_TIME, alert_of, incident_of, parts
from bot.alerts.store.tables import alert, by_hand, destination, incident, is_open
from bot.core.errors import NotFoundError
from bot.database.engine import Transaction


async def find_latest(tx: Transaction, told: Notification) -> Incident | None:
    """Return the latest incident of the group that a delivery tells of.

    The group key is not stable: a change of Alertmanager's routes changes it, so
    the group's labels are tried next.
    """
    wanted = {
        "_source": told.source,
        "_receiver": told.receiver,
        "_group_key": told.group_key,
        "_labels_key": group_labels_key(told.group_key, told.group_labels),
    }
    for latest in (_latest_of_key, _latest_of_labels):
        if (row := (await tx.execute(latest, wanted)).first()) is not None:
            return await _complete(tx, row)
    return None


# The statements of every delivery are put together once: that takes SQLAlchemy longer than running them.
_latest_of_receiver = (
    select(incident)
    .where(incident.c.source == bindparam("_source"), incident.c.receiver == bindparam("_receiver"))
    .order_by(incident.c.number.desc())
    .limit(1)
)
_latest_of_key = _latest_of_receiver.where(incident.c.group_key == bindparam("_group_key"))
_latest_of_labels = _latest_of_receiver.where(incident.c.labels_key == bindparam("_labels_key"))


async def find_incident(tx: Transaction, number: IncidentNumber) -> Incident | None:
    """Return an incident with its alerts and destinations."""
    row = (await tx.execute(_incident, {"_number": number})).first()
    return await _complete(tx, row) if row is not None else None


_incident = select(incident).where(incident.c.number == bindparam("_number"))


async def get_incident(tx: Transaction, number: IncidentNumber) -> Incident:
    """Return an incident that somebody asked for; raises `NotFoundError`."""
    found = await find_incident(tx, number)
    if found is None:
        raise NotFoundError(f"There is no incident #{number}. One that ended long ago is not kept any more.")
    return found


async def get_incidents(tx: Transaction, numbers: Sequence[IncidentNumber]) -> list[Incident]:
    """Return incidents in the order of their numbers given; absent ones are left out."""
    found: dict[int, Incident] = {}
    for some in parts(numbers):
        rows = await tx.execute(select(incident).where(incident.c.number.in_(some)))
        found.update((each.number, each) for each in await complete_all(tx, rows.all()))
    return [found[number] for number in numbers if number in found]


async def list_of_source(tx: Transaction, source: str) -> list[Incident]:
    """Return the open incidents of a source, and those closed by hand that are the latest of their group."""
    later = incident.alias()
    is_latest = ~exists().where(
        later.c.source == incident.c.source,
        later.c.receiver == incident.c.receiver,
        later.c.labels_key == incident.c.labels_key,
        later.c.number > incident.c.number,
    )
    found: list[Incident] = []
    for wanted in (is_open, by_hand & ~is_open & is_latest):
        rows = await tx.execute(select(incident).where(incident.c.source == source, wanted))
        found += await complete_all(tx, rows.all())
    return sorted(found, key=lambda each: each.number)


_alerts = (
    select(alert)
    .where(alert.c.incident == bindparam("_number"), alert.c.fingerprint > bindparam("_after"))
    .order_by(alert.c.fingerprint)
    .limit(ALERTS_AT_A_TIME)
)
_destinations = (
    select(destination).where(destination.c.incident == bindparam("_number")).order_by(destination.c.position)
)


async def _complete(tx: Transaction, row: Row[Any]) -> Incident:
    alerts = await _alerts_of(tx, row.number)
    shown = await tx.execute(_destinations, {"_number": row.number})
    return incident_of(row, alerts, shown)


async def _alerts_of(tx: Transaction, number: int) -> list[Alert]:
    alerts: list[Alert] = []
    is_all = False
    while not is_all:
        after = alerts[-1].fingerprint if alerts else ""
        found = await tx.execute(_alerts, {"_number": number, "_after": after})
        some = [alert_of(each) for each in found]
        is_all = len(some) < ALERTS_AT_A_TIME
        alerts += some
    return alerts


async def complete_all(tx: Transaction, rows: Sequence[Row[Any]]) -> list[Incident]:
    """Return incidents with few statements, however many they are."""
    alerts: dict[int, list[Alert]] = {row.number: [] for row in rows}
    shown: dict[int, list[Row[Any]]] = {row.number: [] for row in rows}
    for some in parts(list(alerts)):
        for row in await tx.execute(select(alert).where(alert.c.incident.in_(some))):
            alerts[row.incident].append(alert_of(row))
        for row in await tx.execute(
            select(destination).where(destination.c.incident.in_(some)).order_by(destination.c.position)
        ):
            shown[row.incident].append(row)
    return [incident_of(row, alerts[row.number], shown[row.number]) for row in rows]
