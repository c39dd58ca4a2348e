"""What the server says about itself: its version, and which groups and resources there are."""

from collections.abc import Iterable

from bot.demo.cluster.failures import Json
from bot.demo.cluster.kinds import Kind, Kinds

_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "patch", "update"]
_REVIEWS = {
    "authorization.k8s.io": ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    "authentication.k8s.io": ("selfsubjectreviews", "SelfSubjectReview"),
}

VERSION: Json = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2+simulated",
    "platform": "linux/amd64",
}
CORE_VERSIONS: Json = {
    "kind": "APIVersions",
    "versions": ["v1"],
    "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
}


def group_list(kinds: Kinds) -> Json:
    """Return `/apis`."""
    versions = {(kind.group, kind.version) for kind in kinds if kind.group}
    versions |= {(group, "v1") for group in _REVIEWS}
    groups = sorted({group for group, _ in versions})
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            _group(name, [version for group, version in versions if group == name]) for name in groups
        ],
    }


def _group(name: str, versions: Iterable[str]) -> Json:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in sorted(versions)]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group(kinds: Kinds, name: str) -> Json | None:
    """Return `/apis/<group>`, or None if there is no such group."""
    for found in group_list(kinds)["groups"]:
        if found["name"] == name:
            return {"kind": "APIGroup", "apiVersion": "v1", **found}
    return None


def resource_list(kinds: Kinds, group: str, version: str) -> Json | None:
    """Return the resources of a version, or None if there is no such version."""
    resources = [
        resource
        for kind in kinds
        if (kind.group, kind.version) == (group, version)
        for resource in _resources(kind)
    ]
    if group in _REVIEWS and version == "v1":
        plural, kind_name = _REVIEWS[group]
        resources.append(_resource(plural, kind_name, namespaced=False, verbs=["create"]))
    if not resources:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def _resources(kind: Kind) -> list[Json]:
    main = _resource(kind.plural, kind.kind, namespaced=kind.namespaced, verbs=[*_READ, *_WRITE])
    if kind.short_names:
        main["shortNames"] = list(kind.short_names)
    if not kind.has_status:
        return [main]
    verbs = ["get", "patch", "update"]
    return [main, _resource(f"{kind.plural}/status", kind.kind, namespaced=kind.namespaced, verbs=verbs)]


def _resource(plural: str, kind: str, *, namespaced: bool, verbs: list[str]) -> Json:
    singular = "" if "/" in plural else kind.lower()
    return {
        "name": plural,
        "singularName": singular,
        "namespaced": namespaced,
        "kind": kind,
        "verbs": sorted(verbs),
    }
