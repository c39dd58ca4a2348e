"""Measures what the design promises: `python -m tests.bench [--quick] [--only NAME …]`.

Prints one table; exits 1 when a budget is missed. Compare figures within one
run only: each stands beside what the machine itself costs at that moment.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from tests.bench import (
    backlog,
    cluster,
    completing,
    demo,
    giant,
    inbox,
    latency,
    lifetime,
    minecraft,
    outage,
    poll,
    storm,
    sustained,
)
from tests.bench.figures import Figure, Verdict, print_table
from tests.bench.system import Place, places


@dataclass(frozen=True, slots=True)
class Run:
    """What a benchmark is given."""

    places: list[Place]
    folder: Path
    quick: bool


def _inbox(run: Run) -> Iterator[AsyncIterator[Figure]]:
    yield inbox.measure(run.places, seconds=2 if run.quick else 4)


def _sustained(run: Run) -> Iterator[AsyncIterator[Figure]]:
    return (sustained.measure(place, run.folder, seconds=10) for place in run.places)


def _latency(run: Run) -> Iterator[AsyncIterator[Figure]]:
    samples = 60 if run.quick else 200
    for place in run.places:
        for seconds in (0.0, 0.03):
            yield latency.measure(place, run.folder, latency=seconds, samples=samples)


def _lifetime(run: Run) -> Iterator[AsyncIterator[Figure]]:
    return (lifetime.measure(place, run.folder) for place in run.places)


def _outage(run: Run) -> Iterator[AsyncIterator[Figure]]:
    yield outage.measure(run.places[0], run.folder, seconds=15 if run.quick else 120)


def _backlog(run: Run) -> Iterator[AsyncIterator[Figure]]:
    return (backlog.measure(place, run.folder) for place in run.places)


def _giant(run: Run) -> Iterator[AsyncIterator[Figure]]:
    return (giant.measure(place, run.folder) for place in run.places)


def _poll(run: Run) -> Iterator[AsyncIterator[Figure]]:
    return (poll.measure(place) for place in run.places)


def _storm(run: Run) -> Iterator[AsyncIterator[Figure]]:
    return (storm.measure(place, run.folder) for place in run.places)


def _demo(_run: Run) -> Iterator[AsyncIterator[Figure]]:
    yield demo.measure()


def _cluster(run: Run) -> Iterator[AsyncIterator[Figure]]:
    yield cluster.measure(run.folder)


def _completing(run: Run) -> Iterator[AsyncIterator[Figure]]:
    yield completing.measure(run.folder)


def _minecraft(run: Run) -> Iterator[AsyncIterator[Figure]]:
    return (minecraft.measure(place) for place in run.places)


BENCHES: dict[str, Callable[[Run], Iterator[AsyncIterator[Figure]]]] = {
    "inbox": _inbox,
    "sustained": _sustained,
    "latency": _latency,
    "lifetime": _lifetime,
    "outage": _outage,
    "backlog": _backlog,
    "giant": _giant,
    "poll": _poll,
    "storm": _storm,
    "demo": _demo,
    "cluster": _cluster,
    "completing": _completing,
    "minecraft": _minecraft,
}


async def measure(run: Run, names: list[str]) -> list[Figure]:
    """Run benchmarks one after the other, telling of each on standard error."""
    figures: list[Figure] = []
    for name in names:
        began = time.perf_counter()
        for measurement in BENCHES[name](run):
            async for figure in measurement:
                figures.append(figure)
                print(f"  {figure.name}: {figure.measured}", file=sys.stderr, flush=True)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return figures


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, where the length only makes it surer")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=list(BENCHES), metavar="NAME")
    parser.add_argument("--no-postgresql", action="store_true", help="measure on SQLite alone")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="machine-bench-") as name:
        folder = Path(name)
        with places(folder, postgresql=not arguments.no_postgresql) as found:
            run = Run(found, folder, arguments.quick)
            figures = asyncio.run(measure(run, arguments.only))
    print_table(figures)
    return 1 if any(figure.verdict is Verdict.OVER for figure in figures) else 0


if __name__ == "__main__":
    raise SystemExit(main())
