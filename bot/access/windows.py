"""When a grant holds: windows that open by a schedule and stay open for a while."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from bot.core.durations import format_duration


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which something is allowed, again and again."""

    schedule: str
    """When it opens: five fields of cron, by the clocks of its zone."""
    duration: timedelta
    """How long it stays open, by the sun: an hour that the clocks skip or repeat is counted as it passes."""
    timezone: str = "UTC"
    """The name of the zone, such as `Europe/Oslo`."""

    def is_open(self, now: datetime) -> bool:
        """Whether it opened no longer ago than it lasts; at the moment of its end it is closed."""
        opened = self._next_opening(now - self.duration)
        return opened is not None and opened <= now

    def opens_after(self, now: datetime) -> datetime | None:
        """Return when it opens next, by the clocks of its zone; None: never."""
        opening = self._next_opening(now)
        return None if opening is None else opening.astimezone(ZoneInfo(self.timezone))

    def __str__(self) -> str:
        """Return how it is configured, in a line."""
        return f"{self.schedule} for {format_duration(self.duration)}, {self.timezone}"

    def _next_opening(self, after: datetime) -> datetime | None:
        local = after.astimezone(ZoneInfo(self.timezone))
        openings = (opening.astimezone(UTC) for opening in CronSim(self.schedule, local))
        # In the hour that clocks show twice a schedule means the first one, which may be over.
        return next((opening for opening in openings if opening > after), None)


def next_opening(windows: Sequence[Window], now: datetime) -> datetime | None:
    """Return when the first of some windows opens, by the clocks of its zone."""
    openings = [opening for window in windows if (opening := window.opens_after(now)) is not None]
    return min(openings, key=lambda opening: opening.astimezone(UTC), default=None)
