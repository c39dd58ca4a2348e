"""Two processes on one PostgreSQL: one leads, the other takes over; nothing is lost and nothing is said twice."""

import asyncio
import signal
import time
import uuid

import pytest

from tests.support.postgres import PostgresServer, create_database, drop_database, find_programs
from tests.support.replicas import all_are_shown, body_of, name_of, storm, two_replicas
from tests.support.running import a_town, post, send

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
            for replica in (leader, standby):
                await send(replica.port, body_of(0))
                # The last to come back: its tries are up to 5 s apart.
                await replica.process.wait_for("loop_recovered", loop="listener")
                for name in ("inbox-writer", "listener"):
                    said = [line["event"] for line in replica.process.lines if line.get("loop") == name]
                    assert said == ["loop_waits", "loop_recovered"], name
            assert leader.process.errors() + standby.process.errors() == []
    finally:
        await asyncio.to_thread(server.remove)
