"""Two processes of the bot on one PostgreSQL, and the deliveries that both are sent."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp

from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import DeliveryState
from tests.support.alerts import a_body, an_entry
from tests.support.ports import free_port
from tests.support.running import Process, count, send, write


@dataclass
class Replica:
    process: Process
    port: int
    host: str
    """By which name it asks Discord: so one knows who did."""

    async def asks(self, path):
        """What one of the pages without a token says, and how long that took."""
        url, began = f"http://127.0.0.1:{self.port}{path}", time.monotonic()
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text(), time.monotonic() - began

    async def counts_itself_as_leader(self):
        """What its metric says."""
        _, told, _ = await self.asks("/metrics")
        return "\nthe_machine_leading 1.0\n" in told

    async def leads(self, *, since=0, within=40.0):
        """Wait until it leads; gives when that was seen."""
        await self.process.wait_for("leading", since=since, within=within)
        return time.monotonic()


@contextlib.asynccontextmanager
async def two_replicas(town, url, folder, **sections):
    """The leader, and a standby that listens already; `sections` replace whole sections of the configuration."""
    replicas = []
    for name in ("localhost", "127.0.0.1"):
        port = free_port()
        configuration = town.configuration(url, port=port, **sections)
        discord = configuration["discord"]
        discord["api_url"] = town.server.api_url.replace("127.0.0.1", name)
        (folder / name).mkdir()
        process = Process(write(folder / name, configuration))
        replicas.append(Replica(process, port, name))
    leader, standby = replicas
    try:
        await leader.process.start()
        await leader.leads()
        await leader.process.wait_for("web_listening")
        await standby.process.start()
        await standby.process.wait_for("web_listening")
        yield leader, standby
    finally:
        for replica in replicas:
            with contextlib.suppress(ProcessLookupError):
                replica.process.signal(signal.SIGCONT)
            await replica.process.kill()


def name_of(number):
    return f"Alert{number:03}"


def body_of(number):
    severity = "critical" if number % 7 == 0 else "warning"
    return a_body(an_entry(name_of(number), severity=severity), group_labels={"alertname": name_of(number)})


async def storm(replicas, numbers, *, lasts=6.0):
    """Post each delivery to either replica, again and again until one of them has it, as Alertmanager does."""

    async def deliver(number):
        await asyncio.sleep(random.random() * lasts)
        async with asyncio.timeout(60):
            while True:
                replica = random.choice(replicas)
                with contextlib.suppress(TimeoutError):
                    return await send(replica.port, body_of(number), within=3)

    await asyncio.gather(*map(deliver, numbers))


async def all_are_shown(town, numbers, url, *, within=40.0):
    def shown():
        cards = Counter(name for card in town.cards() for name in map(name_of, numbers) if name in card.text)
        return cards == Counter(map(name_of, numbers))

    await town.server.wait_for(shown, within)
    # What was committed without the sender's knowledge he has sent again: that may wait behind the last card.
    async with asyncio.timeout(within):
        while (counted := await count(url, inbox_store.count_by_state))[DeliveryState.PENDING]:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.05)
    town.assert_nothing_was_said_twice()
    assert counted[DeliveryState.QUARANTINED] == 0
    pinged = [one for one in town.server.state.every_message.values() if one.pinged_roles]
    assert len(pinged) == len([number for number in numbers if number % 7 == 0])
