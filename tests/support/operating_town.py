"""Operations in front of a simulated Discord, offered by one small command."""

import time
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.access.model import Grant, Policy
from bot.cards.courier import Courier
from bot.chat.handlers import Actions
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing
from bot.chat.replies import actor_from, defer, reply
from bot.operations.card import render_preview
from bot.operations.model import OperationId, OperationPolicy, State
from bot.operations.service import Operations
from bot.operations.sources import OPERATION, OperationCards
from cogs.operations import OperationsCog
from tests.support.chat import GUILD_ID, FastBot, a_bot
from tests.support.operating import Operating, a_plan


class ShopCog(commands.Cog):
    """Stands for the room that offers an operation."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    @app_commands.command()
    async def sync(self, interaction: discord.Interaction) -> None:
        """Sync the shop."""
        await defer(interaction)
        proposed = await self._operations.propose(
            a_plan(), by=actor_from(interaction), channel_id=interaction.channel_id or 0
        )
        await reply(interaction, render_preview(proposed))


class World:
    """The service, a courier and a bot; replaced as a whole by a restart."""

    def __init__(self, operating: Operating) -> None:
        self.operating = operating
        self.clock = operating.clock
        self.system = operating.system
        self.actions = Actions()
        self.pacing = Pacing(time.monotonic)
        self.bot: FastBot = a_bot(actions=self.actions, pacing=self.pacing, make_cogs=self._make_cogs)
        self.courier = Courier(
            operating.database,
            DiscordMessages(lambda: self.bot),
            self.pacing,
            {OPERATION: OperationCards(operating.database)},
            clock=operating.clock,
            fallback_channel=lambda: None,
        )

    def _make_cogs(self, _bot):
        operations = self.operating.operations
        return [OperationsCog(operations, self.actions), ShopCog(operations)]

    async def settle(self) -> None:
        """Do everything that is due."""
        await self.operating.settle()
        await self.courier.dispatch()
        await self.courier.settle()


class Town:
    """The people and channels of the simulated guild."""

    def __init__(self, env: Any, world: World) -> None:
        self.env = env
        self.guild = env.create_guild(id=GUILD_ID)
        self.general = self.guild.create_text_channel("general")
        self.gitops = self.guild.create_text_channel("gitops")
        self.operators = self.guild.create_role("operators")
        self.alice, self.bob, self.carol = (
            self.guild.add_member(env.create_user(name), roles=[self.operators])
            for name in ("alice", "bob", "carol")
        )
        self.victor = self.guild.add_member(env.create_user("victor"), roles=[])
        self.move_in(world)
        self.demand(0)

    def move_in(self, world: World) -> None:
        self.world = world
        world.operating.settings = OperationPolicy(channel_id=self.gitops.id)

    def demand(self, approvals: int) -> None:
        """Have the policy ask for so many approvals."""
        grant = Grant(
            name="access.grants[0]",
            roles=frozenset({str(self.operators.id)}),
            may=("argocd:*",),
            approvals=approvals,
        )
        self.world.operating.access.use(Policy((grant,)))

    async def restart(self) -> None:
        """End the process and start another one over the same database and the same Discord."""
        old = self.world
        await old.bot.close()
        self.move_in(World(old.operating.restarted()))
        await self.env.restart_bot(self.world.bot)
        await self.world.settle()

    async def asked(self, by: Any = None) -> Any:
        """Type the command and confirm the preview; return the answer to the confirmation."""
        person = by or self.alice
        shown = await person.slash(self.general, "sync")
        answer = await person.click(shown.response, label="Confirm")
        await self.world.settle()
        return answer

    async def happens(self, state: State = State.PROGRESSING, **values: Any) -> None:
        """Have the running operation go on in its system, and everybody see it."""
        self.world.system.show(self.name, state, **values)
        await self.world.operating.later()
        await self.world.settle()

    @property
    def name(self) -> OperationId:
        """The id of the newest operation."""
        return OperationId(f"00000000-0000-4000-8000-{self.world.operating.made:012}")

    @property
    def card(self) -> Any:
        """The one card in #gitops."""
        [card] = self.gitops.history()
        return card
