"""The process as an operator meets it: signals, commands, the configuration's file."""

import signal
import time

import pytest
import yaml

from tests.support.alerts import a_body, an_entry
from tests.support.ports import free_port
from tests.support.running import a_process, a_town, command, post, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def configuration(town, sqlite_url, port):
    return town.configuration(sqlite_url, port=port)


def fires(name="DiskFull"):
    return a_body(an_entry(name), group_labels={"alertname": name})


async def test_sigterm_ends_it_within_seconds_with_exit_code_0(town, configuration, port, tmp_path):
    async with a_process(write(tmp_path, configuration), port=port) as process:
        await post(port, fires())
        await town.see("DiskFull")
        await town.server.wait_ready()
        began = time.monotonic()
        assert await process.terminate() == 0
        assert time.monotonic() - began < 10
        assert process.errors() == []


async def test_sigterm_ends_it_within_seconds_while_discord_is_away(town, configuration, port, tmp_path):
    await town.server.stop_listening()
    async with a_process(write(tmp_path, configuration), port=port) as process:
        assert (await post(port, fires()))[0] == 200
        began = time.monotonic()
        assert await process.terminate() == 0
        assert time.monotonic() - began < 10


async def test_sighup_takes_the_changed_file_and_refuses_a_wrong_one(town, configuration, port, tmp_path):
    config = write(tmp_path, configuration)
    async with a_process(config, port=port) as process:
        configuration["alerts"] = {"routes": [{"channel": "critical"}]}
        write(tmp_path, configuration)
        process.signal(signal.SIGHUP)
        await process.wait_for("configuration_taken")
        await post(port, fires("One"))
        assert (await town.see("One")).channel_id == town.channels["critical"].id

        config.write_text(yaml.safe_dump(configuration | {"alerts": {"routes": [{"chanel": "alerts"}]}}))
        process.signal(signal.SIGHUP)
        await process.wait_for("configuration_refused")
        await town.see_notice("configuration", "chanel")
        await post(port, fires("Two"))
        assert (await town.see("Two")).channel_id == town.channels["critical"].id


async def test_garbage_is_listed_shown_and_tried_again_by_the_command(town, configuration, port, tmp_path):
    config = write(tmp_path, configuration)
    async with a_process(config, port=port):
        _, answer = await post(port, b"this is no JSON")
        number = str(answer["id"])
        await town.see_notice("could not be applied", f"machine inbox show {number}")

        code, out, _ = await command(config, "inbox", "list")
        assert code == 0
        assert number in out
        assert "not_json" in out
        code, out, _ = await command(config, "inbox", "show", number)
        assert code == 0
        assert "this is no JSON" in out
        code, out, _ = await command(config, "inbox", "retry", number)
        assert code == 0
        await town.see_notice("could not be applied", "2 times")
        code, _, err = await command(config, "inbox", "show", "4711")
        assert code == 1
        assert "4711" in err


async def test_a_wrong_configuration_ends_the_start_with_exit_code_2(configuration, tmp_path):
    config = write(tmp_path, configuration | {"wep": {}})
    code, _, err = await command(config, "run")
    assert code == 2
    assert "wep" in err
    assert "web" in err


async def test_on_sqlite_a_second_process_ends_the_first_with_a_reason(town, configuration, port, tmp_path):
    (tmp_path / "second").mkdir()
    other = free_port()
    second = write(tmp_path / "second", configuration | {"web": configuration["web"] | {"port": other}})
    async with a_process(write(tmp_path, configuration), port=port) as first:
        await post(port, fires("One"))
        await town.see("One")
        async with a_process(second, port=other):
            assert await first.wait() == 1
            assert "Another process" in first.tail()
            await post(other, fires("Two"))
            await town.see("Two")
    town.assert_nothing_was_said_twice()
