"""What is written to Argo CD's resources, as merge patches: nothing else is ever sent.

Whoever may patch an Application may make Argo CD apply anything, from anywhere:
no admission checks it. So an operation is built here from a closed set of fields,
and a source is only ever one that Argo CD deployed before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bot.argocd.detail import ApplicationDetail, HistoryEntry
from bot.argocd.fields import mapping
from bot.argocd.model import OPERATION_ID, ResourceKey
from bot.argocd.sets import REFRESH_ANNOTATION as SET_REFRESH_ANNOTATION
from bot.kube.model import Json

USER_PREFIX: Final = "the-machine/"
"""Before the name of whoever asked, where Argo CD writes down who began a sync."""
REFRESH_ANNOTATION: Final = "argocd.argoproj.io/refresh"
CONFIRMATION_ANNOTATION: Final = "argocd.argoproj.io/deletion-approved"

_LONGEST_TEXT: Final = 500
_RETRY_FIELDS: Final = ("limit", "refresh")
_BACKOFF_FIELDS: Final = ("duration", "factor", "maxDuration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What every sync has: our id, who asked, and why."""

    operation: str
    by: str
    """A name that people know; `the-machine/` is put before it."""
    reason: str = ""
    prune: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOrder(Order):
    """A sync that somebody asked for."""

    revisions: tuple[str, ...] = ()
    """One per source, where an empty one means what the source follows; none at all: for all of them."""
    selected: tuple[ResourceKey, ...] = ()
    """Only these; hooks do not run then. None: everything."""


def sync_patch(detail: ApplicationDetail, order: SyncOrder) -> Json:
    """Return what begins a sync, if nothing happened to the Application since it was read.

    The options and retries of the specification are copied, as argocd-server does:
    the controller does not look there. The state of the former operation goes,
    because the controller would mix its fields into ours (argo-cd#20875).
    """
    sync: Json = {
        **_revisions(detail, order.revisions),
        "prune": order.prune,
        "dryRun": order.dry_run,
        "syncStrategy": {"hook": {}},
        **_options(detail),
    }
    if order.selected:
        sync["resources"] = [_selected(key) for key in order.selected]
    retry = _retry(detail.retry)
    if any(order.revisions):
        # A further try would otherwise go to whatever is newest then, which nobody has asked for.
        retry.pop("refresh", None)
    return _operation(detail, order, sync, {"retry": retry} if retry else {})


def rollback_patch(detail: ApplicationDetail, entry: HistoryEntry, order: Order) -> Json:
    """Return what deploys an entry of the history again, without hooks, as argocd-server does.

    A hydrated Application gets no source: the controller derives it.
    """
    sources = {} if detail.hydrated else dict(entry.raw_sources)
    revisions: Json = (
        {"revisions": list(entry.revisions)}
        if entry.is_multi_source
        else {"revision": next(iter(entry.revisions), "")}
    )
    sync: Json = {
        **revisions,
        **sources,
        "prune": order.prune,
        "dryRun": order.dry_run,
        "syncStrategy": {"apply": {}},
        **_options(detail),
    }
    return _operation(detail, order, sync, {})


def _operation(detail: ApplicationDetail, order: Order, sync: Json, more: Json) -> Json:
    info = [{"name": OPERATION_ID, "value": order.operation}]
    if order.reason:
        info.append({"name": "Reason", "value": order.reason[:_LONGEST_TEXT]})
    return {
        **_if_unchanged(detail),
        "operation": {
            "initiatedBy": {"username": f"{USER_PREFIX}{order.by}"[:_LONGEST_TEXT]},
            "info": info,
            "sync": sync,
            **more,
        },
        "status": {"operationState": None},
    }


def _if_unchanged(detail: ApplicationDetail) -> Json:
    return {"metadata": {"resourceVersion": detail.application.resource_version}}


def _revisions(detail: ApplicationDetail, revisions: tuple[str, ...]) -> Json:
    if not any(revisions):
        return {}
    if not detail.application.multi_source:
        return {"revision": revisions[0]}
    return {"revisions": list(revisions)}


def _options(detail: ApplicationDetail) -> Json:
    return {"syncOptions": list(detail.sync_options)} if detail.sync_options else {}


def _selected(key: ResourceKey) -> Json:
    named = {"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name}
    return {name: value for name, value in named.items() if value}


def _retry(retry: Mapping[str, Any] | None) -> Json:
    found = mapping(retry)
    backoff = mapping(found.get("backoff"))
    copied = {name: found[name] for name in _RETRY_FIELDS if found.get(name) is not None}
    delays = {name: backoff[name] for name in _BACKOFF_FIELDS if backoff.get(name) is not None}
    return copied | ({"backoff": delays} if delays else {})


def terminate_patch(detail: ApplicationDetail) -> Json:
    """Return what asks Argo CD to stop the operation that runs."""
    return {**_if_unchanged(detail), "status": {"operationState": {"phase": "Terminating"}}}


def discard_patch(detail: ApplicationDetail) -> Json:
    """Return what takes away an operation that never began or that a window keeps waiting.

    Both fields together: without its state, an operation that had begun would stay
    running for ever, and the next one would go on with it.
    """
    return {**_if_unchanged(detail), "operation": None, "status": {"operationState": None}}


def refresh_patch(*, hard: bool = False) -> Json:
    """Return what makes Argo CD compare again; `hard` also forgets the rendered manifests."""
    return _annotated(REFRESH_ANNOTATION, "hard" if hard else "normal")


def confirm_pruning_patch(detail: ApplicationDetail, *, now: datetime) -> Json:
    """Return what confirms the deletions that a sync waits for, if it still is that sync.

    It counts only when it is not older than the sync, whose controller may have another clock.
    """
    started = detail.run.started_at if detail.run else None
    confirmed = max(now, started) if started else now
    written = confirmed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    annotated = _annotated(CONFIRMATION_ANNOTATION, written)["metadata"]
    return {"metadata": {**_if_unchanged(detail)["metadata"], **annotated}}


def refresh_set_patch() -> Json:
    """Return what makes an ApplicationSet generate again."""
    return _annotated(SET_REFRESH_ANNOTATION, "true")


def _annotated(name: str, value: str) -> Json:
    return {"metadata": {"annotations": {name: value}}}
