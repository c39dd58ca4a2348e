"""Read projects, and which of them lend their sync windows to others."""

from collections.abc import Mapping
from typing import Any, Final

from bot.argocd.fields import flag, mapping, objects, pairs, text, texts
from bot.argocd.model import AppProject, Destination, GlobalProject, Requirement, SyncWindow, WindowKind
from bot.argocd.reading import read_key
from bot.kube.model import Json

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
