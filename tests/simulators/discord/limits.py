"""Discord's rate limits: a window per bucket and channel, the global one, and the one on edits of old messages.

Off by default: `server.limits.channel_create = (5, 5.0)` switches one on. A window opens with its first request and
gives `limit` requests until it ends, which is what the X-RateLimit headers describe.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Rate = tuple[int, float]
UNLIMITED: Rate = (10_000, 1.0)


@dataclass(slots=True)
class Window:
    rate: Rate
    ends: float = 0.0
    used: int = 0

    def take(self, now: float) -> bool:
        if now >= self.ends:
            self.ends, self.used = now + self.rate[1], 0
        if self.used >= self.rate[0]:
            return False
        self.used += 1
        return True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one request was told by its bucket."""

    allowed: bool
    bucket: str
    limit: int
    remaining: int
    reset_after: float
    scope: str = "user"
    code: int | None = None


@dataclass(slots=True)
class Limits:
    """The rates (requests, seconds), each None for off."""

    channel_create: Rate | None = None
    channel_edit: Rate | None = None
    channel_delete: Rate | None = None
    channel_read: Rate | None = None
    other: Rate | None = None
    """All further routes, each with its own bucket."""
    webhook: Rate | None = None
    """Interaction answers, per token."""
    everything: Rate | None = None
    """Discord's global limit, documented as (50, 1.0)."""
    old_edits: Rate | None = None
    """Edits of messages older than `old_after_seconds`, per channel; unofficially (3, 6.0). Answered with 30046."""
    old_after_seconds: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    rejected: Counter[str] = field(default_factory=Counter)
    """How many 429s were answered for a limit (not for a fault), by bucket."""
    _windows: dict[tuple[str, str], Window] = field(default_factory=dict)

    def take(self, bucket: str, major: str) -> Verdict:
        """Count one request against its bucket."""
        rate = getattr(self, bucket.partition(":")[0]) or UNLIMITED
        now = self.clock()
        window = self._windows.get((bucket, major))
        if window is None or window.rate != rate:
            window = self._windows[bucket, major] = Window(rate)
        return self._verdict(window, window.take(now), bucket, now)

    def take_global(self) -> Verdict | None:
        """A refusal by the global limit, if there is one."""
        return self._refusal("everything", "", scope="global", code=None)

    def take_old_edit(self, channel: str) -> Verdict | None:
        return self._refusal("old_edits", channel, scope="user", code=30046)

    def _refusal(self, bucket: str, major: str, *, scope: str, code: int | None) -> Verdict | None:
        rate: Rate | None = getattr(self, bucket)
        if rate is None:
            return None
        now = self.clock()
        window = self._windows.get((bucket, major))
        if window is None or window.rate != rate:
            window = self._windows[bucket, major] = Window(rate)
        if window.take(now):
            return None
        self.rejected[bucket] += 1
        return Verdict(
            allowed=False,
            bucket=bucket,
            limit=rate[0],
            remaining=0,
            reset_after=max(window.ends - now, 0.001),
            scope=scope,
            code=code,
        )

    def _verdict(self, window: Window, allowed: bool, bucket: str, now: float) -> Verdict:
        if not allowed:
            self.rejected[bucket] += 1
        return Verdict(
            allowed=allowed,
            bucket=bucket,
            limit=window.rate[0],
            remaining=max(window.rate[0] - window.used, 0),
            reset_after=max(window.ends - now, 0.001),
        )

    def reset(self) -> None:
        """Forget what was used, keep the rates."""
        self._windows.clear()
        self.rejected.clear()
