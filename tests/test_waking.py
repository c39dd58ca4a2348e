"""Loops that are woken at intervals."""

import asyncio
from datetime import timedelta

from bot.waking import Regularly, waking

OFTEN = timedelta(milliseconds=10)


class Woken:
    """Counts; a test waits for a count."""

    def __init__(self):
        self.times = 0
        self._more = asyncio.Event()

    def __call__(self):
        self.times += 1
        self._more.set()

    async def until(self, times):
        async with asyncio.timeout(5):
            while self.times < times:
                self._more.clear()
                await self._more.wait()


async def test_what_is_regular_is_woken_at_the_interval_that_is_configured_then():
    one, other = Woken(), Woken()

    def every():
        return OFTEN if one.times < 3 else timedelta(hours=1)

    async with waking(hourly=[], regularly=[Regularly(one, every), Regularly(other, lambda: OFTEN)]):
        await one.until(3)
        await other.until(other.times + 10)
    assert one.times == 3


async def test_nothing_is_woken_once_it_is_over():
    one, other = Woken(), Woken()
    async with waking(hourly=[one], regularly=[Regularly(one, lambda: OFTEN)]):
        await one.until(1)
    seen = one.times
    async with waking(hourly=[], regularly=[Regularly(other, lambda: OFTEN)]):
        await other.until(10)
    assert one.times == seen
