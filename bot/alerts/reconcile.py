"""What follows for our incidents from what Alertmanager lists: pure decisions over (ours, theirs, now).

Notifications alone leave gaps: a silenced alert vanishes without a word, a
resolve is lost while we are down, a delivery is cut off. So Alertmanager is
asked, and believed with care:

- What it lists fires. That is always believed.
- What it does not list is over only if a peer says so that has settled and has
  been up for long enough to have heard of every alert, in two polls in a row.
- Only incidents of its own are judged: an address (`external_url`) is its own
  once an alert that came with it was seen in its list. Another Alertmanager
  that posts under the same source is left alone.

A decision about alerts is a `Notification`, told to the incident in the same
way as one that arrived, so that there is one place that says what it means.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from bot.alerts.model.alert import Alert, AlertStatus, common
from bot.alerts.model.incident import Incident, IncidentNumber, Muting, State
from bot.alerts.model.notification import Notification, labels_key
from bot.alerts.peers.model import (
    ClusterState,
    PeerAlert,
    PeerGroup,
    PeerState,
    PeerView,
    Snapshot,
    Timing,
    Unreachable,
    merged,
)

POLLS_TO_RESOLVE: Final = 2
POLLS_TO_LOSE_SIGHT: Final = 3
LOSE_SIGHT_AFTER: Final = timedelta(minutes=3)
"""How long nobody may have told anything of an incident before it is unknown."""
PATIENCE_WITH_A_PEER: Final = timedelta(minutes=30)
"""While a peer cannot be asked, an alert is over only after this time: that peer alone might have it."""
LONGEST_SETTLING: Final = timedelta(hours=1)
"""A route that is grouped over days does not keep us from believing for days."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """An incident is not as we thought."""

    number: IncidentNumber
    told: Notification
    """Says it as a delivery would."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Alerts fire that were never delivered, and no open incident has their group."""

    told: Notification


@dataclass(frozen=True, slots=True)
class Muted:
    """Alertmanager keeps (more, fewer, other) alerts of an incident quiet."""

    number: IncidentNumber
    muting: Muting


@dataclass(frozen=True, slots=True)
class Unmuted:
    """Nothing keeps its alerts quiet any more."""

    number: IncidentNumber


@dataclass(frozen=True, slots=True)
class LostSight:
    """Whether it still fires cannot be known: Alertmanager does not answer."""

    number: IncidentNumber
    since: datetime


@dataclass(frozen=True, slots=True)
class SeenAgain:
    """Alertmanager answers again, and the incident still fires."""

    number: IncidentNumber


GroupName = tuple[str, frozenset[tuple[str, str]]]
"""What tells alert groups apart as far as a list shows: receiver and labels."""

Decision = Corrected | Opened | Muted | Unmuted | LostSight | SeenAgain


@dataclass(frozen=True, slots=True)
class Absence:
    """Since when an alert is not listed any more."""

    since: datetime
    last: datetime
    polls: int
    """How many snapshots in a row were without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is remembered of one source from poll to poll; to lose it costs two polls, nothing else."""

    answers_since: datetime | None = None
    """Since when every poll was answered."""
    fails_since: datetime | None = None
    """Since when no poll was answered."""
    last_failure: datetime | None = None
    failures: int = 0
    own_urls: frozenset[str] = frozenset()
    """External URLs that are known to be this source's; worth keeping over a restart."""
    absences: Mapping[tuple[IncidentNumber, str], Absence] = field(default_factory=dict)
    """By incident and fingerprint; an empty fingerprint stands for the group as a whole."""
    untold: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """Since when an alert is listed that no delivery told of, by receiver and fingerprint."""


def reconcile(
    ours: Sequence[Incident],
    theirs: Snapshot | Unreachable,
    memory: Memory,
    *,
    source: str,
    now: datetime,
    mutings: Mapping[IncidentNumber, Muting],
    receivers: Iterable[str] = (),
) -> tuple[tuple[Decision, ...], Memory]:
    """Decide what a poll means, and what to remember for the next one.

    `ours` are the open incidents of the source, and those that were closed by
    hand (which stay closed until the next delivery). `mutings` is what was
    decided of them before. `receivers` are those that deliver to us, beside
    those of `ours`. The same snapshot again decides nothing new once its
    decisions were applied.
    """
    mine = [incident for incident in ours if incident.source == source]
    if isinstance(theirs, Unreachable):
        return _without_answer(mine, theirs, memory, now)
    poll = _Poll(mine, theirs, memory, source=source, mutings=mutings, receivers=receivers)
    return tuple(poll.decisions()), poll.memory


def wants_groups(
    ours: Sequence[Incident],
    theirs: Snapshot,
    memory: Memory,
    *,
    source: str,
    receivers: Iterable[str] = (),
) -> bool:
    """Say whether `reconcile` can do more if the snapshot also says how the alerts are grouped."""
    mine = [incident for incident in ours if incident.source == source]
    poll = _Poll(mine, theirs, memory, source=source, mutings={}, receivers=receivers)
    return poll.has_truncated or poll.has_untold


def can_deny(view: PeerView, *, answers_since: datetime, now: datetime) -> bool:
    """Say whether an alert that a peer does not list is one that it would list if it fired."""
    if view.status.cluster is ClusterState.SETTLING:
        return False
    timing = view.status.timing
    settled_after = min(max(timing.resolve_timeout, 2 * timing.group_interval), LONGEST_SETTLING)
    # One that does not say since when it is up is believed after we have seen it up for that long.
    return now - (view.status.started_at or answers_since) >= settled_after


def _without_answer(
    mine: Sequence[Incident], theirs: Unreachable, memory: Memory, now: datetime
) -> tuple[tuple[Decision, ...], Memory]:
    is_new = memory.last_failure is None or theirs.at > memory.last_failure
    failures = memory.failures + is_new
    fails_since = memory.fails_since or theirs.at
    after = replace(
        memory,
        answers_since=None,
        fails_since=fails_since,
        last_failure=theirs.at,
        failures=failures,
        absences={},
        untold={},
    )
    if failures < POLLS_TO_LOSE_SIGHT:
        return (), after
    return tuple(
        LostSight(incident.number, fails_since)
        for incident in mine
        if incident.is_open
        and incident.state is State.FIRING
        and incident.external_url in memory.own_urls
        and now - max(incident.changed_at, fails_since) >= LOSE_SIGHT_AFTER
    ), after


class _Poll:
    """One answered poll; built for one decision and then thrown away."""

    def __init__(
        self,
        mine: Sequence[Incident],
        theirs: Snapshot,
        memory: Memory,
        *,
        source: str,
        mutings: Mapping[IncidentNumber, Muting],
        receivers: Iterable[str],
    ) -> None:
        self._theirs = theirs
        self._source = source
        self._before = memory
        self._mutings = mutings
        self._listed = merged(theirs.views)
        self._groups = _joined(theirs.groups or ())
        self._answers_since = memory.answers_since or theirs.taken_at
        self._own_urls = memory.own_urls | frozenset(
            incident.external_url
            for incident in mine
            if incident.external_url and any(alert.fingerprint in self._listed for alert in incident.firing)
        )
        self._all_open = [incident for incident in mine if incident.is_open]
        self._open = [incident for incident in self._all_open if incident.external_url in self._own_urls]
        self._closed_by_hand = [
            incident for incident in mine if not incident.is_open and incident.closing is not None
        ]
        self._receivers = frozenset(receivers) | {
            incident.receiver for incident in mine if incident.external_url in self._own_urls
        }
        self._deniers = [
            view
            for view in theirs.views
            if can_deny(view, answers_since=self._answers_since, now=theirs.taken_at)
        ]
        self._all_deny = theirs.missing == 0 and len(self._deniers) == len(theirs.views)
        self._absences = dict(self._count_absences())
        self._untold = dict(self._note_untold())

    @property
    def memory(self) -> Memory:
        return Memory(
            answers_since=self._answers_since,
            own_urls=self._own_urls,
            absences=self._absences,
            untold=self._untold,
        )

    @property
    def has_truncated(self) -> bool:
        return any(incident.truncated for incident in self._open)

    @property
    def has_untold(self) -> bool:
        return any(self._theirs.taken_at - since >= self._grace for since in self._untold.values())

    def decisions(self) -> Iterator[Decision]:
        found = dict(self._found())
        for incident in self._open:
            over = [alert for alert in incident.firing if self._is_over(incident, alert.fingerprint)]
            new = found.pop(incident.number, ())
            truncated = self._truncated(incident, new)
            if over or new or truncated != incident.truncated:
                alerts = (*(self._resolved(incident, alert) for alert in over), *map(_firing, new))
                yield Corrected(incident.number, self._told_of(incident, alerts, truncated))
            if incident.state is State.UNKNOWN and self._still_fires(incident):
                yield SeenAgain(incident.number)
            fires = (_fingerprints(incident.firing) - _fingerprints(over)) | _fingerprints(new)
            if fires or truncated:
                yield from self._muting(incident, fires)
        yield from self._opened()

    def _still_fires(self, incident: Incident) -> bool:
        return any(alert.fingerprint in self._listed for alert in incident.firing)

    def _count_absences(self) -> Iterator[tuple[tuple[IncidentNumber, str], Absence]]:
        if not self._deniers:
            return
        for incident in self._open:
            if incident.changed_at >= self._theirs.taken_at:
                # Something was told of it after the list was made.
                continue
            for alert in incident.firing:
                if alert.fingerprint not in self._listed:
                    yield self._counted(incident.number, alert.fingerprint)
            if incident.truncated and self._theirs.groups is not None and not self._group_of(incident):
                yield self._counted(incident.number, "")

    def _counted(
        self, number: IncidentNumber, fingerprint: str
    ) -> tuple[tuple[IncidentNumber, str], Absence]:
        taken_at = self._theirs.taken_at
        known = self._before.absences.get((number, fingerprint))
        if known is None:
            return (number, fingerprint), Absence(taken_at, taken_at, 1)
        polls = known.polls + (taken_at > known.last)
        return (number, fingerprint), Absence(known.since, max(taken_at, known.last), polls)

    def _is_over(self, incident: Incident, fingerprint: str) -> bool:
        absence = self._absences.get((incident.number, fingerprint))
        if absence is None or absence.polls < POLLS_TO_RESOLVE:
            return False
        return self._all_deny or absence.last - absence.since >= PATIENCE_WITH_A_PEER

    def _resolved(self, incident: Incident, alert: Alert) -> Alert:
        absent_since = self._absences[incident.number, alert.fingerprint].since
        return replace(alert, status=AlertStatus.RESOLVED, ends_at=max(absent_since, alert.starts_at))

    def _truncated(self, incident: Incident, new: Sequence[PeerAlert]) -> int:
        """Say how many alerts of an incident are still not known to us."""
        if not incident.truncated or self._theirs.groups is None:
            return incident.truncated
        if not self._group_of(incident):
            return 0 if self._is_over(incident, "") else incident.truncated
        known = _fingerprints(incident.firing) | _fingerprints(new)
        return (
            0 if all(alert.fingerprint in known for alert in self._group_of(incident)) else incident.truncated
        )

    def _group_of(self, incident: Incident) -> tuple[PeerAlert, ...]:
        """Return the alerts of an incident's group, whatever mutes them."""
        group = self._groups.get(_group(incident.receiver, incident.group_labels))
        return group.alerts if group is not None else ()

    @property
    def _grace(self) -> timedelta:
        """How long a delivery may take that is on its way."""
        return max(
            view.status.timing.group_wait + view.status.timing.group_interval for view in self._theirs.views
        )

    def _note_untold(self) -> Iterator[tuple[tuple[str, str], datetime]]:
        # What somebody closed by hand stays closed until the next delivery says otherwise.
        told = {
            (incident.receiver, alert.fingerprint)
            for incident in (*self._all_open, *self._closed_by_hand)
            for alert in incident.firing
        }
        timings = [view.status.timing for view in self._theirs.views]
        for alert in self._listed.values():
            if not _is_sent(alert, timings):
                continue
            for receiver in self._receivers.intersection(alert.receivers):
                key = (receiver, alert.fingerprint)
                if key not in told:
                    yield key, self._before.untold.get(key, self._theirs.taken_at)

    def _is_untold(self, receiver: str, alert: PeerAlert) -> bool:
        since = self._untold.get((receiver, alert.fingerprint))
        return since is not None and self._theirs.taken_at - since >= self._grace

    def _found(self) -> Iterator[tuple[IncidentNumber, tuple[PeerAlert, ...]]]:
        """Yield the alerts that fire in the groups of our open incidents and that we were not told of."""
        # Incidents of one group differ only in their route, which no list shows.
        by_group: dict[GroupName, list[Incident]] = {}
        for incident in self._open:
            by_group.setdefault(_group(incident.receiver, incident.group_labels), []).append(incident)
        for alike in by_group.values():
            firing = frozenset(alert.fingerprint for incident in alike for alert in incident.firing)
            latest = max(alike, key=lambda incident: incident.number)
            missing = tuple(
                alert
                for alert in self._group_of(latest)
                if alert.fingerprint not in firing
                # Of a cut-off delivery the muted ones are missing as well.
                and (latest.truncated > 0 or self._is_untold(latest.receiver, alert))
            )
            if missing:
                yield latest.number, missing

    def _opened(self) -> Iterator[Opened]:
        taken = {_group(incident.receiver, incident.group_labels) for incident in self._all_open}
        for name, group in self._groups.items():
            if name in taken:
                continue
            new = [alert for alert in group.alerts if self._is_untold(group.receiver, alert)]
            if new:
                yield Opened(self._told_of_group(group, new))

    def _told_of(self, incident: Incident, alerts: tuple[Alert, ...], truncated: int) -> Notification:
        return Notification(
            source=incident.source,
            receiver=incident.receiver,
            group_key=incident.group_key,
            group_labels=incident.group_labels,
            common_labels=incident.common_labels,
            common_annotations=incident.common_annotations,
            external_url=incident.external_url,
            truncated=truncated,
            reason=None,
            route_labels={},
            alerts=alerts,
        )

    def _told_of_group(self, group: PeerGroup, new: Sequence[PeerAlert]) -> Notification:
        alerts = tuple(map(_firing, new))
        return Notification(
            source=self._source,
            receiver=group.receiver,
            # What the key will be nobody can know; the delivery that brings it is found by the labels.
            group_key=f"labels:{labels_key(group.labels)}",
            group_labels=group.labels,
            common_labels=common(alert.labels for alert in alerts),
            common_annotations=common(alert.annotations for alert in alerts),
            external_url=min(self._own_urls, default=""),
            truncated=0,
            reason=None,
            route_labels={},
            alerts=alerts,
        )

    def _muting(self, incident: Incident, fires: frozenset[str]) -> Iterator[Decision]:
        known = self._mutings.get(incident.number)
        listed = [self._listed[fingerprint] for fingerprint in fires if fingerprint in self._listed]
        muting = _muting_of(listed)
        if muting is not None and muting != known:
            yield Muted(incident.number, muting)
        # Of what is not listed it is not known yet whether it is over or still quiet.
        if muting is None and known is not None and (listed or not fires):
            yield Unmuted(incident.number)


def _muting_of(listed: Sequence[PeerAlert]) -> Muting | None:
    quiet = [alert for alert in listed if alert.is_muted]
    if not quiet:
        return None
    return Muting(
        silences=_all(alert.silenced_by for alert in quiet),
        inhibitors=_all(alert.inhibited_by for alert in quiet),
        intervals=_all(alert.muted_by or () for alert in quiet),
        alerts=len(quiet),
        firing=len(listed),
    )


def _is_sent(alert: PeerAlert, timings: Iterable[Timing]) -> bool:
    """Say whether Alertmanager sends an alert to its receivers, as far as it tells."""
    if alert.is_muted or alert.state is not PeerState.ACTIVE:
        return False
    # Before 0.28 an alert that a time interval keeps quiet looks as if it were sent.
    return alert.muted_by is not None or not any(timing.mutes_by_time for timing in timings)


def _firing(alert: PeerAlert) -> Alert:
    return Alert(
        fingerprint=alert.fingerprint,
        status=AlertStatus.FIRING,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=None,
        generator_url=alert.generator_url,
    )


def _group(receiver: str, labels: Mapping[str, str]) -> GroupName:
    return receiver, frozenset(labels.items())


def _joined(groups: Iterable[PeerGroup]) -> Mapping[GroupName, PeerGroup]:
    """Join the groups that peers, or routes alike, list several times."""
    joined: dict[GroupName, dict[str, PeerAlert]] = {}
    first: dict[GroupName, PeerGroup] = {}
    for group in groups:
        name = _group(group.receiver, group.labels)
        first.setdefault(name, group)
        joined.setdefault(name, {}).update((alert.fingerprint, alert) for alert in group.alerts)
    return {name: replace(group, alerts=tuple(joined[name].values())) for name, group in first.items()}


def _fingerprints(alerts: Iterable[Alert | PeerAlert]) -> frozenset[str]:
    return frozenset(alert.fingerprint for alert in alerts)


def _all(names: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for some in names for name in some}))
