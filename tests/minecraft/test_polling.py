"""Watching servers over time, on both databases, with the incidents that follow."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from bot.alerts.model.incident import State
from bot.minecraft import store
from bot.minecraft.history import Sample
from bot.minecraft.model import Address, Condition, Server, Stop, Trouble
from bot.minecraft.settings import MinecraftSettings
from bot.minecraft.thinning import Thinning
from bot.telemetry.metrics import REGISTRY
from tests.support.minecraft import JavaServer, a_status, says
from tests.support.minecraft_room import Watch, open_watch


@pytest.fixture
async def watch(database):
    async with AsyncExitStack() as stack:
        yield await open_watch(database, stack)


async def test_all_servers_are_asked_and_what_changed_is_kept(watch: Watch):
    await watch.serve("survival", a_status("alice", "bob"))
    watch.stop_of("creative")
    await watch.step()

    assert watch.standing("survival").condition is Condition.ONLINE
    assert watch.standing("creative").condition is Condition.OFFLINE
    assert [sample.players for sample in await watch.samples("survival")] == [2]
    assert [sample.up for sample in await watch.samples("creative")] == [False]


async def test_nothing_is_written_while_nothing_changes(watch: Watch):
    server = await watch.serve("survival", a_status("alice"))
    for _ in range(4 * 6):
        await watch.step()
    assert len(await watch.samples("survival")) == 2
    server.status = a_status("alice", "bob")
    await watch.step()
    assert [sample.players for sample in await watch.samples("survival")] == [1, 1, 2]


async def test_a_slow_server_delays_no_other(watch: Watch):
    fast = await watch.serve("fast")
    slow = await watch.serve("slow")
    slow.talk = says(b"", then="hold")
    watch.settings = MinecraftSettings(timeout=timedelta(seconds=0.4))
    seen = []
    watch.polling.on_change(lambda: seen.append(set(watch.polling.standings)))
    await watch.step()
    assert seen[0] == {"fast"}
    assert fast.asked == slow.asked == 1


async def test_a_server_that_is_down_for_long_opens_an_incident_and_closes_it(watch: Watch):
    server = await watch.serve("survival")
    await watch.step()
    await server.close()
    await watch.pass_by(timedelta(minutes=4))
    assert await watch.incidents() == []
    await watch.pass_by(timedelta(minutes=2))

    [incident] = await watch.incidents()
    assert incident.title == "MinecraftServerDown"
    assert incident.common_labels["server"] == "survival"
    assert incident.common_labels["severity"] == "warning"
    where = f"It is asked at 127.0.0.1:{server.port}."
    assert incident.firing[0].annotations["description"] == f"{Trouble.REFUSED.sentence} {where}"
    await watch.pass_by(timedelta(minutes=10))
    assert len(await watch.incidents()) == 1

    await server.open()
    await watch.step()
    assert (await watch.incidents())[0].state is State.FIRING
    await watch.pass_by(timedelta(minutes=2))
    assert (await watch.incidents())[0].state is State.RESOLVED


async def test_a_restart_in_the_middle_opens_no_second_incident_and_closes_the_first(watch: Watch, database):
    server = await watch.serve("survival")
    await watch.step()
    await server.close()
    await watch.pass_by(timedelta(minutes=6))
    await watch.restart()
    await watch.pass_by(timedelta(minutes=6))
    assert len(await watch.incidents()) == 1

    await server.open()
    await watch.restart()
    await watch.pass_by(timedelta(minutes=2))
    assert [incident.state for incident in await watch.incidents()] == [State.RESOLVED]


async def test_a_server_that_was_stopped_on_purpose_opens_none(watch: Watch):
    server = await watch.serve("survival")
    await watch.step()
    await server.close()
    async with watch.rooms.database.transaction() as tx:
        await watch.polling.note_stop(tx, "survival", Stop(by_id="7", at=watch.clock.now()))
    await watch.pass_by(timedelta(minutes=20))
    assert await watch.incidents() == []
    await watch.restart()
    assert watch.standing("survival").stop is not None


async def stop(watch, stop):
    async with watch.rooms.database.transaction() as tx:
        await watch.polling.note_stop(tx, "survival", stop)


async def test_a_server_that_is_started_after_days_has_as_much_time_to_answer_as_any(watch: Watch):
    watch.stop_of("survival")
    await watch.step()
    await stop(watch, Stop(by_id="7", at=watch.clock.now()))
    await watch.pass_by(timedelta(minutes=20))
    await watch.restart()
    await stop(watch, None)
    await watch.pass_by(timedelta(minutes=4))
    assert await watch.incidents() == []
    await watch.pass_by(timedelta(minutes=2))
    assert [incident.state for incident in await watch.incidents()] == [State.FIRING]


@pytest.mark.parametrize("is_followed", [True, False])
async def test_nobody_is_called_for_a_server_that_somebody_waits_for(watch: Watch, is_followed):
    watch.stop_of("survival")
    await watch.step()
    watch.polling.note_start("survival", goes_on=True)
    await watch.pass_by(timedelta(minutes=14))
    assert await watch.incidents() == []
    if is_followed:
        watch.polling.note_start("survival", goes_on=False)
        await watch.step()
    else:
        await watch.pass_by(timedelta(minutes=1))
    assert [incident.state for incident in await watch.incidents()] == [State.FIRING]


async def test_what_was_found_before_a_restart_is_not_forgotten_until_it_was_looked_for(watch: Watch):
    watch.stop_of("survival")
    await watch.pass_by(timedelta(minutes=6))
    found, watch.servers = watch.servers, {}
    watch.knows_all = False
    await watch.restart()
    await watch.step()
    assert [incident.state for incident in await watch.incidents()] == [State.FIRING]
    since = watch.standing("survival").since
    watch.servers, watch.knows_all = found, True
    await watch.step()
    assert watch.standing("survival").since == since
    assert [incident.state for incident in await watch.incidents()] == [State.FIRING]


async def test_a_server_that_is_watched_no_more_leaves_no_open_incident(watch: Watch):
    watch.stop_of("survival")
    await watch.pass_by(timedelta(minutes=6))
    assert [incident.state for incident in await watch.incidents()] == [State.FIRING]
    watch.servers.clear()
    await watch.step()
    assert [incident.state for incident in await watch.incidents()] == [State.RESOLVED]
    assert watch.polling.standings == {}


async def test_metrics_carry_the_names_of_mc_monitor(watch: Watch):
    server = await watch.serve("survival", a_status("alice"))
    await watch.step()
    labels = {"server_host": "127.0.0.1", "server_port": str(server.port), "server_edition": "java"}

    def value(name, **more):
        return REGISTRY.get_sample_value(name, {**labels, **more})

    assert value("minecraft_status_healthy") == 1
    assert value("minecraft_status_players_online_count") == 1
    assert value("minecraft_status_players_max_count") == 20
    assert value("minecraft_status_response_time_seconds") > 0
    info = {"server_version": "1.21.4", "server_name": "survival"}
    assert value("minecraft_status_info", **info) == 1
    await server.close()
    await watch.step()
    assert value("minecraft_status_healthy") == 0
    assert value("minecraft_status_info", **info) is None
    watch.servers.clear()
    await watch.step()
    assert value("minecraft_status_healthy") is None


async def test_samples_become_hours_and_old_ones_go(watch: Watch):
    start = watch.clock.now()
    async with watch.rooms.database.transaction() as tx:
        samples = [
            (
                "survival",
                Sample(start + n * timedelta(minutes=5), up=True, players=n % 7, most=20, latency_ms=9),
            )
            for n in range(12 * 24 * 9)
        ]
        await store.add_samples(tx, samples)
    watch.clock.advance(timedelta(days=9))
    job = Thinning(watch.rooms.database, watch.clock, lambda: watch.settings)
    for _ in range(2):
        await job.step()

    end = watch.clock.now()
    async with watch.rooms.database.reading() as tx:
        hours = await store.list_hours(tx, "survival", since=start, until=end)
        kept = await store.list_samples(tx, "survival", since=start, until=end)
    assert len(hours) in {9 * 24 - 1, 9 * 24}
    assert {hour.peak for hour in hours} == {6}
    assert min(sample.at for sample in kept) >= end - timedelta(days=7)
    assert len(kept) >= 12 * 24 * 7 - 1

    watch.clock.advance(timedelta(days=366))
    await job.step()
    async with watch.rooms.database.reading() as tx:
        assert await store.list_hours(tx, "survival", since=start, until=watch.clock.now()) == []


async def test_no_sample_goes_before_it_is_part_of_an_hour(watch: Watch):
    watch.settings = MinecraftSettings(keep=timedelta(minutes=10))
    start = watch.clock.now()
    samples = [
        ("survival", Sample(start + n * timedelta(minutes=5), up=True, players=n, most=20)) for n in range(12)
    ]
    async with watch.rooms.database.transaction() as tx:
        await store.add_samples(tx, samples)
    job = Thinning(watch.rooms.database, watch.clock, lambda: watch.settings)
    for _ in range(3):
        watch.clock.advance(timedelta(minutes=40))
        await job.step()
    async with watch.rooms.database.reading() as tx:
        [hour] = await store.list_hours(tx, "survival", since=start, until=watch.clock.now())
    assert (hour.up, hour.peak) == (timedelta(hours=1), 11)


def test_a_server_has_a_name_in_the_access_policy():
    assert Server(name="survival", address=Address("x")).target == "server:survival"
    assert JavaServer().asked == 0
