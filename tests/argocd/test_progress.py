from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.argocd.progress import Counts, Stage, SyncView, Wait, WaitsFor, follow, parse_wait
from bot.argocd.reading import read_detail
from tests.support.argocd import (
    NOON,
    SHA,
    a_raw_application,
    a_raw_operation,
    a_raw_resource,
    a_raw_result,
    a_raw_run,
    at,
)

OURS = "11111111-2222-4333-8444-555555555555"


def look(
    run: dict[str, Any] | None = None,
    *,
    after: float = 5,
    memory: Mapping[str, Any] | None = None,
    asked: bool = True,
    **status: Any,
) -> SyncView:
    """Follow ours, which was asked for at noon, some seconds later."""
    operation = a_raw_operation(OURS) if asked else None
    state = {"operationState": run} if run else {}
    raw = a_raw_application(status={**state, **status}, operation=operation)
    return follow(
        read_detail(raw),
        OURS,
        asked_at=NOON,
        memory=memory or {},
        now=NOON + timedelta(seconds=after),
        healthy_within=timedelta(minutes=5),
    )


def ours(phase: str = "Running", *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    sync = {name: more.pop(name) for name in ("prune", "dryRun", "resources", "syncOptions") if name in more}
    run = a_raw_run(phase, syncResult={"revision": SHA, "resources": list(results)}, **more)
    return run | {"operation": a_raw_operation(OURS, **sync)}


def waves(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [a_raw_resource(f"web-{index}", syncWave=number, **more) for index, number in enumerate(numbers)]


# Stages.


def test_what_was_just_written_down_is_accepted():
    view = look()
    assert (view.stage, view.fraction, view.began) == (Stage.ACCEPTED, 0.0, False)


def test_what_nobody_begins_within_a_minute_is_not_picked_up():
    view = look(after=60)
    assert view.stage is Stage.NOT_PICKED_UP
    assert view.stage.can_discard
    assert not view.stage.is_final


def test_what_is_gone_before_it_began_was_superseded():
    view = look(asked=False)
    assert (view.stage, view.began) == (Stage.SUPERSEDED, False)


def test_what_somebody_else_runs_instead_supersedes_it():
    view = look(
        a_raw_run("Running", operation="another"), asked=False, memory={"began": True, "fraction": 0.4}
    )
    assert (view.stage, view.began, view.fraction) == (Stage.SUPERSEDED, True, 0.4)


def test_a_former_run_of_somebody_else_does_not_supersede_what_still_waits():
    assert look(a_raw_run("Succeeded", operation="another")).stage is Stage.ACCEPTED


def test_ours_runs_once_the_controller_says_so():
    view = look(ours(message="one or more tasks are running"))
    assert (view.stage, view.began, view.revisions) == (Stage.RUNNING, True, (SHA,))
    assert view.stage.can_terminate


def test_a_failed_attempt_waits_for_the_next_one():
    message = "one or more objects failed to apply, reason: x. Retrying attempt #2 at 12:00PM."
    view = look(ours(finishedAt=at(3), retryCount=1, message=message))
    assert (view.stage, view.retry_count) == (Stage.WAITING_FOR_RETRY, 1)


def test_a_window_that_blocks_for_a_moment_alarms_nobody():
    blocked = ours(message="Sync operation blocked by sync window")
    first = look(blocked, after=2)
    assert first.stage is Stage.RUNNING
    assert look(blocked, after=11, memory=first.memory).stage is Stage.RUNNING
    later = look(blocked, after=12, memory=first.memory)
    assert later.stage is Stage.BLOCKED_BY_WINDOW
    assert later.stage.can_discard


def test_a_window_that_let_go_is_forgotten():
    blocked = ours(message="Sync operation blocked by sync window")
    first = look(blocked, after=2)
    running = look(ours(message="one or more tasks are running"), after=4, memory=first.memory)
    assert look(blocked, after=13, memory=running.memory).stage is Stage.RUNNING


def test_a_deletion_that_must_be_confirmed_is_said():
    view = look(ours(message="waiting for pruning confirmation of /PersistentVolumeClaim/data"))
    assert view.stage is Stage.WAITING_FOR_CONFIRMATION
    assert view.wait == Wait(WaitsFor.CONFIRMATION, "/PersistentVolumeClaim/data", 0)


def test_a_termination_runs_its_course():
    terminating = look(ours("Terminating"))
    assert terminating.stage is Stage.TERMINATING
    ended = look(ours("Failed", message="Operation terminated (retried 1 times)."), asked=False)
    assert ended.stage is Stage.TERMINATED
    assert ended.stage.is_final


def test_what_took_longer_than_argo_cd_lets_it_has_failed():
    message = "Operation terminated, triggered by controller sync timeout"
    ended = look(ours("Failed", message=message), asked=False)
    assert (ended.stage, ended.message) == (Stage.FAILED, message)


def test_a_termination_that_was_written_over_is_asked_for_again():
    terminating = look(ours("Terminating"))
    view = look(ours("Running"), memory=terminating.memory)
    assert view.terminate_again
    assert not look(ours("Terminating"), memory=view.memory).terminate_again


def test_a_termination_under_a_closed_window_can_only_be_discarded():
    blocked = ours("Running", message="Sync operation blocked by sync window")
    first = look(blocked, after=2)
    view = look(blocked | {"phase": "Terminating"}, after=30, memory=first.memory)
    assert view.stage is Stage.TERMINATING_BLOCKED
    assert view.stage.can_discard


def test_what_runs_without_being_asked_for_never_ends():
    view = look(ours("Running"), asked=False)
    assert view.stage is Stage.ORPHANED
    assert view.stage.can_discard


@pytest.mark.parametrize(("phase", "stage"), [("Failed", Stage.FAILED), ("Error", Stage.ERROR)])
def test_what_failed_failed_with_the_messages_of_its_resources(phase: str, stage: Stage):
    results = [
        a_raw_result("web", status="SyncFailed", message="forbidden"),
        a_raw_result("migrate", kind="Job", hookType="PreSync", hookPhase="Failed", message="exit 1"),
        a_raw_result("api", status="Synced", hookPhase="Succeeded"),
    ]
    view = look(ours(phase, *results, message="one or more objects failed"), asked=False)
    assert (view.stage, view.stage.is_final) == (stage, True)
    assert [failure.message for failure in view.failures] == ["forbidden", "exit 1"]
    assert view.counts == Counts(total=3, done=1, failed=2, applied=1)
    assert view.fraction < 1


# Health after a success.


def after_success(seconds: float, health: str, *, reconciled: float | None = 31, **more: Any) -> Stage:
    return look(
        ours("Succeeded", a_raw_result("web", status="Synced")),
        after=seconds,
        asked=False,
        health={"status": health, "lastTransitionTime": at()},
        reconciledAt=None if reconciled is None else at(reconciled),
        **more,
    ).stage


@pytest.mark.parametrize(
    ("seconds", "health", "reconciled", "stage"),
    [
        (31, "Healthy", 29, Stage.AWAITING_HEALTH),
        (31, "Healthy", None, Stage.AWAITING_HEALTH),
        (31, "Healthy", 30, Stage.SUCCEEDED),
        (31, "Suspended", 31, Stage.SUCCEEDED),
        (31, "Progressing", 31, Stage.AWAITING_HEALTH),
        (31, "Degraded", 31, Stage.AWAITING_HEALTH),
        (44, "Degraded", 31, Stage.AWAITING_HEALTH),
        (45, "Degraded", 31, Stage.DEGRADED),
        (45, "Degraded", 29, Stage.AWAITING_HEALTH),
        (329, "Progressing", 31, Stage.AWAITING_HEALTH),
        (330, "Progressing", 31, Stage.NOT_HEALTHY_IN_TIME),
        (330, "Missing", 29, Stage.NOT_HEALTHY_IN_TIME),
    ],
)
def test_a_success_waits_for_health_that_was_seen_after_it(
    seconds: float, health: str, reconciled: float | None, stage: Stage
):
    assert after_success(seconds, health, reconciled=reconciled) is stage


def test_a_success_with_hooks_that_still_say_running_is_complete():
    view = look(ours("Succeeded", a_raw_result("web", status="Synced", hookPhase="Running")), asked=False)
    assert view.fraction == 1.0


def test_a_dry_run_waits_for_no_health():
    run = ours("Succeeded", dryRun=True)
    assert look(run, asked=False, health={"status": "Degraded"}).stage is Stage.SUCCEEDED


def test_a_success_that_lost_its_time_is_timed_by_us():
    run = ours("Succeeded", finishedAt=None) | {"syncResult": None}
    first = look(run, after=40, asked=False, health={"status": "Progressing"})
    assert first.stage is Stage.AWAITING_HEALTH
    later = look(run, after=340, asked=False, health={"status": "Progressing"}, memory=first.memory)
    assert later.stage is Stage.NOT_HEALTHY_IN_TIME


def test_a_success_stays_one_when_the_next_sync_begins():
    first = look(
        ours("Succeeded"), after=31, asked=False, health={"status": "Progressing"}, reconciledAt=at(31)
    )
    another = a_raw_run("Running", operation="another")
    still = look(another, after=40, asked=False, health={"status": "Progressing"}, memory=first.memory)
    assert (still.stage, still.fraction) == (Stage.AWAITING_HEALTH, 1.0)
    healthy = look(another, after=50, asked=False, reconciledAt=at(50), memory=first.memory)
    assert healthy.stage is Stage.SUCCEEDED


# The bar.


def test_each_resource_counts_by_how_far_it_is():
    results = [
        a_raw_result("web-0", status="Synced", hookPhase="Succeeded"),
        a_raw_result("web-1", status="Synced", hookPhase="Running"),
        a_raw_result("web-2", status="SyncFailed", hookPhase="Running"),
        a_raw_result("migrate", kind="Job", hookType="PreSync", hookPhase="Running"),
    ]
    view = look(ours("Running", *results), resources=waves(0, 0, 1, 2))
    # web-3 has not begun, and nobody knew of the hook: 2.5 of 5.
    assert view.fraction == pytest.approx(0.5)
    assert view.counts == Counts(total=5, done=1, failed=1, applied=2)


def test_the_current_wave_is_the_least_that_is_not_done():
    results = [a_raw_result("web-0", status="Synced", hookPhase="Succeeded")]
    view = look(ours("Running", *results), resources=waves(-1, 3, 7))
    assert (view.wave, view.wave_number, view.wave_count) == (3, 2, 3)


def test_only_what_was_asked_for_counts():
    selected = [{"group": "apps", "kind": "Deployment", "name": "web-1"}]
    result = a_raw_result("web-1", status="Synced", hookPhase="Succeeded")
    view = look(ours("Running", result, resources=selected), resources=waves(0, 0, 0))
    assert view.counts.total == 1
    assert view.fraction == 0.99


def test_what_is_in_sync_does_not_count_where_it_is_left_alone():
    resources = [*waves(0, 0), a_raw_resource("new", status="OutOfSync")]
    view = look(ours("Running", syncOptions=["ApplyOutOfSyncOnly=true"]), resources=resources)
    assert view.counts.total == 1


@pytest.mark.parametrize(("prune", "total"), [(False, 1), (True, 2)])
def test_what_would_be_pruned_counts_where_pruning_was_asked_for(prune: bool, total: int):
    resources = [*waves(0), a_raw_resource("old", requiresPruning=True, status="OutOfSync")]
    assert look(ours("Running", prune=prune), resources=resources).counts.total == total


def test_hooks_that_exist_are_not_counted_twice():
    hook = a_raw_resource("migrate", kind="Job", group="batch", hook=True)
    result = a_raw_result("migrate", kind="Job", group="batch", hookType="PreSync", hookPhase="Running")
    view = look(ours("Running", result), resources=[*waves(0), hook])
    assert view.counts.total == 2


def test_what_was_kept_because_nobody_asked_to_prune_is_counted():
    view = look(ours("Succeeded", a_raw_result("old", status="PruneSkipped")), asked=False)
    assert view.counts.kept == 1


def test_the_bar_never_goes_back_within_an_attempt():
    full = look(ours("Running", a_raw_result("web", status="Synced", hookPhase="Succeeded")))
    assert full.fraction == 0.99
    assert look(ours("Running"), memory=full.memory).fraction == 0.99


def test_the_bar_starts_again_with_the_next_attempt():
    done = a_raw_result("web", status="Synced", hookPhase="Succeeded")
    first = look(ours("Running", done))
    waiting = look(ours("Running", done, retryCount=1, finishedAt=at(3)), memory=first.memory)
    assert waiting.fraction == 0.99
    again = look(ours("Running", retryCount=1), memory=waiting.memory)
    assert again.fraction == 0.0


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "waiting for completion of hook batch/Job/migrate and 2 more hooks",
            Wait(WaitsFor.HOOK, "batch/Job/migrate", 2),
        ),
        (
            "waiting for healthy state of apps/Deployment/web and 1 more resources",
            Wait(WaitsFor.HEALTH, "apps/Deployment/web", 1),
        ),
        ("waiting for healthy state of apps/Deployment/web", Wait(WaitsFor.HEALTH, "apps/Deployment/web", 0)),
        ("waiting for deletion of /ConfigMap/x and 12 more", Wait(WaitsFor.DELETION, "/ConfigMap/x", 12)),
        ("one or more tasks are running", None),
        ("", None),
    ],
)
def test_what_is_waited_for_is_read_from_the_message(message: str, expected: Wait | None):
    assert parse_wait(message) == expected


@pytest.mark.parametrize(
    "memory",
    [{"fraction": "x"}, {"fraction": True}, {"fraction": float("nan")}, {"ended": 7}, {"blocked_since": "x"}],
)
def test_a_memory_that_makes_no_sense_is_no_memory(memory: dict[str, Any]):
    view = look(ours("Running", message="Sync operation blocked by sync window"), memory=memory)
    assert 0 <= view.fraction < 1


NAMES = st.sampled_from(["web-0", "web-1", "web-2", "hook-a", "hook-b"])
RESULTS = st.lists(
    st.builds(
        lambda name, status, phase: a_raw_result(name, status=status, hookPhase=phase),
        NAMES,
        st.sampled_from(["", "Synced", "SyncFailed", "Pruned", "PruneSkipped"]),
        st.sampled_from(["", "Running", "Succeeded", "Failed", "Terminating"]),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(passes=st.lists(st.tuples(RESULTS, st.booleans(), st.booleans()), max_size=8), end=RESULTS)
def test_the_bar_is_monotone_within_an_attempt_and_full_only_at_success(
    passes: list[tuple[list[dict[str, Any]], bool, bool]], end: list[dict[str, Any]]
):
    memory: Mapping[str, Any] = {}
    previous, attempt, retries = 0.0, (0, False), 0
    for results, waiting, again in passes:
        retries += again
        more = {"finishedAt": at(1)} if waiting else {}
        view = look(
            ours("Running", *results, retryCount=retries, **more), memory=memory, resources=waves(0, 1, 1)
        )
        assert 0 <= view.fraction <= 0.99
        if (retries, waiting) == attempt:
            assert view.fraction >= previous
        previous, attempt, memory = view.fraction, (retries, waiting), view.memory
    failed = look(ours("Failed", *end, retryCount=retries), memory=memory, asked=False)
    assert previous <= failed.fraction <= 0.99
    assert look(ours("Succeeded", *end, retryCount=retries), memory=memory, asked=False).fraction == 1.0
