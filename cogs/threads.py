"""What Discord tells of threads: that one can be written in again."""

import discord
from discord.ext import commands

from bot.cards.threads.service import ThreadKeeper


class ThreadsCog(commands.Cog):
    """Hears what moderators do to threads."""

    def __init__(self, keeper: ThreadKeeper) -> None:
        """Take who writes in them."""
        self._keeper = keeper

    @commands.Cog.listener()
    async def on_raw_thread_update(self, payload: discord.RawThreadUpdateEvent) -> None:
        """Hear that a thread was changed; whether it was locked before, Discord does not say."""
        if not payload.data.get("thread_metadata", {}).get("locked", False):
            self._keeper.hear_unlocked(payload.thread_id)
