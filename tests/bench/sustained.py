"""A storm that goes on: 500 deliveries a second while everything else is at work."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bot.database.engine import Database
from tests.bench.figures import Figure, Verdict, at_least, at_most, spread
from tests.bench.inbox import bare
from tests.bench.load import ALERTS, Answers, send_apart
from tests.bench.system import Place, discord, machine, pending, settled, until

RATE = 500
GROUPS = 500
LATENCY = 0.03
"""Discord's answer time, as it usually is; no rate limits, so that the courier has all it can do."""
TRIES = 3
HELD_UP = 0.02
"""A sender that was late itself by this many seconds found a machine that was busy with something else:
what it measured says little of the bot, and is measured again."""


async def measure(place: Place, folder: Path, *, seconds: float) -> AsyncIterator[Figure]:
    """Send at a constant rate to the whole bot, and see how answers, applying and memory fare."""
    tries, lag = 0, HELD_UP
    figures: list[Figure] = []
    while tries < TRIES:
        tries += 1
        figures, lag = await _try(place, folder, seconds=seconds)
        if lag <= HELD_UP or all(figure.verdict is not Verdict.OVER for figure in figures):
            break
    for figure in figures:
        yield figure
    yield Figure("  sender late at worst", f"{lag * 1000:.1f} ms", baseline=f"{tries} of {TRIES} tries")


async def _try(place: Place, folder: Path, *, seconds: float) -> tuple[list[Figure], float]:
    """Return the figures, and how many seconds the sender was late at worst."""
    count = round(RATE * seconds)
    disk = await asyncio.to_thread(sync_times, folder)
    async with bare() as port:
        reference = spread((await send_apart(port, rate=RATE, count=count, groups=GROUPS)).took)
    url = await place.fresh()
    async with (
        discord(latency=LATENCY) as there,
        machine(folder, url, there) as bot,
        Database(url) as database,
    ):
        await bot.wait_ready(there)
        await asyncio.sleep(1)
        used = bot.cpu_seconds
        sending = asyncio.create_task(send_apart(bot.port, rate=RATE, count=count, groups=GROUPS))
        applied = await _rate_while(sending, database)
        answers = sending.result()
        used = (bot.cpu_seconds - used) / seconds
        left = await pending(database)
        drained = await until(lambda: _is_empty(database), every=0.1, within=120)
        states = await settled(database)
        took = spread(answers.took)
        what = f"{RATE}/s of {ALERTS} alerts for {seconds:g} s, {place.name}"
        rate = f"{left / drained:.0f}/s" if left else "nothing left"
        wrote = f"the disk's sync: {spread(disk)}"
        figures = [
            at_most(f"{what}: p50", took.p50, 10, "ms", baseline=f"bare: {reference.p50:.1f} ms"),
            at_most(f"{what}: p99", took.p99, 25, "ms", baseline=f"bare: {reference.p99:.1f} ms"),
            at_most("  refused or unanswered", count - len(answers.took), 0, f"of {count}"),
            at_most("  accepted, but not applied in the end", count - states["applied"], 0, f"of {count}"),
            at_least("  applied meanwhile", applied, 100, "/s", baseline=f"{used:.0%} of a core used"),
            Figure("  rest of the inbox applied", rate, baseline=f"{left} deliveries in {drained:.1f} s"),
            Figure(f"  resident after {count} deliveries", f"{bot.resident_mib:.0f} MiB", baseline=wrote),
        ]
    return figures, answers.lag


def sync_times(folder: Path) -> list[float]:
    """Return the seconds that it takes to have a page on the disk: each commit waits for that."""
    took: list[float] = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return took


async def _rate_while(sending: "asyncio.Task[Answers]", database: Database) -> float:
    """Return how many deliveries were applied a second from the first one until the sender was done."""
    await until(lambda: _has_begun(database), every=0.02, within=60)
    began = time.perf_counter()
    await sending
    took = time.perf_counter() - began
    states = await settled(database)
    return (sum(states.values()) - states["pending"]) / took


async def _has_begun(database: Database) -> bool:
    return bool(await settled(database))


async def _is_empty(database: Database) -> bool:
    return await pending(database) == 0
