"""Tasks with an owner: they live as long as the context that started them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(work: Iterable[Coroutine[Any, Any, Any]]) -> AsyncIterator["asyncio.Task[None]"]:
    """Run coroutines beside each other while the context lasts.

    The task that is given ends early only when one of them fails; then the others
    are cancelled, and leaving the context raises the exception group.
    """

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            for coroutine in work:
                group.create_task(coroutine)

    task = asyncio.create_task(together())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def first_of(*awaited: Awaitable[Any]) -> None:
    """Return when the first one is done; coroutines among the others are cancelled, tasks go on."""
    futures = [asyncio.ensure_future(each) for each in awaited]
    ours = [future for future, given in zip(futures, awaited, strict=True) if future is not given]
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in ours:
            future.cancel()
        if ours:
            await asyncio.wait(ours)
