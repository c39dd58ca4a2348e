"""The client adds what answers, tells Discord its commands when they change, and leaves no error unanswered."""

import asyncio

import discord
import pytest
import structlog
from discord import app_commands
from discord.ext import commands

from bot.chat.client import ForgetfulMemory, MachineBot
from bot.chat.messages import DiscordMessages
from bot.chat.replies import defer, offered, reply
from bot.chat.wire import redirect
from bot.core.errors import InvalidError, LostLeadershipError, NotAllowedError
from tests.simulators.discord.faults import invalid_form, missing_access, server_error
from tests.simulators.discord.redirect import redirected
from tests.simulators.discord.server import DiscordServer
from tests.support.chat import GUILD_ID, a_bot, a_card

SYNC = "/applications/*/guilds/*/commands"


class Alerts(commands.GroupCog, name="alerts"):
    """A cog."""

    @app_commands.command()
    async def ack(self, interaction: discord.Interaction, incident: str) -> None:
        """Tell everyone that you are looking."""
        if incident == "0":
            raise NotAllowedError("You need the grant alerts:ack.")
        await defer(interaction)
        if incident == "boom":
            raise RuntimeError("secret detail")
        await reply(interaction, f"Acknowledged {incident}.")

    @ack.autocomplete("incident")
    async def complete(self, interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await offered("alerts ack", self._incidents(typed))

    async def _incidents(self, typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=str(n // int(typed)), value=str(n)) for n in range(60)]


class Machine(commands.Cog):
    """Another cog."""

    @app_commands.command()
    async def about(self, interaction: discord.Interaction) -> None:
        """Say what this is."""
        await reply(interaction, "The Machine.")


def with_alerts(**more):
    return a_bot(make_cogs=lambda _bot: [Alerts()], **more)


@pytest.fixture
def simcord_bot():
    return with_alerts()


@pytest.fixture
def guild(simcord_env):
    return simcord_env.create_guild(id=GUILD_ID)


@pytest.fixture
def ack(simcord_env, guild):
    channel = guild.create_text_channel("alerts")
    alice = guild.add_member(simcord_env.create_user("alice"))

    async def use(incident):
        answer = await alice.slash(channel, "alerts ack", incident=incident)
        # SimCord notes each error that reaches the tree, also those that were answered.
        assert len(simcord_env.errors) == (incident in {"0", "boom"})
        return answer

    return use


async def test_a_command_answers_privately(ack):
    answer = await ack("520")
    assert answer.ephemeral
    assert answer.response.content == "Acknowledged 520."


async def test_a_refused_command_says_what_is_missing(ack):
    answer = await ack("0")
    assert answer.ephemeral
    assert answer.response.content == "You need the grant alerts:ack."


async def test_a_bug_in_a_command_gives_a_reference_that_is_in_the_log(ack):
    with structlog.testing.capture_logs() as logs:
        answer = await ack("boom")
    [failed] = [entry for entry in logs if entry["event"] == "interaction_failed"]
    assert failed["command"] == "alerts ack"
    assert answer.response.content == f"Something went wrong on our side. Reference `{failed['reference']}`."


@pytest.mark.parametrize(("typed", "count"), [("1", 25), ("0", 0)])
async def test_completion_offers_what_fits_and_nothing_when_it_fails(simcord_env, guild, typed, count):
    alice = guild.add_member(simcord_env.create_user("alice"))
    channel = guild.create_text_channel("alerts")
    choices = await alice.autocomplete(channel, "alerts ack", "incident", typed)
    assert len(choices) == count


async def test_an_expired_interaction_is_left_alone(simcord_env, ack):
    simcord_env.inject_error("POST", "/interactions/*/*/callback", status=404, code=10062, times=9)
    simcord_env.inject_error("PATCH", "/webhooks/**", status=404, code=10015, times=9)
    with structlog.testing.capture_logs() as logs:
        await ack("0")
    assert "interaction_expired" in [entry["event"] for entry in logs]
    assert "interaction_unanswered" not in [entry["event"] for entry in logs]


@pytest.fixture
async def server():
    async with DiscordServer() as running:
        running.add_guild("Home", guild_id=GUILD_ID)
        with redirected(running):
            yield running


async def log_in(bot, server):
    async with bot:
        with structlog.testing.capture_logs() as logs:
            await bot.login(server.token)
    return logs


def syncs(server):
    return len(server.requests_to("PUT", SYNC))


async def test_commands_are_told_once_until_they_change(server):
    memory = ForgetfulMemory()
    await log_in(with_alerts(remember=memory), server)
    await log_in(with_alerts(remember=memory), server)
    assert syncs(server) == 1
    await log_in(a_bot(make_cogs=lambda _bot: [Alerts(), Machine()], remember=memory), server)
    assert syncs(server) == 2


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (missing_access(), "applications.commands"),
        (invalid_form(), "refuses a command"),
        (server_error(503), "503"),
    ],
)
async def test_commands_that_cannot_be_told_do_not_stop_the_bot(server, fault, why):
    memory = ForgetfulMemory()
    server.faults.add("PUT", SYNC, fault)
    logs = await log_in(with_alerts(remember=memory), server)
    [failed] = [entry for entry in logs if entry["event"] == "command_sync_failed"]
    assert why in failed["why"]
    assert await memory.get() is None


def test_the_bot_asks_for_nothing_that_it_does_not_need():
    bot = a_bot()
    assert bot.intents == discord.Intents(guilds=True)
    assert isinstance(bot, MachineBot)
    assert bot.allowed_mentions.to_dict() == {"parse": []}


@pytest.mark.parametrize(
    ("api", "gateway"),
    [
        ("https://evil.example/api/v10", "wss://gateway.discord.gg/"),
        ("https://discord.com/api/v10", "wss://evil.example/"),
        ("http://127.0.0.1.evil.example/", "wss://gateway.discord.gg/"),
        ("http://10.0.0.1/api/v10", "ws://10.0.0.1/"),
    ],
)
def test_the_token_goes_to_discord_or_stays_here(api, gateway):
    with pytest.raises(InvalidError, match="token"):
        redirect(api, gateway)


async def test_a_simulator_on_loopback_may_take_discords_place(server):
    redirect(server.api_url, server.gateway_url)
    try:
        await log_in(a_bot(), server)
    finally:
        redirect()
    assert server.requests_to("GET", "/users/@me")


# Who does not lead any more.


def raise_lost():
    raise LostLeadershipError("another process leads now")


async def test_a_former_leader_sends_nothing(server):
    leads = True
    channel = server.add_channel("alerts")

    async with a_bot(may_act=lambda: None if leads else raise_lost()) as bot:
        await bot.login(server.token)
        messages, asked = DiscordMessages(lambda: bot), len(server.requests)
        leads = False
        with pytest.raises(LostLeadershipError):
            await messages.create(channel.id, a_card(), nonce="1")
        with pytest.raises(LostLeadershipError):
            await messages.edit(channel.id, 1, a_card())
        assert len(server.requests) == asked


async def test_who_was_frozen_while_a_connection_was_made_sends_nothing_through_it(server):
    moments = iter(["the request begins"])
    async with a_bot(may_act=lambda: None if next(moments, None) else raise_lost()) as bot:
        with pytest.raises(LostLeadershipError):
            await bot.login(server.token)
    assert list(server.requests) == []


async def test_a_former_leader_leaves_a_click_to_the_one_who_leads(server):
    leads = True
    async with with_alerts(may_act=lambda: None if leads else raise_lost()) as bot:
        await bot.login(server.token)
        connected = asyncio.create_task(bot.connect())
        await server.wait_ready()
        ada, channel = server.add_member("ada"), server.add_channel("alerts")
        leads = False
        with structlog.testing.capture_logs() as logs, pytest.raises(TimeoutError):
            await server.slash(
                "alerts", "ack", user=ada, channel=channel, options={"incident": "1"}, timeout=0.5
            )
        assert "interaction_left_to_the_leader" in [entry["event"] for entry in logs]
        assert [entry for entry in logs if entry["log_level"] == "error"] == []
        leads = True
        await bot.close()
        await asyncio.wait([connected])
