"""Projects and their sync windows, how they are read, and which lend their windows to others.

`windows.py` says what a window means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from bot.argocd.fields import flag, mapping, objects, pairs, text, texts
from bot.argocd.model import Destination
from bot.argocd.reading import read_key
from bot.kube.model import Json, ObjectKey


class WindowKind(StrEnum):
    """What a sync window does while it is open."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncWindow:
    """A sync window as it is written; `windows.py` says what it means."""

    kind: WindowKind | None
    """None: something else is written there."""
    schedule: str = ""
    duration: str = ""
    applications: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    manual_sync: bool = False
    time_zone: str = ""
    and_operator: bool = False
    description: str = ""
    overrun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppProject:
    """A project: where its Applications may live, go, and when they may be synced."""

    key: ObjectKey
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    windows: tuple[SyncWindow, ...] = ()
    source_namespaces: tuple[str, ...] = ()
    """Globs: where its Applications may live, beside Argo CD's own namespace."""
    source_repositories: tuple[str, ...] = ()
    destinations: tuple[Destination, ...] = ()


class Requirement(NamedTuple):
    """One expression of a label selector."""

    label: str
    operator: str
    """`In`, `NotIn`, `Exists` or `DoesNotExist`."""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalProject:
    """A project whose windows hold for others, too: those whose labels are selected."""

    project: str
    requirements: tuple[Requirement, ...] = ()


_KINDS: Final[Mapping[str, WindowKind]] = {kind.value: kind for kind in WindowKind}


def read_project(raw: Json) -> AppProject:
    """Return what is kept of a project."""
    spec = mapping(raw.get("spec"))
    return AppProject(
        key=read_key(raw),
        description=text(spec.get("description")),
        labels=pairs(mapping(raw.get("metadata")).get("labels")),
        windows=tuple([_window(each) for each in objects(spec.get("syncWindows"))]),
        source_namespaces=texts(spec.get("sourceNamespaces")),
        source_repositories=texts(spec.get("sourceRepos")),
        destinations=tuple([_destination(each) for each in objects(spec.get("destinations"))]),
    )


def read_global_projects(parsed: object) -> tuple[GlobalProject, ...]:
    """Return what the key `globalProjects` of the ConfigMap `argocd-cm` lists, once its YAML is parsed."""
    return tuple([_global_project(each) for each in objects(parsed)])


def _window(raw: Mapping[str, Any]) -> SyncWindow:
    return SyncWindow(
        kind=_KINDS.get(text(raw.get("kind"))),
        schedule=text(raw.get("schedule")),
        duration=text(raw.get("duration")),
        applications=texts(raw.get("applications")),
        namespaces=texts(raw.get("namespaces")),
        clusters=texts(raw.get("clusters")),
        manual_sync=flag(raw.get("manualSync")),
        time_zone=text(raw.get("timeZone")),
        and_operator=flag(raw.get("andOperator")),
        description=text(raw.get("description")),
        overrun=flag(raw.get("syncOverrun")),
    )


def _destination(raw: Mapping[str, Any]) -> Destination:
    return Destination(text(raw.get("server")), text(raw.get("name")), text(raw.get("namespace")))


def _global_project(raw: Mapping[str, Any]) -> GlobalProject:
    selector = mapping(raw.get("labelSelector"))
    equal = [Requirement(name, "In", (value,)) for name, value in pairs(selector.get("matchLabels")).items()]
    others = [
        Requirement(text(each.get("key")), text(each.get("operator")), texts(each.get("values")))
        for each in objects(selector.get("matchExpressions"))
    ]
    return GlobalProject(project=text(raw.get("projectName")), requirements=(*equal, *others))
