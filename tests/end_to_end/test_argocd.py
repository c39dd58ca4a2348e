"""`machine run` beside a cluster: a sync from the command to its end, through deaths of the process."""

import json
import re
from datetime import timedelta

import pytest

from bot.core.clock import SystemClock
from bot.core.tasks import running
from bot.demo.cluster.applications import a_project, an_application
from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.server import ApiServer
from tests.support.alerts import a_body, an_entry
from tests.support.chart_rights import within_the_charts_rights
from tests.support.collector import a_collector
from tests.support.crds import crd_schemas
from tests.support.ports import free_port
from tests.support.running import a_process, a_town, post, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

REPO = "https://git.example.org/platform.git"
PACE = timedelta(milliseconds=250)


@pytest.fixture
async def cluster():
    async with ApiServer(clock=SystemClock(), schemas=crd_schemas()) as server:
        server.put("Namespace", {"metadata": {"name": "argocd"}})
        server.put("AppProject", a_project())
        with within_the_charts_rights(server):
            yield server


@pytest.fixture
def controller(cluster):
    made = ArgoController(cluster, pace=PACE)
    pieces = [
        Piece(kind="ConfigMap", name="config", content="1"),
        Piece(kind="Deployment", name="api", image="api:1", wave=1, passes=6),
        Piece(kind="Deployment", name="web", image="web:1", wave=2, passes=6),
    ]
    made.repositories.commit(REPO, "apps/shop", pieces, message="Retry payments")
    cluster.put("Application", an_application("shop", repo=REPO, path="apps/shop"))
    return made


@pytest.fixture
async def town():
    async with a_town() as built:
        yield built


def configuration(town, cluster, folder, database_url, port, **argocd):
    grants = [{"roles": ["operators"], "may": ["alerts:*", "machine:*", "argocd:*"]}]
    kubernetes = {
        "kubeconfig": str(cluster.kubeconfig(folder)),
        "argocd": {
            "namespaces": ["argocd"],
            "write": True,
            "itself": "argocd/the-machine",
            "news": [{"channel": "critical"}],
            **argocd,
        },
    }
    return write(
        folder,
        town.configuration(database_url, port=port, access={"grants": grants}, kubernetes=kubernetes),
    )


async def ask_for_a_sync(town, app="shop"):
    """Type the command, read the preview and confirm it."""
    asked = await town.server.slash(
        "argocd", "sync", user=town.ada, channel=town.channels["alerts"], options={"app": app}
    )
    await town.server.wait_for(
        lambda: asked.original is not None and "tm:op-confirm" in str(asked.original.custom_ids)
    )
    preview = asked.original
    confirm = next(name for name in preview.custom_ids if name.startswith("tm:op-confirm:"))
    await town.server.click(preview, confirm, town.ada)
    return confirm.rpartition(":")[2]


def card_of(town, operation):
    return next(
        (
            message
            for message in town.messages("alerts")
            if f"tm:op-details:{operation}" in message.custom_ids and message.deleted_at is None
        ),
        None,
    )


async def until_card_says(town, operation, *words):
    def found():
        card = card_of(town, operation)
        return card if card is not None and all(word in card.text for word in words) else None

    return await town.server.wait_for(found, timeout=30)


def syncs_begun(cluster):
    """The ids of ours that were ever written into the Application."""
    return {
        info["value"]
        for request in cluster.calls("patch", "applications")
        for info in (json.loads(request.body).get("operation") or {}).get("info", [])
        if info["name"] == "the-machine/id"
    }


async def test_a_sync_goes_on_while_the_bot_is_killed_again_and_again(
    town, cluster, controller, database_url, tmp_path
):
    port = free_port()
    config = configuration(town, cluster, tmp_path, database_url, port)
    async with a_process(config, port=port) as process, running([controller.loop().run()]):
        await town.server.wait_ready(20)
        operation = await ask_for_a_sync(town)
        for _ in range(2):
            seen = len((await until_card_says(town, operation, "%")).versions)
            await process.kill()
            await process.start()
            await town.server.wait_for(
                lambda seen=seen: len(card_of(town, operation).versions) > seen, timeout=20
            )
        card = await until_card_says(town, operation, "Synced", "shop")
        assert await process.terminate() == 0
    assert syncs_begun(cluster) == {operation}
    assert "FAILED" not in card.text
    posted = [
        m for m in town.server.state.every_message.values() if f"tm:op-details:{operation}" in m.custom_ids
    ]
    assert len(posted) == 1
    shares = [int(found) for version in card.versions for found in re.findall(r"(\d+) %", str(version))]
    assert shares == sorted(shares)
    assert process.errors() == []


async def test_a_bot_that_syncs_itself_is_replaced_and_the_next_one_says_how_it_ended(
    town, cluster, controller, database_url, tmp_path
):
    port = free_port()
    itself = {"itself": "argocd/shop", "allow_itself": True}
    config = configuration(town, cluster, tmp_path, database_url, port, **itself)
    bob = town.server.add_member("bob", roles=[town.operators])
    async with a_process(config, port=port) as process, running([controller.loop().run()]):
        await town.server.wait_ready(20)
        operation = await ask_for_a_sync(town)
        card = await until_card_says(town, operation, "approval")
        assert syncs_begun(cluster) == set()
        await town.server.click(card, f"tm:op-approve:{operation}", bob)
        await until_card_says(town, operation, "%")
        # As Kubernetes replaces it: the old one is asked to end, then the new one starts.
        assert await process.terminate() == 0
        await process.start()
        await process.wait_for("operations_resumed", count=1)
        card = await until_card_says(town, operation, "Synced", "shop")
        assert "FAILED" not in card.text
    assert syncs_begun(cluster) == {operation}
    everything = town.server.state.every_message.values()
    assert len([each for each in everything if f"tm:op-details:{operation}" in each.custom_ids]) == 1
    assert process.errors() == []


async def test_what_was_synced_stands_on_the_card_of_the_alert_that_follows(
    town, cluster, controller, database_url, tmp_path
):
    port = free_port()
    config = configuration(town, cluster, tmp_path, database_url, port)
    async with a_process(config, port=port), running([controller.loop().run()]):
        await town.server.wait_ready(20)
        operation = await ask_for_a_sync(town)
        await until_card_says(town, operation, "Synced", "shop")
        entry = an_entry("KubePodCrashLooping", since=SystemClock().now().isoformat(), namespace="shop")
        await post(port, a_body(entry, group_labels={"alertname": "KubePodCrashLooping"}))
        alert = await town.see("KubePodCrashLooping", "Changed here", f"<@{town.ada.id}> synced")
        assert "shop" in alert.text


async def test_a_sync_of_others_that_fails_is_told_once(town, cluster, controller, database_url, tmp_path):
    port = free_port()
    config = configuration(town, cluster, tmp_path, database_url, port)
    broken = Piece(kind="Deployment", name="api", image="api:2", refused="image is forbidden")
    async with a_process(config, port=port) as process, running([controller.loop().run()]):
        await town.server.wait_ready(20)
        await process.wait_for("watch_synced", resource="applications.argoproj.io")
        controller.repositories.commit(REPO, "apps/shop", [broken], message="Break it")
        by_hand = {"initiatedBy": {"username": "mallory"}, "sync": {"syncStrategy": {"hook": {}}}}
        cluster.patch("Application", "argocd", "shop", {"operation": by_hand})

        def told():
            return next((m for m in town.messages("critical") if "SYNC FAILED" in m.text), None)

        story = await town.server.wait_for(told, timeout=30)
    assert "shop" in story.text
    assert "failed to apply" in story.text
    assert "asked for by `mallory`" in story.text
    assert len(town.messages("critical")) == 1


async def test_a_click_its_operation_and_its_calls_are_one_trace(
    town, cluster, controller, database_url, tmp_path
):
    port = free_port()
    config = configuration(town, cluster, tmp_path, database_url, port)
    async with (
        a_collector() as collector,
        a_process(config, port=port, environ=collector.environ) as process,
        running([controller.loop().run()]),
    ):
        await town.server.wait_ready(20)
        operation = await ask_for_a_sync(town)
        await until_card_says(town, operation, "Synced", "shop")
        started = await collector.wait_for(
            lambda spans: next((span for span in spans if span.name == "start operation"), None)
        )
        assert started.attributes["operation"] == operation
        patched = await collector.wait_for(
            lambda spans: next(
                (each for each in spans if each.parent == started.id and each.name.startswith("patch app")),
                None,
            )
        )
        clicked = await collector.wait_for(
            lambda spans: next((span for span in spans if span.name == "interaction op-confirm"), None)
        )
        assert started.parent == clicked.id
        further = {"deliver card", "POST discord"}
        await collector.wait_for(
            lambda spans: further <= {span.name for span in spans if span.trace == clicked.trace}
        )
        # The API server of ours is told, and can go on with it.
        said = [request.headers.get("traceparent", "") for request in cluster.calls("patch", "applications")]
        assert f"00-{patched.trace}-{patched.id}-01" in said
        assert process.errors() == []
