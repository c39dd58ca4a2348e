"""Sync windows: which hold for an Application, whether a sync may run, when that changes.

Evaluated by us before anything is written, because Argo CD's controller does not
refuse an operation that a window forbids: it keeps it, and begins by itself when
the window opens, be it at night. Argo CD's own rules are kept to the letter, odd
ones, too; where it cannot read a window it blocks, and so do we.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from bot.argocd.cron import Firings, parse_go_duration, parse_schedule
from bot.argocd.model import Application
from bot.argocd.projects import AppProject, GlobalProject, Requirement, SyncWindow, WindowKind
from bot.core.errors import InvalidError

LOOKS_AHEAD: Final = timedelta(days=366)
"""What opens later than that is said to be unknown."""

_MOST_MOMENTS: Final = 200
_MOST_BRACES: Final = 64
_AFTER: Final = timedelta(milliseconds=1)
"""At the very moment of its firing a window is not open yet."""
_DAY: Final = timedelta(days=1)
_HALF_HOUR: Final = timedelta(minutes=30)
_LARGEST_SHIFT: Final = timedelta(hours=3)
"""More than clocks are ever put forward or back at once, whole days aside."""


class WindowReason(StrEnum):
    """Why a sync may run, or not."""

    NO_WINDOW = "no-window"
    ALLOWED = "allowed"
    NOT_DENIED = "not-denied"
    MANUAL_THOUGH_DENIED = "manual-though-denied"
    MANUAL_OUTSIDE = "manual-outside"
    OVERRUN = "overrun"
    DENIED = "denied"
    OUTSIDE = "outside"
    """There are windows that allow it, but none is open."""
    UNREADABLE = "unreadable"
    """A schedule or duration cannot be read: Argo CD syncs nothing then."""

    @property
    def permits(self) -> bool:
        """Tell whether it may run."""
        return self not in {WindowReason.DENIED, WindowReason.OUTSIDE, WindowReason.UNREADABLE}


class WindowDecision(NamedTuple):
    """Whether a sync may run, and the windows that this is due to."""

    reason: WindowReason
    windows: tuple[SyncWindow, ...] = ()

    @property
    def permits(self) -> bool:
        """Tell whether it may run."""
        return self.reason.permits


# Which windows hold.


def merged_windows(
    project: AppProject, projects: Mapping[str, AppProject], global_projects: Iterable[GlobalProject]
) -> tuple[SyncWindow, ...]:
    """Return the windows of a project and of the global projects that lend it theirs.

    `projects` are all projects by name. Argo CD stops at the first entry that it
    cannot read, or whose project does not exist.
    """
    windows = list(project.windows)
    for each in global_projects:
        if each.project == project.key.name:
            continue
        selected = _selects(each.requirements, project.labels)
        if selected is None:
            break
        if selected:
            lender = projects.get(each.project)
            if lender is None:
                break
            windows += lender.windows
    return tuple(windows)


def _selects(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool | None:
    """Tell whether labels fulfil a selector; None if it cannot be read."""
    results = [_fulfils(each, labels) for each in requirements]
    return None if None in results else all(results)


def _fulfils(requirement: Requirement, labels: Mapping[str, str]) -> bool | None:
    label, operator, values = requirement
    match operator, bool(values):
        case "In", True:
            return labels.get(label) in values
        case "NotIn", True:
            return labels.get(label) not in values
        case "Exists", False:
            return label in labels
        case "DoesNotExist", False:
            return label not in labels
    return None


def matching_windows(windows: Iterable[SyncWindow], application: Application) -> tuple[SyncWindow, ...]:
    """Return those that hold for an Application."""
    return tuple(window for window in windows if _matches(window, application))


def _matches(window: SyncWindow, application: Application) -> bool:
    destination = application.destination
    selectors = (
        (window.applications, (application.key.name,)),
        (window.clusters, tuple(filter(None, (destination.name, destination.server)))),
        (window.namespaces, (destination.namespace,)),
    )
    results = [
        any(matches_glob(glob, text) for glob in globs for text in texts)
        for globs, texts in selectors
        if globs
    ]
    if window.and_operator:
        return bool(results) and all(results)
    return any(results)


def matches_glob(glob: str, text: str) -> bool:
    """Tell whether a text fits a glob as Argo CD reads it: `*` crosses everything, `{a,b}` is a choice."""
    return any(fnmatchcase(text, each) for each in _alternatives(glob))


@lru_cache(maxsize=1024)
def _alternatives(glob: str) -> tuple[str, ...]:
    """Return globs without braces that mean the same together."""
    pending, done = [glob], list[str]()
    while pending and len(pending) + len(done) <= _MOST_BRACES:
        each = pending.pop()
        end = each.find("}")
        start = each.rfind("{", 0, end) if end >= 0 else -1
        if start < 0:
            done.append(each)
            continue
        pending += [each[:start] + choice + each[end + 1 :] for choice in each[start + 1 : end].split(",")]
    return tuple(done)


# Whether one is open.


@dataclass(frozen=True, slots=True)
class _Opening:
    """A window whose schedule and duration could be read."""

    schedule: str
    duration: timedelta
    zone: tzinfo

    def offset(self, at: datetime) -> timedelta:
        return at.astimezone(self.zone).utcoffset() or timedelta(0)

    def is_open(self, at: datetime, *, now: datetime) -> bool:
        """Tell whether it is open at a time; Argo CD takes the zone's offset of this moment for all times."""
        local = _naive(at) + self.offset(now)
        first = Firings(self.schedule, local - self.duration).next()
        # A schedule that never fires gives Go's zero time, which is before everything.
        return first is None or first < local


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


@lru_cache(maxsize=512)
def _read(schedule: str, duration: str, time_zone: str) -> _Opening:
    return _Opening(parse_schedule(schedule), parse_go_duration(duration), _zone(time_zone))


def _zone(name: str) -> tzinfo:
    """Return the time zone; UTC for one that does not exist, as Argo CD does."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _opening(window: SyncWindow) -> _Opening:
    return _read(window.schedule, window.duration, window.time_zone)


def problem_of(window: SyncWindow) -> str:
    """Return why nobody can say when a window is open, for a person; empty if it can be read."""
    try:
        _opening(window)
    except InvalidError as error:
        return str(error)
    return ""


def is_open(window: SyncWindow, at: datetime) -> bool:
    """Tell whether a window is open. Raises `InvalidError` if it cannot be read."""
    return _opening(window).is_open(at, now=at)


# Whether a sync may run.


def decide_window(
    windows: Sequence[SyncWindow], *, manual: bool, now: datetime, started_at: datetime | None = None
) -> WindowDecision:
    """Say whether a sync may run now, by the windows that hold for its Application.

    `started_at` is when it began, for one that runs already: windows may let it
    end that would not let it begin.
    """
    decision = _decide(windows, manual=manual, at=now, now=now)
    if started_at is None or decision.reason not in {WindowReason.DENIED, WindowReason.OUTSIDE}:
        return decision
    overrun = all(window.overrun for window in decision.windows)
    if overrun and _decide(windows, manual=manual, at=started_at, now=now).permits:
        return WindowDecision(WindowReason.OVERRUN, decision.windows)
    return decision


def _decide(windows: Sequence[SyncWindow], *, manual: bool, at: datetime, now: datetime) -> WindowDecision:
    if not windows:
        return WindowDecision(WindowReason.NO_WINDOW)
    unreadable = tuple(window for window in windows if problem_of(window))
    if unreadable:
        return WindowDecision(WindowReason.UNREADABLE, unreadable)
    states = [(window, _opening(window).is_open(at, now=now)) for window in windows]
    denies = tuple(window for window, is_on in states if is_on and window.kind is WindowKind.DENY)
    if denies:
        through = manual and all(window.manual_sync for window in denies)
        return WindowDecision(WindowReason.MANUAL_THOUGH_DENIED if through else WindowReason.DENIED, denies)
    allows = tuple(window for window, is_on in states if is_on and window.kind is WindowKind.ALLOW)
    if allows:
        return WindowDecision(WindowReason.ALLOWED, allows)
    closed = tuple(window for window in windows if window.kind is WindowKind.ALLOW)
    if closed:
        through = manual and all(window.manual_sync for window in closed)
        return WindowDecision(WindowReason.MANUAL_OUTSIDE if through else WindowReason.OUTSIDE, closed)
    return WindowDecision(WindowReason.NOT_DENIED)


# When that changes.


def opens_at(windows: Sequence[SyncWindow], *, manual: bool, now: datetime) -> datetime | None:
    """Return when a sync may run next, from now on.

    None if that is not within a year, if windows change too often to tell, or if
    one cannot be read.
    """
    if _decide(windows, manual=manual, at=now, now=now).permits:
        return now
    if any(problem_of(window) for window in windows):
        return None
    return _first(windows, now, lambda at: _decide(windows, manual=manual, at=at, now=at).permits)


def changes_at(window: SyncWindow, *, now: datetime) -> datetime | None:
    """Return when a window opens or closes next; None if that is not known."""
    if problem_of(window):
        return None
    opening = _opening(window)
    is_on = opening.is_open(now, now=now)
    return _first((window,), now, lambda at: opening.is_open(at, now=at) is not is_on)


def _first(
    windows: Sequence[SyncWindow], now: datetime, is_it: Callable[[datetime], bool]
) -> datetime | None:
    """Return the first moment from now on at which something opens or closes and that is the one."""
    openings = [_opening(window) for window in windows]
    streams = [_boundaries(opening, now) for opening in openings]
    streams += [_clock_changes(zone, now) for zone in {opening.zone for opening in openings}]
    best: datetime | None = None
    last: datetime | None = None
    for count, (about, at) in enumerate(heapq.merge(*streams)):
        # What is found may still come a little later than something that is not looked at yet.
        if count > _MOST_MOMENTS or about > now + LOOKS_AHEAD or (best and about > best + _LARGEST_SHIFT):
            break
        if at >= now and at != last and (best is None or at < best) and is_it(at + _AFTER):
            best = at
        last = at
    return best


def _boundaries(opening: _Opening, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Go through the moments at which a window opens or closes, each with about its place in time.

    Clocks may be put forward or back between now and then: each moment is given for
    the offset before and the offset after. The order is that of today's offset.
    """
    offset = opening.offset(now)
    local = _naive(now) + offset
    starts = _shifted(Firings(opening.schedule, local - _DAY), timedelta(0))
    ends = _shifted(Firings(opening.schedule, local - opening.duration - _DAY), opening.duration)
    for moment in heapq.merge(starts, ends):
        written = moment.replace(tzinfo=UTC)
        for shift in sorted({opening.offset(written - _DAY), opening.offset(written + _DAY)}):
            yield written - offset, written - shift


def _shifted(firings: Firings, by: timedelta) -> Iterator[datetime]:
    while (found := firings.next()) is not None:
        yield found + by


def _clock_changes(zone: tzinfo, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Go through every half hour of the days on which clocks are put forward or back."""
    day = now.astimezone(UTC)
    while zone is not UTC and day < now + LOOKS_AHEAD:
        following = day + _DAY
        if day.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            at = day.replace(minute=0, second=0, microsecond=0)
            while at <= following:
                yield at, at
                at += _HALF_HOUR
        day = following


def describe_window(window: SyncWindow) -> str:
    """Return what a window is, in one line of plain text from outside."""
    kind = window.kind.value if window.kind else "unknown kind"
    zone = window.time_zone or "UTC"
    text = f"{kind} {window.schedule} for {window.duration} ({zone})"
    return f"{window.description}: {text}" if window.description else text
