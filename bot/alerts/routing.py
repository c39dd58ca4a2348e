"""Which routes an incident takes: where its cards appear, who is mentioned, how often it reminds.

Pure: the values of a configuration and the labels of alerts go in, the routes
that match come out, and for a person the reason why each one does or does not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.core.matchers import Matcher

Labels = Mapping[str, str]
"""The labels of one alert, with `__source__` and `__receiver__` beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the routing table."""

    index: int
    """Its place in the configuration, from 0."""
    matchers: tuple[Matcher, ...] = ()
    """All of them must match; none matches everything."""
    channel: str | None = None
    """Our name of the channel; None: recorded, no card."""
    mention: tuple[str, ...] = ()
    """Who is mentioned: `role:<our name or an id>` or `user:<id>`."""
    remind: timedelta | None = None
    """How long after a ping the next one is due, until somebody acknowledges; None: never."""
    goes_on: bool = False
    """Whether later routes are tried although this one matched."""
    thread: bool = False
    """Whether the card carries a thread."""


@dataclass(frozen=True, slots=True)
class FailedMatcher:
    """A condition that was not met, and the value that it met."""

    matcher: Matcher
    actual: str
    """The label's value; empty if the label is absent."""

    def __str__(self) -> str:
        return f'{self.matcher} does not match "{self.actual}"'


@dataclass(frozen=True, slots=True)
class RouteVerdict:
    """What became of one route for one alert."""

    route: Route
    matched: bool
    failed: tuple[FailedMatcher, ...] = ()
    """The conditions that were not met."""
    reached: bool = True
    """False: an earlier route matched and did not go on, so this one was not asked."""


@dataclass(frozen=True, slots=True)
class MentionIds:
    """The ids behind a route's mentions."""

    roles: tuple[int, ...] = ()
    users: tuple[int, ...] = ()


def route_for(routes: Sequence[Route], firing: Iterable[Labels]) -> tuple[Route, ...]:
    """Return the routes of an incident whose firing alerts have these labels, in order.

    A route matches when any one of the alerts meets all its conditions; the
    first that matches wins, and the next ones join as long as it goes on.
    """
    alerts = tuple(firing)
    chosen: list[Route] = []
    for route in routes:
        if any(_matches(route, labels) for labels in alerts):
            chosen.append(route)
            if not route.goes_on:
                break
    return tuple(chosen)


def explain_routes(routes: Sequence[Route], labels: Labels) -> list[RouteVerdict]:
    """Say for every route whether one alert takes it, and if not, which conditions it failed."""
    verdicts: list[RouteVerdict] = []
    reached = True
    for route in routes:
        if not reached:
            verdicts.append(RouteVerdict(route, matched=False, reached=False))
            continue
        failed = tuple(
            FailedMatcher(matcher, labels.get(matcher.name, ""))
            for matcher in route.matchers
            if not matcher.matches(labels)
        )
        verdicts.append(RouteVerdict(route, matched=not failed, failed=failed))
        reached = bool(failed) or route.goes_on
    return verdicts


def mention_ids(mentions: Iterable[str], roles: Mapping[str, str]) -> MentionIds:
    """Return the ids that mentions stand for; `roles` is `discord.roles`.

    A role that has been taken out of the configuration meanwhile is left out.
    """
    role_ids: list[int] = []
    user_ids: list[int] = []
    for mention in mentions:
        kind, _, name = mention.partition(":")
        number = roles.get(name, name) if kind == "role" else name
        if number.isascii() and number.isdigit():
            (role_ids if kind == "role" else user_ids).append(int(number))
    return MentionIds(tuple(dict.fromkeys(role_ids)), tuple(dict.fromkeys(user_ids)))


def _matches(route: Route, labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in route.matchers)
