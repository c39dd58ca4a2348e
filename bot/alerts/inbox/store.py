"""The table of deliveries and its queries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    Row,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, ProgrammingError

from bot.alerts.inbox.model import Arrival, Delivery, DeliveryId, DeliveryState, Kind, Progress
from bot.core.errors import ConflictError, InvalidError, NotFoundError
from bot.database.engine import Transaction
from bot.database.schema import BigId, UtcDateTime, metadata

delivery = Table(
    "delivery",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("starts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("settled_at", UtcDateTime),
    # Last, because SQLite reads a row from its start: what is listed comes before it.
    Column("body", LargeBinary, nullable=False),
    Column("trace", Text),
    # An id is never used twice, also when the newest row has been purged.
    sqlite_autoincrement=True,
)
_PENDING = delivery.c.state == DeliveryState.PENDING.value
# Claimed by state and not by "id greater than the last": PostgreSQL's ids do not commit in order.
Index("ix_delivery_pending", delivery.c.id, sqlite_where=_PENDING, postgresql_where=_PENDING)

_PROGRESS = tuple(column for column in delivery.c if column.name not in {"body", "trace"})
_CLAIMED_BYTES = 8 * 2**20
"""More than this of bodies is not held at once, unless one alone is larger."""


async def insert_many(tx: Transaction, arrivals: Sequence[Arrival]) -> list[DeliveryId]:
    """Save deliveries and return their ids, in the same order.

    Raises:
        InvalidError: The database refuses one of them; none is saved.
    """
    try:
        saved = await tx.execute(_INSERT[tx.dialect], [_values(arrival) for arrival in arrivals])
    except (IntegrityError, ProgrammingError) as error:
        raise InvalidError("the database refuses this delivery") from error
    return [DeliveryId(number) for number in sorted(saved.scalars())]


# In order by itself on PostgreSQL. SQLite would be given one statement a row for that;
# it has one writer, so that the ids of one statement go up in the order of its rows.
_INSERT = {
    dialect: insert(delivery).returning(delivery.c.id, sort_by_parameter_order=in_order)
    for dialect, in_order in (("postgresql", True), ("sqlite", False))
}


def _values(arrival: Arrival) -> Mapping[str, Any]:
    return {
        "source": arrival.source,
        "kind": arrival.kind.value,
        "received_at": arrival.received_at,
        "size": len(arrival.body),
        "content_type": arrival.content_type,
        "user_agent": arrival.user_agent,
        "state": DeliveryState.PENDING.value,
        "body": arrival.body,
        "trace": arrival.trace,
    }


async def claim_next(tx: Transaction, *, limit: int) -> list[Delivery]:
    """Begin with the oldest pending deliveries: count the start of each, and return them, oldest first.

    Those that were never begun come together. One that was begun before comes
    alone: should it be what ends the process, no other is blamed with it.
    """
    columns = (delivery.c.id, delivery.c.starts, delivery.c.size)
    waiting = (await tx.execute(select(*columns).where(_PENDING).order_by(delivery.c.id).limit(limit))).all()
    chosen = _together(waiting)
    if not chosen:
        return []
    await tx.execute(update(delivery).where(delivery.c.id.in_(chosen)).values(starts=delivery.c.starts + 1))
    claimed = await tx.execute(select(delivery).where(delivery.c.id.in_(chosen)).order_by(delivery.c.id))
    return [_delivery(row) for row in claimed]


def _together(waiting: Sequence[Row[Any]]) -> list[int]:
    if not waiting or waiting[0].starts:
        return [row.id for row in waiting[:1]]
    chosen: list[int] = []
    size = 0
    for row in takewhile(lambda row: not row.starts, waiting):
        size += row.size
        if chosen and size > _CLAIMED_BYTES:
            break
        chosen.append(row.id)
    return chosen


async def give_back(tx: Transaction, ids: Sequence[DeliveryId]) -> None:
    """Take back the count of a start that never was a fair try."""
    if ids:
        await tx.execute(
            update(delivery)
            .where(delivery.c.id.in_(ids), delivery.c.starts > 0, _PENDING)
            .values(starts=delivery.c.starts - 1)
        )


async def begin_again(tx: Transaction, number: DeliveryId, *, error: str) -> None:
    """Count a failure, and the start of the next try."""
    await tx.execute(
        update(delivery)
        .where(delivery.c.id == number)
        .values(failures=delivery.c.failures + 1, starts=delivery.c.starts + 1, error=error)
    )


async def mark(
    tx: Transaction, number: DeliveryId, state: DeliveryState, *, now: datetime, error: str = ""
) -> None:
    """Say what became of a delivery."""
    await tx.execute(_mark, {"_id": number, "state": state.value, "settled_at": now, "error": error})


# Put together once: that takes SQLAlchemy longer than running it.
_mark = update(delivery).where(delivery.c.id == bindparam("_id"))


async def get_delivery(tx: Transaction, number: DeliveryId) -> Delivery:
    """Return a delivery with its body.

    Raises:
        NotFoundError: There is none, or it has been purged.
    """
    row = (await tx.execute(select(delivery).where(delivery.c.id == number))).first()
    if row is None:
        raise NotFoundError(f"there is no delivery {number}")
    return _delivery(row)


async def list_deliveries(tx: Transaction, *, state: DeliveryState | None, limit: int) -> list[Progress]:
    """Return the newest deliveries, newest first, of one state or of all."""
    statement = select(*_PROGRESS).order_by(delivery.c.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(delivery.c.state == state.value)
    return [_progress(row) for row in await tx.execute(statement)]


async def retry(tx: Transaction, number: DeliveryId) -> None:
    """Have a quarantined delivery applied again, as if it had never been tried.

    Raises:
        NotFoundError: There is no such delivery.
        ConflictError: It is not quarantined.
    """
    found = await get_delivery(tx, number)
    if found.progress.state is not DeliveryState.QUARANTINED:
        raise ConflictError(f"delivery {number} is {found.progress.state}, not quarantined")
    await tx.execute(
        update(delivery)
        .where(delivery.c.id == number)
        .values(state=DeliveryState.PENDING.value, starts=0, failures=0, error="", settled_at=None)
    )


async def purge(tx: Transaction, *, before: datetime, quarantined_before: datetime, limit: int = 500) -> int:
    """Delete old deliveries that are settled, a few at a time; return how many."""
    done = delivery.c.state.in_((DeliveryState.APPLIED.value, DeliveryState.REPEAT.value))
    put_aside = delivery.c.state == DeliveryState.QUARANTINED.value
    old = (
        select(delivery.c.id)
        .where(
            (done & (delivery.c.received_at < before))
            | (put_aside & (delivery.c.received_at < quarantined_before))
        )
        .order_by(delivery.c.received_at)
        .limit(limit)
    )
    return (await tx.execute(delete(delivery).where(delivery.c.id.in_(old)))).rowcount


async def count_pending(tx: Transaction) -> int:
    """Return how many deliveries wait."""
    counted = await tx.execute(select(func.count()).select_from(delivery).where(_PENDING))
    return int(counted.scalar_one())


async def count_by_state(tx: Transaction) -> Mapping[DeliveryState, int]:
    """Return how many deliveries there are of each state."""
    counted = await tx.execute(
        select(delivery.c.state, func.count().label("number")).group_by(delivery.c.state)
    )
    found = {DeliveryState(row.state): int(row.number) for row in counted}
    return {state: found.get(state, 0) for state in DeliveryState}


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(_progress(row), bytes(row.body), row.trace)


def _progress(row: Row[Any]) -> Progress:
    return Progress(
        id=DeliveryId(row.id),
        source=row.source,
        kind=Kind(row.kind),
        received_at=row.received_at,
        size=row.size,
        content_type=row.content_type,
        user_agent=row.user_agent,
        state=DeliveryState(row.state),
        starts=row.starts,
        failures=row.failures,
        error=row.error,
        settled_at=row.settled_at,
    )
