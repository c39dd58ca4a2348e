"""What an incident is called in words: where it is, what tells its alerts apart, where its links lead.

Plain text and addresses, nothing escaped yet; `card.py` makes markup of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from bot.alerts import extras
from bot.alerts.model.alert import Alert, Blindness
from bot.alerts.model.incident import Incident
from bot.core.matchers import Matcher, MatchOp

MOST_LISTED_BYTES = 8_000_000
"""Below the smallest limit that Discord sets an attachment (10 MiB)."""

_WORKLOADS = (
    "deployment", "statefulset", "daemonset", "cronjob", "job_name", "workload", "app",
    "app_kubernetes_io_name", "application",
)  # fmt: skip
_MACHINES = ("node", "nodename", "host", "hostname", "server", "instance", "cluster", "job", "grafana_folder")
_NAMES = ("alertname", "severity")
"""Labels of a group that say what it is and how bad, not where."""
_TELLING = (
    "alertname", "rulename", "cluster", "namespace", *_WORKLOADS, "pod", "name", "node", "nodename",
    "instance", "server", "container", "persistentvolumeclaim", "device", "mountpoint", "service", "job",
)  # fmt: skip
"""Labels that tell alerts apart, the most telling first."""
_SINGLE = ("pod", "name", "instance", "server", "container", "persistentvolumeclaim", "device", "mountpoint")
_MOST_TELLING = 2
_OF_REPLICAS = re.compile(
    # Kubernetes' own endings: `checkout-7d9f5b6c4-x2x9k`, `agent-x2x9k`, `db-0`.
    r"-(?:[bcdfghjklmnpqrstvwxz2456789]{6,10}-)?[bcdfghjklmnpqrstvwxz2456789]{5}$|-[0-9]+$"
)
_SUMMARIES = ("summary", "title", "message")
_DESCRIPTIONS = ("description", "message")
_RUNBOOKS = ("runbook_url", "runbook")
_DASHBOARDS = ("dashboard_url", "dashboard")
_ERROR = "Error"
"""The annotation in which Grafana says why it cannot evaluate a rule."""


def where(incident: Incident) -> str:
    """Return the place of an incident, `prod / checkout`; empty if its labels name none.

    Where they name none that we know, it is what tells its group from others of that name.
    """
    labels = incident.common_labels
    namespace = labels.get("namespace") or labels.get("exported_namespace", "")
    workload = _first(labels, _WORKLOADS) or _workload_of_pods(incident.firing or incident.alerts)
    parts = [part for part in (namespace, workload) if part]
    return " / ".join(parts) or _first(labels, _MACHINES) or _group(incident)


def _group(incident: Incident) -> str:
    labels = extras.shown(incident.group_labels)
    values = [value for name, value in sorted(labels.items()) if value and name not in _NAMES]
    # Of alerts with different names the labels of the group are the title.
    return "" if ", ".join(labels.values()) == incident.title else " / ".join(values)


def _workload_of_pods(alerts: Sequence[Alert]) -> str:
    names = {_OF_REPLICAS.sub("", alert.labels.get("pod", "")) for alert in alerts}
    return names.pop() if len(names) == 1 else ""


def identities(alerts: Sequence[Alert], *, known: str) -> list[tuple[str, ...]]:
    """Return for each alert the values of the labels that tell it from the others, at most two.

    A single alert has what names its subject, unless `known` says that already.
    """
    if len(alerts) == 1:
        values = (alerts[0].labels.get(name, "") for name in _SINGLE)
        return [tuple(value for value in values if value and value not in known)[:_MOST_TELLING]]
    names = _telling_names(alerts)
    return [tuple(alert.labels.get(name, "") or "-" for name in names) for alert in alerts]


def _telling_names(alerts: Sequence[Alert]) -> list[str]:
    chosen: list[str] = []
    told_apart = 1
    for name in _differing(alerts):
        distinct = len({tuple(alert.labels.get(each) for each in (*chosen, name)) for alert in alerts})
        if distinct > told_apart:
            chosen.append(name)
            told_apart = distinct
        if told_apart == len(alerts) or len(chosen) == _MOST_TELLING:
            break
    return chosen


def _differing(alerts: Sequence[Alert]) -> list[str]:
    names = {name for alert in alerts for name in alert.labels}
    differing = {name for name in names if len({alert.labels.get(name) for alert in alerts}) > 1}
    ranks = {name: rank for rank, name in enumerate(_TELLING)}
    everywhere = {name for name in differing if all(alert.labels.get(name) for alert in alerts)}
    return sorted(differing, key=lambda name: (name not in everywhere, ranks.get(name, len(ranks)), name))


def summary(incident: Incident) -> str:
    """Return what is wrong in the alert's own words; where each alert has its own, the first such.

    What stands in for the alert of a rule carries that rule's words, which would be untrue.
    """
    match incident.blindness:
        case Blindness.ERROR:
            why = (_first(alert.annotations, (_ERROR,)) for alert in incident.alerts)
            return next(filter(None, why), "Grafana does not say why.")
        case Blindness.NO_DATA:
            return "The query returns nothing, so nobody can say whether it should fire."
        case None:
            pass
    own = (_first(alert.annotations, _SUMMARIES) for alert in incident.alerts if alert.blindness is None)
    return _first(incident.common_annotations, _SUMMARIES) or next(filter(None, own), "")


def description(incident: Incident) -> str:
    """Return what more its alerts say together; empty if it is what the summary says."""
    if incident.blindness is not None:
        return ""
    said = _first(incident.common_annotations, _DESCRIPTIONS)
    return "" if said == summary(incident) else said


def links(incident: Incident) -> Iterator[tuple[str, str]]:
    """Yield what a person may want to open: a word and an address, which may be anything yet."""
    each = [alert.annotations for alert in incident.alerts]
    annotations = extras.shown(incident.common_annotations) or (each[0] if each else {})
    yield "runbook", _first(annotations, _RUNBOOKS)
    yield "dashboard", _first(annotations, _DASHBOARDS) or _first_of(each, extras.DASHBOARD)
    yield "panel", _first_of(each, extras.PANEL)
    yield "query", next((alert.generator_url for alert in incident.alerts if alert.generator_url), "")
    yield "silence", _silence_url(incident)
    yield "image", extras.first_https(each, extras.IMAGE)


def _first_of(each: Iterable[Mapping[str, str]], name: str) -> str:
    return next((annotations[name] for annotations in each if annotations.get(name)), "")


def _silence_url(incident: Incident) -> str:
    told = incident.firing or incident.alerts
    of_grafana = extras.shared_silence_url(alert.annotations for alert in told)
    if of_grafana is not None:
        return of_grafana
    return silence_url(incident.external_url, incident.common_labels)


def silence_url(external_url: str, labels: Mapping[str, str]) -> str:
    """Return the address of Alertmanager's form for a silence of these labels; empty without labels.

    It is never shortened by leaving labels out: that would silence more.
    """
    if not external_url or not labels:
        return ""
    matchers = (str(Matcher(name, MatchOp.EQUAL, value)) for name, value in sorted(labels.items()) if name)
    encoded = quote("{" + ", ".join(matchers) + "}", safe="", errors="replace")
    return f"{external_url.rstrip('/')}/#/silences/new?filter={encoded}"


def listing(incident: Incident, *, now: datetime) -> bytes:
    """Return everything that is known of its alerts as a text file, firing ones first."""
    lines = [f"#{incident.number} {incident.title}, as of {_written(now)}"]
    if incident.truncated:
        lines.append(f"The sender cut {incident.truncated} more alerts off its last message.")
    listed = [("\n".join(lines) + "\n").encode("utf-8", "replace")]
    left = MOST_LISTED_BYTES - len(listed[0]) - 100
    for place, alert in enumerate(incident.alerts):
        entry = _entry(place + 1, alert).encode("utf-8", "replace")
        left -= len(entry)
        if left < 0:
            listed.append(f"\n… and {len(incident.alerts) - place} more, too long for a file.\n".encode())
            break
        listed.append(entry)
    return b"".join(listed)


def _entry(place: int, alert: Alert) -> str:
    until = f" until {_written(alert.ends_at)}" if alert.ends_at else ""
    lines = [f"\n{place}. {alert.status.upper()} since {_written(alert.starts_at)}{until}"]
    lines += _items("labels", alert.labels)
    lines += _items("annotations", alert.annotations)
    if alert.generator_url:
        lines.append(f"   query: {alert.generator_url}")
    return "\n".join(lines) + "\n"


def _items(heading: str, items: Mapping[str, str]) -> Iterator[str]:
    if items:
        yield f"   {heading}:"
    for name, value in sorted(items.items()):
        yield f"     {name}: " + value.replace("\n", "\n       ")


def _written(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")


def _first(texts: Mapping[str, str], names: Iterable[str]) -> str:
    return next((texts[name] for name in names if texts.get(name, "").strip()), "")
