"""What can be configured about access: the grants. Everything that no grant allows is denied."""

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from bot.access.model import KNOWN_ACTIONS
from bot.configurable import DiscordId, Section

TARGET_KINDS = ("app", "project", "namespace", "stage", "secret", "rotation", "server", "channel")
"""What stands before the colon of a target."""


def _known_action(pattern: str) -> str:
    if any(fnmatchcase(action, pattern) for action in KNOWN_ACTIONS):
        return pattern
    groups = dict.fromkeys(action.partition(":")[0] for action in KNOWN_ACTIONS)
    candidates = [*KNOWN_ACTIONS, *(f"{group}:*" for group in groups)]
    raise ValueError(f"expected an action such as alerts:ack or alerts:*{_nearest(pattern, candidates)}")


def _known_target(pattern: str) -> str:
    kind, colon, _ = pattern.partition(":")
    if pattern == "*" or (colon and any(fnmatchcase(known, kind) for known in TARGET_KINDS)):
        return pattern
    raise ValueError(f"expected * or a target such as channel:alerts{_nearest(kind, TARGET_KINDS)}")


def _nearest(text: str, candidates: tuple[str, ...] | list[str]) -> str:
    close = get_close_matches(text, sorted(candidates), n=1)
    return f"; did you mean {close[0]}?" if close else ""


class GrantSettings(Section):
    """Allows some people some actions on some targets."""

    roles: tuple[str, ...] = ()
    """Names of `discord.roles` whose holders the grant is for."""
    users: tuple[DiscordId, ...] = ()
    """Ids of people whom the grant is for."""
    may: tuple[Annotated[str, AfterValidator(_known_action)], ...] = Field(min_length=1)
    """Actions, `<group>:<command>`; globs are accepted: `alerts:*`."""
    on: tuple[Annotated[str, StringConstraints(min_length=1), AfterValidator(_known_target)], ...] = Field(
        default=("*",), min_length=1
    )
    """Targets, `<kind>:<name>`; globs are accepted: `channel:alerts`, `namespace:shop-*`."""
    approvals: int = Field(default=0, ge=0, le=10)
    """How many other people must approve before it happens."""


class AccessSettings(Section):
    """Who may do what."""

    grants: tuple[GrantSettings, ...] = ()
    """What is allowed, to whom. Among the grants that match, the one that asks for most approvals counts."""
