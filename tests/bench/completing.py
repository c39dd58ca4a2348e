"""Completion over 5,000 Applications: for whoever may do everything, and for whoever may touch a few."""

import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bot.access.model import Grant, Policy
from bot.database.engine import Database
from bot.database.migrate import upgrade
from bot.demo.cluster.applications import an_application
from bot.demo.cluster.server import ApiServer
from tests.bench.figures import Figure, at_most
from tests.support.argo_desk import ADA, OPERATORS, Desk, Stage
from tests.support.clock import ManualClock

COUNT = 5_000
_SLOWEST = 30.0
"""Milliseconds, of one key stroke in a hundred."""
_TYPED = (
    "",
    "t",
    "te",
    "team",
    "team-7",
    "service",
    "prod 12",
    "tsp",
    "team-1-service-0001-prod",
    "zz",
    "0042",
)
_TIMES = 30
_MAY = {"everything": ("*",), "a few": ("project:team-7", "app:argocd/team-3-*")}


async def measure(folder: Path) -> AsyncIterator[Figure]:
    """Type what people type, as fast as one key stroke follows the other."""
    clock = ManualClock()
    async with (
        ApiServer(clock=clock) as server,
        Database(f"sqlite+aiosqlite:///{folder}/typed.db") as database,
    ):
        await upgrade(database)
        for number in range(COUNT):
            team = f"team-{number % 50}"
            server.put("Application", an_application(f"{team}-service-{number:04}-prod", project=team))
        async with Desk(Stage(server, clock), database, folder) as desk:
            # The objects of the cluster are in another process elsewhere, and collected there.
            gc.collect()
            gc.freeze()
            for who, targets in _MAY.items():
                roles = frozenset({OPERATORS})
                desk.access.use(Policy((Grant(name="g", roles=roles, may=("argocd:*",), on=targets),)))
                before = len(server.requests)
                took = [_type(desk, typed) for _ in range(_TIMES) for typed in _TYPED]
                assert len(server.requests) == before
                # By its own time: what others on this machine do meanwhile is in the baseline.
                own, clock_time = (
                    sorted(each)[int(len(took) * 0.99)] * 1000 for each in zip(*took, strict=True)
                )
                baseline = f"by the clock {clock_time:.0f} ms"
                yield at_most(f"completing, who may touch {who}, p99", own, _SLOWEST, "ms", baseline=baseline)


def _type(desk: Desk, typed: str) -> tuple[float, float]:
    """Return what one key stroke takes: of the processor's time, and by the clock."""
    own, began = time.thread_time(), time.perf_counter()
    desk.argocd.complete(typed, by=ADA, action="argocd:sync")
    return time.thread_time() - own, time.perf_counter() - began
