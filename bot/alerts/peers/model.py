"""What an Alertmanager says when it is asked: values, as of the moment of asking.

An Alertmanager is one process, or a cluster of *peers*: any peer knows all
silences, but each has only the alerts that were sent to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bot.core.matchers import Matcher

_AT_ONCE: Final = timedelta(seconds=1)


class PeerState(StrEnum):
    """What a peer does with an alert."""

    ACTIVE = "active"
    SUPPRESSED = "suppressed"
    """It fires, but a silence, another alert or a time keeps it quiet."""
    UNPROCESSED = "unprocessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAlert:
    """An alert that fires there; resolved ones are never listed."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    """When it resolves unless it is sent again."""
    updated_at: datetime
    state: PeerState
    silenced_by: tuple[str, ...] = ()
    """Ids of silences."""
    inhibited_by: tuple[str, ...] = ()
    """Fingerprints of alerts."""
    muted_by: tuple[str, ...] | None = None
    """Names of time intervals; None where it does not say (before 0.28)."""
    receivers: tuple[str, ...] = ()
    generator_url: str = ""

    @property
    def is_muted(self) -> bool:
        """Whether it fires without being sent to anybody."""
        return bool(
            self.state is PeerState.SUPPRESSED or self.silenced_by or self.inhibited_by or self.muted_by
        )


@dataclass(frozen=True, slots=True)
class PeerGroup:
    """An alert group as a peer sends it to one receiver."""

    receiver: str
    labels: Mapping[str, str]
    alerts: tuple[PeerAlert, ...]


class ClusterState(StrEnum):
    """How a peer stands with the other peers."""

    READY = "ready"
    SETTLING = "settling"
    """It has not heard from all others yet."""
    DISABLED = "disabled"
    """It has no others."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times of its configuration that matter to us; of several routes the longest."""

    resolve_timeout: timedelta = timedelta(minutes=5)
    group_wait: timedelta = timedelta(seconds=30)
    group_interval: timedelta = timedelta(minutes=5)
    mutes_by_time: bool = False
    """Whether a route is quiet at certain times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """How a peer is."""

    started_at: datetime | None
    """None where it does not say, as Grafana's."""
    cluster: ClusterState
    version: str
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True)
class PeerView:
    """What one peer showed."""

    status: PeerStatus
    alerts: tuple[PeerAlert, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the peers of one Alertmanager showed when they were asked."""

    taken_at: datetime
    """Before the first of them was asked."""
    views: tuple[PeerView, ...]
    """Of those that answered: at least one."""
    missing: int = 0
    """How many did not."""
    groups: tuple[PeerGroup, ...] | None = None
    """None: not asked for, or not answered."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """None of the peers answered."""

    at: datetime
    why: str
    """A sentence for a person."""
    is_uninvited: bool = False
    """Whether it asks who we are, and we were given nothing to say: nobody expects us to ask it."""


class SilenceState(StrEnum):
    """Where a silence is in its life."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSilence:
    """A silence to be created."""

    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A silence as Alertmanager has it."""

    id: str
    matchers: tuple[Matcher, ...]
    """Those that we understand; whether it matches an alert only Alertmanager says."""
    unreadable: tuple[str, ...] = ()
    """Conditions in RE2 that Python does not know, as they are written."""
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    state: SilenceState

    @property
    def conditions(self) -> tuple[str, ...]:
        """All its matchers as they are written."""
        return (*map(str, self.matchers), *self.unreadable)


def is_edit(ended: Silence, began: Silence) -> bool:
    """Say whether a silence took the place of another: changed matchers make a new silence, with a new id."""
    names = {matcher.name for matcher in ended.matchers}
    related = ended.created_by == began.created_by or any(each.name in names for each in began.matchers)
    return related and abs(began.starts_at - ended.ends_at) <= _AT_ONCE


def merged(views: Iterable[PeerView]) -> Mapping[str, PeerAlert]:
    """Join what peers list, by fingerprint; an alert that one of them sends is not muted.

    Silences reach all peers within a second, so of two that differ the one
    that would notify is right.
    """
    joined: dict[str, PeerAlert] = {}
    for view in views:
        for alert in view.alerts:
            known = joined.get(alert.fingerprint)
            if known is None or (known.is_muted, known.updated_at) > (alert.is_muted, alert.updated_at):
                joined[alert.fingerprint] = alert
    return joined
