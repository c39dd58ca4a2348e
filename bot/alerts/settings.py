"""What can be configured about alerts: where they go, how bad they are, how long they are kept."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.alerts.model.severity import SeverityWords
from bot.alerts.policy import AlertPolicy, StormRules
from bot.alerts.routing import Route
from bot.alerts.silences.settings import SilenceSettings
from bot.configurable import Duration, Section
from bot.core.errors import InvalidError
from bot.core.matchers import parse_matchers

NO_CHANNEL = "none"
"""Written where a channel's name would stand: recorded, no card."""

SHORTEST_POLL = timedelta(seconds=30)
"""No Alertmanager is asked more often by itself."""


def _matchers(text: str) -> str:
    try:
        found = parse_matchers(text)
    except InvalidError as error:
        raise ValueError(str(error)) from error
    if not found:
        raise ValueError('expected a matcher such as severity="critical"')
    return text


def _not_too_often(wait: timedelta) -> timedelta:
    if wait < SHORTEST_POLL:
        raise ValueError("expected 30s or longer: Alertmanager has more to do than to answer us")
    return wait


def normalise_mention(text: str) -> str:
    """Return a mention as `role:<name>` or `user:<id>`; raises `ValueError` saying what was expected."""
    kind, colon, name = text.partition(":")
    if not colon:
        kind, name = "role", text
    if kind == "schedule":
        raise ValueError("expected a role or a user: this version has no schedules that could be mentioned")
    if kind not in {"role", "user"} or not name:
        raise ValueError("expected a name of discord.roles, role:<name> or user:<id>")
    if kind == "user" and not (name.isascii() and name.isdigit()):
        raise ValueError("expected user:<id> with an id of digits")
    return f"{kind}:{name}"


class RouteSettings(Section):
    """One line of the routing table."""

    match: tuple[Annotated[str, AfterValidator(_matchers)], ...] = ()
    """Conditions in Alertmanager's syntax; one firing alert must meet them all. None matches everything."""
    channel: str = Field(min_length=1)
    """A name of `discord.channels`, or `none`: recorded, no card."""
    mention: tuple[Annotated[str, AfterValidator(normalise_mention)], ...] = ()
    """Who is pinged: a name of `discord.roles`, `role:<name>` or `user:<id>`."""
    remind: Duration | None = None
    """Pings again this long after a ping, until somebody acknowledges. Without it: never."""
    thread: bool = False
    """Whether the card carries a thread, with the incident's timeline in it and room for discussion."""
    goes_on: bool = Field(default=False, alias="continue")
    """Whether later routes are tried although this one matched."""


class SeveritySettings(Section):
    """How the severity of an alert is read from its labels."""

    label: str = Field(default="severity", min_length=1)
    """The label that says it."""
    critical: tuple[str, ...] = ("critical", "page", "emergency", "fatal", "p1")
    """Values of the label that mean critical."""
    warning: tuple[str, ...] = ("warning", "warn", "error", "high", "medium", "p2", "p3")
    """Values of the label that mean warning."""
    info: tuple[str, ...] = ("info", "information", "notice", "low", "none", "p4", "p5")
    """Values of the label that mean info."""


class RetentionSettings(Section):
    """How long what is over is kept."""

    incidents: Duration = timedelta(days=90)
    """How long a closed incident is kept."""
    deliveries: Duration = timedelta(days=14)
    """How long the raw body of a delivery is kept after it was handled."""


class StormSettings(Section):
    """When the incidents of a channel share messages instead of having one each."""

    after: Duration = timedelta(seconds=15)
    """A storm begins when the channel would need longer than this for the messages that wait."""
    calm_for: Duration = timedelta(minutes=1)
    """A storm ends when little was new for this long."""
    mention_every: Duration = timedelta(minutes=5)
    """In a storm a role or a person is mentioned at most this often, for all incidents together."""


class AlertsSettings(Section):
    """What becomes of an alert."""

    routes: tuple[RouteSettings, ...] = Field(min_length=1)
    """Where alerts go. The first that matches wins, unless it says `continue`; the last has no `match`."""
    severities: SeveritySettings = SeveritySettings()
    """How severity is read from labels."""
    reopen_within: Duration = timedelta(minutes=30)
    """An incident that fires again this soon after its end is opened again instead of becoming a new one."""
    retention: RetentionSettings = RetentionSettings()
    """How long what is over is kept."""
    storm: StormSettings = StormSettings()
    """When incidents share messages."""
    changes: Duration = timedelta(hours=1)
    """A card shows what changed in its namespace or app this long before it began, and since; 0: nothing."""
    poll: Annotated[Duration, AfterValidator(_not_too_often)] = timedelta(minutes=1)
    """How often each Alertmanager is asked what fires and what is silenced; at least 30s."""
    silences: SilenceSettings = SilenceSettings()
    """How people silence alerts."""


def compile_policy(
    settings: AlertsSettings,
    *,
    channels: Mapping[str, str],
    roles: Mapping[str, str],
    sources: Iterable[str] = (),
) -> AlertPolicy:
    """Return what the settings say about alerts; channels and roles are those of `discord`."""
    words = settings.severities
    return AlertPolicy(
        routes=compile_routes(settings),
        words=SeverityWords(
            words.label,
            frozenset(word.lower() for word in words.critical),
            frozenset(word.lower() for word in words.warning),
            frozenset(word.lower() for word in words.info),
        ),
        reopen_within=settings.reopen_within,
        channels={name: int(number) for name, number in channels.items()},
        roles=roles,
        sources=tuple(sources),
        storm=StormRules(
            after=settings.storm.after,
            calm_for=settings.storm.calm_for,
            mention_every=settings.storm.mention_every,
        ),
        changes=settings.changes,
    )


def compile_routes(settings: AlertsSettings) -> tuple[Route, ...]:
    """Return the routing table that the settings describe."""
    return tuple(
        Route(
            index=index,
            matchers=tuple(matcher for text in route.match for matcher in parse_matchers(text)),
            channel=None if route.channel == NO_CHANNEL else route.channel,
            mention=route.mention,
            remind=route.remind,
            goes_on=route.goes_on,
            thread=route.thread,
        )
        for index, route in enumerate(settings.routes)
    )
