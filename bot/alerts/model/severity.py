"""How bad an alert is, by the words of whoever wrote its rule."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from bot.alerts.model.alert import Alert


class Severity(IntEnum):
    """How bad it is; a larger one is worse."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """Name it as the card does."""
        return self.name


@dataclass(frozen=True, slots=True)
class SeverityWords:
    """Which label says how bad an alert is, and which of its values mean what."""

    label: str = "severity"
    critical: frozenset[str] = frozenset({"critical", "page", "emergency", "disaster", "fatal"})
    warning: frozenset[str] = frozenset({"warning", "warn", "error", "major", "minor", "ticket"})
    info: frozenset[str] = frozenset({"info", "information", "informational", "notice", "none", "debug"})

    def of(self, labels: Mapping[str, str]) -> Severity:
        """Judge one alert; a word that nobody knows is a warning, never silence."""
        word = labels.get(self.label, "").strip().lower()
        if word in self.critical:
            return Severity.CRITICAL
        return Severity.INFO if word in self.info else Severity.WARNING

    def worst(self, alerts: Iterable[Alert]) -> Severity | None:
        """Judge several; None when there are none."""
        return max((self.of(alert.labels) for alert in alerts), default=None)
