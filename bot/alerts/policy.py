"""What the configuration says about alerts, ready for use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from bot.alerts.model.alert import Alert
from bot.alerts.model.incident import Destination
from bot.alerts.model.severity import SeverityWords
from bot.alerts.routing import Labels, MentionIds, Route, mention_ids, route_for


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRules:
    """What the configuration says about storms."""

    after: timedelta = timedelta(seconds=15)
    """A storm begins when a channel needs longer than this for what waits."""
    calm_for: timedelta = timedelta(minutes=1)
    """It ends when it was calm for this long."""
    mention_every: timedelta = timedelta(minutes=5)
    """In a storm nobody is mentioned more often than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPolicy:
    """Where alerts go, how bad they are and what counts as the same incident."""

    routes: tuple[Route, ...]
    words: SeverityWords
    reopen_within: timedelta
    channels: Mapping[str, int]
    """Our names of channels and their Discord ids."""
    roles: Mapping[str, str]
    """Our names of roles and their Discord ids."""
    sources: tuple[str, ...] = ()
    """The names of the configured senders, the default one first."""
    storm: StormRules = StormRules()
    """When incidents share messages."""
    changes: timedelta = timedelta(hours=1)
    """How long before an incident began changes are of interest; 0: never."""

    @property
    def default_source(self) -> str:
        """The sender of whatever names none."""
        return next(iter(self.sources), "alertmanager")

    def destinations(self, firing: Iterable[Alert], *, source: str, receiver: str) -> tuple[Destination, ...]:
        """Say where an incident is shown whose firing alerts are these."""
        routes = route_for(self.routes, (routable(alert, source, receiver) for alert in firing))
        return tuple(
            Destination(route.channel, route.mention, route.remind, route.thread)
            for route in routes
            if route.channel is not None
        )

    def names_of(self, channel_id: int) -> tuple[str, ...]:
        """Return what we call a channel."""
        return tuple(name for name, known in self.channels.items() if known == channel_id)

    def mention_ids(self, destination: Destination) -> MentionIds:
        """Return the Discord ids of who is told in a channel."""
        return mention_ids(destination.mention, self.roles)


def routable(alert: Alert, source: str, receiver: str) -> Labels:
    """Return the labels that routes see: the alert's, its source and its receiver."""
    return {**alert.labels, "__source__": source, "__receiver__": receiver}
