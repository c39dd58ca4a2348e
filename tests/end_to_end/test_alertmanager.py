"""A real Alertmanager and a real Prometheus post to the real process."""

import pytest
from sqlalchemy import text

from bot.database.engine import Database
from tests.support.alertmanager import a_prometheus, an_alertmanager
from tests.support.ports import free_port
from tests.support.running import Process, a_process, a_town, command, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

DISK = {"alertname": "DiskFull", "severity": "warning", "namespace": "db", "pod": "a"}
DISK_B = {**DISK, "pod": "b"}
CRITICAL = {"alertname": "NodeDown", "severity": "critical", "node": "n1"}
SLOWLY = 30.0


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def config(town, sqlite_url, tmp_path, port):
    return write(tmp_path, town.configuration(sqlite_url, port=port))


async def test_it_fires_is_grouped_and_resolves(town, config, port, tmp_path):
    async with a_process(config, port=port) as process, an_alertmanager(tmp_path, port) as alertmanager:
        await alertmanager.fire(DISK, CRITICAL)
        card = await town.see("WARNING", "DiskFull", timeout=SLOWLY)
        assert (await town.see("CRITICAL", "NodeDown")).pinged_roles == (town.oncall.id,)
        await alertmanager.fire(DISK, DISK_B)
        assert await town.see("DiskFull", "2 ", timeout=SLOWLY) is card
        await alertmanager.resolve(DISK, DISK_B, CRITICAL)
        assert await town.see("RESOLVED", "DiskFull", timeout=SLOWLY) is card
        await town.see("RESOLVED", "NodeDown", timeout=SLOWLY)
        assert await process.terminate() == 0
        assert process.errors() == []
    town.assert_nothing_was_said_twice()
    assert len(town.cards()) == 2
    assert town.notices() == []


async def test_while_the_bot_is_down_the_alert_waits_with_alertmanager(town, config, port, tmp_path):
    process = Process(config)
    async with an_alertmanager(tmp_path, port) as alertmanager:
        await alertmanager.fire(DISK)
        try:
            await process.start()
            card = await town.see("DiskFull", timeout=SLOWLY)
            await process.kill()
            await alertmanager.fire(CRITICAL)
            await alertmanager.resolve(DISK)
            await process.start()
            await town.see("CRITICAL", "NodeDown", timeout=SLOWLY)
            assert await town.see("RESOLVED", "DiskFull", timeout=SLOWLY) is card
        finally:
            await process.kill()
    town.assert_nothing_was_said_twice()
    assert len(town.cards()) == 2


async def test_while_the_bot_answers_503_the_alert_waits_with_alertmanager(
    town, config, port, tmp_path, sqlite_url
):
    async with a_process(config, port=port) as process, an_alertmanager(tmp_path, port) as alertmanager:
        async with Database(sqlite_url) as other, other.transaction() as tx:
            # A writer that does not let go: nothing can be committed.
            await tx.execute(text("SELECT 1"))
            await alertmanager.fire(DISK)
            await process.wait_for("loop_waits", loop="inbox-writer")
        await town.see("DiskFull", timeout=SLOWLY)
        await alertmanager.resolve(DISK)
        await town.see("RESOLVED", "DiskFull", timeout=SLOWLY)
    town.assert_nothing_was_said_twice()
    assert len(town.cards()) == 1


@pytest.mark.parametrize("path_prefix", ["/", "/webhooks/alertmanager"])
async def test_a_prometheus_that_takes_us_for_an_alertmanager_is_explained(
    town, config, port, tmp_path, path_prefix
):
    async with a_process(config, port=port), a_prometheus(tmp_path, port, path_prefix=path_prefix):
        notice = await town.see_notice("could not be applied", "Prometheus", timeout=SLOWLY)
    assert "alerting.alertmanagers" in notice.text
    code, listed, _ = await command(config, "inbox", "list")
    assert (code, "raw_prometheus" in listed) == (0, True)
    assert town.cards() == []
