"""Another PostgreSQL becomes the primary under two processes, or the one there says nothing any more."""

import asyncio
import signal
import time

import pytest

from tests.support.postgres import PostgresServer, create_database, find_programs
from tests.support.replicas import all_are_shown, body_of, name_of, storm, two_replicas
from tests.support.running import a_town, post, send
from tests.support.switchboard import Switchboard

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
def servers():
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    made = PostgresServer(programs), PostgresServer(programs)
    made[0].start()
    yield made
    for server in made:
        server.remove()


async def switch_over(old, new):
    """As an operator of PostgreSQL does it: the primary stops, the standby is promoted, the former primary follows."""
    await asyncio.to_thread(old.stop)
    await asyncio.to_thread(new.promote)
    await asyncio.to_thread(old.follow, new)
    await asyncio.to_thread(old.start)


async def assert_one_leads(replicas):
    assert sum([await replica.counts_itself_as_leader() for replica in replicas]) == 1


async def assert_bells_are_heard(town, replicas, numbers):
    """What a standby accepts is shown sooner than whoever leads would look by itself; three times in a row."""
    (standby,) = [replica for replica in replicas if not await replica.counts_itself_as_leader()]
    took = []
    for number in numbers:
        began = time.monotonic()
        assert (await post(standby.port, body_of(number)))[0] == 200
        await town.see(name_of(number))
        took.append(time.monotonic() - began)
        if len(took) >= 3 and max(took[-3:]) < 0.5:
            return number
    raise AssertionError(f"nobody listens: {took}")


async def test_a_switchover_in_a_storm_loses_nothing(town, servers, tmp_path):
    old, new = servers
    await create_database(old.url, "machine")
    await asyncio.to_thread(new.follow, old)
    await asyncio.to_thread(new.start)
    async with Switchboard(old.port) as service:
        url = f"postgresql+asyncpg://postgres@127.0.0.1:{service.port}/machine"
        async with two_replicas(town, url, tmp_path) as replicas:
            sending = asyncio.create_task(storm(replicas, range(40), lasts=4.0))
            await town.server.wait_for(lambda: len(town.cards()) >= 5, 20)
            began = time.monotonic()
            await switch_over(old, new)
            # For a while the address leads to the former primary, which can be read, and is read-only.
            for replica in replicas:
                assert (await post(replica.port, body_of(0)))[0] == 503
                status, told, _ = await replica.asks("/readyz")
                assert (status, "The database does not answer" in told) == (503, True)
            before = len(town.cards())
            # Those connections stand: nobody cuts what leads to the former primary.
            service.turn_to(new.port)
            turned = time.monotonic()
            for replica in replicas:
                await send(replica.port, body_of(0))
            accepted = time.monotonic()
            await town.server.wait_for(lambda: len(town.cards()) > before, 30)
            shown = time.monotonic()
            print(
                f"no primary for {turned - began:.1f} s; accepted {accepted - turned:.1f} s after the switch"
            )
            print(f"switchover: the first message came {shown - turned:.1f} s after the switch")
            assert accepted - turned <= 5
            assert shown - turned <= 15
            await sending
            await all_are_shown(town, range(40), url)
            await assert_one_leads(replicas)
            last = await assert_bells_are_heard(town, replicas, range(100, 120))
            await all_are_shown(town, [*range(40), *range(100, last + 1)], url)
            assert [replica.process.errors() for replica in replicas] == [[], []]


async def test_a_frozen_database_is_told_and_waited_out(town, servers, tmp_path):
    server, _ = servers
    url = await create_database(server.url, "machine")
    async with two_replicas(town, url, tmp_path) as (leader, standby):
        there = [leader, standby]
        sending = asyncio.create_task(storm(there, range(40), lasts=3.0))
        await town.server.wait_for(lambda: len(town.cards()) >= 5, 20)
        server.freeze()
        frozen = time.monotonic()

        async def refused(replica):
            assert (await post(replica.port, body_of(0)))[0] == 503
            status, told, took = await replica.asks("/readyz")
            assert (status, "no answer within 1 s" in told) == (503, True)
            return time.monotonic() - frozen, took

        took = await asyncio.gather(refused(leader), refused(standby))
        print(f"frozen: refused, and told to be unready (the second figure), after {took} s")
        assert max(map(max, took)) < 10
        # Whoever is asked to end does so, whatever the database does.
        there.remove(standby)
        standby.process.signal(signal.SIGTERM)
        asked = time.monotonic()
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + frozen + 10.5 - time.monotonic()):
            while await leader.counts_itself_as_leader():  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.05)
        print(f"frozen: the leader has stopped {time.monotonic() - frozen:.1f} s after it")
        async with asyncio.timeout(20):
            assert await standby.process.wait() == 0
        print(f"frozen: SIGTERM took {time.monotonic() - asked:.1f} s")
        said = len(leader.process.lines)
        before = len(town.cards())
        server.thaw()
        thawed = time.monotonic()
        await leader.leads(since=said)
        await town.server.wait_for(lambda: len(town.cards()) > before, 30)
        print(f"thawed: the first message came {time.monotonic() - thawed:.1f} s after it")
        await sending
        await all_are_shown(town, range(40), url)
        assert leader.process.errors() + standby.process.errors() == []
