"""What an incident is and how deliveries change it: values and pure decisions.

An *episode* is one firing of one alert: (source, fingerprint, startsAt). An
*incident* is the life of an alert group from its first firing alert to its last
resolved one.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, IntEnum, StrEnum
from functools import cached_property
from typing import NewType

from bot.core.actor import Actor

IncidentNumber = NewType("IncidentNumber", int)

OURSELVES = "the-machine"
"""The source of alerts that other rooms tell of, and no Alertmanager."""

_FIRST_ORGANISATION = "1"
_ORGANISATION = re.compile(r"org:[0-9]+:")

KEEP_RESOLVED = timedelta(days=1)
"""How long an open incident remembers an alert that resolved."""


class Severity(IntEnum):
    """How bad it is; a larger one is worse."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """Name it as the card does."""
        return self.name


class AlertStatus(StrEnum):
    """What the last delivery said of one alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class State(StrEnum):
    """What is known of an incident; acknowledged and muted are facts beside it."""

    FIRING = "firing"
    RESOLVED = "resolved"
    UNKNOWN = "unknown"


class Blindness(Enum):
    """Why Grafana cannot say whether the alert of a rule fires."""

    ERROR = "Grafana cannot evaluate"
    NO_DATA = "No data for"


_BLIND_NAMES = {
    "DatasourceError": Blindness.ERROR,
    "DatasourceNoData": Blindness.NO_DATA,
    "NoData": Blindness.NO_DATA,
}
_RULE_NAME = "rulename"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, in its latest episode."""

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    """None while it fires."""
    generator_url: str = ""

    @property
    def is_firing(self) -> bool:
        """Tell a firing alert from a resolved one."""
        return self.status is AlertStatus.FIRING

    @property
    def blindness(self) -> Blindness | None:
        """Why it stands in for the alert of a rule; None for an alert that means itself.

        Grafana gives a stand-in a name of its own, and that of the rule in a label.
        """
        return _BLIND_NAMES.get(self.labels.get("alertname", "")) if self.rule_name else None

    @property
    def rule_name(self) -> str:
        """The name of the rule that it stands in for."""
        return self.labels.get(_RULE_NAME, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One delivery of an alert group, as its sender meant it."""

    source: str
    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    common_labels: Mapping[str, str]
    common_annotations: Mapping[str, str]
    external_url: str
    truncated: int
    """How many alerts the sender cut off (`max_alerts`)."""
    reason: str | None
    """Alertmanager's `notification_reason` (0.32 and later)."""
    route_labels: Mapping[str, str]
    alerts: tuple[Alert, ...]

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire."""
        return tuple(alert for alert in self.alerts if alert.is_firing)


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
        found = {alert.blindness for alert in self.firing or self.alerts}
        return found.pop() if len(found) == 1 else None

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


@dataclass(frozen=True, slots=True)
class SeverityWords:
    """Which label says how bad an alert is, and which of its values mean what."""

    label: str = "severity"
    critical: frozenset[str] = frozenset({"critical", "page", "emergency", "disaster", "fatal"})
    warning: frozenset[str] = frozenset({"warning", "warn", "error", "major", "minor", "ticket"})
    info: frozenset[str] = frozenset({"info", "information", "informational", "notice", "none", "debug"})

    def of(self, labels: Mapping[str, str]) -> Severity:
        """Judge one alert; a word that nobody knows is a warning, never silence."""
        word = labels.get(self.label, "").strip().lower()
        if word in self.critical:
            return Severity.CRITICAL
        return Severity.INFO if word in self.info else Severity.WARNING

    def worst(self, alerts: Iterable[Alert]) -> Severity | None:
        """Judge several; None when there are none."""
        return max((self.of(alert.labels) for alert in alerts), default=None)


class Change(Enum):
    """What a delivery meant for its incident."""

    NOTHING_NEW = "nothing new"
    """The incident already says this."""
    RESOLVED_UNSEEN = "resolved, never seen firing"
    OPENED = "opened"
    REOPENED = "fired again"
    SEVERITY_ROSE = "severity rose"
    ALERTS_CHANGED = "alerts changed"
    RESOLVED = "resolved"
    UNKNOWN = "the sender cut alerts off"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An incident after a delivery, why it changed, and which alerts did."""

    change: Change
    incident: Incident | None
    changed: tuple[Alert, ...] = ()


def delivery_key(notification: Notification) -> str:
    """Return what is equal for two deliveries that say the same (annotations aside)."""
    facts = [
        notification.receiver,
        notification.group_key,
        notification.truncated,
        sorted(
            (
                alert.fingerprint,
                alert.status.value,
                alert.starts_at.isoformat(),
                alert.ends_at.isoformat() if alert.ends_at else "",
            )
            for alert in notification.alerts
        ),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def labels_key(labels: Mapping[str, str]) -> str:
    """Return a short text that is equal for equal label sets."""
    return hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:32]


def in_organisation(organisation: str, group_key: str) -> str:
    """Return the key of a group within one of Grafana's organisations, which know nothing of one another.

    The first organisation, which most Grafanas leave the only one, has plain keys.
    """
    if organisation in {"", _FIRST_ORGANISATION}:
        return group_key
    return f"org:{organisation}:{group_key}"


def group_labels_key(group_key: str, group_labels: Mapping[str, str]) -> str:
    """Return what finds a group whose key has changed: its labels, within its organisation."""
    organisation = _ORGANISATION.match(group_key)
    return labels_key({**group_labels, "": organisation[0]} if organisation else group_labels)


def common(maps: Iterable[Mapping[str, str]]) -> Mapping[str, str]:
    """Return the items that all the maps share."""
    iterator = iter(maps)
    shared = dict(next(iterator, {}))
    for other in iterator:
        if not shared:
            break
        shared = {name: value for name, value in shared.items() if other.get(name) == value}
    return shared


def merge_alert(known: Alert | None, told: Alert) -> Alert:
    """Say what an alert is after a delivery told this of it.

    The last delivery is right about what fires. An episode keeps its earliest start
    (the peers of a Prometheus pair differ), and a resolved entry that ended before
    the present episode began, or before the end that is known, is an older one and
    changes nothing.
    """
    if known is None:
        return told
    if told.is_firing:
        if known.is_firing:
            return replace(told, starts_at=min(known.starts_at, told.starts_at))
        return told
    if _end(told) < (known.starts_at if known.is_firing else _end(known)):
        return known
    if known.is_firing or told.starts_at <= _end(known):
        return replace(told, starts_at=min(known.starts_at, told.starts_at))
    return told


def _end(alert: Alert) -> datetime:
    return alert.ends_at or alert.starts_at


def in_order(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Sort for people: firing first, the longest firing first; then the latest resolved."""
    return tuple(
        sorted(
            alerts,
            key=lambda alert: (
                not alert.is_firing,
                alert.starts_at if alert.is_firing else _reversed(alert.ends_at or alert.starts_at),
                alert.fingerprint,
            ),
        )
    )


def _reversed(moment: datetime) -> datetime:
    return datetime.fromtimestamp(max(0, 32_503_680_000 - moment.timestamp()), tz=moment.tzinfo)


def apply_notification(
    incident: Incident | None,
    told: Notification,
    *,
    words: SeverityWords,
    now: datetime,
    reopen_within: timedelta,
) -> Outcome:
    """Decide what a delivery makes of the latest incident of its group.

    A returned incident numbered 0 is a new one. Applying a group's last delivery
    again changes nothing.
    """
    if incident is not None and incident.closed_at is not None:
        return _apply_to_closed(incident, told, words=words, now=now, reopen_within=reopen_within)
    if incident is None:
        return _open(told, words=words, now=now)
    return _apply_to_open(incident, told, words=words, now=now)


def heard_of(incident: Incident, told: Notification) -> Incident:
    """Return an incident as it was before its sender told this: what is sent is not kept quiet.

    How much else is quiet only Alertmanager's list says.
    """
    muting = incident.muting
    if muting is None or not told.firing:
        return incident
    return replace(incident, muting=replace(muting, firing=max(muting.firing, muting.alerts + 1)))


def _open(told: Notification, *, words: SeverityWords, now: datetime) -> Outcome:
    alerts = in_order(_one_each(told.alerts))
    firing = [alert for alert in alerts if alert.is_firing]
    severity = words.worst(firing)
    if severity is None:
        return Outcome(Change.RESOLVED_UNSEEN, None)
    opened = Incident(
        number=IncidentNumber(0),
        source=told.source,
        receiver=told.receiver,
        group_key=told.group_key,
        group_labels=told.group_labels,
        external_url=told.external_url,
        state=State.FIRING,
        severity=severity,
        opened_at=min(firing[0].starts_at, now),
        changed_at=now,
        truncated=told.truncated,
        alerts=alerts,
        last_key=delivery_key(told),
    )
    return Outcome(Change.OPENED, opened, alerts)


def _apply_to_closed(
    incident: Incident,
    told: Notification,
    *,
    words: SeverityWords,
    now: datetime,
    reopen_within: timedelta,
) -> Outcome:
    if not told.firing:
        return Outcome(Change.NOTHING_NEW, None)
    if incident.closed_at is not None and now - incident.closed_at > reopen_within:
        return _open(told, words=words, now=now)
    merged, changed = _merge(incident, told)
    reopened = replace(
        incident,
        group_key=told.group_key,
        external_url=told.external_url,
        state=State.FIRING,
        severity=words.worst(alert for alert in merged if alert.is_firing) or incident.severity,
        changed_at=now,
        closed_at=None,
        unknown_since=None,
        reopened=incident.reopened + 1,
        reopened_at=now,
        truncated=told.truncated,
        acknowledgement=None,
        closing=None,
        muting=None,
        alerts=merged,
        last_key=delivery_key(told),
    )
    return Outcome(Change.REOPENED, reopened, changed)


def _apply_to_open(incident: Incident, told: Notification, *, words: SeverityWords, now: datetime) -> Outcome:
    merged, changed = _merge(incident, told)
    worst = words.worst(alert for alert in merged if alert.is_firing)
    state = _state(worst, told)
    key = delivery_key(told)
    same = not changed and state is incident.state and told.truncated == incident.truncated
    if same and key == incident.last_key:
        return Outcome(Change.NOTHING_NEW, incident)
    after = replace(
        incident,
        group_key=told.group_key,
        external_url=told.external_url,
        state=state,
        severity=worst or incident.severity,
        changed_at=incident.changed_at if same else now,
        closed_at=now if state is State.RESOLVED else None,
        unknown_since=(incident.unknown_since or now) if state is State.UNKNOWN else None,
        muting=None if state is State.RESOLVED else incident.muting,
        truncated=told.truncated,
        alerts=_without_old(merged, told, now=now) if worst is not None and not same else merged,
        last_key=key,
    )
    return Outcome(_change(incident, after, same=same), after, changed)


def _without_old(alerts: tuple[Alert, ...], told: Notification, *, now: datetime) -> tuple[Alert, ...]:
    """Drop what resolved long ago: pods come and go for weeks in an incident that stays open."""
    just_told = {alert.fingerprint for alert in told.alerts}
    return tuple(
        alert
        for alert in alerts
        if alert.is_firing or alert.fingerprint in just_told or now - _end(alert) <= KEEP_RESOLVED
    )


def _state(worst: Severity | None, told: Notification) -> State:
    if worst is not None:
        return State.FIRING
    # What was cut off may still fire: a truncated delivery resolves nothing.
    return State.UNKNOWN if told.truncated else State.RESOLVED


def _change(before: Incident, after: Incident, *, same: bool) -> Change:
    if same:
        return Change.NOTHING_NEW
    if after.state is State.RESOLVED:
        return Change.RESOLVED
    if after.state is State.UNKNOWN and before.state is not State.UNKNOWN:
        return Change.UNKNOWN
    if after.severity > before.severity:
        return Change.SEVERITY_ROSE
    return Change.ALERTS_CHANGED


def _merge(incident: Incident, told: Notification) -> tuple[tuple[Alert, ...], tuple[Alert, ...]]:
    known = {alert.fingerprint: alert for alert in incident.alerts}
    changed: list[Alert] = []
    for alert in _one_each(told.alerts):
        before = known.get(alert.fingerprint)
        after = merge_alert(before, alert)
        if after != before:
            known[alert.fingerprint] = after
            changed.append(after)
    if not changed:
        return incident.alerts, ()
    return in_order(known.values()), tuple(changed)


def _one_each(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Join entries of one alert in one delivery: no Alertmanager sends such; it fires if any does."""
    joined: dict[str, Alert] = {}
    for alert in sorted(alerts, key=lambda alert: alert.is_firing):
        joined[alert.fingerprint] = merge_alert(joined.get(alert.fingerprint), alert)
    return tuple(joined.values())


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
