"""A restart at any moment changes nothing about what becomes of an operation."""

import random

import pytest

from bot.database.engine import Database
from bot.demo.cluster import faults
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.rights import Rule
from bot.demo.cluster.server import THE_MACHINE
from bot.operations.model import State
from tests.support.argo_desk import ADA, CHANNEL, CONFIG, Desk

STUCK = Piece(kind="Deployment", name="web", image="2", passes=99)
LATER = Piece(kind="Job", name="later", wave=1)
WAVES = (
    Piece(kind="ConfigMap", name="config", content="2"),
    Piece(kind="Deployment", name="web", image="shop:2", wave=1, passes=3),
    Piece(kind="Job", name="tidy", hook="PostSync", passes=2),
)


class Mortal:
    """The bot, process after process."""

    def __init__(self, stage, database, folder):
        self.stage = stage
        self.desk = Desk(stage, database, folder)

    async def __aenter__(self):
        await self.desk.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.desk.__aexit__(*error)

    async def restart(self):
        await self.desk.__aexit__(None, None, None)
        self.desk = await self.desk.restarted().__aenter__()


@pytest.fixture
async def mortal(stage, sqlite_url, tmp_path):
    async with Database(sqlite_url) as database, Mortal(stage, database, tmp_path) as opened:
        yield opened


async def refreshed(stage):
    stage.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})
    await stage.step()


def starts(stage):
    """The writes that began something."""
    calls = stage.server.calls("patch", "applications")
    return [each for each in calls if b'"initiatedBy"' in each.body and each.status == 200]


@pytest.mark.parametrize("seed", range(6))
async def test_a_sync_ends_as_it_would_have_however_often_the_bot_begins_anew(stage, mortal, seed):
    chance = random.Random(seed)
    await stage.deployed()
    stage.commit(*WAVES)
    await refreshed(stage)
    operation = await mortal.desk.propose()
    if chance.random() < 0.5:
        await mortal.restart()
    await mortal.desk.operations.confirm(operation.id, by=ADA)
    for _ in range(60):
        if chance.random() < 0.4:
            await mortal.restart()
        if chance.random() < 0.2:
            stage.server.faults.add(faults.DROP, resource="applications", verb="patch", after_commit=True)
        await mortal.desk.step()
        ended = await mortal.desk.get(operation.id)
        if ended.state.is_final:
            break
    assert ended.state is State.SUCCEEDED, ended
    assert len(starts(stage)) <= 1
    changes = [entry for entry in await mortal.desk.entries() if entry.change]
    assert [entry.operation for entry in changes] == [operation.id]


async def test_a_rollback_goes_on_after_a_restart(stage, mortal):
    first = await stage.deployed()
    stage.commit(Piece(kind="Deployment", name="web", image="shop:2", passes=3), CONFIG)
    stage.sync_by("carol")
    await stage.step(8)
    operation = await mortal.desk.argocd.propose_rollback("shop", "0", by=ADA, channel_id=CHANNEL)
    name = await mortal.desk.confirm(operation)
    await mortal.restart()
    await mortal.desk.step()
    await mortal.restart()
    ended = await mortal.desk.until_over(name)
    assert ended.state is State.SUCCEEDED
    assert stage.app()["status"]["history"][-1]["revision"] == first
    assert len(starts(stage)) == 1


async def test_who_discarded_it_is_known_after_a_restart(stage, mortal):
    await stage.deployed()
    name = await mortal.desk.sync()
    await mortal.desk.operations.act(name, "cancel", by=ADA)
    await mortal.desk.settle()
    await mortal.restart()
    ended = await mortal.desk.until_over(name)
    assert ended.state is State.CANCELLED
    assert "discarded" in ended.outcome


async def test_a_termination_is_seen_through_after_a_restart(stage, mortal):
    await stage.deployed()
    stage.commit(STUCK, CONFIG, LATER)
    name = await mortal.desk.sync()
    await mortal.desk.step(2)
    await mortal.desk.operations.act(name, "cancel", by=ADA)
    await mortal.restart()
    with stage.controller.pass_in_flight("argocd", "shop"):
        await mortal.desk.settle()
        await mortal.restart()
    ended = await mortal.desk.until_over(name)
    assert ended.state is State.CANCELLED
    assert stage.state()["message"].startswith("Operation terminated")


async def test_a_cluster_that_is_away_for_a_while_only_delays_it(stage, mortal):
    await stage.deployed()
    stage.commit(*WAVES)
    await refreshed(stage)
    name = await mortal.desk.sync()
    await mortal.desk.step()
    async with stage.server.outage():
        for _ in range(3):
            stage.clock.advance(stage.step_length)
            await mortal.desk.settle()
        unseen = await mortal.desk.get(name)
        assert unseen.unseen_since is not None
        assert "Kubernetes" in unseen.problem
    ended = await mortal.desk.until_over(name)
    assert ended.state is State.SUCCEEDED
    assert ended.unseen_since is None


async def test_a_right_that_is_missing_is_named(stage, mortal):
    await stage.deployed()
    operation = await mortal.desk.propose()
    stage.server.rights.forbid(THE_MACHINE, Rule(verbs=("patch",), resources=("applications",)))
    name = await mortal.desk.confirm(operation)
    ended = await mortal.desk.get(name)
    assert ended.state is State.FAILED
    assert "patch applications.argoproj.io" in ended.outcome
