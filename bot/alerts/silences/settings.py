"""What can be configured about silences."""

from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field

from bot.alerts.silences.model import Limits, SilencePolicy
from bot.configurable import Duration, Section


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("expected the name of a time zone such as Europe/Berlin")
    return name


class ConfirmSettings(Section):
    """From where on a silence is broad, and has to be confirmed."""

    critical: bool = True
    """Whether one critical alert that it hides is enough."""
    alerts: Annotated[int, Field(ge=0)] | None = 20
    """More alerts than this; `null`: however many."""
    longer_than: Duration | None = timedelta(hours=8)
    """A longer time than this; `null`: however long."""
    matches_all: bool = True
    """Whether matchers that ask for nothing in particular are enough."""


class RefuseSettings(Section):
    """From where on a silence is refused."""

    critical: bool = False
    """Whether one critical alert that it hides is enough."""
    alerts: Annotated[int, Field(ge=0)] | None = None
    """More alerts than this; `null`: however many."""
    longer_than: Duration | None = timedelta(days=30)
    """A longer time than this; `null`: however long."""
    matches_all: bool = True
    """Whether matchers that ask for nothing in particular are enough."""


class SilenceSettings(Section):
    """How people silence alerts."""

    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The time zone that people mean by a time of day such as `until 08:00`; pictures show it too."""
    confirm: ConfirmSettings = ConfirmSettings()
    """Which silences have to be confirmed."""
    refuse: RefuseSettings = RefuseSettings()
    """Which silences are refused."""
    tell_before_end: Duration = timedelta(minutes=15)
    """How long before its end it is told that a silence is about to end."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return ZoneInfo(self.timezone)


def compile_policy(settings: SilenceSettings) -> SilencePolicy:
    """Return what the settings say about silences."""
    return SilencePolicy(
        confirm=_limits(settings.confirm),
        refuse=_limits(settings.refuse),
        tell_before_end=settings.tell_before_end,
    )


def _limits(settings: ConfirmSettings | RefuseSettings) -> Limits:
    return Limits(
        critical=settings.critical,
        alerts=settings.alerts,
        longer_than=settings.longer_than,
        matches_all=settings.matches_all,
    )
