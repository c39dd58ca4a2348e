"""A cluster of ours on loopback as a test of `bot.kube` sees it: resources, small objects, how to be known there."""

from pathlib import Path
from typing import Any

from bot.core.clock import Clock
from bot.demo.cluster.server import ApiServer
from bot.kube.model import Resource
from bot.kube.settings import ClusterSettings
from bot.kube.transport import Cluster
from tests.support.clock import ManualClock

APPLICATIONS = Resource("argoproj.io", "v1alpha1", "applications", "Application")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)


def an_application(
    name: str, *, namespace: str = "argocd", revision: str = "main", **metadata: Any
) -> dict[str, Any]:
    """As little of an Application as its schema takes."""
    return {
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://example.org/shop.git", "targetRevision": revision},
            "destination": {"namespace": "shop"},
        },
    }


def a_client(server: ApiServer, folder: Path, clock: Clock | None = None, **options: Any) -> Cluster:
    """One that the server knows; still to be entered."""
    settings = ClusterSettings(**{"kubeconfig": server.kubeconfig(folder), **options})
    return Cluster(settings, clock or ManualClock())
