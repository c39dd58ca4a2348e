"""Refreshes and automatic syncs: what the controller does to an Application that nobody syncs."""

from collections.abc import Mapping
from typing import Any

from bot.demo.cluster.applications import REFRESH
from bot.demo.cluster.comparing import OUT_OF_SYNC, Target, compare, find_target
from bot.demo.cluster.failures import Json
from bot.demo.cluster.repositories import UnreachableError
from bot.demo.cluster.store import Key
from bot.demo.cluster.syncing import OVER
from bot.demo.cluster.windows import sync_is_blocked
from bot.demo.cluster.world import World

_AUTOMATIC_RETRIES = 5


class Refresher:
    """Compares Applications with what they should be."""

    def __init__(self, world: World) -> None:
        """Take what the controller knows."""
        self._world = world
        self._due: set[Key] = set()
        self._resolved: dict[Key, tuple[Json, Target]] = {}
        self.minds_commits = True
        """New commits are seen at once; otherwise only by a refresh."""

    def request(self, key: Key) -> None:
        """Have the next pass compare anew, as after every sync."""
        self._due.add(key)

    def refresh(self, key: Key) -> None:
        """Compare, if it was asked for or if something is different."""
        app = self._world.cluster.get("Application", *key)
        asked = REFRESH in app["metadata"].get("annotations", {})
        forced = asked or key in self._due
        try:
            target = self._target(key, app, anew=forced or self.minds_commits)
        except UnreachableError:
            # Within its grace period an error of a repository changes nothing, the annotation included.
            return
        now = self._world.timestamp()
        found = compare(app, target, self._world.running(key))
        status = app.get("status") or {}
        _date(found, status, now)
        if not forced and all(status.get(name) == value for name, value in found.items()):
            return
        self._due.discard(key)
        seen = {"reconciledAt": now, "controllerNamespace": self._world.control_plane}
        old: Json = {name: status.get(name) for name in found}
        patch: Json = {"status": {**_patch_between(old, found), **seen, "resourceHealthSource": "appTree"}}
        if asked:
            patch["metadata"] = {"annotations": {REFRESH: None}}
        self._world.cluster.patch("Application", *key, patch)

    def sync_automatically(self, key: Key) -> None:
        """Begin a sync, if the Application wants that and nothing speaks against it."""
        app = self._world.cluster.get("Application", *key)
        policy = app["spec"].get("syncPolicy") or {}
        automated = policy.get("automated")
        status = app.get("status") or {}
        if automated is None or automated.get("enabled") is False or "operation" in app:
            return
        if (status.get("sync") or {}).get("status") != OUT_OF_SYNC:
            return
        state = status.get("operationState") or {}
        if state and state["phase"] not in OVER:
            return
        if _was_tried(state, status) and not automated.get("selfHeal"):
            return
        if self._only_prunes(status) and not automated.get("prune"):
            return
        if sync_is_blocked(self._world.windows(app), app, manual=False, now=self._world.now()):
            return
        operation = {
            "initiatedBy": {"automated": True},
            "retry": policy.get("retry") or {"limit": _AUTOMATIC_RETRIES},
            "sync": {
                **{
                    name: status["sync"][name]
                    for name in ("revision", "revisions")
                    if status["sync"].get(name)
                },
                "prune": bool(automated.get("prune")),
                **({"syncOptions": policy["syncOptions"]} if policy.get("syncOptions") else {}),
            },
        }
        patch = {"operation": operation, "status": {"operationState": None}}
        self._world.cluster.patch("Application", *key, patch)

    def _target(self, key: Key, app: Json, *, anew: bool) -> Target:
        before = self._resolved.get(key)
        if before is not None and not anew and before[0] == app["spec"]:
            return before[1]
        target = find_target(self._world.repositories, app, {})
        self._resolved[key] = (app["spec"], target)
        return target

    @staticmethod
    def _only_prunes(status: Mapping[str, Any]) -> bool:
        differing = [one for one in status.get("resources", ()) if one["status"] == OUT_OF_SYNC]
        return all(one.get("requiresPruning") for one in differing)


def _patch_between(old: Json, new: Json) -> Json:
    """Return the merge patch that makes exactly the new from the old."""
    patch: Json = dict.fromkeys(old.keys() - new.keys())
    for name, value in new.items():
        before = old.get(name)
        both = isinstance(value, dict) and isinstance(before, dict)
        patch[name] = _patch_between(before or {}, value) if both else value
    return patch


def _was_tried(state: Json, status: Json) -> bool:
    result, sync = state.get("syncResult") or {}, status["sync"]
    tried = result.get("revisions") or result.get("revision")
    return bool(tried) and tried == (sync.get("revisions") or sync.get("revision"))


def _date(found: Json, status: Json, now: str) -> None:
    """Keep the time at which the health and the conditions became what they are."""
    health = status.get("health") or {}
    same = health.get("status") == found["health"]["status"]
    found["health"]["lastTransitionTime"] = health.get("lastTransitionTime", now) if same else now
    before = {one["type"]: one for one in status.get("conditions") or ()}
    for condition in found.get("conditions") or ():
        there = before.get(condition["type"], {})
        unchanged = there.get("message") == condition["message"]
        condition["lastTransitionTime"] = there["lastTransitionTime"] if unchanged else now
