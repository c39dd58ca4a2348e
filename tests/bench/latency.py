"""From a webhook to the message, one at a time: what a single alert waits for."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, at_most, spread
from tests.bench.load import deliveries
from tests.bench.system import Discord, Place, discord, machine, until

_WARM = 5
_QUIET_SECONDS = 0.05
"""Between two, so that each finds the bot idle."""


async def measure(place: Place, folder: Path, *, latency: float, samples: int) -> AsyncIterator[Figure]:
    """Post a new group, wait for its message, and again."""
    async with discord(latency=latency) as there, machine(folder, await place.fresh(), there) as bot:
        await bot.wait_ready(there)
        took: list[float] = []
        direct: list[float] = []
        for number, body in enumerate(deliveries(samples + _WARM, samples + _WARM)):
            sent = time.time()
            await bot.post(body)
            message = await _message(there, count=2 * number + 1)
            took.append(datetime.fromisoformat(message["created_at"]).timestamp() - sent - latency)
            direct.append(await there.create_time() - latency)
            await asyncio.sleep(_QUIET_SECONDS)
        beyond = spread(took[_WARM:])
        itself = spread(direct[_WARM:])
        what = f"webhook → message, {place.name}, Discord takes {latency * 1000:.0f} ms"
        yield at_most(f"{what}: p50", beyond.p50, 60, "ms", baseline=f"a bare create: {itself.p50:.1f} ms")
        yield at_most(f"{what}: p99", beyond.p99, 150, "ms", baseline=f"a bare create: {itself.p99:.1f} ms")


async def _message(there: Discord, *, count: int) -> dict[str, Any]:
    """Wait until there are so many messages, and return the newest of the alerts."""

    async def is_there() -> bool:
        return await there.count_messages() >= count

    await until(is_there, every=0.005, within=30)
    return (await there.messages())[-1]
