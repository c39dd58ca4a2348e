"""What is offered at each key stroke, with 5,000 Applications watched: through the cog, from memory alone."""

import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import discord

from bot.access.model import Grant, Policy
from bot.argocd.cluster import APPLICATIONS
from bot.chat.handlers import Actions
from bot.core.tasks import running
from bot.database.engine import Database
from bot.database.migrate import upgrade
from bot.demo.cluster.server import ApiServer
from cogs.argocd import ArgoCdCog
from tests.bench.cluster import COUNT, a_large_application
from tests.bench.figures import Figure, at_most, spread
from tests.support.argo_desk import GUILD, Desk, Stage
from tests.support.clock import ManualClock

_SLOWEST = 30.0
"""Milliseconds, of one key stroke in a hundred."""
_TIMES = 25
_TYPED = (
    "",
    "s",
    "se",
    "service",
    "service-04",
    "service-04999",
    "4999",
    "argocd/service-031",
    "team-17",
    "team-17 service 9",
    "svc49",
    "svr0 tm3",
    "zzz",
    "e e e e e e",
)
_MAY = {
    "everything": ("*",),
    "a few": ("project:team-7", "app:argocd/service-03*"),
    "nothing of it": ("project:x",),
}


class _Took(NamedTuple):
    """What one key stroke takes, in seconds."""

    own: float
    """Of the processor's time."""
    clock: float


async def measure(folder: Path) -> AsyncIterator[Figure]:
    """Type what people type, as fast as one key stroke follows the other; in between Applications come."""
    async with _a_desk(folder) as desk:
        cog = ArgoCdCog(desk.argocd, Actions())
        names = [key.name for key in desk.argo.applications.keys()]  # noqa: SIM118 - it is no dict
        bare = spread([_scan(names, typed) for _ in range(_TIMES) for typed in _TYPED])
        before = len(desk.stage.server.requests)
        for who, targets in _MAY.items():
            grant = Grant(name="g", roles=frozenset({str(GUILD)}), may=("argocd:*",), on=targets)
            desk.access.use(Policy((grant,)))
            took = []
            for _ in range(_TIMES):
                await _one_more(desk)
                took += [await _type(cog, typed) for typed in _TYPED]
            own, clock = spread([each.own for each in took]), spread([each.clock for each in took])
            # By its own time: what others on this machine do meanwhile is in the baseline.
            baseline = f"by the clock {clock.p99:.0f} ms, a bare scan of the names {bare.p99:.1f} ms"
            yield at_most(f"completing, who may touch {who}, p99", own.p99, _SLOWEST, "ms", baseline=baseline)
        assert len(desk.stage.server.requests) == before


@asynccontextmanager
async def _a_desk(folder: Path) -> AsyncIterator[Desk]:
    async with (
        ApiServer() as server,
        Database(f"sqlite+aiosqlite:///{folder / 'typed.db'}") as database,
    ):
        await upgrade(database)
        for number in range(COUNT):
            server.put(APPLICATIONS, a_large_application(number))
        async with (
            Desk(Stage(server, ManualClock()), database, folder, watches=False) as desk,
            running(loop.run() for loop in desk.argo.loops),
        ):
            await desk.until(lambda: desk.argo.applications.has_synced, within=120)
            # The objects of the cluster are in another process elsewhere, and collected there.
            gc.collect()
            gc.freeze()
            yield desk


async def _type(cog: ArgoCdCog, typed: str) -> _Took:
    own, began = time.thread_time(), time.perf_counter()
    await cog._complete_app(_a_key_stroke(), typed)  # As discord.py calls it.
    return _Took(time.thread_time() - own, time.perf_counter() - began)


async def _one_more(desk: Desk) -> None:
    """Have an Application come, so that nothing that was put in order before stays so."""
    number = len(desk.argo.applications)
    desk.stage.server.put(APPLICATIONS, a_large_application(number))
    await desk.until(lambda: len(desk.argo.applications) > number)


def _scan(names: list[str], typed: str) -> float:
    """Return how long this machine takes to look for a text in all names."""
    began = time.perf_counter()
    sum(typed in name for name in names)
    return time.perf_counter() - began


def _a_key_stroke() -> Any:
    """What discord.py tells of one, as far as anybody asks."""
    return SimpleNamespace(
        user=SimpleNamespace(id=1, display_name="ada"),
        guild_id=GUILD,
        permissions=discord.Permissions.none(),
        command=SimpleNamespace(name="sync"),
    )
