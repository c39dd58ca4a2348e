"""The sync of a tree: parents first, children wave by wave, what fails stops what follows."""

import pytest

from bot.access.model import Grant, Policy
from bot.core.errors import ConflictError, NotAllowedError
from bot.demo.cluster import faults
from bot.demo.cluster.applications import a_project, a_window, an_application
from bot.demo.cluster.failures import ApiError
from bot.demo.cluster.repositories import Piece
from bot.operations.model import State
from tests.support.argo_desk import ADA, CHANNEL, CONFIG, OPERATORS, WEB, a_policy


def a_child(name, *, wave=0, **options):
    return Piece(
        kind="Application",
        name=name,
        namespace="argocd",
        wave=wave,
        application=an_application(name, **options),
    )


async def planted(stage, *children):
    """A root that is deployed, its children with work to do."""
    for child in children:
        stage.commit(WEB, CONFIG, app=child.name)
    stage.commit(*children, app="apps")
    stage.put("apps")
    await stage.step(2)


async def propose(desk, name="apps", **wanted):
    await desk.catch_up()
    return await desk.argocd.propose_tree_sync(name, by=ADA, channel_id=CHANNEL, **wanted)


def begun(stage, name):
    return "operation" in stage.app(name) or bool(stage.state(name))


async def test_children_follow_their_parent_wave_by_wave(stage, desk):
    await planted(stage, a_child("base"), a_child("left", wave=1), a_child("right", wave=1))
    name = await desk.confirm(await propose(desk))
    order = []
    for _ in range(60):
        await desk.step()
        order += [
            app
            for app in ("apps", "base", "left", "right")
            if app not in order and stage.server.find("Application", "argocd", app) and begun(stage, app)
        ]
        operation = await desk.get(name)
        if operation.state.is_final:
            break
    assert operation.state is State.SUCCEEDED, operation
    assert operation.outcome == "All 4 Applications are synced and healthy."
    assert order[:2] == ["apps", "base"]
    assert {*order[2:]} == {"left", "right"}
    for app in ("base", "left", "right"):
        assert stage.app(app)["status"]["sync"]["status"] == "Synced"
        assert stage.state(app)["operation"]["info"][0]["value"] == name


async def test_each_application_that_was_synced_is_a_change(stage, desk):
    await planted(stage, a_child("base"), a_child("top", wave=1))
    name = await desk.confirm(await propose(desk))
    await desk.until_over(name)
    changes = [entry for entry in await desk.entries() if entry.change]
    assert sorted(entry.app for entry in changes) == ["argocd/apps", "argocd/base", "argocd/top"]
    assert {entry.operation for entry in changes} == {name}


async def test_what_is_in_sync_is_left_alone(stage, desk):
    await planted(stage, a_child("base"), a_child("top", wave=1))
    await desk.until_over(await desk.confirm(await propose(desk)))
    second = await desk.confirm(await propose(desk))
    ended = await desk.until_over(second)
    assert ended.state is State.SUCCEEDED
    for app in ("apps", "base", "top"):
        assert stage.state(app)["operation"]["info"][0]["value"] != second


async def test_after_a_failure_no_later_wave_is_begun(stage, desk):
    await planted(stage, a_child("base"), a_child("top", wave=1))
    stage.commit(Piece(kind="ConfigMap", name="config", refused="quota exceeded"), app="base")
    name = await desk.confirm(await propose(desk))
    ended = await desk.until_over(name)
    assert ended.state is State.FAILED
    assert "**base** failed" in ended.outcome
    assert "quota exceeded" in ended.outcome
    assert not begun(stage, "top")


async def test_a_restart_in_the_middle_goes_on_where_it_was(stage, desk, tmp_path):
    await planted(stage, a_child("base"), a_child("top", wave=1))
    name = await desk.confirm(await propose(desk))
    while not begun_anywhere(stage, "base"):
        await desk.step()
    async with desk.restarted() as other:
        ended = await other.until_over(name)
    assert ended.state is State.SUCCEEDED
    writes = [each for each in stage.server.calls("patch", "applications") if b'"operation"' in each.body]
    assert sorted(each.name for each in writes) == ["apps", "base", "top"]


def begun_anywhere(stage, name):
    return stage.server.find("Application", "argocd", name) is not None and begun(stage, name)


async def test_a_terminated_tree_ends_what_runs_and_begins_nothing_more(stage, desk):
    await planted(stage, a_child("base"), a_child("top", wave=1))
    stage.commit(
        Piece(kind="Deployment", name="web", passes=99), Piece(kind="Job", name="j", wave=1), app="base"
    )
    name = await desk.confirm(await propose(desk))
    while stage.server.find("Application", "argocd", "base") is None or not stage.state("base"):
        await desk.step()
    await desk.operations.act(name, "cancel", by=ADA)
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED, ended
    assert ended.outcome == "It was terminated by <@1>: 1 of 3 Applications are synced and healthy."
    assert stage.state("base")["message"].startswith("Operation terminated")
    assert not begun(stage, "top")


async def test_a_tree_that_has_nothing_below_it_says_so(stage, desk):
    await stage.deployed()
    proposed = await propose(desk, "shop")
    assert proposed.plan.body[0].startswith("Nothing is known to be below `shop`.")
    assert proposed.plan.brief == ("`shop` and what is below it, wave by wave",)
    await planted(stage, a_child("base"))
    proposed = await propose(desk)
    assert proposed.plan.body[0].startswith("First `apps`, then the 1 below it")
    assert proposed.plan.brief == ("`apps` and the 1 below it, wave by wave",)


async def test_nothing_is_counted_before_anything_is_synced(stage, desk):
    await planted(stage, a_child("base"))
    name = await desk.confirm(await propose(desk))
    await desk.operations.step()
    operation = await desk.get(name)
    assert operation.progress.body == ("**apps** is compared by Argo CD first, to see what differs",)
    assert operation.progress.step == "nothing is synced yet"
    assert operation.progress.fraction is None


async def test_a_tree_that_is_cancelled_before_it_began_is_over_at_once(stage, desk):
    await planted(stage, a_child("base"))
    name = await desk.confirm(await propose(desk))
    await desk.operations.step()
    await desk.operations.act(name, "cancel", by=ADA)
    # Argo CD, which was asked to compare, never answers.
    for _ in range(3):
        await desk.operations.step()
    ended = await desk.get(name)
    assert ended.state is State.CANCELLED, ended
    assert ended.outcome == "It was cancelled by <@1> before any sync was begun."
    assert not begun(stage, "apps")


async def dropped(stage, desk):
    """A tree that is synced, out of which Git drops `old`; gives the plan of the next sync, which prunes."""
    children = [a_child("base"), a_child("old", wave=1), a_child("top", wave=2)]
    await planted(stage, *children)
    await desk.until_over(await desk.confirm(await propose(desk)))
    stage.commit(children[0], children[2], app="apps")
    await desk.catch_up()
    async with stage.comparing():
        return await propose(desk, prune=True)


async def test_what_a_tree_prunes_is_not_said_to_be_synced(stage, desk):
    body = "\n".join((await dropped(stage, desk)).plan.body)
    assert "**Deletes 1**: **Application/old**" in body
    assert "then the 2 below it" in body
    assert "wave 0: **base**\nwave 2: **top**" in body


async def test_a_part_that_is_being_pruned_away_holds_up_no_tree(stage, desk):
    operation = await dropped(stage, desk)
    # Its resources may take long to go.
    stage.controller.ignored.add(("argocd", "old"))
    name = await desk.confirm(operation)
    while name not in str(stage.state("apps")):
        await desk.step()
    stage.server.delete("Application", "argocd", "old")
    ended = await desk.until_over(name)
    assert ended.state is State.SUCCEEDED, ended.outcome
    assert ended.outcome == "All 3 Applications are synced and healthy. 1 was pruned."


async def test_a_part_that_was_pruned_before_the_watch_says_so_is_no_failure(stage, desk):
    operation = await dropped(stage, desk)
    gone = faults.Fault(ApiError(404, "NotFound", 'applications.argoproj.io "old" not found'))
    stage.server.faults.add(gone, verb="get", resource="applications", name="old", times=None)
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED, ended.outcome


async def test_a_part_that_a_window_blocks_is_ended_with_the_tree(stage, desk):
    await planted(stage, a_child("base", project="night"))
    await desk.until_over(await desk.confirm(await propose(desk)))
    stage.commit(Piece(kind="ConfigMap", name="config", content="2"), app="base")
    name = await desk.confirm(await propose(desk))
    while not begun(stage, "base") or not stage.app("base").get("operation"):
        await desk.step()
    stage.server.put("AppProject", a_project("night", windows=[a_window("deny", "* * * * *", "1h")]))
    for _ in range(20):
        await desk.step()
        operation = await desk.get(name)
        if any("window" in line for line in operation.progress.body):
            break
    (words,) = operation.progress.body
    assert words.startswith("**base** 0% synced · A sync window blocks it.")
    assert words.endswith("Terminate takes it away.")
    await desk.operations.act(name, "cancel", by=ADA)
    ended = await desk.until_over(name)
    assert ended.state is State.CANCELLED, ended
    assert "operation" not in stage.app("base")


async def test_the_bot_itself_is_left_out(stage, desk):
    desk.settings = desk.settings.model_copy(update={"itself": "argocd/the-machine"})
    await planted(stage, a_child("base"), a_child("the-machine"))
    await desk.until_over(await desk.confirm(await propose(desk)))
    assert begun(stage, "base")
    assert not begun(stage, "the-machine")
    operation = await propose(desk)
    assert any("`argocd/the-machine` is left alone" in line for line in operation.plan.body)


async def test_a_tree_with_something_that_one_may_not_sync_is_refused(stage, desk):
    await planted(stage, a_child("base", project="prod"))
    await desk.until_over(await desk.confirm(await propose(desk)))
    desk.access.use(a_policy(on=("project:default",)))
    with pytest.raises(NotAllowedError):
        await propose(desk)


async def test_a_tree_with_something_that_needs_more_approvals_is_refused(stage, desk):
    await planted(stage, a_child("base", project="default"))
    await desk.until_over(await desk.confirm(await propose(desk)))
    roles = frozenset({OPERATORS})
    desk.access.use(
        Policy(
            (
                Grant(name="a", roles=roles, may=("argocd:*",)),
                Grant(name="b", roles=roles, may=("argocd:sync",), on=("app:argocd/base",), approvals=1),
            )
        )
    )
    with pytest.raises(ConflictError, match="needs more approvals"):
        await propose(desk)
