"""How fast deliveries are committed, beside a bare aiohttp handler that only validates the same body.

The senders are processes of their own, and send as fast as answers come.
"""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from pydantic import BaseModel, SecretStr

from bot.alerts.inbox.service import Inbox
from bot.alerts.inbox.web import Webhooks
from bot.core.clock import SystemClock
from bot.database.engine import Database
from bot.database.schema import metadata
from bot.web.server import WebServer
from bot.web.settings import WebSettings
from tests.bench.figures import Figure, at_least, spread
from tests.bench.system import Place
from tests.support.alerts import a_body, an_entry

PATH = "/webhooks/alertmanager"
ALERTS = 10
CLIENTS = (32, 64)
"""What arrives together shares a commit, so more of them find a faster inbox."""
TOKEN = "bench"
BUDGET_PERCENT = 30
"""The least share of the bare rate."""


class _Alert(BaseModel):
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: str  # noqa: N815 (Alertmanager's name)
    endsAt: str  # noqa: N815
    fingerprint: str


class _Body(BaseModel):
    version: str
    groupKey: str  # noqa: N815
    status: str
    receiver: str
    alerts: list[_Alert]


def the_body() -> bytes:
    """Return the delivery that is sent again and again."""
    summary = {"summary": "A container restarts again and again.", "runbook_url": "https://example.org/r"}
    entries = (an_entry(namespace="shop", pod=f"api-{index}", annotations=summary) for index in range(ALERTS))
    return a_body(*entries)


@asynccontextmanager
async def bare() -> AsyncIterator[int]:
    """Serve a handler that validates and forgets."""

    async def handler(request: web.Request) -> web.Response:
        _Body.model_validate_json(await request.read())
        return web.json_response({"id": 1})

    app = web.Application()
    app.router.add_post(PATH, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@asynccontextmanager
async def committing(url: str) -> AsyncIterator[int]:
    """Serve the real webhook on a database."""
    settings = WebSettings(host="127.0.0.1", port=0, tokens=(SecretStr(TOKEN),))
    async with Database(url) as database:
        async with database.transaction() as tx:
            await tx.run_sync(metadata.create_all)
        async with Inbox(database, SystemClock(), wake=lambda: None) as inbox:
            webhooks = Webhooks(inbox, sources=lambda _: ("main",), unknown_source=lambda *_: None)
            async with WebServer(settings, webhooks.routes, too_large=lambda *_: None) as server:
                yield server.port


def send(port: int, clients: int, seconds: float, results: "multiprocessing.Queue[list[float]]") -> None:
    """Post as fast as answers come, and hand the times of all answers back."""
    results.put(asyncio.run(_send(port, clients, seconds)))


async def _send(port: int, clients: int, seconds: float) -> list[float]:
    body = the_body()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def sender(session: aiohttp.ClientSession) -> None:
        while (started := time.perf_counter()) < until:
            async with session.post(PATH, data=body, headers=headers) as answer:
                await answer.read()
                if answer.status != 200:
                    sys.exit(f"answered {answer.status}: {await answer.text()}")
            took.append(time.perf_counter() - started)

    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        await asyncio.gather(*(sender(session) for _ in range(clients)))
    return took


async def send_apart(port: int, clients: int, seconds: float) -> list[float]:
    """Have one process send, and return the seconds that each answer took."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[float]] = context.Queue()
    process = context.Process(target=send, args=(port, clients, seconds, results))
    process.start()
    took = await asyncio.to_thread(results.get)
    process.join()
    return took


async def measure(places: Sequence[Place], *, seconds: float) -> AsyncIterator[Figure]:
    """Compare the rate of each database with that of the bare handler."""
    for clients in CLIENTS:
        async with bare() as port:
            took = await send_apart(port, clients, seconds)
        reference = len(took) / seconds
        baseline = f"bare: {reference:.0f}/s, {spread(took)}"
        for place in places:
            async with committing(await place.fresh()) as port:
                took = await send_apart(port, clients, seconds)
            name = f"committed, {clients} clients, {place.name}"
            yield Figure(name, f"{len(took) / seconds:.0f}/s, {spread(took)}", baseline=baseline)
            share = 100 * len(took) / seconds / reference
            yield at_least("  share of the bare rate", share, BUDGET_PERCENT, "%")
