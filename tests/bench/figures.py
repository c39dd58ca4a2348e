"""What a benchmark says: figures, each with its budget and what the machine itself costs in the same run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

_HEAD = ("figure", "measured", "budget", "baseline, same run", "")


class Verdict(Enum):
    """How a figure stands to its budget."""

    KEPT = "ok"
    OVER = "OVER"
    NO_BUDGET = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    measured: str
    budget: str = ""
    baseline: str = ""
    verdict: Verdict = Verdict.NO_BUDGET


@dataclass(frozen=True, slots=True)
class Spread:
    """How long things took, in milliseconds."""

    p50: float
    p99: float
    longest: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} · p99 {self.p99:.1f} ms"


def spread(seconds: Sequence[float]) -> Spread:
    """Sum up measurements, which are in seconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    p50, p99, longest = (ordered[round(last * share)] * 1_000 for share in (0.5, 0.99, 1))
    return Spread(p50, p99, longest)


def at_most(name: str, measured: float, limit: float, unit: str, *, baseline: str = "") -> Figure:
    """Make a figure that must not be larger than its budget."""
    verdict = Verdict.KEPT if measured <= limit else Verdict.OVER
    return Figure(name, f"{_short(measured)} {unit}", f"≤ {limit:g} {unit}", baseline, verdict)


def at_least(name: str, measured: float, limit: float, unit: str, *, baseline: str = "") -> Figure:
    """Make a figure that must not be smaller than its budget."""
    verdict = Verdict.KEPT if measured >= limit else Verdict.OVER
    return Figure(name, f"{_short(measured)} {unit}", f"≥ {limit:g} {unit}", baseline, verdict)


def print_table(figures: Iterable[Figure]) -> None:
    """Print figures, a line each."""
    rows = [_HEAD, *((f.name, f.measured, f.budget, f.baseline, f.verdict.value) for f in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}"
