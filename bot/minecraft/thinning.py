"""Making hours out of samples, and forgetting what is old: a job of the calendar that may run at any time."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from bot.core.clock import Clock
from bot.database.engine import Database
from bot.minecraft import store
from bot.minecraft.history import HOLDS_FOR, HOUR, hours_of, truncate
from bot.minecraft.settings import MinecraftSettings

_BATCH: Final = 2000
_HOURS_AT_ONCE: Final = 24 * 7


class Thinning:
    """The job."""

    def __init__(self, database: Database, clock: Clock, settings: Callable[[], MinecraftSettings]) -> None:
        """Take the leading database and what is to be kept."""
        self._database = database
        self._clock = clock
        self._settings = settings

    async def step(self) -> None:
        """Make every hour that is over, then forget."""
        now, settings = self._clock.now(), self._settings()
        # A sample holds for a while: only then is known what the hour was like to its end.
        until = truncate(now - HOLDS_FOR)
        async with self._database.reading() as tx:
            oldest, last = await store.list_oldest(tx), await store.list_last_hours(tx)
        for name, first in oldest.items():
            await self._make_hours(name, last[name] + HOUR if name in last else truncate(first), until)
        # What goes has been made into hours.
        before = min(now - settings.keep, until - HOLDS_FOR)
        while True:
            async with self._database.transaction() as tx:
                gone = await store.purge_samples(tx, before=before, limit=_BATCH)
            if gone < _BATCH:
                break
        async with self._database.transaction() as tx:
            await store.purge_hours(tx, before=now - settings.keep_hours)
            await store.purge_requests(tx, before=now - settings.keep_hours)

    async def _make_hours(self, name: str, start: datetime, until: datetime) -> None:
        while start < until:
            end = min(start + _HOURS_AT_ONCE * HOUR, until)
            async with self._database.reading() as tx:
                samples = await store.list_samples(tx, name, since=start - HOLDS_FOR, until=end)
            hours = list(hours_of(samples, start=start, end=end))
            if hours:
                async with self._database.transaction() as tx:
                    await store.add_hours(tx, name, hours)
            start = end
