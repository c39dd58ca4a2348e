"""Has Argo CD look again, and waits until it has."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from bot.argocd.cluster import ArgoCluster, Fresh
from bot.argocd.model import Application
from bot.argocd.patches import refresh_patch, refresh_set_patch
from bot.argocd.sets import ApplicationSet
from bot.argocd.views import Refreshed, SetRefreshed
from bot.core.clock import Clock
from bot.kube.model import ObjectKey

T = TypeVar("T")

WAITS_FOR: Final = timedelta(seconds=60)
LOOKS_EVERY: Final = timedelta(seconds=5)
"""Even if the watch says nothing."""


class Refresher:
    """Asks for refreshes and follows them."""

    def __init__(
        self,
        argo: ArgoCluster,
        clock: Clock,
        *,
        waits_for: timedelta = WAITS_FOR,
        looks_every: timedelta = LOOKS_EVERY,
    ) -> None:
        """Take the cluster, and how long to wait for Argo CD."""
        self._argo = argo
        self._clock = clock
        self._waits_for = waits_for
        self._looks_every = looks_every
        self._waiting: defaultdict[ObjectKey, set[asyncio.Event]] = defaultdict(set)
        argo.applications.on_change(lambda key, _old, _new: self._changed(key))
        argo.sets.on_change(lambda key, _old, _new: self._changed(key))

    def _changed(self, key: ObjectKey) -> None:
        for event in self._waiting.get(key, ()):
            event.set()

    async def refresh(
        self, fresh: Fresh, *, hard: bool = False, within: timedelta | None = None
    ) -> Refreshed:
        """Have an Application compared again; the annotation that asks for it is gone once it was."""
        before, key = fresh.detail.application, fresh.detail.key
        began = time.monotonic()
        asked_at = self._second()
        await self._argo.patch(key, refresh_patch(hard=hard))
        again = False

        async def look() -> Application | None:
            nonlocal again, asked_at
            after = (await self._argo.read(key)).detail.application
            if after.refresh:
                return None
            if not again and _was_swallowed(after, asked_at):
                # What was under way when we asked took our request away with its own.
                again, asked_at = True, self._second()
                await self._argo.patch(key, refresh_patch(hard=hard))
                return None
            return after

        done = await self._wait(key, look, within)
        after = done or (await self._argo.read(key)).detail.application
        took = time.monotonic() - began
        return Refreshed(before=before, after=after, hard=hard, took_seconds=took, is_done=done is not None)

    async def refresh_set(self, key: ObjectKey) -> SetRefreshed:
        """Have an ApplicationSet make its Applications anew."""
        began = time.monotonic()
        await self._argo.patch_set(key, refresh_set_patch())

        async def look() -> ApplicationSet | None:
            after = await self._argo.read_set(key)
            return None if after.refreshing else after

        done = await self._wait(key, look)
        after = done or await self._argo.read_set(key)
        return SetRefreshed(after=after, is_done=done is not None, took_seconds=time.monotonic() - began)

    def _second(self) -> datetime:
        """Return this moment as Kubernetes would write it: without parts of a second."""
        return self._clock.now().astimezone(UTC).replace(microsecond=0)

    async def _wait(
        self, key: ObjectKey, look: Callable[[], Awaitable[T | None]], within: timedelta | None = None
    ) -> T | None:
        event = asyncio.Event()
        self._waiting[key].add(event)
        try:
            async with asyncio.timeout(min(within or self._waits_for, self._waits_for).total_seconds()):
                while (found := await look()) is None:
                    await self._changed_or(event)
                return found
        except TimeoutError:
            return None
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    async def _changed_or(self, event: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._looks_every.total_seconds()):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()


def _was_swallowed(after: Application, asked_at: datetime) -> bool:
    """Tell whether the comparison that took our request away had begun before it.

    Times have whole seconds: one that began in the same second may have, and it is
    asked for again then, which costs little.
    """
    began = after.reconciled_at
    return began is not None and began <= asked_at
