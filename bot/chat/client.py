"""The bot as discord.py sees it: lean, for one guild, with every error answered.

One object lives as long as one gateway session can be kept; `bot.chat.connection` makes the next.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import aiohttp
import discord
import structlog
from discord import app_commands
from discord.ext import commands

from bot.chat.action import ActionButton, ActionSelect
from bot.chat.handlers import Actions
from bot.chat.pacing import Pacing
from bot.chat.replies import NO_MENTIONS, Interaction, answer_error
from bot.chat.wire import Wire
from bot.core.errors import InvalidError, UnavailableError
from bot.telemetry import tracing
from bot.telemetry.metrics import INTERACTION_SECONDS, INTERACTIONS

log = structlog.get_logger(__name__)


_GROUPS = (1, 2)
"""A command below a group, and a group below a group."""


class CommandMemory(Protocol):
    """Remembers which commands Discord was last told: telling is limited to 200 a day."""

    async def get(self) -> str | None:
        """Return what was remembered."""
        ...

    async def set(self, told: str, /) -> None:
        """Remember it."""
        ...


class ForgetfulMemory:
    """Remembers for as long as the process runs: for simulators."""

    def __init__(self) -> None:
        self._told: str | None = None

    async def get(self) -> str | None:
        """Return what was remembered."""
        return self._told

    async def set(self, told: str, /) -> None:
        """Remember it."""
        self._told = told


class MachineTree(app_commands.CommandTree["MachineBot"]):
    """The slash commands: for our guild only, and no error is left unanswered."""

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Refuse other guilds: grants name the roles of ours."""
        if interaction.guild_id == self.client.guild_id:
            return True
        if interaction.type is not discord.InteractionType.autocomplete:
            await answer_error(interaction, InvalidError("This bot serves another server."), "elsewhere")
        return False

    async def _call(self, interaction: Interaction) -> None:
        """Do what a command stands for; what is completed while somebody types is no news."""
        if interaction.type is discord.InteractionType.autocomplete:
            await super()._call(interaction)
            return
        # The command itself is looked up inside: its name is known from the data.
        name = _name_of(interaction)
        with (
            tracing.span(f"interaction {name}", tracing.Kind.SERVER),
            INTERACTION_SECONDS.labels(name).time(),
        ):
            await super()._call(interaction)

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        """Answer the person."""
        name = interaction.command.qualified_name if interaction.command else "unknown"
        await answer_error(interaction, error, name)


class MachineBot(commands.Bot):
    """The client; knows which cogs to make, never what they do."""

    def __init__(
        self,
        *,
        guild_id: int,
        actions: Actions,
        make_cogs: "MakeCogs",
        remember: CommandMemory,
        pacing: Pacing,
        may_act: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        """Take what the cogs need; `options` go to discord.py (tests shorten its waits).

        `may_act` is asked before each request, and raises where another process leads now.
        """
        wire = Wire(pacing, may_act)
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=MachineTree,
            # Interactions need no intent; roles and channels come with this one.
            intents=discord.Intents(guilds=True),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            allowed_mentions=NO_MENTIONS,
            http_trace=wire.trace,
            **options,
        )
        wire.attach(self.http)
        self.guild_id = guild_id
        self.actions = actions
        self.on_gateway: Callable[[bool], None] = lambda _connected: None
        """Called with whether the gateway is connected, at each change."""
        self._make_cogs = make_cogs
        self._remember = remember
        self._holds_gateway = False

    async def setup_hook(self) -> None:
        """Add everything that answers, and tell Discord the commands."""
        self.add_dynamic_items(ActionButton, ActionSelect)
        for cog in self._make_cogs(self):
            await self.add_cog(cog, guild=discord.Object(self.guild_id))
        await self.sync_commands()

    async def sync_commands(self) -> None:
        """Tell Discord the commands if they changed; a failure leaves the old ones in place."""
        try:
            async with asyncio.timeout(30):
                await self._sync_if_changed()
        except (discord.DiscordException, aiohttp.ClientError, OSError, UnavailableError) as error:
            log.error("command_sync_failed", guild=self.guild_id, why=_why_not_synced(error))  # noqa: TRY400

    async def hold_gateway(self) -> None:
        """Stay connected until it ends for good; HTTP calls work afterwards, until `close`."""
        self._holds_gateway = True
        try:
            await self.connect()
        finally:
            self._holds_gateway = False

    async def close(self) -> None:
        """Close everything, unless it is discord.py itself that gives up the gateway.

        After a fatal close it would end the HTTP session too, but cards can still be delivered.
        """
        if not self._holds_gateway:
            await super().close()

    async def on_connect(self) -> None:
        """Tell that the gateway has accepted us."""
        self.on_gateway(True)  # noqa: FBT003  # A yes or no is the whole message.

    async def on_resumed(self) -> None:
        """Tell that the session goes on."""
        self.on_gateway(True)  # noqa: FBT003

    async def on_disconnect(self) -> None:
        """Tell that the gateway is lost, for now."""
        self.on_gateway(False)  # noqa: FBT003

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Tell Discord the commands once it has let us in."""
        if guild.id == self.guild_id:
            await self.sync_commands()

    async def on_app_command_completion(self, _interaction: Interaction, command: Any) -> None:
        """Count what went well."""
        INTERACTIONS.labels(command.qualified_name, "ok").inc()

    async def on_error(self, event_method: str, /, *_args: Any, **_kwargs: Any) -> None:
        """Log what a listener let through."""
        log.error("listener_failed", listener=event_method, exc_info=sys.exc_info())

    async def _sync_if_changed(self) -> None:
        guild = discord.Object(self.guild_id)
        described = [command.to_dict(self.tree) for command in self.tree.get_commands(guild=guild)]
        told = [
            self.application_id,
            self.guild_id,
            sorted(described, key=lambda command: str(command["name"])),
        ]
        fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        if await self._remember.get() == fingerprint:
            return
        await self.tree.sync(guild=guild)
        await self._remember.set(fingerprint)
        log.info("commands_synced", guild=self.guild_id, commands=len(described))


def _name_of(interaction: Interaction) -> str:
    """Return the qualified name of a command, which discord.py looks up later."""
    found: Any = interaction.data or {}
    names: list[str] = []
    while found is not None:
        names.append(str(found.get("name", "unknown")))
        found = next((below for below in found.get("options", ()) if below.get("type") in _GROUPS), None)
    return " ".join(names)


def _why_not_synced(error: Exception) -> str:
    match error:
        case app_commands.CommandSyncFailure():
            return f"Discord refuses a command as we describe it: {error}"
        case discord.Forbidden():
            return (
                "The bot is not in the guild with the scope applications.commands: "
                "invite it again with both scopes, bot and applications.commands"
            )
        case discord.HTTPException():
            return f"Discord answered {error.status}; the next start tries again"
        case _:
            return f"{type(error).__name__}; the next start tries again"


Cogs = Iterable[commands.Cog]
"""What answers people."""
MakeCogs = Callable[[MachineBot], Cogs]
"""Makes the cogs of one bot object; called for each new one."""
