import structlog

from bot.kube.events import ASKED_BY, EVENTS, write_event
from bot.kube.model import ObjectKey
from tests.support.kube import APPLICATIONS, NAMESPACES, an_application

SHOP = APPLICATIONS.reference(ObjectKey("argocd", "shop"), uid="1")


async def test_an_event_tells_what_was_done_and_for_whom(server, cluster, clock):
    about = server.put(APPLICATIONS, an_application("shop"))
    await write_event(
        cluster, about=about, reason="SyncRequested", message="Sync to main asked for", by="Ada\nL."
    )
    (event,) = server.objects(EVENTS, "argocd")
    assert event["involvedObject"] == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "namespace": "argocd",
        "name": "shop",
        "uid": about["metadata"]["uid"],
    }
    assert event["message"] == "Sync to main asked for (asked for by Ada L. on Discord)"
    assert event["metadata"]["annotations"] == {ASKED_BY: "Ada L."}
    assert (event["reason"], event["type"]) == ("SyncRequested", "Normal")
    assert event["reportingComponent"] == event["source"]["component"] == "the-machine"
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-11-21T12:00:00Z"


async def test_an_event_about_a_namespace_itself_has_a_home(server, cluster):
    about = server.put(NAMESPACES, {"metadata": {"name": "shop"}})
    server.put(NAMESPACES, {"metadata": {"name": "default"}})
    await write_event(cluster, about=about, reason="Restarted", message="Restarted", by="ada", warning=True)
    (event,) = server.objects(EVENTS, "default")
    assert event["type"] == "Warning"


async def test_what_is_said_is_bounded(server, cluster):
    server.put(APPLICATIONS, an_application("shop"))
    await write_event(cluster, about=SHOP, reason="R" * 500, message="m" * 5000, by="n" * 500)
    (event,) = server.objects(EVENTS, "argocd")
    assert len(event["message"]) == 1024
    assert event["message"].endswith("… on Discord)")
    assert len(event["reason"]) == 128


async def test_an_event_that_cannot_be_written_is_logged_and_no_more(server, cluster):
    server.put(APPLICATIONS, an_application("shop"))
    server.forbid(resource="events")
    with structlog.testing.capture_logs() as logs:
        await write_event(cluster, about=SHOP, reason="SyncRequested", message="…", by="ada")
    assert [entry["event"] for entry in logs] == ["event_not_written"]
    assert "create events in argocd" in logs[0]["why"]
