"""What people ask about Applications, what they are refused, and what the journal has of it."""

from datetime import timedelta

import pytest

from bot.access.model import Grant, Policy
from bot.argocd.card.past import render_history
from bot.argocd.model import HealthStatus, SyncStatus
from bot.argocd.settings import ArgoSettings
from bot.argocd.views import Change, Wanted
from bot.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError, RefusedError
from bot.database.engine import Database
from bot.demo.cluster.applications import (
    a_project,
    a_window,
    an_application,
    an_application_set,
)
from bot.demo.cluster.argocd_server import TOKEN, ArgoCdServer
from bot.demo.cluster.repositories import Piece
from bot.journal.model import Outcome
from bot.operations.model import State
from tests.support.argo_desk import (
    ADA,
    BOB,
    CHANNEL,
    CONFIG,
    EVE,
    OPERATORS,
    POD,
    REPO,
    WEB,
    Desk,
    a_policy,
    server_settings,
)

NEWER = Piece(kind="Deployment", name="web", image="shop:2")


async def refreshed(stage, name="shop"):
    stage.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}, name)
    await stage.step()


# Looking.


async def test_a_list_begins_with_what_needs_somebody(stage, desk):
    for name in ("calm", "drifting", "broken"):
        await stage.deployed(name=name)
    stage.controller.drift("argocd", "drifting", "config")
    stage.controller.break_down("argocd", "broken", "web")
    for name in ("drifting", "broken"):
        await refreshed(stage, name)
    await desk.catch_up()
    listing = await desk.argocd.list_applications(Wanted(), by=ADA)
    assert [each.key.name for each in listing.applications] == ["broken", "drifting", "calm"]
    assert (listing.total, listing.troubled) == (3, 2)
    degraded = await desk.argocd.list_applications(Wanted(health=HealthStatus.DEGRADED), by=ADA)
    assert [each.key.name for each in degraded.applications] == ["broken"]
    out_of_sync = await desk.argocd.list_applications(Wanted(sync=SyncStatus.OUT_OF_SYNC), by=ADA)
    assert [each.key.name for each in out_of_sync.applications] == ["drifting"]
    named = await desk.argocd.list_applications(Wanted(text="CAL"), by=ADA)
    assert [each.key.name for each in named.applications] == ["calm"]


async def test_a_list_has_only_what_the_asker_may_see(stage, desk):
    await stage.deployed(name="ours")
    await stage.deployed(name="theirs")
    await desk.catch_up()
    desk.access.use(a_policy(on=("app:argocd/ours",)))
    listing = await desk.argocd.list_applications(Wanted(), by=ADA)
    assert [each.key.name for each in listing.applications] == ["ours"]
    assert listing.total == 1


async def test_whoever_may_nothing_is_refused_and_that_is_written_down(stage, desk):
    await stage.deployed()
    for ask in (
        desk.argocd.list_applications(Wanted(), by=EVE),
        desk.argocd.status("shop", by=EVE),
        desk.argocd.tree("shop", by=EVE),
        desk.argocd.history("shop", by=EVE),
        desk.argocd.diff("shop", by=EVE),
        desk.argocd.refresh("shop", by=EVE),
        desk.argocd.propose_sync("shop", by=EVE, channel_id=CHANNEL),
        desk.argocd.propose_tree_sync("shop", by=EVE, channel_id=CHANNEL),
        desk.argocd.propose_rollback("shop", "0", by=EVE, channel_id=CHANNEL),
        desk.argocd.terminate("shop", by=EVE, channel_id=CHANNEL),
        desk.argocd.list_sets(by=EVE),
    ):
        with pytest.raises(NotAllowedError):
            await ask
    entries = await desk.entries()
    assert {entry.action for entry in entries} == {
        "argocd:list", "argocd:status", "argocd:tree", "argocd:history", "argocd:diff", "argocd:refresh",
        "argocd:sync", "argocd:rollback", "argocd:terminate",
    }  # fmt: skip
    assert {entry.outcome for entry in entries} == {Outcome.REFUSED}
    assert desk.argocd.complete("shop", by=EVE) == []


async def test_a_status_says_everything(stage, desk):
    revision = await stage.deployed()
    stage.configure(url="https://argocd.example.org/")
    stage.server.put("AppProject", a_project(windows=[a_window("deny", manual=True)]))
    await desk.until(lambda: any(project.windows for project in desk.argo.projects.values()))
    standing = await desk.argocd.status("shop", by=ADA)
    assert standing.detail.application.revisions == (revision,)
    assert standing.windows.may_sync
    assert standing.windows.states[0].is_open
    assert standing.url == "https://argocd.example.org/applications/argocd/shop"
    assert standing.operation is None
    name = await desk.sync()
    standing = await desk.argocd.status("argocd/shop", by=ADA)
    assert standing.operation is not None
    assert standing.operation.id == name


async def test_a_name_that_nobody_has_is_told_with_the_nearest(stage, desk):
    await stage.deployed()
    await desk.catch_up()
    with pytest.raises(NotFoundError, match="Did you mean `shop`"):
        await desk.argocd.status("shpo", by=ADA)


async def test_a_name_that_several_have_must_be_said_whole(stage, desk, tmp_path):
    async with desk.restarted(namespaces=()) as everywhere:
        for namespace in ("argocd", "team"):
            stage.server.put("Namespace", {"metadata": {"name": namespace}})
            stage.put("shop", namespace=namespace)
        await everywhere.catch_up()
        with pytest.raises(InvalidError, match="`argocd/shop`, `team/shop`"):
            await everywhere.argocd.status("shop", by=ADA)
        assert (await everywhere.argocd.status("team/shop", by=ADA)).detail.key.namespace == "team"


async def test_a_history_has_the_newest_first(stage, desk):
    first = await stage.deployed()
    second = stage.commit(NEWER, CONFIG)
    await refreshed(stage)
    await desk.until_over(await desk.sync())
    past = await desk.argocd.history("shop", by=ADA)
    assert [entry.revisions for entry in past.entries] == [(second,), (first,)]
    offered = desk.argocd.complete_history("shop", "", by=ADA)
    assert [each.value for each in offered] == [str(past.entries[1].id)]


async def test_a_history_completes_without_having_been_asked_for(stage, desk):
    first = await stage.deployed()
    stage.commit(NEWER, CONFIG)
    stage.sync_by("carol")
    await stage.step(5)
    await desk.catch_up()
    (offered,) = desk.argocd.complete_history("shop", first[:7], by=ADA)
    assert offered.name.startswith(f"0 · {first[:7]}")
    assert desk.argocd.complete_history("shop", "nothing", by=ADA) == []


# Argo CD's server.


@pytest.fixture
async def argocd_server(stage, desk):
    async with ArgoCdServer(stage.server, stage.controller) as server:
        desk.settings = server_settings(server.url, TOKEN)
        yield server


async def test_a_diff_shows_how_each_resource_differs(stage, desk, argocd_server):
    await stage.deployed()
    stage.commit(NEWER, Piece(kind="ConfigMap", name="more"))
    await refreshed(stage)
    found = await desk.argocd.diff("shop", by=ADA)
    assert found.why_only_named == ""
    changes = {each.key.name: each for each in found.differences}
    assert {name: each.change for name, each in changes.items()} == {
        "web": Change.CHANGED,
        "more": Change.CREATED,
        "config": Change.DELETED,
    }
    assert "shop:1" in changes["web"].text
    assert "shop:2" in changes["web"].text


async def test_a_diff_without_a_server_names_what_differs(stage, desk):
    await stage.deployed()
    stage.commit(NEWER, CONFIG)
    await refreshed(stage)
    found = await desk.argocd.diff("shop", by=ADA)
    assert [each.key.name for each in found.named] == ["web"]
    assert "kubernetes.argocd.server" in found.why_only_named


async def test_a_server_that_refuses_us_is_told_in_words(stage, desk, argocd_server):
    await stage.deployed()
    argocd_server.hidden_projects.add("default")
    found = await desk.argocd.diff("shop", by=ADA)
    assert "`applications, get` in the project default" in found.why_only_named
    argocd_server.tokens.clear()
    found = await desk.argocd.diff("shop", by=ADA)
    assert "does not accept our token" in found.why_only_named


async def test_the_subjects_of_commits_are_asked_for_once(stage, desk, argocd_server):
    await stage.deployed()
    stage.commit(NEWER, CONFIG, message="Speed up\n\nBy *much*.")
    await refreshed(stage)
    operation = await desk.propose()
    assert operation.plan.body[0].endswith("Speed up")
    await desk.propose()
    asked = [each for each in argocd_server.requests if "/metadata" in each]
    assert len(asked) == 1
    assert "appNamespace=argocd" in asked[0]
    assert "project=default" in asked[0]


async def test_a_server_that_hangs_keeps_nobody_from_syncing(stage, desk, argocd_server):
    await stage.deployed()
    desk.settings = ArgoSettings.model_validate(
        {"write": True, "server": {"url": argocd_server.url, "token": TOKEN, "timeout": "50ms"}}
    )
    argocd_server.hangs = True
    operation = await desk.propose()
    assert operation.state is State.REQUESTED


async def test_what_a_sync_waits_for_is_told_in_the_words_of_the_resource(stage, desk, argocd_server):
    await stage.deployed()
    stage.commit(Piece(kind="Deployment", name="web", image="shop:2", passes=4), CONFIG)
    await refreshed(stage)
    name = await desk.sync()
    lines = []
    for _ in range(4):
        await desk.step()
        lines += (await desk.get(name)).progress.body
    assert any("**Deployment/web**" in line for line in lines), lines


# Refreshing.


async def test_a_refresh_waits_until_argo_cd_has_looked(stage, desk):
    await stage.deployed()
    stage.commit(NEWER, CONFIG)
    stage.clock.advance(timedelta(seconds=2))
    async with stage.running():
        done = await desk.argocd.refresh("shop", by=ADA)
    assert done.is_done
    assert done.after.sync is SyncStatus.OUT_OF_SYNC
    entry = (await desk.entries())[-1]
    assert (entry.action, entry.outcome, entry.app, entry.change) == (
        "argocd:refresh",
        Outcome.DONE,
        "argocd/shop",
        False,
    )


async def test_a_hard_refresh_that_was_swallowed_is_asked_for_again(stage, desk):
    await stage.deployed()
    stage.clock.advance(timedelta(seconds=2))
    patched = []

    async with stage.running(swallow_first=True):
        done = await desk.argocd.refresh("shop", hard=True, by=ADA)
    assert done.is_done
    patched = [each for each in stage.server.calls("patch", "applications") if b"refresh" in each.body]
    assert len(patched) == 2


async def test_a_refresh_that_nobody_answers_is_given_up(stage, desk):
    await stage.deployed()
    async with desk.restarted(waits_for=timedelta(milliseconds=50)) as impatient:
        done = await impatient.argocd.refresh("shop", by=ADA)
    assert not done.is_done


async def test_sets_are_shown_and_refreshed(stage, desk):
    stage.server.put("ApplicationSet", an_application_set("teams"))
    stage.put("one", owner="teams")
    stage.put("two")
    await desk.catch_up()
    await desk.until(lambda: len(desk.argo.sets) == 1)
    listing = await desk.argocd.list_sets(by=ADA)
    assert [str(each.key) for each in listing.sets] == ["argocd/teams"]
    standing = await desk.argocd.set_status("teams", by=ADA)
    assert [each.key.name for each in standing.applications] == ["one"]
    async with stage.running():
        done = await desk.argocd.refresh_set("teams", by=ADA)
    assert done.is_done
    with pytest.raises(NotFoundError):
        await desk.argocd.set_status("nobody", by=ADA)


# What is refused whoever asks.


async def test_without_write_everything_is_only_shown(stage, desk):
    await stage.deployed()
    desk.settings = ArgoSettings()
    await desk.argocd.status("shop", by=ADA)
    for ask in (
        desk.argocd.refresh("shop", by=ADA),
        desk.argocd.propose_sync("shop", by=ADA, channel_id=CHANNEL),
        desk.argocd.propose_tree_sync("shop", by=ADA, channel_id=CHANNEL),
        desk.argocd.propose_rollback("shop", "0", by=ADA, channel_id=CHANNEL),
        desk.argocd.terminate("shop", by=ADA, channel_id=CHANNEL),
    ):
        with pytest.raises(RefusedError, match=r"kubernetes\.argocd\.write"):
            await ask
    refusals = [entry for entry in await desk.entries() if entry.outcome is Outcome.REFUSED]
    assert len(refusals) == 5
    assert stage.server.calls("patch", "applications") == []


async def test_writing_that_was_turned_off_meanwhile_begins_nothing(stage, desk):
    await stage.deployed()
    operation = await desk.propose()
    desk.settings = ArgoSettings()
    name = await desk.confirm(operation)
    ended = await desk.get(name)
    assert ended.state is State.FAILED
    assert "kubernetes.argocd.write" in ended.outcome
    assert "operation" not in stage.app()


async def its_own(stage, desk):
    web = Piece(kind="Deployment", name="the-machine", namespace=POD.namespace)
    await stage.deployed(web, name="bot", deployed_to="the-machine")
    await desk.catch_up()


async def test_the_bots_own_application_is_found_and_protected(stage, desk):
    await its_own(stage, desk)
    standing = await desk.argocd.status("bot", by=ADA)
    assert standing.is_itself
    with pytest.raises(NotAllowedError, match="kubectl -n argocd patch application bot"):
        await desk.argocd.propose_sync("bot", by=ADA, channel_id=CHANNEL)
    with pytest.raises(NotAllowedError, match="git revert"):
        await desk.argocd.propose_rollback("bot", "0", by=ADA, channel_id=CHANNEL)
    with pytest.raises(NotAllowedError, match="argocd app terminate-op"):
        await desk.argocd.terminate("bot", by=ADA, channel_id=CHANNEL)
    await desk.argocd.diff("bot", by=ADA)
    async with stage.running():
        assert (await desk.argocd.refresh("bot", by=ADA)).is_done


async def test_the_bots_own_application_needs_a_second_person_where_it_may_be_synced(stage, desk):
    await its_own(stage, desk)
    desk.settings = desk.settings.model_copy(update={"allow_itself": True})
    name = await desk.confirm(await desk.propose("bot"))
    assert (await desk.get(name)).state is State.WAITING
    await desk.operations.approve(name, by=BOB)
    await desk.settle()
    # The new version of the bot finds what became of the old one's wish.
    async with desk.restarted() as newer:
        ended = await newer.until_over(name)
    assert ended.state is State.SUCCEEDED


async def test_pruning_the_bot_away_is_refused(stage, desk):
    child = Piece(kind="Application", name="bot", namespace="argocd", application=an_application("bot"))
    stage.commit(WEB, app="bot")
    await stage.deployed(child, name="apps")
    stage.commit(app="apps")
    await refreshed(stage, "apps")
    desk.settings = desk.settings.model_copy(update={"itself": "bot"})
    with pytest.raises(NotAllowedError, match="Pruning would delete"):
        await desk.propose("apps", prune=True)
    await desk.propose("apps")


# What is shown is what is synced.


async def test_what_is_new_in_git_is_shown_before_it_is_synced(stage, desk):
    before = await stage.deployed()
    stage.controller.refresher.minds_commits = False
    after = stage.commit(Piece(kind="Deployment", name="web", image="shop:2"), CONFIG, message="Newer")
    operation = await desk.propose()
    assert f"`{before[:7]}` → `{after[:7]}`" in "\n".join(operation.plan.body)
    assert "1 of 2 resources differ" in "\n".join(operation.plan.body)


async def test_a_sync_goes_to_what_was_shown_though_git_moves_on(stage, desk):
    await stage.deployed()
    shown = stage.commit(Piece(kind="Deployment", name="web", image="shop:2"), CONFIG)
    operation = await desk.propose()
    stage.commit(Piece(kind="Deployment", name="web", image="shop:3"), CONFIG)
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED
    assert stage.app()["status"]["history"][-1]["revision"] == shown
    assert stage.app()["status"]["sync"]["status"] == "OutOfSync"


async def test_a_sync_that_would_undo_what_was_deployed_meanwhile_is_refused(stage, desk):
    await stage.deployed()
    operation = await desk.propose()
    stage.commit(Piece(kind="Deployment", name="web", image="shop:2"), CONFIG)
    stage.sync_by("carol")
    await stage.step(6)
    ended = await desk.get(await desk.confirm(operation))
    assert ended.state is State.FAILED
    assert "Something else was deployed since" in ended.outcome


async def test_a_preview_waits_for_a_silent_controller_only_for_a_while(stage, desk):
    await stage.deployed()
    async with desk.restarted(waits_for=timedelta(milliseconds=100)) as hurried:
        stage.controller.ignored.add(("argocd", "shop"))
        operation = await hurried.propose()
    assert "has not compared it since you asked" in "\n".join(operation.plan.body)


# What cannot begin as things are.


async def test_a_window_that_denies_is_told_before_anything_is_written(stage, desk):
    await stage.deployed()
    stage.server.put("AppProject", a_project(windows=[a_window("deny")]))
    await desk.until(lambda: any(project.windows for project in desk.argo.projects.values()))
    with pytest.raises(RefusedError, match="sync window forbids"):
        await desk.propose()
    assert stage.server.calls("patch", "applications") == []


async def test_windows_of_global_projects_count(stage, desk):
    await stage.deployed()
    stage.configure(globalProjects="[{projectName: base, labelSelector: {matchExpressions: []}}]")
    stage.server.put("AppProject", a_project("base", windows=[a_window("deny")]))
    await desk.until(lambda: len(desk.argo.projects) == 2)
    stage.clock.advance(timedelta(minutes=2))
    with pytest.raises(RefusedError, match="sync window forbids"):
        await desk.propose()


async def test_a_rollback_under_auto_sync_is_refused_with_what_to_do(stage, desk):
    await stage.deployed(automated={})
    with pytest.raises(RefusedError, match="Auto-sync is on"):
        await desk.argocd.propose_rollback("shop", "0", by=ADA, channel_id=CHANNEL)


async def test_another_revision_under_auto_sync_is_refused(stage, desk):
    first = await stage.deployed(automated={})
    with pytest.raises(RefusedError, match="Auto-sync is on"):
        await desk.propose(revision=first)
    await desk.propose(revision=first, dry_run=True)


async def test_a_second_sync_is_refused_while_one_runs(stage, desk):
    await stage.deployed()
    operation, second = await desk.propose(), await desk.propose()
    await desk.confirm(operation)
    with pytest.raises(ConflictError):
        await desk.propose()
    with pytest.raises(ConflictError):
        await desk.operations.confirm(second.id, by=ADA)


async def test_unknown_and_ambiguous_resources_are_refused(stage, desk):
    await stage.deployed(WEB, CONFIG, Piece(kind="ConfigMap", name="config", namespace="other"))
    with pytest.raises(NotFoundError, match="no resource `ConfigMap/nothing`"):
        await desk.propose(resources="ConfigMap/nothing")
    with pytest.raises(InvalidError, match="`/ConfigMap/other/config`"):
        await desk.propose(resources="ConfigMap/config")
    operation = await desk.propose(resources="/ConfigMap/other/config, Deployment/web")
    assert operation.plan.request["selected"] == [
        ["", "ConfigMap", "other", "config"],
        ["apps", "Deployment", "shop", "web"],
    ]


@pytest.mark.parametrize("odd", ["", "x", "-1", "9" * 30, "1;drop"])
async def test_a_history_id_that_is_none_is_refused(stage, desk, odd):
    await stage.deployed()
    with pytest.raises(RefusedError):
        await desk.argocd.propose_rollback("shop", odd, by=ADA, channel_id=CHANNEL)


# Completing.


VALUES_REPO = "https://git.example.org/values.git"
VALUES = {"repoURL": VALUES_REPO, "path": "values/shop", "targetRevision": "main", "name": "values"}
SHOP = {"repoURL": REPO, "path": "apps/shop", "targetRevision": "main"}


async def of_two_sources(stage):
    """Deploy from two sources, of which then only the second one moves; return what each is at, twice."""
    repositories = stage.controller.repositories
    values = repositories.commit(VALUES_REPO, "values/shop", [CONFIG], message="Set values")
    first = await stage.deployed(WEB, sources=[SHOP, VALUES])
    newer = [Piece(kind="ConfigMap", name="config", content="2")]
    after = repositories.commit(VALUES_REPO, "values/shop", newer, message="Ask for more")
    await refreshed(stage)
    return [first, values], [first, after]


async def test_the_differences_of_several_sources_are_shown_together(stage, desk, argocd_server):
    await of_two_sources(stage)
    found = await desk.argocd.diff("shop", by=ADA)
    assert [(each.key.name, each.change) for each in found.differences] == [("config", Change.CHANGED)]
    stage.commit(NEWER)
    await refreshed(stage)
    found = await desk.argocd.diff("shop", by=ADA)
    assert [each.key.name for each in found.differences] == ["config", "web"]


async def test_a_history_names_the_sources_of_each_deployment(stage, desk, argocd_server):
    before, after = await of_two_sources(stage)
    stage.sync_by("carol")
    await stage.step(4)
    await desk.catch_up()
    past = await desk.argocd.history("shop", by=ADA)
    assert [list(entry.revisions) for entry in past.entries] == [after, before]
    assert [source.what for source in past.entries[0].sources] == ["apps/shop", "values"]
    assert [[commit.subject for commit in each if commit] for each in past.commits] == [
        ["Begin", "Ask for more"],
        ["Begin", "Set values"],
    ]
    (offered,) = desk.argocd.complete_history("shop", "", by=ADA)
    assert offered.name.startswith(f"0 · {before[0][:7]}, {before[1][:7]} · ")
    view = render_history(past).view
    shown = "\n".join(str(item.content) for item in view.walk_children() if hasattr(item, "content"))
    assert f"`apps/shop` `{after[0][:7]}` Begin\n`values` `{after[1][:7]}` Ask for more **runs now**" in shown


async def test_a_rollback_of_several_sources_takes_each_back(stage, desk):
    before, _ = await of_two_sources(stage)
    stage.sync_by("carol")
    await stage.step(4)
    await desk.catch_up()
    proposed = await desk.argocd.propose_rollback("shop", "0", by=ADA, channel_id=CHANNEL)
    ended = await desk.until_over(await desk.confirm(proposed))
    assert ended.state is State.SUCCEEDED, ended
    assert stage.app()["status"]["history"][-1]["revisions"] == before


@pytest.fixture
async def everywhere(stage, sqlite_url, tmp_path):
    """A process that watches Applications in two namespaces, and argocd-server."""
    stage.server.put("Namespace", {"metadata": {"name": "teams"}})
    stage.server.put("AppProject", a_project(source_namespaces=["teams"]))
    async with (
        Database(sqlite_url) as database,
        ArgoCdServer(stage.server, stage.controller) as server,
        Desk(
            stage,
            database,
            tmp_path,
            namespaces=("argocd", "teams"),
            settings=server_settings(server.url, TOKEN),
        ) as desk,
    ):
        yield desk


async def test_applications_in_any_namespace_are_told_apart(stage, everywhere):
    await stage.deployed()
    stage.put("shop", namespace="teams", path="apps/other")
    stage.put("blog", namespace="teams")
    stage.commit(NEWER, app="other")
    await stage.step(2)
    await everywhere.catch_up()

    offered = everywhere.argocd.complete("shop", by=ADA)
    assert [(each.value, each.name.partition(" ")[0]) for each in offered] == [
        ("argocd/shop", "shop"),
        ("teams/shop", "teams/shop"),
    ]
    assert [each.value for each in everywhere.argocd.complete("teams/sh", by=ADA)] == ["teams/shop"]
    assert (await everywhere.argocd.status("blog", by=ADA)).detail.key == ("teams", "blog")
    with pytest.raises(InvalidError, match="say which, `argocd/shop`, `teams/shop`"):
        await everywhere.argocd.status("shop", by=ADA)

    found = await everywhere.argocd.diff("teams/shop", by=ADA)
    assert [(each.key.name, each.change) for each in found.differences] == [("web", Change.CREATED)]
    assert (await everywhere.argocd.diff("argocd/shop", by=ADA)).differences == ()
    assert everywhere.argocd.complete_history("shop", "", by=ADA) == []


async def test_an_application_in_another_namespace_is_synced_and_taken_back(stage, everywhere):
    stage.put("blog", namespace="teams")
    first = stage.commit(WEB, CONFIG, app="blog")
    await stage.step(2)
    await everywhere.catch_up()
    assert (await everywhere.until_over(await everywhere.sync("teams/blog"))).state is State.SUCCEEDED
    stage.commit(NEWER, CONFIG, app="blog")
    stage.server.patch(
        "Application",
        "teams",
        "blog",
        {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}},
    )
    await stage.step()
    assert (await everywhere.until_over(await everywhere.sync("teams/blog"))).state is State.SUCCEEDED
    (offered,) = everywhere.argocd.complete_history("teams/blog", "", by=ADA)
    assert (offered.value, offered.name[4:11]) == ("0", first[:7])
    past = await everywhere.argocd.history("teams/blog", by=ADA)
    assert [entry.revisions for entry in past.entries][-1] == (first,)
    assert past.commits[-1][0].subject == "Change something"


async def test_names_complete_from_memory_alone(stage, desk):
    for name in ("shop-web", "shop-api", "billing"):
        stage.put(name)
    await desk.catch_up()
    before = len(stage.server.requests)
    assert [each.value for each in desk.argocd.complete("api", by=ADA)] == ["argocd/shop-api"]
    assert [each.value for each in desk.argocd.complete("shop", by=ADA)] == [
        "argocd/shop-api",
        "argocd/shop-web",
    ]
    assert [each.value for each in desk.argocd.complete("blg", by=ADA)] == ["argocd/billing"]
    assert [each.value for each in desk.argocd.complete_project("def", by=ADA)] == ["default"]
    assert len(stage.server.requests) == before
    desk.access.use(
        Policy((Grant(name="x", roles=frozenset({OPERATORS}), may=("argocd:*",), on=("app:*/billing",)),))
    )
    assert [each.value for each in desk.argocd.complete("", by=ADA)] == ["argocd/billing"]


async def test_the_few_that_one_may_touch_are_found_among_many(stage, desk):
    for number in range(300):
        stage.put(f"app-{number:03}")
    await desk.catch_up()
    desk.access.use(a_policy(on=("app:argocd/app-299",)))
    # Each key stroke looks for as long as it may, and the next one goes on from there.
    strokes = ([each.value for each in desk.argocd.complete("app", by=ADA)] for _ in range(300))
    assert next(filter(None, strokes)) == ["argocd/app-299"]


async def test_resources_complete_one_after_the_other(stage, desk):
    await stage.deployed()
    await desk.argocd.status("shop", by=ADA)
    await desk.catch_up()
    offered = desk.argocd.complete_resources("shop", "", by=ADA)
    assert {each.value for each in offered} == {"ConfigMap/config", "Deployment/web"}
    offered = desk.argocd.complete_resources("shop", "Deployment/web, con", by=ADA)
    assert [each.value for each in offered] == ["Deployment/web, ConfigMap/config"]
    assert desk.argocd.complete_resources("nobody", "", by=ADA) == []


async def test_sources_are_named_where_there_are_several(stage, desk):
    revision = stage.commit(WEB, CONFIG)
    sources = [
        {"repoURL": REPO, "path": "apps/shop", "targetRevision": "main", "name": "code"},
        {"repoURL": REPO, "path": "apps/other", "targetRevision": "main", "name": "values"},
    ]
    stage.put("shop", sources=sources)
    await stage.step(2)
    with pytest.raises(RefusedError, match="several sources"):
        await desk.propose(revision="main")
    operation = await desk.propose(revision=f",{revision}")
    assert operation.plan.body[0].startswith("`code`")
    assert operation.plan.body[1].startswith("`values`")
    ended = await desk.until_over(await desk.confirm(operation))
    assert ended.state is State.SUCCEEDED, ended
