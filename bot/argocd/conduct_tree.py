"""Syncs an Application and all below it: parents first, then children wave by wave.

Each Application of the tree carries the one id of the operation, so that each sync
is begun once whatever happens in between. What is known of each is kept in the
operation's memory; who belongs to whom is looked at afresh each time, for a parent's
sync may bring new children.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from bot.access.service import Access
from bot.argocd.applied import Applied
from bot.argocd.asked import Asked, AskedTree, read_asked_tree
from bot.argocd.cluster import ArgoCluster, Fresh
from bot.argocd.conduct import begin, discarded_at, end_patch, ended_by, holds, insist, see
from bot.argocd.detail import ApplicationDetail
from bot.argocd.fields import mapping, moment, text
from bot.argocd.guard import Guard
from bot.argocd.model import Application, SyncPhase, access_targets
from bot.argocd.patches import refresh_patch
from bot.argocd.permits import Permits, more_about
from bot.argocd.preconditions import Refusal
from bot.argocd.progress import HEALTHY_WITHIN, Stage, SyncView
from bot.argocd.tree import Family, TreeState, TreeSteps, is_settled, next_steps
from bot.argocd.words import describe_progress
from bot.chat.text import cut, escape
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import NotFoundError, RefusedError, UnavailableError
from bot.kube.model import Json, ObjectKey, WatchPhase
from bot.operations.model import CANCEL, Operation, Progress, State

AT_ONCE: Final = 4
"""How many Applications are synced beside each other."""

_COMPARED_WITHIN: Final = timedelta(minutes=2)
_CREATED_WITHIN: Final = timedelta(minutes=5)
_MOST_SHOWN: Final = 5
_WORDS: Final = 240
_NOT_BEGUN: Final = "not begun"
_GONE: Final = "it does not exist any more"
_PRUNED: Final = "pruned, as its parent does not have it any more"
_BUSY: Final = frozenset({Refusal.RUNNING_ALREADY, Refusal.ASKED_FOR_ALREADY})


class Step(StrEnum):
    """What an Application of the tree is about."""

    COMPARING = "comparing"
    """Argo CD is to look at it anew, before it is decided whether it needs a sync."""
    WAITING = "waiting"
    """Somebody else's sync runs."""
    SYNCING = "syncing"
    SETTLING = "settling"
    """It is in sync without our doing, and is to become healthy."""
    DONE = "done"
    FAILED = "failed"


_STATES: Final[Mapping[Step, TreeState]] = {
    Step.DONE: TreeState.DONE,
    Step.FAILED: TreeState.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is known of one Application of the tree."""

    step: Step
    since: datetime
    memory: Mapping[str, Any] = field(default_factory=dict)
    """Of the view of its sync."""
    fraction: float = 0.0
    words: str = ""
    """Safe markup: what it waits for, or why it failed."""

    @property
    def was_begun(self) -> bool:
        """Whether a sync of it was begun by this operation."""
        return self.step is Step.SYNCING or bool(self.memory)

    def to_json(self) -> Mapping[str, Any]:
        """Return what is kept between two looks."""
        return {
            "step": self.step.value,
            "since": self.since.isoformat(),
            "memory": dict(self.memory),
            "fraction": self.fraction,
            "words": self.words,
        }


class TreeConductor:
    """Conducts `argocd.tree`."""

    def __init__(
        self,
        *,
        argo: ArgoCluster,
        guard: Guard,
        permits: Permits,
        access: Access,
        applied: Applied,
        clock: Clock,
    ) -> None:
        """Take the cluster, what is refused, who may do what, and who notes what was applied."""
        self._argo = argo
        self._guard = guard
        self._permits = permits
        self._access = access
        self._applied = applied
        self._clock = clock

    async def start(self, operation: Operation) -> None:
        """Check that its root can be synced; nothing is written before the first look at it."""
        asked = read_asked_tree(operation.plan.request)
        self._guard.check_write()
        fresh = await self._argo.read(asked.root)
        if not holds(fresh.detail, operation.id):
            refused = self._permits.refusal(fresh.detail, Asked(key=asked.root), await self._permits.know())
            if refused is not None and refused.reason not in _BUSY:
                raise refused.error(more_about(refused))

    async def has_begun(self, operation: Operation) -> bool:
        """Look whether its root was begun."""
        fresh = await self._argo.read(read_asked_tree(operation.plan.request).root)
        return holds(fresh.detail, operation.id)

    async def observe(self, operation: Operation) -> Progress:
        """Look how far each is, and begin what comes next."""
        asked = read_asked_tree(operation.plan.request)
        family = self._family()
        parts = _read_parts(operation.memory, now=self._clock.now())
        for key, part in parts.items():
            if part.step not in _STATES:
                parts[key] = await self._look(operation, asked, family, key, part)
        steps = next_steps(family, asked.root, _states(parts), at_once=AT_ONCE)
        cancelled = discarded_at(operation) is not None
        if not cancelled:
            for key in steps.start:
                parts[key] = await self._take_up(operation, asked, key)
        after = next_steps(family, asked.root, _states(parts), at_once=0)
        missing_since = self._miss(operation, parts, after)
        if missing_since is not None and self._clock.now() - missing_since >= _CREATED_WITHIN:
            for key in after.missing:
                parts[key] = Part(step=Step.FAILED, since=missing_since, words="it was not created")
            after = next_steps(family, asked.root, _states(parts), at_once=0)
        return _progress(parts, after, ended_by=ended_by(operation), missing_since=missing_since)

    def _miss(
        self, operation: Operation, parts: Mapping[ObjectKey, Part], steps: TreeSteps
    ) -> datetime | None:
        """Return since when nothing is left to do but to wait for Applications that do not exist."""
        if not steps.missing or steps.running or steps.failed or not parts:
            return None
        return moment(mapping(dict(operation.memory)).get("missing_since")) or self._clock.now()

    async def act(self, operation: Operation, what: str, *, by: Actor) -> None:
        """End all that runs; nothing more is begun then."""
        self._guard.check_write()
        if what != CANCEL:
            raise RefusedError("Nothing of that kind can be asked of the sync of a tree.")
        for key, part in _read_parts(operation.memory, now=self._clock.now()).items():
            if part.step is Step.SYNCING:
                await self._end(operation, key, part, by)

    async def _end(self, operation: Operation, key: ObjectKey, part: Part, by: Actor) -> None:
        def decide(fresh: Fresh) -> Json | None:
            view = see(fresh.detail, operation, part.memory, now=self._clock.now())
            try:
                return end_patch(fresh.detail, view)
            except RefusedError:
                # It ends by itself, or has.
                return None

        try:
            fresh, done = await self._argo.change(key, decide)
        except NotFoundError:
            return
        if done:
            message = f"{operation.plan.title}: terminated"
            await self._argo.tell(fresh.reference, reason="OperationTerminated", message=message, by=by.name)

    def _family(self) -> Family:
        health = self._argo.applications.health
        if health.phase is not WatchPhase.SYNCED:
            raise UnavailableError(health.problem or "The Applications are not known at the moment.")
        return Family(dict(self._argo.applications.items()))

    async def _take_up(self, operation: Operation, asked: AskedTree, key: ObjectKey) -> Part:
        """Begin with an Application: it is compared first, since its parent's sync may have changed it."""
        now = self._clock.now()
        if key in asked.left_out or self._guard.is_itself(key):
            return Part(step=Step.DONE, since=now, words="left alone: it deploys this bot")
        try:
            fresh = await self._argo.read(key)
        except NotFoundError:
            return _gone(asked, key, Part(step=Step.FAILED, since=now))
        if _is_pruned(asked, fresh.detail.application):
            return _gone(asked, key, Part(step=Step.DONE, since=now))
        if holds(fresh.detail, operation.id):
            return Part(step=Step.SYNCING, since=now)
        refusal = self._refusal(operation, fresh.detail)
        if refusal:
            return Part(step=Step.FAILED, since=now, words=refusal)
        await self._argo.patch(key, refresh_patch())
        return Part(step=Step.COMPARING, since=now.replace(microsecond=0))

    def _refusal(self, operation: Operation, detail: ApplicationDetail) -> str:
        """Say why the asker may not sync this part; it may be new since the tree was shown."""
        targets = access_targets(detail.application, detail.labels)
        decision = self._access.decide(operation.asked_by, operation.plan.action, targets)
        if not decision.allowed:
            return decision.missing
        if decision.approvals > operation.approvals_needed:
            return f"it needs more approvals ({decision.approvals}): sync it by itself"
        return ""

    async def _look(
        self, operation: Operation, asked: AskedTree, family: Family, key: ObjectKey, part: Part
    ) -> Part:
        """Return how far an Application is by now."""
        try:
            fresh = await self._argo.read(key)
        except NotFoundError:
            return _gone(asked, key, part)
        if _is_pruned(asked, fresh.detail.application):
            return _gone(asked, key, part)
        if holds(fresh.detail, operation.id):
            return await self._look_at_sync(operation, family, fresh, part)
        match part.step:
            case Step.SYNCING:
                return replace(part, step=Step.FAILED, words="another sync took the place of ours")
            case Step.COMPARING if discarded_at(operation) is None and self._is_being_compared(
                fresh.detail.application, part
            ):
                return part
            case _:
                return await self._decide(operation, asked, family, fresh, part)

    def _is_being_compared(self, application: Application, part: Part) -> bool:
        compared = application.reconciled_at
        is_over = not application.refresh and compared is not None and compared >= part.since
        return not is_over and self._clock.now() - part.since < _COMPARED_WITHIN

    async def _decide(
        self, operation: Operation, asked: AskedTree, family: Family, fresh: Fresh, part: Part
    ) -> Part:
        """Begin its sync, unless it needs none or somebody else's runs."""
        now, application = self._clock.now(), fresh.detail.application
        if is_settled(application):
            return replace(part, step=Step.DONE, words="", fraction=1.0)
        if discarded_at(operation) is not None:
            return replace(part, step=Step.FAILED, words=_NOT_BEGUN)
        if _is_in_sync(application) and not application.is_syncing:
            return self._settle(family, application, part, now)
        return await self._begin(operation, asked, fresh, part)

    async def _begin(self, operation: Operation, asked: AskedTree, fresh: Fresh, part: Part) -> Part:
        key = fresh.detail.key
        wanted = Asked(key=key)
        if asked.prune and key == asked.root:
            # What pruning deletes is shown beforehand, and that is known of the root alone.
            wanted = replace(wanted, prune=True, shown=asked.shown, deployed=asked.deployed)
        refused = self._permits.refusal(fresh.detail, wanted, await self._permits.know())
        if refused is not None and refused.reason in _BUSY:
            return replace(part, step=Step.WAITING, words="")
        reason = operation.plan.title
        try:
            await begin(self._argo, self._permits, self._guard, wanted, operation=operation, reason=reason)
        except RefusedError as error:
            return replace(part, step=Step.FAILED, words=str(error))
        return Part(step=Step.SYNCING, since=self._clock.now())

    def _settle(self, family: Family, application: Application, part: Part, now: datetime) -> Part:
        """Wait for the health of what is in sync without us; a parent's may be that of its children."""
        if family.children(application.key):
            return replace(part, step=Step.DONE, words="", fraction=1.0)
        if part.step is not Step.SETTLING:
            return Part(step=Step.SETTLING, since=now, words=f"it is {application.health.value}")
        if now - part.since >= HEALTHY_WITHIN:
            return replace(part, step=Step.FAILED, words=f"it is still {application.health.value}")
        return replace(part, words=f"it is {application.health.value}")

    async def _look_at_sync(self, operation: Operation, family: Family, fresh: Fresh, part: Part) -> Part:
        detail = fresh.detail
        view = see(detail, operation, part.memory, now=self._clock.now())
        view = await insist(self._argo, operation, fresh, view)
        seen = describe_progress(view, detail.application, ended_by=ended_by(operation), in_a_tree=True)
        if detail.run is not None and detail.run.phase.is_final:
            await self._applied.note(operation, detail.application, detail.run, words=_applied(view))
        step = Step.SYNCING
        if view.stage is Stage.SUCCEEDED or _has_its_children(family, detail, view):
            step = Step.DONE
        elif view.stage.is_final:
            step = Step.FAILED
        words = seen.outcome if step is Step.FAILED else next(iter(seen.body), seen.step)
        return Part(
            step=step,
            since=part.since,
            memory=view.memory,
            fraction=1.0 if step is Step.DONE else view.fraction,
            words=words,
        )


def _is_pruned(asked: AskedTree, application: Application) -> bool:
    return asked.prune and application.deleting and application.key != asked.root


def _gone(asked: AskedTree, key: ObjectKey, part: Part) -> Part:
    """Return a part that is gone, or on its way: where its parent is pruned, that was asked for."""
    if asked.prune and key != asked.root:
        return replace(part, step=Step.DONE, words=_PRUNED)
    return replace(part, step=Step.FAILED, words=_GONE)


def _is_in_sync(application: Application) -> bool:
    return application.sync.badness == 0


def _has_its_children(family: Family, detail: ApplicationDetail, view: SyncView) -> bool:
    """Tell whether a parent has done what its children need: its own health may be made of theirs."""
    application, run = detail.application, detail.run
    if run is None or run.phase is not SyncPhase.SUCCEEDED:
        return False
    is_parent = bool(family.children(application.key)) or bool(application.children)
    ended = view.finished_at
    compared = application.reconciled_at
    return is_parent and ended is not None and compared is not None and compared >= ended


def _applied(view: SyncView) -> str:
    return "applied" if view.stage is not Stage.FAILED else "applied in part"


def _read_parts(memory: Mapping[str, Any], *, now: datetime) -> dict[ObjectKey, Part]:
    parts: dict[ObjectKey, Part] = {}
    for name, value in mapping(mapping(dict(memory)).get("parts")).items():
        namespace, _, app = name.partition("/")
        raw = mapping(value)
        fraction = raw.get("fraction")
        parts[ObjectKey(namespace, app)] = Part(
            step=Step(text(raw.get("step"))),
            since=moment(raw.get("since")) or now,
            memory=mapping(raw.get("memory")),
            fraction=float(fraction) if isinstance(fraction, int | float) else 0.0,
            words=text(raw.get("words")),
        )
    return parts


def _states(parts: Mapping[ObjectKey, Part]) -> dict[ObjectKey, TreeState]:
    return {key: _STATES.get(part.step, TreeState.RUNNING) for key, part in parts.items()}


def _progress(
    parts: Mapping[ObjectKey, Part],
    steps: TreeSteps,
    *,
    ended_by: str,
    missing_since: datetime | None,
) -> Progress:
    total = max(steps.total, 1)
    done = len(steps.done)
    running = sum(parts[key].fraction for key in steps.running)
    is_over = not steps.running if ended_by or steps.failed else steps.is_over
    state = _state(steps, is_over=is_over, cancelled=bool(ended_by))
    return Progress(
        state=state,
        fraction=_fraction(parts, (done + running) / total, state=state),
        step=_step(parts, steps) if not is_over else "",
        body=tuple(_lines(parts, steps)) if not is_over else (),
        counts=f"{done} of {steps.total} Applications done · {len(steps.failed)} failed",
        outcome=_outcome(parts, steps, ended_by) if is_over else "",
        memory={
            "parts": {str(key): part.to_json() for key, part in parts.items()},
            **({"missing_since": missing_since.isoformat()} if missing_since is not None else {}),
        },
    )


def _fraction(parts: Mapping[ObjectKey, Part], done: float, *, state: State) -> float | None:
    if state is State.SUCCEEDED:
        return 1.0
    return min(0.99, done) if state.is_final or done or _any_begun(parts) else None


def _step(parts: Mapping[ObjectKey, Part], steps: TreeSteps) -> str:
    if not _any_begun(parts) and steps.running:
        return "nothing is synced yet"
    return f"wave {steps.wave}" if steps.wave is not None else ""


def _any_begun(parts: Mapping[ObjectKey, Part]) -> bool:
    return any(part.was_begun for part in parts.values())


def _state(steps: TreeSteps, *, is_over: bool, cancelled: bool) -> State:
    if not is_over:
        return State.PROGRESSING
    if cancelled:
        return State.CANCELLED
    return State.FAILED if steps.failed else State.SUCCEEDED


def _lines(parts: Mapping[ObjectKey, Part], steps: TreeSteps) -> Iterable[str]:
    for key in steps.running[:_MOST_SHOWN]:
        yield cut(f"**{escape(key.name)}** {_said(parts[key])}", _WORDS)
    if len(steps.running) > _MOST_SHOWN:
        yield f"and {len(steps.running) - _MOST_SHOWN} more"
    for key in steps.missing[:_MOST_SHOWN]:
        yield f"waiting for **{escape(key.name)}** to be created"
    yield from _failures(parts, steps)


def _said(part: Part) -> str:
    match part.step:
        case Step.COMPARING:
            return "is compared by Argo CD first, to see what differs"
        case Step.WAITING:
            return "waits: somebody else's sync of it runs"
        case Step.SETTLING:
            return f"is in sync already, and waited for: {part.words}"
        case _:
            words = f" · {part.words}" if part.words else ""
            return f"{part.fraction:.0%} synced{words}"


def _failures(parts: Mapping[ObjectKey, Part], steps: TreeSteps) -> Iterable[str]:
    for key in steps.failed[:_MOST_SHOWN]:
        yield f"**{escape(key.name)}** failed: {cut(parts[key].words, _WORDS)}"
    if len(steps.failed) > _MOST_SHOWN:
        yield f"and {len(steps.failed) - _MOST_SHOWN} more failed"


def _outcome(parts: Mapping[ObjectKey, Part], steps: TreeSteps, ended_by: str) -> str:
    counted = f"{len(steps.done)} of {steps.total} Applications are synced and healthy."
    if ended_by and not _any_begun(parts):
        return f"It was cancelled by {ended_by} before any sync was begun."
    if ended_by:
        return f"It was terminated by {ended_by}: {counted}"
    if steps.failed:
        return f"{counted} {' '.join(_failures(parts, steps))}"
    pruned = sum(parts[key].words == _PRUNED for key in steps.done if key in parts)
    more = f" {pruned} {'was' if pruned == 1 else 'were'} pruned." if pruned else ""
    return f"All {steps.total - pruned} Applications are synced and healthy.{more}"
