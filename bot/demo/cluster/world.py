"""What the parts of the controller share: the cluster, the repositories, what runs for whom."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.demo.cluster.failures import Json
from bot.demo.cluster.live import Running
from bot.demo.cluster.objects import Objects
from bot.demo.cluster.repositories import Repositories, ResourceKey
from bot.demo.cluster.store import Key, timestamp
from bot.demo.cluster.syncing import OVER

_EMPTY: tuple[Any, ...] = (None, "", 0, [], {})


class World:
    """The state of the controller."""

    def __init__(self, cluster: Objects, control_plane: str) -> None:
        """Take the cluster, and the namespace that the projects are in."""
        self.cluster = cluster
        self.control_plane = control_plane
        self.repositories = Repositories(cluster.clock.now)
        self._running: dict[Key, Running] = {}

    def now(self) -> datetime:
        """Return the present moment."""
        return self.cluster.clock.now()

    def timestamp(self) -> str:
        """Return the present moment as the API writes it."""
        return timestamp(self.now())

    def running(self, key: Key) -> Running:
        """Return what runs for an Application."""
        return self._running.setdefault(key, Running())

    def forget(self, key: Key) -> None:
        """Have nothing run for an Application that is gone."""
        self._running.pop(key, None)

    def windows(self, app: Json) -> Sequence[Json]:
        """Return the sync windows of the project of an Application."""
        project = self.cluster.find("AppProject", self.control_plane, app["spec"]["project"])
        return project["spec"].get("syncWindows", ()) if project else ()

    def write_state(self, key: Key, before: Json, state: Json) -> None:
        """Write how far an operation is, as the controller does it: a merge patch, whatever version there is.

        Empty fields are left out of it, so that what an older operation left behind
        stays there.
        """
        written = {name: value for name, value in state.items() if value not in _EMPTY}
        old = (before.get("status") or {}).get("operationState") or {}
        if "finishedAt" in old and "finishedAt" not in written:
            written["finishedAt"] = None
        patch: Json = {"status": {"operationState": written}}
        if state["phase"] in OVER:
            patch["operation"] = None
        if self.cluster.find("Application", *key) is not None:
            self.cluster.patch("Application", *key, patch)

    def begin_again(self, key: Key) -> None:
        """Forget how far the last try came."""
        forgotten = {"finishedAt": None, "syncResult": None}
        self.cluster.patch("Application", *key, {"status": {"operationState": forgotten}})

    def append_history(self, key: Key, app: Json, entry: Json) -> None:
        """Remember a deployment, as many as the Application wants remembered."""
        limit = app["spec"].get("revisionHistoryLimit", 10)
        history = (app.get("status") or {}).get("history") or []
        number = history[-1]["id"] + 1 if history else 0
        kept = [*history, {"id": number, **entry}][-limit:] if limit else []
        self.cluster.patch("Application", *key, {"status": {"history": kept}})

    def add_child(self, parent: Key, child: Json) -> None:
        """Have a child Application be in the cluster, tracked by its parent."""
        instance = parent.name if parent.namespace == self.control_plane else "_".join(parent)
        metadata = child["metadata"]
        place = ResourceKey("argoproj.io", "Application", metadata["namespace"], metadata["name"])
        tracking = f"{instance}:{place.group}/{place.kind}:{place.namespace}/{place.name}"
        annotations = {**metadata.get("annotations", {}), "argocd.argoproj.io/tracking-id": tracking}
        there = self.cluster.find("Application", place.namespace, place.name)
        if there is None:
            self.cluster.put("Application", {**child, "metadata": {**metadata, "annotations": annotations}})
        else:
            patch = {"metadata": {"annotations": annotations}, "spec": child["spec"]}
            self.cluster.patch("Application", place.namespace, place.name, patch)
