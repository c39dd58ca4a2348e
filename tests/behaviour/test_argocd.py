"""What people ask about Applications and have done with them, from Discord to the cluster and back."""

from datetime import timedelta

import pytest

from bot.argocd.news import NewsDesk
from bot.argocd.settings import ArgoSettings
from bot.argocd.stories import MOST_ALONE, NewsPolicy, Route
from bot.chat.layout import CRITICAL, GOOD, RUNNING
from bot.core.loops import AT_ONCE
from bot.database.engine import Database
from bot.demo.cluster.applications import a_project, a_window, an_application, an_application_set
from bot.demo.cluster.argocd_server import TOKEN, ArgoCdServer
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.server import ApiServer
from bot.operations.model import State
from tests.support.argo_desk import CONFIG, WEB, Desk, Stage, server_settings
from tests.support.argo_town import Town, World
from tests.support.chart_rights import within_the_charts_rights
from tests.support.clock import ManualClock
from tests.support.crds import crd_schemas
from tests.support.world import buttons_of, colour_of, words_of

REFRESHED = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}


@pytest.fixture
async def stage():
    clock = ManualClock()
    async with ApiServer(clock=clock, schemas=crd_schemas()) as server:
        with within_the_charts_rights(server):
            yield Stage(server, clock)


@pytest.fixture
async def world(stage, sqlite_url, tmp_path):
    async with Database(sqlite_url) as database, Desk(stage, database, tmp_path) as desk:
        yield World(desk)


@pytest.fixture
def simcord_bot(world):
    return world.bot


@pytest.fixture
async def town(world, simcord_env):
    made = Town(simcord_env, world)
    async with world.desk.stage.comparing():
        yield made
    await made.desk.__aexit__()


@pytest.fixture
async def drifted(town):
    """`shop` is deployed, and its source has moved on: another image, and no ConfigMap any more."""
    await town.stage.deployed()
    town.stage.commit(Piece(kind="Deployment", name="web", image="shop:2", passes=3), message="Speed *up*")
    await seen(town)
    return town


@pytest.fixture
async def server(stage, town):
    """What argocd-server knows as well."""
    async with ArgoCdServer(stage.server, stage.controller) as opened:
        town.desk.settings = server_settings(opened.url, TOKEN)
        yield opened


async def seen(town, name="shop"):
    """Have Argo CD compare, and the bot see it."""
    town.stage.patch(REFRESHED, name)
    await town.stage.step()
    await town.desk.catch_up()


def files_of(message):
    return [each.filename for each in message.attachments]


def selects_of(message):
    raw = [c if isinstance(c, dict) else c.to_dict() for c in message.components]
    inner = [row for box in raw for row in box.get("components", [])]
    return [item for row in inner for item in row.get("components", []) if item.get("options")]


# Looking


async def test_the_state_of_an_application_is_told_privately(town):
    await town.stage.deployed()
    await town.desk.catch_up()
    shown = await town.asks("status", app="shop")

    assert shown.ephemeral
    assert "### HEALTHY · shop" in words_of(shown.response)
    assert list(buttons_of(shown.response)) == ["Sync…", "Diff", "History", "Refresh"]
    assert town.gitops.history() == []


async def test_a_crowd_is_one_message_that_opens_each_of_its_applications(town):
    news = NewsDesk(
        town.desk.leading,
        town.desk.cards,
        town.desk.journal,
        town.desk.argo,
        clock=town.desk.clock,
        policy=lambda: NewsPolicy(routes=(Route(channel_id=town.gitops.id),), settle=timedelta(0)),
    )

    async def are(sync):
        for number in range(MOST_ALONE + 13):
            status = {"health": {"status": "Healthy"}, "sync": {"status": sync}}
            town.stage.put(f"app-{number:02}", status=status)
        await town.desk.catch_up()
        while await news.step() == AT_ONCE:
            pass
        await town.world.settle()

    await news.step()
    await are("OutOfSync")
    told, card = town.gitops.history(), town.card
    assert len(told) == MOST_ALONE + 1
    assert "### 13 Applications · OUT OF SYNC 13" in words_of(card)
    assert files_of(card) == ["applications-11.txt"]
    opened = await town.alice.select(card, ["argocd/app-10"])
    assert opened.ephemeral
    assert "### OUT OF SYNC · app-10" in words_of(opened.response)
    listed = await town.alice.click(card, label="List Applications")
    assert listed.ephemeral
    assert "### 23 Applications" in words_of(listed.response)

    await are("Synced")
    town.desk.clock.advance(timedelta(seconds=5))
    await town.world.settle()
    assert [message.id for message in town.gitops.history()] == [message.id for message in told]
    assert "### ALL WELL AGAIN · 13 Applications" in words_of(town.card)


async def test_a_list_opens_each_of_its_applications(drifted):
    await drifted.stage.deployed(name="mail")
    await drifted.desk.catch_up()
    shown = await drifted.asks("list")
    assert shown.ephemeral
    assert "**OUT OF SYNC**\n**shop** 2 of 2 differ" in words_of(shown.response)
    assert "**HEALTHY**\nmail" in words_of(shown.response)
    opened = await drifted.alice.select(shown.response, ["argocd/mail"])

    assert "### HEALTHY · mail" in words_of(opened.response)


async def test_a_list_can_be_narrowed(drifted):
    await drifted.stage.deployed(name="mail")
    await drifted.desk.catch_up()
    for narrowed, found in (
        ({"sync": "OutOfSync"}, "1 of 2"),
        ({"health": "Degraded"}, "0 of 2"),
        ({"text": "mai"}, "1 of 2"),
        ({"project": "default"}, "2"),
    ):
        shown = await drifted.asks("list", **narrowed)
        assert words_of(shown.response).startswith(f"### {found} Applications")


async def test_who_may_see_one_application_sees_that_one(drifted):
    await drifted.stage.deployed(name="mail")
    await drifted.desk.catch_up()
    shown = await drifted.asks("list", by=drifted.victor)
    assert "mail" not in words_of(shown.response)
    offered = await drifted.victor.autocomplete(drifted.general, "argocd status", "app", "")
    assert [each["value"] for each in offered] == ["argocd/shop"]
    refused = await drifted.asks("status", by=drifted.victor, app="mail")

    assert 'may: ["argocd:status"]' in refused.response.content
    assert len(drifted.refusals()) == 1


async def test_a_name_that_is_not_there_says_what_is_nearest(drifted):
    refused = await drifted.asks("status", app="shpo")

    assert "There is no Application `argocd/shpo`. Did you mean `shop`?" in refused.response.content
    drifted.refusals()


async def test_a_tree_opens_what_is_wrong_in_it(town):
    child = an_application("web", parent="root")
    town.stage.commit(WEB, app="web")
    await town.stage.deployed(
        Piece(kind="Application", name="web", namespace="argocd", wave=1, application=child),
        name="root",
        deployed_to="argocd",
    )
    await seen(town, "web")
    status = await town.asks("status", app="root")
    assert "Tree" in buttons_of(status.response)
    shown = await town.alice.click(status.response, label="Tree")
    assert "`wave 1` **web** MISSING · OUT OF SYNC" in words_of(shown.response)
    opened = await town.alice.select(shown.response, ["argocd/web"])

    assert "Applied by `argocd/root`" in words_of(opened.response)


async def test_what_is_asked_is_offered_without_a_request(drifted):
    before = len(drifted.stage.server.requests)
    apps = await drifted.alice.autocomplete(drifted.general, "argocd sync", "app", "sho")
    projects = await drifted.alice.autocomplete(drifted.general, "argocd list", "project", "def")
    resources = await drifted.alice.autocomplete(
        drifted.general, "argocd sync", "resources", "", app="argocd/shop"
    )

    assert [each["value"] for each in apps] == ["argocd/shop"]
    assert apps[0]["name"] == "shop · default · OutOfSync · Healthy"
    assert [each["value"] for each in projects] == ["default"]
    assert "Deployment/web" in [each["value"] for each in resources]
    assert len(drifted.stage.server.requests) == before


# Differences


async def test_differences_are_turned_page_by_page_and_attached(drifted, server):
    shown = await drifted.asks("diff", app="shop")
    assert "2 resources differ" in words_of(shown.response)
    assert "**ConfigMap/config** in `shop` is deleted, but only with pruning" in words_of(shown.response)
    assert files_of(shown.response) == ["changes.diff"]
    assert list(buttons_of(shown.response)) == ["Next (1 of 2)", "Sync…"]
    turned = await drifted.alice.click(shown.response, label="Next (1 of 2)")

    assert "**Deployment/web** in `shop` is changed: +1 −1 lines" in words_of(turned.response)
    assert turned.response.id == shown.response.id
    assert list(buttons_of(turned.response)) == ["Previous", "Sync…"]


async def test_turning_a_page_shows_the_same_comparison_without_asking_again(drifted, server):
    shown = await drifted.asks("diff", app="shop")
    asked = len(server.requests)
    turned = await drifted.alice.click(shown.response, label="Next (1 of 2)")
    back = await drifted.alice.click(turned.response, label="Previous")
    assert len(server.requests) == asked
    assert words_of(back.response) == words_of(shown.response)
    assert "read <t:" in words_of(back.response)

    # Once it is synced, what was read is no longer true.
    drifted.stage.sync_by("carol", prune=True)
    await drifted.stage.step(6)
    await drifted.desk.catch_up()
    turned = await drifted.alice.click(back.response, label="Next (1 of 2)")
    assert "Nothing: what runs is what the sources say." in words_of(turned.response)
    assert len(server.requests) > asked


async def test_without_a_server_what_differs_is_named(drifted):
    shown = await drifted.asks("diff", app="shop")

    assert "**Deployment/web** in `shop`" in words_of(shown.response)
    assert "Only what differs is known, not how." in words_of(shown.response)


async def test_from_a_difference_it_is_synced(drifted):
    status = await drifted.asks("status", app="shop")
    diff = await drifted.alice.click(status.response, label="Diff")
    preview = await drifted.alice.click(diff.response, label="Sync…")

    assert "### Sync shop?" in words_of(preview.response)


# Syncing


async def test_a_sync_goes_from_its_preview_to_a_live_card_and_its_end(drifted):
    preview = await drifted.asks("sync", app="shop")
    assert preview.ephemeral
    assert "1 of 2 resources differ: **Deployment/web**" in words_of(preview.response)
    assert "Prune is off: 1 resource that no source has any more stays." in words_of(preview.response)
    assert "operation" not in drifted.stage.app()
    answer = await drifted.confirms(preview)
    assert words_of(answer.response) == f"Syncing shop: see <#{drifted.gitops.id}>."
    assert "waiting for Argo CD to begin" in words_of(drifted.card)
    assert colour_of(drifted.card) == RUNNING.value
    await drifted.passes(2)
    assert "`" in words_of(drifted.card)
    assert "of 2 resources done · 0 failed" in words_of(drifted.card)
    assert list(buttons_of(drifted.card)) == ["Terminate", "Details"]
    ended = await drifted.ends()

    assert ended.state is State.SUCCEEDED
    assert "### Synced shop" in words_of(drifted.card)
    assert "it is **Healthy**" in words_of(drifted.card)
    assert colour_of(drifted.card) == GOOD.value
    assert len(drifted.gitops.history()) == 1


async def test_a_sync_can_be_a_dry_run_of_some_resources_with_pruning(drifted):
    preview = await drifted.asks("sync", app="shop", dry_run=True, prune=True, resources="Deployment/web")

    assert "### Dry run of shop?" in words_of(preview.response)
    assert "Only **Deployment/web**. **Hooks do not run**" in words_of(preview.response)
    assert "**Dry run**: nothing is changed." in words_of(preview.response)


async def test_what_failed_is_told_in_its_own_words(drifted):
    drifted.stage.commit(WEB, Piece(kind="ConfigMap", name="config", content="2", refused="exceeded *quota*"))
    await seen(drifted)
    await drifted.confirms(await drifted.asks("sync", app="shop"))
    await drifted.ends()

    assert "### FAILED · Sync shop" in words_of(drifted.card)
    assert r"**ConfigMap/config** failed: exceeded \*quota\*" in words_of(drifted.card).splitlines()[-3:]
    assert colour_of(drifted.card) == CRITICAL.value


async def test_somebody_else_approves(drifted):
    drifted.demand(1)
    preview = await drifted.asks("sync", app="shop")
    assert "needs 1 approval" in words_of(preview.response)
    await drifted.confirms(preview)
    assert list(buttons_of(drifted.card)) == ["Approve", "Decline…", "Details"]
    own = await drifted.alice.click(drifted.card, label="Approve")
    assert "somebody else must approve" in own.followups[0].content
    assert "operation" not in drifted.stage.app()
    await drifted.bob.click(drifted.card, label="Approve")
    await drifted.world.settle()
    assert drifted.stage.app()["operation"]["initiatedBy"] == {"username": "the-machine/alice"}
    await drifted.ends()

    assert f"approved by <@{drifted.bob.id}>" in words_of(drifted.card)
    assert "### Synced shop" in words_of(drifted.card)


async def test_a_closed_window_refuses_and_says_until_when(drifted):
    drifted.stage.server.put("AppProject", a_project(windows=[a_window("deny")]))
    await drifted.desk.until(lambda: any(each.windows for each in drifted.desk.argo.projects.values()))
    refused = await drifted.asks("sync", app="shop")
    assert "window" in refused.response.content
    drifted.refusals()
    status = await drifted.asks("status", app="shop")

    assert "**No sync now**: A sync window denies it now." in words_of(status.response)


async def test_while_writing_is_off_nothing_can_be_changed(drifted):
    drifted.desk.settings = ArgoSettings(write=False)
    status = await drifted.asks("status", app="shop")
    refused = await drifted.alice.click(status.response, label="Sync…")

    assert "kubernetes.argocd.write: true" in words_of(refused.response)
    assert "operation" not in drifted.stage.app()


async def test_who_may_only_look_is_told_which_grant_is_missing(drifted):
    status = await drifted.asks("status", by=drifted.victor, app="shop")
    refused = await drifted.victor.click(status.response, label="Sync…")

    assert 'may: ["argocd:sync"]' in words_of(refused.response)


# Ending


async def hanging(town):
    """A sync of which somebody must end the first wave."""
    town.stage.commit(
        CONFIG,
        Piece(kind="Deployment", name="web", image="9", passes=99),
        Piece(kind="Job", name="j", wave=1),
    )
    await seen(town)


async def test_a_sync_of_ours_is_terminated_from_its_card(drifted):
    await hanging(drifted)
    await drifted.confirms(await drifted.asks("sync", app="shop"))
    await drifted.passes(2)
    assert "waiting for **Deployment/web** to become healthy" in words_of(drifted.card)
    await drifted.bob.click(drifted.card, label="Terminate")
    await drifted.ends()

    assert "### CANCELLED · Sync shop" in words_of(drifted.card)
    assert drifted.stage.state()["message"].startswith("Operation terminated")


async def test_a_sync_of_ours_is_terminated_by_command(drifted):
    await hanging(drifted)
    await drifted.confirms(await drifted.asks("sync", app="shop"))
    await drifted.passes(2)
    told = await drifted.asks("terminate", by=drifted.bob, app="shop")
    assert words_of(told.response) == f"**Sync shop**: Its end is asked for. See <#{drifted.gitops.id}>."
    assert (await drifted.ends()).state is State.CANCELLED


async def test_the_sync_of_somebody_else_is_terminated_once_that_is_confirmed(drifted):
    await hanging(drifted)
    drifted.stage.sync_by("admin")
    await drifted.passes(2)
    status = await drifted.asks("status", app="shop")
    assert "### SYNCING" in words_of(status.response)
    preview = await drifted.alice.click(status.response, label="Terminate")
    assert "### Terminate the sync of shop?" in words_of(preview.response)
    assert "Begun by admin" in words_of(preview.response)
    await drifted.confirms(preview)
    await drifted.ends()

    assert "### Terminated the sync of shop" in words_of(drifted.card)


async def test_where_nothing_runs_nothing_is_terminated(drifted):
    refused = await drifted.asks("terminate", app="shop")

    assert "there is nothing to stop" in refused.response.content
    assert len(drifted.refusals()) == 1


# Going back


async def test_the_history_leads_back(drifted):
    await drifted.confirms(await drifted.asks("sync", app="shop"))
    await drifted.ends()
    await drifted.desk.later(timedelta(seconds=30))
    status = await drifted.asks("status", app="shop")
    history = await drifted.alice.click(status.response, label="History")
    assert "**runs now**" in words_of(history.response)
    [way_back] = selects_of(history.response)
    preview = await drifted.alice.select(history.response, [way_back["options"][0]["value"]])
    assert "### Roll shop back?" in words_of(preview.response)
    assert "**Hooks do not run**" in words_of(preview.response)
    await drifted.confirms(preview)
    ended = await drifted.ends()

    assert ended.state is State.SUCCEEDED
    assert "### Rolled shop back" in words_of(drifted.card)


async def test_a_rollback_is_offered_and_asked_for_by_its_number(drifted):
    await drifted.confirms(await drifted.asks("sync", app="shop"))
    await drifted.ends()
    await drifted.asks("history", app="shop")
    offered = await drifted.alice.autocomplete(
        drifted.general, "argocd rollback", "id", "", app="argocd/shop"
    )
    preview = await drifted.asks("rollback", app="shop", id=offered[0]["value"])

    assert "### Roll shop back?" in words_of(preview.response)


async def test_with_auto_sync_there_is_no_rollback_and_it_says_what_to_do(town):
    await town.stage.deployed(automated={})
    await town.desk.catch_up()
    refused = await town.asks("rollback", app="shop", id="0")

    assert "auto-sync" in refused.response.content.lower()
    assert "Git" in refused.response.content
    town.refusals()


# Refreshing


async def test_a_refresh_says_what_it_found(drifted):
    drifted.stage.controller.drift("argocd", "shop", "web")
    async with drifted.stage.running():
        shown = await drifted.asks("refresh", app="shop", hard=True)
        again = await drifted.alice.click(shown.response, label="Refresh")

    assert "Argo CD made its manifests anew and compared, in" in words_of(shown.response)
    assert "Argo CD compared it again, in" in words_of(again.response)


async def test_the_bot_refreshes_itself_and_no_more(drifted):
    drifted.desk.settings = ArgoSettings(write=True, itself="argocd/shop")
    async with drifted.stage.running():
        shown = await drifted.asks("refresh", app="shop")
    assert "compared it again" in words_of(shown.response)
    refused = await drifted.asks("sync", app="shop")

    assert "deploys this bot" in refused.response.content
    assert "kubectl -n argocd patch application shop" in refused.response.content
    drifted.refusals()


# Trees and sets


async def test_a_whole_tree_is_synced_wave_by_wave(town):
    for name in ("web", "mail"):
        town.stage.commit(Piece(kind="Deployment", name=name, image="1"), app=name)
    await town.stage.deployed(
        *(
            Piece(
                kind="Application",
                name=name,
                namespace="argocd",
                wave=wave,
                application=an_application(name, parent="root"),
            )
            for wave, name in enumerate(("web", "mail"))
        ),
        name="root",
        deployed_to="argocd",
    )
    await seen(town, "mail")
    preview = await town.asks("sync-tree", app="root")
    assert "wave 0: **web**\nwave 1: **mail**" in words_of(preview.response)
    await town.confirms(preview)
    ended = await town.ends()

    assert ended.state is State.SUCCEEDED, ended
    assert "### Synced root and all below" in words_of(town.card)
    assert town.stage.app("mail")["status"]["sync"]["status"] == "Synced"


async def test_sets_are_listed_opened_and_refreshed(town):
    town.stage.server.put("ApplicationSet", an_application_set("teams"))
    town.stage.put("web", owner="teams")
    await town.desk.until(lambda: len(town.desk.argo.sets))
    await town.desk.catch_up()
    offered = await town.alice.autocomplete(town.general, "argocd sets", "set", "tea")
    assert [each["value"] for each in offered] == ["argocd/teams"]
    shown = await town.asks("sets")
    assert "**WORKING** · **teams**" in words_of(shown.response)
    opened = await town.alice.select(shown.response, ["argocd/teams"])
    assert "**web**" in words_of(opened.response)
    async with town.stage.running():
        refreshed = await town.alice.click(opened.response, label="Refresh")
        by_command = await town.asks("refresh-set", set="teams")

    assert "It made its Applications anew" in words_of(refreshed.response)
    assert "It made its Applications anew" in words_of(by_command.response)


# Surviving


async def test_a_button_of_before_a_restart_still_works(drifted):
    await drifted.confirms(await drifted.asks("sync", app="shop"))
    await drifted.passes(1)
    await drifted.restart()
    answer = await drifted.bob.click(drifted.card, label="Details")
    assert "Syncing shop" in words_of(answer.response)
    ended = await drifted.ends()

    assert ended.state is State.SUCCEEDED
    assert "### Synced shop" in words_of(drifted.card)


async def test_a_cluster_that_is_gone_is_said_plainly(drifted):
    await drifted.stage.server.__aexit__(None, None, None)
    refused = await drifted.asks("status", app="shop")

    assert refused.response.content
    assert "Traceback" not in refused.response.content
    drifted.refusals()
