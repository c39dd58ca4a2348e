"""Finds the Application that an alert is about, from its labels and what Applications own.

A wrong Application is worse than none: where several could be meant, none is named.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

from bot.argocd.model import WORKLOAD_KINDS, Application, Workload
from bot.kube.model import ObjectKey

_INSTANCE_LABELS: Final = (
    "argocd_app",
    "argocd_application",
    "argocd_argoproj_io_instance",
    "label_argocd_argoproj_io_instance",
    "argocd.argoproj.io/instance",
)
"""These hold the name of an Application, or `<namespace>_<name>`, and nothing else."""
_RELEASE_LABELS: Final = (
    "app_kubernetes_io_instance",
    "label_app_kubernetes_io_instance",
    "app.kubernetes.io/instance",
)
"""These often do, but may be the name of a chart's release."""
_ARGO_LABELS: Final = frozenset({"dest_server", "dest_namespace", "autosync_enabled", "sync_status"})
"""Of Argo CD's own metrics, whose `name` is an Application."""
_KIND_LABELS: Final[Mapping[str, str]] = {kind.lower(): kind for kind in WORKLOAD_KINDS}

# The letters that Kubernetes makes up names from; a pod's last part has five of them.
_MADE_UP: Final = "[bcdfghjklmnpqrstvwxz2456789]"
_PODS: Final = (
    ("Deployment", re.compile(rf"(.+)-{_MADE_UP}{{1,10}}-{_MADE_UP}{{5}}")),
    ("StatefulSet", re.compile(r"(.+)-[0-9]{1,6}")),
    ("DaemonSet", re.compile(rf"(.+)-{_MADE_UP}{{5}}")),
    ("CronJob", re.compile(rf"(.+)-[0-9]{{8,10}}-{_MADE_UP}{{5}}")),
)
_JOB: Final = re.compile(r"(.+)-[0-9]{8,10}")


class Known(Protocol):
    """The Applications that are known at this moment; what watches them is one."""

    def find(self, key: ObjectKey) -> Application | None:
        """Return one."""


class Owners:
    """Which Application owns what: found by namespace and by name, for there may be thousands."""

    def __init__(self, known: Known) -> None:
        """Take what knows the Applications; `change` must be told of each that it has already."""
        self._known = known
        self._by_namespace: dict[str, dict[ObjectKey, None]] = {}
        self._by_name: dict[str, tuple[ObjectKey, ...]] = {}

    def change(self, key: ObjectKey, old: Application | None, new: Application | None) -> None:
        """Take in that an Application is new, different or gone."""
        before, after = _namespaces(old), _namespaces(new)
        for namespace in before - after:
            there = self._by_namespace.get(namespace, {})
            there.pop(key, None)
            if not there:
                self._by_namespace.pop(namespace, None)
        for namespace in after - before:
            self._by_namespace.setdefault(namespace, {})[key] = None
        others = tuple(each for each in self._by_name.get(key.name, ()) if each != key)
        if new is not None:
            self._by_name[key.name] = (*others, key)
        elif others:
            self._by_name[key.name] = others
        else:
            self._by_name.pop(key.name, None)

    def find(self, labels: Mapping[str, str]) -> ObjectKey | None:
        """Return the Application that an alert with these labels is about, if it can only be one.

        First what names an Application, then what names something that one owns,
        then the only Application of a namespace.
        """
        namespace = labels.get("exported_namespace") or labels.get("namespace") or ""
        beside = self._beside(namespace)
        candidates = (
            self._named(labels) or _released(labels, beside) or _owning(labels, namespace, beside) or beside
        )
        if len(candidates) > 1:
            candidates = _in_cluster(candidates, labels.get("cluster", ""))
        return candidates[0].key if len(candidates) == 1 else None

    def _beside(self, namespace: str) -> list[Application]:
        return self._found(self._by_namespace.get(namespace, ()))

    def _called(self, name: str) -> list[Application]:
        return self._found(self._by_name.get(name, ()))

    def _found(self, keys: Iterable[ObjectKey]) -> list[Application]:
        found = (self._known.find(key) for key in keys)
        return [application for application in found if application is not None]

    def _named(self, labels: Mapping[str, str]) -> list[Application]:
        for label in _INSTANCE_LABELS:
            if value := labels.get(label):
                name = value.partition("_")[2] or value
                found = [each for each in self._called(name) if _is_instance(each, value)]
                if found:
                    return found
        if not _ARGO_LABELS & labels.keys() or not labels.get("name"):
            return []
        found = self._called(labels["name"])
        for label in ("exported_namespace", "namespace"):
            exact = [each for each in found if each.key.namespace == labels.get(label)]
            if exact:
                return exact
        project = labels.get("exported_project") or labels.get("project")
        return [each for each in found if not project or project == each.project]


def _is_instance(application: Application, value: str) -> bool:
    namespace, underscore, name = value.partition("_")
    return application.key == (namespace, name) if underscore else application.key.name == value


def _released(labels: Mapping[str, str], beside: Iterable[Application]) -> list[Application]:
    """Believe the name of a release only where an Application of that name goes to that namespace."""
    values = [value for label in _RELEASE_LABELS if (value := labels.get(label))]
    return [each for each in beside if any(_is_instance(each, value) for value in values)]


def _owning(labels: Mapping[str, str], namespace: str, beside: Iterable[Application]) -> list[Application]:
    for kind, name in _workloads(labels):
        workload = Workload(kind, namespace, name)
        found = [each for each in beside if each.owns(workload)]
        if found:
            return found
    return []


def _in_cluster(applications: Iterable[Application], cluster: str) -> list[Application]:
    found = (each for each in applications if cluster)
    return [each for each in found if cluster in {each.destination.name, each.destination.server}]


def _namespaces(application: Application | None) -> set[str]:
    """Return the namespaces that an Application puts something into that alerts may be about."""
    if application is None:
        return set()
    found = {workload.namespace for workload in application.workloads}
    return (found | {application.destination.namespace}) - {""}


def _workloads(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Go through the workloads that labels may mean, the surest first."""
    for label, kind in _KIND_LABELS.items():
        if labels.get(label):
            yield kind, labels[label]
    for kinds, names in (("workload_type", "workload"), ("owner_kind", "owner_name")):
        owner = _KIND_LABELS.get(labels.get(kinds, "").lower())
        if owner and labels.get(names):
            yield owner, labels[names]
    job = _JOB.fullmatch(labels.get("job_name", ""))
    if job:
        yield "CronJob", job[1]
    pod = labels.get("pod") or labels.get("pod_name") or ""
    for kind, pattern in _PODS:
        found = pattern.fullmatch(pod)
        if found:
            yield kind, found[1]
