"""Ends syncs that somebody else began: known by when they began, since they carry no id of ours."""

from datetime import timedelta
from typing import Final

from bot.argocd.asked import AskedEnd, read_asked_end
from bot.argocd.cluster import ArgoCluster, Fresh
from bot.argocd.detail import ApplicationDetail, SyncRun
from bot.argocd.fields import number
from bot.argocd.guard import Guard
from bot.argocd.model import SyncPhase, was_terminated
from bot.argocd.patches import discard_patch, terminate_patch
from bot.argocd.preconditions import Refusal, discard_refusal, terminate_refusal
from bot.argocd.words import DISCARD
from bot.chat.text import cut, escape
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import ConflictError, NotFoundError, RefusedError
from bot.kube.model import Json
from bot.operations.model import Operation, Progress, State

_WATCH_CORPSE: Final = timedelta(seconds=15)
_MOST_TERMINATIONS: Final = 3
_TERMINATIONS: Final = "terminations"
_MESSAGE: Final = 200


class TerminationConductor:
    """Conducts `argocd.terminate`."""

    def __init__(self, argo: ArgoCluster, guard: Guard, *, clock: Clock) -> None:
        """Take the cluster and what is refused."""
        self._argo = argo
        self._guard = guard
        self._clock = clock

    async def start(self, operation: Operation) -> None:
        """Ask Argo CD to end it, or take away what cannot be ended."""
        self._guard.check_write()
        asked = read_asked_end(operation.plan.request)
        fresh, done = await self._argo.change(asked.key, lambda fresh: _end(fresh.detail, asked))
        if done:
            await self._argo.tell(
                fresh.reference,
                reason="OperationTerminated",
                message=operation.plan.title,
                by=operation.asked_by.name,
            )

    async def has_begun(self, operation: Operation) -> bool:
        """Look whether a start got through: the sync runs no longer, or is being ended."""
        asked = read_asked_end(operation.plan.request)
        fresh = await self._argo.read(asked.key)
        run = _run(fresh.detail, asked)
        return not _is_there(fresh.detail, asked) or (run is not None and run.phase is SyncPhase.TERMINATING)

    async def observe(self, operation: Operation) -> Progress:
        """Look whether it has ended."""
        asked = read_asked_end(operation.plan.request)
        try:
            fresh = await self._argo.read(asked.key)
        except NotFoundError:
            return Progress(state=State.SUCCEEDED, outcome="The Application does not exist any more.")
        detail = fresh.detail
        if detail.request is None and detail.run is not None and not detail.run.phase.is_final:
            # A pass that was under way wrote back what was discarded.
            await self._try(fresh, discard_patch(detail))
            return Progress(state=State.PROGRESSING, step="discarding", memory=operation.memory)
        if _is_there(detail, asked):
            return await self._insist(operation, fresh, asked)
        return self._over(operation, detail, asked)

    async def act(self, operation: Operation, what: str, *, by: Actor) -> None:
        """Take it away where even its end is kept waiting."""
        del by
        self._guard.check_write()
        if what != DISCARD:
            raise RefusedError("It is being ended already.")
        asked = read_asked_end(operation.plan.request)

        def decide(fresh: Fresh) -> Json | None:
            if not _is_there(fresh.detail, asked):
                return None
            refused = discard_refusal(fresh.detail)
            if refused is not None:
                raise refused.error()
            return discard_patch(fresh.detail)

        await self._argo.change(asked.key, decide)

    async def _insist(self, operation: Operation, fresh: Fresh, asked: AskedEnd) -> Progress:
        """Say how its end goes on; it is asked for again where it was not heard."""
        detail, run = fresh.detail, _run(fresh.detail, asked)
        refused = terminate_refusal(detail)
        tried = number(operation.memory.get(_TERMINATIONS))
        if refused is None and tried < _MOST_TERMINATIONS:
            await self._try(fresh, terminate_patch(detail))
            tried += 1
        is_blocked = refused is not None and refused.reason is Refusal.BLOCKED_BY_WINDOW
        return Progress(
            state=State.PROGRESSING,
            step="terminating",
            body=(_words(run, is_blocked=is_blocked),),
            offers=(DISCARD,) if is_blocked or (refused is None and tried >= _MOST_TERMINATIONS) else (),
            memory={**operation.memory, _TERMINATIONS: tried},
        )

    def _over(self, operation: Operation, detail: ApplicationDetail, asked: AskedEnd) -> Progress:
        run = detail.run
        if run is None and detail.request is None:
            began = operation.accepted_at or operation.tried_at
            if began is not None and self._clock.now() - began < _WATCH_CORPSE:
                return Progress(state=State.PROGRESSING, step="discarding", memory=operation.memory)
            return Progress(state=State.SUCCEEDED, outcome="It was discarded.")
        if run is None or not _is_same(run, asked):
            return Progress(state=State.SUCCEEDED, outcome="It is over; another sync has followed it.")
        if was_terminated(run.phase, run.message):
            return Progress(state=State.SUCCEEDED, outcome="It was terminated; what it had applied stays.")
        said = cut(escape(run.message), _MESSAGE)
        return Progress(
            state=State.FAILED,
            outcome=f"It was over before it could be terminated: {run.phase.value}. {said}".strip(),
        )

    async def _try(self, fresh: Fresh, body: Json) -> None:
        try:
            await self._argo.patch(fresh.detail.key, body)
        except (ConflictError, NotFoundError):
            return


def _end(detail: ApplicationDetail, asked: AskedEnd) -> Json | None:
    if not _is_there(detail, asked):
        raise ConflictError("That sync is over by now, or another one runs: look with `/argocd status`.")
    refused = terminate_refusal(detail)
    if refused is None:
        return terminate_patch(detail)
    if refused.reason is Refusal.TERMINATING_ALREADY:
        return None
    if discard_refusal(detail) is None:
        return discard_patch(detail)
    raise refused.error()


def _is_there(detail: ApplicationDetail, asked: AskedEnd) -> bool:
    """Tell whether the sync that is meant waits or runs."""
    run = _run(detail, asked)
    if run is not None:
        return not run.phase.is_final
    return not asked.started_at and detail.run is None and detail.request is not None


def _run(detail: ApplicationDetail, asked: AskedEnd) -> SyncRun | None:
    return detail.run if detail.run is not None and _is_same(detail.run, asked) else None


def _is_same(run: SyncRun, asked: AskedEnd) -> bool:
    began = run.started_at.isoformat() if run.started_at is not None else ""
    return bool(asked.started_at) and began == asked.started_at


def _words(run: SyncRun | None, *, is_blocked: bool) -> str:
    if is_blocked:
        return (
            "A sync window keeps even its end waiting, and nothing else can run until then. "
            "Discard takes it away."
        )
    if run is None:
        return ""
    return cut(escape(run.message), _MESSAGE)
