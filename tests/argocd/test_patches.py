from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.argocd.model import ResourceKey
from bot.argocd.patches import (
    Order,
    SyncOrder,
    confirm_pruning_patch,
    discard_patch,
    refresh_patch,
    refresh_set_patch,
    rollback_patch,
    sync_patch,
    terminate_patch,
)
from bot.argocd.reading import read_detail
from bot.demo.cluster.kinds import APPLICATION, APPLICATION_SET, Kind
from bot.demo.cluster.patches import merge
from tests.support.argocd import NOON, OLD_SHA, SHA, a_raw_application, a_raw_operation, a_raw_run, at
from tests.support.crds import crd_schemas

SOURCE = {"repoURL": "https://git.example.org/platform.git", "path": "apps/shop", "targetRevision": "main"}
CHART = {
    "repoURL": "https://charts.example.org",
    "chart": "web",
    "targetRevision": "1.2.3",
    "helm": {"values": "a: 1"},
}
RETRY = {"limit": 3, "refresh": True, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}}
POLICY = {
    "automated": {"prune": True},
    "syncOptions": ["CreateNamespace=true", "PruneLast=true"],
    "retry": RETRY,
}
HISTORY = [
    {"id": 1, "revision": OLD_SHA, "source": SOURCE, "deployedAt": at(-100)},
    {
        "id": 2,
        "revisions": [OLD_SHA, "1.2.3"],
        "source": {"repoURL": ""},
        "sources": [SOURCE, CHART],
        "deployedAt": at(),
    },
]
RAW = a_raw_application(
    spec={"syncPolicy": POLICY}, status={"history": HISTORY, "operationState": a_raw_run("Failed")}
)
SEVERAL = a_raw_application(spec={"source": None, "sources": [SOURCE, CHART]})
ORDER = SyncOrder(operation="op-1", by="maya", reason="the fix is merged")


def fits(raw: dict[str, Any], patch: dict[str, Any], kind: Kind = APPLICATION) -> dict[str, Any]:
    """Return the patched object, which has the form that the resource's definition demands."""
    result: dict[str, Any] = merge(merge({}, raw), patch)
    schemas = crd_schemas()
    if schemas is not None:
        assert not schemas.problems(kind, result)
    return result


def test_a_sync_copies_what_the_controller_does_not_look_up():
    patch = sync_patch(read_detail(RAW), ORDER)
    assert patch == {
        "metadata": {"resourceVersion": "4711"},
        "operation": {
            "initiatedBy": {"username": "the-machine/maya"},
            "info": [
                {"name": "the-machine/id", "value": "op-1"},
                {"name": "Reason", "value": "the fix is merged"},
            ],
            "sync": {
                "prune": False,
                "dryRun": False,
                "syncStrategy": {"hook": {}},
                "syncOptions": ["CreateNamespace=true", "PruneLast=true"],
            },
            "retry": RETRY,
        },
        "status": {"operationState": None},
    }
    assert "operationState" not in fits(RAW, patch)["status"]


def test_a_person_is_never_a_machine():
    assert "automated" not in sync_patch(read_detail(RAW), ORDER)["operation"]["initiatedBy"]


def test_a_sync_to_a_revision_goes_there_on_each_try():
    patch = sync_patch(read_detail(RAW), SyncOrder(operation="op-1", by="maya", revisions=(SHA,)))
    assert patch["operation"]["retry"] == {name: RETRY[name] for name in ("limit", "backoff")}
    fits(RAW, patch)


def test_a_sync_of_little_asks_for_little():
    patch = sync_patch(read_detail(a_raw_application()), SyncOrder(operation="op-1", by="maya", prune=True))
    assert patch["operation"]["sync"] == {"prune": True, "dryRun": False, "syncStrategy": {"hook": {}}}
    assert patch["operation"]["info"] == [{"name": "the-machine/id", "value": "op-1"}]
    assert "retry" not in patch["operation"]
    fits(a_raw_application(), patch)


@pytest.mark.parametrize(
    ("raw", "revisions", "expected"),
    [
        (RAW, (SHA,), {"revision": SHA}),
        (RAW, (), {}),
        (RAW, ("",), {}),
        (SEVERAL, (SHA, ""), {"revisions": [SHA, ""]}),
        (SEVERAL, ("", ""), {}),
    ],
)
def test_revisions_are_given_as_the_application_has_sources(
    raw: dict[str, Any], revisions: tuple[str, ...], expected: dict[str, Any]
):
    order = SyncOrder(operation="op-1", by="maya", revisions=revisions)
    patch = sync_patch(read_detail(raw), order)
    sync = patch["operation"]["sync"]
    assert {name: sync[name] for name in ("revision", "revisions") if name in sync} == expected
    fits(raw, patch)


def test_selected_resources_are_named_without_what_they_do_not_have():
    order = SyncOrder(
        operation="op-1",
        by="maya",
        selected=(ResourceKey("apps", "Deployment", "shop", "web"), ResourceKey("", "Namespace", "", "shop")),
    )
    patch = sync_patch(read_detail(RAW), order)
    assert patch["operation"]["sync"]["resources"] == [
        {"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web"},
        {"kind": "Namespace", "name": "shop"},
    ]
    fits(RAW, patch)


def test_a_rollback_deploys_an_entry_without_hooks_and_without_retries():
    detail = read_detail(RAW)
    entry = next(each for each in detail.history if each.id == 1)
    patch = rollback_patch(detail, entry, Order(operation="op-1", by="maya"))
    assert patch["operation"]["sync"] == {
        "revision": OLD_SHA,
        "source": SOURCE,
        "prune": False,
        "dryRun": False,
        "syncStrategy": {"apply": {}},
        "syncOptions": ["CreateNamespace=true", "PruneLast=true"],
    }
    assert "retry" not in patch["operation"]
    fits(RAW, patch)


def test_a_rollback_to_several_sources_names_no_single_one():
    detail = read_detail(RAW)
    entry = next(each for each in detail.history if each.id == 2)
    patch = rollback_patch(detail, entry, Order(operation="op-1", by="maya"))
    sync = patch["operation"]["sync"]
    assert (sync["revisions"], sync["sources"]) == ([OLD_SHA, "1.2.3"], [SOURCE, CHART])
    assert not {"revision", "source"} & sync.keys()
    fits(RAW, patch)


def test_a_rollback_of_a_hydrated_application_names_no_source():
    spec = {
        "sourceHydrator": {"drySource": SOURCE, "syncSource": {"targetBranch": "env/prod", "path": "shop"}}
    }
    raw = a_raw_application(spec=spec, status={"history": HISTORY[:1]})
    detail = read_detail(raw)
    patch = rollback_patch(detail, detail.history[0], Order(operation="op-1", by="maya"))
    assert patch["operation"]["sync"]["revision"] == OLD_SHA
    assert "source" not in patch["operation"]["sync"]


def test_a_termination_changes_the_phase_only():
    raw = a_raw_application(status={"operationState": a_raw_run()}, operation=a_raw_operation("op-1"))
    patch = terminate_patch(read_detail(raw))
    assert patch == {
        "metadata": {"resourceVersion": "4711"},
        "status": {"operationState": {"phase": "Terminating"}},
    }
    assert fits(raw, patch)["status"]["operationState"]["startedAt"] == at()


def test_discarding_takes_both_away():
    raw = a_raw_application(status={"operationState": a_raw_run()}, operation=a_raw_operation("op-1"))
    left = fits(raw, discard_patch(read_detail(raw)))
    assert "operation" not in left
    assert "operationState" not in left["status"]


@pytest.mark.parametrize(("hard", "value"), [(True, "hard"), (False, "normal")])
def test_a_refresh_is_asked_for_by_an_annotation(hard: bool, value: str):
    left = fits(RAW, refresh_patch(hard=hard))
    assert left["metadata"]["annotations"] == {"argocd.argoproj.io/refresh": value}


@pytest.mark.parametrize(("seconds", "written"), [(40, at(40)), (-40, at())])
def test_a_confirmation_is_not_older_than_the_sync(seconds: float, written: str):
    raw = a_raw_application(status={"operationState": a_raw_run()})
    patch = confirm_pruning_patch(read_detail(raw), now=NOON + timedelta(seconds=seconds))
    assert fits(raw, patch)["metadata"]["annotations"] == {"argocd.argoproj.io/deletion-approved": written}
    # Another sync may have taken the place of the one whose deletions somebody saw.
    assert patch["metadata"]["resourceVersion"] == raw["metadata"]["resourceVersion"]


def test_an_application_set_is_refreshed_by_an_annotation_of_its_own():
    raw = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "apps", "namespace": "argocd"},
        "spec": {
            "generators": [{"list": {"elements": [{"name": "shop"}]}}],
            "template": {"metadata": {"name": "{{name}}"}, "spec": RAW["spec"] | {"syncPolicy": {}}},
        },
    }
    left = fits(raw, refresh_set_patch(), APPLICATION_SET)
    assert left["metadata"]["annotations"] == {"argocd.argoproj.io/application-set-refresh": "true"}


SYNC_FIELDS = {"revision", "revisions", "prune", "dryRun", "syncStrategy", "syncOptions", "resources"}
TEXT = st.text(max_size=12)


@settings(deadline=None)
@given(
    order=st.builds(
        SyncOrder,
        operation=TEXT,
        by=TEXT,
        reason=TEXT,
        prune=st.booleans(),
        dry_run=st.booleans(),
        revisions=st.lists(TEXT, max_size=3).map(tuple),
        selected=st.lists(st.builds(ResourceKey, TEXT, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    ),
    policy=st.dictionaries(
        st.sampled_from(["retry", "syncOptions"]), st.dictionaries(TEXT, TEXT) | st.lists(TEXT)
    ),
)
def test_whatever_is_asked_for_only_known_fields_are_sent(order: SyncOrder, policy: dict[str, Any]):
    operation = sync_patch(read_detail(a_raw_application(spec={"syncPolicy": policy})), order)["operation"]
    assert operation.keys() <= {"initiatedBy", "info", "sync", "retry"}
    assert operation["sync"].keys() <= SYNC_FIELDS
    assert operation.get("retry", {}).keys() <= {"limit", "backoff", "refresh"}
    assert operation["initiatedBy"].keys() == {"username"}
