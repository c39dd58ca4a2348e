from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.argocd.detail import ApplicationDetail
from bot.argocd.model import ResourceKey
from bot.argocd.patches import SyncOrder
from bot.argocd.preconditions import (
    Refusal,
    Refused,
    confirm_refusal,
    discard_refusal,
    read_revisions,
    refresh_refusal,
    refresh_set_refusal,
    rollback_refusal,
    sync_refusal,
    terminate_refusal,
)
from bot.argocd.reading import read_application, read_detail
from bot.argocd.sets import ApplicationSet
from bot.argocd.windows import WindowDecision, WindowReason
from bot.core.errors import ConflictError, InvalidError, NotFoundError
from bot.kube.model import ObjectKey
from tests.support.argocd import (
    NOON,
    OLD_SHA,
    SHA,
    a_raw_application,
    a_raw_operation,
    a_raw_resource,
    a_raw_run,
)

OPEN = WindowDecision(WindowReason.NO_WINDOW)
AUTO = {"syncPolicy": {"automated": {}}}
SOURCES = {"sources": [{"repoURL": "g", "targetRevision": "main"}, {"repoURL": "c", "chart": "web"}]}
BLOCKED = a_raw_run(message="Sync operation blocked by sync window")


def detail(**fields: Any) -> ApplicationDetail:
    return read_detail(a_raw_application(**fields))


def with_run(run: dict[str, Any], *, asked: bool = True) -> ApplicationDetail:
    return detail(status={"operationState": run}, operation=a_raw_operation("op") if asked else None)


def sync_reason(found: ApplicationDetail, window: WindowDecision = OPEN, **order: Any) -> Refusal | None:
    refused = sync_refusal(found, SyncOrder(operation="op-1", by="maya", **order), window=window)
    return refused.reason if refused else None


def test_an_application_at_rest_can_be_synced():
    assert sync_reason(detail()) is None
    assert sync_reason(with_run(a_raw_run("Failed"), asked=False)) is None
    assert sync_reason(detail(spec=AUTO)) is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (detail(metadata={"deletionTimestamp": "2026-03-11T12:00:00Z"}), Refusal.DELETING),
        (
            detail(metadata={"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}),
            Refusal.SKIPS_RECONCILE,
        ),
        (detail(operation=a_raw_operation()), Refusal.ASKED_FOR_ALREADY),
        (with_run(a_raw_run()), Refusal.RUNNING_ALREADY),
        (with_run(a_raw_run("Terminating")), Refusal.RUNNING_ALREADY),
        (with_run(a_raw_run(), asked=False), Refusal.ORPHANED),
        (with_run(a_raw_run("Succeeded")), Refusal.ASKED_FOR_ALREADY),
        (detail(status={"reconciledAt": None}), Refusal.NOT_LOOKED_AFTER),
        (
            detail(status={"conditions": [{"type": "ComparisonError", "message": "x"}]}),
            Refusal.CANNOT_COMPARE,
        ),
        (
            detail(status={"conditions": [{"type": "InvalidSpecError", "message": "x"}]}),
            Refusal.INVALID_SPECIFICATION,
        ),
        (detail(status={"conditions": [{"type": "SyncError", "message": "x"}]}), None),
        (detail(status={"conditions": [{"type": "OrphanedResourceWarning", "message": "x"}]}), None),
    ],
)
def test_what_would_come_to_nothing_is_refused(found: ApplicationDetail, reason: Refusal | None):
    assert sync_reason(found) is reason


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (WindowReason.DENIED, Refusal.WINDOW_DENIES),
        (WindowReason.OUTSIDE, Refusal.WINDOW_NOT_OPEN),
        (WindowReason.UNREADABLE, Refusal.WINDOW_UNREADABLE),
        (WindowReason.MANUAL_THOUGH_DENIED, None),
        (WindowReason.MANUAL_OUTSIDE, None),
        (WindowReason.ALLOWED, None),
        (WindowReason.NOT_DENIED, None),
        (WindowReason.OVERRUN, None),
    ],
)
def test_a_window_that_is_closed_refuses(window: WindowReason, reason: Refusal | None):
    assert sync_reason(detail(), WindowDecision(window)) is reason


def test_a_closed_window_says_when_to_ask_again():
    later = NOON + timedelta(hours=3)
    order = SyncOrder(operation="op-1", by="maya")
    refused = sync_refusal(detail(), order, window=WindowDecision(WindowReason.DENIED), opens_at=later)
    assert refused == Refused(reason=Refusal.WINDOW_DENIES, until=later)


@pytest.mark.parametrize(
    ("spec", "order", "reason"),
    [
        ({}, {"revisions": (OLD_SHA,)}, None),
        (AUTO, {"revisions": (OLD_SHA,)}, Refusal.OTHER_REVISION),
        (AUTO, {"revisions": (OLD_SHA,), "dry_run": True}, None),
        (AUTO, {"revisions": ("main",)}, None),
        (AUTO, {"revisions": ("",)}, None),
        (SOURCES, {"revisions": (SHA,)}, Refusal.REVISIONS_DO_NOT_FIT),
        (SOURCES, {"revisions": (SHA, "1.4.2")}, None),
        (SOURCES | AUTO, {"revisions": ("main", "1.4.2")}, Refusal.OTHER_REVISION),
        (SOURCES | AUTO, {"revisions": ("main", "")}, None),
        (SOURCES | AUTO, {"revisions": ("", "HEAD")}, None),
        ({}, {"revisions": ("main", "x")}, Refusal.REVISIONS_DO_NOT_FIT),
        ({}, {"revisions": ("--upload-pack=x",)}, Refusal.ODD_REVISION),
        ({}, {"revisions": ("a\nb",)}, Refusal.ODD_REVISION),
        ({}, {"revisions": ("x" * 251,)}, Refusal.ODD_REVISION),
        ({}, {"revisions": (">=1.0 <2",)}, None),
    ],
)
def test_revisions_must_fit_the_application(spec: Any, order: Any, reason: Refusal | None):
    assert sync_reason(detail(spec=spec), **order) is reason


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (ResourceKey("apps", "Deployment", "shop", "web"), None),
        (ResourceKey("apps", "Deployment", "", "web"), None),
        (ResourceKey("apps", "Deployment", "mail", "web"), Refusal.UNKNOWN_RESOURCE),
        (ResourceKey("batch", "Job", "shop", "migrate"), Refusal.UNKNOWN_RESOURCE),
    ],
)
def test_only_its_own_resources_can_be_chosen(key: ResourceKey, reason: Refusal | None):
    resources = [a_raw_resource(), a_raw_resource("migrate", kind="Job", group="batch", hook=True)]
    assert sync_reason(detail(status={"resources": resources}), selected=(key,)) is reason


@pytest.mark.parametrize(
    ("spec", "typed", "expected"),
    [
        ({}, " main ", ("main",)),
        ({}, "", ()),
        ({}, "a,b", ("a,b",)),
        (SOURCES, ", 1.4.2", ("", "1.4.2")),
        (SOURCES, " ", ()),
    ],
)
def test_revisions_are_typed_one_for_each_source(spec: Any, typed: str, expected: tuple[str, ...]):
    assert read_revisions(read_application(a_raw_application(spec=spec)), typed) == expected


HISTORY = [{"id": 1, "revision": OLD_SHA, "source": {"repoURL": "g"}}, {"id": 2, "revision": SHA}]


@pytest.mark.parametrize(
    ("spec", "entry", "reason"),
    [
        ({}, 1, None),
        ({}, 2, Refusal.ENTRY_WITHOUT_SOURCE),
        ({}, 3, Refusal.UNKNOWN_ENTRY),
        (AUTO, 1, Refusal.AUTO_SYNC_ON),
        ({"syncPolicy": {"automated": {"enabled": False}}}, 1, None),
        ({"sourceHydrator": {"drySource": {}}}, 2, None),
    ],
)
def test_a_rollback_needs_an_entry_that_nothing_undoes(spec: Any, entry: int, reason: Refusal | None):
    refused = rollback_refusal(detail(spec=spec, status={"history": HISTORY}), entry, window=OPEN)
    assert (refused.reason if refused else None) is reason


def test_auto_sync_that_a_set_writes_is_switched_off_there():
    owner = {"ownerReferences": [{"kind": "ApplicationSet", "name": "apps", "controller": True}]}
    refused = rollback_refusal(detail(spec=AUTO, metadata=owner, status={"history": HISTORY}), 1, window=OPEN)
    assert refused is not None
    assert refused.reason is Refusal.AUTO_SYNC_ON_BY_SET


@pytest.mark.parametrize(
    ("found", "terminate", "discard"),
    [
        (detail(), Refusal.NOTHING_RUNS, Refusal.NOTHING_RUNS),
        (with_run(a_raw_run("Failed"), asked=False), Refusal.NOTHING_RUNS, Refusal.NOTHING_RUNS),
        (detail(operation=a_raw_operation()), Refusal.NOT_BEGUN, None),
        (with_run(a_raw_run()), None, Refusal.CAN_TERMINATE),
        (with_run(a_raw_run("Terminating")), Refusal.TERMINATING_ALREADY, Refusal.TERMINATING_ALREADY),
        (with_run(BLOCKED), Refusal.BLOCKED_BY_WINDOW, None),
        (with_run(BLOCKED | {"phase": "Terminating"}), Refusal.BLOCKED_BY_WINDOW, None),
        (with_run(a_raw_run(), asked=False), Refusal.ORPHANED, None),
    ],
)
def test_a_sync_is_stopped_or_discarded_never_both(
    found: ApplicationDetail, terminate: Refusal | None, discard: Refusal | None
):
    stopping, taking_away = terminate_refusal(found), discard_refusal(found)
    assert (stopping.reason if stopping else None) is terminate
    assert (taking_away.reason if taking_away else None) is discard


def test_only_a_deletion_that_waits_is_confirmed():
    waiting = a_raw_run(message="waiting for pruning confirmation of /PersistentVolumeClaim/data")
    assert confirm_refusal(with_run(waiting)) is None
    for found in (detail(), with_run(a_raw_run()), with_run(waiting | {"phase": "Failed"})):
        refused = confirm_refusal(found)
        assert refused is not None
        assert refused.reason is Refusal.NOTHING_TO_CONFIRM


def test_what_is_left_alone_is_not_refreshed():
    assert refresh_refusal(detail()) is None
    refused = refresh_refusal(detail(metadata={"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}))
    assert refused is not None
    assert refused.reason is Refusal.SKIPS_RECONCILE


def test_a_set_that_is_being_deleted_is_not_refreshed():
    key = ObjectKey("argocd", "apps")
    assert refresh_set_refusal(ApplicationSet(key=key)) is None
    assert refresh_set_refusal(ApplicationSet(key=key, deleting=True)) == Refused(reason=Refusal.SET_DELETING)


def test_who_is_in_the_way_is_named_apart_from_the_text():
    refused = sync_refusal(with_run(a_raw_run()), SyncOrder(operation="op-1", by="x"), window=OPEN)
    assert refused is not None
    assert refused.by == "the-machine/maya"
    assert "maya" not in refused.text


@pytest.mark.parametrize("reason", list(Refusal))
def test_each_refusal_is_a_sentence_of_its_own(reason: Refusal):
    text = Refused(reason=reason).text
    assert text.endswith(".")
    assert [other for other in Refusal if Refused(reason=other).text == text] == [reason]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Refusal.RUNNING_ALREADY, ConflictError),
        (Refusal.UNKNOWN_ENTRY, NotFoundError),
        (Refusal.WINDOW_DENIES, InvalidError),
    ],
)
def test_a_refusal_is_raised_as_what_the_asker_can_change(reason: Refusal, kind: Callable[[str], Exception]):
    error = Refused(reason=reason).error("More is known.")
    assert type(error) is kind
    assert str(error).endswith(" More is known.")
