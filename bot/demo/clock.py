"""The clock of the demo: it begins in the past, so that a morning can be told in a second."""

from datetime import datetime, timedelta

from bot.core.clock import Clock


class LateClock:
    """Runs behind another clock until it has caught up; never goes back."""

    def __init__(self, real: Clock, behind: timedelta) -> None:
        """Take the clock that is right, and how late this one is."""
        self._real = real
        self._behind = behind

    def now(self) -> datetime:
        """Return the moment that the demo is at."""
        return self._real.now() - self._behind

    def move_to(self, behind: timedelta) -> None:
        """Jump forward, to this long before the right time; a jump back is none."""
        self._behind = min(behind, self._behind)
