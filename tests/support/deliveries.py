"""Builders for deliveries, and ways to look at them."""

from datetime import datetime

from bot.alerts.inbox import store
from bot.alerts.inbox.model import Arrival, Delivery, DeliveryId, DeliveryState, Kind
from bot.database.engine import Database
from tests.support.clock import NOON


def an_arrival(body: bytes = b"{}", *, source: str = "main", received_at: datetime = NOON) -> Arrival:
    return Arrival(source=source, kind=Kind.ALERTMANAGER, received_at=received_at, body=body)


async def put(database: Database, *arrivals: Arrival) -> list[DeliveryId]:
    """Commit deliveries as the inbox would."""
    async with database.transaction() as tx:
        return await store.insert_many(tx, arrivals)


async def stored(database: Database, number: DeliveryId) -> Delivery:
    async with database.reading() as tx:
        return await store.get_delivery(tx, number)


async def states(database: Database) -> list[DeliveryState]:
    """Return the state of each delivery, oldest first."""
    async with database.reading() as tx:
        listed = await store.list_deliveries(tx, state=None, limit=1_000)
    return [progress.state for progress in reversed(listed)]
