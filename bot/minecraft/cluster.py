"""Minecraft servers in a cluster: what is watched, and what is changed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from bot.core.errors import NotFoundError
from bot.core.loops import Loop
from bot.kube.model import ForbiddenError, Json, ObjectKey, Resource, WatchHealth, WatchPhase
from bot.kube.reflector import Watched
from bot.kube.transport import Cluster
from bot.minecraft.discovery import (
    OPERATION,
    Found,
    Manager,
    Pod,
    Service,
    Workload,
    discover,
    heals_replicas,
    managing_application,
    pods_of,
    read_pod,
    read_service,
    read_workload,
)

SERVICES: Final = Resource("", "v1", "services", "Service")
PODS: Final = Resource("", "v1", "pods", "Pod")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets", "StatefulSet")
APPLICATIONS: Final = Resource("argoproj.io", "v1alpha1", "applications", "Application")
_NEVER: Final = frozenset({WatchPhase.FORBIDDEN, WatchPhase.NOT_INSTALLED})
WORKLOADS: Final = {each.kind: each for each in (DEPLOYMENTS, STATEFUL_SETS)}


class MinecraftCluster:
    """The servers of one cluster."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str], *, argocd_home: str) -> None:
        """Take the cluster and where servers are; none: everywhere, but then pods are not watched."""
        self._cluster = cluster
        self._home = argocd_home
        self.services: Watched[Service] = Watched(cluster, SERVICES, trim=read_service, namespaces=namespaces)
        self._workloads = {
            kind: Watched(cluster, resource, trim=_reader(kind), namespaces=namespaces)
            for kind, resource in WORKLOADS.items()
        }
        # All pods of a large cluster change all the time, and a handful of them would be of interest.
        self._pods: Watched[Pod] | None = (
            Watched(cluster, PODS, trim=read_pod, namespaces=namespaces) if namespaces else None
        )

    @property
    def loops(self) -> tuple[Loop, ...]:
        """What keeps it current."""
        return tuple(loop for watched in self._watched() for loop in watched.loops)

    @property
    def has_looked(self) -> bool:
        """Whether everything was seen once, as far as it can be seen."""
        return all(each.health.phase is not WatchPhase.STARTING for each in self._watched())

    @property
    def knows_all(self) -> bool:
        """Whether everything was seen once that we may see; until then, what is missing may well be there."""
        return all(each.has_synced or each.health.phase in _NEVER for each in self._watched())

    @property
    def watches_pods(self) -> bool:
        """Whether it is known where each pod is."""
        return self._pods is not None

    @property
    def health(self) -> WatchHealth:
        """How well Services are seen."""
        return self.services.health

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have somebody told after each difference."""
        for watched in self._watched():
            watched.on_change(lambda _key, _old, _new: callback())

    def on_synced(self, callback: Callable[[], None]) -> None:
        """Have somebody told each time that one more kind of thing is known."""
        for watched in self._watched():
            watched.on_synced(callback)

    def find(self, taken: Iterable[str]) -> list[Found]:
        """Return the servers that are found by their Services, but those whose names are taken."""
        pods = list(self._pods.values()) if self._pods is not None else []
        workloads = [each for watched in self._workloads.values() for each in watched.values()]
        return discover(list(self.services.values()), workloads, pods, taken=taken)

    def list_pods(self, workload: Workload) -> list[Pod]:
        """Return the pods of a workload, those that end too; none where it is not known which there are."""
        if self._pods is None or self._pods.health.phase is not WatchPhase.SYNCED:
            return []
        return pods_of(workload, self._pods.values())

    def find_workload(self, kind: str, namespace: str, name: str) -> Workload | None:
        """Return a workload, if it is there."""
        return self._workloads[kind].find(ObjectKey(namespace, name))

    async def read_workload(self, kind: str, namespace: str, name: str) -> Workload:
        """Return a workload as it is at this moment.

        Raises:
            NotFoundError: There is none (any more).
        """
        return read_workload(await self._cluster.get(WORKLOADS[kind], namespace, name), kind)

    async def scale(self, workload: Workload, replicas: int, *, operation: str) -> None:
        """Have so many replicas of a workload run, and say on it which operation wanted that."""
        body = {"metadata": {"annotations": {OPERATION: operation}}, "spec": {"replicas": replicas}}
        await self._cluster.merge_patch(WORKLOADS[workload.kind], workload.namespace, workload.name, body)

    async def find_manager(self, workload: Workload) -> Manager | None:
        """Return the Application that a workload belongs to, and whether it undoes a change of replicas."""
        key = managing_application(workload, home=self._home)
        if key is None:
            return None
        name = "/".join(key)
        try:
            application = await self._cluster.get(APPLICATIONS, *key)
        except NotFoundError:
            return None
        except ForbiddenError:
            return Manager(name, undoes=None)
        return Manager(name, undoes=heals_replicas(application, workload))

    def _watched(self) -> list[Watched[Any]]:
        pods = [self._pods] if self._pods is not None else []
        return [self.services, *self._workloads.values(), *pods]


def _reader(kind: str) -> Callable[[Json], Workload]:
    return lambda raw: read_workload(raw, kind)
