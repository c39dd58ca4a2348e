"""What somebody is told before they confirm: what pruning deletes, where it goes, what stays protected."""

import json

import pytest

from bot.argocd.card.changes import render_differences
from bot.core.errors import NotAllowedError, RefusedError
from bot.demo.cluster.applications import an_application
from bot.demo.cluster.repositories import Piece
from bot.operations.model import State
from tests.support.argo_desk import ADA, CHANNEL, CONFIG, POD, WEB

EXTRA = Piece(kind="ConfigMap", name="extra", content="2")
DELETES = "**Prune is on: what {} does not have is deleted.**"


def an_app_of(name):
    return Piece(kind="Application", name=name, namespace="argocd", application=an_application(name))


async def compared(stage, name):
    """Have Argo CD look at what Git says by now."""
    stage.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}, name)
    await stage.step()


async def deployed_twice(stage):
    """Return what was deployed first, and then with something more."""
    first = await stage.deployed()
    stage.commit(WEB, CONFIG, EXTRA)
    await compared(stage, "shop")
    stage.sync_by("carol")
    await stage.step(6)
    return first


def roll_back(desk, name="shop", **wanted):
    return desk.argocd.propose_rollback(name, "0", by=ADA, channel_id=CHANNEL, **wanted)


def said(operation):
    return "\n".join(operation.plan.body)


# Pruning.


async def test_a_rollback_that_prunes_says_that_it_deletes(stage, desk):
    await deployed_twice(stage)
    operation = await roll_back(desk, prune=True)
    assert DELETES.format("that entry") in said(operation)
    assert "nothing to delete" not in said(operation)
    assert "with pruning of what is not there" in operation.plan.brief
    await desk.until_over(await desk.confirm(operation))
    assert [each["name"] for each in stage.app()["status"]["resources"] if each["status"] == "Synced"] == [
        "config",
        "web",
    ]


async def test_a_rollback_that_does_not_prune_says_what_stays(stage, desk):
    await deployed_twice(stage)
    assert "Prune is off: what that entry does not have stays." in said(await roll_back(desk))


async def test_a_sync_to_another_revision_does_not_pretend_to_know_what_it_deletes(stage, desk):
    first = await deployed_twice(stage)
    operation = await desk.propose(revision=first, prune=True)
    assert DELETES.format("it") in said(operation)
    assert "nothing to delete" not in said(operation)


async def test_only_what_was_chosen_is_named_as_deleted(stage, desk):
    await stage.deployed(WEB, CONFIG, EXTRA)
    stage.commit(WEB)
    await compared(stage, "shop")
    operation = await desk.propose(prune=True, resources="ConfigMap/extra")
    assert "**Deletes 1**: **ConfigMap/extra**" in said(operation)


async def test_a_tree_deletes_what_was_named_and_no_more(stage, desk):
    await stage.deployed(WEB, CONFIG, EXTRA)
    stage.commit(WEB, CONFIG)
    async with stage.comparing():
        operation = await desk.argocd.propose_tree_sync("shop", by=ADA, channel_id=CHANNEL, prune=True)
    assert "**Deletes 1**: **ConfigMap/extra**" in said(operation)
    stage.commit(WEB)
    await desk.until_over(await desk.confirm(operation))
    left = {each["name"]: each["status"] for each in stage.app()["status"]["resources"]}
    assert left == {"config": "OutOfSync", "web": "Synced"}


# A Git that is broken at its newest.


async def with_a_broken_head(stage):
    first = await deployed_twice(stage)
    stage.patch({"spec": {"source": {"targetRevision": "gone"}}})
    await compared(stage, "shop")
    (condition,) = stage.app()["status"]["conditions"]
    assert condition["type"] == "ComparisonError"
    return first


async def test_a_rollback_works_though_nobody_can_read_what_git_says_now(stage, desk):
    first = await with_a_broken_head(stage)
    ended = await desk.until_over(await desk.confirm(await roll_back(desk)))
    assert ended.state is State.SUCCEEDED
    assert stage.app()["status"]["history"][-1]["revision"] == first


async def test_a_sync_to_a_revision_that_can_be_read_works_as_well(stage, desk):
    first = await with_a_broken_head(stage)
    with pytest.raises(RefusedError, match=r"give a revision that is better, or go back"):
        await desk.propose()
    ended = await desk.until_over(await desk.confirm(await desk.propose(revision=first)))
    assert ended.state is State.SUCCEEDED


async def test_what_differs_from_what_cannot_be_read_is_not_guessed(stage, desk):
    await with_a_broken_head(stage)
    found = await desk.argocd.diff("shop", by=ADA)
    assert (found.differences, found.named) == ((), ())
    said = json.dumps(render_differences(found).view.to_components())
    assert "cannot work out what it should be" in said
    assert stage.app()["status"]["conditions"][0]["message"] in said
    assert "what runs is what the sources say" not in said


# The bot's own Application.


async def test_the_bots_own_application_is_protected_before_the_watch_has_begun(stage, desk):
    web = Piece(kind="Deployment", name="the-machine", namespace=POD.namespace)
    await stage.deployed(web, name="bot", deployed_to="the-machine")
    async with desk.restarted(watches=False) as blind:
        with pytest.raises(NotAllowedError, match="deploys this bot"):
            await blind.argocd.propose_sync("bot", by=ADA, channel_id=CHANNEL)
        assert (await blind.argocd.status("bot", by=ADA)).is_itself


async def test_what_is_to_be_typed_instead_syncs_as_argo_cd_would(stage, desk):
    stage.put("bot", sync_options=["ServerSideApply=true"])
    desk.settings = desk.settings.model_copy(update={"itself": "bot"})
    with pytest.raises(NotAllowedError) as refused:
        await desk.propose("bot")
    patch = json.loads(str(refused.value).partition(" -p '")[2].partition("'`")[0])
    stage.patch(patch, "bot")
    assert stage.app("bot")["operation"] == {
        "initiatedBy": {"username": "kubectl"},
        "sync": {"syncOptions": ["ServerSideApply=true"], "syncStrategy": {"hook": {}}},
    }


async def above_the_bot(stage, desk):
    """The bot's Application, applied by one that is applied by another, which had nothing at first."""
    stage.commit(WEB, app="bot")
    stage.commit(an_app_of("bot"), app="platform")
    first = await stage.deployed(WEB, name="apps")
    stage.commit(an_app_of("platform"), app="apps")
    await compared(stage, "apps")
    for name in ("apps", "platform"):
        stage.sync_by(name=name)
        await stage.step(6)
    desk.settings = desk.settings.model_copy(update={"itself": "bot"})
    await desk.catch_up()
    return first


async def test_what_the_bot_is_below_is_not_pruned_either(stage, desk):
    await above_the_bot(stage, desk)
    stage.commit(WEB, app="apps")
    with pytest.raises(NotAllowedError, match="would delete `argocd/platform`, and with it what deploys"):
        await desk.propose("apps", prune=True)
    await desk.propose("apps")


async def test_nobody_prunes_the_bot_by_going_to_another_revision(stage, desk):
    first = await above_the_bot(stage, desk)
    with pytest.raises(NotAllowedError, match="could delete `argocd/platform`"):
        await desk.propose("apps", revision=first, prune=True)
    with pytest.raises(NotAllowedError, match="could delete `argocd/platform`"):
        await roll_back(desk, "apps", prune=True)
    await roll_back(desk, "apps")
    refused = [entry.action for entry in await desk.entries() if "could delete" in entry.reason]
    assert refused == ["argocd:sync", "argocd:rollback"]
