"""The tables of incidents and their alerts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    update,
)

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
from bot.alerts.model.notification import Notification, group_labels_key
from bot.alerts.model.severity import Severity
from bot.core.errors import NotFoundError
from bot.database.engine import Transaction
from bot.database.schema import BigId, Json, UtcDateTime, metadata

T = TypeVar("T")

incident = Table(
    "incident",
    metadata,
    Column("number", BigId, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("labels_key", Text, nullable=False),
    Column("group_labels", Json, nullable=False),
    Column("external_url", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("namespace", Text),
    Column("state", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("unknown_since", UtcDateTime),
    Column("reopened", Integer, nullable=False),
    Column("reopened_at", UtcDateTime),
    Column("truncated", Integer, nullable=False),
    Column("acknowledged_by", Text),
    Column("acknowledged_name", Text),
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_note", Text),
    Column("closed_by", Text),
    Column("closed_name", Text),
    Column("closed_note", Text),
    Column("muting", Json(none_as_null=True)),
    Column("notes", Json, nullable=False),
    Column("last_key", Text, nullable=False),
    # A number that was on a card is never given again.
    sqlite_autoincrement=True,
)
Index("ix_incident_group", incident.c.source, incident.c.receiver, incident.c.group_key, incident.c.number)
Index("ix_incident_labels", incident.c.source, incident.c.receiver, incident.c.labels_key, incident.c.number)
_is_open = incident.c.closed_at.is_(None)
Index("ix_incident_open", incident.c.severity, sqlite_where=_is_open, postgresql_where=_is_open)
_by_hand = incident.c.closed_by.is_not(None)
Index("ix_incident_closed_by_hand", incident.c.source, sqlite_where=_by_hand, postgresql_where=_by_hand)

alert = Table(
    "alert",
    metadata,
    Column("incident", BigId, ForeignKey("incident.number", ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("labels", Json, nullable=False),
    Column("annotations", Json, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Column("generator_url", Text, nullable=False),
)

destination = Table(
    "destination",
    metadata,
    Column("incident", BigId, ForeignKey("incident.number", ondelete="CASCADE"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("mention", Json, nullable=False),
    Column("remind_seconds", Integer),
    Column("thread", Boolean, nullable=False, server_default=false()),
    Column("pings", Integer, nullable=False, default=0),
    Column("ping_reason", Text),
    Column("pinged_at", UtcDateTime),
)
Index("ix_destination_channel", destination.c.channel, destination.c.incident)

_MOST_IN_A_STATEMENT = 100
"""Incidents: reading more at a time would hold up webhooks for long."""
_ALERTS_AT_A_TIME = 1_000
"""Of one incident: what is made of more rows in one go would hold up the event loop."""
_WORST_FIRST = (incident.c.closed_at.is_not(None), incident.c.severity.desc(), incident.c.number.desc())


@dataclass(frozen=True, slots=True)
class Ping:
    """The last ping of an incident in a channel."""

    sequence: int
    reason: str
    at: datetime


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


async def list_incidents(tx: Transaction, wanted: IncidentFilter, *, limit: int) -> list[Incident]:
    """Return incidents with their alerts: open ones first, of these the worst, then the newest."""
    rows = await tx.execute(select(incident).where(*_conditions(wanted)).order_by(*_WORST_FIRST).limit(limit))
    return await _complete_all(tx, rows.all())


async def get_incidents(tx: Transaction, numbers: Sequence[IncidentNumber]) -> list[Incident]:
    """Return incidents in the order of their numbers given; absent ones are left out."""
    found: dict[int, Incident] = {}
    for some in _parts(numbers):
        rows = await tx.execute(select(incident).where(incident.c.number.in_(some)))
        found.update((each.number, each) for each in await _complete_all(tx, rows.all()))
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
    for wanted in (_is_open, _by_hand & ~_is_open & is_latest):
        rows = await tx.execute(select(incident).where(incident.c.source == source, wanted))
        found += await _complete_all(tx, rows.all())
    return sorted(found, key=lambda each: each.number)


async def list_changes(tx: Transaction, numbers: Sequence[IncidentNumber]) -> dict[IncidentNumber, datetime]:
    """Return when something was last told of open incidents."""
    changes: dict[IncidentNumber, datetime] = {}
    for some in _parts(numbers):
        rows = await tx.execute(
            select(incident.c.number, incident.c.changed_at).where(incident.c.number.in_(some), _is_open)
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
        select(incident.c.severity, func.count().label("open")).where(_is_open).group_by(incident.c.severity)
    )
    counted = {row.severity: row.open for row in rows}
    return {severity: counted.get(int(severity), 0) for severity in Severity}


async def insert_incident(tx: Transaction, opened: Incident) -> IncidentNumber:
    """Store a new incident with its alerts and destinations; return its number."""
    number = IncidentNumber((await tx.execute(_insert_incident, _columns(opened))).scalar_one())
    await _insert_alerts(tx, number, opened.alerts)
    await _insert_destinations(tx, number, enumerate(opened.destinations))
    return number


_insert_incident = incident.insert().returning(incident.c.number)


async def update_incident(
    tx: Transaction, before: Incident, after: Incident, changed: Sequence[Alert] = ()
) -> None:
    """Store what became of an incident; `changed` are the alerts that did."""
    columns = _columns(after)
    if _columns(before) != columns:
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


async def find_ping(tx: Transaction, number: IncidentNumber, channel: str) -> Ping | None:
    """Return the last ping of an incident in a channel."""
    row = (await tx.execute(_find_ping, {"_number": number, "_channel": channel})).first()
    if row is None or not row.pings:
        return None
    return Ping(row.pings, row.ping_reason, row.pinged_at)


_find_ping = select(destination.c.pings, destination.c.ping_reason, destination.c.pinged_at).where(
    destination.c.incident == bindparam("_number"), destination.c.channel == bindparam("_channel")
)


async def next_ping(
    tx: Transaction, number: IncidentNumber, channel: str, *, reason: str, now: datetime
) -> int:
    """Note one more ping in a channel; return which one it is."""
    sequence = (
        await tx.execute(
            update(destination)
            .where(destination.c.incident == number, destination.c.channel == channel)
            .values(pings=destination.c.pings + 1, ping_reason=reason, pinged_at=now)
            .returning(destination.c.pings)
        )
    ).scalar_one()
    return int(sequence)


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


def _conditions(wanted: IncidentFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.is_open is not None:
        conditions.append(_is_open if wanted.is_open else ~_is_open)
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


def _columns(value: Incident) -> dict[str, Any]:
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


def _alert_row(number: IncidentNumber, told: Alert) -> dict[str, Any]:
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


async def _insert_alerts(tx: Transaction, number: IncidentNumber, alerts: Sequence[Alert]) -> None:
    for some in _parts(alerts, _ALERTS_AT_A_TIME):
        await tx.execute(alert.insert(), [_alert_row(number, told) for told in some])


async def _update_alerts(tx: Transaction, number: IncidentNumber, alerts: Sequence[Alert]) -> None:
    for some in _parts(alerts, _ALERTS_AT_A_TIME):
        rows = [_alert_row(number, told) for told in some]
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
            "remind_seconds": _seconds(shown.remind),
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
                    mention=list(shown.mention), remind_seconds=_seconds(shown.remind), thread=shown.thread
                )
            )


def _seconds(remind: timedelta | None) -> int | None:
    return None if remind is None else int(remind.total_seconds())


_alerts = (
    select(alert)
    .where(alert.c.incident == bindparam("_number"), alert.c.fingerprint > bindparam("_after"))
    .order_by(alert.c.fingerprint)
    .limit(_ALERTS_AT_A_TIME)
)
_destinations = (
    select(destination).where(destination.c.incident == bindparam("_number")).order_by(destination.c.position)
)


async def _complete(tx: Transaction, row: Row[Any]) -> Incident:
    alerts: list[Alert] = []
    is_all = False
    while not is_all:
        after = alerts[-1].fingerprint if alerts else ""
        found = await tx.execute(_alerts, {"_number": row.number, "_after": after})
        some = [_alert(each) for each in found]
        is_all = len(some) < _ALERTS_AT_A_TIME
        alerts += some
    shown = await tx.execute(_destinations, {"_number": row.number})
    return _incident_of(row, alerts, shown)


async def _complete_all(tx: Transaction, rows: Sequence[Row[Any]]) -> list[Incident]:
    """Return incidents with few statements, however many they are."""
    alerts: dict[int, list[Alert]] = {row.number: [] for row in rows}
    shown: dict[int, list[Row[Any]]] = {row.number: [] for row in rows}
    for some in _parts(list(alerts)):
        for row in await tx.execute(select(alert).where(alert.c.incident.in_(some))):
            alerts[row.incident].append(_alert(row))
        for row in await tx.execute(
            select(destination).where(destination.c.incident.in_(some)).order_by(destination.c.position)
        ):
            shown[row.incident].append(row)
    return [_incident_of(row, alerts[row.number], shown[row.number]) for row in rows]


def _parts(everything: Sequence[T], size: int = _MOST_IN_A_STATEMENT) -> Iterator[Sequence[T]]:
    """Yield as many at a time as fit into a statement."""
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def _incident_of(row: Row[Any], alerts: Iterable[Alert], shown: Iterable[Row[Any]]) -> Incident:
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
        destinations=tuple(_destination(each) for each in shown),
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


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        fingerprint=row.fingerprint,
        status=AlertStatus(row.status),
        labels=row.labels,
        annotations=row.annotations,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        generator_url=row.generator_url,
    )


def _destination(row: Row[Any]) -> Destination:
    remind = None if row.remind_seconds is None else timedelta(seconds=row.remind_seconds)
    return Destination(row.channel, tuple(row.mention), remind, row.thread)
