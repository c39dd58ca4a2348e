"""The whole configuration, put together from what each room says about itself.

A new room is one more field here, and its rules, where it has some, one more
function in `bot.settings.rules`.
"""

from typing import Annotated

from bot.access.settings import AccessSettings
from bot.alerts.peers.settings import AlertmanagerSettings
from bot.alerts.settings import AlertsSettings
from bot.chat.settings import DiscordSettings
from bot.configurable import NeedsRestart, NeedsRestartToAppear, Section
from bot.database.settings import DatabaseSettings
from bot.minecraft.settings import MinecraftSettings
from bot.operations.settings import OperationsSettings
from bot.settings.kubernetes import KubernetesSettings
from bot.telemetry.settings import LogSettings
from bot.web.settings import WebSettings

AUDIT_CHANNEL = "audit"
UNNAMED_SOURCE = "alertmanager"


class Settings(Section):
    """The configuration of The Machine."""

    discord: DiscordSettings
    """The bot's place in Discord."""
    web: WebSettings = WebSettings()
    """The web server that receives webhooks."""
    database: Annotated[DatabaseSettings, NeedsRestart()] = DatabaseSettings()
    """Where everything is kept."""
    alertmanagers: tuple[AlertmanagerSettings, ...] = ()
    """Who sends alerts and is asked what is true; one that names no source is the first one's of its kind."""
    alerts: AlertsSettings
    """What becomes of an alert."""
    kubernetes: Annotated[KubernetesSettings | None, NeedsRestartToAppear()] = None
    """The cluster that is watched, and what of it. Without this section the bot needs no cluster."""
    minecraft: MinecraftSettings | None = None
    """Minecraft servers. Without this section none are watched."""
    operations: OperationsSettings = OperationsSettings()
    """What people ask of the cluster."""
    access: AccessSettings | None = None
    """Who may do what. Without this section only members with Administrator may act."""
    log: LogSettings = LogSettings()
    """What is logged, and how it looks."""

    @property
    def default_source(self) -> str:
        """The source of a delivery whose address names none."""
        return self.alertmanagers[0].name if self.alertmanagers else UNNAMED_SOURCE

    @property
    def notices_channel(self) -> str:
        """Our name of the channel for notices about the bot itself."""
        return AUDIT_CHANNEL if AUDIT_CHANNEL in self.discord.channels else self.alerts.routes[-1].channel
