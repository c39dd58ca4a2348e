"""How long a silence lasts, as people write it: `90m`, `2h30m`, `until 08:00`, `until tomorrow 8:00`.

Pure; the zone in which a time of day is meant comes from the caller.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from bot.core.durations import format_duration, parse_duration
from bot.core.errors import InvalidError

EXPECTED: Final = "a length such as 90m or 2h30m, or an end such as until 08:00 or until tomorrow 8:00"
"""What is said to somebody who wrote something else."""

PRESETS: Final = (
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=7),
)
"""What is offered to choose from."""

MOMENTS: Final = ("until 08:00", "until tomorrow 08:00", "until monday 08:00")
"""Ends that are offered beside the lengths, as `parse_end` reads them."""

_WORDS: Final = (
    (r"weeks?", "w"),
    (r"days?", "d"),
    (r"hours?|hrs?", "h"),
    (r"minutes?|mins?", "m"),
    (r"seconds?|secs?", "s"),
)
_UNTIL: Final = re.compile(
    r"(?:until|till|til)?\s*"
    r"(?:(?P<today>today)|(?P<tomorrow>tomorrow)"
    r"|(?P<weekday>mon|tue|wed|thu|fri|sat|sun)[a-z]*"
    r"|(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}))?"
    r"(?:[\sT]+at)?[\sT]*"
    r"(?:(?P<hour>[0-9]{1,2})(?:[:.h](?P<minute>[0-9]{2}))?\s*(?P<half>am|pm)?)?",
    re.IGNORECASE | re.ASCII,
)
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NOON: Final = 12


def parse_end(text: str, *, now: datetime, zone: tzinfo = UTC) -> datetime:
    """Return when something that begins now and lasts as written ends; always later than now, in UTC.

    A time of day is the next one. Raises `InvalidError` for what is not
    understood and for an end that has passed.
    """
    written = " ".join(text.strip().lower().split())
    length = _length(written)
    try:
        end = _end(written, now, zone) if length is None else now + length
    except OverflowError as error:
        raise InvalidError("expected an end in this millennium") from error
    if end <= now:
        raise InvalidError("expected an end in the future")
    return end.astimezone(UTC)


def preset_text(length: timedelta) -> str:
    """Return what a person would have typed for a preset."""
    return format_duration(length)


def _length(written: str) -> timedelta | None:
    compact = written.removeprefix("for ").replace(" ", "")
    for words, unit in _WORDS:
        compact = re.sub(rf"(?<=[0-9])(?:{words})(?![a-z])", unit, compact)
    if compact == "0":
        return None
    try:
        return parse_duration(compact)
    except InvalidError:
        return None


def _end(written: str, now: datetime, zone: tzinfo) -> datetime:
    found = _UNTIL.fullmatch(written)
    # A bare number could be minutes, hours or a time of day.
    if found is None or written.isdigit() or not found[0].strip():
        raise InvalidError(f"expected {EXPECTED}")
    clock = _time_of_day(found)
    local = now.astimezone(zone)
    if found["date"]:
        return next(_moments(_date(found["date"]), clock, zone))
    days = _days_ahead(found, local)
    for ahead in days:
        day = local + timedelta(days=ahead)
        for moment in _moments(day, clock, zone):
            if moment > now:
                return moment
    raise InvalidError("expected an end in the future")


def _days_ahead(found: re.Match[str], local: datetime) -> tuple[int, ...]:
    if found["today"]:
        return (0,)
    if found["tomorrow"]:
        return (1,)
    if found["weekday"]:
        ahead = (_WEEKDAYS.index(found["weekday"].lower()) - local.weekday()) % 7
        return (ahead, ahead + 7)
    return (0, 1, 2)


def _time_of_day(found: re.Match[str]) -> time:
    if found["hour"] is None:
        if found["today"] or not (found["tomorrow"] or found["weekday"] or found["date"]):
            raise InvalidError(f"expected {EXPECTED}")
        return time(0)
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if found["half"]:
        if not 1 <= hour <= _NOON:
            raise InvalidError("expected an hour from 1 to 12 before am or pm")
        hour = hour % _NOON + (_NOON if found["half"].lower() == "pm" else 0)
    try:
        return time(hour, minute)
    except ValueError as error:
        raise InvalidError("expected a time of day from 00:00 to 23:59") from error


def _date(written: str) -> datetime:
    try:
        return datetime.fromisoformat(written)
    except ValueError as error:
        raise InvalidError("expected a date such as 2026-12-24") from error


def _moments(day: datetime, clock: time, zone: tzinfo) -> Iterator[datetime]:
    """Yield when it is that time on that day: twice where clocks are put back."""
    for fold in (0, 1):
        yield datetime.combine(day.date(), clock.replace(fold=fold), zone).astimezone(UTC)
