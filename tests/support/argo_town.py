"""Argo CD in front of a simulated Discord: people type and press, the cluster and its controller are ours."""

import time
from typing import Any

from bot.access.model import Grant, Policy
from bot.argocd.crowds import CARD as CROWD
from bot.argocd.crowds import CrowdCards
from bot.argocd.links import Links
from bot.argocd.news import CARD as STORY
from bot.argocd.news import NewsCards
from bot.cards.courier import Courier
from bot.chat.handlers import Actions
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing
from bot.operations.model import Operation, OperationId, OperationPolicy
from bot.operations.sources import OPERATION, OperationCards
from cogs.argocd import ArgoCdCog
from cogs.operations import OperationsCog
from tests.support.argo_desk import Desk, Stage
from tests.support.chat import GUILD_ID, FastBot, a_bot


class World:
    """A process of the bot with its Discord side; replaced as a whole by a restart."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.actions = Actions()
        self.pacing = Pacing(time.monotonic)
        self.bot: FastBot = a_bot(actions=self.actions, pacing=self.pacing, make_cogs=self._make_cogs)
        self.courier = Courier(
            desk.leading,
            DiscordMessages(lambda: self.bot),
            self.pacing,
            {
                OPERATION: OperationCards(desk.leading),
                STORY: NewsCards(desk.leading, Links(desk.argo, lambda: desk.settings)),
                CROWD: CrowdCards(desk.leading),
            },
            clock=desk.clock,
            fallback_channel=lambda: None,
        )

    def _make_cogs(self, _bot: FastBot) -> list[Any]:
        return [ArgoCdCog(self.desk.argocd, self.actions), OperationsCog(self.desk.operations, self.actions)]

    async def settle(self) -> None:
        """Do everything that is due."""
        await self.desk.settle()
        await self.courier.dispatch()
        await self.courier.settle()


class Town:
    """The people and channels of the simulated guild, and the cluster that they ask about."""

    def __init__(self, env: Any, world: World) -> None:
        self.env = env
        self.world = world
        self.guild = env.create_guild(id=GUILD_ID)
        self.general = self.guild.create_text_channel("general")
        self.gitops = self.guild.create_text_channel("gitops")
        self.operators = self.guild.create_role("operators")
        self.viewers = self.guild.create_role("viewers")
        self.alice, self.bob = (
            self.guild.add_member(env.create_user(name), roles=[self.operators]) for name in ("alice", "bob")
        )
        self.victor = self.guild.add_member(env.create_user("victor"), roles=[self.viewers])
        self.desk.operating = OperationPolicy(channel_id=self.gitops.id)
        self.demand(0)

    @property
    def desk(self) -> Desk:
        return self.world.desk

    @property
    def stage(self) -> Stage:
        return self.desk.stage

    def demand(self, approvals: int) -> None:
        """Have the policy ask for so many approvals."""
        self.desk.access.use(
            Policy(
                (
                    Grant(
                        name="access.grants[0]",
                        roles=frozenset({str(self.operators.id)}),
                        may=("argocd:*",),
                        approvals=approvals,
                    ),
                    Grant(
                        name="access.grants[1]",
                        roles=frozenset({str(self.viewers.id)}),
                        may=("argocd:list", "argocd:status"),
                        on=("app:argocd/shop",),
                    ),
                )
            )
        )

    async def restart(self) -> None:
        """End the process and start another one over the same database, cluster and Discord."""
        old = self.world
        await old.bot.close()
        await old.desk.__aexit__()
        self.world = World(await old.desk.restarted(operating=old.desk.operating).__aenter__())
        self.demand(0)
        await self.env.restart_bot(self.world.bot)
        await self.world.settle()

    async def asks(self, command: str, *, by: Any = None, **options: Any) -> Any:
        """Type a command of `/argocd` in #general."""
        return await (by or self.alice).slash(self.general, f"argocd {command}", **options)

    async def confirms(self, shown: Any, *, by: Any = None) -> Any:
        """Press Confirm, and have done what is due."""
        answer = await (by or self.alice).click(shown.response, label="Confirm")
        await self.world.settle()
        return answer

    async def passes(self, times: int = 1) -> None:
        """Have the controller, then the bot, look so many times, and the card be drawn each time."""
        for _ in range(times):
            await self.desk.step()
            await self.world.settle()

    async def ends(self, *, most: int = 60) -> Operation:
        """Wait until the newest operation is over."""
        for _ in range(most):
            await self.passes()
            operation = await self.desk.get(self.name)
            if operation.state.is_final:
                return operation
        raise AssertionError(operation)

    @property
    def name(self) -> OperationId:
        """The id of the newest operation."""
        return OperationId(f"00000000-0000-4000-8000-{self.desk.made[0]:012}")

    @property
    def card(self) -> Any:
        """The newest card in #gitops."""
        return self.gitops.history()[-1]

    def refusals(self) -> list[str]:
        """The refusals that commands were answered with since the last look; SimCord notes them as errors."""
        told = [str(getattr(error, "original", error)) for error in self.env.errors]
        self.env.errors.clear()
        return told
