"""The processes of a benchmark: the bot, Discord's simulator, PostgreSQL."""

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from sqlalchemy import func, select

from bot.alerts.inbox.store import count_pending, delivery
from bot.database.engine import Database
from tests.bench.load import TOKEN
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer, create_database, find_programs

_STARTS_WITHIN = 60.0
_STOPS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A database to measure on."""

    name: str
    fresh: Callable[[], Awaitable[str]]
    """Gives the address of a new, empty database."""


class Discord:
    """The simulator in its own process."""

    def __init__(self, told: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self.told = told
        self._session = session

    @property
    def channels(self) -> dict[str, str]:
        """Our names of the channels, and their ids."""
        return self.told["channels"]

    async def ask(self, path: str) -> Any:
        """Get something of the simulator's own API."""
        async with self._session.get(f"{self.told['sim_url']}/{path}") as answer:
            return await answer.json()

    async def tell(self, path: str, /, **said: Any) -> None:
        """Set something of the simulator."""
        async with self._session.post(f"{self.told['sim_url']}/{path}", json=said) as answer:
            assert answer.status == 200, await answer.text()

    async def messages(self, channel: str = "alerts", *, deleted: bool = False) -> list[dict[str, Any]]:
        """Return the messages of a channel, or the deleted ones."""
        return await self.ask(f"messages?channel={self.channels[channel]}{'&deleted=1' if deleted else ''}")

    async def count_messages(self) -> int:
        """Return how many messages there are."""
        return int((await self.ask("stats"))["messages"])

    async def create_time(self) -> float:
        """Return the seconds that creating a message takes without the bot in between."""
        url = f"{self.told['api_url']}/channels/{self.channels['audit']}/messages"
        headers = {"Authorization": f"Bot {self.told['token']}"}
        began = time.perf_counter()
        async with self._session.post(url, json={"content": "probe"}, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        return time.perf_counter() - began


@asynccontextmanager
async def discord(*, latency: float = 0.0) -> AsyncIterator[Discord]:
    """Run a simulated Discord that takes so many seconds for each answer."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulators.discord", "--latency", str(latency)),
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        assert process.stdout is not None
        told = json.loads(await process.stdout.readline())
        async with aiohttp.ClientSession() as session:
            yield Discord(told, session)
    finally:
        await _end(process)


class Machine:
    """The bot in its own process."""

    def __init__(
        self, process: asyncio.subprocess.Process, port: int, began: float, session: aiohttp.ClientSession
    ) -> None:
        self._process = process
        self.port = port
        self._began = began
        self._session = session
        self.ready_after = 0.0
        """Seconds from the start of the process until it was ready and at Discord's gateway."""

    async def wait_ready(self, there: Discord | None = None) -> None:
        """Wait until it accepts alerts and, where a Discord is given, is connected to it."""

        async def is_ready() -> bool:
            try:
                async with self._session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                    fine = answer.status == 200
            except aiohttp.ClientError:
                return False
            return fine and (there is None or (await there.ask("stats"))["gateway"]["ready"])

        await until(is_ready, every=0.005, within=_STARTS_WITHIN)
        self.ready_after = time.perf_counter() - self._began

    async def livez(self) -> float:
        """Return the seconds that the probe for liveness takes."""
        began = time.perf_counter()
        async with self._session.get(f"http://127.0.0.1:{self.port}/livez") as answer:
            await answer.read()
        return time.perf_counter() - began

    async def post(self, body: bytes) -> None:
        """Post a delivery."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}/webhooks/alertmanager"
        async with self._session.post(url, data=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    @property
    def resident_mib(self) -> float:
        """The memory that it holds."""
        return resident_mib(self._process.pid)

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def machine(folder: Path, url: str, there: Discord) -> AsyncIterator[Machine]:
    """Run the bot on a database and a Discord."""
    port = free_port()
    config = folder / "machine.yaml"
    config.write_text(yaml.safe_dump(_configuration(url, there, port)), encoding="utf-8")
    log = folder / "machine.log"
    with log.open("ab") as stream:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run", "--config", str(config)), stderr=stream, stdout=stream
        )
    try:
        async with aiohttp.ClientSession() as session:
            yield Machine(process, port, began, session)
    finally:
        await _end(process)
        if process.returncode:
            print(log.read_text(encoding="utf-8")[-3_000:], file=sys.stderr)


def _configuration(url: str, there: Discord, port: int) -> dict[str, Any]:
    told = there.told
    return {
        "discord": {name: told[name] for name in ("token", "guild", "channels", "roles")}
        | {"api_url": told["api_url"], "gateway_url": told["gateway_url"]},
        "web": {"host": "127.0.0.1", "port": port, "tokens": [TOKEN]},
        "database": {"url": url},
        "alertmanagers": [{"name": "main", "urls": ["http://127.0.0.1:9093"]}],
        "alerts": {"routes": [{"channel": "alerts"}]},
        "log": {"level": "warning"},
    }


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_STOPS_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def until(is_so: Callable[[], Awaitable[bool]], *, every: float, within: float) -> float:
    """Wait until something is so; return how many seconds that took."""
    began = time.perf_counter()
    while not await is_so():
        if time.perf_counter() - began > within:
            raise TimeoutError(f"not so within {within:g} s")
        await asyncio.sleep(every)
    return time.perf_counter() - began


async def pending(database: Database) -> int:
    """Return how many deliveries wait to be applied."""
    async with database.reading() as tx:
        return await count_pending(tx)


async def settled(database: Database) -> Counter[str]:
    """Return how many deliveries there are of each state."""
    statement = select(delivery.c.state, func.count().label("number")).group_by(delivery.c.state)
    async with database.reading() as tx:
        return Counter({row.state: row.number for row in await tx.execute(statement)})


def resident_mib(pid: int) -> float:
    """Return the memory that a process holds."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


@contextmanager
def places(folder: Path, *, postgresql: bool) -> Iterator[list[Place]]:
    """Give SQLite in a folder and, if it is installed, a PostgreSQL of our own."""
    numbers = iter(range(1_000))

    async def file() -> str:
        return f"sqlite+aiosqlite:///{folder / f'bench{next(numbers)}.db'}"

    sqlite = Place("SQLite", file)
    programs = find_programs() if postgresql else None
    if programs is None:
        yield [sqlite]
        return
    server = PostgresServer(programs)
    server.start()

    async def database() -> str:
        return await create_database(server.url, f"bench{next(numbers)}")

    try:
        yield [sqlite, Place("PostgreSQL", database)]
    finally:
        server.remove()
