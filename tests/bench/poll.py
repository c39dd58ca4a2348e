"""One look at an Alertmanager that lists 10,000 alerts, with 1,000 incidents to compare them with."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.settings import AlertmanagerSettings
from bot.alerts.polling import Poll
from bot.core.garbage import collect_rarely
from bot.database.engine import Database
from bot.database.migrate import upgrade
from tests.bench.figures import Figure, at_most, spread
from tests.bench.system import Place
from tests.support.alerting import Rooms, open_rooms
from tests.support.alerts import a_body, an_entry

GROUPS = 1_000
ALERTS = 10
"""In each group."""
LOOKS = 5
_LOOK = 2_000.0
"""Milliseconds: one look a minute, for each Alertmanager."""
_BLOCKED = 250.0
"""Milliseconds: a probe must not fail, and a delivery beside it be answered in good time."""


async def measure(place: Place) -> AsyncIterator[Figure]:
    """Fill a database with what Alertmanager lists, and look several times."""
    groups = [_group(number) for number in range(GROUPS)]
    listed = json.dumps([_listed(entry) for group in groups for entry in group]).encode()
    began = time.perf_counter()
    json.loads(listed)
    read = (time.perf_counter() - began) * 1_000
    async with Database(await place.fresh()) as database:
        await upgrade(database)
        rooms = await open_rooms(database)
        for group in groups:
            labels = {"alertname": group[0]["labels"]["alertname"]}
            await rooms.receive(a_body(*group, group_labels=labels))
        async with _an_alertmanager(listed) as url, aiohttp.ClientSession() as session:
            poll = _poll(rooms, url, session)
            # What the bench itself keeps in memory is not for the bot to collect.
            gc.collect()
            usual = gc.get_threshold()
            collect_rarely()
            looks, lags = [], []
            watching = asyncio.create_task(_watch(lags))
            for _ in range(LOOKS):
                began = time.perf_counter()
                await poll.step()
                looks.append(time.perf_counter() - began)
            watching.cancel()
            gc.unfreeze()
            gc.set_threshold(*usual)
    name = f"a look at {GROUPS * ALERTS:,} alerts in {GROUPS:,} incidents, {place.name}"
    baseline = f"reading {len(listed) / 1e6:.1f} MB of JSON: {read:.0f} ms"
    yield at_most(name, spread(looks).longest, _LOOK, "ms", baseline=baseline)
    yield at_most("  event loop blocked at worst", spread(lags).longest, _BLOCKED, "ms")


def _poll(rooms: Rooms, url: str, session: aiohttp.ClientSession) -> Poll:
    settings = AlertmanagerSettings.model_validate({"name": "main", "urls": [url]})
    return Poll(
        AlertmanagerCluster(settings, session, rooms.clock),
        rooms.database,
        rooms.intake,
        rooms.showing,
        clock=rooms.clock,
        post=_nobody,
        follow=_nobody,
    )


@asynccontextmanager
async def _an_alertmanager(listed: bytes) -> AsyncIterator[str]:
    async def alerts(_request: web.Request) -> web.Response:
        return web.Response(body=listed, content_type="application/json")

    async def silences(_request: web.Request) -> web.Response:
        return web.json_response([])

    async def status(_request: web.Request) -> web.Response:
        told = {"cluster": {"status": "ready"}, "versionInfo": {"version": "0.28.1"}}
        return web.json_response({**told, "uptime": "2026-01-01T00:00:00Z", "config": {"original": ""}})

    app = web.Application()
    for path, answer in (("alerts", alerts), ("silences", silences), ("status", status)):
        app.router.add_get(f"/api/v2/{path}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _watch(lags: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - began - 0.005)


async def _nobody(*_arguments: Any, **_named: Any) -> None:
    """Tell nobody."""


def _group(number: int) -> list[dict[str, Any]]:
    return [an_entry(f"Group{number:04}", namespace="shop", pod=f"api-{pod}") for pod in range(ALERTS)]


def _listed(entry: dict[str, Any]) -> dict[str, Any]:
    status = {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []}
    return {**entry, "updatedAt": entry["startsAt"], "status": status, "receivers": [{"name": "discord"}]}
