"""What can be configured about access: the grants. Everything that no grant allows is denied."""

from datetime import UTC, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, StringConstraints

from bot.access.model import KNOWN_ACTIONS
from bot.configurable import DiscordId, Duration, Section

TARGET_KINDS = ("app", "project", "namespace", "label", "stage", "secret", "rotation", "server", "channel")
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


def _cron(expression: str) -> str:
    expected = "expected five fields of cron such as 0 8 * * 1-5, with an opening at some time"
    try:
        opening = next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        raise ValueError(expected) from error
    if opening is None or len(expression.split()) != _CRON_FIELDS:
        raise ValueError(expected)
    return expression


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("expected the name of a time zone such as Europe/Berlin")
    return name


_CRON_FIELDS = 5


class WindowSettings(Section):
    """A time in which something is allowed, again and again."""

    schedule: Annotated[str, AfterValidator(_cron)]
    """When it opens: minute, hour, day of the month, month and day of the week, as cron writes them."""
    duration: Duration
    """How long it stays open."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The time zone of the schedule."""


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
    """Targets, `<kind>:<name>`; globs are accepted: `channel:alerts`, `namespace:shop-*`,
    `label:team=web`."""
    approvals: int = Field(default=0, ge=0, le=10)
    """How many other people must approve before it happens."""
    during: tuple[WindowSettings, ...] = ()
    """When it holds: while any of these windows is open; without any always. It is decided again at each
    click, and when what was approved begins. Ending something early is allowed at any time."""


class AccessSettings(Section):
    """Who may do what."""

    grants: tuple[GrantSettings, ...] = ()
    """What is allowed, to whom. Among the grants that match, the one that asks for most approvals counts,
    and where some of them have windows, one of those must be open."""
