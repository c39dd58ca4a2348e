"""Lengths of time as people write and read them: `1h30m` in a file, `1 h 30 min` in a sentence."""

import re
from datetime import timedelta

from bot.core.errors import InvalidError

EXPECTED = "a duration such as 30s, 15m, 1h30m or 7d"
"""What is said to somebody who wrote something else."""

_MILLISECONDS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_PATTERN = re.compile(
    r"(?=.)" + "".join(rf"(?:(?P<{unit}>[0-9]{{1,18}}){unit})?" for unit in _MILLISECONDS), re.ASCII
)
_SPOKEN = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def parse_duration(text: str) -> timedelta:
    """Return the duration that `1h30m` and its like mean.

    The units are Prometheus' w, d, h, m, s and ms: each at most once, the
    largest first; `0` needs none. Raises `InvalidError` for anything else.
    """
    cleaned = text.strip()
    if cleaned == "0":
        return timedelta(0)
    found = _PATTERN.fullmatch(cleaned)
    if found is None:
        raise InvalidError(f"expected {EXPECTED}")
    parts = ((found[unit], size) for unit, size in _MILLISECONDS.items())
    try:
        return timedelta(milliseconds=sum(int(number) * size for number, size in parts if number))
    except OverflowError as error:
        raise InvalidError("expected a duration that is shorter than 999999999 days") from error


def format_duration(duration: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads as this; parts below a millisecond are cut off."""
    left = max(duration // timedelta(milliseconds=1), 0)
    text = ""
    for unit, size in _MILLISECONDS.items():
        if unit == "w":
            # People count days: 14d says more than 2w.
            continue
        number, left = divmod(left, size)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def spoken_duration(duration: timedelta) -> str:
    """Return what a person would say: the two largest units, `2 h 5 min`, `12 min`, `0 s`."""
    left = max(int(duration.total_seconds()), 0)
    counts = []
    for unit, size in _SPOKEN:
        number, left = divmod(left, size)
        counts.append((number, unit))
    first = next((place for place, (number, _) in enumerate(counts) if number), len(counts) - 1)
    said = counts[first : first + 2] if counts[first][0] else counts[-1:]
    return " ".join(f"{number} {unit}" for place, (number, unit) in enumerate(said) if number or place == 0)
