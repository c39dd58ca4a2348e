"""Servers, people who play on them, and the bot between them in a simulated Discord."""

import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from pydantic import SecretStr

from bot.access.model import Grant, Policy
from bot.alerts.showing import CARD
from bot.alerts.silences.model import SilencePolicy
from bot.alerts.silences.service import Silences
from bot.alerts.sources import IncidentCards
from bot.cards.courier import Courier
from bot.chat.handlers import Actions
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing
from bot.kube.transport import Cluster
from bot.minecraft.settings import MinecraftSettings, RconSettings, ServerSettings
from bot.operations.model import OperationPolicy
from bot.operations.service import Operations
from bot.operations.sources import OPERATION, OperationCards
from bot.playground import Playground
from cogs.alerts import AlertsCog
from cogs.minecraft import MinecraftCog
from cogs.operations import OperationsCog
from tests.support.alerting import Rooms
from tests.support.chat import GUILD_ID, FastBot, a_bot
from tests.support.minecraft import JavaServer, RconServer

STEP = timedelta(seconds=15)


class World:
    """What stands between servers and people; replaced as a whole by a restart."""

    def __init__(self, rooms: Rooms, kube: Cluster | None = None, **settings: Any) -> None:
        self.rooms = rooms
        self.clock = rooms.clock
        self.settings = MinecraftSettings(timeout=timedelta(seconds=2), **settings)
        self.operations = Operations(
            rooms.database,
            rooms.access,
            rooms.cards,
            rooms.journal,
            clock=rooms.clock,
            policy=lambda: self.policy,
            guild=lambda: GUILD_ID,
        )
        self.channels: dict[str, str] = {}
        self.policy = OperationPolicy()
        self.actions = Actions()
        pacing = Pacing(time.monotonic)
        self.bot: FastBot = a_bot(actions=self.actions, pacing=pacing, make_cogs=self._make_cogs)
        self.playground = Playground(
            lambda: self.settings,
            lambda: self.channels,
            database=rooms.database,
            access=rooms.access,
            journal=rooms.journal,
            cards=rooms.cards,
            intake=rooms.intake,
            operations=self.operations,
            kube=kube,
            client=lambda: self.bot,
            clock=rooms.clock,
        )
        self.silences = Silences(
            rooms.database,
            rooms.access,
            rooms.showing,
            rooms.cards,
            clusters=dict,
            clock=rooms.clock,
            policy=lambda: rooms.policy,
            silence_policy=SilencePolicy,
            zone=lambda: UTC,
            guild=lambda: GUILD_ID,
            post=_untold,
            audit_channel=lambda: None,
        )
        self.courier = Courier(
            rooms.database,
            DiscordMessages(lambda: self.bot),
            pacing,
            {
                CARD: IncidentCards(rooms.database, rooms.clock, lambda: rooms.policy, rooms.changes),
                **self.playground.sources,
                OPERATION: OperationCards(rooms.database),
            },
            clock=rooms.clock,
            fallback_channel=lambda: None,
            listener=rooms.storms,
        )

    def _make_cogs(self, _bot):
        playground = self.playground
        services = (playground.minecraft, playground.whitelists, playground.keys)
        yield MinecraftCog(*services, self.actions, self.clock)
        yield OperationsCog(self.operations, self.actions)
        yield AlertsCog(self.rooms.alerts, self.silences, self.actions)

    async def settle(self) -> None:
        """Do everything that is due but asking servers."""
        boards, presence = self.playground.loops[1:3]
        await self.operations.step()
        await boards._step()
        await presence._step()
        await self.courier.dispatch()
        await self.courier.settle()

    async def look(self) -> None:
        """Ask every server, the usual time after the last time."""
        self.clock.advance(STEP)
        await self.playground.loops[0]._step()
        await self.settle()


async def _untold(_tx: Any, _key: str, _title: str, text: str) -> None:
    raise AssertionError(text)


class Town:
    """The people and channels, and the servers that they play on."""

    def __init__(self, env: Any, world: World, stack: AsyncExitStack) -> None:
        self.env = env
        self.stack = stack
        self.guild = env.create_guild(id=GUILD_ID)
        self.general = self.guild.create_text_channel("general")
        self.minecraft = self.guild.create_text_channel("minecraft")
        self.alerts = self.guild.create_text_channel("alerts")
        self.operators = self.guild.create_role("operators")
        self.players = self.guild.create_role("players")
        self.alice = self._person("alice", self.operators)
        self.bob = self._person("bob", self.operators)
        self.steve = self._person("steve", self.players)
        self.victor = self._person("victor")
        self.move_in(world)

    def _person(self, name: str, *roles: Any) -> Any:
        return self.guild.add_member(self.env.create_user(name), roles=list(roles))

    def move_in(self, world: World) -> None:
        self.world = world
        world.channels = {"minecraft": str(self.minecraft.id), "general": str(self.general.id)}
        everything = Grant(
            name="access.grants[0]",
            roles=frozenset({str(self.operators.id)}),
            may=("minecraft:*", "alerts:*"),
        )
        looking = Grant(
            name="access.grants[1]",
            roles=frozenset({str(self.players.id)}),
            may=("minecraft:status", "minecraft:players", "minecraft:history", "minecraft:request"),
            on=("server:survival",),
        )
        world.rooms.access.use(Policy((everything, looking)))
        # What is asked of Argo CD goes elsewhere.
        world.policy = OperationPolicy(channel_id=self.alerts.id)
        world.rooms.policy = replace(world.rooms.policy, channels={"alerts": self.alerts.id})

    async def serve(self, name: str, status: Any = None, rcon: RconServer | None = None) -> JavaServer:
        """Start a server and have it watched."""
        server = JavaServer(status)
        await server.open()
        self.stack.push_async_callback(server.close)
        self.watch(name, server.port, rcon, shown_address=f"{name}.example.org")
        return server

    def watch(self, name: str, port: int, rcon: RconServer | None = None, **more: Any) -> None:
        console = (
            RconSettings(address=f"127.0.0.1:{rcon.port}", password=SecretStr(rcon.password))
            if rcon
            else None
        )
        made = ServerSettings(name=name, address=f"127.0.0.1:{port}", rcon=console, **more)
        servers = (*self.world.settings.servers, made)
        self.world.settings = self.world.settings.model_copy(update={"servers": servers})

    @property
    def board(self) -> Any:
        """The one message in #minecraft."""
        [message] = self.minecraft.history()
        return message
