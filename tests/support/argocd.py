"""Applications as the API gives them, showing only what matters to a test."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
OLD_SHA = "9fceb02d0ae598e95dc970b74767f19372d61af8"


def at(seconds: float = 0) -> str:
    """Return a time as Kubernetes writes it, counted from noon."""
    return (NOON + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_raw_resource(
    name: str = "web",
    *,
    kind: str = "Deployment",
    group: str | None = None,
    namespace: str = "shop",
    **more: Any,
) -> dict[str, Any]:
    """Return an entry of `status.resources`."""
    groups = {"Deployment": "apps", "StatefulSet": "apps", "DaemonSet": "apps", "CronJob": "batch"}
    found = group if group is not None else groups.get(kind, "")
    if kind == "Application":
        found = "argoproj.io"
    raw = {"kind": kind, "version": "v1", "name": name, "namespace": namespace, "status": "Synced", **more}
    return raw | ({"group": found} if found else {})


def a_raw_result(name: str = "web", **more: Any) -> dict[str, Any]:
    """Return an entry of `status.operationState.syncResult.resources`."""
    raw = a_raw_resource(
        name, **{key: more.pop(key) for key in ("kind", "group", "namespace") if key in more}
    )
    if "hookType" in more:
        raw["status"] = ""
    return raw | {"syncPhase": "Sync", "hookPhase": "Running", "message": f"{name} configured"} | more


def a_raw_operation(operation: str = "", **sync: Any) -> dict[str, Any]:
    """Return `.operation`, or what `status.operationState.operation` copies from it."""
    raw: dict[str, Any] = {"initiatedBy": {"username": "the-machine/maya"}, "sync": {"revision": SHA, **sync}}
    return raw | ({"info": [{"name": "the-machine/id", "value": operation}]} if operation else {})


def a_raw_run(phase: str = "Running", *, operation: str = "", **more: Any) -> dict[str, Any]:
    """Return `status.operationState`."""
    over = phase in {"Succeeded", "Failed", "Error"}
    return {
        "phase": phase,
        "message": "",
        "startedAt": at(),
        "operation": a_raw_operation(operation),
        "syncResult": {"revision": SHA, "resources": []},
        **({"finishedAt": at(30)} if over else {}),
        **more,
    }


def a_raw_application(
    name: str = "shop",
    *,
    namespace: str = "argocd",
    metadata: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    operation: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an Application that is Synced and Healthy; what is given is laid over it, key by key."""
    raw: dict[str, Any] = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "4711", **(metadata or {})},
        "spec": {
            "project": "default",
            "source": {
                "repoURL": "https://git.example.org/platform.git",
                "path": f"apps/{name}",
                "targetRevision": "main",
            },
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
            **(spec or {}),
        },
        "status": {
            "sync": {
                "status": "Synced",
                "revision": SHA,
                "comparedTo": {
                    "source": {"repoURL": "https://git.example.org/platform.git"},
                    "destination": {},
                },
            },
            "health": {"status": "Healthy", "lastTransitionTime": at(-3600)},
            "reconciledAt": at(-60),
            "resources": [a_raw_resource(namespace=name)],
            **(status or {}),
        },
    }
    return raw | ({"operation": operation} if operation is not None else {})
