"""When that is done which needs no row: APScheduler wakes loops.

It only says when. Nothing is kept in it, and whatever it wakes may run twice or late.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

Wake = Callable[[], None]

_JITTER: Final = 0.1
"""The part of an interval by which it is earlier or later, so that many bots do not ask as one."""


@dataclass(frozen=True, slots=True)
class Regularly:
    """What is woken again and again."""

    wake: Wake
    every: Callable[[], timedelta]
    """Asked each time: what is configured then holds from that time on."""


@asynccontextmanager
async def waking(*, hourly: Iterable[Wake], regularly: Iterable[Regularly]) -> AsyncIterator[None]:
    """Wake some every hour, shortly after it began, and others at intervals of their own."""
    scheduler = AsyncIOScheduler(
        timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
    )
    for wake in hourly:
        scheduler.add_job(wake, "cron", minute=7)
    for number, one in enumerate(regularly):
        _begin(scheduler, str(number), one)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


def _begin(scheduler: AsyncIOScheduler, name: str, one: Regularly) -> None:
    seconds = one.every().total_seconds()

    def due() -> None:
        one.wake()
        if one.every().total_seconds() != seconds:
            _begin(scheduler, name, one)

    scheduler.add_job(
        due, "interval", id=name, seconds=seconds, jitter=seconds * _JITTER, replace_existing=True
    )
