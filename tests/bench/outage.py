"""Discord answers 503 for a while, alerts go on."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from bot.alerts.storm.model import PAGE_LINES
from tests.bench.figures import Figure, at_most
from tests.bench.load import send_apart
from tests.bench.system import Discord, Place, discord, machine, until

ALERTS = 600


async def measure(place: Place, folder: Path, *, seconds: float) -> AsyncIterator[Figure]:
    """Send groups of one alert while Discord is out; each must be shown once, soon after it is back."""
    async with discord() as there, machine(folder, await place.fresh(), there) as bot:
        await bot.wait_ready(there)
        out = {"method": "*", "path": "**", "kind": "server_error", "with": {"status": 503}, "times": None}
        await there.tell("faults", **out, for_seconds=seconds)
        back = time.perf_counter() + seconds
        rate = ALERTS / (seconds - 2)
        sending = asyncio.create_task(send_apart(bot.port, rate=rate, count=ALERTS, groups=ALERTS, alerts=1))
        answers = await sending
        await asyncio.sleep(max(0.0, back - time.perf_counter()))
        began = time.perf_counter()
        await until(lambda: _all_shown(there), every=0.05, within=120)
        took = time.perf_counter() - began
        await asyncio.sleep(1)
        what = f"{ALERTS} alerts during {seconds:g} s of 503, {place.name}"
        yield at_most(f"{what}: refused", ALERTS - len(answers.took), 0, "alerts")
        yield at_most(f"{what}: all shown after", took, 15, "s", baseline=await _bare(there))
        yield at_most("  said twice", await _twice(there), 0, "alerts")


async def _all_shown(there: Discord) -> bool:
    """Tell whether every group is named: on a card, or with others on the digest of a storm."""
    if await there.count_messages() < ALERTS / PAGE_LINES:
        return False
    texts = "".join(message["text"] for message in await there.messages())
    return len(set(re.findall(r"Group\d{5}", texts))) >= ALERTS


async def _twice(there: Discord) -> int:
    """Return how many messages tell of an incident that another one tells of, deleted ones too."""
    messages = [*await there.messages(), *await there.messages(deleted=True)]
    shown = Counter(min(message["custom_ids"], default=message["id"]) for message in messages)
    return sum(count - 1 for count in shown.values())


async def _bare(there: Discord) -> str:
    """Say how long as many bare creations take, one after the other."""
    few = 50
    took = sum([await there.create_time() for _ in range(few)])
    return f"bare creates: {took / few * ALERTS:.1f} s"
