"""A restart with deliveries that wait: how soon the inbox is empty."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from bot.database.engine import Database
from bot.database.migrate import upgrade
from tests.bench.figures import Figure, at_least
from tests.bench.load import deliveries
from tests.bench.system import Place, discord, machine, pending, until
from tests.support.deliveries import an_arrival, put

WAITING = 1_000


async def measure(place: Place, folder: Path) -> AsyncIterator[Figure]:
    """Start on an inbox that is full."""
    url = await place.fresh()
    async with Database(url) as database:
        await upgrade(database)
        now = datetime.now(UTC)
        await put(database, *(an_arrival(body, received_at=now) for body in deliveries(WAITING, WAITING)))
        async with discord() as there, machine(folder, url, there) as bot:
            await bot.wait_ready()
            left, began = await pending(database), time.perf_counter()

            async def is_empty() -> bool:
                return await pending(database) == 0

            await until(is_empty, every=0.05, within=120)
            took = time.perf_counter() - began
        name = f"restart with {WAITING} deliveries waiting, {place.name}"
        yield at_least(name, left / took, 100, "/s", baseline=f"empty {took:.1f} s after it was ready")
