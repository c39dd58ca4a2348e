import asyncio
import logging
from datetime import timedelta

import pytest

from bot.core.errors import LostLeadershipError, UnavailableError
from bot.core.loops import AT_ONCE, NOTHING_TRIED, Loop

HOUR = timedelta(hours=1)


async def run_until(loop: Loop, done: asyncio.Event) -> None:
    task = asyncio.create_task(loop.run())
    try:
        async with asyncio.timeout(5):
            await done.wait()
    finally:
        task.cancel()


async def test_a_step_with_more_to_do_runs_again_at_once():
    done, runs = asyncio.Event(), []

    async def step():
        runs.append(1)
        if len(runs) == 3:
            done.set()
            return None
        return AT_ONCE

    await run_until(Loop("test", step, longest_wait=HOUR), done)
    assert len(runs) == 3


async def test_a_wake_up_ends_the_wait():
    done, first = asyncio.Event(), asyncio.Event()

    async def step():
        if first.is_set():
            done.set()
        first.set()

    loop = Loop("test", step, longest_wait=HOUR)
    running = asyncio.create_task(run_until(loop, done))
    await first.wait()
    loop.wake()
    await running
    assert done.is_set()


async def test_a_wake_up_during_the_step_is_not_lost():
    done, runs = asyncio.Event(), []

    async def step():
        runs.append(1)
        if len(runs) == 1:
            loop.wake()
        else:
            done.set()

    loop = Loop("test", step, longest_wait=HOUR)
    await run_until(loop, done)
    assert len(runs) == 2


async def test_wake_ups_in_quick_succession_are_one():
    begun, runs = asyncio.Event(), []

    async def step():
        runs.append(1)
        loop.wake()
        begun.set()

    loop = Loop("test", step, shortest_wait=HOUR, longest_wait=HOUR)
    await run_until(loop, begun)
    assert len(runs) == 1


async def test_a_wake_up_during_the_shortest_wait_is_not_lost():
    done, runs = asyncio.Event(), []

    async def step():
        runs.append(1)
        loop.wake()
        if len(runs) == 2:
            done.set()

    loop = Loop("test", step, shortest_wait=timedelta(milliseconds=1), longest_wait=HOUR)
    await run_until(loop, done)
    assert len(runs) == 2


@pytest.mark.parametrize("error", [ZeroDivisionError(), UnavailableError("down")])
async def test_a_bug_and_an_outage_are_survived(error):
    done, runs = asyncio.Event(), []

    async def step():
        runs.append(1)
        if len(runs) == 1:
            raise error
        done.set()

    await run_until(Loop("test", step, longest_backoff=timedelta(milliseconds=1)), done)
    assert len(runs) == 2


async def test_wake_ups_do_not_shorten_the_wait_after_a_failure():
    failed, runs = asyncio.Event(), []

    async def step():
        runs.append(1)
        loop.wake()
        failed.set()
        raise UnavailableError("down")

    loop = Loop("test", step, longest_backoff=HOUR)
    await run_until(loop, failed)
    assert len(runs) == 1


async def test_an_outage_is_told_once_and_its_end_once(caplog):
    caplog.set_level(logging.INFO, "bot.core.loops")
    done, answers = asyncio.Event(), ["down", NOTHING_TRIED, "down", NOTHING_TRIED, None, NOTHING_TRIED]

    async def step():
        answer = answers.pop(0)
        if not answers:
            done.set()
        loop.wake()
        if answer == "down":
            raise UnavailableError("down")
        return answer

    loop = Loop("test", step, longest_wait=HOUR, longest_backoff=timedelta(milliseconds=1))
    await run_until(loop, done)
    assert caplog.messages == ["loop_waits", "loop_recovered"]


async def test_a_step_that_lasts_says_itself_that_an_outage_is_over(caplog):
    caplog.set_level(logging.INFO, "bot.core.loops")
    lasts, runs = asyncio.Event(), []

    async def step():
        runs.append(1)
        if len(runs) == 1:
            raise UnavailableError("down")
        loop.recovered()
        lasts.set()
        await asyncio.Event().wait()

    loop = Loop("test", step, longest_backoff=timedelta(milliseconds=1))
    await run_until(loop, lasts)
    assert caplog.messages == ["loop_waits", "loop_recovered"]


async def test_a_lost_leadership_ends_the_loop():
    async def step():
        raise LostLeadershipError("gone")

    with pytest.raises(LostLeadershipError):
        await Loop("test", step).run()
