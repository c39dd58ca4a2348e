"""What is wanted against what there is: the status of an Application, as Argo CD writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.demo.cluster.failures import Json
from bot.demo.cluster.live import DEGRADED, HEALTHY, MISSING, PROGRESSING, Live, Running
from bot.demo.cluster.repositories import Piece, Repositories, ResourceKey, UnknownRevisionError

SYNCED, OUT_OF_SYNC, UNKNOWN = "Synced", "OutOfSync", "Unknown"
_BADNESS = (HEALTHY, MISSING, PROGRESSING, DEGRADED)


@dataclass(frozen=True, slots=True)
class Target:
    """What an Application is to look like."""

    sources: tuple[Json, ...]
    revisions: tuple[str, ...]
    pieces: Mapping[ResourceKey, Piece]
    is_multi: bool
    error: str = ""
    """Why it cannot be told; nothing else is known then."""

    def revision_fields(self) -> Json:
        """Return the revision, or the revisions, as a status names them."""
        if self.is_multi:
            return {"revision": "", "revisions": list(self.revisions)}
        return {"revision": self.revisions[0] if self.revisions else ""}

    def source_fields(self) -> Json:
        """Return the source, or the sources, as a status names them."""
        if self.is_multi:
            return {"sources": [dict(source) for source in self.sources]}
        return {"source": dict(self.sources[0])} if self.sources else {}


def find_target(
    repositories: Repositories, app: Json, sync: Mapping[str, Any], *, pinned: Sequence[str] = ()
) -> Target:
    """Return what an Application, or a sync with sources or revisions of its own, wants to be.

    `pinned` are revisions that were resolved before.

    Raises:
        UnreachableError: A repository does not answer.
    """
    spec = app["spec"]
    is_multi = bool(spec.get("sources"))
    if is_multi:
        sources = tuple(sync.get("sources") or spec["sources"])
        wanted = list(sync.get("revisions") or [""] * len(sources))
    else:
        sources = tuple(filter(None, [sync.get("source") or spec.get("source")]))
        wanted = [sync.get("revision") or ""]
    try:
        revisions = tuple(pinned) or tuple(
            repositories.resolve(source["repoURL"], revision or source.get("targetRevision", ""))
            for source, revision in zip(sources, wanted, strict=False)
        )
    except UnknownRevisionError as error:
        return Target(sources, (), {}, is_multi, str(error))
    namespace = spec["destination"].get("namespace", "")
    pieces = {
        piece.key(namespace): piece
        for source, revision in zip(sources, revisions, strict=False)
        for piece in repositories.pieces(
            source["repoURL"], revision, source.get("path") or source.get("chart", "")
        )
    }
    return Target(sources, revisions, pieces, is_multi)


def compare(app: Json, target: Target, running: Running) -> Json:
    """Return the part of the status that a comparison writes."""
    spec = app["spec"]
    if target.error:
        return {
            "sync": {"status": UNKNOWN, "comparedTo": _compared_to(spec, target)},
            "health": {"status": running_health(running)},
            "conditions": [{"type": "ComparisonError", "message": target.error}],
        }
    ordinary = {key: piece for key, piece in target.pieces.items() if not piece.hook}
    resources = [
        _resource(key, ordinary.get(key), running.resources.get(key))
        for key in sorted({*ordinary, *running.resources})
    ]
    differ = any(resource["status"] == OUT_OF_SYNC for resource in resources)
    images = sorted({live.piece.image for live in running.resources.values() if live.piece.image})
    missing = not running.resources and bool(ordinary)
    parent = any(key.kind == "Application" for key in running.resources)
    return {
        "sync": {
            "status": OUT_OF_SYNC if differ else SYNCED,
            "comparedTo": _compared_to(spec, target),
            **target.revision_fields(),
        },
        "health": {"status": MISSING if missing else running_health(running)},
        "resources": resources,
        "summary": {**({"images": images} if images else {}), **({"isAppOfApps": True} if parent else {})},
        "conditions": None,
        **_source_types(target),
    }


def _compared_to(spec: Json, target: Target) -> Json:
    return {**target.source_fields(), "destination": spec["destination"]}


def _source_types(target: Target) -> Json:
    types = [
        "Helm" if source.get("chart") or source.get("helm") else "Kustomize" for source in target.sources
    ]
    return {"sourceTypes": types} if target.is_multi else {"sourceType": types[0] if types else ""}


def running_health(running: Running) -> str:
    """Return how an Application is: as its worst resource, of those that exist and can be ill."""
    found = [live.health for live in running.resources.values()]
    return max((health for health in found if health), key=_BADNESS.index, default=HEALTHY)


def _resource(key: ResourceKey, wanted: Piece | None, live: Live | None) -> Json:
    piece = wanted or (live.piece if live else None)
    same = wanted is not None and live is not None and live.piece == wanted and not live.drifted
    confirmation = wanted is None and live is not None and live.piece.needs_confirmation
    return {
        **({"group": key.group} if key.group else {}),
        "version": piece.version if piece else "v1",
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "status": SYNCED if same else OUT_OF_SYNC,
        **({"requiresPruning": True} if wanted is None else {}),
        **({"requiresDeletionConfirmation": True} if confirmation else {}),
        **({"syncWave": piece.wave} if piece and piece.wave else {}),
    }
