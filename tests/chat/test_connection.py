"""Whatever happens to the connection: said once, tried again, and messages still go out where they can."""

import asyncio
import contextlib
import math
from datetime import timedelta

import aiohttp
import discord
import pytest
import structlog

from bot.chat.connection import DiscordConnection, Patience, Phase
from bot.chat.messages import DiscordMessages
from bot.core.clock import SystemClock
from bot.core.errors import InvalidError, UnavailableError
from bot.telemetry.metrics import GATEWAY_CONNECTED, REGISTRY
from tests.simulators.discord.faults import rate_limited, server_error
from tests.simulators.discord.redirect import redirected
from tests.simulators.discord.server import DiscordServer
from tests.support.chat import GUILD_ID, a_bot, a_card

QUICK = Patience(
    first=timedelta(milliseconds=20),
    longest=timedelta(milliseconds=40),
    hopeless=timedelta(milliseconds=60),
    login=timedelta(seconds=3),
    silence=timedelta(seconds=3),
    closing=timedelta(seconds=2),
)


class Watched:
    """A running connection, its states and what it said."""

    def __init__(self, server, **patience):
        self.token = server.token
        self.states = []
        self.bots = []
        self.logs = []
        self._changed = asyncio.Event()
        self.connection = DiscordConnection(
            self._make_bot,
            self._read_token,
            clock=SystemClock(),
            patience=Patience(**{name: getattr(QUICK, name) for name in QUICK.__slots__} | patience),
            on_state=self._see,
        )

    def _read_token(self):
        if isinstance(self.token, Exception):
            raise self.token
        return self.token

    def _make_bot(self):
        self.bots.append(a_bot())
        return self.bots[-1]

    def _see(self, state):
        self.states.append(state)
        self._changed.set()

    async def until(self, holds, timeout=8):
        async with asyncio.timeout(timeout):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def until_phase(self, phase):
        await self.until(lambda: self.connection.state.phase is phase)

    def problems(self):
        return [entry["why"] for entry in self.logs if entry["event"] == "discord_unavailable"]

    def count(self, phase):
        return sum(state.phase is phase for state in self.states)


@contextlib.asynccontextmanager
async def watching(server, **patience):
    watched = Watched(server, **patience)
    with structlog.testing.capture_logs() as logs:
        watched.logs = logs
        running = asyncio.create_task(watched.connection.run())
        try:
            yield watched
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


@pytest.fixture
async def server():
    async with DiscordServer() as running:
        running.add_guild("Home", guild_id=GUILD_ID)
        running.add_channel("alerts")
        with redirected(running):
            yield running


def a_channel(server):
    return next(iter(server.state.channels))


async def test_cancelled_while_it_closes_a_client_it_closes_it_all_the_same(server):
    server.down = True
    async with watching(server) as watched:
        bot = a_bot()
        with pytest.raises(discord.HTTPException):
            await bot.login(server.token)
        session = bot.http._HTTPClient__session
        closing = asyncio.create_task(watched.connection._close(bot))
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert session.closed


async def test_it_connects_and_tells(server):
    async with watching(server) as watched:
        with pytest.raises(UnavailableError):
            _ = watched.connection.client
        await watched.connection.wait_logged_in()
        await watched.until_phase(Phase.CONNECTED)
        assert watched.connection.client is watched.bots[0]
        assert GATEWAY_CONNECTED._value.get() == 1
        assert 0 < REGISTRY.get_sample_value("the_machine_gateway_latency_seconds") < 5
    assert watched.connection.state.phase is Phase.STOPPED
    assert watched.bots[0].is_closed()
    assert GATEWAY_CONNECTED._value.get() == 0
    assert math.isnan(REGISTRY.get_sample_value("the_machine_gateway_latency_seconds"))


@pytest.mark.parametrize(
    ("code", "said"),
    [(4004, "token"), (4010, "4010"), (4011, "guilds"), (4012, "4012"), (4013, "4013"), (4014, "privileged")],
)
async def test_a_fatal_close_is_said_and_tried_again_with_a_new_client(server, code, said):
    async with watching(server) as watched:
        await watched.until_phase(Phase.CONNECTED)
        await server.gateway.close(code)
        await watched.until(lambda: watched.count(Phase.CONNECTED) == 2)
        assert len(watched.bots) == 2
        assert watched.bots[0].is_closed()
        [problem] = watched.problems()
        assert said in problem


async def test_messages_still_go_out_while_only_the_gateway_is_refused(server):
    async with watching(server, hopeless=timedelta(seconds=30)) as watched:
        await watched.until_phase(Phase.CONNECTED)
        await server.gateway.close(4013)
        await watched.until_phase(Phase.WAITING)
        messages = DiscordMessages(lambda: watched.connection.client)
        assert await messages.create(a_channel(server), a_card(), nonce="n")


async def test_the_same_trouble_is_said_once_however_often_it_is_met(server):
    async with watching(server) as watched:
        watched.token = "wrong"
        await watched.until(lambda: watched.count(Phase.WAITING) >= 4)
        assert len(watched.problems()) == 1
        assert "discord.token" in watched.connection.state.problem
        watched.token = server.token
        await watched.until_phase(Phase.CONNECTED)
        assert "discord_connected_again" in [entry["event"] for entry in watched.logs]
        assert watched.connection.state.problem == ""


async def test_another_trouble_is_said_as_well(server):
    async with watching(server) as watched:
        watched.token = "wrong"
        await watched.until_phase(Phase.WAITING)
        server.down = True
        await watched.until(lambda: "503" in watched.connection.state.problem)
        assert len(watched.problems()) == 2


async def test_an_api_that_is_away_at_the_start_is_waited_for(server):
    await server.stop_listening()
    async with watching(server) as watched:
        await watched.until(lambda: watched.count(Phase.WAITING) >= 2)
        await server.listen()
        await watched.until_phase(Phase.CONNECTED)
        assert len(watched.problems()) == 1


async def test_a_gateway_that_is_away_at_the_start_is_waited_for(server):
    server.gateway.refuse_connects = 2
    async with watching(server) as watched:
        await watched.until_phase(Phase.CONNECTED)
        assert len(watched.bots) == 3
        [problem] = watched.problems()
        assert "gateway" in problem


async def test_a_gateway_that_stays_away_ends_the_waiting_of_discord_py(server):
    async with watching(server, silence=timedelta(milliseconds=100)) as watched:
        await watched.until_phase(Phase.CONNECTED)
        server.gateway.refuse_connects = 4
        server.gateway.abort()
        await watched.until(lambda: watched.count(Phase.CONNECTED) == 2)
        assert len(watched.bots) > 1


async def test_a_dropped_socket_is_resumed_by_the_same_client(server):
    async with watching(server) as watched:
        await watched.until_phase(Phase.CONNECTED)
        server.gateway.abort()
        await watched.until(lambda: watched.count(Phase.CONNECTED) == 2)
        assert len(watched.bots) == 1
        assert watched.problems() == []


async def test_something_else_in_discords_place_is_told_with_its_traceback(server):
    async def portal(_request):
        return aiohttp.web.Response(text="<html>Please log in to the hotel</html>", content_type="text/html")

    server.extra_paths["/hotel"] = portal
    api = server.api_url
    with redirected(server):
        from discord.http import Route  # noqa: PLC0415

        Route.BASE = server.url + "/hotel"
        async with watching(server) as watched:
            await watched.until_phase(Phase.WAITING)
            assert "proxy" in watched.connection.state.problem
            Route.BASE = api
            await watched.until_phase(Phase.CONNECTED)


@pytest.mark.parametrize("fault", [rate_limited(60, via=False), server_error(503)])
async def test_a_login_that_is_refused_for_now_is_tried_again(server, fault):
    server.faults.add("GET", "/users/@me", fault)
    async with watching(server) as watched:
        await watched.until_phase(Phase.CONNECTED)
        assert len(watched.problems()) == 1


async def test_a_token_that_cannot_be_read_is_said_in_its_own_words(server):
    async with watching(server) as watched:
        watched.token = InvalidError("discord.token_file: /run/token cannot be read")
        await watched.until_phase(Phase.WAITING)
        assert "/run/token" in watched.connection.state.problem


def test_waits_grow_to_a_ceiling_and_spare_the_identifies():
    patience = Patience()
    waits = [patience.before_try(n, hopeless=False).total_seconds() for n in range(1, 7)]
    assert waits == [5, 10, 20, 40, 60, 60]
    assert patience.before_try(1, hopeless=True) * 1000 > timedelta(days=1)
    assert patience.before_try(10_000, hopeless=False) == timedelta(seconds=60)
