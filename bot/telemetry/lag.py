"""How late the event loop wakes up: the first sign that something blocks it."""

import asyncio
from datetime import timedelta

from bot.core.loops import AT_ONCE
from bot.telemetry.metrics import EVENT_LOOP_LAG

_EVERY = timedelta(seconds=1)


async def measure_lag() -> timedelta:
    """Sleep for a second and note how much longer it took."""
    loop = asyncio.get_running_loop()
    due = loop.time() + _EVERY.total_seconds()
    await asyncio.sleep(_EVERY.total_seconds())
    EVENT_LOOP_LAG.set(max(0.0, loop.time() - due))
    return AT_ONCE
