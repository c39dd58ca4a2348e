"""Finds incidents among many, and counts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Text, cast, func, or_, select

from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.store.reading import complete_all
from bot.alerts.store.rows import parts
from bot.alerts.store.tables import destination, incident, is_open
from bot.database.engine import Transaction

_WORST_FIRST = (incident.c.closed_at.is_not(None), incident.c.severity.desc(), incident.c.number.desc())


@dataclass(frozen=True, slots=True)
class Place:
    """Where an incident is."""

    number: IncidentNumber
    channels: tuple[str, ...]
    namespace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """Which incidents are wanted; what is left out does not matter."""

    is_open: bool | None = True
    severity: Severity | None = None
    channel: str | None = None
    acknowledged: bool | None = None
    text: str = ""
    """Found in the name or the group's labels, whatever the case."""


async def list_incidents(tx: Transaction, wanted: IncidentFilter, *, limit: int) -> list[Incident]:
    """Return incidents with their alerts: open ones first, of these the worst, then the newest."""
    rows = await tx.execute(select(incident).where(*_conditions(wanted)).order_by(*_WORST_FIRST).limit(limit))
    return await complete_all(tx, rows.all())


async def list_changes(tx: Transaction, numbers: Sequence[IncidentNumber]) -> dict[IncidentNumber, datetime]:
    """Return when something was last told of open incidents."""
    changes: dict[IncidentNumber, datetime] = {}
    for some in parts(numbers):
        rows = await tx.execute(
            select(incident.c.number, incident.c.changed_at).where(incident.c.number.in_(some), is_open)
        )
        changes.update((IncidentNumber(row.number), row.changed_at) for row in rows)
    return changes


async def list_receivers(tx: Transaction, source: str) -> frozenset[str]:
    """Return the receivers that ever delivered for a source, as far as its incidents are kept."""
    rows = await tx.execute(select(incident.c.receiver).where(incident.c.source == source).distinct())
    return frozenset(row.receiver for row in rows)


async def list_places(tx: Transaction, wanted: IncidentFilter, *, limit: int) -> list[Place]:
    """Return where incidents are, in the order of `list_incidents`."""
    rows = await tx.execute(
        select(incident.c.number, incident.c.namespace)
        .where(*_conditions(wanted))
        .order_by(*_WORST_FIRST)
        .limit(limit)
    )
    places = {row.number: row.namespace for row in rows.all()}
    shown = await tx.execute(
        select(destination.c.incident, destination.c.channel)
        .where(destination.c.incident.in_(places))
        .order_by(destination.c.position)
    )
    channels: dict[int, list[str]] = {number: [] for number in places}
    for row in shown:
        channels[row.incident].append(row.channel)
    return [
        Place(IncidentNumber(number), tuple(channels[number]), namespace)
        for number, namespace in places.items()
    ]


async def list_numbers(tx: Transaction, wanted: IncidentFilter, *, limit: int) -> list[IncidentNumber]:
    """Return the numbers of incidents, oldest first."""
    rows = await tx.execute(
        select(incident.c.number).where(*_conditions(wanted)).order_by(incident.c.number).limit(limit)
    )
    return [IncidentNumber(row.number) for row in rows]


async def count_open_by_severity(tx: Transaction) -> Mapping[Severity, int]:
    """Return how many incidents are open, for each severity."""
    rows = await tx.execute(
        select(incident.c.severity, func.count().label("open")).where(is_open).group_by(incident.c.severity)
    )
    counted = {row.severity: row.open for row in rows}
    return {severity: counted.get(int(severity), 0) for severity in Severity}


def _conditions(wanted: IncidentFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.is_open is not None:
        conditions.append(is_open if wanted.is_open else ~is_open)
    if wanted.severity is not None:
        conditions.append(incident.c.severity == int(wanted.severity))
    if wanted.acknowledged is not None:
        nobody = incident.c.acknowledged_by.is_(None)
        conditions.append(~nobody if wanted.acknowledged else nobody)
    if wanted.channel is not None:
        shown = select(destination.c.incident).where(destination.c.channel == wanted.channel)
        conditions.append(incident.c.number.in_(shown))
    conditions.extend(
        or_(
            func.lower(incident.c.title).contains(word, autoescape=True),
            func.lower(cast(incident.c.group_labels, Text)).contains(word, autoescape=True),
        )
        for word in wanted.text.lower().split()
    )
    return conditions
