"""What else is heard again when a silence ends: a pure decision over what is known of the incidents."""

import hashlib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from bot.alerts.model.incident import Incident, IncidentNumber, Muting
from bot.alerts.model.severity import Severity, SeverityWords

_MARK_LENGTH: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is heard again once silences end, besides the incident that they are ended for."""

    alerts: int = 0
    critical: int = 0
    incidents: tuple[IncidentNumber, ...] = ()
    besides: IncidentNumber | None = None
    """The incident that they are ended for, if that is one."""
    is_exact: bool = True
    """Whether it is just as many: which alerts of an incident a silence hides is not known."""


def heard_without(
    silences: AbstractSet[str], hidden: Iterable[Incident], *, besides: Incident | None, words: SeverityWords
) -> Heard:
    """Say what is heard again without silences that hide these incidents.

    An alert of `besides` that another Alertmanager sent as well is none of something else.
    """
    own = {alert.fingerprint for alert in besides.firing} if besides is not None else set()
    number = besides.number if besides is not None else None
    alerts = critical = 0
    incidents, is_exact = [], True
    for incident in hidden:
        others = [alert for alert in incident.firing if alert.fingerprint not in own]
        if incident.number == number or not others:
            continue
        muting = incident.muting or Muting()
        quiet = len(others) if muting.is_whole else min(len(others), muting.alerts)
        alerts += quiet
        critical += min(quiet, sum(words.of(alert.labels) is Severity.CRITICAL for alert in others))
        incidents.append(incident.number)
        is_alone = silences >= set(muting.silences) and not (muting.inhibitors or muting.intervals)
        is_exact = is_exact and muting.is_whole and is_alone
    return Heard(
        alerts=alerts, critical=critical, incidents=tuple(incidents), besides=number, is_exact=is_exact
    )


def mark_of(silences: Iterable[tuple[str, str]], heard: Heard) -> str:
    """Return what tells one question from another: of other silences, or where critical alerts join.

    `silences` are sources and ids. That more of the rest is heard is no reason to ask again.
    """
    said = repr((sorted(silences), heard.critical > 0))
    return hashlib.sha256(said.encode()).hexdigest()[:_MARK_LENGTH]
