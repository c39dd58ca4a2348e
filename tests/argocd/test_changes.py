from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.argocd.changes import Happened, Initiator, initiator_of, what_happened
from bot.argocd.model import Application, SyncPhase, SyncSummary
from bot.argocd.reading import read_application
from tests.support.argocd import OLD_SHA, SHA, a_raw_application, a_raw_run, at


def app(
    *, spec: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **status: Any
) -> Application:
    return read_application(a_raw_application(spec=spec, metadata=metadata, status=status))


def synced(phase: str, **more: Any) -> Application:
    return app(operationState=a_raw_run(phase, **more))


def compared(status: str, revision: str = SHA) -> Application:
    return app(sync={"status": status, "revision": revision})


def healthy(status: str) -> Application:
    return app(health={"status": status})


def deployed(entry: int, revision: str = SHA) -> Application:
    return app(history=[{"id": entry, "revision": revision}])


def complaining(*types: str) -> Application:
    return app(conditions=[{"type": each, "message": "m"} for each in types])


AUTO = {"syncPolicy": {"automated": {}}}


@pytest.mark.parametrize(
    ("old", "new", "happened"),
    [
        (None, None, []),
        (None, app(), [Happened.CREATED]),
        (app(), None, [Happened.DELETED]),
        (app(), app(metadata={"deletionTimestamp": at()}), [Happened.DELETING]),
        (app(), app(), []),
        (app(), app(reconciledAt=at(60)), []),
        # Syncs.
        (app(), synced("Running"), [Happened.SYNC_STARTED]),
        (synced("Running"), synced("Running", message="waiting"), []),
        (synced("Running"), synced("Running", retryCount=1), [Happened.SYNC_RETRIED]),
        (synced("Running"), synced("Succeeded"), [Happened.SYNC_SUCCEEDED]),
        (synced("Running"), synced("Failed"), [Happened.SYNC_FAILED]),
        (synced("Running"), synced("Error"), [Happened.SYNC_FAILED]),
        (synced("Terminating"), synced("Failed", message="Operation terminated"), [Happened.SYNC_TERMINATED]),
        (synced("Failed"), synced("Succeeded", startedAt=at(60)), [Happened.SYNC_SUCCEEDED]),
        (synced("Failed"), synced("Failed", startedAt=at(60)), [Happened.SYNC_FAILED]),
        (synced("Failed"), synced("Failed", operation="op"), [Happened.SYNC_FAILED]),
        (synced("Succeeded"), synced("Running", startedAt=at(60)), [Happened.SYNC_STARTED]),
        (synced("Succeeded"), synced("Succeeded"), []),
        (synced("Succeeded"), app(), []),
        # Revisions.
        (deployed(1), deployed(2, OLD_SHA), [Happened.DEPLOYED]),
        (deployed(1), deployed(2), []),
        (deployed(2), deployed(1, OLD_SHA), []),
        (app(), deployed(0), [Happened.DEPLOYED]),
        (deployed(1), app(), []),
        # Comparisons.
        (compared("Synced"), compared("OutOfSync"), [Happened.DRIFTED]),
        (compared("Synced", OLD_SHA), compared("OutOfSync"), [Happened.OUT_OF_DATE]),
        (compared("Synced"), compared("Unknown"), []),
        (compared("Unknown"), compared("OutOfSync"), []),
        (compared("OutOfSync"), compared("Synced"), [Happened.IN_SYNC]),
        # Health.
        (healthy("Healthy"), healthy("Degraded"), [Happened.DEGRADED]),
        (healthy("Progressing"), healthy("Degraded"), [Happened.DEGRADED]),
        (healthy("Healthy"), healthy("Progressing"), []),
        (healthy("Progressing"), healthy("Healthy"), [Happened.HEALTHY]),
        (healthy("Healthy"), healthy("Missing"), [Happened.MISSING]),
        # Complaints.
        (app(), complaining("SyncError"), [Happened.ERROR_APPEARED]),
        (complaining("SyncError"), complaining("SyncError", "ComparisonError"), [Happened.ERROR_APPEARED]),
        (complaining("SyncError", "ComparisonError"), complaining("SyncError"), []),
        (complaining("SyncError"), app(), [Happened.ERRORS_GONE]),
        (app(), complaining("OrphanedResourceWarning"), []),
        # Policy.
        (app(), app(spec=AUTO), [Happened.AUTO_SYNC_ON]),
        (app(spec=AUTO), app(), [Happened.AUTO_SYNC_OFF]),
    ],
)
def test_what_happened_between_two_looks(
    old: Application | None, new: Application | None, happened: list[Happened]
):
    assert list(what_happened(old, new)) == happened


def test_a_dry_run_is_not_mentioned():
    run = a_raw_run("Succeeded")
    run["operation"]["sync"]["dryRun"] = True
    assert what_happened(app(), app(operationState=run)) == ()


def test_causes_come_before_effects():
    old = app(
        operationState=a_raw_run("Running"),
        health={"status": "Healthy"},
        history=[{"id": 1, "revision": OLD_SHA}],
    )
    new = app(
        operationState=a_raw_run("Succeeded"),
        health={"status": "Degraded"},
        history=[{"id": 2, "revision": SHA}],
    )
    assert what_happened(old, new) == (Happened.SYNC_SUCCEEDED, Happened.DEPLOYED, Happened.DEGRADED)


@pytest.mark.parametrize(
    ("sync", "initiator"),
    [
        ({"operation": "op", "by": "the-machine/maya"}, Initiator.OURS),
        ({"operation": "op", "by": "mallory"}, Initiator.SOMEBODY),
        ({"automated": True}, Initiator.AUTO_SYNC),
        ({}, Initiator.AUTO_SYNC),
        ({"by": "applicationset-controller", "automated": True}, Initiator.APPLICATION_SET),
        ({"by": "kubernetes:system:serviceaccount:kargo:x", "promotion": "p"}, Initiator.KARGO),
        ({"by": "admin"}, Initiator.SOMEBODY),
    ],
)
def test_who_began_a_sync_is_told_apart(sync: dict[str, Any], initiator: Initiator):
    assert initiator_of(SyncSummary(phase=SyncPhase.RUNNING, **sync)) is initiator


STATES = st.builds(
    lambda sync, health, phase, entry, types: app(
        sync={"status": sync, "revision": SHA},
        health={"status": health},
        history=[{"id": entry, "revision": str(entry)}],
        conditions=[{"type": each} for each in types],
        **({"operationState": a_raw_run(phase)} if phase else {}),
    ),
    st.sampled_from(["Synced", "OutOfSync", "Unknown", ""]),
    st.sampled_from(["Healthy", "Degraded", "Progressing", "Missing", ""]),
    st.sampled_from(["", "Running", "Succeeded", "Failed", "Error"]),
    st.integers(0, 3),
    st.lists(st.sampled_from(["SyncError", "ComparisonError"]), max_size=2),
)


@given(old=STATES, new=STATES)
def test_nothing_happens_twice_and_nothing_to_what_stays(old: Application, new: Application):
    happened = what_happened(old, new)
    assert len(set(happened)) == len(happened)
    assert what_happened(new, new) == ()
