"""100 Minecraft servers asked every 15 s: what part of a core that takes; the servers are another process."""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from bot.database.engine import Database
from bot.database.migrate import upgrade
from bot.minecraft.model import Address, Server
from tests.bench.figures import Figure, at_most
from tests.bench.system import Place
from tests.support.minecraft import JavaServer, a_status
from tests.support.minecraft_room import STEP, open_watch

COUNT = 100
ROUNDS = 20
_SHARE = 2.0
"""Per cent of a core."""


async def measure(place: Place) -> AsyncIterator[Figure]:
    """Ask them as often as it takes to be sure."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.minecraft"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    ports = json.loads(await process.stdout.readline())
    try:
        async with Database(await place.fresh()) as database, AsyncExitStack() as stack:
            await upgrade(database)
            watch = await open_watch(database, stack)
            for number, port in enumerate(ports):
                name = f"server-{number}"
                watch.servers[name] = Server(name=name, address=Address("127.0.0.1", port))
            await watch.step()
            began, cpu = time.perf_counter(), time.process_time()
            for _ in range(ROUNDS):
                await watch.step()
            took, spent = time.perf_counter() - began, time.process_time() - cpu
            assert all(standing.is_up for standing in watch.polling.standings.values())
    finally:
        process.kill()
        await process.wait()
    share = spent / ROUNDS / STEP.total_seconds() * 100
    name = f"{COUNT} Minecraft servers every {STEP.seconds} s, all of them changed, {place.name}"
    yield at_most(name, share, _SHARE, "% of a core", baseline=f"a round {took / ROUNDS * 1000:.0f} ms")


async def serve() -> None:
    """Be the servers: each has an icon, and other players at each look."""
    chance = random.Random(1)
    servers = [JavaServer() for _ in range(COUNT)]
    for server in servers:
        await server.open()
    print(json.dumps([server.port for server in servers]), flush=True)
    while True:
        for server in servers:
            names = (f"player_{chance.randrange(1000)}" for _ in range(chance.randrange(1, 12)))
            server.status = a_status(*names, x="x" * 6000)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(serve())
