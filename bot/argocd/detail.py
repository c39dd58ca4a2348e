"""Everything that one read of one Application gives, as values: uncut, never kept of thousands.

A sync is a `SyncRequest` and the `SyncRun` that came of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.argocd.model import (
    Application,
    Condition,
    HealthStatus,
    ResourceKey,
    ResultStatus,
    Source,
    SyncPhase,
    SyncStatus,
)
from bot.kube.model import ObjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceState:
    """One resource of an Application, as the last comparison found it."""

    key: ResourceKey
    version: str = ""
    sync: SyncStatus | None = None
    """None for what is not compared, such as hooks."""
    health: HealthStatus | None = None
    """Argo CD 3 no longer writes it down here."""
    health_message: str = ""
    wave: int = 0
    hook: bool = False
    requires_pruning: bool = False
    """It runs, but no source has it any more."""
    requires_confirmation: bool = False
    """It is deleted only after somebody confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceResult:
    """What a sync did with one resource or hook. The list holds only waves that have begun."""

    key: ResourceKey
    status: ResultStatus | None = None
    """None until it is applied, and always for hooks."""
    message: str = ""
    hook_type: str = ""
    """`PreSync` and the like; empty for what is no hook."""
    hook_phase: SyncPhase | None = None
    """Filled for ordinary resources, too. Stays Running when nothing had to wait for it."""
    sync_phase: str = ""
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """A sync as it was asked for."""

    operation: str = ""
    """Our operation's id; empty when somebody else asked."""
    promotion: str = ""
    by: str = ""
    automated: bool = False
    info: tuple[tuple[str, str], ...] = ()
    revisions: tuple[str, ...] = ()
    """Empty: what the sources follow."""
    prune: bool = False
    dry_run: bool = False
    selected: tuple[ResourceKey, ...] = ()
    """Only these; an empty namespace means whichever. Empty: everything."""
    options: tuple[str, ...] = ()
    without_hooks: bool = False
    retry_limit: int = 0
    """-1: without end."""

    @property
    def only_out_of_sync(self) -> bool:
        """Tell whether resources that are in sync are left alone."""
        return "ApplyOutOfSyncOnly=true" in self.options


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRun:
    """What came of a sync so far."""

    phase: SyncPhase
    message: str = ""
    """Raw text of Argo CD's, for display: it may hold pieces of manifests."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    """Set while it runs: the attempt failed and waits for the next one."""
    retry_count: int = 0
    request: SyncRequest = SyncRequest()
    revisions: tuple[str, ...] = ()
    """What was asked for, resolved to commits."""
    results: tuple[ResourceResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """Something that was deployed."""

    id: int
    revisions: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    raw_sources: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """`source` or `sources` as they stand in the entry; neither when it has none."""
    started_at: datetime | None = None
    deployed_at: datetime | None = None
    by: str = ""
    automated: bool = False

    @property
    def is_multi_source(self) -> bool:
        """Tell whether it was deployed from a list of sources."""
        return "sources" in self.raw_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationDetail:
    """All that one read of an Application gives, uncut: what is shown of it and decided about it."""

    application: Application
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    resources: tuple[ResourceState, ...] = ()
    conditions: tuple[Condition, ...] = ()
    request: SyncRequest | None = None
    """`.operation`: there until the sync is over."""
    run: SyncRun | None = None
    """`status.operationState`."""
    history: tuple[HistoryEntry, ...] = ()
    """Newest first; the first is what runs."""
    sync_options: tuple[str, ...] = ()
    retry: Mapping[str, Any] | None = None
    """As the specification has it, to be copied into an operation."""
    hydrated: bool = False
    """Its source is derived from a hydrator's, so that no source may be named."""
    urls: tuple[str, ...] = ()
    images: tuple[str, ...] = ()

    @property
    def key(self) -> ObjectKey:
        """Which one it is."""
        return self.application.key
