"""One alert: what its labels say, and in which order people read several."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from operator import attrgetter


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
    def end(self) -> datetime:
        """When it ended; of one that fires, when it began."""
        return self.ends_at or self.starts_at

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
        # Most alerts of a group differ in nothing that was shared so far, and there may be ten thousand.
        if not shared.items() <= other.items():
            shared = {name: value for name, value in shared.items() if other.get(name) == value}
    return shared


def in_order(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Sort for people: firing first, the longest firing first; then the latest resolved."""
    firing, resolved = list[Alert](), list[Alert]()
    for alert in sorted(alerts, key=attrgetter("fingerprint")):
        (firing if alert.is_firing else resolved).append(alert)
    firing.sort(key=attrgetter("starts_at"))
    resolved.sort(key=attrgetter("end"), reverse=True)
    return (*firing, *resolved)
