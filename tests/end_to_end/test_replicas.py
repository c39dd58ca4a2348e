"""Two processes on one PostgreSQL: one leads, the other takes over; nothing is lost and nothing is said twice."""

import asyncio
import contextlib
import random
import signal
import time
import uuid
from collections import Counter
from dataclasses import dataclass

import pytest

from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import DeliveryState
from tests.support.alerts import a_body, an_entry
from tests.support.postgres import PostgresServer, create_database, drop_database, find_programs
from tests.support.running import Process, a_town, count, free_port, post, send, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
async def url(postgres_url, migrated_postgres):
    name = f"replicas_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_url, name, migrated_postgres)
    await drop_database(postgres_url, name)


@dataclass
class Replica:
    process: Process
    port: int
    host: str
    """By which name it asks Discord: so one knows who did."""

    async def leads(self, *, since=0, within=40.0):
        """Wait until it leads; gives when that was seen."""
        await self.process.wait_for("leading", since=since, within=within)
        return time.monotonic()


@contextlib.asynccontextmanager
async def two_replicas(town, url, folder):
    """The leader, and a standby that listens already."""
    replicas = []
    for name in ("localhost", "127.0.0.1"):
        port = free_port()
        configuration = town.configuration(url, port=port)
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
    town.assert_nothing_was_said_twice()
    counted = await count(url, inbox_store.count_by_state)
    assert (counted[DeliveryState.PENDING], counted[DeliveryState.QUARANTINED]) == (0, 0)
    pinged = [one for one in town.server.state.every_message.values() if one.pinged_roles]
    assert len(pinged) == len([number for number in numbers if number % 7 == 0])


async def test_what_a_standby_accepts_wakes_the_leader(town, url, tmp_path):
    async with two_replicas(town, url, tmp_path) as (leader, standby):
        await send(leader.port, body_of(0))
        await town.see(name_of(0))
        took = []
        for number in range(1, 9):
            began = time.monotonic()
            assert (await post(standby.port, body_of(number)))[0] == 200
            await town.see(name_of(number))
            took.append(time.monotonic() - began)
        print(f"accepted by the standby, shown by the leader: {sorted(round(one, 3) for one in took)} s")
        # Without a bell it is looked every 2 s: half of them would take longer than one.
        assert sorted(took)[4] < 0.7
        assert {one.host.partition(":")[0] for one in town.server.requests} == {leader.host}
        assert leader.process.errors() + standby.process.errors() == []


async def test_a_killed_leader_is_replaced_within_15_seconds_in_a_storm(town, url, tmp_path):
    async with two_replicas(town, url, tmp_path) as (leader, standby):
        sending = asyncio.create_task(storm([leader, standby], range(40)))
        await town.server.wait_for(lambda: len(town.cards()) >= 5, 20)
        await leader.process.kill()
        killed = time.monotonic()
        took = await standby.leads() - killed
        before = len(town.cards())
        await town.server.wait_for(lambda: len(town.cards()) > before, 20)
        shown = time.monotonic() - killed
        print(f"kill -9: the other leads after {took:.1f} s, its first message after {shown:.1f} s")
        assert took <= 15
        await sending
        await all_are_shown(town, range(40), url)
        assert standby.process.errors() == []


async def test_a_leader_that_stops_is_replaced_within_2_seconds_in_a_storm(town, url, tmp_path):
    async with two_replicas(town, url, tmp_path) as (leader, standby):
        sending = asyncio.create_task(storm([leader, standby], range(40), lasts=3.0))
        await town.server.wait_for(lambda: len(town.cards()) >= 5, 20)
        asked = time.monotonic()
        leading = asyncio.create_task(standby.leads())
        assert await leader.process.terminate() == 0
        ended = time.monotonic()
        took = await leading
        print(f"SIGTERM: it ended after {ended - asked:.1f} s, the other leads after {took - asked:.1f} s")
        assert took - ended <= 2
        await sending
        await all_are_shown(town, range(40), url)
        assert leader.process.errors() + standby.process.errors() == []


async def test_a_leader_that_was_frozen_does_nothing_when_it_wakes_up(town, url, tmp_path):
    async with two_replicas(town, url, tmp_path) as (leader, standby):
        sending = asyncio.create_task(storm([leader, standby], range(40)))
        await town.server.wait_for(lambda: len(town.cards()) >= 5, 20)
        leader.process.signal(signal.SIGSTOP)
        frozen = time.monotonic()
        took = await standby.leads() - frozen
        print(f"SIGSTOP: the other leads after {took:.1f} s")
        assert took <= 15
        # Its socket accepts while it is frozen: whoever posts there gives up and posts to the other one.
        await sending
        await all_are_shown(town, range(40), url)
        asked = sum(one.host.startswith(leader.host) for one in town.server.requests)
        said = len(leader.process.lines)
        leader.process.signal(signal.SIGCONT)
        await leader.process.wait_for("leadership_lost", since=said)
        # It stands by now, and accepts.
        await send(leader.port, body_of(100))
        await town.see(name_of(100))
        late = [one for one in town.server.requests if one.host.startswith(leader.host)][asked:]
        assert [f"{one.method} {one.path} {one.status}" for one in late] == []
        await all_are_shown(town, [*range(40), 100], url)
        assert leader.process.errors() + standby.process.errors() == []


async def test_a_database_that_is_restarted_in_a_storm_loses_nothing(town, tmp_path):
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    server = PostgresServer(programs)
    await asyncio.to_thread(server.start)
    try:
        url = await create_database(server.url, "machine")
        async with two_replicas(town, url, tmp_path) as (leader, standby):
            sending = asyncio.create_task(storm([leader, standby], range(40)))
            await town.server.wait_for(lambda: len(town.cards()) >= 5, 20)
            await asyncio.to_thread(server.stop, "immediate")
            for replica in (leader, standby):
                status, _ = await post(replica.port, body_of(0))
                assert status == 503
            await asyncio.to_thread(server.start)
            back = time.monotonic()
            before = len(town.cards())
            await town.server.wait_for(lambda: len(town.cards()) > before, 30)
            print(f"restart of PostgreSQL: the first message came {time.monotonic() - back:.1f} s after it")
            await sending
            await all_are_shown(town, range(40), url)
            assert leader.process.errors() + standby.process.errors() == []
    finally:
        await asyncio.to_thread(server.remove)
