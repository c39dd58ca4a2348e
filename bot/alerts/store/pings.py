"""The last ping of an incident in each of its channels."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, update

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.store.tables import destination
from bot.database.engine import Transaction


@dataclass(frozen=True, slots=True)
class Ping:
    """The last ping of an incident in a channel."""

    sequence: int
    reason: str
    at: datetime


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
