"""People as they are now: for what happens long after somebody clicked."""

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp
import discord

from bot.chat.client import MachineBot
from bot.core.actor import Actor, ActorKind
from bot.core.errors import UnavailableError

_DEADLINE_SECONDS: Final = 10
_GONE: Final = frozenset({10007, 10013})
"""Unknown member, unknown user."""


class Members:
    """The members of the guild that the bot serves."""

    def __init__(self, client: Callable[[], MachineBot], guild: Callable[[], int]) -> None:
        """Take who is logged in at the moment of asking, and the guild's id."""
        self._client = client
        self._guild = guild

    async def look_up(self, actor: Actor) -> Actor | None:
        """Return a person with the roles held now; None: not a member (any more).

        Raises:
            UnavailableError: Discord cannot say.
        """
        guild = self._client().get_guild(self._guild())
        if guild is None:
            raise UnavailableError("Discord has not told yet who is in the server.")
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                member = await guild.fetch_member(int(actor.id))
        except discord.NotFound as error:
            if error.code in _GONE:
                return None
            raise UnavailableError("Discord cannot say who is in the server.") from error
        except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
            raise UnavailableError("Discord cannot say who is in the server.") from error
        return Actor(
            kind=ActorKind.PERSON,
            id=actor.id,
            name=actor.name,
            roles=frozenset({str(guild.id), *map(str, member._roles)}),  # noqa: SLF001 (as they came, as in replies)
            administrator=member.guild_permissions.administrator,
        )
