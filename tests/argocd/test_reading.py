import copy
import gc
import json
import random
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.argocd.detail import ApplicationDetail
from bot.argocd.model import (
    Application,
    AutoSync,
    Child,
    Deployed,
    Destination,
    HealthStatus,
    ResourceKey,
    ResultStatus,
    SyncPhase,
    SyncStatus,
    Waiting,
    Workload,
    access_targets,
)
from bot.argocd.reading import read_application, read_detail
from bot.kube.model import ObjectKey
from tests.support.argocd import (
    NOON,
    OLD_SHA,
    SHA,
    a_raw_application,
    a_raw_operation,
    a_raw_resource,
    a_raw_result,
    a_raw_run,
    at,
)


def tracked_by(parent: str, own: str = "argocd/shop") -> dict[str, Any]:
    return {"annotations": {"argocd.argoproj.io/tracking-id": f"{parent}:argoproj.io/Application:{own}"}}


def test_an_application_is_read():
    application = read_application(a_raw_application())
    assert application.key == ObjectKey("argocd", "shop")
    assert application.project == "default"
    assert application.destination == Destination("https://kubernetes.default.svc", "", "shop")
    assert [source.what for source in application.sources] == ["apps/shop"]
    assert (application.sync, application.health) == (SyncStatus.SYNCED, HealthStatus.HEALTHY)
    assert application.revision == SHA
    assert application.health_since == datetime(2026, 3, 11, 11, 0, tzinfo=UTC)
    assert list(application.workloads) == [Workload("Deployment", "shop", "web")]
    assert not application.is_syncing


def test_an_empty_object_is_an_application_of_which_nothing_is_known():
    application = read_application({})
    assert application == Application(key=ObjectKey("", ""), project="", destination=Destination("", "", ""))
    assert isinstance(read_detail({}), ApplicationDetail)


def test_a_list_of_sources_wins_over_a_single_one():
    spec = {
        "sources": [
            {"repoURL": "https://charts.example.org", "chart": "web"},
            {"repoURL": "g", "ref": "values"},
        ]
    }
    status = {"sync": {"status": "Synced", "revision": "x", "revisions": ["1.2.3", SHA]}}
    application = read_application(a_raw_application(spec=spec, status=status))
    assert [source.what for source in application.sources] == ["web", "values"]
    assert application.multi_source
    assert application.revisions == ("1.2.3", SHA)


def test_credentials_in_an_address_are_not_kept():
    spec = {"source": {"repoURL": "https://maya:hunter2@git.example.org/x.git"}}
    raw = a_raw_application(spec=spec)
    assert read_application(raw).sources[0].repository == "https://git.example.org/x.git"
    assert "hunter2" not in repr(read_detail(raw))


def test_a_hydrated_application_shows_what_is_synced():
    spec = {
        "source": None,
        "sourceHydrator": {
            "drySource": {
                "repoURL": "https://git.example.org/dry.git",
                "path": "p",
                "targetRevision": "main",
            },
            "syncSource": {"targetBranch": "env/prod", "path": "out"},
        },
    }
    detail = read_detail(a_raw_application(spec=spec))
    assert detail.hydrated
    (source,) = detail.application.sources
    assert (source.repository, source.path, source.target_revision) == (
        "https://git.example.org/dry.git",
        "out",
        "env/prod",
    )


@pytest.mark.parametrize(
    ("automated", "expected"),
    [
        (None, AutoSync()),
        ({}, AutoSync(enabled=True)),
        ({"enabled": True, "prune": True}, AutoSync(enabled=True, prune=True)),
        ({"enabled": False, "selfHeal": True}, AutoSync(enabled=False, self_heal=True)),
        ({"enabled": None}, AutoSync(enabled=True)),
    ],
)
def test_auto_sync_is_on_where_it_is_present_and_not_disabled(automated: Any, expected: AutoSync):
    raw = a_raw_application(spec={"syncPolicy": {"automated": automated}})
    assert read_application(raw).auto_sync == expected


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ({"kind": "ApplicationSet", "name": "apps", "controller": True}, "apps"),
        ({"kind": "ApplicationSet", "name": "apps"}, ""),
        ({"kind": "Stage", "name": "apps", "controller": True}, ""),
    ],
)
def test_the_application_set_that_controls_it_owns_it(owner: Any, expected: str):
    raw = a_raw_application(metadata={"ownerReferences": [owner]})
    assert read_application(raw).application_set == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (tracked_by("root"), ObjectKey("argocd", "root")),
        (tracked_by("team-a_root"), ObjectKey("team-a", "root")),
        (tracked_by("root", "argocd/another"), None),
        (tracked_by("shop"), None),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "root:apps/Deployment:argocd/shop"}}, None),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "nonsense"}}, None),
        ({"annotations": {"argocd.argoproj.io/tracking-id": 7}}, None),
        ({}, None),
    ],
)
def test_the_parent_is_who_tracks_it(metadata: Any, expected: ObjectKey | None):
    assert read_application(a_raw_application(metadata=metadata)).parent == expected


def test_a_parent_without_a_namespace_lives_beside_argo_cd():
    raw = a_raw_application(
        namespace="team-a",
        metadata=tracked_by("root", "team-a/shop"),
        status={"controllerNamespace": "argocd"},
    )
    assert read_application(raw).parent == ObjectKey("argocd", "root")


def test_children_are_the_applications_among_its_resources():
    resources = [
        a_raw_resource("cilium", kind="Application", namespace="", syncWave=-1),
        a_raw_resource("web", kind="Application", namespace="team-a"),
        a_raw_resource("shop", kind="Application", namespace="argocd"),
        a_raw_resource("web"),
    ]
    application = read_application(a_raw_application(status={"resources": resources}))
    assert application.children == (
        Child(ObjectKey("argocd", "cilium"), -1),
        Child(ObjectKey("team-a", "web"), 0),
    )


def test_sets_of_applications_are_children_of_another_kind():
    resources = [
        a_raw_resource(
            "monitoring", kind="ApplicationSet", group="argoproj.io", namespace="argocd", syncWave=5
        ),
        a_raw_resource("web", kind="Rollout", group="argoproj.io"),
        a_raw_resource("web", kind="ApplicationSet", group="apps"),
    ]
    application = read_application(a_raw_application(status={"resources": resources}))
    assert application.child_sets == (Child(ObjectKey("argocd", "monitoring"), 5),)
    assert application.children == ()


@pytest.mark.parametrize(
    ("written", "wave"), [("-5", -5), ("3", 3), ("", 0), ("x", 0), (None, 0), ("1e3", 0), ("9" * 5000, 0)]
)
def test_the_wave_is_a_whole_number_or_none(written: Any, wave: int):
    raw = a_raw_application(metadata={"annotations": {"argocd.argoproj.io/sync-wave": written}})
    assert read_application(raw).wave == wave


def test_what_is_out_of_sync_is_counted_and_the_first_are_named():
    resources = [
        a_raw_resource(f"web-{index}", status="OutOfSync", requiresPruning=index < 2) for index in range(9)
    ]
    application = read_application(a_raw_application(status={"resources": resources}))
    assert (application.resources, application.out_of_sync, application.to_prune) == (9, 9, 2)
    assert application.out_of_sync_names[0] == "apps/Deployment/web-0"
    assert len(application.out_of_sync_names) == 5


def test_the_last_sync_is_told_in_short_and_ours_is_known():
    run = a_raw_run(
        "Failed",
        operation="op-1",
        message="x" * 900,
        retryCount=2,
        syncResult={"revision": SHA, "resources": []},
    )
    summary = read_application(a_raw_application(status={"operationState": run})).last_sync
    assert summary is not None
    assert (summary.phase, summary.operation, summary.by) == (SyncPhase.FAILED, "op-1", "the-machine/maya")
    assert len(summary.message) == 240
    assert summary.is_over
    assert summary.retry_count == 2


def test_a_success_that_lost_its_result_is_a_success():
    run = a_raw_run("Succeeded", syncResult=None, finishedAt=None)
    detail = read_detail(a_raw_application(status={"operationState": run}))
    assert detail.run is not None
    assert detail.run.phase is SyncPhase.SUCCEEDED
    assert detail.run.results == ()
    assert detail.application.last_sync is not None
    assert detail.application.last_sync.is_over


def test_a_phase_that_nobody_knows_is_not_the_end():
    run = a_raw_run("Pondering")
    detail = read_detail(a_raw_application(status={"operationState": run}))
    assert detail.run is not None
    assert detail.run.phase is SyncPhase.UNKNOWN
    assert detail.application.is_syncing


def test_a_sync_that_was_asked_for_is_seen_with_its_id():
    application = read_application(a_raw_application(operation=a_raw_operation("op-1")))
    assert application.waiting == Waiting("op-1", "the-machine/maya", automated=False)
    assert application.is_syncing


def test_the_detail_has_every_resource_and_result():
    resource = a_raw_resource(
        "old",
        kind="ConfigMap",
        status="OutOfSync",
        requiresPruning=True,
        syncWave=2,
        health={"status": "Healthy"},
    )
    run = a_raw_run(
        syncResult={
            "revision": SHA,
            "resources": [
                a_raw_result("web", status="Synced"),
                a_raw_result(
                    "migrate", kind="Job", hookType="PreSync", hookPhase="Succeeded", syncPhase="PreSync"
                ),
            ],
        },
        operation="op-1",
    )
    detail = read_detail(a_raw_application(status={"resources": [resource], "operationState": run}))
    (state,) = detail.resources
    assert state.key == ResourceKey("", "ConfigMap", "shop", "old")
    assert str(state.key) == "ConfigMap/old"
    assert (state.sync, state.health, state.wave) == (SyncStatus.OUT_OF_SYNC, HealthStatus.HEALTHY, 2)
    assert state.requires_pruning
    assert detail.run is not None
    web, migrate = detail.run.results
    assert (web.status, web.hook_phase) == (ResultStatus.SYNCED, SyncPhase.RUNNING)
    assert (migrate.status, migrate.hook_type, migrate.hook_phase) == (None, "PreSync", SyncPhase.SUCCEEDED)
    assert detail.run.request.operation == "op-1"


def test_the_history_is_newest_first_and_keeps_what_a_rollback_needs():
    source = {"repoURL": "https://maya:hunter2@git.example.org/x.git", "path": "p"}
    history = [
        {"id": 0, "revision": OLD_SHA, "source": source, "deployedAt": at(-100)},
        {"id": 1, "revisions": [SHA, "1.0"], "source": {"repoURL": ""}, "sources": [source, {"chart": "c"}]},
        {"id": 2, "revision": SHA, "deployedAt": at(), "initiatedBy": {"automated": True}},
    ]
    detail = read_detail(a_raw_application(status={"history": history}))
    assert [entry.id for entry in detail.history] == [2, 1, 0]
    without, several, single = detail.history
    assert without.raw_sources == {}
    assert without.automated
    assert several.raw_sources == {"sources": [source, {"chart": "c"}]}
    assert several.is_multi_source
    assert single.raw_sources == {"source": source}
    assert detail.application.deployed == Deployed(2, (SHA,), NOON)


def test_the_policy_that_a_sync_copies_is_read_as_it_stands():
    retry = {"limit": 3, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}}
    policy = {"syncOptions": ["CreateNamespace=true", 7], "retry": retry}
    detail = read_detail(a_raw_application(spec={"syncPolicy": policy}))
    assert detail.sync_options == ("CreateNamespace=true",)
    assert detail.retry == retry


def test_grants_can_name_an_application_in_each_of_its_ways():
    raw = a_raw_application(metadata={"labels": {"team": "shop", "tier": "1"}})
    assert access_targets(read_application(raw)) == (
        "app:argocd/shop",
        "project:default",
        "namespace:shop",
        "label:team=shop",
        "label:tier=1",
    )


def test_the_worst_sorts_last():
    order = [
        read_application(a_raw_application(status={"sync": {"status": sync}, "health": {"status": health}}))
        for sync, health in [
            ("Synced", "Healthy"),
            ("OutOfSync", "Healthy"),
            ("Synced", "Progressing"),
            ("OutOfSync", "Degraded"),
            ("Unknown", "Unknown"),
        ]
    ]
    backwards = order[::-1]
    assert sorted(backwards, key=lambda application: application.badness) == order


def test_what_is_equal_but_for_its_version_is_equal():
    raw = a_raw_application()
    later = a_raw_application(metadata={"resourceVersion": "4712"})
    assert read_application(raw) == read_application(later)


# What anybody may have written where an Application is expected.

KEYS = st.sampled_from(
    sorted(
        {
            *(
                "metadata",
                "spec",
                "status",
                "operation",
                "operationState",
                "syncResult",
                "resources",
                "sync",
                "health",
            ),
            *(
                "name",
                "namespace",
                "labels",
                "annotations",
                "ownerReferences",
                "project",
                "source",
                "sources",
                "phase",
            ),
            *(
                "destination",
                "server",
                "status",
                "revision",
                "revisions",
                "history",
                "conditions",
                "info",
                "kind",
            ),
            *(
                "group",
                "syncWave",
                "hookPhase",
                "syncPolicy",
                "automated",
                "retry",
                "summary",
                "images",
                "message",
            ),
            *(
                "initiatedBy",
                "repoURL",
                "reconciledAt",
                "lastTransitionTime",
                "sourceHydrator",
                "syncStrategy",
            ),
            *("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/sync-wave", "argocd.argoproj.io/refresh"),
        }
    )
)
WORDS = st.sampled_from(
    [
        "",
        "Synced",
        "Running",
        "Healthy",
        "Application",
        "argoproj.io",
        "apps",
        "Deployment",
        at(),
        "hard",
        "a_b:c",
        "0001-01-01T00:00:00+23:00",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*here, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*here, index))
    return found


FULL = a_raw_application(
    metadata={"labels": {"a": "b"}, **tracked_by("root"), "ownerReferences": [{"kind": "ApplicationSet"}]},
    spec={
        "sources": [{"repoURL": "g"}],
        "syncPolicy": {"automated": {}, "retry": {"limit": 1}, "syncOptions": ["a"]},
    },
    status={
        "operationState": a_raw_run(
            operation="op", syncResult={"revisions": ["a"], "resources": [a_raw_result(images=["i"])]}
        ),
        "resources": [
            a_raw_resource(),
            a_raw_resource("x", kind="Application"),
            a_raw_resource(status="OutOfSync"),
        ],
        "history": [{"id": 1, "source": {"repoURL": "g"}, "initiatedBy": {"username": "u"}}],
        "conditions": [{"type": "SyncError", "message": "m", "lastTransitionTime": at()}],
        "summary": {"images": ["a:1"], "externalURLs": ["https://a"]},
    },
    operation=a_raw_operation("op", resources=[{"kind": "x"}], syncOptions=["a"]),
)
PATHS = paths(FULL)


@settings(max_examples=300, deadline=None)
@given(places=st.lists(st.tuples(st.sampled_from(PATHS), ANYTHING), min_size=1, max_size=4))
def test_whatever_stands_in_a_field_there_is_a_value(places: list[tuple[tuple[Any, ...], Any]]):
    raw = copy.deepcopy(FULL)
    for path, odd in places:
        inner: Any = raw
        for step in path[:-1]:
            try:
                inner = inner[step]
            except (KeyError, IndexError, TypeError):
                inner = None
                break
        if isinstance(inner, dict) or (
            isinstance(inner, list) and isinstance(path[-1], int) and path[-1] < len(inner)
        ):
            inner[path[-1]] = odd
    detail = read_detail(raw)
    list(detail.application.workloads)
    repr(detail)
    hash(detail.application)


@settings(deadline=None)
@given(raw=st.dictionaries(KEYS, ANYTHING, max_size=5))
def test_whatever_object_comes_there_is_a_value(raw: dict[str, Any]):
    assert isinstance(read_detail(raw).application, Application)


def a_varied_application(index: int, dice: random.Random) -> dict[str, Any]:
    """Return an Application such as a platform with thousands has: most of it is never the same twice."""
    name = f"{dice.choice(('checkout', 'billing', 'search', 'mail'))}-{index:05d}"
    sha = f"{dice.getrandbits(160):040x}"
    resources = [
        a_raw_resource(f"{name}-{kind.lower()}-{number}", kind=kind, namespace=f"team-{index % 300}")
        for number in range(dice.randint(1, 4))
        for kind in (
            "Deployment",
            "Service",
            "ConfigMap",
            "ServiceAccount",
            "StatefulSet",
            "HTTPRoute",
            "CronJob",
        )
    ]
    if index % 5 == 0:
        resources = [each | {"status": "OutOfSync"} for each in resources]
    run = a_raw_run(
        "Succeeded" if index % 9 else "Failed",
        message="successfully synced (all tasks run)"
        if index % 9
        else f"one or more objects failed {sha}" * 8,
        syncResult={"revision": sha, "resources": []},
    )
    return a_raw_application(
        name,
        metadata={
            "resourceVersion": str(10_000_000 + index),
            "labels": {
                "team": f"team-{index % 300}",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": "platform",
                "environment": dice.choice(("prod", "stage", "dev")),
            },
            **tracked_by(f"root-{index % 40}", f"argocd/{name}"),
            "ownerReferences": [{"kind": "ApplicationSet", "name": f"set-{index % 60}", "controller": True}],
        },
        spec={"project": f"project-{index % 80}", "syncPolicy": {"automated": {"prune": bool(index % 2)}}},
        status={
            "sync": {"status": "OutOfSync" if index % 5 == 0 else "Synced", "revision": sha},
            "health": {
                "status": "Degraded" if index % 50 == 0 else "Healthy",
                "lastTransitionTime": at(-index),
            },
            "reconciledAt": at(index),
            "resources": resources,
            "operationState": run,
            "history": [{"id": 7, "revision": sha, "deployedAt": at(-index)}],
            "conditions": [
                {"type": "SyncError", "message": f"failed {sha} " * 20, "lastTransitionTime": at()}
            ]
            if index % 9 == 0
            else [],
            "summary": {
                "images": [f"registry.example.org/{name}/{part}:{sha[:12]}" for part in ("web", "job", "api")]
            },
        },
    )


def test_thousands_of_applications_cost_less_than_three_kibibytes_each():
    count = 5_000
    dice = random.Random(7)
    written = [json.dumps(a_varied_application(index, dice)) for index in range(count)]
    gc.collect()
    tracemalloc.start()
    try:
        kept = [read_application(json.loads(text)) for text in written]
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{used / count:.0f} bytes for each of {len(kept)} Applications")
    assert used / count < 3 * 1024


def test_what_ran_before_is_kept_short_and_newest_first():
    history = [
        {"id": 3, "revision": "a" * 40, "deployedAt": "2026-03-11T12:00:00Z"},
        {"id": 4, "revisions": ["", "odd /revision"]},
        {"id": 5, "revision": "c" * 40, "deployedAt": "2026-03-11T13:00:00Z"},
    ]
    application = read_application(a_raw_application(status={"history": history}))
    assert [(each.id, each.revision, each.at) for each in application.earlier] == [
        (4, "odd__revisio", None),
        (3, "a" * 12, datetime(2026, 3, 11, 12, tzinfo=UTC)),
    ]
