"""Manifests of the made-up resources, as a diff shows them."""

from bot.demo.cluster.failures import Json
from bot.demo.cluster.live import Live
from bot.demo.cluster.repositories import Piece, ResourceKey

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_MASK = "++++++++"


def manifest(key: ResourceKey, piece: Piece, *, drifted: bool = False) -> Json:
    """Return the manifest of a piece; one that was changed by hand says so."""
    body: Json = {
        "apiVersion": f"{key.group}/{piece.version}" if key.group else piece.version,
        "kind": key.kind,
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": {"app": key.name}},
    }
    if key.kind == "Secret":
        return {**body, "type": "Opaque", "data": {"password": _MASK + ("+" if drifted else "")}}
    if key.kind == "ConfigMap":
        return {**body, "data": {"content": piece.content, **({"by": "hand"} if drifted else {})}}
    if key.kind in _WORKLOADS:
        container = {"name": key.name, "image": piece.image or f"registry.example.org/{key.name}:1"}
        template = {"metadata": {"labels": {"app": key.name}}, "spec": {"containers": [container]}}
        return {**body, "spec": {"replicas": 3 if drifted else 2, "template": template}}
    return {**body, "spec": {"content": piece.content, **({"by": "hand"} if drifted else {})}}


def live_manifest(key: ResourceKey, live: Live) -> Json:
    """Return the manifest of what runs."""
    return manifest(key, live.piece, drifted=live.drifted)
