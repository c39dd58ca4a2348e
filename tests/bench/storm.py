"""A storm: more groups than a channel takes messages, into a Discord with its limits on.

By itself: `python -m tests.bench.storm`.
"""

import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import func, select

from bot.alerts.inbox.store import delivery
from bot.alerts.storm.model import PAGE_LINES
from bot.database.engine import Database
from tests.bench.figures import Figure, Verdict, at_most, print_table
from tests.bench.load import ALERTS, deliveries, send_apart
from tests.bench.system import Discord, Place, discord, machine, places, until

GROUPS = 1_000
WITHIN = 30.0
"""Seconds in which they all arrive."""
LIMIT = (5, 5.0)
"""Messages, and as many edits, in so many seconds, as Discord has it for a channel."""
LATENCY = 0.05
ONE_GROUP = 10_000

_NAME = r"\*\*(Group\d{5})|· (Group\d{5})\n"
_ALERT = (
    r'alertname="(Group\d{5})", namespace="shop", pod="(api-\d+)"'
    r"|alertname: (Group\d{5})\n +namespace: shop\n +pod: (api-\d+)"
)


async def measure(place: Place, folder: Path) -> AsyncIterator[Figure]:
    """Let a thousand groups arrive, then one of ten thousand alerts."""
    async for figure in _many_groups(place, folder):
        yield figure
    async for figure in _one_group(place, folder):
        yield figure


async def _many_groups(place: Place, folder: Path) -> AsyncIterator[Figure]:
    url = await place.fresh()
    async with (
        discord(latency=LATENCY) as there,
        machine(folder, url, there) as bot,
        Database(url) as database,
    ):
        await bot.wait_ready(there)
        await _limit(there)
        cpu = bot.cpu_seconds
        answers = await send_apart(bot.port, rate=GROUPS / WITHIN, count=GROUPS, groups=GROUPS)
        began = await _first_arrival(database)
        listed = await _wait_for(there, _ALERT, "files", GROUPS * ALERTS)
        named = (await _seen(there, _NAME))["texts"]
        await asyncio.sleep(1)
        stats, messages = await there.ask("stats"), await there.messages()
        what = f"{GROUPS} groups of {ALERTS} in {WITHIN:g} s, {place.name}"
        pages = ceil(GROUPS / PAGE_LINES)
        yield at_most(f"{what}: refused", GROUPS - len(answers.took), 0, "deliveries")
        yield _after("  every group named after", named, began, 45, f"limits alone: {_needs(pages)}")
        yield _after(
            "  every alert in a list after", listed, began, 60, f"a card each: {_takes(GROUPS):.0f} s"
        )
        yield at_most("  messages", len(messages) + stats["deleted"], 40, "", baseline=f"{pages} pages")
        yield at_most("  groups lost", GROUPS - len(named), 0, "")
        yield at_most("  alerts lost", GROUPS * ALERTS - len(listed), 0, "")
        yield at_most("  groups doubled", _doubled(messages), 0, "")
        yield at_most("  answers 429", stats["count_429"], 0, "")
        yield Figure("  edits", str(stats["edits"]))
        yield Figure(
            "  processor time", f"{bot.cpu_seconds - cpu:.1f} s", baseline=f"{bot.resident_mib:.0f} MiB"
        )


async def _one_group(place: Place, folder: Path) -> AsyncIterator[Figure]:
    url = await place.fresh()
    async with discord(latency=LATENCY) as there, machine(folder, url, there) as bot:
        await bot.wait_ready(there)
        await _limit(there)
        [body] = deliveries(1, 1, ONE_GROUP)
        began = time.time()
        await bot.post(body)
        listed = await _wait_for(there, _ALERT, "files", ONE_GROUP)
        named = (await _seen(there, _NAME))["texts"]
        yield _after(
            f"{ONE_GROUP} alerts in one group, {place.name}: named after", named, began, 45, "one message"
        )
        yield _after("  every alert in a list after", listed, began, 60, "")
        yield at_most("  messages", len(await there.messages()), 1, "")
        yield at_most("  alerts lost", ONE_GROUP - len(listed), 0, "")


async def _limit(there: Discord) -> None:
    await there.tell("limits", channel_create=LIMIT, channel_edit=LIMIT)


async def _first_arrival(database: Database) -> float:
    async with database.reading() as tx:
        moment: datetime = (await tx.execute(select(func.min(delivery.c.received_at)))).scalar_one()
    return moment.timestamp()


async def _seen(there: Discord, pattern: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = await there.ask(
        f"seen?channel={there.channels['alerts']}&pattern={quote(pattern, safe='')}"
    )
    return found


async def _wait_for(there: Discord, pattern: str, where: str, count: int) -> dict[str, str]:
    """Wait until so many different things stand there; give up where the budget is long over."""
    found: dict[str, str] = {}

    async def are_there() -> bool:
        nonlocal found
        found = (await _seen(there, pattern))[where]
        return len(found) >= count

    try:
        # Seldom: the simulator looks through everything that it ever was sent.
        await until(are_there, every=5, within=90)
    except TimeoutError:
        print(f"{count - len(found)} of {count} are nowhere", file=sys.stderr)
    return found


def _after(name: str, seen: dict[str, str], began: float, budget: float, baseline: str) -> Figure:
    last = max((datetime.fromisoformat(at).timestamp() for at in seen.values()), default=float("inf"))
    return at_most(name, last - began, budget, "s", baseline=baseline)


def _takes(messages: int) -> float:
    """Return the seconds from the first to the last of so many messages, as the limits have it."""
    return (ceil(messages / LIMIT[0]) - 1) * LIMIT[1]


def _needs(messages: int) -> str:
    return f"{max(WITHIN, _takes(messages)):.0f} s ({messages} messages {_takes(messages):.0f} s, arrivals {WITHIN:g} s)"


def _doubled(messages: list[dict[str, Any]]) -> int:
    counted = Counter("".join(names) for message in messages for names in re.findall(_NAME, message["text"]))
    return sum(count - 1 for count in counted.values())


async def _all() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="machine-bench-") as name:
        folder = Path(name)
        with places(folder, postgresql=False) as found:
            return [figure async for figure in measure(found[0], folder)]


def main() -> int:
    """Run from the command line."""
    figures = asyncio.run(_all())
    print_table(figures)
    return 1 if any(figure.verdict is Verdict.OVER for figure in figures) else 0


if __name__ == "__main__":
    raise SystemExit(main())
