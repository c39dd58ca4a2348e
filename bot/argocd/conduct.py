"""Does syncs and rollbacks: begins them once, follows them by our id, ends them.

Argo CD has no name for an operation, so ours carries its id in what it says about
itself. Every start looks for that id first: it may be asked again after a restart,
or after an answer that did not arrive.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from bot.argocd.applied import Applied
from bot.argocd.asked import Asked, read_asked
from bot.argocd.cluster import ArgoCluster, Fresh
from bot.argocd.detail import ApplicationDetail
from bot.argocd.fields import number
from bot.argocd.guard import Guard
from bot.argocd.model import Application, ResourceKey
from bot.argocd.patches import (
    Order,
    SyncOrder,
    confirm_pruning_patch,
    discard_patch,
    rollback_patch,
    sync_patch,
    terminate_patch,
)
from bot.argocd.permits import Permits
from bot.argocd.progress import Stage, SyncView, WaitsFor, follow
from bot.argocd.server import ArgoServer
from bot.argocd.views import ResourceHealth
from bot.argocd.words import APPROVE_PRUNING, DISCARD, describe_progress, short
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import ConflictError, MachineError, NotFoundError, RefusedError
from bot.kube.model import Json
from bot.operations.life import mention
from bot.operations.model import CANCEL, Operation, Progress, State

_WATCH_CORPSE: Final = timedelta(seconds=15)
"""So long after a discard a pass that was under way may write the state of it back."""
_MOST_TERMINATIONS: Final = 3
_TERMINATIONS: Final = "terminations"
_HEALTH_SECONDS: Final = 3


class SyncConductor:
    """Conducts `argocd.sync` and `argocd.rollback`."""

    def __init__(
        self,
        *,
        argo: ArgoCluster,
        server: ArgoServer,
        guard: Guard,
        permits: Permits,
        applied: Applied,
        clock: Clock,
    ) -> None:
        """Take the adapters, what is refused, and who notes what was applied in vain."""
        self._argo = argo
        self._server = server
        self._guard = guard
        self._permits = permits
        self._applied = applied
        self._clock = clock

    async def start(self, operation: Operation) -> None:
        """Begin it, unless it is there already."""
        asked = read_asked(operation.plan.request)
        await begin(
            self._argo,
            self._permits,
            self._guard,
            asked,
            operation=operation,
            reason=operation.plan.title,
        )

    async def has_begun(self, operation: Operation) -> bool:
        """Look whether a start got through."""
        fresh = await self._argo.read(read_asked(operation.plan.request).key)
        return holds(fresh.detail, operation.id)

    async def observe(self, operation: Operation) -> Progress:
        """Look how far it is."""
        asked = read_asked(operation.plan.request)
        try:
            fresh = await self._argo.read(asked.key)
        except NotFoundError:
            return Progress(state=State.LOST, outcome="The Application does not exist any more.")
        now = self._clock.now()
        view = see(fresh.detail, operation, operation.memory, now=now)
        if may_come_back(operation, fresh.detail, view, now=now):
            return Progress(state=State.STARTED, step="discarding", memory=view.memory)
        view = await insist(self._argo, operation, fresh, view)
        application = fresh.detail.application
        progress = describe_progress(
            view,
            application,
            dry_run=asked.dry_run,
            ended_by=ended_by(operation),
            live=await self._live(application, view),
        )
        if progress.state.is_final and progress.state is not State.SUCCEEDED:
            run = fresh.detail.run if view.stage is not Stage.SUPERSEDED else None
            await self._applied.note(operation, application, run, words=progress.outcome)
        return progress

    async def act(self, operation: Operation, what: str, *, by: Actor) -> None:
        """End it, take it away, or let it delete what waits for somebody's word."""
        self._guard.check_write()
        decisions: Mapping[str, tuple[Callable[[Fresh], Json | None], str, str]] = {
            CANCEL: (self._ending(operation), "OperationTerminated", "terminated"),
            DISCARD: (self._discarding(operation), "OperationDiscarded", "discarded"),
            APPROVE_PRUNING: (self._confirming(operation), "PruningApproved", "pruning approved"),
        }
        if what not in decisions:
            raise RefusedError("Nothing of that kind can be asked of a sync.")
        decide, reason, words = decisions[what]
        fresh, done = await self._argo.change(read_asked(operation.plan.request).key, decide)
        if done:
            message = f"{operation.plan.title}: {words}"
            await self._argo.tell(fresh.reference, reason=reason, message=message, by=by.name)

    def _ending(self, operation: Operation) -> Callable[[Fresh], Json | None]:
        def decide(fresh: Fresh) -> Json | None:
            view = see(fresh.detail, operation, operation.memory, now=self._clock.now())
            return end_patch(fresh.detail, view)

        return decide

    def _discarding(self, operation: Operation) -> Callable[[Fresh], Json | None]:
        def decide(fresh: Fresh) -> Json | None:
            view = see(fresh.detail, operation, operation.memory, now=self._clock.now())
            if _is_away(view, fresh.detail):
                return None
            if not view.stage.can_discard:
                raise ConflictError("It goes on by itself by now: nothing is discarded.")
            return discard_patch(fresh.detail)

        return decide

    def _confirming(self, operation: Operation) -> Callable[[Fresh], Json | None]:
        def decide(fresh: Fresh) -> Json | None:
            now = self._clock.now()
            view = see(fresh.detail, operation, operation.memory, now=now)
            if view.stage is not Stage.WAITING_FOR_CONFIRMATION:
                raise ConflictError("It does not wait for that any more.")
            return confirm_pruning_patch(fresh.detail, now=now)

        return decide

    async def _live(self, application: Application, view: SyncView) -> Mapping[ResourceKey, ResourceHealth]:
        waits = view.stage is Stage.AWAITING_HEALTH or (
            view.wait is not None and view.wait.why is WaitsFor.HEALTH
        )
        return await live_health(self._server, application) if waits else {}


def see(
    detail: ApplicationDetail, operation: Operation, memory: Mapping[str, Any], *, now: datetime
) -> SyncView:
    """Return where an operation's sync of an Application is; `memory` is that of the view before."""
    asked_at = operation.accepted_at or operation.tried_at or operation.started_at or now
    return follow(detail, operation.id, asked_at=asked_at, memory=memory, now=now)


def end_patch(detail: ApplicationDetail, view: SyncView) -> Json | None:
    """Return what ends a sync of ours, or None: it is ended already.

    Raises:
        ConflictError: There is nothing left to end.
    """
    if view.stage in {Stage.TERMINATING, Stage.TERMINATED} or _is_away(view, detail):
        return None
    if view.stage is Stage.ACCEPTED or view.stage.can_discard:
        return discard_patch(detail)
    if view.stage.can_terminate:
        return terminate_patch(detail)
    raise ConflictError(_why_not_ended(view))


def may_come_back(operation: Operation, detail: ApplicationDetail, view: SyncView, *, now: datetime) -> bool:
    """Tell whether a pass of Argo CD may still write back what was discarded."""
    at = discarded_at(operation)
    return at is not None and _is_away(view, detail) and now - at < _WATCH_CORPSE


async def insist(argo: ArgoCluster, operation: Operation, fresh: Fresh, view: SyncView) -> SyncView:
    """Ask again for what a pass of Argo CD that was under way wrote over."""
    if discarded_at(operation) is not None and view.stage is Stage.ORPHANED:
        await _try(argo, fresh, discard_patch(fresh.detail))
        return view
    wanted = operation.granted is not None and operation.granted.what == CANCEL
    tried = number(view.memory.get(_TERMINATIONS))
    is_ignored = (view.terminate_again or wanted) and view.stage.can_terminate
    if not is_ignored or tried >= _MOST_TERMINATIONS:
        return view
    await _try(argo, fresh, terminate_patch(fresh.detail))
    return replace(view, memory={**view.memory, _TERMINATIONS: tried + 1})


async def _try(argo: ArgoCluster, fresh: Fresh, body: Json) -> None:
    try:
        await argo.patch(fresh.detail.key, body)
    except (ConflictError, NotFoundError):
        return


async def begin(
    argo: ArgoCluster,
    permits: Permits,
    guard: Guard,
    asked: Asked,
    *,
    operation: Operation,
    reason: str,
) -> Fresh:
    """Write a sync or rollback into its Application, unless it is there already.

    Raises:
        RefusedError: It must not begin as things are.
    """
    guard.check_write()
    knowledge = await permits.know()

    def decide(fresh: Fresh) -> Json | None:
        if holds(fresh.detail, operation.id):
            return None
        permits.check(fresh.detail, asked, knowledge)
        return order(fresh.detail, asked, operation, reason)

    fresh, begun = await argo.change(asked.key, decide)
    if begun:
        revision = next((f" to {short(each)}" for each in asked.wanted if each), "")
        await argo.tell(
            fresh.reference,
            reason="OperationStarted",
            message=f"{reason}{revision} started",
            by=operation.asked_by.name,
        )
    return fresh


def order(detail: ApplicationDetail, asked: Asked, operation: Operation, reason: str) -> Json:
    """Return the patch that begins what is asked.

    Raises:
        NotFoundError: The history does not have the entry (any more).
    """
    by = operation.asked_by.name
    if asked.history_id is None:
        return sync_patch(
            detail,
            SyncOrder(
                operation=operation.id,
                by=by,
                reason=reason,
                prune=asked.prune,
                dry_run=asked.dry_run,
                revisions=asked.wanted,
                selected=asked.selected,
            ),
        )
    entry = next((each for each in detail.history if each.id == asked.history_id), None)
    if entry is None:
        raise NotFoundError(f"The history has no entry {asked.history_id} any more.")
    return rollback_patch(
        detail, entry, Order(operation=operation.id, by=by, reason=reason, prune=asked.prune)
    )


def holds(detail: ApplicationDetail, operation_id: str) -> bool:
    """Tell whether an operation of ours stands in its Application, waiting, running or over."""
    asked = detail.request is not None and detail.request.operation == operation_id
    return asked or (detail.run is not None and detail.run.request.operation == operation_id)


def discarded_at(operation: Operation) -> datetime | None:
    """Return when somebody had it taken away through us, or None."""
    granted = operation.granted
    return granted.at if granted is not None and granted.what in {CANCEL, DISCARD} else None


def ended_by(operation: Operation) -> str:
    """Return who had it ended or taken away through us, as markup; empty: nobody."""
    granted = operation.granted
    return mention(granted.by) if granted is not None and discarded_at(operation) is not None else ""


async def live_health(server: ArgoServer, application: Application) -> Mapping[ResourceKey, ResourceHealth]:
    """Return how each resource is, or nothing: what is shown must not wait for it."""
    if not server.is_configured:
        return {}
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            return await server.list_resource_health(application)
    except (MachineError, TimeoutError):
        return {}


def _is_away(view: SyncView, detail: ApplicationDetail) -> bool:
    return view.stage is Stage.SUPERSEDED and detail.request is None and detail.run is None


def _why_not_ended(view: SyncView) -> str:
    if view.stage is Stage.AWAITING_HEALTH:
        return "Everything is applied already: nothing is left to end. `/argocd rollback` goes back."
    if view.stage is Stage.SUPERSEDED:
        return "Another sync has taken its place: `/argocd terminate` ends that one."
    return "It is over already."
