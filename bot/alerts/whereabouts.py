"""Where an incident is, as the journal names places: its namespaces and Applications."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from bot.alerts.model.incident import Incident

_NAMESPACES: Final = ("namespace", "exported_namespace")
"""The second one is what Prometheus makes of the first where its own label stands in the way."""
_MOST_ALERTS: Final = 200
_MOST_PLACES: Final = 5


class Targets(Protocol):
    """Knows which Application an alert is about; answers from memory."""

    def find_app(self, labels: Mapping[str, str]) -> str | None:
        """Return the `<namespace>/<name>` of the Application that an alert with these labels is about."""
        ...


class NoTargets:
    """Stands in where nothing knows Applications."""

    def find_app(self, labels: Mapping[str, str]) -> str | None:
        """Return None."""
        del labels
        return None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where something changes or fires, as the journal names it."""

    namespaces: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether it is anywhere in particular."""
        return bool(self.namespaces or self.apps)

    def holds(self, namespace: str | None, app: str | None) -> bool:
        """Tell whether what changes there is of interest here."""
        return namespace in self.namespaces or app in self.apps


NOWHERE: Final = Whereabouts()


def whereabouts(incident: Incident, targets: Targets) -> Whereabouts:
    """Return where the firing alerts of an incident are, the most frequent places first, a few of each."""
    labels = [alert.labels for alert in islice(incident.firing or incident.alerts, _MOST_ALERTS)]
    namespaces = (each[name] for each in labels for name in _NAMESPACES if each.get(name))
    apps = (app for each in labels if (app := targets.find_app(each)))
    return Whereabouts(_most_frequent(namespaces), _most_frequent(apps))


def _most_frequent(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name, _ in Counter(names).most_common(_MOST_PLACES))
