"""Syncs and rollbacks, phase by phase, against a controller that behaves like Argo CD's."""

from bot.demo.cluster import faults
from bot.demo.cluster.applications import a_project, a_window
from bot.demo.cluster.failures import ApiError
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.store import timestamp
from bot.operations.model import State
from tests.support.argo_desk import ADA, BOB, CHANNEL, CONFIG, WEB

CONFLICT = faults.Fault(ApiError(409, "Conflict", "the object has been modified"))
SLOW = Piece(kind="Deployment", name="web", image="shop:2", passes=3)


async def test_a_sync_runs_to_a_healthy_end(stage, desk):
    before = await stage.deployed()
    revision = stage.commit(SLOW, CONFIG, message="Speed up")
    stage.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})
    await stage.step()
    name = await desk.sync()
    assert stage.app()["operation"]["info"][0] == {"name": "the-machine/id", "value": name}
    assert stage.app()["operation"]["initiatedBy"] == {"username": "the-machine/Ada"}

    ended = await desk.until_over(name)

    assert ended.state is State.SUCCEEDED, ended
    assert "Healthy" in ended.outcome
    assert revision[:7] in ended.outcome
    assert ended.plan.body[0].startswith(f"`{before[:7]}` → `{revision[:7]}`")


async def test_every_phase_is_told_while_it_lasts(stage, desk):
    await stage.deployed()
    stage.commit(
        Piece(kind="ConfigMap", name="config", content="2"),
        Piece(kind="Deployment", name="web", image="shop:2", wave=1, passes=3),
        Piece(kind="Job", name="tidy", hook="PostSync", passes=2),
    )
    await refreshed(stage)
    name = await desk.sync()
    fractions, steps, bodies = [], [], []
    for _ in range(40):
        await desk.step()
        operation = await desk.get(name)
        if operation.state.is_final:
            break
        fractions.append(operation.progress.fraction or 0)
        steps.append(operation.progress.step)
        bodies += operation.progress.body

    assert operation.state is State.SUCCEEDED, operation
    assert fractions == sorted(fractions)
    assert "wave 2 of 2" in steps
    assert any("Deployment/web" in line and "become healthy" in line for line in bodies), bodies
    assert any("Job/tidy" in line and "hook" in line for line in bodies), bodies


async def test_what_failed_is_told_with_its_own_message(stage, desk):
    await stage.deployed()
    stage.commit(
        WEB, Piece(kind="ConfigMap", name="config", content="2", refused="exceeded quota: *all* of it")
    )
    await refreshed(stage)
    ended = await desk.until_over(await desk.sync())
    assert ended.state is State.FAILED
    assert "**ConfigMap/config** failed" in ended.outcome
    assert r"exceeded quota: \*all\* of it" in ended.outcome


async def test_a_sync_that_leaves_it_degraded_has_failed_but_is_a_change(stage, desk):
    await stage.deployed()
    stage.commit(Piece(kind="Deployment", name="web", image="shop:2", degrades=True), CONFIG)
    await refreshed(stage)
    name = await desk.sync()
    ended = await desk.until_over(name)
    assert ended.state is State.FAILED
    assert "**Degraded**" in ended.outcome
    changes = [entry for entry in await desk.entries() if entry.change and entry.operation == name]
    assert [(entry.app, entry.namespace, entry.actor.name) for entry in changes] == [
        ("argocd/shop", "shop", "Ada")
    ]


async def test_a_dry_run_changes_nothing_and_says_so(stage, desk):
    await stage.deployed()
    stage.commit(Piece(kind="Deployment", name="web", image="shop:2"), CONFIG)
    await refreshed(stage)
    name = await desk.sync(dry_run=True)
    ended = await desk.until_over(name)
    assert ended.state is State.SUCCEEDED
    assert "nothing was changed" in ended.outcome
    assert not any(entry.change for entry in await desk.entries())
    assert stage.app()["status"]["sync"]["status"] == "OutOfSync"


async def test_only_chosen_resources_are_synced(stage, desk):
    await stage.deployed()
    stage.commit(
        Piece(kind="Deployment", name="web", image="shop:2"),
        Piece(kind="ConfigMap", name="config", content="2"),
    )
    await refreshed(stage)
    operation = await desk.propose("shop", resources="ConfigMap/config")
    assert any("Only **ConfigMap/config**" in line for line in operation.plan.body)
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED
    assert ended.outcome.startswith("What was chosen is applied at `")
    assert ended.outcome.endswith(", and the Application is **Healthy**.")
    states = {each["name"]: each["status"] for each in stage.app()["status"]["resources"]}
    assert states == {"config": "Synced", "web": "OutOfSync"}


async def test_pruning_deletes_only_when_it_was_asked_for(stage, desk):
    await stage.deployed()
    stage.commit(WEB)
    await refreshed(stage)
    kept = await desk.propose()
    assert any("Prune is off: 1" in line for line in kept.plan.body)
    ended = await desk.until_over(await desk.confirm(kept))
    assert "1 that no source has any more were kept" in ended.outcome

    pruned = await desk.propose(prune=True)
    assert any("**Deletes 1**: **ConfigMap/config**" in line for line in pruned.plan.body)
    ended = await desk.until_over(await desk.confirm(pruned))
    assert ended.state is State.SUCCEEDED
    assert [each["name"] for each in stage.app()["status"]["resources"]] == ["web"]


async def test_pruning_that_waits_for_a_word_goes_on_once_it_is_given(stage, desk):
    await stage.deployed(WEB, Piece(kind="ConfigMap", name="config", needs_confirmation=True))
    stage.commit(WEB)
    await refreshed(stage)
    name = await desk.sync(prune=True)
    await desk.step(3)
    waiting = await desk.get(name)
    assert waiting.progress.offers == ("approve-pruning",), waiting
    await desk.operations.act(name, "approve-pruning", by=BOB)
    ended = await desk.until_over(name)
    assert ended.state is State.SUCCEEDED
    assert [each["name"] for each in stage.app()["status"]["resources"]] == ["web"]
    assert "PruningApproved" in {event["reason"] for event in stage.events()}


async def test_a_sync_that_is_terminated_elsewhere_says_so(stage, desk):
    await stage.deployed()
    stage.commit(
        Piece(kind="Deployment", name="web", image="2", passes=99), Piece(kind="Job", name="j", wave=1)
    )
    await refreshed(stage)
    name = await desk.sync()
    await desk.step(2)
    stage.patch({"status": {"operationState": {"phase": "Terminating"}}})
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED
    assert ended.outcome.startswith("It was terminated in Argo CD, not through the bot: 1 of ")


async def test_a_running_sync_is_terminated(stage, desk):
    await stage.deployed()
    stage.commit(
        CONFIG,
        Piece(kind="Deployment", name="web", image="2", passes=99),
        Piece(kind="Job", name="j", wave=1),
    )
    await refreshed(stage)
    name = await desk.sync()
    await desk.step(2)
    await desk.operations.act(name, "cancel", by=BOB)
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED
    # One of them is applied and waits to become healthy: that is not undone.
    assert ended.outcome == "It was terminated by <@2>: 2 of 3 resources were applied, and stay so."
    assert stage.state()["message"].startswith("Operation terminated")
    event = next(each for each in stage.events() if each["reason"] == "OperationTerminated")
    assert event["metadata"]["annotations"]["the-machine.dev/asked-by"] == "Bob"
    assert event["involvedObject"]["uid"] == stage.app()["metadata"]["uid"]


async def test_a_termination_that_a_pass_wrote_over_is_asked_for_again(stage, desk):
    await stage.deployed()
    stage.commit(
        CONFIG,
        Piece(kind="Deployment", name="web", image="2", passes=99),
        Piece(kind="Job", name="j", wave=1),
    )
    await refreshed(stage)
    name = await desk.sync()
    await desk.step(2)
    await desk.operations.act(name, "cancel", by=BOB)
    with stage.controller.pass_in_flight("argocd", "shop"):
        await desk.settle()
        assert stage.state()["phase"] == "Terminating"
    assert stage.state()["phase"] == "Running"
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED


async def test_a_sync_is_cancelled_before_argo_cd_begins(stage, desk):
    await stage.deployed()
    name = await desk.sync()
    await desk.operations.act(name, "cancel", by=ADA)
    await desk.settle()
    assert "operation" not in stage.app()
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED
    assert "before it began" in ended.outcome


async def test_a_discarded_sync_that_a_pass_writes_back_is_discarded_again(stage, desk):
    await stage.deployed()
    name = await desk.sync()
    begun = {
        "operation": stage.app()["operation"],
        "phase": "Running",
        "startedAt": timestamp(stage.clock.now()),
    }
    await desk.operations.act(name, "cancel", by=ADA)
    await desk.settle()
    assert "operation" not in stage.app()
    # The pass had read it before and writes only now.
    stage.patch({"status": {"operationState": begun}})
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED
    assert stage.state() == {}


async def test_a_sync_that_nobody_picks_up_can_be_discarded(stage, desk):
    await stage.deployed()
    operation = await desk.propose()
    stage.controller.ignored.add(("argocd", "shop"))
    name = await desk.confirm(operation)
    await desk.step(35)
    waiting = await desk.get(name)
    assert waiting.state is State.STARTED
    assert waiting.progress.offers == ("discard",)
    assert "has not begun" in waiting.progress.body[0]
    await desk.operations.act(name, "discard", by=BOB)
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED
    assert "operation" not in stage.app()


async def test_a_window_that_closes_meanwhile_blocks_and_can_be_discarded(stage, desk):
    await stage.deployed()
    name = await desk.sync()
    stage.server.put("AppProject", a_project(windows=[a_window("deny")]))
    await desk.step()
    flash = await desk.get(name)
    assert flash.progress.offers == ()
    await desk.step(6)
    blocked = await desk.get(name)
    assert blocked.progress.step == "blocked by a sync window"
    assert blocked.progress.offers == ("discard",)
    await desk.operations.act(name, "discard", by=ADA)
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED
    assert stage.state() == {}


async def test_attempts_that_fail_are_told_until_one_succeeds(stage, desk):
    await stage.deployed(retry={"limit": 3, "backoff": {"duration": "5s"}})
    stage.commit(WEB, Piece(kind="ConfigMap", name="config", content="2", refused="not yet", refusals=2))
    await refreshed(stage)
    name = await desk.sync()
    steps = set()
    for _ in range(60):
        await desk.step()
        operation = await desk.get(name)
        if operation.state.is_final:
            break
        steps.add(operation.progress.step)
    assert operation.state is State.SUCCEEDED, operation
    assert "waiting for the next attempt" in steps


async def test_another_sync_that_takes_its_place_is_told(stage, desk):
    await stage.deployed()
    name = await desk.sync()
    stage.sync_by("mallory")
    ended = await desk.until_over(name)
    assert ended.state is State.SUPERSEDED
    assert "Another sync" in ended.outcome


async def test_an_application_that_goes_takes_its_sync_with_it(stage, desk):
    await stage.deployed()
    name = await desk.sync()
    stage.patch({"metadata": {"finalizers": None}})
    stage.server.delete("Application", "argocd", "shop")
    ended = await desk.until_over(name)
    assert ended.state is State.LOST


async def test_a_start_whose_answer_is_lost_happens_once(stage, desk):
    await stage.deployed()
    operation = await desk.propose()
    stage.server.faults.add(faults.DROP, verb="patch", resource="applications", after_commit=True)
    name = await desk.confirm(operation)
    assert (await desk.get(name)).attempts > 1
    ended = await desk.until_over(name)
    assert ended.state is State.SUCCEEDED
    begun = [
        each
        for each in stage.server.calls("patch", "applications")
        if b'"operation":{' in each.body.replace(b" ", b"")
    ]
    assert len(begun) == 1


async def test_an_application_that_changes_meanwhile_is_looked_at_again(stage, desk):
    await stage.deployed()
    operation = await desk.propose()
    stage.server.faults.add(CONFLICT, verb="patch", resource="applications", times=3)
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED


async def test_a_sync_that_somebody_else_began_meanwhile_is_not_written_over(stage, desk):
    await stage.deployed()
    operation = await desk.propose()
    stage.sync_by("mallory")
    name = await desk.confirm(operation)
    ended = await desk.get(name)
    assert ended.state is State.FAILED
    assert "Nothing was begun" in ended.outcome
    assert "mallory" in ended.outcome
    assert stage.app()["operation"]["initiatedBy"]["username"] == "mallory"


async def test_a_rollback_deploys_what_ran_before_without_hooks(stage, desk):
    first = await stage.deployed()
    stage.commit(Piece(kind="Deployment", name="web", image="shop:2"), CONFIG)
    await refreshed(stage)
    await desk.until_over(await desk.sync())
    past = await desk.argocd.history("shop", by=ADA)
    operation = await desk.argocd.propose_rollback(
        "shop", str(past.entries[1].id), by=ADA, channel_id=CHANNEL
    )
    assert any("Hooks do not run" in line for line in operation.plan.body)
    name = await desk.confirm(operation)
    assert stage.app()["operation"]["sync"]["syncStrategy"] == {"apply": {}}
    ended = await desk.until_over(name)
    assert ended.state is State.SUCCEEDED
    assert stage.app()["status"]["history"][-1]["revision"] == first
    assert stage.app()["status"]["sync"]["status"] == "OutOfSync"


async def refreshed(stage) -> None:
    """Have Argo CD compare anew."""
    stage.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})
    await stage.step()
