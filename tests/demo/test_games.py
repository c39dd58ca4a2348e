"""The demo's Minecraft servers, asked by what asks real ones."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from bot.core.errors import BrokenError
from bot.core.tasks import running
from bot.database.engine import Database
from bot.demo.cluster.server import ApiServer
from bot.demo.minecraft.console import PASSWORD, ConsolePort
from bot.demo.minecraft.game import Game
from bot.demo.minecraft.host import NAMESPACE, Host
from bot.demo.minecraft.past import Past
from bot.demo.minecraft.status import StatusPort
from bot.minecraft import store
from bot.minecraft.console import Change, read_change, read_online, read_whitelist
from bot.minecraft.history import Period, past_of, stretches_of
from bot.minecraft.model import Address, Answer, Server, Trouble
from bot.minecraft.ping import Pinger
from bot.minecraft.rcon import Rcon, RconTarget

SOON = timedelta(seconds=1)


@pytest.fixture
def game():
    made = Game("survival", "§lSurvival§r with friends", most=20, usually=7, chance=Random(1))
    made.fill()
    made.is_ready = True
    return made


@pytest.fixture
def pinger():
    made = Pinger()
    yield made
    made.close()


@pytest.fixture
async def status(game):
    port = StatusPort(game)
    await port.open()
    yield port
    port.close()


def at(port):
    return Server(name="survival", address=Address("127.0.0.1", port))


async def test_it_says_who_plays_with_an_icon_and_a_message(game, status, pinger):
    answer = await pinger.ping(at(status.port), within=SOON)
    assert isinstance(answer, Answer)
    assert (answer.online, answer.most, answer.names) == (7, 20, tuple(game.players))
    assert answer.icon is not None
    assert answer.motd[0].bold


async def test_it_loads_before_it_answers_and_is_off_once_it_is_closed(game, status, pinger):
    game.is_ready = False
    assert await pinger.ping(at(status.port), within=SOON / 4) is Trouble.SILENT
    status.close()
    assert await pinger.ping(at(status.port), within=SOON) is Trouble.REFUSED
    port = status.port
    await status.open()
    assert status.port == port


async def test_whoever_would_join_is_sent_away_with_a_word(status):
    reader, writer = await asyncio.open_connection("127.0.0.1", status.port)
    handshake = b"\x00\x81\x06\x09127.0.0.1\x63\xdd\x02"
    writer.write(bytes((len(handshake),)) + handshake + b"\x03\x00\x01a")
    said = await reader.read()
    assert b"This server is part of a demo." in said
    writer.close()


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff\xff", b"\xff\x7f", b"GET / HTTP/1.1\r\n\r\n"])
async def test_garbage_ends_the_connection_and_harms_nobody(status, pinger, garbage):
    reader, writer = await asyncio.open_connection("127.0.0.1", status.port)
    writer.write(garbage)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert isinstance(await pinger.ping(at(status.port), within=SOON), Answer)


async def test_people_come_and_go_within_its_room(game):
    seen = {len(game.players)}
    for _ in range(500):
        game.live()
        assert len(set(game.players)) == len(game.players) <= 20
        seen.add(len(game.players))
    assert len(seen) > 4


@pytest.fixture
async def console(game):
    port = ConsolePort(game)
    await port.open()
    yield port
    port.close()


async def test_its_console_does_what_the_bot_asks_of_real_ones(game, console):
    rcon = Rcon("survival", RconTarget("127.0.0.1", console.port, PASSWORD))
    assert read_online(await rcon.run("list")).names == tuple(game.players)
    assert read_change(await rcon.run("whitelist add Notch")) is Change.DONE
    assert read_change(await rcon.run("whitelist add Notch")) is Change.ALREADY
    assert "Notch" in read_whitelist(await rcon.run("whitelist list"))
    assert read_change(await rcon.run("whitelist remove Notch")) is Change.DONE
    assert read_change(await rcon.run("whitelist remove Notch")) is Change.ALREADY
    assert await rcon.run("save-all flush") == "Saved the game"
    assert "Unknown" in await rcon.run("op Notch")
    assert "Unknown" in await rcon.run("whitelist on")
    rcon.close()


async def test_its_console_lets_nobody_in_without_the_password(game, console):
    rcon = Rcon("survival", RconTarget("127.0.0.1", console.port, "guess"))
    with pytest.raises(BrokenError):
        await rcon.run("whitelist add Mallory")
    assert "Mallory" not in game.whitelist


async def test_what_the_cluster_wants_runs_and_what_it_does_not_want_ends(game, pinger):
    game.stop()
    async with ApiServer() as cluster:
        host = Host(cluster, pace=0.02)
        place = await host.put(game, kind="Deployment", runs=False)
        host.expose(place)
        server = at(place.status.port)
        assert await pinger.ping(server, within=SOON) is Trouble.REFUSED
        async with running([host.run()]):
            cluster.patch("Deployment", NAMESPACE, "survival", {"spec": {"replicas": 1}})
            await until(lambda: game.is_ready)
            assert isinstance(await pinger.ping(server, within=SOON), Answer)
            assert cluster.get("Deployment", NAMESPACE, "survival")["status"]["readyReplicas"] == 1
            assert cluster.get("Pod", NAMESPACE, place.pod)["status"]["phase"] == "Running"
            cluster.patch("Deployment", NAMESPACE, "survival", {"spec": {"replicas": 0}})
            await until(lambda: not cluster.objects("Pod"))
            assert await pinger.ping(server, within=SOON) is Trouble.REFUSED
            assert cluster.get("Deployment", NAMESPACE, "survival")["status"]["replicas"] == 0
        host.close()


async def until(holds):
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 (the host tells nobody what it does)
            await asyncio.sleep(0.01)


async def test_its_past_has_evenings_and_a_bad_night(sqlite_url):
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    async with Database(sqlite_url) as database:
        await Past("survival", usually=7).tell(database, now=now)
        start = now - Period.DAY.length
        async with database.reading() as tx:
            samples = await store.list_samples(tx, "survival", since=start, until=now)
            hours = await store.list_hours(tx, "survival", since=now - Period.MONTH.length, until=now)
    past = past_of("survival", Period.DAY, stretches_of(samples, start=start, end=now), start=start, end=now)
    assert past.peak >= 8
    assert [outage.down for outage in past.outages] == [timedelta(minutes=50)]
    assert len(hours) > 700
