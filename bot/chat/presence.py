"""What stands under the bot's name: said when it changes, and again to each new connection."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import aiohttp
import discord
import structlog

from bot.chat.client import MachineBot
from bot.core.errors import UnavailableError

log = structlog.get_logger(__name__)

_LONGEST: Final = 128


class Presence:
    """Keeps the presence of whichever client is connected."""

    def __init__(self, client: Callable[[], MachineBot]) -> None:
        """Take who is logged in at the moment of asking; it raises `UnavailableError` when nobody is."""
        self._client = client
        self._wanted = ""
        self._shown: tuple[int, str] | None = None
        self.wake: Callable[[], None] = lambda: None
        """Has `step` called soon."""

    def want(self, text: str) -> None:
        """Have a text shown; an empty one takes it away."""
        if text != self._wanted:
            self._wanted = text
            self.wake()

    async def step(self) -> timedelta | None:
        """Show what is wanted, if it is not shown already; a client may have taken another's place."""
        try:
            client = self._client()
        except UnavailableError:
            return None
        wanted = (id(client), self._wanted)
        if wanted == self._shown or (self._shown is None and not self._wanted) or not client.is_ready():
            return None
        activity = discord.CustomActivity(self._wanted[:_LONGEST]) if self._wanted else None
        # Remembered by the client for when it has to introduce itself anew.
        client.activity = activity
        try:
            await client.change_presence(activity=activity)
        except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
            log.info("presence_not_shown", why=type(error).__name__)
            return None
        self._shown = wanted
        return None
