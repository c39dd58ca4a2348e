"""The whole app in this process: a webhook becomes a card, a person acts on it, whatever happens around."""

import asyncio
import contextlib
import time
import uuid

import pytest
import structlog
import yaml
from sqlalchemy import text

from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import DeliveryState
from bot.app import App
from bot.core.errors import LostLeadershipError
from bot.database.engine import Database
from bot.database.leadership import Leadership
from bot.settings.load import load_settings
from tests.simulators.discord.faults import HANG, server_error, slow
from tests.support.alerts import a_body, an_entry
from tests.support.postgres import create_database, drop_database
from tests.support.running import a_town, an_app, count, details_of, post, send, texts, write

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
def config(town, database_url, tmp_path):
    return write(tmp_path, town.configuration(database_url))


@pytest.fixture
def on_sqlite(town, sqlite_url, tmp_path):
    """For what does not depend on the kind of database."""
    return write(tmp_path, town.configuration(sqlite_url))


def fires(name="DiskFull", severity="warning", **labels):
    entry = an_entry(name, **{"severity": severity, **labels})
    return a_body(entry, group_labels={"alertname": name})


def resolves(name="DiskFull", severity="warning", **labels):
    entry = an_entry(
        name, status="resolved", until="2026-11-21T12:30:00Z", **{"severity": severity, **labels}
    )
    return a_body(entry, group_labels={"alertname": name})


async def states(database_url):
    return await count(database_url, inbox_store.count_by_state)


# What the bot says of itself.


async def test_the_doctor_looks_at_everything_and_tells_only_the_asker(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        await town.see("DiskFull")
        asked = await town.server.slash(
            "machine", "doctor", user=town.ada, channel=town.channels["alerts"], timeout=10
        )
        await town.server.wait_for(lambda: "look" in asked.text, 20)
        assert asked.deferred
        assert asked.ephemeral
        for subject in ("program", "database", "leader", "inbox", "discord.token", "clock", "alertmanagers"):
            assert subject in asked.text
        # Nobody is there at that address.
        assert "**LOOK** `alertmanagers.main" in asked.text


# A database that is not there yet.


async def until(what):
    async with asyncio.timeout(15):
        while not what():  # noqa: ASYNC110 (a log, and a server that is made later)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def starting(path):
    """An app that waits for its database, what tells it to stop, and what it logs."""
    app, stop = App(load_settings(path, {}), path, {}), asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(app.run(stop))
        try:
            await until(lambda: "database_waits" in [entry["event"] for entry in logs])
            yield app, stop, logs
        finally:
            stop.set()
            await task


async def test_a_process_that_starts_before_its_database_waits_for_it(town, postgres_url, tmp_path):
    name = f"late_{uuid.uuid4().hex[:12]}"
    async with starting(write(tmp_path, town.configuration(f"{postgres_url}/{name}"))) as (app, _, logs):
        await create_database(postgres_url, name)
        await until(lambda: app.web is not None and app.web._runner.addresses)
        assert (await post(app.web.port, fires()))[0] == 200
        assert [entry["event"] for entry in logs].count("database_waits") == 1
    await drop_database(postgres_url, name)


async def test_a_process_that_waits_for_its_database_ends_when_it_is_told_to(town, tmp_path):
    nowhere = "postgresql+asyncpg://postgres@127.0.0.1:1/machine"
    async with starting(write(tmp_path, town.configuration(nowhere))) as (app, stop, _):
        stop.set()
    assert app.web is None


# From the webhook to the card and back.


async def test_an_alert_becomes_a_card_that_a_person_takes_on_and_that_closes(town, config):
    async with an_app(config) as app:
        assert (await post(app.port, fires(severity="critical")))[0] == 200
        card = await town.see("CRITICAL", "DiskFull")
        assert card.channel_id == town.channels["critical"].id
        assert card.pinged_roles == (town.oncall.id,)
        await town.server.wait_ready()
        pressed = await town.server.click(
            card, details_of(card).replace("details", "ack"), town.ada, timeout=10
        )
        assert pressed.callback is not None
        assert await town.see("DiskFull", f"<@{town.ada.id}>") is card
        await post(app.port, resolves(severity="critical"))
        assert await town.see("RESOLVED", "DiskFull") is card
    town.assert_nothing_was_said_twice()
    assert len(town.cards()) == 1


async def test_who_may_not_acknowledge_is_told_so_privately_and_nothing_changes(town, on_sqlite):
    async with an_app(on_sqlite) as app:
        await post(app.port, fires())
        card = await town.see("DiskFull")
        before = card.text
        await town.server.wait_ready()
        await town.server.click(card, details_of(card).replace("details", "ack"), town.guest, timeout=10)
        await post(app.port, fires("Other"))
        await town.see("Other")
    assert card.text == before


async def test_the_same_delivery_again_says_nothing_new(town, config, database_url):
    async with an_app(config) as app:
        for _ in range(5):
            await post(app.port, fires())
        await town.see("DiskFull")
        await post(app.port, fires("Last"))
        await town.see("Last")
    assert len(town.cards()) == 2
    counted = await states(database_url)
    assert counted[DeliveryState.APPLIED] == 2
    assert counted[DeliveryState.REPEAT] == 4


@pytest.mark.parametrize("token", [None, "wrong", ""])
async def test_a_stranger_is_answered_401_and_leaves_no_trace(town, on_sqlite, sqlite_url, token):
    async with an_app(on_sqlite) as app:
        assert (await post(app.port, fires(), token=token))[0] == 401
    assert sum((await states(sqlite_url)).values()) == 0


async def test_a_restart_loses_and_doubles_nothing_and_old_buttons_work(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        card = await town.see("DiskFull")
    async with an_app(config) as app:
        await town.server.wait_ready()
        await town.server.click(card, details_of(card).replace("details", "ack"), town.ada, timeout=10)
        assert await town.see("DiskFull", f"<@{town.ada.id}>") is card
        await post(app.port, resolves())
        assert await town.see("RESOLVED") is card
    town.assert_nothing_was_said_twice()


async def test_what_was_accepted_before_a_crash_is_shown_after_it(town, config):
    async with an_app(config) as app:
        town.server.faults.add("POST", "/channels/*/messages", HANG)
        for number in range(10):
            await post(app.port, fires(f"Alert{number}"))
        await app.die()
    async with an_app(config):
        for number in range(10):
            await town.see(f"Alert{number}", timeout=20)
    town.assert_nothing_was_said_twice()


# Notices.


async def test_garbage_is_kept_answered_200_and_explained(town, on_sqlite, sqlite_url):
    async with an_app(on_sqlite) as app:
        status, answer = await post(app.port, b"\x00 this is no JSON")
        assert status == 200
        await town.see_notice("could not be applied", f"machine inbox show {answer['id']}")
        await post(app.port, b'[{"labels": {"alertname": "Raw"}, "startsAt": "2026-11-21T12:00:00Z"}]')
        await town.see_notice("Prometheus")
        await post(app.port, fires())
        await town.see("DiskFull")
    assert (await states(sqlite_url))[DeliveryState.QUARANTINED] == 2


async def test_an_unknown_source_is_accepted_and_reported(town, on_sqlite):
    async with an_app(on_sqlite) as app:
        assert (await post(app.port, fires(), path="/webhooks/alertmanager/elsewhere"))[0] == 200
        await town.see("DiskFull")
        await town.see_notice("unknown source", "elsewhere")


async def test_a_body_that_is_too_large_is_refused_and_reported(town, sqlite_url, tmp_path):
    configuration = town.configuration(sqlite_url)
    configuration["web"]["max_body_mib"] = 1
    async with an_app(write(tmp_path, configuration)) as app:
        assert (await post(app.port, b"x" * (2**20 + 1)))[0] == 413
        await town.see_notice("size", "max_alerts")


async def test_a_channel_that_refuses_us_is_told_in_the_audit_channel(town, on_sqlite):
    town.channels["alerts"].refusal = 50013
    async with an_app(on_sqlite) as app:
        await post(app.port, fires())
        card = await town.see("DiskFull")
        assert card.channel_id == town.channels["audit"].id
        await town.see_notice("refused", f"<#{town.channels['alerts'].id}>")


# The configuration changes.


async def test_a_changed_file_swaps_the_routes(town, sqlite_url, tmp_path):
    configuration = town.configuration(sqlite_url)
    path = write(tmp_path, configuration)
    async with an_app(path) as app:
        configuration["alerts"] = {"routes": [{"channel": "critical"}]}
        configuration["web"]["tokens"] = ["another-token"]
        write(tmp_path, configuration)
        await app.app._watcher.step()
        assert (await post(app.port, fires()))[0] == 401
        assert (await post(app.port, fires(), token="another-token"))[0] == 200
        assert (await town.see("DiskFull")).channel_id == town.channels["critical"].id


async def test_an_invalid_file_keeps_the_old_configuration_and_a_notice_says_why(town, sqlite_url, tmp_path):
    configuration = town.configuration(sqlite_url)
    path = write(tmp_path, configuration)
    async with an_app(path) as app:
        path.write_text(yaml.safe_dump(configuration | {"alerts": {"roots": []}}))
        await app.app._watcher.step()
        await town.see_notice("configuration", "alerts.roots")
        await post(app.port, fires())
        assert (await town.see("DiskFull")).channel_id == town.channels["alerts"].id


# Discord is away.


async def test_alerts_are_accepted_while_nothing_answers_at_discords_address(town, config):
    await town.server.stop_listening()
    async with an_app(config) as app:
        for number in range(5):
            assert (await post(app.port, fires(f"Alert{number}")))[0] == 200
        assert (await post(app.port, resolves("Alert0")))[0] == 200
        await town.server.listen()
        await town.see("RESOLVED", "Alert0", timeout=20)
        for number in range(1, 5):
            await town.see(f"Alert{number}")
    town.assert_nothing_was_said_twice()
    assert len(town.cards()) == 5


async def test_an_invalid_token_at_the_start_is_waited_out(town, on_sqlite):
    right, town.server.token = town.server.token, "another.token"
    async with an_app(on_sqlite) as app:
        assert (await post(app.port, fires()))[0] == 200
        await town.server.wait_for(lambda: any(status == 401 for _, status in town.server.answers))
        town.server.token = right
        await town.see("DiskFull", timeout=20)


@pytest.mark.parametrize("code", [4004, 4014])
async def test_cards_are_shown_although_the_gateway_refuses_us(town, on_sqlite, code):
    async with an_app(on_sqlite) as app:
        for _ in range(3):
            await town.server.wait_ready(timeout=15)
            await town.server.gateway.close(code)
        await post(app.port, fires())
        await town.see("DiskFull", timeout=15)


async def test_discord_answering_503_for_a_while_is_caught_up_with(town, config):
    async with an_app(config) as app:
        await post(app.port, fires("Before"))
        await town.see("Before")
        async with town.server.answering_503():
            await asyncio.gather(*(post(app.port, fires(f"Alert{number:03}")) for number in range(200)))
            await asyncio.gather(*(post(app.port, resolves(f"Alert{number:03}")) for number in range(100)))
            await town.server.wait_for(
                lambda: town.server.answers["POST /channels/{channel_id}/messages", 503]
            )
        began = time.monotonic()
        await town.server.wait_for(
            # First what is cheap to ask: it is asked after each request.
            lambda: (
                len(town.messages("alerts")) == 201
                and sum("RESOLVED" in t for t in texts(town.cards())) == 100
            ),
            timeout=30,
        )
        assert time.monotonic() - began < 15
    town.assert_nothing_was_said_twice()
    assert town.server.count_429 == 0


# The database is away.


async def test_while_the_database_cannot_commit_the_answer_is_503_and_nothing_is_lost(
    town, on_sqlite, sqlite_url
):
    async with an_app(on_sqlite) as app:
        async with Database(sqlite_url) as other, other.transaction() as tx:
            await tx.execute(text("SELECT 1"))
            status, answer = await post(app.port, fires())
            assert status == 503
            assert "database" in answer["error"]
            sending = asyncio.create_task(send(app.port, fires()))
            await asyncio.sleep(0)
        await sending
        await town.see("DiskFull", timeout=20)
    town.assert_nothing_was_said_twice()


# Several processes.


async def test_a_standby_accepts_alerts_and_takes_over_from_a_leader_that_died(
    town, postgres_database_url, tmp_path
):
    path = write(tmp_path, town.configuration(postgres_database_url))
    async with an_app(path) as first:
        await post(first.port, fires("One"))
        await town.see("One")
        async with an_app(path) as standby:
            # The standby accepts, the leader shows.
            assert (await post(standby.port, fires("Two")))[0] == 200
            await town.see("Two")
            await _die_without_release(first, postgres_database_url)
            assert (await post(standby.port, fires("Three")))[0] == 200
            began = time.monotonic()
            await town.see("Three", timeout=20)
            assert time.monotonic() - began < 15
            await post(standby.port, resolves("One"))
            await town.see("RESOLVED", "One")
    town.assert_nothing_was_said_twice()
    assert len(town.cards()) == 3


async def test_a_leader_that_stops_hands_over_at_once(town, postgres_database_url, tmp_path):
    path = write(tmp_path, town.configuration(postgres_database_url))
    async with an_app(path) as first, an_app(path) as standby:
        await post(first.port, fires("One"))
        await town.see("One")
        await first.end()
        began = time.monotonic()
        await post(standby.port, fires("Two"))
        await town.see("Two", timeout=20)
        assert time.monotonic() - began < 6
    town.assert_nothing_was_said_twice()


async def test_a_leader_that_was_overtaken_writes_nothing_and_stands_by(
    town, postgres_database_url, tmp_path
):
    path = write(tmp_path, town.configuration(postgres_database_url))
    async with an_app(path) as app:
        await post(app.port, fires("One"))
        await town.see("One")
        async with Database(postgres_database_url) as database:
            epoch = await _usurp(database)
            await post(app.port, fires("Two"))
            async with asyncio.timeout(10):
                # It says so to nobody in this process.
                while app.app._leading is not None:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert not any("Two" in text for text in texts(town.cards()))
            await Leadership(database, "usurper").release(epoch)
        await town.see("Two", timeout=20)
    town.assert_nothing_was_said_twice()


async def test_on_sqlite_a_second_process_ends_the_first(town, on_sqlite):
    async with an_app(on_sqlite) as first:
        await post(first.port, fires("One"))
        await town.see("One")
        async with an_app(on_sqlite) as second:
            async with asyncio.timeout(15):
                await asyncio.wait([first.task])
            assert isinstance(first.task.exception(), LostLeadershipError)
            await post(second.port, resolves("One"))
            await town.see("RESOLVED", "One")
    town.assert_nothing_was_said_twice()


@pytest.fixture
async def postgres_database_url(postgres_url, migrated_postgres):
    import uuid  # noqa: PLC0415

    from tests.support.postgres import create_database, drop_database  # noqa: PLC0415

    name = f"test_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_url, name, migrated_postgres)
    await drop_database(postgres_url, name)


async def _die_without_release(running, database_url):
    """Cancel, and give the lease back as a killed process would leave it: valid for 10 s."""
    await running.die()
    async with Database(database_url) as database:
        await _lease_again(database)


async def _lease_again(database):
    from sqlalchemy import text  # noqa: PLC0415

    async with database.transaction() as tx:
        await tx.execute(
            text("UPDATE leadership SET expires_at = now() + interval '10 s' WHERE expires_at IS NULL")
        )


async def _usurp(database):
    from sqlalchemy import text  # noqa: PLC0415

    async with database.transaction() as tx:
        return (
            await tx.execute(
                text(
                    "UPDATE leadership SET holder = 'usurper', epoch = epoch + 1, "
                    "expires_at = now() + interval '1 hour' RETURNING epoch"
                )
            )
        ).scalar_one()


# The end.


async def test_it_stops_within_seconds_and_finishes_what_is_on_its_way(town, config):
    town.server.faults.add("POST", "/channels/*/messages", slow(1.0))
    async with an_app(config) as app:
        await post(app.port, fires())
        await town.server.wait_for(lambda: town.server.faults.scripts[0].hits)
        began = time.monotonic()
        await app.end()
        assert time.monotonic() - began < 5
    await town.see("DiskFull")
    async with an_app(config) as app:
        await post(app.port, resolves())
        await town.see("RESOLVED")
    # Its id was stored: nothing had to be looked up.
    assert town.server.requests_to("GET", "/channels/*/messages") == []


async def test_it_stops_within_seconds_while_discord_hangs(town, on_sqlite):
    town.server.faults.add("POST", "/channels/*/messages", HANG)
    async with an_app(on_sqlite) as app:
        await post(app.port, fires())
        await town.server.wait_for(lambda: town.server.faults.scripts[0].hits)
        began = time.monotonic()
        await app.end()
        assert time.monotonic() - began < 12


async def test_it_stops_within_seconds_while_discord_is_down(town, on_sqlite):
    town.server.faults.add("*", "**", server_error(503), times=None)
    async with an_app(on_sqlite) as app:
        await post(app.port, fires())
        began = time.monotonic()
        await app.end()
        assert time.monotonic() - began < 5
