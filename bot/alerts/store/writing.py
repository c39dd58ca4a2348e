"""Keeps incidents: new ones, what becomes of them, and no longer."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update

from bot.alerts.model.alert import Alert
from bot.alerts.model.incident import Destination, Incident, IncidentNumber
from bot.alerts.store.rows import ALERTS_AT_A_TIME, alert_row, columns_of, parts, seconds
from bot.alerts.store.tables import alert, destination, incident
from bot.database.engine import Transaction


async def insert_incident(tx: Transaction, opened: Incident) -> IncidentNumber:
    """Store a new incident with its alerts and destinations; return its number."""
    number = IncidentNumber((await tx.execute(_insert_incident, columns_of(opened))).scalar_one())
    await _insert_alerts(tx, number, opened.alerts)
    await _insert_destinations(tx, number, enumerate(opened.destinations))
    return number


_insert_incident = incident.insert().returning(incident.c.number)


async def update_incident(
    tx: Transaction, before: Incident, after: Incident, changed: Sequence[Alert] = ()
) -> None:
    """Store what became of an incident; `changed` are the alerts that did."""
    columns = columns_of(after)
    if columns_of(before) != columns:
        await tx.execute(_update_incident, {"_number": after.number, **columns})
    known = {told.fingerprint for told in before.alerts}
    kept = {told.fingerprint for told in after.alerts}
    changed = [told for told in changed if told.fingerprint in kept]
    await _insert_alerts(tx, after.number, [told for told in changed if told.fingerprint not in known])
    await _update_alerts(tx, after.number, [told for told in changed if told.fingerprint in known])
    if gone := known - kept:
        await tx.execute(
            delete(alert).where(alert.c.incident == after.number, alert.c.fingerprint == bindparam("_gone")),
            [{"_gone": fingerprint} for fingerprint in gone],
        )
    if before.destinations != after.destinations:
        await _update_destinations(tx, before, after)


_update_incident = update(incident).where(incident.c.number == bindparam("_number"))


async def purge(tx: Transaction, *, closed_before: datetime, limit: int = 500) -> list[IncidentNumber]:
    """Delete incidents that were over long ago; return which."""
    old = (
        select(incident.c.number)
        .where(incident.c.closed_at < closed_before)
        .order_by(incident.c.number)
        .limit(limit)
    )
    numbers = [IncidentNumber(row.number) for row in await tx.execute(old)]
    if numbers:
        await tx.execute(delete(incident).where(incident.c.number.in_(numbers)))
    return numbers


async def _insert_alerts(tx: Transaction, number: IncidentNumber, alerts: Sequence[Alert]) -> None:
    for some in parts(alerts, ALERTS_AT_A_TIME):
        await tx.execute(alert.insert(), [alert_row(number, told) for told in some])


async def _update_alerts(tx: Transaction, number: IncidentNumber, alerts: Sequence[Alert]) -> None:
    for some in parts(alerts, ALERTS_AT_A_TIME):
        rows = [alert_row(number, told) for told in some]
        await tx.execute(_update_alert, [{f"_{name}": value for name, value in row.items()} for row in rows])


_update_alert = (
    update(alert)
    .where(alert.c.incident == bindparam("_incident"), alert.c.fingerprint == bindparam("_fingerprint"))
    .values(
        {
            name: bindparam(f"_{name}")
            for name in ("status", "labels", "annotations", "starts_at", "ends_at", "generator_url")
        }
    )
)


async def _insert_destinations(
    tx: Transaction, number: IncidentNumber, destinations: Iterable[tuple[int, Destination]]
) -> None:
    rows = [
        {
            "incident": number,
            "channel": shown.channel,
            "position": position,
            "mention": list(shown.mention),
            "remind_seconds": seconds(shown.remind),
            "thread": shown.thread,
            "pings": 0,
        }
        for position, shown in destinations
    ]
    if rows:
        await tx.execute(destination.insert(), rows)


async def _update_destinations(tx: Transaction, before: Incident, after: Incident) -> None:
    known = {shown.channel: shown for shown in before.destinations}
    await _insert_destinations(
        tx,
        after.number,
        [(i, shown) for i, shown in enumerate(after.destinations) if shown.channel not in known],
    )
    for shown in after.destinations:
        if shown.channel in known and known[shown.channel] != shown:
            await tx.execute(
                update(destination)
                .where(destination.c.incident == after.number, destination.c.channel == shown.channel)
                .values(
                    mention=list(shown.mention), remind_seconds=seconds(shown.remind), thread=shown.thread
                )
            )
