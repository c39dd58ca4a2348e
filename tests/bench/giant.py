"""One group of 10,000 alerts: how soon it is applied, and whether it holds everything else up."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bot.database.engine import Database
from tests.bench.figures import Figure, at_most, spread
from tests.bench.system import Machine, Place, discord, machine, settled, until
from tests.support.alerts import a_body, an_entry

ALERTS = 10_000
_DESCRIPTION = "The container restarts again and again, and nobody knows why it does that. " * 4
_BLOCKED = 250.0
"""Milliseconds: a probe must not fail, and a delivery beside it be answered in good time."""


async def measure(place: Place, folder: Path) -> AsyncIterator[Figure]:
    """Post it twice, the second time with every alert resolved, probing the event loop all the while."""
    url = await place.fresh()
    async with discord() as there, machine(folder, url, there) as bot, Database(url) as database:
        await bot.wait_ready(there)
        quiet = [await bot.livez() for _ in range(200)]
        probing = asyncio.create_task(_probe(bot, probes := []))
        for number, status in enumerate(("firing", "resolved"), start=1):
            body = _body(status)
            began = time.perf_counter()
            await bot.post(body)

            async def is_applied(count: int = number) -> bool:
                return (await settled(database))["applied"] == count

            await until(is_applied, every=0.01, within=120)
            took = time.perf_counter() - began
            yield Figure(
                f"{ALERTS} alerts, {len(body) / 1e6:.1f} MB, {status}: applied, {place.name}", f"{took:.1f} s"
            )
        await asyncio.sleep(3)
        probing.cancel()
        baseline = f"idle: {spread(quiet).longest:.1f} ms"
        longest = spread(probes).longest
        yield at_most("  event loop blocked at worst", longest, _BLOCKED, "ms", baseline=baseline)
        yield Figure("  resident after it", f"{bot.resident_mib:.0f} MiB")


async def _probe(bot: Machine, probes: list[float]) -> None:
    while True:
        probes.append(await bot.livez())
        await asyncio.sleep(0.005)


def _body(status: str) -> bytes:
    entries = (
        an_entry(
            status=status,
            until="2026-11-21T12:30:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
            annotations={"summary": f"Pod {index} restarts", "description": _DESCRIPTION},
            namespace="shop",
            pod=f"api-{index:05}",
        )
        for index in range(ALERTS)
    )
    return a_body(*entries)
