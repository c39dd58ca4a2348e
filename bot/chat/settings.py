"""What can be configured about Discord: who we are there, and our own names for its ids."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from bot.configurable import DiscordId, FileTwin, NeedsRestart, Secret, Section

DISCORD_API = "https://discord.com/api/v10"
DISCORD_GATEWAY = "wss://gateway.discord.gg/"

OurName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
"""A name that the configuration gives to one of Discord's things."""


def _discord_or_loopback(real: str, schemes: frozenset[str]) -> AfterValidator:
    def check(value: str) -> str:
        trimmed = value.rstrip("/")
        if trimmed == real.rstrip("/"):
            return real
        try:
            url = urlsplit(trimmed)
            fits = url.scheme in schemes and _is_loopback(url.hostname or "")
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"expected {real}; only a simulator on loopback may have another address")
        return trimmed

    return AfterValidator(check)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class DiscordSettings(Section):
    """The bot's place in Discord."""

    token: Annotated[Secret, FileTwin(), NeedsRestart()]
    """The token of the bot, from the developer portal's page Bot."""
    guild: Annotated[DiscordId, NeedsRestart()]
    """The id of the one server that the bot serves."""
    channels: dict[OurName, DiscordId] = Field(min_length=1)
    """Our names of channels and their ids. Notices go to `audit`, without it to the last route's channel."""
    roles: dict[OurName, DiscordId] = Field(default_factory=dict)
    """Our names of roles and their ids, for mentions and grants."""
    api_url: Annotated[
        str, _discord_or_loopback(DISCORD_API, frozenset({"http", "https"})), NeedsRestart()
    ] = DISCORD_API
    """Where Discord's API is. Another address is accepted only on loopback, for a simulator."""
    gateway_url: Annotated[
        str, _discord_or_loopback(DISCORD_GATEWAY, frozenset({"ws", "wss"})), NeedsRestart()
    ] = DISCORD_GATEWAY
    """Where Discord's gateway is. Another address is accepted only on loopback, for a simulator."""
