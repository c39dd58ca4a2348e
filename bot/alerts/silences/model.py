"""What a silence would do, whether it may be made, and what happens to it over its life: pure decisions.

Whether a silence matches an alert is never computed here: regular expressions
that people type are evaluated by Alertmanager, whose RE2 takes linear time.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Final

from bot.alerts.model.alert import common
from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.model.severity import Severity, SeverityWords
from bot.alerts.peers.authors import created_by, person_in, signature
from bot.alerts.peers.model import NewSilence, PeerAlert, Silence, SilenceState, is_edit
from bot.core.actor import Actor
from bot.core.errors import InvalidError
from bot.core.matchers import Matcher, MatchOp, parse_matchers

LONGEST_MATCHERS: Final = 4_000
"""What a dialog's field holds."""
LONGEST_COMMENT: Final = 1_000
_NO_COMMENT: Final = "Silenced from Discord"
_CHANGED_BY: Final = re.compile(r"(?: · |^)changed by [^()]{1,80} \(Discord [0-9]{1,20}\)$")
_ANY_VALUES: Final = ("0", "a", "Z-", "é ", "/:1")
"""Short, so that no expression takes long over them."""


class Width(StrEnum):
    """How much of the world a prefilled draft takes in."""

    NARROW = "narrow"
    """What all its alerts share."""
    GROUP = "group"
    """The group, as Alertmanager forms it."""
    ALERT = "alert"
    """Every alert of this name, wherever."""
    PLACE = "place"
    """Everything in this namespace."""


def prefill(incident: Incident) -> tuple[Matcher, ...]:
    """Return matchers for the group of an incident; they match every one of its alerts.

    Empty only where its alerts have nothing in common, not even that they have a name.
    """
    group = _equal(incident, incident.group_labels)
    return group or _equal(incident, _shared(incident)) or _named(incident)


def prefill_common(incidents: Iterable[Incident]) -> tuple[Matcher, ...]:
    """Return matchers for the labels that all alerts of several incidents share; empty if there are none."""
    shared = common(alert.labels for incident in incidents for alert in incident.alerts)
    return tuple(Matcher(name, MatchOp.EQUAL, value) for name, value in _name_first(shared) if name and value)


def widths(incident: Incident) -> Mapping[Width, tuple[Matcher, ...]]:
    """Return what can be chosen instead, narrow ones first; equal ones are offered once."""
    shared = _shared(incident)
    offered = {
        Width.NARROW: _equal(incident, {**incident.group_labels, **shared}),
        Width.GROUP: prefill(incident),
        Width.ALERT: _equal(incident, _only(shared, "alertname")),
        Width.PLACE: _equal(incident, _only(shared, "namespace")),
    }
    seen: set[tuple[Matcher, ...]] = {()}
    chosen: dict[Width, tuple[Matcher, ...]] = {}
    # The group keeps its name where another is the same.
    for width in (Width.GROUP, Width.NARROW, Width.ALERT, Width.PLACE):
        if offered[width] not in seen:
            chosen[width] = offered[width]
            seen.add(offered[width])
    return {width: chosen[width] for width in Width if width in chosen}


def write_matchers(matchers: Iterable[Matcher]) -> str:
    """Return matchers for a dialog's field, one a line; `read_matchers` gives them back."""
    return "\n".join(map(str, matchers))


def read_matchers(text: str) -> tuple[Matcher, ...]:
    """Return what somebody left in a dialog's field: matchers, one a line or separated by commas.

    Raises `InvalidError` saying what was expected.
    """
    lines = (line.strip().rstrip(",") for line in text.strip().splitlines())
    found = tuple(matcher for line in lines if line for matcher in parse_matchers(line))
    if not found:
        raise InvalidError('expected at least one matcher such as alertname="DiskFull"')
    if all(matcher.matches({}) for matcher in found):
        raise InvalidError("expected at least one matcher that does not match an empty label")
    return tuple(dict.fromkeys(found))


def _shared(incident: Incident) -> Mapping[str, str]:
    """Return what all its alerts share, the resolved ones too: they may come back."""
    alerts = incident.alerts
    if not alerts:
        return {}
    first, *others = alerts
    return {
        name: value
        for name, value in first.labels.items()
        if all(other.labels.get(name) == value for other in others)
    }


def _only(labels: Mapping[str, str], name: str) -> Mapping[str, str]:
    return {name: labels[name]} if name in labels else {}


def _equal(incident: Incident, labels: Mapping[str, str]) -> tuple[Matcher, ...]:
    """Return a matcher for each label that every alert has; an empty value would match its absence."""
    return tuple(
        Matcher(name, MatchOp.EQUAL, value)
        for name, value in _name_first(labels)
        if name and value and all(alert.labels.get(name) == value for alert in incident.alerts)
    )


def _name_first(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(labels.items(), key=lambda item: (item[0] != "alertname", item[0]))


def _named(incident: Incident) -> tuple[Matcher, ...]:
    names = sorted({alert.labels.get("alertname", "") for alert in incident.alerts})
    if not names or "" in names:
        return ()
    return (Matcher("alertname", MatchOp.REGEX, "|".join(map(_literally, names))),)


def _literally(text: str) -> str:
    r"""Quote for RE2 and Python alike; `re.escape` writes `\ ` and `\-`, which RE2 refuses."""
    return re.sub(r"[\\.+*?()|\[\]{}^$]", lambda found: "\\" + found[0], text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a silence is broad."""

    critical: bool = False
    """Whether one critical alert is enough."""
    alerts: int | None = None
    """More alerts than this."""
    longer_than: timedelta | None = None
    matches_all: bool = False
    """Whether matchers that no label needs to meet are enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilencePolicy:
    """What has to be confirmed, what is refused, and when an end is told."""

    confirm: Limits = Limits(critical=True, alerts=20, longer_than=timedelta(hours=8), matches_all=True)
    refuse: Limits = Limits(longer_than=timedelta(days=30), matches_all=True)
    tell_before_end: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A silence that somebody asks for."""

    matchers: tuple[Matcher, ...]
    ends_at: datetime
    comment: str = ""
    incident: IncidentNumber | None = None
    """The one it was asked for on."""
    replaces: tuple[tuple[str, str], ...] = ()
    """Of an edit: the source and id of each silence that it takes the place of; an empty id: of none."""
    sources: tuple[str, ...] = ()
    """Of what is about no single incident: the Alertmanagers that it is for."""
    left_out: tuple[IncidentNumber, ...] = ()
    """Those that were meant as well, and that no Alertmanager of ours could silence."""
    about: str = ""
    """Of what is about no single incident: what it is about, in words and with a link."""
    author: str = ""
    """Of an edit: who made what it takes the place of, as that says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What somebody left in the dialog, as it was typed."""

    matchers: str
    length: str | None
    """None: the end that the draft has."""
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a draft would keep quiet now."""

    alerts: int
    critical: int
    already_muted: int
    """Of the alerts, those that something keeps quiet already."""
    incident: IncidentNumber | None = None
    """The one it was asked for on, if it is hidden."""
    others: tuple[IncidentNumber, ...] = ()
    """Other open incidents of which it hides an alert."""
    names: tuple[str, ...] = ()
    """The different names of the alerts, the most frequent first."""
    asked: tuple[str, ...] = ()
    """The Alertmanagers that said so."""
    silent: tuple[str, ...] = ()
    """The Alertmanagers that could not be asked."""


class Breadth(Enum):
    """Why a silence is broad."""

    CRITICAL = "critical alerts"
    MANY = "many alerts"
    LONG = "long"
    MATCHES_ALL = "matches everything"


class Verdict(Enum):
    """Whether a silence may be made."""

    FINE = "fine"
    CONFIRM = "confirm"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a silence may be made, and why it may not without more ado."""

    verdict: Verdict
    reasons: tuple[Breadth, ...] = ()


def preview_of(
    alerts: Mapping[str, Sequence[PeerAlert]],
    incidents: Iterable[Incident],
    *,
    words: SeverityWords,
    incident: IncidentNumber | None = None,
    silent: Sequence[str] = (),
) -> Preview:
    """Say what a draft hides; `alerts` are those that each source says it matches."""
    told = [alert for found in alerts.values() for alert in found]
    matched = {(source, alert.fingerprint) for source, found in alerts.items() for alert in found}
    hidden = [
        each.number
        for each in incidents
        if each.is_open and any((each.source, alert.fingerprint) in matched for alert in each.firing)
    ]
    names: dict[str, int] = {}
    for alert in told:
        name = alert.labels.get("alertname", "")
        names[name] = names.get(name, 0) + 1
    return Preview(
        alerts=len(told),
        critical=sum(words.of(alert.labels) is Severity.CRITICAL for alert in told),
        already_muted=sum(alert.is_muted for alert in told),
        incident=incident if incident in hidden else None,
        others=tuple(number for number in hidden if number != incident),
        names=tuple(sorted(filter(None, names), key=lambda name: (-names[name], name))),
        asked=tuple(alerts),
        silent=tuple(silent),
    )


def judge(draft: Draft, preview: Preview, policy: SilencePolicy, *, now: datetime) -> Judgement:
    """Say whether a draft may become a silence, and why not without more ado."""
    refused = tuple(broadness(draft, preview, policy.refuse, now=now))
    if refused:
        return Judgement(Verdict.REFUSE, refused)
    broad = tuple(broadness(draft, preview, policy.confirm, now=now))
    return Judgement(Verdict.CONFIRM if broad else Verdict.FINE, broad)


def broadness(draft: Draft, preview: Preview, limits: Limits, *, now: datetime) -> Iterator[Breadth]:
    """Yield in what way a draft is broader than the limits."""
    if limits.critical and preview.critical:
        yield Breadth.CRITICAL
    if limits.alerts is not None and preview.alerts > limits.alerts:
        yield Breadth.MANY
    if limits.longer_than is not None and draft.ends_at - now > limits.longer_than:
        yield Breadth.LONG
    if limits.matches_all and matches_all(draft.matchers):
        yield Breadth.MATCHES_ALL


def matches_all(matchers: Iterable[Matcher]) -> bool:
    """Say whether no matcher asks for anything in particular, as `alertname=~".+"` or `team!="x"`."""
    return all(all(matcher.matches({matcher.name: value}) for value in _ANY_VALUES) for matcher in matchers)


def namespace_of(matchers: Iterable[Matcher]) -> str | None:
    """Return the one namespace that matchers ask for, or None where they name none."""
    for matcher in matchers:
        if matcher.name == "namespace" and matcher.op is MatchOp.EQUAL and matcher.value:
            return matcher.value
    return None


def comment_text(draft: Draft, *, title: str = "", url: str = "") -> str:
    """Return what a silence says of why it is there; the link is kept whole."""
    about = f"#{draft.incident} {title}".strip() if draft.incident is not None else draft.about
    ending = " ".join(part for part in (about[:200], url) if part)
    left = LONGEST_COMMENT - len(ending) - len(" · ")
    said = draft.comment.strip()
    if len(said) > left:
        said = said[: left - 1].rstrip() + "…"
    return " · ".join(part for part in (said, ending) if part) or _NO_COMMENT


def changed_comment(said: str, by: Actor, *, author: str) -> str:
    """Return the comment of a silence that somebody changed: it names them unless they made it.

    Only the last change is named; the journal has all.
    """
    said = _CHANGED_BY.sub("", said.strip())
    if person_in(author) == by.id:
        return said
    ending = f"changed by {signature(by)}"
    left = LONGEST_COMMENT - len(ending) - len(" · ")
    if len(said) > left:
        said = said[: left - 1].rstrip() + "…"
    return " · ".join(part for part in (said, ending) if part)


def new_silence(draft: Draft, by: Actor, *, now: datetime, title: str = "", url: str = "") -> NewSilence:
    """Return what Alertmanager is asked to create.

    A silence stays that of who made it, as in Alertmanager's own dialog: whoever
    changes it is named in its comment.
    """
    author = draft.author or created_by(by)
    if draft.replaces:
        comment = changed_comment(draft.comment, by, author=author) or _NO_COMMENT
    else:
        comment = comment_text(draft, title=title, url=url)
    return NewSilence(
        matchers=draft.matchers,
        starts_at=now,
        ends_at=draft.ends_at,
        created_by=author,
        comment=comment,
    )


class Moment(Enum):
    """What is told of in the life of a silence."""

    BEGAN = "began"
    CHANGED = "changed"
    ENDS_SOON = "ends soon"
    ENDED = "ended"
    ENDED_EARLY = "was ended early"
    VANISHED = "vanished"
    """Alertmanager lost it: it was to last longer and is not listed any more."""


@dataclass(frozen=True, slots=True)
class Known:
    """What we know of a silence, and what was told of it."""

    silence: Silence
    has_begun: bool = False
    end_is_told: bool = False
    """Whether it was told that the present end is near."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a silence."""

    moment: Moment
    silence: Silence
    before: Silence | None = None
    """What it was, where it changed."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What happened to the silences of a source, and what is known of them now."""

    events: tuple[Event, ...] = ()
    known: Mapping[str, Known] = field(default_factory=dict)
    """By id; those that are over are forgotten."""


def follow(
    known: Mapping[str, Known] | None, theirs: Iterable[Silence], *, now: datetime, tell_before_end: timedelta
) -> Followed:
    """Say what happened to silences since the last look; each thing is said once.

    `known` is None at the very first look: what is there then is no news.
    """
    listed = {silence.id: silence for silence in theirs}
    if known is None:
        adopted = {
            silence.id: Known(silence, has_begun=_is_active(silence, now))
            for silence in listed.values()
            if not _is_over(silence, now)
        }
        return Followed((), adopted)
    events: list[Event] = []
    kept: dict[str, Known] = {}
    for silence_id in dict.fromkeys((*known, *listed)):
        before, silence = known.get(silence_id), listed.get(silence_id)
        after, happened = _next(before, silence, now=now, tell_before_end=tell_before_end)
        events += happened
        if after is not None:
            kept[silence_id] = after
    return Followed(tuple(_paired(events)), kept)


def _next(
    before: Known | None, silence: Silence | None, *, now: datetime, tell_before_end: timedelta
) -> tuple[Known | None, list[Event]]:
    if silence is None:
        return None, [] if before is None else [_gone(before, now)]
    if _is_over(silence, now):
        return None, [] if before is None else [_ended(before, silence)]
    events: list[Event] = []
    after = replace(before, silence=silence) if before is not None else Known(silence)
    if _is_active(silence, now) and not after.has_begun:
        after = replace(after, has_begun=True)
        events.append(Event(Moment.BEGAN, silence))
    if before is not None and _differs(before.silence, silence):
        after = replace(after, end_is_told=after.end_is_told and silence.ends_at == before.silence.ends_at)
        events.append(Event(Moment.CHANGED, silence, before.silence))
    is_near = after.has_begun and silence.ends_at - now <= tell_before_end
    # One that is hardly longer than the warning needs none.
    if is_near and not after.end_is_told and silence.ends_at - silence.starts_at >= 2 * tell_before_end:
        after = replace(after, end_is_told=True)
        events.append(Event(Moment.ENDS_SOON, silence))
    return after, events


def _gone(before: Known, now: datetime) -> Event:
    is_over = before.silence.ends_at <= now
    return Event(Moment.ENDED if is_over else Moment.VANISHED, before.silence)


def _ended(before: Known, silence: Silence) -> Event:
    was_early = silence.ends_at < before.silence.ends_at
    return Event(Moment.ENDED_EARLY if was_early else Moment.ENDED, silence, before.silence)


def _differs(before: Silence, after: Silence) -> bool:
    """Tell a change by somebody; a silence that begins has another state, and that is none."""
    return (before.conditions, before.ends_at, before.comment) != (
        after.conditions,
        after.ends_at,
        after.comment,
    )


def _is_active(silence: Silence, now: datetime) -> bool:
    return silence.state is SilenceState.ACTIVE or silence.starts_at <= now < silence.ends_at


def _is_over(silence: Silence, now: datetime) -> bool:
    return silence.state is SilenceState.EXPIRED or silence.ends_at <= now


def _paired(events: Sequence[Event]) -> Iterator[Event]:
    """Join an end and a beginning that are one edit: changed matchers make a new silence, with a new id."""
    ended = [event for event in events if event.moment is Moment.ENDED_EARLY]
    began = [event for event in events if event.moment is Moment.BEGAN]
    pairs: dict[str, Event] = {}
    taken: set[str] = set()
    for end in ended:
        for begin in began:
            if begin.silence.id not in taken and is_edit(end.silence, begin.silence):
                pairs[end.silence.id] = Event(Moment.CHANGED, begin.silence, end.before)
                taken.add(begin.silence.id)
                break
    for event in events:
        if event.moment is Moment.ENDED_EARLY and event.silence.id in pairs:
            yield pairs[event.silence.id]
        elif not (event.moment is Moment.BEGAN and event.silence.id in taken):
            yield event
