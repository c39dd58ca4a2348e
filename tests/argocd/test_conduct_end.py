"""Syncs that somebody else began are ended, and only those that were meant."""

import pytest

from bot.core.errors import ConflictError
from bot.demo.cluster.applications import a_project, a_window
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.store import timestamp
from bot.operations.model import State
from tests.support.argo_desk import ADA, CHANNEL, CONFIG

STUCK = Piece(kind="Deployment", name="web", image="2", passes=99)
LATER = Piece(kind="Job", name="later", wave=1)


async def terminate(desk):
    return await desk.argocd.terminate("shop", by=ADA, channel_id=CHANNEL)


async def running_by(stage, user="mallory"):
    await stage.deployed()
    stage.commit(STUCK, CONFIG, LATER)
    stage.sync_by(user)
    await stage.step(2)


async def test_somebody_elses_sync_is_ended_once_that_is_confirmed(stage, desk):
    await running_by(stage)
    operation = await terminate(desk)
    assert operation.state is State.REQUESTED
    assert "mallory" in operation.plan.body[0]
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED
    assert stage.state()["message"].startswith("Operation terminated")


async def test_our_own_is_ended_at_once(stage, desk):
    await stage.deployed()
    stage.commit(STUCK, CONFIG, LATER)
    name = await desk.sync()
    await desk.step(2)
    operation = await terminate(desk)
    assert operation.id == name
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED


async def test_what_a_window_blocks_is_discarded(stage, desk):
    await stage.deployed()
    stage.server.put("AppProject", a_project(windows=[a_window("deny")]))
    stage.sync_by("mallory")
    await stage.step(3)
    operation = await terminate(desk)
    assert operation.plan.title == "Discard the sync of shop"
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED
    assert "operation" not in stage.app()
    assert stage.state() == {}


async def test_what_says_for_ever_that_it_runs_is_discarded(stage, desk):
    await stage.deployed()
    state = {"operation": {"sync": {}}, "phase": "Running", "startedAt": timestamp(stage.clock.now())}
    stage.patch({"status": {"operationState": state}})
    operation = await terminate(desk)
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED
    assert stage.state() == {}


async def test_what_has_not_begun_is_discarded(stage, desk):
    await stage.deployed()
    stage.controller.ignored.add(("argocd", "shop"))
    stage.sync_by("mallory")
    operation = await terminate(desk)
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED
    assert "operation" not in stage.app()


async def test_a_later_sync_is_not_ended_instead(stage, desk):
    await running_by(stage)
    operation = await terminate(desk)
    stage.patch({"operation": None, "status": {"operationState": None}})
    stage.sync_by("carol")
    await stage.step()
    name = await desk.confirm(operation)
    ended = await desk.get(name)
    assert ended.state is State.FAILED
    assert "another one runs" in ended.outcome
    assert stage.state()["phase"] == "Running"


async def test_a_pass_that_wrote_over_it_is_asked_again(stage, desk):
    await running_by(stage)
    operation = await terminate(desk)
    with stage.controller.pass_in_flight("argocd", "shop"):
        name = await desk.confirm(operation)
        assert stage.state()["phase"] == "Terminating"
    assert stage.state()["phase"] == "Running"
    ended = await desk.until_over(name)
    assert ended.state is State.SUCCEEDED


async def test_a_restart_in_the_middle_sees_it_end(stage, desk):
    await running_by(stage)
    name = await desk.confirm(await terminate(desk))
    async with desk.restarted() as other:
        ended = await other.until_over(name)
    assert ended.state is State.SUCCEEDED


async def test_there_must_be_something_to_end(stage, desk):
    await stage.deployed()
    with pytest.raises(ConflictError, match="nothing to stop"):
        await terminate(desk)
