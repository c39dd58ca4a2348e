"""The controller behaves like Argo CD's: each phase, each trap."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from bot.demo.cluster.applications import (
    DELETION_APPROVED,
    REFRESH,
    SET_REFRESH,
    SKIP_RECONCILE,
    a_project,
    a_window,
    an_application,
    an_application_set,
)
from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.kinds import ARGO_CD, BUILT_IN
from bot.demo.cluster.objects import Objects
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.store import Key, timestamp
from tests.support.crds import crd_schemas

REPO = "https://git.example.org/platform.git"
NAME = ("argocd", "shop")
WEB = Piece(kind="Deployment", name="web", image="shop:1")
CONFIG = Piece(kind="ConfigMap", name="config", content="1")


class Clock:
    def __init__(self):
        self.moment = datetime(2026, 3, 11, 12, tzinfo=UTC)

    def now(self):
        return self.moment

    def advance(self, **length):
        self.moment += timedelta(**length)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cluster(clock):
    uids = iter(f"00000000-0000-4000-8000-{number:012}" for number in range(10_000))
    cluster = Objects(
        clock=clock,
        new_uid=lambda: next(uids),
        schemas=crd_schemas(),
        kinds=(*BUILT_IN, *ARGO_CD),
        remembered=10_000,
    )
    cluster.put("AppProject", a_project())
    return cluster


class Stage:
    """One Application and its repository."""

    def __init__(self, cluster, clock):
        self.cluster = cluster
        self.clock = clock
        self.controller = ArgoController(cluster)

    def commit(self, *pieces, message="Change", path="apps/shop", **more):
        return self.controller.repositories.commit(REPO, path, pieces, message=message, **more)

    def put(self, **options):
        self.cluster.put("Application", an_application("shop", **options))

    @property
    def app(self):
        return self.cluster.get("Application", *NAME)

    @property
    def state(self):
        return self.app["status"]["operationState"]

    @property
    def results(self):
        return {
            one["name"]: (one["status"], one["hookPhase"])
            for one in self.state.get("syncResult", {}).get("resources", ())
        }

    @property
    def summary(self):
        status = self.app["status"]
        return status["sync"]["status"], status["health"]["status"]

    async def step(self, times=1):
        for _ in range(times):
            self.clock.advance(seconds=2)
            await self.controller.step()

    def ask(self, patch):
        self.cluster.patch("Application", *NAME, patch)

    def sync(self, *, retry=None, info="our-id", clear=True, **sync):
        operation = {
            "initiatedBy": {"username": "the-machine/ada"},
            "info": [{"name": "the-machine/id", "value": info}],
            "sync": {"syncStrategy": {"hook": {}}, **sync},
            **({"retry": retry} if retry else {}),
        }
        self.ask({"operation": operation, **({"status": {"operationState": None}} if clear else {})})

    async def until_over(self, most=30):
        for _ in range(most):
            await self.step()
            if "operation" not in self.app:
                return
        raise AssertionError(self.state)


@pytest.fixture
def stage(cluster, clock):
    return Stage(cluster, clock)


@pytest.fixture
async def shop(stage):
    """An Application that is out of sync: nothing runs yet."""
    stage.revision = stage.commit(CONFIG, WEB)
    stage.put()
    await stage.step()
    return stage


async def test_a_new_application_is_compared(shop):
    assert shop.summary == ("OutOfSync", "Missing")
    status = shop.app["status"]
    assert status["sync"]["revision"] == shop.revision
    assert status["reconciledAt"] == timestamp(shop.clock.now())
    assert [(one["kind"], one["status"]) for one in status["resources"]] == [
        ("ConfigMap", "OutOfSync"),
        ("Deployment", "OutOfSync"),
    ]


async def test_nothing_is_written_where_nothing_changes(shop):
    version = shop.app["metadata"]["resourceVersion"]
    await shop.step(5)
    assert shop.app["metadata"]["resourceVersion"] == version


async def test_a_single_wave_succeeds_at_once_with_everything_still_running(shop):
    shop.sync()
    await shop.step()
    assert "operation" not in shop.app
    assert (shop.state["phase"], shop.state["message"]) == (
        "Succeeded",
        "successfully synced (all tasks run)",
    )
    assert shop.results == {"config": ("Synced", "Running"), "web": ("Synced", "Running")}
    assert shop.state["operation"]["info"] == [{"name": "the-machine/id", "value": "our-id"}]
    assert shop.state["finishedAt"] >= shop.state["startedAt"]
    assert shop.state["syncResult"]["revision"] == shop.revision


async def test_what_was_synced_is_compared_by_a_later_pass(shop):
    shop.sync()
    await shop.step()
    assert shop.summary == ("OutOfSync", "Missing")
    await shop.step()
    assert shop.summary == ("Synced", "Healthy")
    assert shop.app["status"]["reconciledAt"] >= shop.state["finishedAt"]
    assert shop.app["status"]["summary"]["images"] == ["shop:1"]


async def test_a_sync_is_remembered_with_who_began_it(shop):
    shop.sync()
    await shop.step()
    (entry,) = shop.app["status"]["history"]
    assert (entry["id"], entry["revision"]) == (0, shop.revision)
    assert entry["initiatedBy"] == {"username": "the-machine/ada"}
    assert entry["source"]["repoURL"] == REPO


async def test_history_is_cut_to_its_limit(shop):
    shop.ask({"spec": {"revisionHistoryLimit": 2}})
    for number in range(4):
        shop.commit(Piece(kind="ConfigMap", name="config", content=str(number)))
        shop.sync()
        await shop.until_over()
    assert [entry["id"] for entry in shop.app["status"]["history"]] == [2, 3]


async def test_waves_wait_for_the_health_of_those_before(stage):
    stage.commit(
        Piece(kind="Deployment", name="database", wave=-1, passes=2),
        CONFIG,
        Piece(kind="Deployment", name="web", wave=1),
        path="apps/shop",
    )
    stage.put()
    await stage.step()
    stage.sync()
    await stage.step()
    assert stage.results == {"database": ("Synced", "Running")}
    assert stage.state["message"] == "waiting for healthy state of /ConfigMap/config and 1 more resources"
    await stage.step()
    assert stage.state["message"] == "waiting for healthy state of apps/Deployment/database"
    await stage.step()
    assert stage.results["database"] == ("Synced", "Succeeded")
    assert stage.results["config"] == ("Synced", "Running")
    await stage.until_over()
    assert stage.state["phase"] == "Succeeded"
    assert stage.results["web"] == ("Synced", "Running")


async def test_a_wave_that_degrades_fails_the_sync(stage):
    stage.commit(Piece(kind="Deployment", name="database", wave=-1, passes=1, degrades=True), CONFIG)
    stage.put()
    stage.sync()
    await stage.until_over()
    assert stage.state["phase"] == "Failed"
    assert stage.state["message"] == "one or more synchronization tasks completed unsuccessfully"
    assert stage.results == {"database": ("Synced", "Failed")}
    assert 'Deployment "database" exceeded' in stage.state["syncResult"]["resources"][0]["message"]


async def test_hooks_run_before_and_after(stage):
    stage.commit(
        Piece(kind="Job", name="migrate", hook="PreSync", passes=2),
        WEB,
        Piece(kind="Job", name="smoke", hook="PostSync", passes=1),
    )
    stage.put()
    stage.sync()
    await stage.step(2)
    assert stage.state["message"] == "waiting for completion of hook batch/Job/migrate"
    assert stage.results == {"migrate": ("", "Running")}
    await stage.until_over()
    assert stage.state["phase"] == "Succeeded"
    assert stage.results == {
        "migrate": ("", "Succeeded"),
        "web": ("Synced", "Succeeded"),
        "smoke": ("", "Succeeded"),
    }
    hooks = {one["name"]: one.get("hookType") for one in stage.state["syncResult"]["resources"]}
    assert hooks == {"migrate": "PreSync", "web": None, "smoke": "PostSync"}
    assert [one["name"] for one in stage.app["status"]["resources"]] == ["web"]


async def test_a_hook_that_fails_fails_the_sync_after_its_own_hooks(stage):
    stage.commit(
        Piece(kind="Job", name="migrate", hook="PreSync", degrades=True),
        WEB,
        Piece(kind="Job", name="tell", hook="SyncFail", passes=1),
    )
    stage.put()
    stage.sync()
    await stage.until_over()
    assert stage.state["phase"] == "Failed"
    assert stage.results == {"migrate": ("", "Failed"), "tell": ("", "Succeeded")}


async def test_without_hooks_only_the_rest_is_applied(stage):
    stage.commit(Piece(kind="Job", name="migrate", hook="PreSync", degrades=True), WEB)
    stage.put()
    stage.sync(syncStrategy={"apply": {}})
    await stage.until_over()
    assert (stage.state["phase"], stage.results) == ("Succeeded", {"web": ("Synced", "Running")})


async def test_a_selective_sync_touches_what_was_named_and_is_not_remembered(shop):
    shop.sync(resources=[{"group": "apps", "kind": "Deployment", "name": "web"}])
    await shop.until_over()
    assert shop.results == {"web": ("Synced", "Running")}
    assert "history" not in shop.app["status"]
    await shop.step()
    assert shop.summary == ("OutOfSync", "Healthy")


async def test_only_what_is_out_of_sync_is_applied_when_asked(shop):
    shop.sync()
    await shop.until_over()
    shop.commit(CONFIG, Piece(kind="Deployment", name="web", image="shop:2"))
    await shop.step()
    shop.sync(syncOptions=["ApplyOutOfSyncOnly=true"])
    await shop.until_over()
    assert shop.results == {"web": ("Synced", "Running")}


async def test_a_dry_run_changes_nothing(shop):
    shop.sync(dryRun=True)
    await shop.until_over()
    assert (shop.state["phase"], set(shop.results)) == ("Succeeded", {"config", "web"})
    await shop.step()
    assert shop.summary == ("OutOfSync", "Missing")
    assert "history" not in shop.app["status"]


async def test_what_is_not_wanted_any_more_is_pruned_only_when_asked(shop):
    shop.sync()
    await shop.until_over()
    shop.commit(WEB)
    await shop.step()
    (extra,) = [one for one in shop.app["status"]["resources"] if one["status"] == "OutOfSync"]
    assert (extra["name"], extra["requiresPruning"]) == ("config", True)
    shop.sync()
    await shop.until_over()
    assert shop.results == {"web": ("Synced", "Running"), "config": ("PruneSkipped", "Succeeded")}
    shop.sync(prune=True)
    await shop.until_over()
    assert shop.results["config"] == ("Pruned", "Succeeded")
    await shop.step()
    assert shop.summary == ("Synced", "Healthy")


async def test_pruning_can_wait_for_confirmation(stage):
    stage.commit(WEB, Piece(kind="PersistentVolumeClaim", name="data", needs_confirmation=True))
    stage.put()
    stage.sync()
    await stage.until_over()
    stage.commit(WEB)
    await stage.step()
    stage.sync(prune=True)
    await stage.step(3)
    assert stage.state["phase"] == "Running"
    assert stage.state["message"] == "waiting for pruning confirmation of /PersistentVolumeClaim/data"
    approved = timestamp(stage.clock.now() - timedelta(hours=1))
    stage.ask({"metadata": {"annotations": {DELETION_APPROVED: approved}}})
    await stage.step()
    assert stage.state["phase"] == "Running"
    stage.ask({"metadata": {"annotations": {DELETION_APPROVED: timestamp(stage.clock.now())}}})
    await stage.until_over()
    assert stage.results["data"] == ("Pruned", "Succeeded")


async def test_what_can_never_be_applied_fails_in_the_dry_run(stage):
    stage.commit(Piece(kind="Deployment", name="web", refused="admission webhook denied it"), CONFIG)
    stage.put()
    stage.sync()
    await stage.until_over()
    assert stage.state["message"] == "one or more objects failed to apply (dry run)"
    assert stage.results == {"web": ("SyncFailed", "Failed")}


async def test_a_failed_sync_is_tried_again_and_goes_backwards(stage):
    stage.commit(
        Piece(kind="ConfigMap", name="first", wave=-1),
        Piece(kind="Deployment", name="web", refused="quota exceeded", refusals=1),
    )
    stage.put()
    stage.sync(retry={"limit": 2, "backoff": {"duration": "10s"}})
    await stage.step(2)
    assert (stage.state["phase"], stage.state["retryCount"]) == ("Running", 1)
    assert stage.state["finishedAt"]
    assert "reason: quota exceeded. Retrying attempt #1 at 12:00PM." in stage.state["message"]
    assert len(stage.results) == 2
    await stage.step(3)
    assert stage.state["finishedAt"]
    stage.clock.advance(seconds=5)
    await stage.step()
    assert "finishedAt" not in stage.state
    assert stage.results == {"first": ("Synced", "Running")}
    await stage.until_over()
    assert (stage.state["phase"], stage.state["retryCount"]) == ("Succeeded", 1)


async def test_when_all_tries_failed_their_number_is_told(stage):
    refused = Piece(kind="Deployment", name="web", refused="quota exceeded", refusals=9)
    stage.commit(refused)
    stage.put()
    stage.sync(retry={"limit": 1, "backoff": {"duration": "2s"}})
    await stage.until_over()
    assert stage.state["phase"] == "Failed"
    assert stage.state["message"].endswith("reason: quota exceeded (retried 1 times).")


async def test_terminating_deletes_hooks_and_leaves_what_is_applied(stage):
    stage.commit(
        Piece(kind="ConfigMap", name="first", wave=-1),
        Piece(kind="Job", name="migrate", hook="Sync", passes=100),
    )
    stage.put()
    stage.sync()
    await stage.step(3)
    stage.ask({"status": {"operationState": {"phase": "Terminating"}}})
    await stage.step()
    assert (stage.state["phase"], stage.state["message"]) == ("Failed", "Operation terminated")
    assert stage.results["migrate"] == ("", "Failed")
    assert "operation" not in stage.app
    assert len(stage.controller.running(*NAME).resources) == 1


async def test_a_termination_while_waiting_for_a_retry_ends_it(stage):
    stage.commit(Piece(kind="Deployment", name="web", refused="quota exceeded", refusals=9))
    stage.put()
    stage.sync(retry={"limit": 5, "backoff": {"duration": "1h", "maxDuration": "2h"}})
    await stage.step()
    stage.ask({"status": {"operationState": {"phase": "Terminating"}}})
    await stage.step()
    assert (stage.state["phase"], stage.state["message"]) == ("Failed", "Operation terminated")


async def test_a_pass_in_flight_can_write_running_over_a_termination(stage):
    stage.commit(Piece(kind="ConfigMap", name="a", wave=-1), WEB)
    stage.put()
    stage.sync()
    with stage.controller.pass_in_flight(*NAME):
        stage.ask({"status": {"operationState": {"phase": "Terminating"}}})
    assert stage.state["phase"] == "Running"


async def test_a_pass_that_reads_again_notices_a_termination(stage):
    stage.commit(Piece(kind="ConfigMap", name="a", wave=-1), WEB)
    stage.put()
    stage.sync()
    with stage.controller.pass_in_flight(*NAME, reads_again=True):
        stage.ask({"status": {"operationState": {"phase": "Terminating"}}})
    assert (stage.state["phase"], stage.state["message"]) == ("Terminating", "operation is terminating")
    await stage.step()
    assert stage.state["message"] == "Operation terminated"


async def test_a_pass_in_flight_leaves_a_corpse_where_the_operation_was_discarded(stage):
    stage.commit(Piece(kind="ConfigMap", name="a", wave=-1), WEB)
    stage.put()
    stage.sync()
    with stage.controller.pass_in_flight(*NAME):
        stage.ask({"operation": None, "status": {"operationState": None}})
    await stage.step(3)
    assert (stage.state["phase"], "operation" in stage.app) == ("Running", False)
    # The next one resumes the corpse and ends with it: ours never ran.
    stage.sync(info="another", clear=False)
    await stage.until_over()
    assert stage.state["operation"]["info"][0]["value"] == "our-id"


async def test_what_an_older_operation_left_behind_is_read_by_later_passes(stage):
    stage.commit(Piece(kind="ConfigMap", name="first", wave=-1), CONFIG, WEB)
    stage.put()
    stage.sync(prune=True)
    await stage.until_over()
    stage.commit(Piece(kind="ConfigMap", name="first", wave=-1, content="2"), WEB)
    await stage.step()
    stage.sync(clear=False)
    await stage.until_over()
    assert stage.results["config"] == ("Pruned", "Succeeded")


async def test_a_cleared_state_protects_from_what_was_left_behind(stage):
    stage.commit(Piece(kind="ConfigMap", name="first", wave=-1), CONFIG, WEB)
    stage.put()
    stage.sync(prune=True)
    await stage.until_over()
    stage.commit(Piece(kind="ConfigMap", name="first", wave=-1, content="2"), WEB)
    await stage.step()
    stage.sync()
    await stage.until_over()
    assert stage.results["config"] == ("PruneSkipped", "Succeeded")


async def test_a_blocked_sync_waits_and_starts_by_itself(shop):
    shop.cluster.put("AppProject", a_project(windows=[a_window("deny")]))
    shop.sync()
    await shop.step(3)
    assert (shop.state["phase"], shop.state["message"]) == (
        "Running",
        "Sync operation blocked by sync window",
    )
    shop.cluster.patch("AppProject", "argocd", "default", {"spec": {"syncWindows": None}})
    await shop.until_over()
    assert shop.state["phase"] == "Succeeded"


async def test_a_window_that_lets_people_through_blocks_the_first_pass_only(shop):
    shop.cluster.put("AppProject", a_project(windows=[a_window("deny", manual=True)]))
    shop.sync()
    await shop.step()
    assert shop.state["message"] == "Sync operation blocked by sync window"
    await shop.until_over()
    assert shop.state["phase"] == "Succeeded"


async def test_a_blocked_sync_stays_terminating_until_it_is_discarded(shop):
    shop.cluster.put("AppProject", a_project(windows=[a_window("deny")]))
    shop.sync()
    await shop.step()
    shop.ask({"status": {"operationState": {"phase": "Terminating"}}})
    await shop.step(3)
    assert (shop.state["phase"], "operation" in shop.app) == ("Terminating", True)
    shop.ask({"operation": None, "status": {"operationState": None}})
    await shop.step()
    assert "operationState" not in shop.app["status"]


@pytest.mark.parametrize(
    ("windows", "blocked"),
    [
        ([], False),
        ([a_window("deny", "0 22 * * *", "8h")], False),
        ([a_window("deny", "0 10 * * *", "8h")], True),
        ([a_window("allow", "0 22 * * *", "8h")], True),
        ([a_window("allow", "0 10 * * *", "8h")], False),
        ([a_window("allow", "0 10 * * *", "8h"), a_window("deny", "0 11 * * *", "2h")], True),
        ([a_window("deny", "0 10 * * *", "2h")], False),
        ([a_window("deny", "0 13 * * *", "1h", timeZone="Europe/Oslo")], True),
        ([a_window("deny", applications=["other*"])], False),
        ([a_window("deny", applications=["other*"], namespaces=["shop"])], True),
        ([a_window("deny", applications=["other*"], namespaces=["shop"], andOperator=True)], False),
        ([a_window("deny", "nonsense")], True),
    ],
)
async def test_windows_open_and_close(shop, windows, blocked):
    shop.cluster.put("AppProject", a_project(windows=windows))
    shop.sync()
    await shop.step()
    assert ("blocked" in shop.state["message"]) is blocked


async def test_a_skipped_application_is_never_picked_up(shop):
    shop.ask({"metadata": {"annotations": {SKIP_RECONCILE: "true"}}})
    shop.sync()
    await shop.step(3)
    assert "operation" in shop.app
    assert "operationState" not in shop.app["status"]


async def test_an_application_without_a_controller_is_never_picked_up(shop):
    shop.controller.ignored.add(Key(*NAME))
    shop.sync()
    await shop.step(3)
    assert "operationState" not in shop.app["status"]
    shop.controller.ignored.clear()
    await shop.until_over()
    assert shop.state["phase"] == "Succeeded"


async def test_pruning_goes_from_the_last_wave_to_the_first(stage):
    early, late = (
        Piece(kind="Deployment", name=name, wave=wave) for name, wave in (("early", 1), ("late", 2))
    )
    stage.commit(early, late)
    stage.put()
    stage.sync()
    await stage.until_over()
    stage.commit(CONFIG)
    stage.sync(prune=True)
    await stage.step()
    assert stage.results == {"config": ("Synced", "Running")}
    await stage.until_over()
    assert list(stage.results) == ["config", "late", "early"]


async def test_pruning_can_be_last(stage):
    stage.commit(Piece(kind="Deployment", name="old", wave=-5))
    stage.put()
    stage.sync()
    await stage.until_over()
    stage.commit(CONFIG, Piece(kind="Deployment", name="web", wave=3))
    stage.sync(prune=True, syncOptions=["PruneLast=true"])
    await stage.until_over()
    assert list(stage.results) == ["config", "web", "old"]


async def test_a_dry_run_tells_what_would_be_pruned(shop):
    shop.sync()
    await shop.until_over()
    shop.commit(WEB)
    shop.sync(dryRun=True, prune=True)
    await shop.until_over()
    assert shop.results["config"] == ("Pruned", "Succeeded")
    assert len(shop.controller.running(*NAME).resources) == 2


async def test_an_operation_that_does_nothing_is_an_error(shop):
    shop.ask({"operation": {"initiatedBy": {"username": "ada"}}})
    await shop.until_over()
    assert (shop.state["phase"], shop.state["message"]) == (
        "Error",
        "Invalid operation request: no operation specified",
    )


async def test_a_sync_from_a_repository_that_is_away_is_an_error(shop):
    shop.controller.repositories.unreachable.add(REPO)
    shop.sync()
    await shop.until_over()
    assert (shop.state["phase"], "not reachable" in shop.state["message"]) == ("Error", True)


async def test_an_automatic_sync_minds_windows(stage):
    stage.commit(WEB)
    stage.cluster.put("AppProject", a_project(windows=[a_window("deny", timeZone="Nowhere/Land")]))
    stage.put(automated={})
    await stage.step(3)
    assert "operation" not in stage.app
    assert "operationState" not in stage.app["status"]


async def test_an_unknown_revision_is_an_error(shop):
    shop.sync(revision="nobody")
    await shop.until_over()
    assert shop.state["phase"] == "Error"
    assert "unable to resolve 'nobody' to a commit SHA" in shop.state["message"]


async def test_a_revision_that_was_asked_for_is_resolved_and_synced(shop):
    shop.commit(WEB, tag="v2")
    shop.sync(revision=shop.revision[:8])
    await shop.until_over()
    assert shop.state["syncResult"]["revision"] == shop.revision
    await shop.step()
    assert shop.summary == ("OutOfSync", "Healthy")


async def test_a_target_that_is_not_there_is_a_condition(stage):
    stage.commit(WEB)
    stage.put(revision="nobody")
    await stage.step(2)
    (condition,) = stage.app["status"]["conditions"]
    assert condition["type"] == "ComparisonError"
    assert stage.summary == ("Unknown", "Healthy")
    stage.ask({"spec": {"source": {"targetRevision": "main"}}})
    await stage.step()
    assert "conditions" not in stage.app["status"]


@pytest.mark.parametrize("how", ["normal", "hard"])
async def test_a_refresh_is_done_when_its_annotation_is_gone(shop, how):
    shop.controller.refresher.minds_commits = False
    fresh = shop.commit(WEB)
    await shop.step(2)
    assert shop.app["status"]["sync"]["revision"] == shop.revision
    asked = timestamp(shop.clock.now())
    shop.ask({"metadata": {"annotations": {REFRESH: how}}})
    await shop.step()
    assert REFRESH not in shop.app["metadata"].get("annotations", {})
    assert shop.app["status"]["reconciledAt"] >= asked
    assert shop.app["status"]["sync"]["revision"] == fresh


async def test_a_refresh_waits_while_the_repository_is_away(shop):
    shop.controller.repositories.unreachable.add(REPO)
    before = shop.app["status"]["reconciledAt"]
    shop.ask({"metadata": {"annotations": {REFRESH: "normal"}}})
    await shop.step(3)
    assert shop.app["metadata"]["annotations"] == {REFRESH: "normal"}
    assert shop.app["status"]["reconciledAt"] == before
    shop.controller.repositories.unreachable.clear()
    await shop.step()
    assert "annotations" not in shop.app["metadata"] or not shop.app["metadata"]["annotations"]


async def test_drift_and_breakdowns_are_seen(shop):
    shop.sync()
    await shop.until_over()
    await shop.step()
    shop.controller.drift(*NAME, "web")
    await shop.step()
    assert shop.summary == ("OutOfSync", "Healthy")
    shop.controller.break_down(*NAME, "web")
    await shop.step()
    assert shop.summary == ("OutOfSync", "Degraded")
    shop.sync()
    await shop.until_over()
    await shop.step()
    assert shop.summary == ("Synced", "Healthy")


async def test_automatic_syncs_begin_by_themselves_once_a_revision(stage):
    stage.commit(WEB)
    stage.put(automated={})
    await stage.step(2)
    assert stage.state["phase"] == "Succeeded"
    assert stage.state["operation"]["initiatedBy"] == {"automated": True}
    await stage.step()
    stage.controller.drift(*NAME, "web")
    started = stage.state["startedAt"]
    await stage.step(3)
    assert (stage.summary[0], stage.state["startedAt"]) == ("OutOfSync", started)
    stage.ask({"spec": {"syncPolicy": {"automated": {"selfHeal": True}}}})
    await stage.step(3)
    assert stage.summary == ("Synced", "Healthy")


async def test_automatic_syncs_can_be_paused_and_do_not_only_prune(stage):
    stage.commit(WEB, CONFIG)
    stage.put(automated={"enabled": False})
    await stage.step(3)
    assert "operationState" not in stage.app["status"]
    stage.ask({"spec": {"syncPolicy": {"automated": {"enabled": True}}}})
    await stage.step(3)
    stage.commit(WEB)
    started = stage.state["startedAt"]
    await stage.step(3)
    assert (stage.summary[0], stage.state["startedAt"]) == ("OutOfSync", started)


async def test_several_sources_have_several_revisions(stage):
    first = stage.commit(WEB, path="apps/shop")
    second = stage.controller.repositories.commit("https://git.example.org/values.git", "values", [CONFIG])
    stage.put(
        sources=[
            {"repoURL": REPO, "path": "apps/shop", "targetRevision": "main"},
            {"repoURL": "https://git.example.org/values.git", "path": "values", "targetRevision": "main"},
        ]
    )
    await stage.step()
    assert stage.app["status"]["sync"]["revisions"] == [first, second]
    stage.commit(WEB, message="Again")
    stage.sync(revisions=[first, ""])
    await stage.until_over()
    result = stage.state["syncResult"]
    assert result["revisions"] == [first, second]
    assert [source["path"] for source in result["sources"]] == ["apps/shop", "values"]
    assert stage.app["status"]["history"][0]["revisions"] == [first, second]


async def test_a_rollback_leaves_the_application_out_of_sync(shop):
    shop.sync()
    await shop.until_over()
    shop.commit(CONFIG, Piece(kind="Deployment", name="web", image="shop:2"))
    await shop.step()
    shop.sync()
    await shop.until_over()
    entry = shop.app["status"]["history"][0]
    shop.sync(revision=entry["revision"], source=entry["source"], syncStrategy={"apply": {}})
    await shop.until_over()
    await shop.step()
    assert shop.summary == ("OutOfSync", "Healthy")
    assert [one["id"] for one in shop.app["status"]["history"]] == [0, 1, 2]


async def test_a_parent_makes_its_children(stage):
    child = an_application("child", deployed_to="shop")
    stage.commit(Piece(kind="Application", name="child", namespace="argocd", wave=1, application=child))
    stage.put()
    stage.sync()
    await stage.until_over()
    await stage.step()
    made = stage.cluster.get("Application", "argocd", "child")
    tracking = made["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    assert tracking == "shop:argoproj.io/Application:argocd/child"
    (resource,) = stage.app["status"]["resources"]
    assert (resource["kind"], resource["syncWave"]) == ("Application", 1)
    assert stage.app["status"]["summary"]["isAppOfApps"] is True


async def test_a_set_takes_what_its_applications_should_not_carry(stage):
    stage.commit(WEB)
    stage.put(owner="shops", annotations={"team": "shop"})
    annotations = {SET_REFRESH: "true"}
    body = an_application_set("shops", annotations={"team": "shop"})
    body["metadata"]["annotations"] = annotations
    stage.cluster.put("ApplicationSet", body)
    stage.ask({"metadata": {"annotations": {DELETION_APPROVED: "2026-03-11T12:00:00Z"}}})
    await stage.step()
    assert stage.app["metadata"]["annotations"] == {"team": "shop"}
    owner = stage.cluster.get("ApplicationSet", "argocd", "shops")
    assert not owner["metadata"].get("annotations")


async def test_a_deleted_application_is_let_go(shop):
    shop.cluster.delete("Application", *NAME)
    assert "deletionTimestamp" in shop.app["metadata"]
    await shop.step()
    assert shop.cluster.find("Application", *NAME) is None


def test_a_realistic_application_has_the_size_that_was_asked_for():
    body = an_application("shop", padded_to=20_000)
    size = len(json.dumps(body, separators=(",", ":")))
    assert 19_000 <= size <= 21_000


async def test_realistic_applications_fit_the_schema(cluster):
    cluster.put("Application", an_application("big", padded_to=20_000, parent="apps", owner="shops"))
    cluster.put("ApplicationSet", an_application_set("shops", elements=[{"name": "a"}]))
    cluster.put("AppProject", a_project("shop", windows=[a_window("allow", manual=True)]))
