"""The simulated Discord, driven by the real discord.py: what it accepts, loses, repeats and refuses."""

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from typing import Any, Self

import aiohttp
import discord
import pytest
from discord import app_commands, ui
from discord.ext import commands

from tests.simulators.discord.faults import (
    DISCONNECT,
    HANG,
    RESET,
    archived_thread,
    edit_limit,
    invalid_form,
    missing_access,
    missing_permissions,
    rate_limited,
    server_error,
    slow,
    unauthorized,
    unknown_channel,
    unknown_message,
)
from tests.simulators.discord.redirect import redirected
from tests.simulators.discord.server import DiscordServer
from tests.simulators.discord.state import COMPONENTS_V2

CREATE = "/channels/*/messages"
EDIT = "/channels/*/messages/*"


class AckButton(ui.DynamicItem[ui.Button], template=r"tm:ack:(?P<key>[0-9a-z]+)"):
    def __init__(self, key: str) -> None:
        super().__init__(ui.Button(label="Ack", custom_id=f"tm:ack:{key}"))
        self.key = key

    @classmethod
    async def from_custom_id(cls, _interaction: Any, _item: Any, match: re.Match[str], /) -> Self:
        return cls(match["key"])

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        await interaction.edit_original_response(
            view=card(f"Acknowledged by {interaction.user.name}"),
            allowed_mentions=discord.AllowedMentions.none(),
        )


class NoteForm(ui.Modal, title="A note"):
    note = ui.Label(text="Note", component=ui.TextInput(custom_id="note"))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        assert isinstance(self.note.component, ui.TextInput)
        await interaction.response.send_message(f"Noted: {self.note.component.value}", ephemeral=True)


def card(text: str, key: str = "abc") -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(ui.TextDisplay(text), ui.ActionRow(AckButton(key))))
    return view


@app_commands.command(name="status")
async def status(interaction: discord.Interaction, server: str) -> None:
    """Say how a server is."""
    await interaction.response.defer(ephemeral=True)
    await interaction.followup.send(f"{server} is up")


@status.autocomplete("server")
async def servers(interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=n, value=n) for n in ("survival", "creative") if n.startswith(typed)]


@app_commands.command(name="note")
async def note(interaction: discord.Interaction) -> None:
    """Write a note."""
    await interaction.response.send_modal(NoteForm(timeout=900))


class Client(commands.Bot):
    def __init__(self) -> None:
        super().__init__(
            command_prefix=(),
            help_command=None,
            intents=discord.Intents(guilds=True),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=0.02,
            heartbeat_timeout=2,
        )
        self.seen: list[str] = []
        self.readiness = 0
        self.tree.add_command(status)
        self.tree.add_command(note)

    async def setup_hook(self) -> None:
        self.add_dynamic_items(AckButton)
        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Identify at once, without discord.py's five seconds."""

    async def on_ready(self) -> None:
        self.readiness += 1

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.seen.append(str(interaction.id))


@pytest.fixture
async def server():
    async with DiscordServer() as running:
        running.add_channel("alerts")
        with redirected(running):
            yield running


@pytest.fixture
async def client(server):
    """Logged in for REST, not connected to the gateway."""
    async with Client() as bot:
        await bot.login(server.token)
        yield bot


@contextlib.asynccontextmanager
async def connected(server):
    async with Client() as bot:
        running = asyncio.create_task(bot.start(server.token))
        await server.wait_ready()
        await asyncio.wait_for(bot.wait_until_ready(), 5)
        try:
            yield bot
        finally:
            await bot.close()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def bot(server):
    async with connected(server) as running:
        yield running


def alerts(server):
    return next(iter(server.state.channels.values()))


def place(client, server):
    return client.get_partial_messageable(alerts(server).id)


async def test_the_standalone_server_tells_its_addresses_and_its_state():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.simulators.discord",
        "--channels",
        "alerts",
        stdout=asyncio.subprocess.PIPE,
    )
    addresses = json.loads(await process.stdout.readline())
    channel = addresses["channels"]["alerts"]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {addresses['token']}"}) as session:
        fault = {"method": "POST", "path": CREATE, "kind": "server_error", "with": {"status": 502}}
        await session.post(f"{addresses['sim_url']}/faults", json=fault)
        for _ in range(2):
            await session.post(f"{addresses['api_url']}/channels/{channel}/messages", json={"content": "Hi"})
        read = await session.get(f"{addresses['sim_url']}/messages", params={"channel": channel})
        assert [message["text"] for message in await read.json()] == ["Hi"]
        stats = await (await session.get(f"{addresses['sim_url']}/stats")).json()
        assert stats["answers"]["POST /channels/{channel_id}/messages 502"] == 1
    process.terminate()
    assert await process.wait() == 0


# REST


async def test_a_wrong_token_is_refused(server):
    async with Client() as stranger:
        with pytest.raises(discord.LoginFailure):
            await stranger.login("wrong")


async def test_a_card_is_stored_and_echoed_with_numbered_components(client, server):
    sent = await place(client, server).send(view=card("Disk full"))

    (stored,) = server.messages(alerts(server))
    assert stored.id == sent.id
    assert stored.text == "Disk full"
    assert stored.custom_ids == ["tm:ack:abc"]
    assert stored.flags & COMPONENTS_V2
    assert [component["id"] for component in (stored.components[0], stored.component("tm:ack:abc"))] == [1, 4]
    assert sent.flags.components_v2
    assert server.violations == []


async def test_an_edit_keeps_the_former_versions(client, server):
    sent = await place(client, server).send(view=card("Disk full"))
    await place(client, server).get_partial_message(sent.id).edit(view=card("Disk fine"))

    stored = server.last_message(alerts(server))
    assert [version.text for version in stored.versions] == ["Disk full", "Disk fine"]
    assert stored.payload["edited_timestamp"]


async def test_files_are_kept_and_can_be_read_again(client, server):
    file = discord.File(__file__, filename="graph.txt")
    view = card("With a graph")
    view.add_item(ui.File("attachment://graph.txt"))
    sent = await place(client, server).send(view=view, file=file)

    assert server.last_message(alerts(server)).files["graph.txt"].startswith(b'"""The simulated Discord')
    assert (await sent.attachments[0].read()).startswith(b'"""The simulated Discord')


async def test_history_is_read_newest_first_and_in_pages(client, server):
    for number in range(5):
        await place(client, server).send(str(number))

    read = [message.content async for message in place(client, server).history(limit=3)]
    again = [m.content async for m in place(client, server).history(after=discord.Object(1), limit=2)]
    assert (read, again) == (["4", "3", "2"], ["0", "1"])


async def test_the_same_nonce_gives_the_same_message(client, server):
    first = await place(client, server).send(view=card("Once"), nonce="n1")
    second = await place(client, server).send(view=card("Once"), nonce="n1")
    other = await place(client, server).send(view=card("Once"), nonce="n2")

    assert first.id == second.id != other.id
    assert len(server.messages(alerts(server))) == 2


async def test_a_nonce_is_forgotten_in_time(client, server):
    await place(client, server).send("Once", nonce="n1")
    server.state.clock = lambda: time.time() + 301
    await place(client, server).send("Once", nonce="n1")
    server.forget_nonces()
    await place(client, server).send("Once", nonce="n1")

    assert len(server.messages(alerts(server))) == 3


async def test_a_deleted_message_cannot_be_edited(client, server):
    sent = await place(client, server).send("Gone soon")
    server.delete_message(server.last_message(alerts(server)))

    with pytest.raises(discord.NotFound) as error:
        await place(client, server).get_partial_message(sent.id).edit(content="Gone")
    assert error.value.code == 10008
    assert [message.id for message in server.deleted] == [sent.id]


def too_many_components():
    view = ui.LayoutView(timeout=None)
    view._total_children = -100  # the library's own check stands in the way
    for _ in range(41):
        view.add_item(ui.TextDisplay("x"))
    return view


def same_custom_id_twice():
    view = ui.LayoutView(timeout=None)
    view.add_item(
        ui.ActionRow(ui.Button(label="a", custom_id="same"), ui.Button(label="b", custom_id="same"))
    )
    return view


@pytest.mark.parametrize(
    "body",
    [
        {"view": card("x" * 4001)},
        {"view": same_custom_id_twice()},
        {"view": too_many_components()},
        {"content": "x" * 2001},
        {"content": "x", "nonce": "n" * 26},
        {"embeds": [discord.Embed(description="x" * 4000), discord.Embed(description="x" * 4000)]},
    ],
    ids=["text", "custom_id", "components", "content", "nonce", "embeds"],
)
async def test_what_exceeds_a_limit_is_refused(client, server, body):
    with pytest.raises(discord.HTTPException) as error:
        await place(client, server).send(**body)
    assert (error.value.status, error.value.code) == (400, 50035)
    assert len(server.violations) == 1


async def test_components_v2_and_content_exclude_each_other(client, server):
    sent = await place(client, server).send("Classic")
    message = place(client, server).get_partial_message(sent.id)

    with pytest.raises(discord.HTTPException):
        await client.http.request(
            discord.http.Route("PATCH", f"/channels/{alerts(server).id}/messages/{sent.id}"),
            json={"flags": COMPONENTS_V2, "components": [{"type": 10, "content": "New"}]},
        )
    await message.edit(content=None, embeds=[], view=card("Converted"))
    with pytest.raises(discord.HTTPException):
        await message.edit(content="Classic again")
    assert server.last_message(alerts(server)).text == "Converted"


async def test_an_empty_message_is_refused(client, server):
    with pytest.raises(discord.HTTPException) as error:
        await place(client, server).send("")
    assert error.value.code == 50006


async def test_only_an_allowed_and_mentionable_role_is_pinged(client, server):
    loud, quiet = server.add_role("loud", mentionable=True), server.add_role("quiet")
    text = f"<@&{loud.id}> <@&{quiet.id}>"
    roles = [discord.Object(loud.id), discord.Object(quiet.id)]

    await place(client, server).send(text, allowed_mentions=discord.AllowedMentions(roles=roles))
    await place(client, server).send(text, allowed_mentions=discord.AllowedMentions.none())

    assert [m.pinged_roles for m in server.messages(alerts(server))] == [(loud.id,), ()]


async def a_thread(client, server):
    """A message with a thread, in which there is a message."""
    sent = await place(client, server).send("Start")
    channel = await client.fetch_channel(alerts(server).id)
    thread = await channel.get_partial_message(sent.id).create_thread(name="Talk")
    return sent, thread, await thread.send("In the thread")


def start_thread(client, sent):
    return client.http.start_thread_with_message(
        sent.channel.id, sent.id, name="Talk", auto_archive_duration=1440
    )


async def test_in_an_archived_thread_nothing_changes_before_it_is_opened(client, server):
    _, thread, said = await a_thread(client, server)
    await thread.edit(archived=True)
    with pytest.raises(discord.HTTPException) as error:
        await said.edit(content="Too late")
    assert error.value.code == 50083
    with pytest.raises(discord.HTTPException) as error:
        await thread.edit(name="Too late")
    assert error.value.code == 50083
    await thread.edit(archived=False)
    await said.edit(content="In time")


async def test_writing_in_an_archived_thread_opens_it_unless_it_is_locked(client, server):
    _, thread, _ = await a_thread(client, server)
    stored = server.state.channels[thread.id]
    stored.archived = True
    await thread.send("Again")
    assert not stored.archived
    stored.archived = stored.locked = True
    with pytest.raises(discord.Forbidden) as error:
        await thread.send("Not again")
    assert error.value.code == 160005


async def test_a_message_has_one_thread_ever_and_it_outlives_the_message(client, server):
    sent, thread, _ = await a_thread(client, server)
    assert thread.id == sent.id
    server.delete_channel(server.state.channels[thread.id])
    with pytest.raises(discord.HTTPException) as error:
        await start_thread(client, sent)
    assert error.value.code == 160004


async def test_threads_need_permissions_and_have_a_limit(client, server):
    _, thread, _ = await a_thread(client, server)
    other = await place(client, server).send("Other")
    server.state.most_active_threads = 1
    with pytest.raises(discord.HTTPException) as error:
        await start_thread(client, other)
    assert error.value.code == 160006
    alerts(server).forbids_threads = True
    for refused in (start_thread(client, other), thread.send("x"), thread.edit(archived=False)):
        with pytest.raises(discord.Forbidden) as error:
            await refused
        assert error.value.code == 50013


async def test_the_thread_of_somebody_else_can_be_opened_but_not_changed(client, server):
    _, thread, _ = await a_thread(client, server)
    stored = server.state.channels[thread.id]
    stored.owner_id, stored.archived = 1, True
    await thread.edit(archived=False)
    with pytest.raises(discord.Forbidden):
        await thread.edit(archived=True)


async def test_guild_channel_roles_and_members_can_be_read(client, server):
    role = server.add_role("operators")
    alice = server.add_member("alice", roles=[role])
    guild = await client.fetch_guild(server.guild.id)

    assert [c.name for c in await guild.fetch_channels()] == ["alerts"]
    assert {r.name for r in await guild.fetch_roles()} == {"@everyone", "operators"}
    assert (await guild.fetch_member(alice.id)).name == "alice"
    assert (await client.fetch_channel(alerts(server).id)).name == "alerts"
    await (await client.fetch_user(alice.id)).send("Psst")


@pytest.mark.skipif("MACHINE_TEST_OPENAPI" not in os.environ, reason="no OpenAPI file is named")
async def test_a_body_that_the_published_schema_refuses_is_a_violation(client, server):
    route = discord.http.Route("POST", f"/channels/{alerts(server).id}/messages")
    with pytest.raises(discord.HTTPException) as error:
        await client.http.request(route, json={"content": "Hi", "tts": "loud"})
    assert error.value.code == 50035
    assert "tts" in server.violations[0].problem


# Limits


async def test_headers_make_discord_py_wait_before_the_limit(client, server):
    server.limits.channel_create = (2, 0.2)
    started = time.monotonic()
    for number in range(5):
        await place(client, server).send(str(number))

    assert time.monotonic() - started > 0.35
    assert server.count_429 == 0


async def test_more_than_the_limit_is_answered_429_and_counted(server):
    server.limits.channel_create = (2, 0.2)
    headers = {"Authorization": f"Bot {server.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        url = f"{server.api_url}/channels/{alerts(server).id}/messages"
        answers = [await session.post(url, json={"content": str(n)}) for n in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[2].headers["Via"] == "1.1 google"
    assert 0 < (await answers[2].json())["retry_after"] <= 0.2
    assert (server.count_429, server.limits.rejected["channel_create"]) == (1, 1)


async def test_channels_and_edits_have_limits_of_their_own(client, server):
    server.limits.channel_create = (1, 30.0)
    other = server.add_channel("other")
    async with asyncio.timeout(2):
        for channel in (alerts(server), other):
            sending = asyncio.create_task(client.get_partial_messageable(channel.id).send("Hello"))
            await server.wait_for(lambda c=channel: server.messages(c))
            stored = server.last_message(channel)
            await client.http.edit_message(
                channel.id, stored.id, params=discord.http.handle_message_parameters("New")
            )
            # After the last free slot discord.py keeps the caller until the window ends.
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    assert server.count_429 == 0


async def test_the_global_limit_holds_everything_back(client, server):
    server.limits.everything = (2, 0.2)
    for number in range(3):
        await place(client, server).send(str(number))
    assert server.limits.rejected["everything"] == 1


async def test_edits_of_old_messages_have_a_limit(client, server):
    server.limits.old_edits = (1, 0.15)
    server.limits.old_after_seconds = -1
    sent = await place(client, server).send("Old")
    message = place(client, server).get_partial_message(sent.id)
    await message.edit(content="One")
    await message.edit(content="Two")

    assert server.limits.rejected["old_edits"] == 1
    assert server.last_message(alerts(server)).text == "Two"


# Faults


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
async def test_a_429_is_waited_out(client, server, scope):
    server.faults.add("POST", CREATE, rate_limited(0.05, scope=scope))
    await place(client, server).send("Patience")
    assert [r.status for r in server.requests_to("POST", CREATE)] == [429, 200]


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (rate_limited(via=False), discord.HTTPException, 0),
        (server_error(503), discord.DiscordServerError, 0),
        (unauthorized(), discord.HTTPException, 0),
        (missing_permissions(), discord.Forbidden, 50013),
        (missing_access(), discord.Forbidden, 50001),
        (unknown_channel(), discord.NotFound, 10003),
        (unknown_message(), discord.NotFound, 10008),
        (invalid_form(), discord.HTTPException, 50035),
        (archived_thread(), discord.HTTPException, 50083),
        (edit_limit(via=False), discord.HTTPException, 30046),
        (RESET, aiohttp.ClientOSError, None),
        (DISCONNECT, aiohttp.ServerDisconnectedError, None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("after_commit", [False, True], ids=["before", "after"])
async def test_each_fault_strikes_once_and_commits_as_told(  # noqa: PLR0917 - pytest passes them by name
    client, server, fault, error, code, after_commit
):
    script = server.faults.add("POST", CREATE, fault, after_commit=after_commit)
    with pytest.raises(error) as raised:
        await place(client, server).send("Struck", nonce="n")
    assert script.hits == 1
    assert len(server.messages(alerts(server))) == after_commit
    assert code is None or raised.value.code == code

    await place(client, server).send("Struck", nonce="n")
    assert len(server.messages(alerts(server))) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_server_error_after_the_commit_is_retried_without_a_duplicate(
    client, server, status, monkeypatch
):
    # discord.py waits whole seconds between its tries.
    real_sleep = asyncio.sleep
    monkeypatch.setattr("discord.http.asyncio.sleep", lambda _seconds: real_sleep(0))
    server.faults.add("POST", CREATE, server_error(status), after_commit=True)
    await place(client, server).send("Once")
    assert [r.status for r in server.requests_to("POST", CREATE)] == [status, 200]
    assert len(server.messages(alerts(server))) == 1


@pytest.mark.parametrize("after_commit", [False, True])
async def test_a_hanging_request_can_be_given_up(client, server, after_commit):
    server.faults.add("POST", CREATE, HANG, after_commit=after_commit)
    sending = asyncio.create_task(place(client, server).send("Struck"))
    await server.wait_for(lambda: server.requests_to("POST", CREATE))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert len(server.messages(alerts(server))) == after_commit


async def test_a_slow_answer_takes_its_time(client, server):
    server.faults.add("POST", CREATE, slow(0.05), times=None)
    started = time.monotonic()
    await place(client, server).send("Slow")
    assert time.monotonic() - started >= 0.05


async def test_an_answer_that_comes_too_late_was_still_committed(client, server):
    server.faults.add("POST", CREATE, slow(5), after_commit=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await place(client, server).send("Late", nonce="n")
    await place(client, server).send("Late", nonce="n")
    assert [m.text for m in server.messages(alerts(server))] == ["Late"]


async def test_the_state_survives_a_server_that_was_away(client, server):
    await place(client, server).send("Before")
    async with server.refusing_connections():
        with pytest.raises(aiohttp.ClientConnectionError):
            await place(client, server).send("During")
    async with server.answering_503():
        with pytest.raises(discord.DiscordServerError):
            await place(client, server).send("During")
    await place(client, server).send("After")
    assert [m.text for m in server.messages(alerts(server))] == ["Before", "After"]


# Gateway


async def test_a_client_becomes_ready_and_sees_its_guild(bot, server):
    guild = bot.get_guild(server.guild.id)
    assert [channel.name for channel in guild.text_channels] == ["alerts"]
    assert guild.me.id == server.state.bot.id


async def test_a_new_channel_is_told(bot, server):
    told = asyncio.create_task(bot.wait_for("guild_channel_create", timeout=5))
    await asyncio.sleep(0)
    server.add_channel("news")
    assert (await told).name == "news"


async def resumed(bot, action):
    waiting = asyncio.create_task(bot.wait_for("resumed", timeout=5))
    await asyncio.sleep(0)
    await action
    await waiting


@pytest.mark.parametrize("how", ["op 7", "op 9 true", "1000", "4000", "4009", "abort"])
async def test_a_lost_connection_is_resumed(bot, server, how):
    async def lose():
        match how:
            case "op 7":
                await server.gateway.request_reconnect()
            case "op 9 true":
                await server.gateway.invalidate(resumable=True)
            case "abort":
                server.gateway.abort()
            case code:
                await server.gateway.close(int(code))

    await resumed(bot, lose())
    assert (server.gateway.counts.identifies, server.gateway.counts.resumes) == (1, 1)


async def test_an_invalid_session_is_identified_again(bot, server):
    waiting = asyncio.create_task(bot.wait_for("ready", timeout=5))
    await asyncio.sleep(0)
    await server.gateway.invalidate(resumable=False)
    await waiting
    assert server.gateway.counts.identifies == 2


async def test_events_missed_are_replayed_on_resume(bot, server):
    told = asyncio.create_task(bot.wait_for("guild_channel_create", timeout=5))
    await asyncio.sleep(0)
    server.gateway.abort()
    await server.wait_for(lambda: not server.gateway.ready)
    server.add_channel("missed")
    assert (await told).name == "missed"
    assert server.gateway.counts.resumes == 1


@pytest.mark.parametrize(
    ("code", "error"), [(4004, discord.ConnectionClosed), (4014, discord.PrivilegedIntentsRequired)]
)
async def test_a_fatal_close_ends_the_client(server, code, error):
    async with Client() as bot:
        running = asyncio.create_task(bot.start(server.token))
        await server.wait_ready()
        await asyncio.wait_for(bot.wait_until_ready(), 5)
        await server.gateway.close(code)
        with pytest.raises(error):
            await asyncio.wait_for(running, 5)


async def test_a_refused_first_connect_is_an_attribute_error(server):
    server.gateway.refuse_connects = 1
    async with Client() as bot:
        with pytest.raises(AttributeError):
            await bot.start(server.token)
    assert server.gateway.counts.refused == 1


async def test_missing_acks_make_the_client_reconnect(server):
    server.gateway.heartbeat_interval = 0.1
    async with connected(server) as bot:
        server.gateway.acks = False
        waiting = asyncio.create_task(bot.wait_for("resumed", timeout=8))
        await server.wait_for(lambda: server.gateway.counts.resumes, 8)
        server.gateway.acks = True
        await waiting


# Interactions


async def test_a_click_on_a_dynamic_item_is_answered_by_a_deferred_edit(bot, server):
    sent = await place(bot, server).send(view=card("Disk full"))
    alice = server.add_member("alice")

    click = await server.click(sent.id, "tm:ack:abc", alice)
    assert click.deferred
    assert (await click.edited()).text == "Acknowledged by alice"
    assert server.last_message(alerts(server)).text == "Acknowledged by alice"
    assert server.violations == []


async def test_a_click_after_a_restart_of_the_client_is_answered(server):
    async with connected(server) as bot:
        sent = await place(bot, server).send(view=card("Disk full"))
    async with connected(server):
        click = await server.click(sent.id, "tm:ack:abc", server.add_member("alice"))
        await click.edited()


async def test_a_duplicate_dispatch_reaches_the_client_twice(bot, server):
    sent = await place(bot, server).send(view=card("Disk full"))
    server.gateway.duplicates = 1
    click = await server.click(sent.id, "tm:ack:abc", server.add_member("alice"))
    await server.wait_for(lambda: click.refusals)
    assert click.refusals[0]["code"] == 40060
    assert bot.seen == [str(click.id)] * 2


async def test_a_slash_command_is_deferred_and_followed_up(bot, server):
    used = await server.slash("status", user=server.add_member("alice"), options={"server": "survival"})
    assert used.deferred
    assert (await used.answered()).text == "survival is up"
    assert used.ephemeral
    assert server.messages(alerts(server)) == []


async def test_options_are_completed(bot, server):
    typed = await server.autocomplete(
        "status", focused="server", user=server.add_member("alice"), options={"server": "s"}
    )
    assert [choice["value"] for choice in typed.choices] == ["survival"]


async def test_a_modal_is_filled_in(bot, server):
    alice = server.add_member("alice")
    opened = await server.slash("note", user=alice)
    submitted = await server.submit_modal(opened, {"note": "It was DNS"})
    assert submitted.text == "Noted: It was DNS"


async def test_an_administrator_is_seen_as_one(bot, server):
    seen = asyncio.create_task(bot.wait_for("interaction", timeout=5))
    await asyncio.sleep(0)
    await server.slash("note", user=server.add_member("root", administrator=True))
    assert (await seen).permissions.administrator


async def test_a_late_answer_is_refused(bot, server):
    server.interactions.answer_seconds = -1
    sent = await place(bot, server).send(view=card("Disk full"))
    with pytest.raises(TimeoutError):
        await server.click(sent.id, "tm:ack:abc", server.add_member("alice"), timeout=0.2)
    (interaction,) = server.interactions.by_token.values()
    assert interaction.refusals[0]["code"] == 10062
