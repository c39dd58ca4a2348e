"""Services, workloads and pods of Minecraft servers, showing only what matters to a test."""

from typing import Any

SELECTOR = {"app": "survival"}


def a_service(
    name: str = "survival",
    *,
    namespace: str = "games",
    ports: list[dict[str, Any]] | None = None,
    selector: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "selector": SELECTOR if selector is None else selector,
            "ports": [{"name": "minecraft", "port": 25565}] if ports is None else ports,
        },
        "status": status or {},
    }


def a_workload(
    name: str = "survival",
    *,
    kind: str = "Deployment",
    namespace: str = "games",
    app: str = "survival",
    labels: dict[str, str] | None = None,
    replicas: int = 1,
    ready: int | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    running = replicas if ready is None else ready
    pod_labels = {"app": app, **(labels or {})}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": pod_labels},
            "template": {"metadata": {"labels": pod_labels}},
        },
        "status": {"replicas": running, "readyReplicas": running},
    }


def a_pod(
    name: str,
    *,
    app: str = "survival",
    labels: dict[str, str] | None = None,
    address: str = "",
    ready: bool = True,
    phase: str = "Running",
    reason: str = "",
    restarts: int = 0,
    **metadata: Any,
) -> dict[str, Any]:
    state = {"waiting": {"reason": reason}} if reason else {"running": {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "games",
            "labels": {"app": app, **(labels or {})},
            **metadata,
        },
        "status": {
            "phase": phase,
            "podIP": address,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"restartCount": restarts, "state": state}],
        },
    }
