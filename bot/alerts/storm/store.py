"""The tables of storms: which there were, who is in them, and who was called."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.store.rows import read_muting
from bot.alerts.store.tables import alert, destination, incident
from bot.alerts.storm.model import Line, Owed, Storm, Totals, busiest_minute
from bot.database.engine import Transaction
from bot.database.schema import BigId, UtcDateTime, metadata

storm = Table(
    "storm",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("channel_id", BigId, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", Text),
    Column("settled_at", UtcDateTime),
    # The name of a digest is never given again.
    sqlite_autoincrement=True,
)
Index("ix_storm_channel", storm.c.channel_id, storm.c.id)

line = Table(
    "storm_line",
    metadata,
    Column("storm", BigId, ForeignKey("storm.id", ondelete="CASCADE"), primary_key=True),
    Column("incident", BigId, ForeignKey("incident.number", ondelete="CASCADE"), primary_key=True),
    Column("page", Integer),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("released_at", UtcDateTime),
)
Index("ix_storm_line_page", line.c.storm, line.c.page)
Index("ix_storm_line_joined_at", line.c.storm, line.c.joined_at)
Index("ix_storm_line_incident", line.c.incident)

mention = Table(
    "storm_mention",
    metadata,
    Column("channel_id", BigId, primary_key=True, autoincrement=False),
    Column("mention", Text, primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("said_at", UtcDateTime),
    Column("owed", Integer, nullable=False),
)

_is_unclaimed = and_(incident.c.closed_at.is_(None), incident.c.acknowledged_by.is_(None))
_is_held = and_(line.c.page.is_not(None), line.c.released_at.is_(None))
_CHUNK = 500
"""Values in one statement; PostgreSQL and SQLite take many more."""


async def list_latest(tx: Transaction) -> dict[int, Storm]:
    """Return the latest storm of each channel that had one."""
    latest = select(func.max(storm.c.id)).group_by(storm.c.channel_id)
    rows = await tx.execute(select(storm).where(storm.c.id.in_(latest)))
    return {row.channel_id: _storm(row) for row in rows}


async def find_storm(tx: Transaction, number: int) -> Storm | None:
    """Return a storm."""
    row = (await tx.execute(select(storm).where(storm.c.id == number))).first()
    return _storm(row) if row is not None else None


async def insert_storm(tx: Transaction, channel_id: int, *, since: datetime, forced: bool) -> Storm:
    """Store the beginning of a storm."""
    number = (
        await tx.execute(
            storm.insert().values(channel_id=channel_id, since=since, forced=forced).returning(storm.c.id)
        )
    ).scalar_one()
    return Storm(id=number, channel_id=channel_id, since=since, forced=forced)


async def update_storm(tx: Transaction, after: Storm) -> None:
    """Store what became of a storm."""
    await tx.execute(
        update(storm)
        .where(storm.c.id == after.id)
        .values(
            forced=after.forced,
            ended_at=after.ended_at,
            ended_by=after.ended_by,
            settled_at=after.settled_at,
        )
    )


async def find_line(tx: Transaction, storm_id: int, number: IncidentNumber) -> Line | None:
    """Return the place of an incident in a storm."""
    row = (await tx.execute(_find_line, {"_storm": storm_id, "_incident": number})).first()
    return _line(row) if row is not None else None


_find_line = select(line).where(
    line.c.storm == bindparam("_storm"), line.c.incident == bindparam("_incident")
)


async def find_last_page(tx: Transaction, storm_id: int) -> tuple[int, int]:
    """Return the last page of a storm and how many incidents are on it; (0, 0) before the first."""
    row = (await tx.execute(_last_page, {"_storm": storm_id})).first()
    return (row.page, row.lines) if row is not None else (0, 0)


_last_page = (
    select(line.c.page, func.count().label("lines"))
    .where(line.c.storm == bindparam("_storm"), line.c.page.is_not(None))
    .group_by(line.c.page)
    .order_by(line.c.page.desc())
    .limit(1)
)


async def insert_lines(tx: Transaction, storm_id: int, lines: Sequence[Line]) -> None:
    """Store the places of newcomers."""
    if lines:
        await tx.execute(
            line.insert(),
            [
                {
                    "storm": storm_id,
                    "incident": new.incident,
                    "page": new.page,
                    "joined_at": new.joined_at,
                    "released_at": new.released_at,
                }
                for new in lines
            ],
        )


async def release(
    tx: Transaction, storm_id: int, numbers: Collection[IncidentNumber], *, now: datetime
) -> None:
    """Note that incidents need no line any more."""
    for some in _chunks(numbers):
        await tx.execute(
            update(line).where(line.c.storm == storm_id, line.c.incident.in_(some)).values(released_at=now)
        )


async def list_lines(tx: Transaction, storm_id: int, page: int) -> list[Line]:
    """Return who is on a page, in the order of joining."""
    rows = await tx.execute(
        select(line).where(line.c.storm == storm_id, line.c.page == page).order_by(line.c.incident)
    )
    return [_line(row) for row in rows]


async def list_pages(tx: Transaction, storm_id: int) -> list[int]:
    """Return the pages of a storm."""
    rows = await tx.execute(
        select(line.c.page)
        .where(line.c.storm == storm_id, line.c.page.is_not(None))
        .distinct()
        .order_by(line.c.page)
    )
    return [row.page for row in rows]


async def list_held_open(tx: Transaction, storm_id: int, *, limit: int) -> list[tuple[Line, Severity]]:
    """Return open incidents that wait for a card of their own: the worst first, then the oldest."""
    rows = await tx.execute(
        select(line, incident.c.severity)
        .join(incident, incident.c.number == line.c.incident)
        .where(line.c.storm == storm_id, _is_held, incident.c.closed_at.is_(None))
        .order_by(incident.c.severity.desc(), line.c.incident)
        .limit(limit)
    )
    return [(_line(row), Severity(row.severity)) for row in rows]


async def list_held_closed(tx: Transaction, storm_id: int) -> list[Line]:
    """Return the incidents of which the digest spoke until they were over."""
    rows = await tx.execute(
        select(line)
        .join(incident, incident.c.number == line.c.incident)
        .where(line.c.storm == storm_id, _is_held, incident.c.closed_at.is_not(None))
    )
    return [_line(row) for row in rows]


async def count_newcomers(tx: Transaction, storm_id: int, *, since: datetime) -> int:
    """Return how many incidents joined a storm after a moment."""
    counted = select(func.count()).where(line.c.storm == storm_id, line.c.joined_at > since)
    return int((await tx.execute(counted)).scalar_one())


async def count_held(tx: Transaction) -> dict[int, int]:
    """Return how many incidents digests stand for, for each storm that is not settled."""
    return {int(row.storm): int(row.held) for row in await tx.execute(_count_held)}


_count_held = (
    select(line.c.storm, func.count().label("held"))
    .join(storm, storm.c.id == line.c.storm)
    .where(_is_held, storm.c.settled_at.is_(None))
    .group_by(line.c.storm)
)


async def sum_up(tx: Transaction, storm_id: int) -> Totals:
    """Return a storm in numbers."""
    rows = (
        await tx.execute(
            select(
                line.c.page, line.c.released_at, line.c.joined_at, incident.c.severity, incident.c.closed_at
            )
            .join(incident, incident.c.number == line.c.incident)
            .where(line.c.storm == storm_id)
        )
    ).all()
    alerts = await tx.execute(
        select(func.count())
        .select_from(line.join(alert, alert.c.incident == line.c.incident))
        .where(line.c.storm == storm_id)
    )
    return Totals(
        incidents=len(rows),
        critical=sum(
            row.severity == Severity.CRITICAL and (row.page is None or row.released_at is not None)
            for row in rows
        ),
        alerts=int(alerts.scalar_one()),
        held=sum(row.page is not None and row.released_at is None for row in rows),
        pages=max((row.page for row in rows if row.page is not None), default=0),
        busiest_minute=busiest_minute([row.joined_at for row in rows]),
        resolved=sum(row.closed_at is not None for row in rows),
    )


async def list_worst(tx: Transaction, storm_id: int, *, limit: int) -> list[IncidentNumber]:
    """Return the incidents of a storm that somebody is still to be found for, the worst and newest first.

    Neither one that somebody acknowledged nor one that is quiet is among them.
    """
    rows = await tx.execute(
        select(incident.c.number, incident.c.muting)
        .join(line, line.c.incident == incident.c.number)
        .where(line.c.storm == storm_id, _is_unclaimed)
        .order_by(incident.c.severity.desc(), incident.c.number.desc())
    )
    return [IncidentNumber(row.number) for row in rows if not _is_muted(row.muting)][:limit]


async def list_severities(
    tx: Transaction, numbers: Collection[IncidentNumber]
) -> list[tuple[IncidentNumber, Severity]]:
    """Return how bad incidents are, in the order of their numbers."""
    found: list[tuple[IncidentNumber, Severity]] = []
    for some in _chunks(numbers):
        rows = await tx.execute(
            select(incident.c.number, incident.c.severity)
            .where(incident.c.number.in_(some))
            .order_by(incident.c.number)
        )
        found += [(IncidentNumber(row.number), Severity(row.severity)) for row in rows]
    return sorted(found)


async def list_calling(
    tx: Transaction, numbers: Collection[IncidentNumber], channels: Collection[str]
) -> list[str]:
    """Return whom incidents call for in channels, once for each for which somebody is to be found."""
    called: list[str] = []
    for some in _chunks(numbers):
        rows = await tx.execute(
            select(destination.c.mention, incident.c.muting)
            .join(incident, incident.c.number == destination.c.incident)
            .where(destination.c.incident.in_(some), destination.c.channel.in_(channels), _is_unclaimed)
        )
        called += [one for row in rows if not _is_muted(row.muting) for one in row.mention]
    return called


async def list_still_calling(
    tx: Transaction, storm_id: int, channels: Collection[str], said: Mapping[str, datetime | None]
) -> set[str]:
    """Return who of those named is still to be called: for an incident that called since they last were.

    One that was acknowledged, is over or was silenced meanwhile calls for nobody.
    """
    of_storm = and_(line.c.incident == incident.c.number, line.c.storm == storm_id)
    rows = await tx.execute(
        select(destination.c.mention, destination.c.pinged_at, incident.c.muting, line.c.joined_at)
        .select_from(
            destination.join(incident, incident.c.number == destination.c.incident).outerjoin(line, of_storm)
        )
        .where(
            destination.c.channel.in_(channels),
            _is_unclaimed,
            or_(line.c.joined_at.is_not(None), destination.c.pinged_at.is_not(None)),
        )
    )
    calling: set[str] = set()
    for row in rows:
        if _is_muted(row.muting):
            continue
        called_at = max(moment for moment in (row.joined_at, row.pinged_at) if moment is not None)
        for one in row.mention:
            if one in said and ((last := said[one]) is None or called_at > last):
                calling.add(one)
    return calling


async def note_called(
    tx: Transaction, number: IncidentNumber, channels: Collection[str], *, now: datetime
) -> None:
    """Note that an incident calls for people now, as a ping of its own would."""
    await tx.execute(
        update(destination)
        .where(destination.c.incident == number, destination.c.channel.in_(channels))
        .values(pinged_at=now)
    )


async def forgive(tx: Transaction, channel_id: int, mentions: Collection[str]) -> None:
    """Note that people need not be called any more."""
    if mentions:
        await tx.execute(
            update(mention)
            .where(mention.c.channel_id == channel_id, mention.c.mention.in_(mentions))
            .values(owed=0)
        )


async def owe(tx: Transaction, channel_id: int, mentions: Iterable[str]) -> None:
    """Note that people are to be called, once for each time that they are named."""
    named = list(mentions)
    for one in dict.fromkeys(named):
        times = named.count(one)
        known = await tx.execute(
            update(mention)
            .where(mention.c.channel_id == channel_id, mention.c.mention == one)
            .values(owed=mention.c.owed + times)
        )
        if known.rowcount == 0:
            await tx.execute(
                mention.insert().values(channel_id=channel_id, mention=one, sequence=0, owed=times)
            )


async def list_owed(tx: Transaction, channel_id: int) -> list[Owed]:
    """Return who is called in a channel."""
    rows = await tx.execute(
        select(mention).where(mention.c.channel_id == channel_id).order_by(mention.c.mention)
    )
    return [Owed(row.mention, row.owed, row.said_at) for row in rows]


async def next_call(tx: Transaction, channel_id: int, mentions: Collection[str], *, now: datetime) -> int:
    """Note that people are called by one message; return which one it is in that channel."""
    last = (
        await tx.execute(select(func.max(mention.c.sequence)).where(mention.c.channel_id == channel_id))
    ).scalar()
    sequence = int(last or 0) + 1
    await tx.execute(
        update(mention)
        .where(mention.c.channel_id == channel_id, mention.c.mention.in_(mentions))
        .values(sequence=sequence, said_at=now, owed=0)
    )
    return sequence


async def list_called(tx: Transaction, channel_id: int, sequence: int) -> list[str]:
    """Return who was last called by a message; nobody when later ones called them all."""
    rows = await tx.execute(
        select(mention.c.mention)
        .where(mention.c.channel_id == channel_id, mention.c.sequence == sequence)
        .order_by(mention.c.mention)
    )
    return [row.mention for row in rows]


async def purge(tx: Transaction, *, settled_before: datetime) -> int:
    """Forget storms of long ago; return how many."""
    return (await tx.execute(storm.delete().where(storm.c.settled_at < settled_before))).rowcount


def _is_muted(kept: Mapping[str, Any] | None) -> bool:
    """Say whether nothing of an incident is sent to anybody."""
    muting = read_muting(kept)
    return muting is not None and muting.is_whole


def _chunks(numbers: Collection[IncidentNumber]) -> Iterable[list[IncidentNumber]]:
    ordered = sorted(numbers)
    return (ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK))


def _storm(row: Row[Any]) -> Storm:
    return Storm(
        id=row.id,
        channel_id=row.channel_id,
        since=row.since,
        forced=row.forced,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
        settled_at=row.settled_at,
    )


def _line(row: Row[Any]) -> Line:
    return Line(IncidentNumber(row.incident), row.page, row.joined_at, row.released_at)
