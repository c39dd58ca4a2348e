"""The metrics, all in one place, so that their names and meanings are read together.

Names follow https://prometheus.io/docs/practices/naming/. No label holds the id
of a person, a guild or a message.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()
"""Ours alone: the process collectors are added by the application, once."""

WEBHOOKS_RECEIVED = Counter(
    "the_machine_webhook_received",
    "Deliveries received, by source and what became of them.",
    ["source", "result"],
    registry=REGISTRY,
)
WEBHOOK_SECONDS = Histogram(
    "the_machine_webhook_duration_seconds",
    "Time from the first byte of a delivery to its answer.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)
HTTP_REFUSALS = Counter(
    "the_machine_http_refusals",
    "Requests refused before anything was stored, by reason: unauthenticated, too_large.",
    ["reason"],
    registry=REGISTRY,
)
INBOX_PENDING = Gauge(
    "the_machine_queue_depth", "Things that wait to be handled, by queue.", ["queue"], registry=REGISTRY
)
DELIVERIES_APPLIED = Counter(
    "the_machine_deliveries_applied",
    "Deliveries taken out of the inbox, by result: applied, repeat, quarantined.",
    ["result"],
    registry=REGISTRY,
)
ALERTS_ACTIVE = Gauge(
    "the_machine_alerts_active", "Incidents that are open, by severity.", ["severity"], registry=REGISTRY
)
STORMS = Counter(
    "the_machine_storm_began",
    "Storms that began, by our name of the channel.",
    ["channel"],
    registry=REGISTRY,
)
STORM_ACTIVE = Gauge(
    "the_machine_storm_active",
    "Whether incidents share messages in a channel now (1) or not (0), by our name of it.",
    ["channel"],
    registry=REGISTRY,
)
STORM_HELD = Gauge(
    "the_machine_storm_held",
    "Incidents that have a line on a digest in place of a card, by our name of the channel.",
    ["channel"],
    registry=REGISTRY,
)
DISCORD_REQUESTS = Counter(
    "the_machine_discord_requests",
    "Requests to Discord, by method and status.",
    ["method", "status"],
    registry=REGISTRY,
)
DISCORD_RATE_LIMITED = Counter(
    "the_machine_discord_rate_limited", "Answers 429 from Discord, by scope.", ["scope"], registry=REGISTRY
)
GATEWAY_CONNECTED = Gauge(
    "the_machine_gateway_connected",
    "Whether Discord's gateway is connected (1) or not (0).",
    registry=REGISTRY,
)
GATEWAY_LATENCY = Gauge(
    "the_machine_gateway_latency_seconds",
    "How long Discord's gateway took to answer the last heartbeat; NaN while it is not connected.",
    registry=REGISTRY,
)
INTERACTIONS = Counter(
    "the_machine_interactions",
    "Commands and buttons, by name and result.",
    ["command", "result"],
    registry=REGISTRY,
)
INTERACTION_SECONDS = Histogram(
    "the_machine_interaction_duration_seconds",
    "Time from a command or button to the end of its answer, by name.",
    ["command"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30),
    registry=REGISTRY,
)
OPERATIONS_ENDED = Counter(
    "the_machine_operations_ended",
    "Operations that ended, by kind and state: succeeded, failed, cancelled, superseded, lost.",
    ["kind", "state"],
    registry=REGISTRY,
)
OPERATIONS_ACTIVE = Gauge(
    "the_machine_operations_active",
    "Operations that wait or run, by state: waiting, started, progressing.",
    ["state"],
    registry=REGISTRY,
)
OPERATIONS_UNSEEN = Gauge(
    "the_machine_operations_unseen",
    "Operations that run in a system which cannot be seen now.",
    registry=REGISTRY,
)
OPERATION_SECONDS = Histogram(
    "the_machine_operations_duration_seconds",
    "Time from the start of an operation to its end, by kind.",
    ["kind"],
    buckets=(1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600),
    registry=REGISTRY,
)
AUTHORIZATION_DENIED = Counter(
    "the_machine_authorization_denied",
    "Refusals by the access policy, by action.",
    ["action"],
    registry=REGISTRY,
)
AUDIT_EVENTS = Counter(
    "the_machine_audit_events", "Journal entries written, by action.", ["action"], registry=REGISTRY
)
JOB_LAST_SUCCESS = Gauge(
    "the_machine_job_last_success_timestamp_seconds",
    "When a task of the calendar was last done: housekeeping.",
    ["task"],
    registry=REGISTRY,
)
CONFIG_RELOAD_SUCCESSFUL = Gauge(
    "the_machine_config_last_reload_successful",
    "Whether the last reload was valid (1) or not (0).",
    registry=REGISTRY,
)
CONFIG_RELOAD_SUCCESS_TIMESTAMP = Gauge(
    "the_machine_config_last_reload_success_timestamp_seconds",
    "When a configuration was last taken.",
    registry=REGISTRY,
)
LEADING = Gauge("the_machine_leading", "Whether this process leads (1) or stands by (0).", registry=REGISTRY)
LEADERSHIP_EPOCH = Gauge(
    "the_machine_leadership_epoch",
    "The epoch in which this process leads or led last; each new leader counts one further.",
    registry=REGISTRY,
)
BACKEND_UP = Gauge(
    "the_machine_backend_up",
    "Whether a system that we ask answers (1) or not (0), by its kind and name.",
    ["backend"],
    registry=REGISTRY,
)
BACKEND_SECONDS = Histogram(
    "the_machine_backend_request_duration_seconds",
    "Time until a system that we ask began to answer, by its kind.",
    ["backend"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
KUBE_REQUESTS = Counter(
    "the_machine_kube_requests",
    "Requests to the Kubernetes API, by verb, resource and status; none: there was no answer.",
    ["verb", "resource", "status"],
    registry=REGISTRY,
)
KUBE_WATCH_SYNCED = Gauge(
    "the_machine_kube_watch_synced",
    "Whether what is known of a resource is current (1) or not (0).",
    ["resource"],
    registry=REGISTRY,
)
KUBE_WATCH_CONTACT = Gauge(
    "the_machine_kube_watch_last_contact_timestamp_seconds",
    "When the cluster last said something about a resource.",
    ["resource"],
    registry=REGISTRY,
)
KUBE_WATCH_OBJECTS = Gauge(
    "the_machine_kube_watch_objects",
    "Objects that are known of a resource.",
    ["resource"],
    registry=REGISTRY,
)
KUBE_WATCH_LISTS = Counter(
    "the_machine_kube_watch_lists",
    "How often a resource was listed whole, by way: stream, pages.",
    ["resource", "way"],
    registry=REGISTRY,
)
KUBE_WATCH_FAILURES = Counter(
    "the_machine_kube_watch_failures",
    "Connections of a watch that ended as they should not, by reason: "
    "unreachable, forbidden, not_installed, expired, not_understood.",
    ["resource", "reason"],
    registry=REGISTRY,
)
_MINECRAFT_LABELS = ["server_host", "server_port", "server_edition"]
MINECRAFT_HEALTHY = Gauge(
    "minecraft_status_healthy",
    "Whether a Minecraft server is up (1) or not (0). Name and labels are mc-monitor's.",
    _MINECRAFT_LABELS,
    registry=REGISTRY,
)
MINECRAFT_SECONDS = Gauge(
    "minecraft_status_response_time_seconds",
    "Time a Minecraft server took for its status. Name and labels are mc-monitor's.",
    _MINECRAFT_LABELS,
    registry=REGISTRY,
)
MINECRAFT_PLAYERS = Gauge(
    "minecraft_status_players_online_count",
    "Players on a Minecraft server. Name and labels are mc-monitor's.",
    _MINECRAFT_LABELS,
    registry=REGISTRY,
)
MINECRAFT_MOST = Gauge(
    "minecraft_status_players_max_count",
    "Players for whom a Minecraft server has room. Name and labels are mc-monitor's.",
    _MINECRAFT_LABELS,
    registry=REGISTRY,
)
MINECRAFT_INFO = Gauge(
    "minecraft_status_info",
    "Always 1 while a Minecraft server is up; its version and our name of it are labels.",
    [*_MINECRAFT_LABELS, "server_version", "server_name"],
    registry=REGISTRY,
)
MINECRAFT_PINGS = Counter(
    "the_machine_minecraft_pings",
    "Pings of Minecraft servers, by result: answered, or why not.",
    ["result"],
    registry=REGISTRY,
)
EVENT_LOOP_LAG = Gauge(
    "the_machine_event_loop_lag_seconds", "How late the event loop last woke up.", registry=REGISTRY
)
BUILD_INFO = Gauge(
    "the_machine_build_info", "Always 1; the version is a label.", ["version"], registry=REGISTRY
)
