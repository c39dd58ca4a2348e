"""The tables of Minecraft servers: how they stand, their samples and hours, requests for their whitelists."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, Column, Float, Index, Integer, Row, Table, Text, func, select, update

from bot.database.engine import Transaction
from bot.database.schema import BigId, UtcDateTime, metadata
from bot.minecraft.history import Hour, Sample
from bot.minecraft.model import Condition, Standing, Stop, Trouble
from bot.minecraft.requests import Request, RequestState

server = Table(
    "minecraft_server",
    metadata,
    Column("name", Text, primary_key=True),
    Column("condition", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("trouble", Text),
    Column("checked_at", UtcDateTime, nullable=False),
    Column("down_since", UtcDateTime),
    Column("alarmed", Boolean, nullable=False),
    Column("stopped_by", Text),
    Column("stopped_at", UtcDateTime),
)
sample = Table(
    "minecraft_sample",
    metadata,
    Column("server", Text, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("up", Boolean, nullable=False),
    Column("players", Integer, nullable=False),
    Column("most", Integer, nullable=False),
    Column("latency_ms", Integer, nullable=False),
)
Index("ix_minecraft_sample_at", sample.c.at)
hour = Table(
    "minecraft_hour",
    metadata,
    Column("server", Text, primary_key=True),
    Column("start", UtcDateTime, primary_key=True),
    Column("up_seconds", Integer, nullable=False),
    Column("down_seconds", Integer, nullable=False),
    Column("average", Float, nullable=False),
    Column("peak", Integer, nullable=False),
    Column("peak_at", UtcDateTime),
    Column("latency_ms", Integer, nullable=False),
)
Index("ix_minecraft_hour_start", hour.c.start)
request = Table(
    "minecraft_request",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("server", Text, nullable=False),
    Column("player", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("asked_in", BigId, nullable=False),
    Column("state", Text, nullable=False),
    Column("settled_by", Text),
    Column("settled_at", UtcDateTime),
    Column("outcome", Text, nullable=False),
)
Index("ix_minecraft_request_state", request.c.state)


async def list_standings(tx: Transaction) -> list[Standing]:
    """Return how each server stood when it was last written down."""
    return [_standing(row) for row in await tx.execute(select(server))]


async def save_standing(tx: Transaction, standing: Standing) -> None:
    """Write down how a server stands."""
    values = {
        "condition": standing.condition.value,
        "since": standing.since,
        "trouble": standing.trouble.value if standing.trouble is not None else None,
        "checked_at": standing.checked_at,
        "down_since": standing.down_since,
        "alarmed": standing.alarmed,
        "stopped_by": standing.stop.by_id if standing.stop is not None else None,
        "stopped_at": standing.stop.at if standing.stop is not None else None,
    }
    known = await tx.execute(update(server).where(server.c.name == standing.server).values(values))
    if known.rowcount == 0:
        await tx.execute(server.insert().values(name=standing.server, **values))


async def forget_servers(tx: Transaction, names: Collection[str]) -> None:
    """Forget how servers stood that nobody watches any more; their past stays as long as any."""
    await tx.execute(server.delete().where(server.c.name.in_(names)))


async def add_samples(tx: Transaction, samples: Iterable[tuple[str, Sample]]) -> None:
    """Keep what was seen of some servers."""
    rows = [
        {
            "server": name,
            "at": each.at,
            "up": each.up,
            "players": each.players,
            "most": each.most,
            "latency_ms": each.latency_ms,
        }
        for name, each in samples
    ]
    if rows:
        await tx.execute(sample.insert(), rows)


async def list_samples(tx: Transaction, name: str, *, since: datetime, until: datetime) -> list[Sample]:
    """Return the samples of a server, oldest first."""
    rows = await tx.execute(
        select(sample)
        .where(sample.c.server == name, sample.c.at >= since, sample.c.at < until)
        .order_by(sample.c.at)
    )
    return [Sample(row.at, row.up, row.players, row.most, row.latency_ms) for row in rows]


async def list_oldest(tx: Transaction) -> dict[str, datetime]:
    """Return when the oldest sample of each server was taken."""
    rows = await tx.execute(
        select(sample.c.server, func.min(sample.c.at, type_=UtcDateTime()).label("at")).group_by(
            sample.c.server
        )
    )
    return {row.server: row.at for row in rows}


async def list_last_hours(tx: Transaction) -> dict[str, datetime]:
    """Return the last hour of each server that is kept."""
    rows = await tx.execute(
        select(hour.c.server, func.max(hour.c.start, type_=UtcDateTime()).label("start")).group_by(
            hour.c.server
        )
    )
    return {row.server: row.start for row in rows}


async def add_hours(tx: Transaction, name: str, hours: Sequence[Hour]) -> None:
    """Keep what some hours were like; those that are kept already are replaced."""
    starts = [each.start for each in hours]
    await tx.execute(hour.delete().where(hour.c.server == name, hour.c.start.in_(starts)))
    rows = [
        {
            "server": name,
            "start": each.start,
            "up_seconds": round(each.up.total_seconds()),
            "down_seconds": round(each.down.total_seconds()),
            "average": each.average,
            "peak": each.peak,
            "peak_at": each.peak_at,
            "latency_ms": each.latency_ms,
        }
        for each in hours
    ]
    if rows:
        await tx.execute(hour.insert(), rows)


async def list_hours(tx: Transaction, name: str, *, since: datetime, until: datetime) -> list[Hour]:
    """Return what hours were like, oldest first."""
    rows = await tx.execute(
        select(hour)
        .where(hour.c.server == name, hour.c.start >= since, hour.c.start < until)
        .order_by(hour.c.start)
    )
    return [
        Hour(
            row.start,
            timedelta(seconds=row.up_seconds),
            timedelta(seconds=row.down_seconds),
            row.average,
            row.peak,
            row.peak_at,
            row.latency_ms,
        )
        for row in rows
    ]


async def purge_samples(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Forget samples that were taken before a moment, some at a time, the oldest first."""
    last = (
        await tx.execute(
            select(sample.c.at).where(sample.c.at < before).order_by(sample.c.at).limit(1).offset(limit - 1)
        )
    ).scalar()
    until = sample.c.at <= last if last is not None else sample.c.at < before
    return (await tx.execute(sample.delete().where(until))).rowcount


async def purge_hours(tx: Transaction, *, before: datetime) -> int:
    """Forget hours that began before a moment."""
    return (await tx.execute(hour.delete().where(hour.c.start < before))).rowcount


async def insert_request(tx: Transaction, asked: Request) -> Request:
    """Keep a request; return it with its number."""
    values = _request_values(asked)
    number = (await tx.execute(request.insert().values(values).returning(request.c.id))).scalar_one()
    return asked.numbered(int(number))


async def update_request(tx: Transaction, asked: Request) -> None:
    """Write down what became of a request."""
    await tx.execute(update(request).where(request.c.id == asked.number).values(_request_values(asked)))


async def find_request(tx: Transaction, number: int) -> Request | None:
    """Return a request by its number."""
    row = (await tx.execute(select(request).where(request.c.id == number))).first()
    return _request(row) if row is not None else None


async def list_waiting(tx: Transaction, name: str | None = None, by: str | None = None) -> list[Request]:
    """Return the requests that wait for an operator, oldest first: of all, of a server, of a person."""
    wanted = select(request).where(request.c.state == RequestState.WAITING.value).order_by(request.c.id)
    if name is not None:
        wanted = wanted.where(request.c.server == name)
    if by is not None:
        wanted = wanted.where(request.c.asked_by == by)
    return [_request(row) for row in await tx.execute(wanted)]


async def purge_requests(tx: Transaction, *, before: datetime) -> int:
    """Forget requests that were settled before a moment; the messages stay."""
    return (await tx.execute(request.delete().where(request.c.settled_at < before))).rowcount


def _standing(row: Row[Any]) -> Standing:
    stop = Stop(by_id=row.stopped_by or "", at=row.stopped_at) if row.stopped_at is not None else None
    return Standing(
        server=row.name,
        condition=Condition(row.condition),
        since=row.since,
        trouble=Trouble(row.trouble) if row.trouble else None,
        checked_at=row.checked_at,
        down_since=row.down_since,
        alarmed=row.alarmed,
        stop=stop,
    )


def _request_values(asked: Request) -> dict[str, Any]:
    return {
        "server": asked.server,
        "player": asked.player,
        "note": asked.note,
        "asked_by": asked.asked_by,
        "asked_at": asked.asked_at,
        "asked_in": asked.asked_in,
        "state": asked.state.value,
        "settled_by": asked.settled_by,
        "settled_at": asked.settled_at,
        "outcome": asked.outcome,
    }


def _request(row: Row[Any]) -> Request:
    return Request(
        number=row.id,
        server=row.server,
        player=row.player,
        note=row.note,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        asked_in=row.asked_in,
        state=RequestState(row.state),
        settled_by=row.settled_by,
        settled_at=row.settled_at,
        outcome=row.outcome,
    )
