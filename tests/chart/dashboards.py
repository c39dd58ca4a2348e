"""Draws the dashboards of `chart/dashboards`: rows of panels, each a title, what it says and its queries."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.helm import CHART

FOLDER = CHART / "dashboards"

_WIDTH = 24
_ROW_HEIGHT = 8
_STAT_HEIGHT = 4
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_HERE = 'namespace=~"$namespace", job=~"$job"'


@dataclass(frozen=True)
class Query:
    """An expression, in which `@` stands for the installation that is looked at."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    mappings: dict[str, tuple[str, str]] = field(default_factory=dict)
    """For a stat: what a value is called, and its colour."""
    stacked: bool = False


@dataclass(frozen=True)
class Dashboard:
    """Panels, in rows."""

    name: str
    title: str
    rows: tuple[tuple[Panel, ...], ...]


def stat(title: str, description: str, expression: str, **options: Any) -> Panel:
    return Panel(title, description, (Query(expression),), kind="stat", **options)


def line(title: str, description: str, *queries: tuple[str, str], **options: Any) -> Panel:
    return Panel(title, description, tuple(Query(*query) for query in queries), **options)


def quantiles(metric: str, by: str = "") -> tuple[tuple[str, str], ...]:
    """The median and the slowest of a hundred."""
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple(
        (
            f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{@}}[$__rate_interval])))",
            f"p{p}{legend}",
        )
        for q, p in ((0.5, 50), (0.99, 99))
    )


def rate(metric: str, by: str, extra: str = "") -> tuple[str, str]:
    legend = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    inside = f"@, {extra}" if extra else "@"
    return f"sum by ({by}) (rate({metric}{{{inside}}}[$__rate_interval]))", legend


YES_NO = {"1": ("yes", "green"), "0": ("no", "red")}

# A process that has not led yet says 0.
_LED_ANEW = (
    "max(max_over_time(the_machine_leadership_epoch{@}[1h]))"
    " - max(the_machine_leadership_epoch{@} offset 1h > 0)"
)

BOT = Dashboard(
    "the-machine",
    "The Machine",
    (
        (
            stat(
                "Connected to Discord",
                "Of the process that leads.",
                "max(the_machine_gateway_connected{@})",
                mappings=YES_NO,
            ),
            stat(
                "Processes that lead",
                "Exactly one should.",
                "sum(the_machine_leading{@})",
                mappings={"0": ("nobody", "red"), "1": ("one", "green")},
            ),
            stat("Processes", "All accept webhooks.", "count(the_machine_build_info{@})"),
            stat(
                "Configuration",
                "Whether the last change was valid.",
                "min(the_machine_config_last_reload_successful{@})",
                mappings={"1": ("valid", "green"), "0": ("refused", "red")},
            ),
            stat(
                "Open incidents",
                "By all severities.",
                "sum(max by (severity) (the_machine_alerts_active{@}))",
            ),
            stat(
                "Cards that wait",
                "For Discord to take them.",
                'max(the_machine_queue_depth{@, queue="courier"})',
            ),
        ),
        (
            line(
                "Who leads",
                "1: this process. Two at once cannot both write.",
                ("the_machine_leading{@}", "{{instance}}"),
                stacked=True,
            ),
            line(
                "The lead was taken",
                "Times in an hour; each begins an epoch. A restart is one too.",
                (_LED_ANEW, "times"),
            ),
            line(
                "Discord's gateway",
                "Until it answered the last heartbeat.",
                ("max(the_machine_gateway_latency_seconds{@})", "latency"),
                unit="s",
            ),
        ),
        (
            line(
                "Requests to Discord",
                "By method and status.",
                rate("the_machine_discord_requests_total", "method, status"),
            ),
            line(
                "Slowed down by Discord",
                "Answers 429, by scope. It should be nothing.",
                rate("the_machine_discord_rate_limited_total", "scope"),
            ),
        ),
        (
            line("Commands and buttons", "By name.", rate("the_machine_interactions_total", "command")),
            line(
                "How they ended", "By result.", rate("the_machine_interactions_total", "result"), stacked=True
            ),
            line(
                "How long they took",
                "To the end of the answer; Discord waits 3 s for its beginning.",
                *quantiles("the_machine_interaction_duration_seconds"),
                unit="s",
            ),
        ),
        (
            line(
                "Operations that wait or run",
                "By state.",
                ("max by (state) (the_machine_operations_active{@})", "{{state}}"),
            ),
            line(
                "Operations that ended",
                "By kind and state.",
                (
                    "sum by (kind, state) (increase(the_machine_operations_ended_total{@}[$__rate_interval]))",
                    "{{kind}} {{state}}",
                ),
            ),
            line(
                "How long operations take",
                "By kind.",
                *quantiles("the_machine_operations_duration_seconds", "kind"),
                unit="s",
            ),
        ),
        (
            line(
                "Systems that are asked",
                "1: it answers.",
                ("max by (backend) (the_machine_backend_up{@})", "{{backend}}"),
            ),
            line(
                "How long they take",
                "Until they begin to answer.",
                *quantiles("the_machine_backend_request_duration_seconds", "backend"),
                unit="s",
            ),
        ),
        (
            line(
                "Requests to Kubernetes",
                "By verb and status.",
                rate("the_machine_kube_requests_total", "verb, status"),
            ),
            line(
                "Objects that are known",
                "By resource.",
                ("max by (resource) (the_machine_kube_watch_objects{@})", "{{resource}}"),
            ),
            line(
                "Since the cluster last spoke",
                "By resource; a quiet one says something each minute.",
                (
                    "time() - max by (resource) (the_machine_kube_watch_last_contact_timestamp_seconds{@})",
                    "{{resource}}",
                ),
                unit="s",
            ),
            line(
                "Watches that broke",
                "By reason.",
                rate("the_machine_kube_watch_failures_total", "resource, reason"),
            ),
        ),
        (
            line(
                "Memory",
                "Resident, by process.",
                ("process_resident_memory_bytes{@}", "{{instance}}"),
                unit="bytes",
            ),
            line(
                "Processor",
                "Seconds in a second, by process.",
                ("rate(process_cpu_seconds_total{@}[$__rate_interval])", "{{instance}}"),
            ),
            line(
                "How late the event loop is",
                "By process.",
                ("the_machine_event_loop_lag_seconds{@}", "{{instance}}"),
                unit="s",
            ),
        ),
        (
            line(
                "Refused by the access policy",
                "By action.",
                (
                    "sum by (action) (increase(the_machine_authorization_denied_total{@}[$__rate_interval]))",
                    "{{action}}",
                ),
            ),
            line(
                "Written into the journal",
                "By action.",
                (
                    "sum by (action) (increase(the_machine_audit_events_total{@}[$__rate_interval]))",
                    "{{action}}",
                ),
            ),
        ),
    ),
)

ALERTS = Dashboard(
    "the-machine-alerts",
    "The Machine: alerts",
    (
        (
            stat(
                "Open incidents",
                "By all severities.",
                "sum(max by (severity) (the_machine_alerts_active{@}))",
            ),
            stat("Critical", "Open ones.", 'max(the_machine_alerts_active{@, severity="critical"})'),
            stat(
                "Storms now",
                "Channels in which incidents share messages.",
                "sum(max by (channel) (the_machine_storm_active{@}))",
            ),
            stat(
                "Storms in a day",
                "Storms that began.",
                "sum(increase(the_machine_storm_began_total{@}[24h]))",
            ),
        ),
        (
            line(
                "Open incidents",
                "By severity.",
                ("max by (severity) (the_machine_alerts_active{@})", "{{severity}}"),
                stacked=True,
            ),
        ),
        (
            line(
                "Incidents without a message of their own",
                "In a storm, by channel.",
                ("max by (channel) (the_machine_storm_held{@})", "{{channel}}"),
            ),
            line(
                "What people did",
                "Acknowledged, silenced, resolved: the journal, by action.",
                (
                    'sum by (action) (increase(the_machine_audit_events_total{@, action=~"alerts:.*"}[$__rate_interval]))',
                    "{{action}}",
                ),
            ),
        ),
    ),
)

DELIVERIES = Dashboard(
    "the-machine-deliveries",
    "The Machine: deliveries",
    (
        (
            stat(
                "Accepted in a minute",
                "Deliveries that were committed and answered 200.",
                'sum(rate(the_machine_webhook_received_total{@, result="accepted"}[$__rate_interval])) * 60',
            ),
            stat("Wait to be applied", "In the inbox.", 'max(the_machine_queue_depth{@, queue="inbox"})'),
            stat("Wait for Discord", "Messages.", 'max(the_machine_queue_depth{@, queue="courier"})'),
            stat(
                "Quarantined in a day",
                "Deliveries that could not be understood.",
                'sum(increase(the_machine_deliveries_applied_total{@, result="quarantined"}[24h]))',
            ),
        ),
        (
            line(
                "Deliveries",
                "By source and what became of them.",
                rate("the_machine_webhook_received_total", "source, result"),
            ),
            line(
                "Time until the answer",
                "From the first byte.",
                *quantiles("the_machine_webhook_duration_seconds"),
                unit="s",
            ),
        ),
        (
            line("Applied", "By result.", rate("the_machine_deliveries_applied_total", "result")),
            line("Queues", "Things that wait.", ("max by (queue) (the_machine_queue_depth{@})", "{{queue}}")),
        ),
        (
            line(
                "Refused",
                "Before anything was kept, by reason.",
                rate("the_machine_http_refusals_total", "reason"),
            ),
            line(
                "Slowed down by Discord",
                "Answers 429, by scope.",
                rate("the_machine_discord_rate_limited_total", "scope"),
            ),
        ),
    ),
)

_SERVER = "server_host, server_port, server_edition"
_ADDRESS = "{{server_host}}:{{server_port}}"
MINECRAFT = Dashboard(
    "the-machine-minecraft",
    "The Machine: Minecraft",
    (
        (
            stat(
                "Servers that are up",
                "Of those that are watched.",
                f"sum(max by ({_SERVER}) (minecraft_status_healthy{{@}}))",
            ),
            stat(
                "Servers",
                "That are watched.",
                f"count(max by ({_SERVER}) (minecraft_status_healthy{{@}}))",
            ),
            stat(
                "Players",
                "On all servers.",
                f"sum(max by ({_SERVER}) (minecraft_status_players_online_count{{@}}))",
            ),
        ),
        (
            line(
                "Players",
                "By server.",
                (f"max by ({_SERVER}) (minecraft_status_players_online_count{{@}})", _ADDRESS),
            ),
            line(
                "Up",
                "1: it answers.",
                (f"max by ({_SERVER}) (minecraft_status_healthy{{@}})", _ADDRESS),
            ),
        ),
        (
            line(
                "Time until the answer",
                "Of the last one, by server.",
                (f"max by ({_SERVER}) (minecraft_status_response_time_seconds{{@}})", _ADDRESS),
                unit="s",
            ),
            line(
                "How servers are asked",
                "By what became of it.",
                rate("the_machine_minecraft_pings_total", "result"),
            ),
        ),
    ),
)

ALL = (BOT, ALERTS, DELIVERIES, MINECRAFT)


def drawn(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana imports it."""
    body = {
        "uid": dashboard.name,
        "title": dashboard.title,
        "tags": ["the-machine"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_datasource(), _variable("namespace"), _variable("job")]},
        "links": [
            {"type": "dashboards", "title": "The Machine", "tags": ["the-machine"], "asDropdown": True}
        ],
        "panels": list(_panels(dashboard)),
    }
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _variable(label: str) -> dict[str, Any]:
    query = f"label_values(the_machine_build_info, {label})"
    return {
        "name": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": label},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    top, number = 0, 0
    for row in dashboard.rows:
        height = _STAT_HEIGHT if all(panel.kind == "stat" for panel in row) else _ROW_HEIGHT
        width = _WIDTH // len(row)
        for index, panel in enumerate(row):
            number += 1
            yield {
                "id": number,
                "title": panel.title,
                "description": panel.description,
                "type": panel.kind,
                "datasource": _SOURCE,
                "gridPos": {"x": index * width, "y": top, "w": width, "h": height},
                "targets": [_target(query, index) for index, query in enumerate(panel.queries)],
                "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
                "options": _options(panel),
            }
        top += height


def _target(query: Query, index: int) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + index),
        "datasource": _SOURCE,
        "expr": query.expression.replace("@", _HERE),
        "legendFormat": query.legend or "__auto",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.mappings:
        options = {
            value: {"text": text, "color": colour, "index": index}
            for index, (value, (text, colour)) in enumerate(panel.mappings.items())
        }
        found["mappings"] = [{"type": "value", "options": options}]
    if panel.stacked:
        found["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    return found


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"}
    return {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
