"""What people who ask about Applications are told: values, made by the service and drawn by the cards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.argocd.detail import ApplicationDetail, HistoryEntry, ResourceState
from bot.argocd.model import Application, HealthStatus, ResourceKey, SyncStatus
from bot.argocd.sets import ApplicationSet
from bot.kube.model import ObjectKey, WatchHealth
from bot.operations.model import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which Applications somebody asks for; what is empty does not matter."""

    project: str = ""
    health: HealthStatus | None = None
    sync: SyncStatus | None = None
    text: str = ""
    """Words; each must be in the name, project, destination, a label or an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Applications, those that need somebody first."""

    wanted: Wanted
    applications: tuple[Application, ...]
    total: int
    """How many the asker may see at all."""
    troubled: int
    """How many of these are not synced or not healthy."""
    watch: WatchHealth
    """How old what is listed may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a revision is, as Argo CD's server knows it. All text is from outside."""

    revision: str
    subject: str
    author: str = ""
    at: datetime | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceHealth:
    """How one live resource is; only Argo CD's server knows."""

    status: HealthStatus
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowState:
    """A sync window that holds for an Application."""

    name: str
    """Plain: how it is written or described, and of which project it is."""
    denies: bool
    is_open: bool
    changes_at: datetime | None = None
    """When it opens or closes next."""
    allows_manual: bool = False
    problem: str = ""
    """Plain: why nobody can say when it is open; it blocks then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Whether a person may sync now, as far as sync windows go."""

    may_sync: bool
    reason: str
    """Plain, a sentence; empty where no window holds for it."""
    states: tuple[WindowState, ...] = ()
    opens_at: datetime | None = None
    """When it may be synced next, if it may not now and that is known."""
    unsure: str = ""
    """Plain: why this may not be the whole truth; empty: it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything about one Application."""

    detail: ApplicationDetail
    windows: Windows
    operation: Operation | None = None
    """What somebody asked of The Machine about it that is not over."""
    commits: tuple[Commit | None, ...] = ()
    """One for each revision; None where nobody knows."""
    resource_health: Mapping[ResourceKey, ResourceHealth] = field(default_factory=dict)
    """Empty without a server."""
    is_itself: bool = False
    """Whether it deploys this very bot."""
    url: str | None = None
    """Where people open it in Argo CD."""
    parent_is_known: bool = False
    """Whether the parent that it names is an Application that we watch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One line of a tree."""

    key: ObjectKey
    depth: int
    wave: int
    application: Application | None = None
    """None: it does not exist (yet), or is not watched."""
    is_again: bool = False
    """It stands further up already: here is a circle, or two parents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A tree of Applications, parents before children, children by wave."""

    root: Application
    branches: tuple[Branch, ...]
    """The root itself is the first."""
    above: tuple[ObjectKey, ...] = ()
    """The parents of the root, the nearest first."""
    watch: WatchHealth
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What was deployed, newest first."""

    application: Application
    entries: tuple[HistoryEntry, ...]
    commits: tuple[tuple[Commit | None, ...], ...]
    """For each entry one for each of its revisions."""
    url: str | None = None


class Change(StrEnum):
    """What a sync would do with a resource."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    """Only with pruning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDifference:
    """How one resource differs."""

    key: ResourceKey
    change: Change
    text: str
    """A unified diff of YAML, live against wanted, values of Secrets hidden; empty: see `problem`."""
    added: int = 0
    removed: int = 0
    problem: str = ""
    """Plain: why there is no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What a sync would change."""

    application: Application
    differences: tuple[ResourceDifference, ...]
    """With their texts, when Argo CD's server told."""
    named: tuple[ResourceState, ...]
    """What Argo CD says differs; all there is to say without a server."""
    compared_at: datetime | None
    """When Argo CD compared."""
    read_at: datetime
    """When we asked; further pages may be shown a while later."""
    why_only_named: str = ""
    """Safe markup, a sentence; empty where the texts are there."""
    why_unknown: str = ""
    """Safe markup, why nobody knows what differs; empty where it is known."""
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a refresh found."""

    before: Application
    after: Application
    hard: bool
    took_seconds: float
    is_done: bool
    """False: Argo CD has not answered within a minute; it may still do so."""
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListing:
    """ApplicationSets, those with errors first."""

    sets: tuple[ApplicationSet, ...]
    watch: WatchHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStanding:
    """Everything about an ApplicationSet."""

    set: ApplicationSet
    applications: tuple[Application, ...]
    """Those that it owns, the worst first."""
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRefreshed:
    """What became of the refresh of an ApplicationSet."""

    after: ApplicationSet
    is_done: bool
    took_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A choice for completion."""

    name: str
    """Plain, at most 100 characters."""
    value: str
