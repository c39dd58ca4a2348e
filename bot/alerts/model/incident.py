"""What an incident is, and what people make of it.

An *incident* is the life of an alert group from its first firing alert to its last
resolved one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import NewType

from bot.alerts.model.alert import Alert, Blindness, common
from bot.alerts.model.severity import Severity
from bot.core.actor import Actor

IncidentNumber = NewType("IncidentNumber", int)


class State(StrEnum):
    """What is known of an incident; acknowledged and muted are facts beside it."""

    FIRING = "firing"
    RESOLVED = "resolved"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody looks at it."""

    by_id: str
    by_name: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Closing:
    """Closed by a person although the sender never said so."""

    by_id: str
    by_name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Muting:
    """What keeps the firing alerts of an incident quiet."""

    silences: tuple[str, ...] = ()
    """Ids."""
    inhibitors: tuple[str, ...] = ()
    """Fingerprints of alerts."""
    intervals: tuple[str, ...] = ()
    """Names of time intervals."""
    alerts: int = 0
    """How many are quiet."""
    firing: int = 0
    """Of how many that fire."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the incident is sent to anybody."""
        return self.alerts >= self.firing


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an incident is shown, and who is told there."""

    channel: str
    """Our name of the channel."""
    mention: tuple[str, ...] = ()
    """`role:<our name>` or `user:<Discord id>`."""
    remind: timedelta | None = None
    """Ping again this often until somebody acknowledges."""
    thread: bool = False
    """Whether the card carries a thread."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """The life of an alert group, with all that is known of its alerts.

    What follows from all its alerts is found once: there may be ten thousand, and a card asks often.
    """

    number: IncidentNumber
    source: str
    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    external_url: str
    state: State
    severity: Severity
    """The worst firing one; of a closed incident the last that it had."""
    opened_at: datetime
    changed_at: datetime
    closed_at: datetime | None = None
    unknown_since: datetime | None = None
    reopened: int = 0
    """How often it fired again soon after it was over."""
    reopened_at: datetime | None = None
    truncated: int = 0
    """Alerts that the sender cut off the last delivery."""
    acknowledgement: Acknowledgement | None = None
    closing: Closing | None = None
    muting: Muting | None = None
    """What keeps its alerts quiet, as far as Alertmanager was asked."""
    destinations: tuple[Destination, ...] = ()
    alerts: tuple[Alert, ...] = ()
    """Firing ones first, longest firing first."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Lines that other rooms wrote on the card, by slot."""
    last_key: str = ""
    """The key of the last applied delivery."""

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.closed_at is None

    @property
    def is_muted(self) -> bool:
        """Whether nothing of it is sent to anybody."""
        return self.is_open and self.muting is not None and self.muting.is_whole

    @cached_property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire."""
        return tuple(alert for alert in self.alerts if alert.is_firing)

    @cached_property
    def common_labels(self) -> Mapping[str, str]:
        """The labels that all its firing alerts share; of a closed one, all its alerts."""
        return common(alert.labels for alert in self.firing or self.alerts)

    @cached_property
    def common_annotations(self) -> Mapping[str, str]:
        """The annotations that all its firing alerts share; of a closed one, all its alerts."""
        return common(alert.annotations for alert in self.firing or self.alerts)

    @cached_property
    def blindness(self) -> Blindness | None:
        """Why Grafana cannot evaluate rules, if all its alerts say so in the same way."""
        found = (alert.blindness for alert in self.firing or self.alerts)
        first = next(found, None)
        return first if first is not None and all(other is first for other in found) else None

    @cached_property
    def title(self) -> str:
        """Its name in a few words: the alert's, else the group's labels."""
        if (blindness := self.blindness) is not None:
            rules = {alert.rule_name for alert in self.firing or self.alerts}
            return f"{blindness.value} {rules.pop() if len(rules) == 1 else f'{len(rules)} rules'}"
        labels = self.common_labels
        if name := labels.get("alertname") or self.group_labels.get("alertname"):
            return name
        return ", ".join(self.group_labels.values()) or self.receiver or "Alert"


def acknowledge(incident: Incident, by: Actor, *, note: str, now: datetime) -> Incident:
    """Note that somebody looks at it; who says so again keeps the first moment and changes the note."""
    before = incident.acknowledgement
    first = before.at if before is not None and before.by_id == by.id else now
    return replace(incident, acknowledgement=Acknowledgement(by.id, by.name, first, note), changed_at=now)


def close_by_hand(incident: Incident, by: Actor, *, note: str, now: datetime) -> Incident:
    """Close it although the sender never said so; the next firing delivery opens it again."""
    return replace(
        incident,
        closed_at=now,
        changed_at=now,
        closing=Closing(by.id, by.name, note),
        muting=None,
        # Whatever comes next is news, also what was said before.
        last_key="",
    )


def join_destinations(
    before: Sequence[Destination], routed: Sequence[Destination]
) -> tuple[Destination, ...]:
    """Add the channels that are new and the mentions that are new in each; nothing is taken away."""
    joined = {destination.channel: destination for destination in before}
    for destination in routed:
        known = joined.get(destination.channel)
        if known is None:
            joined[destination.channel] = destination
            continue
        joined[destination.channel] = Destination(
            channel=destination.channel,
            mention=tuple(dict.fromkeys((*known.mention, *destination.mention))),
            remind=min((wait for wait in (known.remind, destination.remind) if wait), default=None),
            thread=known.thread or destination.thread,
        )
    return tuple(joined.values())
