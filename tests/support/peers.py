"""Real Alertmanagers that are asked instead of sending: with a configuration of the test, stopped when it likes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from tests.support.alertmanager import find_program
from tests.support.ports import free_port

Handler = Callable[[web.Request], Awaitable[web.Response]]
T = TypeVar("T")

CONFIG = """
global: {resolve_timeout: 5m}
route:
  receiver: discord
  group_by: [alertname, namespace]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 4h
inhibit_rules:
- {source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'], equal: [cluster]}
receivers:
- name: discord
"""
"""Sends nothing: a receiver without a webhook."""


async def until(asked: Callable[[], Awaitable[T]], is_so: Callable[[T], bool] = bool) -> T:
    """Ask until it is so, and return what was answered then.

    A posted alert is listed at once, and so is what silences it. What inhibits it, the groups and the other
    peers hear of it some time after the post was answered, and nothing else tells when.
    """
    async with asyncio.timeout(10):
        while not is_so(answer := await asked()):  # noqa: ASYNC110  # Another process.
            await asyncio.sleep(0.02)
    return answer


class RunningPeer:
    """One running process."""

    def __init__(self, url: str, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._process = process
        self._session = session

    async def post(self, *alerts: Mapping[str, Any]) -> None:
        """Send alerts as `a_posted_alert` makes them."""
        async with self._session.post(f"{self.url}/api/v2/alerts", json=list(alerts)) as response:
            assert response.status == 200, await response.text()

    async def alerts(self) -> list[dict[str, Any]]:
        """Return what it lists, as it lists it."""
        return await self._list("alerts")

    async def inhibited(self) -> list[str]:
        """Return the names of the alerts that others inhibit."""
        return [each["labels"]["alertname"] for each in await self.alerts() if each["status"]["inhibitedBy"]]

    async def grouped(self) -> list[str]:
        """Return the names of the alerts that are in a group, once for each."""
        groups = await self._list("alerts/groups")
        return sorted(each["labels"]["alertname"] for group in groups for each in group["alerts"])

    async def _list(self, what: str) -> list[dict[str, Any]]:
        async with self._session.get(f"{self.url}/api/v2/{what}") as response:
            return await response.json()

    async def amtool(self, *arguments: str) -> str:
        """Run amtool against it, as somebody at a terminal would; return what it prints."""
        command = (find_program("amtool"), f"--alertmanager.url={self.url}", *arguments)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed
        return printed.decode().strip()

    async def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def until_ready(self) -> None:
        async with asyncio.timeout(15):
            while self._process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with self._session.get(f"{self.url}/-/ready") as response:
                        if response.status == 200:
                            return
                # It says so in no other way.
                await asyncio.sleep(0.02)
        raise AssertionError("Alertmanager ended at once: see alertmanager.log in its folder")


@contextlib.asynccontextmanager
async def a_running_peer(
    folder: Path, config: str = CONFIG, *, port: int | None = None, arguments: Sequence[str] = ()
) -> AsyncIterator[RunningPeer]:
    """Run one while the context lasts; the same folder again keeps its silences."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 (a test waits for it anyway)
    (folder / "alertmanager.yml").write_text(config, encoding="utf-8")
    with (folder / "alertmanager.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            find_program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            *(arguments or ("--cluster.listen-address=",)),
            stdout=log,
            stderr=log,
        )
    async with aiohttp.ClientSession() as session:
        peer = RunningPeer(f"http://127.0.0.1:{port}", process, session)
        try:
            await peer.until_ready()
            yield peer
        finally:
            await peer.stop()


@contextlib.asynccontextmanager
async def a_running_pair(
    folder: Path, config: str = CONFIG
) -> AsyncIterator[tuple[RunningPeer, RunningPeer]]:
    """Run two that share their silences, as one cluster."""
    gossip = [free_port(), free_port()]
    first, second = (
        (
            f"--cluster.listen-address=127.0.0.1:{mine}",
            f"--cluster.peer=127.0.0.1:{other}",
            "--cluster.settle-timeout=1s",
        )
        for mine, other in (gossip, reversed(gossip))
    )
    async with (
        a_running_peer(folder / "a", config, arguments=first) as one,
        a_running_peer(folder / "b", config, arguments=second) as other_one,
    ):
        yield one, other_one


def a_posted_alert(
    name: str = "KubePodCrashLooping",
    /,
    *,
    until: datetime | None = None,
    annotations: Mapping[str, str] | None = None,
    **labels: str,
) -> dict[str, Any]:
    """Make an alert as Prometheus sends it; without an end it resolves by Alertmanager's `resolve_timeout`."""
    made: dict[str, Any] = {
        "labels": {"alertname": name, "severity": "warning", **labels},
        "annotations": dict(annotations or {}),
        "generatorURL": "http://prometheus.example.org/graph?g0.expr=up",
    }
    return made if until is None else {**made, "endsAt": until.isoformat()}


@contextlib.asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Serve a badly behaved Alertmanager on loopback."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()
