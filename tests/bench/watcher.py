"""Watches the Applications of a cluster in a process of its own, and prints what that took as a line of JSON.

`python -m tests.bench.watcher KUBECONFIG COUNT [--bare]`. With `--bare` it reads
and parses the same stream and keeps nothing: what the machine itself costs.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bot.argocd.cluster import APPLICATIONS
from bot.argocd.reading import read_application
from bot.core.clock import SystemClock
from bot.kube.reflector import Watched
from bot.kube.settings import ClusterSettings
from bot.kube.transport import Cluster

_TICK = 0.001
_QUIET_SECONDS = 0.5
_MIB = 2**20


def resident(name: str) -> int:
    """Return a figure of this process, in bytes: VmRSS now, VmHWM at its highest."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def forget_peak() -> None:
    """Let the highest begin anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


class Ticks:
    """Notices how long the event loop does not come round."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.longest_cpu = 0.0
        """The same in seconds of this process: what others on this machine do meanwhile is not in it."""

    async def run(self) -> None:
        while True:
            due, cpu = time.perf_counter() + _TICK, time.process_time()
            await asyncio.sleep(_TICK)
            self.longest = max(self.longest, time.perf_counter() - due)
            self.longest_cpu = max(self.longest_cpu, time.process_time() - cpu)


@asynccontextmanager
async def ticking() -> AsyncIterator[Ticks]:
    ticks = Ticks()
    task = asyncio.create_task(ticks.run())
    yield ticks
    task.cancel()


async def watch(kubeconfig: Path, count: int) -> dict[str, Any]:
    """Measure our way."""
    async with Cluster(ClusterSettings(kubeconfig=kubeconfig), SystemClock()) as cluster:
        assert await cluster.is_installed(APPLICATIONS)
        watched = Watched(cluster, APPLICATIONS, trim=read_application)
        synced = asyncio.Event()
        watched.on_synced(synced.set)
        async with ticking() as idle:
            await asyncio.sleep(_QUIET_SECONDS)
        gc.collect()
        forget_peak()
        before = resident("VmRSS")
        began, cpu = time.perf_counter(), time.process_time()
        async with ticking() as busy:
            tasks = [asyncio.create_task(loop.run()) for loop in watched.loops]
            await synced.wait()
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
        assert len(watched) == count, len(watched)
        await asyncio.sleep(_QUIET_SECONDS)
        gc.collect()
        measured = {
            "took": took,
            "cpu": cpu,
            "kept": (resident("VmRSS") - before) / count,
            "peak": (resident("VmHWM") - before) / _MIB,
            "blocked": busy.longest,
            "blocked_cpu": busy.longest_cpu,
            "blocked_idle": idle.longest,
        }
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return measured


async def bare(config: dict[str, Any], count: int) -> dict[str, Any]:
    """Read and parse the same stream."""
    url, token = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"]
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with aiohttp.ClientSession(read_bufsize=2**21) as session:
        began, cpu = time.perf_counter(), time.process_time()
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{url}{APPLICATIONS.path()}?{query}", headers=headers) as answer:
            for _ in range(count):
                json.loads(await answer.content.readline())
        return {"took": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def main() -> None:
    kubeconfig, count = Path(sys.argv[1]), int(sys.argv[2])
    is_bare = "--bare" in sys.argv
    measuring = bare(json.loads(kubeconfig.read_text()), count) if is_bare else watch(kubeconfig, count)
    print(json.dumps(asyncio.run(measuring)))


if __name__ == "__main__":
    main()
