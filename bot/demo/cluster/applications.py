"""Applications, projects and sets of Applications as they are found in the wild, in shape and size."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.demo.cluster.failures import Json

REPO = "https://git.example.org/platform.git"
IN_CLUSTER = "https://kubernetes.default.svc"
FINALIZER = "resources-finalizer.argocd.argoproj.io"
SKIP_RECONCILE = "argocd.argoproj.io/skip-reconcile"
TRACKING_ID = "argocd.argoproj.io/tracking-id"
REFRESH = "argocd.argoproj.io/refresh"
HYDRATE = "argocd.argoproj.io/hydrate"
DELETION_APPROVED = "argocd.argoproj.io/deletion-approved"
SET_REFRESH = "argocd.argoproj.io/application-set-refresh"

_API_VERSION = "argoproj.io/v1alpha1"


def an_application(
    name: str,
    *,
    namespace: str = "argocd",
    project: str = "default",
    repo: str = REPO,
    path: str = "",
    revision: str = "main",
    sources: Sequence[Json] = (),
    deployed_to: str = "",
    server: str = IN_CLUSTER,
    automated: Mapping[str, Any] | None = None,
    sync_options: Sequence[str] = (),
    retry: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: str = "",
    parent: str = "",
    status: Mapping[str, Any] | None = None,
    padded_to: int = 0,
) -> Json:
    """Return an Application that no controller has seen yet, unless a status is given.

    `owner` is the ApplicationSet that made it, `parent` the Application (`argocd_apps`
    in another namespace than the control plane's) that it is tracked by. With
    `padded_to` it has so many bytes as JSON, in what real ones are large by.
    """
    policy: Json = {
        **({"automated": dict(automated)} if automated is not None else {}),
        **({"syncOptions": list(sync_options)} if sync_options else {}),
        **({"retry": dict(retry)} if retry is not None else {}),
    }
    noted = {
        **(annotations or {}),
        **({TRACKING_ID: f"{parent}:argoproj.io/Application:{namespace}/{name}"} if parent else {}),
    }
    spec: Json = {
        "project": project,
        "destination": {"server": server, "namespace": deployed_to or name},
        **({"syncPolicy": policy} if policy else {}),
    }
    if sources:
        spec["sources"] = [dict(source) for source in sources]
    else:
        spec["source"] = {"repoURL": repo, "path": path or f"apps/{name}", "targetRevision": revision}
    metadata: Json = {
        "name": name,
        "namespace": namespace,
        "finalizers": [FINALIZER],
        **({"labels": dict(labels)} if labels else {}),
        **({"annotations": noted} if noted else {}),
        **({"ownerReferences": [_owned_by(owner)]} if owner else {}),
    }
    application: Json = {
        "apiVersion": _API_VERSION,
        "kind": "Application",
        "metadata": metadata,
        "spec": spec,
        **({"status": dict(status)} if status else {}),
    }
    return pad(application, padded_to) if padded_to else application


def a_project(
    name: str = "default",
    *,
    namespace: str = "argocd",
    windows: Sequence[Json] = (),
    labels: Mapping[str, str] | None = None,
    source_namespaces: Sequence[str] = (),
) -> Json:
    """Return a project that allows everything but what its sync windows keep away."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": namespace, **({"labels": dict(labels)} if labels else {})},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"namespace": "*", "server": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            **({"syncWindows": [dict(window) for window in windows]} if windows else {}),
            **({"sourceNamespaces": list(source_namespaces)} if source_namespaces else {}),
        },
    }


def a_window(
    kind: str, schedule: str = "* * * * *", duration: str = "1h", *, manual: bool = False, **more: Any
) -> Json:
    """Return a sync window for all Applications; by default it is open all the time."""
    window = {"kind": kind, "schedule": schedule, "duration": duration, "applications": ["*"], **more}
    return {**window, **({"manualSync": True} if manual else {})}


def an_application_set(
    name: str,
    *,
    namespace: str = "argocd",
    elements: Sequence[Mapping[str, str]] = (),
    annotations: Mapping[str, str] | None = None,
    status: Mapping[str, Any] | None = None,
) -> Json:
    """Return a set with a list generator; the Applications of a demo are put beside it by hand."""
    template = {
        "metadata": {
            "name": "{{.name}}",
            **({"annotations": dict(annotations)} if annotations else {}),
        },
        "spec": {
            "project": "default",
            "source": {"repoURL": REPO, "path": "apps/{{.name}}", "targetRevision": "main"},
            "destination": {"server": IN_CLUSTER, "namespace": "{{.name}}"},
        },
    }
    generator = {"list": {"elements": [dict(element) for element in elements]}}
    return {
        "apiVersion": _API_VERSION,
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"goTemplate": True, "generators": [generator], "template": template},
        **({"status": dict(status)} if status else {}),
    }


def _owned_by(application_set: str) -> Json:
    return {
        "apiVersion": _API_VERSION,
        "kind": "ApplicationSet",
        "name": application_set,
        "uid": "6d1c7a4e-0000-4000-8000-000000000000",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pad(application: Json, size: int) -> Json:
    """Return an Application with so many bytes: more resources, more history, more owners of fields."""
    padded: Json = json.loads(json.dumps(application))
    status = padded.setdefault("status", {})
    resources = status.setdefault("resources", [])
    history = status.setdefault("history", [])
    place = 0
    while _size(padded) < size * 0.7:
        resources.append(_a_resource(place))
        place += 1
    for version in range(10):
        history.append(_a_deployment(padded, version, at=len(history)))
    managed: Json = {f"f:field-{number:04}": {} for number in range(max(size - _size(padded) - 400, 0) // 22)}
    padded["metadata"]["managedFields"] = [
        {
            "manager": "argocd-application-controller",
            "operation": "Update",
            "apiVersion": _API_VERSION,
            "time": "2026-03-01T08:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:status": managed},
        }
    ]
    return padded


def _size(body: Json) -> int:
    return len(json.dumps(body, separators=(",", ":")))


def _a_resource(place: int) -> Json:
    kinds = (("", "ConfigMap"), ("", "Service"), ("apps", "Deployment"), ("networking.k8s.io", "Ingress"))
    group, kind = kinds[place % len(kinds)]
    return {
        **({"group": group} if group else {}),
        "version": "v1",
        "kind": kind,
        "namespace": "padding",
        "name": f"component-{place:03}",
        "status": "Synced",
    }


def _a_deployment(application: Json, version: int, *, at: int) -> Json:
    return {
        "id": at,
        "revision": f"{version:040x}",
        "deployStartedAt": f"2026-02-{version + 1:02}T08:00:00Z",
        "deployedAt": f"2026-02-{version + 1:02}T08:00:20Z",
        "source": application["spec"].get("source", {"repoURL": REPO}),
        "initiatedBy": {"automated": True},
    }
