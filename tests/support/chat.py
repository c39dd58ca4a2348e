"""Builders for tests that talk to a simulated Discord."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from discord.ext import commands

from bot.chat.action import button
from bot.chat.client import CommandMemory, ForgetfulMemory, MachineBot
from bot.chat.handlers import Actions
from bot.chat.layout import CRITICAL, container, row, text, view
from bot.chat.pacing import Pacing
from bot.chat.rendered import Rendered

GUILD_ID = 1136200000000000000


class FastBot(MachineBot):
    """The bot, without the pauses that discord.py makes for Discord's sake."""

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Identify at once."""


def a_bot(
    *,
    guild_id: int = GUILD_ID,
    actions: Actions | None = None,
    make_cogs: Callable[[MachineBot], Iterable[commands.Cog]] = lambda _bot: (),
    remember: CommandMemory | None = None,
    pacing: Pacing | None = None,
    may_act: Callable[[], None] = lambda: None,
) -> FastBot:
    return FastBot(
        guild_id=guild_id,
        actions=actions or Actions(),
        make_cogs=make_cogs,
        remember=remember or ForgetfulMemory(),
        pacing=pacing or Pacing(time.monotonic),
        may_act=may_act,
        guild_ready_timeout=0.05,
        heartbeat_timeout=2,
    )


def a_card(words: str = "CRITICAL · DiskFull", *, key: str = "520", **more: Any) -> Rendered:
    made = button("ack", key, "Acknowledge")
    return Rendered(
        view=view(container(text(words), row(made), colour=CRITICAL)), marker=made.custom_id, **more
    )
