"""What can be configured about operations."""

from collections.abc import Mapping
from datetime import timedelta

from bot.configurable import Duration, Section
from bot.operations.model import OperationPolicy

USUAL_CHANNEL = "gitops"


class OperationsSettings(Section):
    """What people ask of the cluster, from the question to its end."""

    channel: str | None = None
    """Our name of the channel that shows them; without it `gitops` where that is one of
    `discord.channels`, else the channel in which each was asked. Starts and stops of Minecraft servers are
    always shown where they were asked."""
    approvals_expire: Duration = timedelta(minutes=30)
    """How long it is waited for approvals."""
    start_within: Duration = timedelta(minutes=10)
    """What could not be started for this long, because its system could not be reached or the bot
    was not running, is not started any more."""


def compile_policy(settings: OperationsSettings, channels: Mapping[str, str]) -> OperationPolicy:
    """Return what the settings say; `channels` are our names with Discord's ids."""
    channel = channels.get(settings.channel or USUAL_CHANNEL)
    return OperationPolicy(
        channel_id=int(channel) if channel is not None else None,
        approvals_expire=settings.approvals_expire,
        start_within=settings.start_within,
    )
