"""How far a sync of ours is, from one read of its Application: a pure function of it, a clock and a memory.

Argo CD has no id for an operation and tells no total: ours is known by the id in
its information, and the bar is an estimate that never goes backwards within one
attempt and reaches the end only when Argo CD says so.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from bot.argocd.detail import ApplicationDetail, ResourceResult, ResourceState, SyncRequest, SyncRun
from bot.argocd.fields import flag, mapping, moment
from bot.argocd.model import HealthStatus, ResourceKey, ResultStatus, SyncPhase, was_terminated

PICKED_UP_WITHIN: Final = timedelta(seconds=60)
"""Longer than that, and no controller looks after the Application."""
BLOCKED_AFTER: Final = timedelta(seconds=10)
"""The very first pass may be blocked by a window that lets manual syncs through: it cannot know yet."""
SETTLES_WITHIN: Final = timedelta(seconds=15)
"""What was degraded before a sync may be called so for a moment after it."""
HEALTHY_WITHIN: Final = timedelta(minutes=10)

_ALMOST: Final = 0.99
_APPLIED: Final = 0.5
_ENDED: Final = frozenset({SyncPhase.SUCCEEDED, SyncPhase.FAILED, SyncPhase.ERROR})
_DONE: Final = frozenset({ResultStatus.PRUNED, ResultStatus.PRUNE_SKIPPED, ResultStatus.SYNC_FAILED})
_WRITTEN: Final = frozenset({ResultStatus.SYNCED, ResultStatus.PRUNED})
_WELL: Final = frozenset({HealthStatus.HEALTHY, HealthStatus.SUSPENDED})
_BLOCKED: Final = "blocked by sync window"
_WAITS: Final = re.compile(
    r"waiting for (?P<why>completion of hook|healthy state of|deletion of|pruning confirmation of) "
    r"(?P<what>[^\s,]+)(?: and (?P<more>[0-9]{1,6}) more)?"
)


class Stage(StrEnum):
    """Where a sync of ours is."""

    ACCEPTED = "accepted"
    """Written down, not begun."""
    NOT_PICKED_UP = "not-picked-up"
    """Written down long ago; no controller has begun with it. Can be discarded."""
    RUNNING = "running"
    WAITING_FOR_RETRY = "waiting-for-retry"
    """An attempt failed; the next one comes by itself."""
    BLOCKED_BY_WINDOW = "blocked-by-window"
    """It starts by itself when the window opens, be it at night. Can be discarded."""
    WAITING_FOR_CONFIRMATION = "waiting-for-confirmation"
    """It would delete something that somebody must confirm first."""
    TERMINATING = "terminating"
    TERMINATING_BLOCKED = "terminating-blocked"
    """A window keeps even the termination waiting. Can be discarded."""
    ORPHANED = "orphaned"
    """It says that it runs, but nobody asks for it any more: it never ends unless it is discarded."""
    AWAITING_HEALTH = "awaiting-health"
    """All is applied; whether it works is not known yet."""
    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    """All was applied, and it does not work."""
    NOT_HEALTHY_IN_TIME = "not-healthy-in-time"
    """All was applied, and it still was not healthy when we stopped looking."""
    FAILED = "failed"
    ERROR = "error"
    TERMINATED = "terminated"
    SUPERSEDED = "superseded"
    """Something else stands where it stood: how it ended, if it began, cannot be seen any more."""

    @property
    def is_final(self) -> bool:
        """Tell whether there is nothing left to follow."""
        return self in _FINAL

    @property
    def can_terminate(self) -> bool:
        """Tell whether asking Argo CD to stop it makes sense."""
        return self in {Stage.RUNNING, Stage.WAITING_FOR_RETRY, Stage.WAITING_FOR_CONFIRMATION}

    @property
    def can_discard(self) -> bool:
        """Tell whether it can only be got rid of by taking it away."""
        return self in _DISCARDABLE


_FINAL: Final = frozenset(
    {
        Stage.SUCCEEDED,
        Stage.DEGRADED,
        Stage.NOT_HEALTHY_IN_TIME,
        Stage.FAILED,
        Stage.ERROR,
        Stage.TERMINATED,
        Stage.SUPERSEDED,
    }
)
_DISCARDABLE: Final = frozenset(
    {Stage.NOT_PICKED_UP, Stage.BLOCKED_BY_WINDOW, Stage.TERMINATING_BLOCKED, Stage.ORPHANED}
)


class WaitsFor(StrEnum):
    """What a running sync waits for, in Argo CD's own words."""

    HOOK = "completion of hook"
    HEALTH = "healthy state of"
    DELETION = "deletion of"
    CONFIRMATION = "pruning confirmation of"


class Wait(NamedTuple):
    """What a running sync waits for: the first of them, and how many more."""

    why: WaitsFor
    what: str
    """As Argo CD writes it, `apps/Deployment/web`: raw text, to be escaped."""
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many resources and hooks are where."""

    total: int = 0
    done: int = 0
    failed: int = 0
    applied: int = 0
    """Written to the cluster or deleted there, whatever became of it since."""
    kept: int = 0
    """Would have been deleted, had pruning been asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncView:
    """What there is to say about a sync of ours."""

    stage: Stage
    fraction: float = 0.0
    """1 only when it succeeded."""
    wave: int | None = None
    wave_number: int = 0
    """Which of the waves that is, from 1."""
    wave_count: int = 0
    wait: Wait | None = None
    counts: Counts = Counts()
    failures: tuple[ResourceResult, ...] = ()
    message: str = ""
    """Argo CD's own, raw: it may hold pieces of manifests."""
    retry_count: int = 0
    retry_limit: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    revisions: tuple[str, ...] = ()
    began: bool = False
    """Whether it was ever seen to run."""
    selective: bool = False
    """Whether only some resources were chosen."""
    terminate_again: bool = False
    """It was terminating and runs again: a pass that was under way wrote over that."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """Small JSON for the next look."""


def follow(  # noqa: PLR0911 - one return for each stage reads best
    detail: ApplicationDetail,
    operation: str,
    *,
    asked_at: datetime,
    memory: Mapping[str, Any],
    now: datetime,
    healthy_within: timedelta = HEALTHY_WITHIN,
) -> SyncView:
    """Say where the sync with our id `operation` is, which was written down at `asked_at`.

    `memory` is that of the view before, or empty.
    """
    before = mapping(dict(memory))
    run = detail.run
    if run is None or run.request.operation != operation:
        ended = moment(before.get("ended"))
        if ended is not None:
            stage = _stage_after_success(detail, ended, dry_run=False, now=now, healthy_within=healthy_within)
            return _applied(SyncView(stage=stage, began=True, memory=before), stage, ended)
        return _not_begun(detail, operation, asked_at=asked_at, before=before, now=now)
    view = _measure(detail, run, before)
    if run.phase is SyncPhase.SUCCEEDED:
        ended = run.finished_at or moment(before.get("ended")) or now
        stage = _stage_after_success(
            detail, ended, dry_run=run.request.dry_run, now=now, healthy_within=healthy_within
        )
        return _applied(view, stage, ended)
    if was_terminated(run.phase, run.message):
        return replace(view, stage=Stage.TERMINATED)
    if run.phase is SyncPhase.FAILED:
        return replace(view, stage=Stage.FAILED)
    if run.phase is SyncPhase.ERROR:
        return replace(view, stage=Stage.ERROR)
    return _running(detail, run, view, now=now)


def _not_begun(
    detail: ApplicationDetail,
    operation: str,
    *,
    asked_at: datetime,
    before: Mapping[str, Any],
    now: datetime,
) -> SyncView:
    began = flag(before.get("began"))
    if detail.request is None or detail.request.operation != operation:
        return SyncView(stage=Stage.SUPERSEDED, fraction=_fraction(before), began=began, memory=before)
    late = now - asked_at >= PICKED_UP_WITHIN
    return SyncView(
        stage=Stage.NOT_PICKED_UP if late else Stage.ACCEPTED,
        retry_limit=detail.request.retry_limit,
        memory=before,
    )


def _measure(detail: ApplicationDetail, run: SyncRun, before: Mapping[str, Any]) -> SyncView:
    """Return all that can be counted; the stage is a first guess."""
    targets = {each.key: each for each in detail.resources if _is_target(each, run.request)}
    scores = _scores(run.results)
    total = max(len(targets.keys() | scores.keys()), 1)
    attempt = [run.retry_count, run.finished_at is not None and not run.phase.is_final]
    known = _fraction(before) if before.get("attempt") == attempt or run.phase.is_final else 0.0
    fraction = min(_ALMOST, max(known, sum(scores.values()) / total))
    waves = sorted({each.wave for each in targets.values()})
    wave = min((each.wave for key, each in targets.items() if scores.get(key, 0.0) < 1), default=None)
    return SyncView(
        stage=Stage.RUNNING,
        fraction=fraction,
        wave=None if run.phase.is_final else wave,
        wave_number=0 if wave is None or run.phase.is_final else waves.index(wave) + 1,
        wave_count=len(waves),
        wait=None if run.phase.is_final else parse_wait(run.message),
        counts=_counts(run.results, scores, total),
        failures=tuple(each for each in run.results if _is_failure(each)),
        message=run.message,
        retry_count=run.retry_count,
        retry_limit=run.request.retry_limit,
        started_at=run.started_at,
        finished_at=run.finished_at,
        revisions=run.revisions,
        began=True,
        selective=bool(run.request.selected),
        memory={**before, "began": True, "attempt": attempt, "fraction": fraction},
    )


def _is_target(resource: ResourceState, request: SyncRequest) -> bool:
    """Tell whether the sync has something to do with this resource."""
    if resource.hook or (resource.requires_pruning and not request.prune):
        return False
    if request.selected:
        return any(_selects(selected, resource.key) for selected in request.selected)
    return not request.only_out_of_sync or resource.sync is None or resource.sync.badness > 0


def _selects(selected: ResourceKey, key: ResourceKey) -> bool:
    return (selected.group, selected.kind, selected.name) == (key.group, key.kind, key.name) and (
        not selected.namespace or selected.namespace == key.namespace
    )


def _scores(results: Iterable[ResourceResult]) -> dict[ResourceKey, float]:
    """Return how far each resource is: a hook that runs in several phases is as far as the least of them."""
    scores: dict[ResourceKey, float] = {}
    for result in results:
        scores[result.key] = min(scores.get(result.key, 1.0), _score(result))
    return scores


def _score(result: ResourceResult) -> float:
    if result.status in _DONE or result.hook_phase in _ENDED:
        return 1.0
    applied = result.status is ResultStatus.SYNCED and result.hook_phase is SyncPhase.RUNNING
    return _APPLIED if applied else 0.0


def _is_failure(result: ResourceResult) -> bool:
    failed = result.hook_phase in {SyncPhase.FAILED, SyncPhase.ERROR}
    return result.status is ResultStatus.SYNC_FAILED or failed


def _counts(results: Iterable[ResourceResult], scores: Mapping[ResourceKey, float], total: int) -> Counts:
    failed = {each.key for each in results if _is_failure(each)}
    return Counts(
        total=total,
        done=sum(score >= 1 for key, score in scores.items() if key not in failed),
        failed=len(failed),
        applied=len({each.key for each in results if each.status in _WRITTEN}),
        kept=len({each.key for each in results if each.status is ResultStatus.PRUNE_SKIPPED}),
    )


def parse_wait(message: str) -> Wait | None:
    """Return what a message says is waited for, or None where it says nothing of the kind."""
    found = _WAITS.search(message)
    if found is None:
        return None
    return Wait(WaitsFor(found["why"]), found["what"], int(found["more"] or 0))


def _running(detail: ApplicationDetail, run: SyncRun, view: SyncView, *, now: datetime) -> SyncView:
    before = view.memory
    blocked = _BLOCKED in run.message
    blocked_since = (moment(before.get("blocked_since")) or now) if blocked else None
    terminating = run.phase is SyncPhase.TERMINATING
    seen = flag(before.get("terminating"))
    return replace(
        view,
        stage=_running_stage(
            detail, run, blocked=blocked_since is not None and now - blocked_since >= BLOCKED_AFTER
        ),
        terminate_again=seen and not terminating,
        memory={
            **{name: value for name, value in before.items() if name != "blocked_since"},
            **({"blocked_since": blocked_since.isoformat()} if blocked_since else {}),
            **({"terminating": True} if seen or terminating else {}),
        },
    )


def _running_stage(detail: ApplicationDetail, run: SyncRun, *, blocked: bool) -> Stage:
    if detail.request is None:
        return Stage.ORPHANED
    if run.phase is SyncPhase.TERMINATING:
        return Stage.TERMINATING_BLOCKED if blocked else Stage.TERMINATING
    if run.finished_at is not None:
        return Stage.WAITING_FOR_RETRY
    if blocked:
        return Stage.BLOCKED_BY_WINDOW
    wait = parse_wait(run.message)
    if wait is not None and wait.why is WaitsFor.CONFIRMATION:
        return Stage.WAITING_FOR_CONFIRMATION
    return Stage.RUNNING


def _stage_after_success(
    detail: ApplicationDetail, ended: datetime, *, dry_run: bool, now: datetime, healthy_within: timedelta
) -> Stage:
    """Applied is not healthy. What the controller says of that counts only once it has looked again."""
    application = detail.application
    looked = application.reconciled_at is not None and application.reconciled_at >= ended
    if dry_run or (looked and application.health in _WELL):
        return Stage.SUCCEEDED
    if looked and application.health is HealthStatus.DEGRADED and now - ended >= SETTLES_WITHIN:
        return Stage.DEGRADED
    return Stage.NOT_HEALTHY_IN_TIME if now - ended >= healthy_within else Stage.AWAITING_HEALTH


def _applied(view: SyncView, stage: Stage, ended: datetime) -> SyncView:
    memory = {**view.memory, "ended": ended.isoformat(), "fraction": 1.0}
    return replace(view, stage=stage, fraction=1.0, finished_at=ended, memory=memory)


def _fraction(memory: Mapping[str, Any]) -> float:
    value = memory.get("fraction")
    return min(float(value), 1.0) if isinstance(value, int | float) and value >= 0 else 0.0
