"""Says what is wrong with a manifest: by the schemas of Kubernetes, and of custom resources where there are any."""

from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes_validate

from bot.demo.cluster.kinds import Kind
from tests.support.crds import crd_schemas

OLDEST, NEWEST = "1.30", "1.37"
"""The versions of Kubernetes that the chart is for."""


def problems(document: Mapping[str, Any], version: str) -> Iterator[str]:
    """Return each problem, with the object that has it."""
    about = f"{document['kind']} {document['metadata']['name']}"
    try:
        kubernetes_validate.validate(dict(document), version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        yield from (f"{about}: {problem}" for problem in _of_custom(document))
    except kubernetes_validate.ValidationError as error:
        yield f"{about}: {'.'.join(map(str, error.path))}: {error.message}"


def _of_custom(document: Mapping[str, Any]) -> Iterator[str]:
    schemas = crd_schemas()
    if schemas is None:
        return
    group, _, version = document["apiVersion"].rpartition("/")
    kind = Kind(group=group, version=version, kind=document["kind"], plural="", custom=True)
    for problem in schemas.problems(kind, dict(document)):
        yield str(problem)


def is_custom(document: Mapping[str, Any]) -> bool:
    """Tell whether Kubernetes itself does not know the kind."""
    group = document["apiVersion"].rpartition("/")[0]
    return ("." in group and not group.endswith(".k8s.io")) or group.startswith("gateway.")


def has_schema(document: Mapping[str, Any]) -> bool:
    """Tell whether a custom resource can be checked here."""
    schemas = crd_schemas()
    group, _, version = document["apiVersion"].rpartition("/")
    return schemas is not None and (group, version, document["kind"]) in schemas._schemas
