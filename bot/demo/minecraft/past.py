"""A past of the servers, so that there is something to see: a month of evenings, and a bad night."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from random import Random
from typing import Final, TypeVar

from bot.database.engine import Database
from bot.minecraft import store
from bot.minecraft.history import HOUR, Hour, Sample, hours_of, truncate

T = TypeVar("T")

_EVERY: Final = timedelta(minutes=5)
_IN_FULL: Final = timedelta(days=7)
_IN_ALL: Final = timedelta(days=30)
_BATCH: Final = 500
_MOST: Final = 20
_NEVER: Final = timedelta(days=-1)
_NOTHING: Final = timedelta(0)
_OUTAGES: Final = (
    (timedelta(hours=9, minutes=20), timedelta(minutes=50)),
    (timedelta(days=4, hours=2), timedelta(minutes=25)),
)
"""How long ago, and for how long."""


@dataclass(frozen=True, slots=True)
class Past:
    """The past of a server."""

    server: str
    usually: int
    """How many play there."""
    ended: timedelta = _NEVER
    """How long ago it was stopped."""

    async def tell(self, database: Database, *, now: datetime) -> None:
        """Write it down, as if the server had been asked all the time."""
        # In a thread: it takes longer than whoever looks at the first card should wait.
        samples, hours = await asyncio.to_thread(self._made_up, now)
        for batch in _batches([each for each in samples if now - each.at <= _IN_FULL]):
            async with database.transaction() as tx:
                await store.add_samples(tx, [(self.server, sample) for sample in batch])
        for some in _batches(hours):
            async with database.transaction() as tx:
                await store.add_hours(tx, self.server, some)

    def _made_up(self, now: datetime) -> tuple[list[Sample], list[Hour]]:
        samples = list(self._samples(now, Random(self.server)))  # noqa: S311 (it decides who played)
        by_hour = groupby(samples, key=lambda sample: truncate(sample.at))
        hours = [
            hour
            for start, some in by_hour
            if start + HOUR <= now
            for hour in hours_of(list(some), start=start, end=start + HOUR)
        ]
        return samples, hours

    def _samples(self, now: datetime, chance: Random) -> Iterator[Sample]:
        at, players = now - _IN_ALL, 0
        while at < now:
            ago = now - at
            wanted = self.usually * _interest(at) + chance.gauss(0, 0.8)
            players += (wanted > players) - (wanted < players - 1)
            is_down = ago < self.ended or any(_NOTHING <= began - ago < lasted for began, lasted in _OUTAGES)
            players = 0 if is_down else players
            yield Sample(at, up=not is_down, players=players, most=_MOST, latency_ms=2)
            at += _EVERY


def _interest(at: datetime) -> float:
    """Return how much people would play: most in the evening, and more when there is no school."""
    hour = at.hour + at.minute / 60
    evening = math.exp(-(((hour - 19.5 + 12) % 24 - 12) ** 2) / 12)
    afternoon = math.exp(-(((hour - 15 + 12) % 24 - 12) ** 2) / 8)
    is_free = at.weekday() >= 5  # noqa: PLR2004 (Saturday)
    return 1.4 * evening + (0.9 if is_free else 0.3) * afternoon


def _batches(things: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), _BATCH):
        yield things[start : start + _BATCH]
