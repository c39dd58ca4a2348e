"""Where servers are shown: our names of channels, turned into Discord's."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.minecraft.settings import USUAL_CHANNEL, MinecraftSettings


@dataclass(frozen=True, slots=True)
class Places:
    """The channels of the configuration in force."""

    boards: tuple[int, ...]
    requests: int | None
    """None: nobody can ask for a place on a whitelist."""


def compile_places(settings: MinecraftSettings, channels: Mapping[str, str]) -> Places:
    """Return the channels that the settings name; `channels` are our names with Discord's ids."""
    usual = (USUAL_CHANNEL,) if USUAL_CHANNEL in channels else ()
    named = usual if settings.boards is None else settings.boards
    boards = tuple(int(channels[name]) for name in dict.fromkeys(named) if name in channels)
    if settings.requests is not None:
        found = channels.get(settings.requests)
        return Places(boards, int(found) if found is not None else None)
    return Places(boards, boards[0] if boards else None)
