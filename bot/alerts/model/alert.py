"""One alert: what its labels say, and in which order people read several."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum


class AlertStatus(StrEnum):
    """What the last delivery said of one alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Blindness(Enum):
    """Why Grafana cannot say whether the alert of a rule fires."""

    ERROR = "Grafana cannot evaluate"
    NO_DATA = "No data for"


_BLIND_NAMES = {
    "DatasourceError": Blindness.ERROR,
    "DatasourceNoData": Blindness.NO_DATA,
    "NoData": Blindness.NO_DATA,
}
_RULE_NAME = "rulename"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, in its latest episode."""

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    """None while it fires."""
    generator_url: str = ""

    @property
    def is_firing(self) -> bool:
        """Tell a firing alert from a resolved one."""
        return self.status is AlertStatus.FIRING

    @property
    def blindness(self) -> Blindness | None:
        """Why it stands in for the alert of a rule; None for an alert that means itself.

        Grafana gives a stand-in a name of its own, and that of the rule in a label.
        """
        return _BLIND_NAMES.get(self.labels.get("alertname", "")) if self.rule_name else None

    @property
    def rule_name(self) -> str:
        """The name of the rule that it stands in for."""
        return self.labels.get(_RULE_NAME, "")


def common(maps: Iterable[Mapping[str, str]]) -> Mapping[str, str]:
    """Return the items that all the maps share."""
    iterator = iter(maps)
    shared = dict(next(iterator, {}))
    for other in iterator:
        if not shared:
            break
        shared = {name: value for name, value in shared.items() if other.get(name) == value}
    return shared


def in_order(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Sort for people: firing first, the longest firing first; then the latest resolved."""
    return tuple(
        sorted(
            alerts,
            key=lambda alert: (
                not alert.is_firing,
                alert.starts_at if alert.is_firing else _reversed(alert.ends_at or alert.starts_at),
                alert.fingerprint,
            ),
        )
    )


def _reversed(moment: datetime) -> datetime:
    return datetime.fromtimestamp(max(0, 32_503_680_000 - moment.timestamp()), tz=moment.tzinfo)
