"""Keeps the bot connected to Discord for ever, whatever happens, and says once what is wrong.

discord.py ends for good on some closes, fails outright when the gateway is away at the first
connect, and waits up to 17 minutes between tries of its own. Here each end begins a new life: a
new client object, after a wait that is capped. The old one still carries messages until then.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NoReturn

import aiohttp
import discord
import structlog

from bot.chat.client import MachineBot
from bot.core.clock import Clock
from bot.core.errors import MachineError, UnavailableError
from bot.telemetry.metrics import GATEWAY_CONNECTED, GATEWAY_LATENCY

log = structlog.get_logger(__name__)


class Phase(StrEnum):
    """How far the connection is."""

    LOGGING_IN = "logging in"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """How the connection to Discord is, in words."""

    phase: Phase
    since: datetime
    problem: str = ""
    """What is wrong and what to do about it; empty when nothing is."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what."""

    first: timedelta = timedelta(seconds=5)
    """Before the second try."""
    longest: timedelta = timedelta(seconds=60)
    hopeless: timedelta = timedelta(minutes=2)
    """Where only a person can help: 1000 identifies a day and Discord resets the token."""
    login: timedelta = timedelta(seconds=90)
    """For logging in, the commands included."""
    silence: timedelta = timedelta(seconds=90)
    """For a lost gateway to be found again by discord.py itself."""
    closing: timedelta = timedelta(seconds=5)

    def before_try(self, failures: int, *, hopeless: bool) -> timedelta:
        """Return the wait after so many failures in a row."""
        doubled = min(self.first * (1 << min(failures - 1, 16)), self.longest)
        return max(doubled, self.hopeless) if hopeless else doubled


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a life ended."""

    text: str
    hopeless: bool = False
    """Whether only a person can help."""
    error: BaseException | None = field(default=None, compare=False)
    """Logged with its traceback, because it is not one of the known ones."""


_FATAL_CLOSES: Final = {
    4004: "Discord refuses the bot's token: put a valid one into discord.token_file",
    4010: "Discord refuses the shard (4010): this is a bug of ours",
    4011: "The bot is in too many guilds for one connection (4011): it is made for one",
    4012: "Discord no longer serves this version of its gateway (4012): update the bot",
    4013: "Discord refuses the intents (4013): this is a bug of ours",
    4014: "Discord refuses a privileged intent (4014): update the bot, it asks for none",
}
_OUTSIDE: Final = (discord.DiscordException, aiohttp.ClientError, OSError, MachineError)
_NONSENSE: Final = (AttributeError, LookupError, TypeError, ValueError)
"""What discord.py makes of an answer that is not Discord's, and of a gateway away at the first connect."""


class DiscordConnection:
    """The one connection; `run` it in a task and ask it for the client."""

    def __init__(
        self,
        make_bot: Callable[[], MachineBot],
        read_token: Callable[[], str],
        *,
        clock: Clock,
        patience: Patience | None = None,
        on_state: Callable[[ConnectionState], None] = lambda _state: None,
    ) -> None:
        """Take what makes a client; the token is read at each try, since it may be replaced."""
        self._make_bot = make_bot
        self._read_token = read_token
        self._clock = clock
        self._patience = patience or Patience()
        self._on_state = on_state
        self._bot: MachineBot | None = None
        self._logged_in = asyncio.Event()
        self._failures = 0
        self._told = ""
        self._state = ConnectionState(Phase.LOGGING_IN, clock.now())

    @property
    def state(self) -> ConnectionState:
        """Return how the connection is."""
        return self._state

    @property
    def client(self) -> MachineBot:
        """Return the client that is logged in, for HTTP calls; raises `UnavailableError` when none is."""
        if self._bot is None:
            raise UnavailableError(self._state.problem or "The bot has not logged in to Discord yet.")
        return self._bot

    async def wait_logged_in(self) -> None:
        """Wait until `client` can be used."""
        await self._logged_in.wait()

    async def run(self) -> NoReturn:
        """Stay connected until cancelled."""
        # It logs a traceback for each of its tries; we say once what is wrong.
        logging.getLogger("discord.client").setLevel(logging.CRITICAL)
        GATEWAY_LATENCY.set_function(self._latency)
        try:
            while True:
                problem = await self._live_once()
                self._failures += 1
                wait = self._patience.before_try(self._failures, hopeless=problem.hopeless)
                self._tell(problem, wait)
                await asyncio.sleep(wait.total_seconds())
        finally:
            await self._stop()

    def _latency(self) -> float:
        if self._bot is None or self._state.phase is not Phase.CONNECTED:
            return math.nan
        return self._bot.latency

    async def _live_once(self) -> Problem:
        try:
            bot = await self._log_in()
        except (*_OUTSIDE, *_NONSENSE) as error:
            return _explain_login(error)
        try:
            await self._hold_gateway(bot)
        except (*_OUTSIDE, *_NONSENSE) as error:
            return _explain_gateway(error, was_open=_was_open(bot))
        return Problem("Discord closed the connection.")

    async def _log_in(self) -> MachineBot:
        self._become(Phase.LOGGING_IN, self._state.problem)
        bot = self._make_bot()
        try:
            async with asyncio.timeout(self._patience.login.total_seconds()):
                await bot.login(self._read_token())
        except BaseException:
            await self._close(bot)
            raise
        old, self._bot = self._bot, bot
        self._logged_in.set()
        await self._close(old)
        return bot

    async def _hold_gateway(self, bot: MachineBot) -> None:
        self._become(Phase.CONNECTING, self._state.problem)
        connected_at = None
        loop = asyncio.get_running_loop()
        silence = self._patience.silence.total_seconds()
        async with asyncio.timeout(silence) as deadline:

            def on_gateway(connected: bool) -> None:  # noqa: FBT001  # A yes or no is the whole message.
                nonlocal connected_at
                if deadline.expired():
                    return
                if connected:
                    connected_at = loop.time()
                    deadline.reschedule(None)
                    self._connected()
                else:
                    if deadline.when() is None:
                        deadline.reschedule(loop.time() + silence)
                    self._lost(connected_at, loop.time())

            bot.on_gateway = on_gateway
            try:
                await bot.hold_gateway()
            finally:
                bot.on_gateway = lambda _connected: None
                self._lost(connected_at, loop.time())

    def _connected(self) -> None:
        GATEWAY_CONNECTED.set(1)
        self._become(Phase.CONNECTED, "")
        if self._told:
            log.info("discord_connected_again", after=self._told)
        else:
            log.info("discord_connected")
        self._told = ""

    def _lost(self, connected_at: float | None, now: float) -> None:
        GATEWAY_CONNECTED.set(0)
        if self._state.phase is Phase.CONNECTED:
            self._become(Phase.CONNECTING, "")
            # A connection that held was worth something: one that ends at once is a failure like another.
            if connected_at is not None and now - connected_at >= self._patience.longest.total_seconds():
                self._failures = 0

    def _tell(self, problem: Problem, wait: timedelta) -> None:
        self._become(Phase.WAITING, problem.text)
        if problem.text == self._told:
            return
        self._told = problem.text
        log.error(
            "discord_unavailable", why=problem.text, next_try_in=wait.total_seconds(), exc_info=problem.error
        )

    def _become(self, phase: Phase, problem: str) -> None:
        self._state = ConnectionState(phase, self._clock.now(), problem)
        self._on_state(self._state)

    async def _stop(self) -> None:
        bot, self._bot = self._bot, None
        self._logged_in.clear()
        GATEWAY_CONNECTED.set(0)
        self._become(Phase.STOPPED, "")
        await self._close(bot)

    async def _close(self, bot: MachineBot | None) -> None:
        if bot is None:
            return
        within = self._patience.closing.total_seconds()
        closing = asyncio.create_task(bot.close(), name="closes discord's client")
        try:
            await asyncio.wait([closing], timeout=within)
        finally:
            # Cancelled meanwhile, it is waited for all the same: half closed, its session would stay open.
            await asyncio.wait([closing], timeout=within)
            closing.cancel()
            await asyncio.wait([closing])
        try:
            closing.result()
        except (asyncio.CancelledError, *_OUTSIDE) as error:
            log.warning("discord_client_not_closed", why=type(error).__name__)


def _was_open(bot: MachineBot) -> bool:
    socket: object = bot.ws
    return socket is not None


def _explain_login(error: Exception) -> Problem:  # noqa: PLR0911  # A table of what is known.
    match error:
        case discord.LoginFailure():
            return Problem(f"{_FATAL_CLOSES[4004]}.", hopeless=True)
        case discord.HTTPException(status=status):
            return Problem(f"Discord answered {status} to the login.", hopeless=status in {401, 403, 429})
        case discord.RateLimited():
            return Problem("Discord limits the logins of this bot or address.", hopeless=True)
        case MachineError():
            return Problem(str(error))
        case TimeoutError():
            return Problem("Discord did not answer in time; is its API reachable from here?")
        case OSError() | aiohttp.ClientError():
            return Problem(
                f"Discord cannot be reached ({type(error).__name__}); is discord.com open from here?"
            )
        case discord.DiscordException():
            return Problem("discord.py could not start.", error=error)
        case _:
            return Problem("Something that is not Discord answers in its place: a proxy?", error=error)


def _explain_gateway(error: Exception, *, was_open: bool) -> Problem:  # noqa: PLR0911  # A table of what is known.
    match error:
        case discord.PrivilegedIntentsRequired():
            return Problem(f"{_FATAL_CLOSES[4014]}.", hopeless=True)
        case discord.ConnectionClosed(code=code) if code in _FATAL_CLOSES:
            return Problem(f"{_FATAL_CLOSES[code]}.", hopeless=True)
        case discord.ConnectionClosed(code=code):
            return Problem(f"Discord's gateway closed the connection with code {code}.")
        case TimeoutError():
            return Problem("Discord's gateway did not come back; is it reachable from here?")
        case OSError() | aiohttp.ClientError():
            return Problem(f"Discord's gateway was lost ({type(error).__name__}).")
        case discord.DiscordException():
            return Problem("discord.py gave up the gateway.", error=error)
        case _ if not was_open:
            return Problem("Discord's gateway cannot be reached; is gateway.discord.gg open from here?")
        case _:
            return Problem("Discord's gateway said something that cannot be understood.", error=error)
