"""The one runner of everything that runs for ever.

A loop is a `step()` that does what is due and says how long it can wait. The
runner calls it, waits, wakes early when told to, and survives outages and bugs;
a test calls the step itself until it is idle.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, TypeVar

from bot.core.errors import LostLeadershipError, UnavailableError

AT_ONCE = timedelta(0)
"""Said by a step that has more to do."""
NOTHING_TRIED = timedelta.max
"""Said by a step that found nothing to do, and so does not know whether an outage is over."""

Step = Callable[[], Awaitable[timedelta | None]]
"""Does what is due; returns how long it can wait, or None: until it is woken."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bug:
    """An error that nobody foresaw; it was logged in full under its reference."""

    kind: str
    """The name of the exception's class."""
    reference: str


async def survive(
    work: Awaitable[T], *, name: str, but: tuple[type[BaseException], ...] = (), **ids: object
) -> T | Bug:
    """Do one of the many things of a step, so that a bug in it does not keep the others waiting.

    The exceptions named in `but` pass, for the caller knows them. `ids` say in
    the log what was worked on.
    """
    try:
        return await work
    except but:
        raise
    except Exception as error:  # noqa: BLE001 (logged in full, and its kind returned)
        bug = Bug(type(error).__name__, secrets.token_hex(4))
        _log.exception("loop_failed", extra={"loop": name, "reference": bug.reference, **ids})
        return bug


class Loop:
    """One step, called again and again by one task."""

    def __init__(
        self,
        name: str,
        step: Step,
        *,
        shortest_wait: timedelta = timedelta(0),
        longest_wait: timedelta = timedelta(seconds=30),
        longest_backoff: timedelta = timedelta(seconds=30),
    ) -> None:
        """Take the step; `longest_wait` bounds how long a lost wake-up can go unnoticed.

        A step that has no more to do rests for `shortest_wait`, woken or not: what
        wakes it again and again costs one run then, and the first one waits for nothing.
        """
        self.name = name
        self._step = step
        self._shortest_wait = shortest_wait
        self._longest_wait = longest_wait
        self._longest_backoff = longest_backoff
        self._woken = asyncio.Event()
        self._failures = 0
        self._has_failed = False

    def wake(self) -> None:
        """Have the step run soon; many calls before it runs are one."""
        self._woken.set()

    def recovered(self) -> None:
        """Take note that nothing fails any more; a step that lasts for long says so itself."""
        if self._failures:
            _log.info("loop_recovered", extra={"loop": self.name, "failures": self._failures})
        self._failures = 0

    async def run(self) -> NoReturn:
        """Run until cancelled. Raises only `LostLeadershipError`."""
        while True:
            self._woken.clear()
            wait = await self._guarded_step()
            if self._has_failed or wait <= AT_ONCE:
                # No wake-up cuts this short: a busy source would make an outage worse.
                await asyncio.sleep(wait.total_seconds())
                continue
            await asyncio.sleep(self._shortest_wait.total_seconds())
            try:
                async with asyncio.timeout((wait - self._shortest_wait).total_seconds()):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _guarded_step(self) -> timedelta:
        self._has_failed = False
        try:
            wait = await self._step()
        except LostLeadershipError:
            raise
        except UnavailableError as error:
            if self._failures == 0:
                _log.warning("loop_waits", extra={"loop": self.name, "why": str(error)})
            return self._backoff()
        except Exception:  # noqa: BLE001 — a bug in one step must not end the loop; it is logged whole
            reference = secrets.token_hex(4)
            _log.exception("loop_failed", extra={"loop": self.name, "reference": reference})
            return self._backoff()
        if wait != NOTHING_TRIED:
            self.recovered()
        return self._longest_wait if wait is None else min(wait, self._longest_wait)

    def _backoff(self) -> timedelta:
        self._has_failed = True
        self._failures += 1
        ceiling = min(0.5 * 2 ** min(self._failures, 10), self._longest_backoff.total_seconds())
        return timedelta(seconds=ceiling * random.uniform(0.5, 1))  # noqa: S311 — jitter is no secret
