"""The past of a server: what is kept of it, and what it says. Pure.

A sample is kept when something changed, and now and then when nothing did; it
holds until the next one, but not for long: silence means that nobody looked.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import groupby
from typing import Final

from bot.minecraft.model import Standing

KEEP_EVERY: Final = timedelta(minutes=5)
"""How often a sample is kept when nothing changes, at least."""
HOLDS_FOR: Final = timedelta(minutes=6)
"""How long a sample holds at most; what follows is unknown."""
HOUR: Final = timedelta(hours=1)
_NOTHING: Final = timedelta(0)


class Period(Enum):
    """How far back somebody looks."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return timedelta(days={"24h": 1, "7d": 7, "30d": 30}[self.value])


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at a moment."""

    at: datetime
    up: bool
    players: int = 0
    most: int = 0
    latency_ms: int = 0

    @classmethod
    def of(cls, standing: Standing) -> "Sample":
        """Return what is kept of how a server stands."""
        answer = standing.answer
        if answer is None or not standing.is_up:
            return cls(standing.checked_at, up=False)
        latency = round(answer.latency / timedelta(milliseconds=1))
        return cls(standing.checked_at, up=True, players=answer.online, most=answer.most, latency_ms=latency)

    def says_more_than(self, kept: "Sample | None", *, until_next: timedelta = _NOTHING) -> bool:
        """Tell whether this one is to be kept beside the last that was, which must reach to the next."""
        if kept is None or self.at - kept.at >= min(KEEP_EVERY, HOLDS_FOR - until_next):
            return True
        return (self.up, self.players, self.most) != (kept.up, kept.players, kept.most)


@dataclass(frozen=True, slots=True)
class Hour:
    """What an hour was like."""

    start: datetime
    up: timedelta
    down: timedelta
    """What is missing to an hour is unknown."""
    average: float
    """Players while it was up."""
    peak: int
    peak_at: datetime | None
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some time in which nothing changed that is known."""

    start: datetime
    end: datetime
    up: timedelta
    down: timedelta
    average: float
    peak: int
    peak_at: datetime
    latency_ms: int = 0

    @property
    def is_down(self) -> bool:
        """Whether it was down for most of it."""
        return self.down > self.up


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which it was down, as often as it was seen."""

    start: datetime
    end: datetime
    down: timedelta
    """What is known of it: nobody may have looked in between, and of hours only their sum is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The past of a server over a period, with the facts that a picture shows."""

    server: str
    period: Period
    start: datetime
    end: datetime
    stretches: tuple[Stretch, ...]
    peak: int = 0
    peak_at: datetime | None = None
    average: float = 0
    up: timedelta = _NOTHING
    down: timedelta = _NOTHING
    outages: tuple[Outage, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether anything is known of it."""
        return self.up + self.down > _NOTHING

    @property
    def availability(self) -> float:
        """The part of the known time in which it was up."""
        return self.up / (self.up + self.down) if self.is_known else 0.0


def stretches_of(samples: Iterable[Sample], *, start: datetime, end: datetime) -> Iterator[Stretch]:
    """Return what samples say of a time, in their order; the one before `start` may reach into it."""
    last: Sample | None = None
    for sample in samples:
        if last is not None and (made := _stretch(last, sample.at, start, end)):
            yield made
        last = sample
    if last is not None and (made := _stretch(last, end, start, end)):
        yield made


def hours_of(samples: Sequence[Sample], *, start: datetime, end: datetime) -> Iterator[Hour]:
    """Return what the whole hours from `start` to `end` were like; unknown ones are left out."""
    at = start
    while at + HOUR <= end:
        found = list(stretches_of(samples, start=at, end=at + HOUR))
        if found:
            yield _hour(at, found)
        at += HOUR


def stretch_of(hour: Hour) -> Stretch:
    """Return an hour as one stretch."""
    return Stretch(
        hour.start,
        hour.start + HOUR,
        hour.up,
        hour.down,
        hour.average,
        hour.peak,
        hour.peak_at or hour.start,
        hour.latency_ms,
    )


def past_of(
    server: str, period: Period, stretches: Iterable[Stretch], *, start: datetime, end: datetime
) -> Past:
    """Put the facts of a period together."""
    known = tuple(stretches)
    up, down = _total(each.up for each in known), _total(each.down for each in known)
    best = max((each for each in known if each.up), key=lambda each: each.peak, default=None)
    seconds = up.total_seconds()
    played = sum(each.average * each.up.total_seconds() for each in known)
    return Past(
        server=server,
        period=period,
        start=start,
        end=end,
        stretches=known,
        peak=best.peak if best else 0,
        peak_at=best.peak_at if best else None,
        average=played / seconds if seconds else 0.0,
        up=up,
        down=down,
        outages=tuple(_outages(known)),
    )


def truncate(moment: datetime) -> datetime:
    """Return when the hour of a moment began."""
    return moment.replace(minute=0, second=0, microsecond=0)


def columns_of(past: Past, count: int) -> list[float | None]:
    """Return the most players in each of so many equal parts; None: unknown or down."""
    width = (past.end - past.start) / count
    columns: list[float | None] = [None] * count
    for stretch in past.stretches:
        if not stretch.up:
            continue
        first = min(int((stretch.start - past.start) / width), count - 1)
        last = min(int((stretch.end - past.start - timedelta(microseconds=1)) / width), count - 1)
        for column in range(max(first, 0), last + 1):
            columns[column] = max(columns[column] or 0.0, float(stretch.peak))
    return columns


def _stretch(sample: Sample, until: datetime, start: datetime, end: datetime) -> Stretch | None:
    first, last = max(sample.at, start), min(until, sample.at + HOLDS_FOR, end)
    if last <= first:
        return None
    lasted = last - first
    return Stretch(
        first,
        last,
        lasted if sample.up else _NOTHING,
        _NOTHING if sample.up else lasted,
        float(sample.players),
        sample.players,
        first,
        sample.latency_ms,
    )


def _hour(start: datetime, found: Sequence[Stretch]) -> Hour:
    up, down = _total(each.up for each in found), _total(each.down for each in found)
    seconds = up.total_seconds()
    best = max((each for each in found if each.up), key=lambda each: each.peak, default=None)
    return Hour(
        start,
        up,
        down,
        sum(each.average * each.up.total_seconds() for each in found) / seconds if seconds else 0.0,
        best.peak if best else 0,
        best.peak_at if best else None,
        round(sum(each.latency_ms * each.up.total_seconds() for each in found) / seconds) if seconds else 0,
    )


def _outages(stretches: Iterable[Stretch]) -> Iterator[Outage]:
    """Return when it was down; what is unknown ends none that goes on after it."""
    for was_down, some in groupby(stretches, key=lambda stretch: stretch.down > _NOTHING):
        if was_down:
            together = list(some)
            down = _total(each.down for each in together)
            yield Outage(together[0].start, together[-1].end, down)


def _total(lengths: Iterable[timedelta]) -> timedelta:
    return sum(lengths, _NOTHING)
