"""How fast deliveries are committed: `python -m tests.bench.inbox [--postgres URL] [--seconds 4]`.

Compares, in one run, a bare aiohttp handler that only validates a body with the
real webhook, which commits it. The senders are processes of their own.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import aiohttp
import structlog
from aiohttp import web
from pydantic import BaseModel, SecretStr

from bot.alerts.inbox.service import Inbox
from bot.alerts.inbox.web import Webhooks
from bot.core.clock import SystemClock
from bot.database.engine import Database
from bot.database.schema import metadata
from bot.web.server import WebServer
from bot.web.settings import WebSettings
from tests.support.alerts import a_body, an_entry
from tests.support.postgres import PostgresServer, create_database, find_programs

PATH = "/webhooks/alertmanager"
ALERTS = 10
CLIENTS = 64
"""Enough to keep the writer busy: what arrives together shares a commit."""
TOKEN = "bench"
BUDGET = 0.30
"""The least share of the bare rate (the design's budget)."""


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


@dataclass(frozen=True, slots=True)
class Figures:
    """What the senders saw."""

    rate: float
    """Answers 200 per second."""
    p50: float
    """In milliseconds."""
    p99: float

    def __str__(self) -> str:
        return f"{self.rate:8.0f}/s   p50 {self.p50:5.1f} ms   p99 {self.p99:5.1f} ms"


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
            webhooks = Webhooks(inbox, sources=lambda: ("main",), unknown_source=lambda _: None)
            async with WebServer(settings, webhooks.routes, too_large=lambda *_: None) as server:
                yield server.port


def send(port: int, seconds: float, results: "multiprocessing.Queue[list[float]]") -> None:
    """Post as fast as answers come, and hand the times of all answers back."""
    results.put(asyncio.run(_send(port, seconds)))


async def _send(port: int, seconds: float) -> list[float]:
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

    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        await asyncio.gather(*(sender(session) for _ in range(CLIENTS)))
    return took


async def measure(port: int, seconds: float) -> Figures:
    """Have one process send, and sum up."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[float]] = context.Queue()
    process = context.Process(target=send, args=(port, seconds, results))
    process.start()
    took = await asyncio.to_thread(results.get)
    process.join()
    cuts = quantiles(took, n=100)
    return Figures(len(took) / seconds, cuts[49] * 1_000, cuts[98] * 1_000)


async def run(urls: Sequence[tuple[str, str]], seconds: float) -> bool:
    """Print the figures of each database beside the bare handler; tell whether all keep the budget."""
    print(f"{CLIENTS} clients, {ALERTS} alerts in {len(the_body()):,} bytes, {seconds:g} s each")
    async with bare() as port:
        reference = await measure(port, seconds)
    print(f"{'bare, only validates':24}{reference}")
    kept = True
    for name, url in urls:
        async with committing(url) as port:
            figures = await measure(port, seconds)
        share = figures.rate / reference.rate
        kept = kept and share >= BUDGET
        print(f"{'committed, ' + name:24}{figures}   {share:4.0%} of bare (budget ≥ {BUDGET:.0%})")
    return kept


@contextmanager
def postgres(url: str | None) -> Iterator[str | None]:
    """Give the address of an empty database: the one named, else one of our own, if it is installed."""
    programs = None if url else find_programs()
    if programs is None:
        yield url
        return
    server = PostgresServer(programs)
    server.start()
    try:
        yield asyncio.run(create_database(server.url, "bench"))
    finally:
        server.remove()


def main() -> int:
    """Run from the command line: 1 when the budget is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", metavar="URL", help="postgresql+asyncpg://… of an empty database")
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    with tempfile.TemporaryDirectory() as folder, postgres(arguments.postgres) as url:
        urls = [("SQLite", f"sqlite+aiosqlite:///{Path(folder) / 'bench.db'}")]
        urls += [("PostgreSQL", url)] if url else []
        return 0 if asyncio.run(run(urls, arguments.seconds)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
