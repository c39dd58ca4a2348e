"""The demo's connection: the bot lives in the simulated Discord instead of at the gateway."""

import asyncio
from collections.abc import Callable

from bot.chat.client import MachineBot
from bot.chat.connection import ConnectionState, Phase
from bot.core.clock import Clock
from bot.core.errors import UnavailableError
from bot.demo.stage import Stage


class SimulatedChat:
    """What the app takes for its connection to Discord."""

    def __init__(
        self, make_bot: Callable[[], MachineBot], stage: Stage, clock: Clock, online: asyncio.Event
    ) -> None:
        """Take what makes the bot, where it is to live, and whom to tell when it does."""
        self._make_bot = make_bot
        self._stage = stage
        self._clock = clock
        self._online = online
        self._bot: MachineBot | None = None
        self._state = ConnectionState(Phase.LOGGING_IN, clock.now())

    @property
    def client(self) -> MachineBot:
        """Return the bot; raises `UnavailableError` before it has logged in."""
        if self._bot is None:
            raise UnavailableError("The bot has not logged in to the simulated Discord yet.")
        return self._bot

    @property
    def state(self) -> ConnectionState:
        """Return how the connection is."""
        return self._state

    async def run(self) -> None:
        """Log in, and stay until cancelled."""
        bot = self._make_bot()
        async with self._stage.turn:
            await self._stage.env.restart_bot(bot)
            self._stage.env.backend.edit_bot_profile("The Machine")
        self._bot = bot
        self._state = ConnectionState(Phase.CONNECTED, self._clock.now())
        self._online.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._bot = None
            self._state = ConnectionState(Phase.STOPPED, self._clock.now())
