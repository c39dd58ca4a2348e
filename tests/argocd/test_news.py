"""What happens to Applications without us: in the journal once, in a channel as one card a story."""

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from bot.argocd.card.stories import render_story
from bot.argocd.settings import ArgoSettings, compile_news
from bot.argocd.store import seen as seen_table
from bot.argocd.stories import News, NewsPolicy, Route
from bot.core.errors import UnavailableError
from bot.core.loops import AT_ONCE
from bot.core.matchers import Matcher, MatchOp, parse_matchers
from bot.database.engine import Database
from bot.demo.cluster import faults
from bot.demo.cluster.repositories import Piece
from bot.journal.changes import changes_of
from bot.journal.model import Outcome
from bot.journal.words import change_words
from tests.support.argo_desk import CONFIG, GITOPS, REPO, WEB
from tests.support.argo_news import EVERYTHING, LONG_AGO, Newsroom

NEWER = Piece(kind="Deployment", name="web", image="shop:2")


async def refreshed(stage, name="shop"):
    stage.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}, name)


async def test_what_was_there_before_the_bot_is_no_news(stage, newsdesk):
    await stage.deployed()
    stage.controller.break_down("argocd", "shop", "web")
    await refreshed(stage)
    await stage.step()
    await newsdesk.catch_up()
    room = Newsroom(newsdesk)
    await room.look(60)
    assert await room.notes() == []
    assert await room.card() is None


async def test_a_sync_by_somebody_else_is_noted_once(stage, room):
    first = await stage.deployed()
    await room.began()
    second = stage.commit(NEWER, CONFIG)
    stage.sync_by("carol")
    await room.look(10)
    (entry,) = (await room.entries())[room.before :]
    assert entry.change
    assert entry.namespace == "shop"
    assert entry.detail == {"by": "carol", "from": first, "to": second}


async def test_of_several_sources_the_one_that_moved_is_noted(stage, room):
    values = "https://git.example.org/values.git"
    repositories = stage.controller.repositories
    first = repositories.commit(values, "values", [CONFIG])
    sources = [
        {"repoURL": REPO, "path": "apps/shop", "targetRevision": "main"},
        {"repoURL": values, "path": "values", "targetRevision": "main"},
    ]
    await stage.deployed(WEB, sources=sources)
    await room.began()
    second = repositories.commit(values, "values", [Piece(kind="ConfigMap", name="config", content="2")])
    stage.sync_by("carol")
    await room.look(10)
    (entry,) = (await room.entries())[room.before :]
    assert entry.detail == {"by": "carol", "from": first, "to": second}


async def test_a_new_application_is_noted_from_its_first_sync_on(stage, room):
    await room.began()
    stage.commit(WEB, CONFIG)
    stage.put("shop", automated={})
    await room.look(6)
    assert await room.notes() == [("auto-sync", "done", "argocd/shop")]


async def test_our_own_syncs_are_noted_by_their_operations_alone(stage, room):
    await stage.deployed()
    await room.began()
    stage.commit(NEWER, CONFIG)
    await refreshed(stage)
    await room.look()
    name = await room.desk.sync()
    await room.desk.until_over(name)
    await room.look(5)
    assert await room.notes() == []
    changes = [entry for entry in await room.desk.entries() if entry.change]
    assert [entry.operation for entry in changes] == [None, name]
    assert await room.card() is None


async def test_a_dry_run_is_not_noted(stage, room):
    await stage.deployed()
    await room.began()
    stage.sync_by("carol", dryRun=True)
    await room.look(5)
    assert await room.notes() == []


async def test_a_restart_notes_what_happened_meanwhile_and_nothing_twice(stage, room):
    await stage.deployed(name="one")
    await stage.deployed(name="two")
    await room.began()
    stage.sync_by("carol", name="one")
    await room.look(5)
    # Nobody looks meanwhile; a third comes to be and is synced.
    stage.sync_by("dave", name="two")
    await stage.step(5)
    await stage.deployed(name="three")
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        again.before = room.before
        await again.look(5)
        assert await again.notes() == [
            ("carol", "done", "argocd/one"),
            ("admin", "done", "argocd/three"),
            ("dave", "done", "argocd/two"),
        ]
    async with room.desk.restarted() as third:
        last = Newsroom(third)
        last.before = room.before
        await last.look(5)
        assert len(await last.notes()) == 3


async def deployed_by(stage, *people, name="shop"):
    """Have each deploy another revision, while nobody looks; returns when each was over, by whom, from, to."""
    done = []
    for who in people:
        before = stage.app(name)["status"]["history"][-1]["revision"]
        after = stage.commit(Piece(kind="Deployment", name="web", image=f"shop:{who}"), CONFIG, app=name)
        stage.sync_by(who, name=name)
        await stage.step(4)
        assert stage.state(name)["phase"] == "Succeeded"
        done.append((datetime.fromisoformat(stage.state(name)["finishedAt"]), who, before, after))
    return done


async def test_what_was_deployed_while_nobody_looked_is_noted_when_it_happened(stage, room):
    await stage.deployed()
    await room.began()
    done = await deployed_by(stage, "carol", "dave", "erin")
    room.desk.clock.advance(timedelta(hours=3))
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        await again.look(3)
        assert (await again.noted())[room.before :] == done
    async with room.desk.restarted() as third:
        last = Newsroom(third)
        await last.look(3)
        assert (await last.noted())[room.before :] == done


async def test_what_was_missed_before_a_failure_is_noted_as_well(stage, room):
    await stage.deployed()
    await room.began()
    done = await deployed_by(stage, "carol", "dave")
    stage.commit(WEB, Piece(kind="ConfigMap", name="config", content="2", refused="quota exceeded"))
    stage.sync_by("erin")
    await stage.step(4)
    stage.sync_by("erin")
    await stage.step()
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        await again.look(5)
        assert (await again.noted())[room.before :] == done
        assert [entry.outcome for entry in (await again.entries())[room.before :]] == [
            Outcome.DONE,
            Outcome.DONE,
            Outcome.FAILED,
        ]


async def test_an_application_that_was_met_for_the_first_time_is_noted_from_what_is_known_on(stage, room):
    await stage.deployed(name="old")
    await room.began()
    # A second one comes to be and is deployed twice, while nobody looks.
    await stage.deployed()
    done = await deployed_by(stage, "carol")
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        await again.look(3)
        assert [who for _, who, _, _ in await again.noted()] == ["admin", "carol"]
        assert (await again.noted())[-1] == done[-1]


async def test_the_numbers_of_a_history_may_begin_anew(stage, room):
    await stage.deployed()
    await deployed_by(stage, "carol", "dave")
    await room.began()
    stage.patch({"metadata": {"finalizers": None}})
    stage.server.delete("Application", "argocd", "shop")
    await stage.step()
    await stage.deployed()
    done = await deployed_by(stage, "erin")
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        await again.look(3)
        assert [who for _, who, _, _ in (await again.noted())[room.before :]] == ["admin", "erin"]
        assert (await again.noted())[-1] == done[-1]


async def test_what_was_remembered_by_an_older_version_is_enough(stage, room):
    await stage.deployed()
    await room.began()
    async with room.desk.leading.transaction() as tx:
        await tx.execute(update(seen_table).values(history=None))
    done = await deployed_by(stage, "carol", "dave")
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        await again.look(3)
        assert (await again.noted())[room.before :] == done


async def test_our_own_syncs_that_were_missed_are_not_noted_twice(stage, room):
    await stage.deployed()
    await room.began()
    stage.commit(NEWER, CONFIG)
    await refreshed(stage)
    await stage.step()
    await room.desk.catch_up()
    name = await room.desk.sync()
    await room.desk.until_over(name)
    done = await deployed_by(stage, "carol")
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        await again.look(3)
        assert [who for _, who, _, _ in await again.noted() if who] == ["admin", *(each[1] for each in done)]


async def test_a_sync_that_runs_is_noted_when_it_is_over(stage, room):
    await stage.deployed()
    await room.began()
    done = await deployed_by(stage, "carol")
    running = stage.app()["status"]["operationState"]
    # Argo CD writes the history down before it says that the sync is over.
    stage.patch({"status": {"operationState": {**running, "phase": "Running", "finishedAt": None}}})
    await room.desk.catch_up()
    while await room.news.step() == AT_ONCE:
        pass
    assert (await room.noted())[room.before :] == []
    stage.patch({"status": {"operationState": running}})
    await room.look(3)
    assert (await room.noted())[room.before :] == done


async def test_a_history_that_cannot_be_read_now_is_waited_for(stage, room):
    await stage.deployed()
    await room.began()
    done = await deployed_by(stage, "carol", "dave")
    await room.desk.catch_up()
    stage.server.faults.add(faults.UNAVAILABLE, verb="get", resource="applications", times=None)
    with pytest.raises(UnavailableError):
        await room.news.step()
    stage.server.faults.clear()
    await room.look(3)
    assert (await room.noted())[room.before :] == done


async def test_a_history_that_may_not_be_read_holds_up_nothing(stage, room):
    await stage.deployed()
    await room.began()
    done = await deployed_by(stage, "carol", "dave")
    stage.server.faults.add(faults.FORBIDDEN_PRETTY, verb="get", resource="applications", times=None)
    await room.look()
    ((at, who, _, after),) = (await room.noted())[room.before :]
    assert (at, who, after) == (done[-1][0], "dave", done[-1][-1])


async def test_a_clock_that_is_ahead_tells_nothing_of_the_future(stage, room):
    await stage.deployed()
    await room.began()
    ((at, *_),) = await deployed_by(stage, "carol")
    ahead = (at + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    stage.patch({"status": {"operationState": {"finishedAt": ahead}}})
    await room.desk.catch_up()
    while await room.news.step() == AT_ONCE:
        pass
    assert (await room.noted())[-1][0] == room.desk.clock.now()


async def test_a_story_says_when_it_began_not_when_it_was_seen(stage, room):
    await stage.deployed()
    await room.began()
    stage.controller.break_down("argocd", "shop", "web")
    await refreshed(stage)
    await stage.step(2)
    broke = datetime.fromisoformat(stage.app()["status"]["health"]["lastTransitionTime"])
    room.desk.clock.advance(timedelta(hours=3))
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        await again.look(3)
        story = await again.story()
        assert story.opened_at == broke
        assert [(each.news, each.at) for each in story.happenings] == [(News.DEGRADED, broke)]


async def test_a_failed_sync_is_told_and_is_no_change(stage, room):
    await stage.deployed()
    await room.began()
    stage.commit(WEB, Piece(kind="ConfigMap", name="config", content="2", refused="quota exceeded"))
    stage.sync_by("carol")
    await room.look(5)
    ((_, outcome, _),) = await room.notes()
    assert outcome == Outcome.FAILED.value
    assert not (await room.entries())[-1].change
    story = await room.story()
    assert story.wrong == {News.SYNC_FAILED}
    assert story.happenings[0].words
    assert await room.card() is not None


async def test_a_sync_that_failed_half_way_is_a_change(stage, room):
    await stage.deployed()
    await room.began()
    stage.commit(NEWER, CONFIG, Piece(kind="Job", name="check", hook="PostSync", degrades=True))
    stage.sync_by("carol")
    await room.look(9)
    said = await room.notes()
    assert said == [("carol", each.value, "argocd/shop") for each in (Outcome.FAILED, Outcome.DONE)]
    async with room.desk.leading.reading() as tx:
        found = await room.desk.journal.list_changes(tx, apps=["argocd/shop"], since=LONG_AGO)
        newest, *_ = changes_of(found)
    assert change_words(newest).startswith("**carol** tried to sync **shop** `")
    assert change_words(newest).endswith(": it failed")


async def ended_with(stage, room, message):
    """Have somebody's sync end so, as Argo CD writes it."""
    await stage.deployed()
    await room.began()
    stage.sync_by("carol")
    await stage.step(3)
    state = stage.app()["status"]["operationState"]
    stage.patch({"status": {"operationState": {**state, "phase": "Failed", "message": message}}})
    await room.look()


async def test_a_sync_that_took_too_long_is_told(stage, room):
    await ended_with(stage, room, "Operation terminated, triggered by controller sync timeout")
    assert (await room.story()).wrong == {News.SYNC_FAILED}


async def test_a_sync_that_somebody_ended_is_no_news(stage, room):
    await ended_with(stage, room, "Operation terminated")
    assert await room.card() is None


async def test_what_cannot_be_worked_out_is_told_with_why(stage, room):
    await stage.deployed()
    await room.began()
    stage.patch({"spec": {"source": {"targetRevision": "gone"}}})
    await refreshed(stage)
    await stage.step()
    conditions = [{"type": "SyncError", "message": "an old one"}, *stage.app()["status"]["conditions"]]
    stage.patch({"status": {"conditions": conditions}})
    await room.desk.catch_up()
    room.desk.clock.advance(timedelta(minutes=1))
    while await room.news.step() == AT_ONCE:
        pass
    room.desk.clock.advance(timedelta(minutes=1))
    await room.news.step()
    story = await room.story()
    assert story.wrong == {News.ERROR}
    why = conditions[1]["message"]
    (happened,) = story.happenings
    assert happened.words == why
    said = json.dumps(render_story(story).view.to_components())
    assert f"> {why}" in said
    # Its last sync went well, which is not what is wrong.
    assert "successfully synced" not in said


async def test_what_is_degraded_only_for_a_moment_is_not_told(stage, room):
    await stage.deployed()
    await room.began()
    stage.controller.break_down("argocd", "shop", "web")
    await refreshed(stage)
    await room.look(3)
    stage.controller.break_down("argocd", "shop", "web", broken=False)
    await refreshed(stage)
    await room.look(60)
    assert await room.card() is None


async def test_a_story_is_one_card_from_beginning_to_end(stage, room):
    await stage.deployed()
    await room.began()
    stage.controller.break_down("argocd", "shop", "web")
    await refreshed(stage)
    await room.look(35)
    story = await room.story()
    assert story.wrong == {News.DEGRADED}
    card = await room.card()
    stage.controller.drift("argocd", "shop", "config")
    await refreshed(stage)
    await room.look(35)
    assert (await room.story()).wrong == {News.DEGRADED, News.DRIFTED}
    assert (await room.card()).wanted > card.wanted

    stage.controller.break_down("argocd", "shop", "web", broken=False)
    stage.sync_by("carol")
    await room.look(5)
    ended = await room.story()
    assert ended.closed_at is not None
    assert ended.wrong == frozenset()
    assert [each.news for each in ended.happenings] == [News.DEGRADED, News.DRIFTED, News.WELL]
    with pytest.raises(Exception, match="no longer kept"):
        await room.story(2)


async def test_what_breaks_again_soon_goes_on_with_its_story(stage, room):
    await stage.deployed()
    await room.began()
    for broken in (True, False, True):
        stage.controller.break_down("argocd", "shop", "web", broken=broken)
        await refreshed(stage)
        await room.look(35)
    story = await room.story()
    assert story.closed_at is None
    assert [each.news for each in story.happenings] == [News.DEGRADED, News.WELL, News.DEGRADED]
    room.desk.clock.advance(timedelta(hours=1))
    stage.controller.break_down("argocd", "shop", "web", broken=False)
    await refreshed(stage)
    await room.look(2)
    room.desk.clock.advance(timedelta(hours=1))
    stage.controller.break_down("argocd", "shop", "web")
    await refreshed(stage)
    await room.look(35)
    assert (await room.story(2)).opened_at > story.opened_at


async def test_a_story_goes_on_after_a_restart(stage, room):
    await stage.deployed()
    await room.began()
    stage.controller.break_down("argocd", "shop", "web")
    await refreshed(stage)
    await room.look(35)
    async with room.desk.restarted() as other:
        again = Newsroom(other)
        await again.look(3)
        assert [each.news for each in (await again.story()).happenings] == [News.DEGRADED]
        stage.controller.break_down("argocd", "shop", "web", broken=False)
        await refreshed(stage)
        await again.look(3)
        assert (await again.story()).closed_at is not None


async def test_auto_sync_that_goes_well_is_quiet_unless_it_is_wanted(stage, room):
    await stage.deployed(automated={})
    await room.began()
    stage.commit(NEWER, CONFIG)
    await refreshed(stage)
    await room.look(6)
    assert await room.card() is None
    assert len(await room.notes()) == 1

    room.policy = NewsPolicy(routes=EVERYTHING.routes, quiet=False)
    stage.commit(Piece(kind="Deployment", name="web", image="shop:3"), CONFIG)
    await refreshed(stage)
    await room.look(6)
    story = await room.story()
    assert [each.news for each in story.happenings] == [News.DEPLOYED]
    assert story.closed_at is not None


async def test_a_deployment_by_somebody_is_told(stage, room):
    await stage.deployed()
    await room.began()
    stage.commit(NEWER, CONFIG)
    stage.sync_by("carol")
    await room.look(6)
    story = await room.story()
    assert [(each.news, each.words) for each in story.happenings] == [(News.DEPLOYED, "carol")]


async def test_routes_say_where(stage, room):
    await stage.deployed()
    await room.began()
    room.policy = NewsPolicy(
        routes=(
            Route(matchers=parse_matchers('event="degraded"'), channel_id=None),
            Route(matchers=parse_matchers('project="default",app=~"sh.*"'), channel_id=777),
            Route(channel_id=GITOPS),
        )
    )
    stage.controller.break_down("argocd", "shop", "web")
    await refreshed(stage)
    await room.look(35)
    assert await room.card() is None
    stage.controller.drift("argocd", "shop", "config")
    await refreshed(stage)
    await room.look(35)
    assert (await room.story()).channel_id == 777
    assert await room.card(channel=777) is not None


async def test_an_application_that_goes_ends_its_story(stage, room):
    await stage.deployed()
    await room.began()
    stage.controller.break_down("argocd", "shop", "web")
    await refreshed(stage)
    await room.look(35)
    stage.patch({"metadata": {"finalizers": None}})
    stage.server.delete("Application", "argocd", "shop")
    await room.look(2)
    story = await room.story()
    assert story.closed_at is not None
    assert story.happenings[-1].news is News.DELETED


async def test_what_cannot_be_written_down_now_is_written_later(stage, room, database_kind):
    if database_kind != "sqlite":
        pytest.skip("one way to fail is enough")
    await stage.deployed()
    await room.began()
    stage.sync_by("carol")
    await stage.step(5)
    await room.desk.catch_up()
    working = room.news._database
    room.news._database = Database("sqlite+aiosqlite:////nowhere/at/all.db")
    with pytest.raises(Exception, match="database"):
        await room.news.step()
    room.news._database = working
    await room.look()
    assert await room.notes() == [("carol", "done", "argocd/shop")]


async def test_what_happens_before_the_first_look_is_news(stage, newsdesk):
    await stage.deployed()
    await newsdesk.catch_up()
    room = Newsroom(newsdesk)
    stage.commit(WEB, Piece(kind="ConfigMap", name="config", content="2", refused="quota exceeded"))
    stage.sync_by("carol")
    await stage.step(5)
    await room.look()
    assert await room.notes() == [("carol", "failed", "argocd/shop")]
    assert (await room.story()).wrong == {News.SYNC_FAILED}


async def test_a_bug_about_one_application_holds_up_no_other(stage, room):
    class Bewildered(Matcher):
        def matches(self, labels):
            assert labels["app"] != "one", "nobody foresaw this"
            return True

    await stage.deployed(name="one")
    await stage.deployed(name="two")
    await room.began()
    room.policy = NewsPolicy(routes=(Route(matchers=(Bewildered("app", MatchOp.EQUAL, ""),), channel_id=7),))
    for name in ("one", "two"):
        stage.commit(NEWER, CONFIG, app=name)
        stage.sync_by("carol", name=name)
    await room.look(6)
    assert await room.notes() == [("carol", "done", "argocd/two")]
    # It is tried again by itself, and nothing of it is lost.
    room.policy = EVERYTHING
    room.desk.clock.advance(timedelta(minutes=6))
    await room.look()
    assert await room.notes() == [("carol", "done", "argocd/two"), ("carol", "done", "argocd/one")]


def test_news_go_to_the_usual_channel_unless_routes_say_otherwise():
    assert compile_news(ArgoSettings(), {"gitops": "12"}).routes == (Route(channel_id=12),)
    assert compile_news(ArgoSettings(), {"alerts": "12"}).routes == (Route(channel_id=None),)
    settings = ArgoSettings.model_validate(
        {"news": [{"match": ['project="prod"'], "channel": "critical"}, {"channel": "none"}]}
    )
    routes = compile_news(settings, {"critical": "7"}).routes
    assert [(route.channel_id, len(route.matchers)) for route in routes] == [(7, 1), (None, 0)]
    with pytest.raises(ValueError, match="expected"):
        ArgoSettings.model_validate({"news": [{"match": ["nonsense"], "channel": "none"}]})
