"""The simulated server: its channels, and people who may do everything or nothing."""

import os
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import simcord


@dataclass(frozen=True, slots=True)
class World:
    """What there is in the simulated Discord."""

    guild: simcord.GuildHandle
    channel: simcord.ChannelHandle
    games: simcord.ChannelHandle
    operators: simcord.RoleHandle
    oncall: simcord.RoleHandle
    alex: simcord.MemberActor
    """Who looks at the page: may press everything."""
    robin: simcord.MemberActor
    """Whom the page can be looked at as: has no grant."""
    sam: simcord.MemberActor
    """On call, and played by us."""


def build_world(env: simcord.Env) -> World:
    """Make the server; its clock should be right by then, since it is in every id."""
    guild = env.create_guild("Example platform")
    operators = guild.create_role("operators", mentionable=True)
    oncall = guild.create_role("oncall", mentionable=True)

    def join(name: str, *roles: simcord.RoleHandle) -> simcord.MemberActor:
        return guild.add_member(env.create_user(name.lower(), global_name=name), roles=roles)

    return World(
        guild,
        guild.create_text_channel("alerts", topic="What needs somebody"),
        guild.create_text_channel("minecraft", topic="Who plays where"),
        operators,
        oncall,
        alex=join("Alex", operators),
        robin=join("Robin"),
        sam=join("Sam", operators, oncall),
    )


def own_time_zone() -> str:
    """Return the name of this computer's time zone, or UTC where it does not tell."""
    linked = Path("/etc/localtime").resolve().as_posix().partition("/zoneinfo/")[2]
    for name in (os.environ.get("TZ", "").lstrip(":"), linked):
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"
