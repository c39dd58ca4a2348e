"""What one sync has to do, in which order: hooks before and after, waves, and what is to be pruned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.demo.cluster.failures import Json
from bot.demo.cluster.live import Running
from bot.demo.cluster.repositories import Piece, ResourceKey

PHASES = ("PreSync", "Sync", "PostSync", "SyncFail")
_KIND_ORDER = (
    "Namespace",
    "NetworkPolicy",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "CustomResourceDefinition",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "Ingress",
)


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do."""

    key: ResourceKey
    piece: Piece
    phase: str
    wave: int
    is_prune: bool = False

    @property
    def is_hook(self) -> bool:
        """Whether it is there for its work and not to stay."""
        return bool(self.piece.hook)

    @property
    def step(self) -> tuple[int, int]:
        """The phase and the wave, to be compared."""
        return PHASES.index(self.phase), self.wave

    @property
    def order(self) -> tuple[Any, ...]:
        """The place among all tasks."""
        kinds = _KIND_ORDER.index(self.key.kind) if self.key.kind in _KIND_ORDER else len(_KIND_ORDER)
        return (*self.step, not self.is_prune, kinds, self.key.name)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a sync was asked to be done."""

    prune: bool
    dry_run: bool
    with_hooks: bool
    only: frozenset[ResourceKey] | None
    """The resources of a selective sync."""
    names: frozenset[str]
    """`ApplyOutOfSyncOnly=true` and the like."""


def read_options(sync: Mapping[str, Any], namespace: str) -> SyncOptions:
    """Read `operation.sync` of an Application that is deployed to a namespace."""
    strategy = sync.get("syncStrategy") or {}
    only = sync.get("resources") or ()
    return SyncOptions(
        prune=bool(sync.get("prune")),
        dry_run=bool(sync.get("dryRun")),
        with_hooks="apply" not in strategy and not only,
        only=frozenset(_key_of(one, namespace) for one in only) if only else None,
        names=frozenset(sync.get("syncOptions") or ()),
    )


def _key_of(one: Json, namespace: str) -> ResourceKey:
    return ResourceKey(one.get("group", ""), one["kind"], one.get("namespace") or namespace, one["name"])


def plan(pieces: Mapping[ResourceKey, Piece], running: Running, options: SyncOptions) -> list[Task]:
    """Return the tasks of a sync in their order."""
    tasks = [
        Task(key, piece, piece.hook or "Sync", piece.wave)
        for key, piece in pieces.items()
        if options.with_hooks or not piece.hook
    ]
    tasks += _prunes(pieces, running, options, tasks)
    if options.only is not None:
        tasks = [task for task in tasks if task.key in options.only]
    return sorted(tasks, key=lambda task: task.order)


def _prunes(
    pieces: Mapping[ResourceKey, Piece], running: Running, options: SyncOptions, others: Sequence[Task]
) -> list[Task]:
    extra = [
        Task(key, live.piece, "Sync", live.piece.wave, is_prune=True)
        for key, live in running.resources.items()
        if key not in pieces
    ]
    if "PruneLast=true" in options.names:
        last = max((task.wave for task in others if task.phase == "Sync"), default=0) + 1
        return [replace(task, wave=last) for task in extra]
    # What came up last goes down first.
    waves = sorted({task.wave for task in extra})
    turned = dict(zip(waves, reversed(waves), strict=True))
    return [replace(task, wave=turned[task.wave]) for task in extra]


def differs(task: Task, running: Running) -> bool:
    """Say whether a task would change anything."""
    live = running.resources.get(task.key)
    return task.is_hook or task.is_prune or live is None or live.drifted or live.piece != task.piece
