"""How deliveries change an incident."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from bot.alerts.model.alert import Alert, in_order
from bot.alerts.model.incident import Incident, IncidentNumber, State
from bot.alerts.model.merging import merge_alerts, one_each, without_old
from bot.alerts.model.notification import Notification, delivery_key
from bot.alerts.model.severity import Severity, SeverityWords


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
    alerts = in_order(one_each(told.alerts))
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
    merged, changed = merge_alerts(incident.alerts, told.alerts)
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
    merged, changed = merge_alerts(incident.alerts, told.alerts)
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
        alerts=without_old(merged, told.alerts, now=now) if worst is not None and not same else merged,
        last_key=key,
    )
    return Outcome(_change(incident, after, same=same), after, changed)


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
