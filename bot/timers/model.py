"""When a due timer is tried, and when it is tried again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LONGEST_WAIT = timedelta(seconds=30)
"""How long the loop sleeps at most: bounds what a clock that was set can do."""

_FIRST_RETRY = timedelta(seconds=5)
_LONGEST_RETRY = timedelta(minutes=5)


class TimerState(StrEnum):
    """What became of a timer."""

    PENDING = "pending"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Claim:
    """A timer that is due, and that this process tries now."""

    id: int
    kind: str
    subject: str
    due_at: datetime
    attempt: int
    """Which try this is, from 1."""
    claimed_until: datetime
    """When it may be tried again if this try comes to nothing."""


def retry_after(attempt: int) -> timedelta:
    """Return how long a try keeps others from trying: 5 s, doubled by each try, at most 5 min."""
    doublings = min(max(attempt, 1) - 1, 10)
    return min(_FIRST_RETRY * (1 << doublings), _LONGEST_RETRY)


def wait_until(next_due: datetime | None, *, now: datetime) -> timedelta:
    """Return how long to sleep until the next timer is due: never negative, at most 30 s."""
    if next_due is None:
        return LONGEST_WAIT
    return min(max(next_due - now, timedelta(0)), LONGEST_WAIT)
