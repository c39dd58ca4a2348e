"""What is refused whoever asks: writing while that is off, and acting on the bot's own Application."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from bot.argocd.cluster import ArgoCluster
from bot.argocd.detail import ApplicationDetail
from bot.argocd.model import Application, Workload
from bot.argocd.settings import ArgoSettings
from bot.chat.text import code
from bot.core.errors import NotAllowedError
from bot.kube.model import ObjectKey

_OF_A_DEPLOYMENT: Final = re.compile(r"-[a-z0-9]{1,10}-[a-z0-9]{5}")
_OF_A_STATEFUL_SET: Final = re.compile(r"-[0-9]{1,6}")
_OF_A_DAEMON_SET: Final = re.compile(r"-[a-z0-9]{5}")
_PODS: Final = {
    "Deployment": _OF_A_DEPLOYMENT,
    "StatefulSet": _OF_A_STATEFUL_SET,
    "DaemonSet": _OF_A_DAEMON_SET,
}


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that this process runs in."""

    namespace: str
    name: str


class Guard:
    """Knows what the configuration allows, and which Application deploys the bot."""

    def __init__(self, argo: ArgoCluster, settings: Callable[[], ArgoSettings], pod: Pod | None) -> None:
        """Take what is configured at the moment of asking; no pod: the bot does not run in this cluster."""
        self._argo = argo
        self._settings = settings
        self._pod = pod

    def check_write(self) -> None:
        """Refuse to change anything while that is off.

        Raises:
            NotAllowedError: It is off.
        """
        if not self._settings().write:
            raise NotAllowedError(
                "The bot only shows Argo CD: changing something needs `kubernetes.argocd.write: true` "
                "in its configuration."
            )

    def find_itself(self) -> ObjectKey | None:
        """Return the Application that deploys the bot, as it is configured or as its workloads tell."""
        named = self._settings().itself
        if named:
            namespace, _, name = named.rpartition("/")
            return ObjectKey(namespace or self._argo.home, name)
        if self._pod is None:
            return None
        return next((each.key for each in self._argo.applications.values() if self._may_run_us(each)), None)

    def is_itself(self, key: ObjectKey) -> bool:
        """Tell whether this Application deploys the bot."""
        return self.find_itself() == key

    def deploys_us(self, detail: ApplicationDetail) -> bool:
        """Tell whether an Application, as it was read a moment ago, deploys the bot."""
        if self.is_itself(detail.key):
            return True
        owned = (
            Workload(key.kind, key.namespace, key.name) for key in (each.key for each in detail.resources)
        )
        return not self._settings().itself and self._runs_us(owned)

    def check_itself(self, detail: ApplicationDetail, instead: str) -> int:
        """Refuse to act on the bot's own Application; return how many others must approve, where it may be.

        `instead` is what the person can type elsewhere.

        Raises:
            NotAllowedError: It is the bot's own, and the configuration does not let anybody.
        """
        if not self.deploys_us(detail):
            return 0
        if self._settings().allow_itself:
            return 1
        raise NotAllowedError(
            f"{code(str(detail.key))} deploys this bot, which can refresh and compare itself, no more. "
            f"Do it yourself: {instead} — or let it with `kubernetes.argocd.allow_itself: true`; "
            "another person must approve then."
        )

    def _may_run_us(self, application: Application) -> bool:
        is_there = self._pod is not None and self._pod.namespace in application.packed_workloads
        return is_there and self._runs_us(application.workloads)

    def _runs_us(self, owned: Iterable[Workload]) -> bool:
        pod = self._pod
        return pod is not None and any(
            each.namespace == pod.namespace and is_pod_of(each.kind, each.name, pod.name) for each in owned
        )


def is_pod_of(kind: str, workload: str, pod: str) -> bool:
    """Tell whether a pod's name is one that a workload of this kind and name gives."""
    pattern = _PODS.get(kind)
    return pattern is not None and pod.startswith(workload) and bool(pattern.fullmatch(pod[len(workload) :]))


def sync_by_hand(detail: ApplicationDetail) -> str:
    """Return what syncs an Application without us: as we would, with the options of its specification."""
    options = {"syncOptions": list(detail.sync_options)} if detail.sync_options else {}
    operation = {
        "initiatedBy": {"username": "kubectl"},
        "sync": {**options, "syncStrategy": {"hook": {}}},
    }
    written = {"operation": operation, "status": {"operationState": None}}
    patch = json.dumps(written, separators=(",", ":"))
    command = f"kubectl -n {detail.key.namespace} patch application {detail.key.name} --type merge"
    return code(f"{command} -p '{patch}'", budget=600)


def rollback_by_hand(application: Application) -> str:
    """Return what undoes the newest change of an Application without us."""
    source = next((each.repository for each in application.sources if not each.chart), "")
    where = f" in {code(source)}" if source else ""
    return f"{code('git revert HEAD && git push')}{where}"


def terminate_by_hand(key: ObjectKey) -> str:
    """Return what ends a running sync without us."""
    return code(f"argocd app terminate-op {key.name} --app-namespace {key.namespace}", budget=400)
