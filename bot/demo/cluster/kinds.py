"""The kinds of object that the server knows, and what the API does differently from kind to kind."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


class Named(Protocol):
    """Whatever names a resource by its group and plural: a `Kind`, or a client's own description of one."""

    @property
    def group(self) -> str:
        """The API group, "" for the core."""
        ...

    @property
    def plural(self) -> str:
        """The name in paths."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object in one version."""

    group: str = ""
    version: str = "v1"
    kind: str
    plural: str
    namespaced: bool = True
    custom: bool = False
    """From a CustomResourceDefinition: lists name the kind of each item, unknown fields are pruned."""
    has_status: bool = False
    """The status is written through `/status` only, and does not count as a change of generation."""
    has_generation: bool = True
    short_names: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """The `apiVersion` of such an object."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The plural with its group, as errors write it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """The kind with its group, as errors about the content write it."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


def _core(kind: str, plural: str, *, has_status: bool = False) -> Kind:
    return Kind(kind=kind, plural=plural, has_status=has_status, has_generation=False)


def _apps(kind: str, plural: str, short_name: str) -> Kind:
    return Kind(group="apps", kind=kind, plural=plural, has_status=True, short_names=(short_name,))


def _argo(kind: str, plural: str, *short_names: str, has_status: bool = False) -> Kind:
    return Kind(
        group="argoproj.io",
        version="v1alpha1",
        kind=kind,
        plural=plural,
        custom=True,
        has_status=has_status,
        short_names=short_names,
    )


NAMESPACE = Kind(
    kind="Namespace",
    plural="namespaces",
    namespaced=False,
    has_status=True,
    has_generation=False,
    short_names=("ns",),
)
EVENT = _core("Event", "events")
APPLICATION = _argo("Application", "applications", "app", "apps")
APP_PROJECT = _argo("AppProject", "appprojects", "appproj", "appprojs")
APPLICATION_SET = _argo("ApplicationSet", "applicationsets", "appset", "appsets", has_status=True)

BUILT_IN = (
    NAMESPACE,
    EVENT,
    _core("ConfigMap", "configmaps"),
    _core("Secret", "secrets"),
    _core("Service", "services", has_status=True),
    _core("ServiceAccount", "serviceaccounts"),
    _core("Pod", "pods", has_status=True),
    _apps("Deployment", "deployments", "deploy"),
    _apps("StatefulSet", "statefulsets", "sts"),
    _apps("DaemonSet", "daemonsets", "ds"),
    _apps("ReplicaSet", "replicasets", "rs"),
    Kind(group="batch", kind="Job", plural="jobs", has_status=True),
    Kind(group="batch", kind="CronJob", plural="cronjobs", has_status=True, short_names=("cj",)),
)
ARGO_CD = (APPLICATION, APP_PROJECT, APPLICATION_SET)


class Kinds:
    """The kinds that are installed at the moment."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        """Take those that are there from the start."""
        self._kinds = {(kind.group, kind.plural): kind for kind in kinds}

    def __iter__(self) -> Iterator[Kind]:
        """Go through all of them."""
        return iter(tuple(self._kinds.values()))

    def install(self, kind: Kind) -> None:
        """Know one more."""
        self._kinds[kind.group, kind.plural] = kind

    def uninstall(self, kind: Kind) -> None:
        """Know one less."""
        self._kinds.pop((kind.group, kind.plural), None)

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """Return the kind that a path names, if it is installed."""
        kind = self._kinds.get((group, plural))
        return kind if kind is not None and kind.version == version else None

    def get(self, name: str | Named) -> Kind:
        """Return the kind that is called so: `Application`, `applications` or `applications.argoproj.io`.

        Raises:
            KeyError: No such kind is installed.
        """
        if not isinstance(name, str):
            return self._kinds[name.group, name.plural]
        for kind in self:
            if name in {kind.kind, kind.plural, kind.resource, kind.qualified}:
                return kind
        raise KeyError(name)
