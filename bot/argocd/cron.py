"""Schedules and durations as Argo CD reads them: robfig/cron's five fields, Go's durations.

`cronsim` finds the next firing, but its words are Debian's: there 7 is Sunday,
`L` and `#` have a meaning, and `*/2` in a day field restricts the other one. So a
schedule is read here by robfig's rules and handed on as plain lists of numbers.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

from cronsim import CronSim, CronSimError

from bot.core.errors import InvalidError

_LOOKS_AHEAD_YEARS: Final = 5
"""robfig/cron gives up after the fifth year; what fires later never fires."""
_UNITS: Final[Mapping[str, int]] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LONGEST_DURATION: Final = 2**63 - 1
_PART: Final = re.compile(
    r"(?P<number>[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?P<unit>ns|us|µs|μs|ms|s|m|h)", re.ASCII
)
_DURATION: Final = re.compile(rf"[+-]?(?:{re.sub(r'[?]P<[a-z]+>', '?:', _PART.pattern)})+", re.ASCII)
_NUMBER: Final = re.compile(r"[+]?[0-9]{1,6}", re.ASCII)


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()
    """Names for its numbers, from `least` on."""


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field(
        "month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    ),
    _Field("day of the week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


def parse_go_duration(text: str) -> timedelta:
    """Return the duration that Go's `time.ParseDuration` reads: `1h30m`, `1.5h`, `-90s`, `0`.

    Raises `InvalidError`. What is below a microsecond is cut off.
    """
    if text in {"0", "+0", "-0"}:
        return timedelta(0)
    if _DURATION.fullmatch(text) is None:
        raise InvalidError("expected a duration such as 30m, 8h or 1h30m")
    nanoseconds = sum(Fraction(part["number"]) * _UNITS[part["unit"]] for part in _PART.finditer(text))
    if nanoseconds > _LONGEST_DURATION:
        raise InvalidError("expected a duration of at most 292 years")
    return timedelta(microseconds=int(nanoseconds // 1000)) * (-1 if text.startswith("-") else 1)


@lru_cache(maxsize=512)
def parse_schedule(text: str) -> str:
    """Return a schedule of five fields as plain lists of numbers; empty if it can never fire.

    Raises `InvalidError`. Descriptors such as `@daily` and time zones inside of it
    are not understood: Argo CD refuses the first, too.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise InvalidError(f"expected a schedule of {len(_FIELDS)} fields, found {len(fields)}")
    read = [_read_field(field, about) for field, about in zip(fields, _FIELDS, strict=True)]
    return " ".join(read) if all(read) else ""


def _read_field(text: str, about: _Field) -> str:
    numbers: set[int] = set()
    every = False
    for term in filter(None, text.split(",")):
        found, is_star = _read_term(term, about)
        numbers |= found
        every = every or is_star
    # Only a star makes the two day fields both count; a list of all days does not.
    return "*" if every else ",".join(map(str, sorted(numbers)))


def _read_term(term: str, about: _Field) -> tuple[set[int], bool]:
    """Return the numbers of `*`, `N` or `N-M`, each also with `/STEP`; and whether it means all of them."""
    span, *steps = term.split("/")
    first, *others = span.split("-")
    is_star = first in {"*", "?"}
    if len(steps) > 1 or (len(others) > 1 and not is_star):
        raise InvalidError(f"expected numbers for the {about.name}")
    start = about.least if is_star else _read_number(first, about)
    end = about.most if is_star else (_read_number(others[0], about) if others else start)
    step = 1
    if steps:
        step = _read_step(steps[0], about)
        end = end if others else about.most
    if not about.least <= start <= end <= about.most:
        raise InvalidError(f"expected a {about.name} between {about.least} and {about.most}, least first")
    return set(range(start, end + 1, step)), is_star and step == 1


def _read_number(text: str, about: _Field) -> int:
    if text.lower() in about.words:
        return about.least + about.words.index(text.lower())
    if _NUMBER.fullmatch(text) is None:
        raise InvalidError(f"expected a number for the {about.name}")
    return int(text)


def _read_step(text: str, about: _Field) -> int:
    step = _read_number(text, _Field(about.name, 1, about.most))
    if step == 0:
        raise InvalidError(f"expected a step above 0 for the {about.name}")
    return step


class Firings:
    """When a parsed schedule fires, one after the other; naive times of its own zone."""

    def __init__(self, schedule: str, after: datetime) -> None:
        """Begin strictly after a naive time."""
        self._last = after
        try:
            self._times = CronSim(f"0 {schedule}", after) if schedule else None
        except CronSimError:
            # A date that does not exist, such as 30 February; everything else was checked.
            self._times = None

    def next(self) -> datetime | None:
        """Return the next firing; None if there is none within the five years that Argo CD looks ahead."""
        if self._times is None:
            return None
        try:
            found = next(self._times)
        except (StopIteration, OverflowError):
            return None
        if found.year > self._last.year + _LOOKS_AHEAD_YEARS:
            return None
        self._last = found
        return found
