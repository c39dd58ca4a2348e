"""What is kept of each Application that is watched, as values: short and bounded, for there are thousands.

What one read of a single Application gives beside that is in `detail.py`; what is
shown or decided about a single one uses that. Projects and ApplicationSets are in
modules of their own. How an Application is read from the API's JSON is in
`reading.py`, and what follows from it is in the modules beside it.

Argo CD calls everything that it does to an Application an operation; here that is
a sync, because an operation is something that a person asked The Machine for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from bot.kube.model import ObjectKey

OPERATION_ID: Final = "the-machine/id"
"""The name under which our operation's id stands in the information of a sync."""
WORKLOAD_KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
"""What an alert names and an Application owns; their pods and jobs are found through them."""


class HealthStatus(StrEnum):
    """How an Application is, best first: in the order that Argo CD itself uses."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"

    @property
    def badness(self) -> int:
        """The place in that order: 0 is the best."""
        return _HEALTH_ORDER[self]


class SyncStatus(StrEnum):
    """Whether what runs is what the sources say, best first."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"

    @property
    def badness(self) -> int:
        """The place in that order: 0 is the best."""
        return _SYNC_ORDER[self]


class SyncPhase(StrEnum):
    """How far a sync is, as a whole or for one of its resources and hooks."""

    RUNNING = "Running"
    TERMINATING = "Terminating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """A resource or a hook failed, or it was terminated."""
    ERROR = "Error"
    """It could not even be tried: specification, repository, project, permissions."""
    UNKNOWN = "Unknown"
    """Something that this version of us does not know; never final."""

    @property
    def is_final(self) -> bool:
        """Tell whether nothing comes after it."""
        return self in {SyncPhase.SUCCEEDED, SyncPhase.FAILED, SyncPhase.ERROR}


def was_terminated(phase: SyncPhase, message: str) -> bool:
    """Tell whether somebody ended a sync. One that took longer than Argo CD lets any take has failed."""
    is_ended = phase is SyncPhase.FAILED and message.startswith(_TERMINATED)
    return is_ended and not message.startswith(f"{_TERMINATED}{_BY_A_LIMIT}")


class ResultStatus(StrEnum):
    """What a sync did with one resource."""

    SYNCED = "Synced"
    SYNC_FAILED = "SyncFailed"
    PRUNED = "Pruned"
    PRUNE_SKIPPED = "PruneSkipped"


_TERMINATED: Final = "Operation terminated"
_ERRORS: Final = frozenset({"ComparisonError", "InvalidSpecError"})
_BY_A_LIMIT: Final = ", triggered by "

_HEALTH_ORDER: Final = {status: place for place, status in enumerate(HealthStatus)}
_SYNC_ORDER: Final = {status: place for place, status in enumerate(SyncStatus)}


class ResourceKey(NamedTuple):
    """Which resource, inside one cluster; the version is left out, as Argo CD does when it compares."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = f"{self.group}/{self.kind}" if self.group else self.kind
        return f"{kind}/{self.name}"


class Workload(NamedTuple):
    """Something that runs pods."""

    kind: str
    namespace: str
    name: str


class Child(NamedTuple):
    """An Application that another one applies."""

    key: ObjectKey
    wave: int


class Destination(NamedTuple):
    """Where an Application goes. Of `server` and `name` of the cluster mostly only one is written down."""

    server: str
    name: str
    namespace: str

    @property
    def cluster(self) -> str:
        """The cluster, by its name if it has one."""
        return self.name or self.server


class AutoSync(NamedTuple):
    """Whether Argo CD syncs by itself, and what it may do then."""

    enabled: bool = False
    prune: bool = False
    self_heal: bool = False
    allow_empty: bool = False


NO_AUTO_SYNC: Final = AutoSync()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place that manifests come from. A chart has no path, a mere reference has neither."""

    repository: str
    path: str = ""
    chart: str = ""
    target_revision: str = ""
    """What is followed: a branch, a tag, a commit, a range of versions; empty means HEAD."""
    ref: str = ""
    name: str = ""

    @property
    def what(self) -> str:
        """The shortest text that tells this source from the others of its Application."""
        return self.name or self.chart or self.path or self.ref or self.repository


class Condition(NamedTuple):
    """Something that is wrong; it is there as long as it is true."""

    type: str
    message: str
    since: datetime | None


class Deployed(NamedTuple):
    """The last entry of the history: what runs now."""

    id: int
    revisions: tuple[str, ...]
    at: datetime | None


class Earlier(NamedTuple):
    """An entry of the history in short, to choose from."""

    id: int
    revision: str
    """Cut to what people say."""
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSummary:
    """The last sync, running or over, in short."""

    phase: SyncPhase
    message: str = ""
    """Cut; raw text of Argo CD's, which may hold pieces of manifests."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    """Set while it runs: the attempt failed and waits for the next one."""
    retry_count: int = 0
    by: str = ""
    """The user name that it was started with; empty when Argo CD did it by itself."""
    automated: bool = False
    operation: str = ""
    """Our operation's id; empty when somebody else started it."""
    promotion: str = ""
    """The Kargo promotion that started it."""
    revisions: tuple[str, ...] = ()
    dry_run: bool = False
    selective: bool = False
    """Only some resources were asked for."""
    applied_in_part: bool = False
    """It did not succeed, and applied something all the same."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more comes of it."""
        return self.phase.is_final


class Waiting(NamedTuple):
    """What stands in `.operation`: a sync that was asked for; gone when it is over."""

    operation: str
    """Our operation's id; empty when somebody else asked."""
    by: str
    automated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What is kept in memory of each Application: enough to find, list, route and follow it.

    Texts are cut and lists bounded; what decides about one Application reads its
    `ApplicationDetail` first.
    """

    key: ObjectKey
    project: str
    destination: Destination
    sources: tuple[Source, ...] = ()
    multi_source: bool = False
    """Written as a list of sources, of which there may still be only one."""
    sync: SyncStatus = SyncStatus.UNKNOWN
    health: HealthStatus = HealthStatus.UNKNOWN
    health_since: datetime | None = None
    revisions: tuple[str, ...] = ()
    """What it was compared with, one per source."""
    deployed: Deployed | None = None
    packed_history: str = ""
    """See `earlier`."""
    reconciled_at: datetime | None = None
    """When the comparison that this tells of began."""
    conditions: tuple[Condition, ...] = ()
    last_sync: SyncSummary | None = None
    waiting: Waiting | None = None
    auto_sync: AutoSync = NO_AUTO_SYNC
    application_set: str = ""
    """The ApplicationSet of the same namespace that owns it."""
    parent: ObjectKey | None = None
    """The Application that applied it, from its tracking annotation."""
    wave: int = 0
    """Its own sync wave, among the children of its parent."""
    children: tuple[Child, ...] = ()
    child_sets: tuple[Child, ...] = ()
    """The ApplicationSets that it applies, whose Applications are its children, too."""
    resources: int = 0
    out_of_sync: int = 0
    out_of_sync_names: tuple[str, ...] = ()
    """The first few."""
    to_prune: int = 0
    images: tuple[str, ...] = ()
    """The first few."""
    packed_workloads: str = ""
    """See `workloads`; one text takes a fifth of the room."""
    labels: tuple[tuple[str, str], ...] = ()
    """The first few, sorted."""
    controller_namespace: str = ""
    """Where the Argo CD is that looks after it."""
    kargo_stage: str = ""
    """The Kargo stages that may change it, as its annotation names them."""
    refresh: str = ""
    """`normal` or `hard` while a refresh is asked for."""
    skips_reconcile: bool = False
    deleting: bool = False
    resource_version: str = field(default="", compare=False)

    @property
    def workloads(self) -> Iterator[Workload]:
        """What it owns that runs pods."""
        for line in self.packed_workloads.split():
            kind, namespace, name = line.split("/")
            yield Workload(WORKLOAD_KINDS[int(kind)], namespace, name)

    def owns(self, workload: Workload) -> bool:
        """Tell whether it owns this, as far as is kept."""
        return pack_workloads((workload,)) in self.packed_workloads.split()

    @property
    def earlier(self) -> Iterator[Earlier]:
        """What ran before, the newest first; the last few."""
        for entry in self.packed_history.split():
            number, revision, seconds = entry.split("/")
            at = datetime.fromtimestamp(int(seconds), UTC) if seconds else None
            yield Earlier(int(number), revision, at)

    @property
    def revision(self) -> str:
        """What it was compared with: of its first source, where it has several."""
        return next((revision for revision in self.revisions if revision), "")

    @property
    def is_syncing(self) -> bool:
        """Tell whether a sync runs or was asked for."""
        return self.waiting is not None or (self.last_sync is not None and not self.last_sync.is_over)

    @property
    def error(self) -> Condition | None:
        """Why Argo CD cannot work out what it should be; None: it can."""
        return next((each for each in self.conditions if each.type in _ERRORS), None)

    @property
    def badness(self) -> tuple[int, int]:
        """How much it needs somebody's attention; sorts the worst last."""
        return max(self.health.badness, self.sync.badness), self.health.badness + self.sync.badness


def pack_workloads(workloads: Iterable[Workload]) -> str:
    """Return workloads as `Application` keeps them: the place of the kind stands for it.

    No part of a name has a slash or white space in it.
    """
    return "\n".join(
        f"{WORKLOAD_KINDS.index(workload.kind)}/{workload.namespace}/{workload.name}"
        for workload in workloads
    )


def access_targets(application: Application, labels: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return what grants can name to mean this Application.

    `labels` are all it has, of its `ApplicationDetail`: who may act is never
    decided by the few that are kept.
    """
    known = dict(application.labels) if labels is None else labels
    return (
        f"app:{application.key}",
        f"project:{application.project}",
        f"namespace:{application.destination.namespace}",
        *(f"label:{name}={value}" for name, value in sorted(known.items())),
    )
