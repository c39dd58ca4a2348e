"""Read Argo CD's objects into values; whatever is missing or odd in them is left out, and nothing raises.

An Application is read when it is watched (`read_application`: short, for keeping
thousands) and again when somebody looks at it (`read_detail`). Texts that repeat
among Applications are interned: names of projects, clusters, repositories and
kinds. Commits and images are not, there is no end of them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from sys import intern
from typing import Any, Final

from bot.argocd.detail import (
    ApplicationDetail,
    HistoryEntry,
    ResourceResult,
    ResourceState,
    SyncRequest,
    SyncRun,
)
from bot.argocd.fields import flag, mapping, moment, number, objects, pairs, text, texts
from bot.argocd.model import (
    NO_AUTO_SYNC,
    OPERATION_ID,
    WORKLOAD_KINDS,
    Application,
    AutoSync,
    Child,
    Condition,
    Deployed,
    Destination,
    HealthStatus,
    ResourceKey,
    ResultStatus,
    Source,
    SyncPhase,
    SyncStatus,
    SyncSummary,
    Waiting,
    Workload,
    pack_workloads,
)
from bot.kube.model import Json, ObjectKey

APPLICATION: Final = ("argoproj.io", "Application")

_OUT_OF_SYNC: Final = SyncStatus.OUT_OF_SYNC.value
_SET: Final = "ApplicationSet"
_INTERESTING: Final = frozenset({*WORKLOAD_KINDS, APPLICATION[1], _SET})
_LONGEST_MESSAGE: Final = 240
_MOST_CONDITIONS: Final = 4
_MOST_EARLIER: Final = 6
_SHORT_REVISION: Final = 12
_ODD_REVISION: Final = re.compile(r"[/\s]")
_MOST_IMAGES: Final = 4
_MOST_LABELS: Final = 8
_MOST_NAMES: Final = 5
_MOST_WORKLOADS: Final = 64
_PROMOTION: Final = "kargo.akuity.io/promotion"
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]*@")

_SYNC: Final[Mapping[str, SyncStatus]] = {status.value: status for status in SyncStatus}
_HEALTH: Final[Mapping[str, HealthStatus]] = {status.value: status for status in HealthStatus}
_PHASES: Final[Mapping[str, SyncPhase]] = {phase.value: phase for phase in SyncPhase}
_RESULTS: Final[Mapping[str, ResultStatus]] = {status.value: status for status in ResultStatus}

_VAIN: Final = frozenset({SyncPhase.FAILED, SyncPhase.ERROR})
_APPLIED: Final = (ResultStatus.SYNCED.value, ResultStatus.PRUNED.value)

_destination = lru_cache(maxsize=512)(Destination)
_key = lru_cache(maxsize=512)(ObjectKey)
_auto_sync = lru_cache(maxsize=16)(AutoSync)


def read_key(raw: Json) -> ObjectKey:
    """Return which object it is."""
    metadata = mapping(raw.get("metadata"))
    return ObjectKey(intern(text(metadata.get("namespace"))), text(metadata.get("name")))


def read_application(raw: Json) -> Application:
    """Return what is kept of an Application."""
    key = read_key(raw)
    metadata, spec, status = (mapping(raw.get(part)) for part in ("metadata", "spec", "status"))
    annotations = mapping(metadata.get("annotations"))
    sync = mapping(status.get("sync"))
    health = mapping(status.get("health"))
    revisions = _revisions(sync)
    controller_namespace = intern(text(status.get("controllerNamespace")))
    resources = _Resources(key, objects(status.get("resources")))
    return Application(
        key=key,
        project=intern(text(spec.get("project"))),
        destination=_read_destination(spec.get("destination")),
        sources=_sources(spec),
        multi_source=bool(objects(spec.get("sources"))),
        sync=_SYNC.get(text(sync.get("status")), SyncStatus.UNKNOWN),
        health=_HEALTH.get(text(health.get("status")), HealthStatus.UNKNOWN),
        health_since=moment(health.get("lastTransitionTime")),
        revisions=revisions,
        deployed=_deployed(status.get("history"), revisions),
        packed_history=_pack_history(status.get("history")),
        reconciled_at=moment(status.get("reconciledAt")),
        conditions=_conditions(status)[:_MOST_CONDITIONS],
        last_sync=_summary(status.get("operationState"), revisions),
        waiting=_waiting(raw.get("operation")),
        auto_sync=_read_auto_sync(spec),
        application_set=_owner(metadata),
        parent=_parent(annotations, key, controller_namespace),
        wave=number(annotations.get("argocd.argoproj.io/sync-wave")),
        children=tuple(resources.children),
        child_sets=tuple(resources.child_sets),
        resources=resources.count,
        out_of_sync=resources.out_of_sync,
        out_of_sync_names=tuple(resources.names),
        to_prune=resources.to_prune,
        images=texts(mapping(status.get("summary")).get("images"))[:_MOST_IMAGES],
        packed_workloads=pack_workloads(resources.workloads),
        labels=_kept_labels(metadata),
        controller_namespace=controller_namespace,
        kargo_stage=intern(text(annotations.get("kargo.akuity.io/authorized-stage"))),
        refresh=_refresh(annotations),
        skips_reconcile=annotations.get("argocd.argoproj.io/skip-reconcile") == "true",
        deleting=bool(metadata.get("deletionTimestamp")),
        resource_version=text(metadata.get("resourceVersion")),
    )


def read_detail(raw: Json) -> ApplicationDetail:
    """Return all that one read of an Application gives."""
    metadata, spec, status = (mapping(raw.get(part)) for part in ("metadata", "spec", "status"))
    policy = mapping(spec.get("syncPolicy"))
    retry = policy.get("retry")
    summary = mapping(status.get("summary"))
    operation = raw.get("operation")
    run = status.get("operationState")
    return ApplicationDetail(
        application=read_application(raw),
        labels=pairs(metadata.get("labels")),
        annotations=pairs(metadata.get("annotations")),
        resources=tuple([_resource(each) for each in objects(status.get("resources"))]),
        conditions=_conditions(status, cut=False),
        request=_request(operation) if isinstance(operation, dict) else None,
        run=_run(run) if isinstance(run, dict) else None,
        history=tuple([_history(each) for each in reversed(objects(status.get("history")))]),
        sync_options=texts(policy.get("syncOptions")),
        retry=retry if isinstance(retry, dict) and retry else None,
        hydrated=isinstance(spec.get("sourceHydrator"), dict),
        urls=texts(summary.get("externalURLs")),
        images=texts(summary.get("images")),
    )


class _Resources:
    """One walk over the resources, of which there may be hundreds."""

    __slots__ = ("child_sets", "children", "count", "names", "out_of_sync", "to_prune", "workloads")

    def __init__(self, owner: ObjectKey, resources: Sequence[Mapping[str, Any]]) -> None:
        self.count = len(resources)
        self.children: list[Child] = []
        self.child_sets: list[Child] = []
        self.names: list[str] = []
        self.workloads: list[Workload] = []
        self.out_of_sync = 0
        self.to_prune = 0
        for raw in resources:
            kind = raw.get("kind")
            if isinstance(kind, str) and kind in _INTERESTING:
                self._add_interesting(owner, kind, raw)
            if raw.get("status") == _OUT_OF_SYNC:
                self._add_difference(raw)

    def _add_interesting(self, owner: ObjectKey, kind: str, raw: Mapping[str, Any]) -> None:
        group = raw.get("group")
        if group == APPLICATION[0]:
            self._add_child(owner, kind, raw)
        elif kind in WORKLOAD_KINDS and group in ("apps", "batch") and len(self.workloads) < _MOST_WORKLOADS:
            self._add_workload(kind, text(raw.get("namespace")), text(raw.get("name")))

    def _add_workload(self, kind: str, namespace: str, name: str) -> None:
        written = f"{namespace}/{name}"
        if namespace and name and written.count("/") == 1 and len(written.split()) == 1:
            self.workloads.append(Workload(kind, namespace, name))

    def _add_child(self, owner: ObjectKey, kind: str, raw: Mapping[str, Any]) -> None:
        namespace, name = intern(text(raw.get("namespace"))) or owner.namespace, text(raw.get("name"))
        child = Child(ObjectKey(namespace, name), number(raw.get("syncWave")))
        if kind == _SET and name:
            self.child_sets.append(child)
        elif kind == APPLICATION[1] and name and child.key != owner:
            self.children.append(child)

    def _add_difference(self, raw: Mapping[str, Any]) -> None:
        self.out_of_sync += 1
        self.to_prune += raw.get("requiresPruning") is True
        if len(self.names) < _MOST_NAMES:
            self.names.append(str(_resource_key(raw)))


def _resource_key(raw: Mapping[str, Any]) -> ResourceKey:
    return ResourceKey(
        text(raw.get("group")), text(raw.get("kind")), text(raw.get("namespace")), text(raw.get("name"))
    )


def _resource(raw: Mapping[str, Any]) -> ResourceState:
    health = mapping(raw.get("health"))
    return ResourceState(
        key=_resource_key(raw),
        version=text(raw.get("version")),
        sync=_SYNC.get(text(raw.get("status"))),
        health=_HEALTH.get(text(health.get("status"))),
        health_message=text(health.get("message")),
        wave=number(raw.get("syncWave")),
        hook=flag(raw.get("hook")),
        requires_pruning=flag(raw.get("requiresPruning")),
        requires_confirmation=flag(raw.get("requiresDeletionConfirmation")),
    )


def _result(raw: Mapping[str, Any]) -> ResourceResult:
    phase = text(raw.get("hookPhase"))
    return ResourceResult(
        key=_resource_key(raw),
        status=_RESULTS.get(text(raw.get("status"))),
        message=text(raw.get("message")),
        hook_type=text(raw.get("hookType")),
        hook_phase=_PHASES.get(phase, SyncPhase.UNKNOWN) if phase else None,
        sync_phase=text(raw.get("syncPhase")),
        images=texts(raw.get("images")),
    )


def _sources(raw: Mapping[str, Any]) -> tuple[Source, ...]:
    """Return `sources`, which win, or else `source`: of a specification, a history entry or a result."""
    several = objects(raw.get("sources"))
    single = raw.get("source")
    hydrator = mapping(raw.get("sourceHydrator"))
    if several:
        return tuple([_source(each) for each in several])
    if hydrator:
        return (_hydrated_source(hydrator),)
    return (_source(single),) if isinstance(single, dict) and single else ()


def _source(raw: Mapping[str, Any]) -> Source:
    return Source(
        repository=intern(_CREDENTIALS.sub("", text(raw.get("repoURL")))),
        path=text(raw.get("path")),
        chart=intern(text(raw.get("chart"))),
        target_revision=intern(text(raw.get("targetRevision"))),
        ref=intern(text(raw.get("ref"))),
        name=text(raw.get("name")),
    )


def _hydrated_source(hydrator: Mapping[str, Any]) -> Source:
    """Return what is synced: the branch that the hydrator writes to, of the repository that it reads."""
    dry, synced = mapping(hydrator.get("drySource")), mapping(hydrator.get("syncSource"))
    return Source(
        repository=intern(_CREDENTIALS.sub("", text(synced.get("repoURL")) or text(dry.get("repoURL")))),
        path=text(synced.get("path")),
        target_revision=intern(text(synced.get("targetBranch"))),
    )


def _revisions(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return `revisions`, or else `revision`."""
    several = texts(raw.get("revisions"))
    single = text(raw.get("revision"))
    return several or ((single,) if single else ())


def _same(revisions: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the known object where the two are equal: most Applications run what they were compared with."""
    return known if revisions == known else revisions


def _read_destination(value: object) -> Destination:
    raw = mapping(value)
    return _destination(
        intern(text(raw.get("server"))), intern(text(raw.get("name"))), text(raw.get("namespace"))
    )


def _deployed(history: object, revisions: tuple[str, ...]) -> Deployed | None:
    entries = objects(history)
    if not entries:
        return None
    last = entries[-1]
    return Deployed(
        number(last.get("id")), _same(_revisions(last), revisions), moment(last.get("deployedAt"))
    )


def _pack_history(history: object) -> str:
    """Return what ran before what runs, newest first, as one short text."""
    before = objects(history)[:-1][-_MOST_EARLIER:]
    return " ".join([_pack_entry(entry) for entry in reversed(before)])


def _pack_entry(entry: Mapping[str, Any]) -> str:
    at = moment(entry.get("deployedAt"))
    revision = next((each for each in _revisions(entry) if each), "")
    shown = _ODD_REVISION.sub("_", revision.removeprefix("sha256:")[:_SHORT_REVISION])
    return f"{number(entry.get('id'))}/{shown}/{int(at.timestamp()) if at else ''}"


def _conditions(status: Mapping[str, Any], *, cut: bool = True) -> tuple[Condition, ...]:
    longest = _LONGEST_MESSAGE if cut else None
    return tuple(
        [
            Condition(
                intern(text(each.get("type"))),
                _cut(text(each.get("message")), longest),
                moment(each.get("lastTransitionTime")),
            )
            for each in objects(status.get("conditions"))
        ]
    )


def _cut(message: str, longest: int | None) -> str:
    if longest is None or len(message) <= longest:
        return message
    return message[: longest - 1] + "…"


def _info(operation: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        [(text(each.get("name")), text(each.get("value"))) for each in objects(operation.get("info"))]
    )


def _find(info: tuple[tuple[str, str], ...], name: str) -> str:
    return next((value for each, value in info if each == name), "")


def _initiator(operation: Mapping[str, Any]) -> tuple[str, bool]:
    initiated = mapping(operation.get("initiatedBy"))
    return intern(text(initiated.get("username"))), flag(initiated.get("automated"))


def _summary(value: object, known: tuple[str, ...]) -> SyncSummary | None:
    state = mapping(value)
    if not state:
        return None
    operation = mapping(state.get("operation"))
    sync = mapping(operation.get("sync"))
    result = mapping(state.get("syncResult"))
    info = _info(operation)
    by, automated = _initiator(operation)
    phase = _PHASES.get(text(state.get("phase")), SyncPhase.UNKNOWN)
    return SyncSummary(
        phase=phase,
        message=_shared_message(text(state.get("message"))),
        started_at=moment(state.get("startedAt")),
        finished_at=moment(state.get("finishedAt")),
        retry_count=number(state.get("retryCount")),
        by=by,
        automated=automated,
        operation=_find(info, OPERATION_ID),
        promotion=_find(info, _PROMOTION),
        revisions=_same(_revisions(result) or _revisions(sync), known),
        dry_run=flag(sync.get("dryRun")),
        selective=bool(objects(sync.get("resources"))),
        applied_in_part=phase in _VAIN and any(map(_is_applied, objects(result.get("resources")))),
    )


def _is_applied(result: Mapping[str, Any]) -> bool:
    return result.get("status") in _APPLIED


def _shared_message(message: str) -> str:
    """Return the message cut. The usual ones of a success are the same text everywhere."""
    short = _cut(message, _LONGEST_MESSAGE)
    return intern(short) if short.startswith("successfully synced") else short


def _waiting(value: object) -> Waiting | None:
    if not isinstance(value, dict):
        return None
    by, automated = _initiator(value)
    return Waiting(_find(_info(value), OPERATION_ID), by, automated)


def _request(operation: Mapping[str, Any]) -> SyncRequest:
    sync = mapping(operation.get("sync"))
    info = _info(operation)
    by, automated = _initiator(operation)
    return SyncRequest(
        operation=_find(info, OPERATION_ID),
        promotion=_find(info, _PROMOTION),
        by=by,
        automated=automated,
        info=info,
        revisions=_revisions(sync),
        prune=flag(sync.get("prune")),
        dry_run=flag(sync.get("dryRun")),
        selected=tuple([_resource_key(each) for each in objects(sync.get("resources"))]),
        options=texts(sync.get("syncOptions")),
        without_hooks=isinstance(mapping(sync.get("syncStrategy")).get("apply"), dict),
        retry_limit=number(mapping(operation.get("retry")).get("limit")),
    )


def _run(state: Mapping[str, Any]) -> SyncRun:
    result = mapping(state.get("syncResult"))
    return SyncRun(
        phase=_PHASES.get(text(state.get("phase")), SyncPhase.UNKNOWN),
        message=text(state.get("message")),
        started_at=moment(state.get("startedAt")),
        finished_at=moment(state.get("finishedAt")),
        retry_count=number(state.get("retryCount")),
        request=_request(mapping(state.get("operation"))),
        revisions=_revisions(result),
        results=tuple([_result(each) for each in objects(result.get("resources"))]),
    )


def _history(raw: Mapping[str, Any]) -> HistoryEntry:
    by, automated = _initiator(raw)
    return HistoryEntry(
        id=number(raw.get("id")),
        revisions=_revisions(raw),
        sources=_sources({name: raw.get(name) for name in ("source", "sources")}),
        raw_sources=_raw_sources(raw),
        started_at=moment(raw.get("deployStartedAt")),
        deployed_at=moment(raw.get("deployedAt")),
        by=by,
        automated=automated,
    )


def _raw_sources(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the source as it stands there; an entry of several sources has an empty single one, too."""
    several, single = objects(raw.get("sources")), mapping(raw.get("source"))
    if several:
        return {"sources": list(several)}
    return {"source": dict(single)} if text(single.get("repoURL")) else {}


def _read_auto_sync(spec: Mapping[str, Any]) -> AutoSync:
    automated = mapping(spec.get("syncPolicy")).get("automated")
    if not isinstance(automated, dict):
        return NO_AUTO_SYNC
    return _auto_sync(
        automated.get("enabled") is not False,
        flag(automated.get("prune")),
        flag(automated.get("selfHeal")),
        flag(automated.get("allowEmpty")),
    )


def _owner(metadata: Mapping[str, Any]) -> str:
    for owner in objects(metadata.get("ownerReferences")):
        if owner.get("kind") == _SET and owner.get("controller") is True:
            return intern(text(owner.get("name")))
    return ""


def _parent(annotations: Mapping[str, Any], key: ObjectKey, controller_namespace: str) -> ObjectKey | None:
    """Return who applied it: `<parent>:argoproj.io/Application:<ns>/<name>`.

    An annotation that names another object was copied with a manifest and says
    nothing. A parent without a namespace (`<ns>_<name>`) lives beside Argo CD.
    """
    tracking = text(annotations.get("argocd.argoproj.io/tracking-id"))
    owner, _, tracked = tracking.partition(":")
    if not owner or tracked != f"{'/'.join(APPLICATION)}:{key}":
        return None
    namespace, underscore, name = owner.partition("_")
    if not underscore:
        namespace, name = controller_namespace or key.namespace, owner
    parent = _key(namespace, name)
    return None if parent == key or not name else parent


def _kept_labels(metadata: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    labels = sorted(pairs(metadata.get("labels")).items())[:_MOST_LABELS]
    return tuple([_label(intern(name), value) for name, value in labels])


@lru_cache(maxsize=512)
def _label(name: str, value: str) -> tuple[str, str]:
    """Return the same pair for the same label: most are on many Applications."""
    return name, value


def _refresh(annotations: Mapping[str, Any]) -> str:
    """Return which refresh is asked for: whatever is not `hard` means normal to Argo CD."""
    asked = annotations.get("argocd.argoproj.io/refresh")
    if not isinstance(asked, str):
        return ""
    return "hard" if asked == "hard" else "normal"
