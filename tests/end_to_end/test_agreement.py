"""The whole bot beside a real Alertmanager: the card agrees with it, although it never says so."""

import asyncio
import contextlib

import pytest

from tests.support.alertmanager import an_alertmanager
from tests.support.ports import free_port
from tests.support.running import a_town, an_app, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

DISK = {"alertname": "DiskFull", "severity": "warning", "namespace": "db", "pod": "a"}
NODE = {"alertname": "NodeDown", "severity": "critical", "node": "n1"}
SLOWLY = 30.0


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
def ports():
    return free_port(), free_port()


@pytest.fixture
def config(town, sqlite_url, tmp_path, ports):
    theirs, ours = ports
    peers = [{"name": "main", "urls": [f"http://127.0.0.1:{theirs}"]}]
    return write(tmp_path, town.configuration(sqlite_url, port=ours, alertmanagers=peers))


def polling_of(running):
    leading = running.app._leading
    return leading._polling if leading is not None else None


@contextlib.asynccontextmanager
async def asking(running, *, every=0.3):
    """Have it ask Alertmanager more often than anybody would configure."""

    async def ask():
        while True:
            if (polling := polling_of(running)) is not None:
                polling.wake()
            await asyncio.sleep(every)

    task = asyncio.create_task(ask())
    try:
        yield
    finally:
        task.cancel()


async def test_an_amtool_silence_shows_and_what_resolves_in_it_is_closed(town, config, ports, tmp_path):
    theirs, ours = ports
    async with an_alertmanager(tmp_path, ours, port=theirs) as alertmanager, an_app(config) as running:
        await alertmanager.fire(DISK, NODE)
        card = await town.see("WARNING", "DiskFull", timeout=SLOWLY)
        async with asking(running):
            silence = await alertmanager.amtool(
                *("silence", "add", "alertname=DiskFull", "--comment=upgrade", "--author=jane")
            )
            assert await town.see("SILENCED", "DiskFull", "jane", "upgrade", timeout=SLOWLY) is card
            await alertmanager.amtool("silence", "expire", silence)
            assert await town.see("WARNING", "DiskFull", timeout=SLOWLY) is card
            await alertmanager.amtool("silence", "add", "alertname=DiskFull", "--comment=again")
            await town.see("SILENCED", "DiskFull", timeout=SLOWLY)
            await alertmanager.resolve(DISK)
            assert await town.see("RESOLVED", "DiskFull", timeout=SLOWLY) is card
        assert (await town.see("NodeDown")).text.startswith("### CRITICAL")
    town.assert_nothing_was_said_twice()


async def test_what_ended_while_both_were_down_is_closed_and_what_goes_on_is_not(
    town, config, ports, tmp_path
):
    theirs, ours = ports
    async with an_app(config) as running:
        async with an_alertmanager(tmp_path, ours, port=theirs) as alertmanager:
            await alertmanager.fire(DISK, NODE)
            disk = await town.see("WARNING", "DiskFull", timeout=SLOWLY)
            node = await town.see("CRITICAL", "NodeDown", timeout=SLOWLY)
            # That its address is this Alertmanager's own is learnt from its list.
            await polling_of(running)._polls()["main"].step()
        await running.end()
    # Alertmanager keeps alerts in memory alone: of the one that is not sent again it knows nothing.
    async with an_alertmanager(tmp_path, ours, port=theirs) as alertmanager:
        await alertmanager.fire(NODE)
        async with an_app(config) as running, asking(running):
            assert await town.see("RESOLVED", "DiskFull", timeout=SLOWLY) is disk
            assert await town.see("CRITICAL", "NodeDown") is node
    town.assert_nothing_was_said_twice()
