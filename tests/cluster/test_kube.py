"""The bot's own way to a real cluster: what it reads, writes and watches there."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from bot.core.clock import SystemClock
from bot.core.errors import ConflictError, InvalidError, NotFoundError
from bot.kube.events import EVENTS, write_event
from bot.kube.model import WatchPhase
from bot.kube.reflector import Watched
from bot.kube.settings import ClusterSettings
from bot.kube.transport import Cluster
from tests.support.kube import APPLICATIONS, an_application


@pytest.fixture
async def cluster():
    # Named, for where these tests themselves run in a pod.
    kubeconfig = Path(os.environ.get("KUBECONFIG", "").partition(os.pathsep)[0])
    async with Cluster(ClusterSettings(kubeconfig=kubeconfig), SystemClock()) as opened:
        yield opened


async def test_it_discovers_and_asks_for_its_rights(api, cluster):
    assert {"v1", "apps/v1", "argoproj.io/v1alpha1"} <= await cluster.installed_groups()
    assert await cluster.is_installed(APPLICATIONS)
    assert await cluster.may("patch", APPLICATIONS, api.namespace)


async def test_it_writes_conditionally_and_strictly(api, cluster):
    made = await cluster.create(APPLICATIONS, api.namespace, _application(api))
    version = made["metadata"]["resourceVersion"]
    label = {"metadata": {"labels": {"a": "b"}}}
    await cluster.merge_patch(APPLICATIONS, api.namespace, "shop", label, if_version=version)
    with pytest.raises(ConflictError, match="somebody else"):
        await cluster.merge_patch(APPLICATIONS, api.namespace, "shop", label, if_version=version)
    with pytest.raises(ConflictError, match="exists already"):
        await cluster.create(APPLICATIONS, api.namespace, _application(api))
    with pytest.raises(InvalidError, match="sink"):
        await cluster.merge_patch(APPLICATIONS, api.namespace, "shop", {"operation": {"sink": {}}})
    with pytest.raises(NotFoundError, match="does not exist"):
        await cluster.get(APPLICATIONS, api.namespace, "none")
    assert "spec" not in await cluster.get_metadata(APPLICATIONS, api.namespace, "shop")
    assert len(await cluster.list(APPLICATIONS, api.namespace, labels="a=b")) == 1


async def test_it_follows_what_happens(api, cluster):
    watched = Watched(
        cluster,
        APPLICATIONS,
        trim=lambda thing: thing["spec"]["source"]["targetRevision"],
        namespaces=[api.namespace],
    )
    seen = asyncio.Queue()
    watched.on_change(lambda key, old, new: seen.put_nowait((key.name, old, new)))
    tasks = [asyncio.create_task(loop.run()) for loop in watched.loops]
    try:
        await cluster.create(APPLICATIONS, api.namespace, _application(api))
        assert await asyncio.wait_for(seen.get(), 30) == ("shop", None, "main")
        body = {"spec": {"source": {"targetRevision": "v2"}}}
        await cluster.merge_patch(APPLICATIONS, api.namespace, "shop", body)
        assert await asyncio.wait_for(seen.get(), 30) == ("shop", "main", "v2")
        assert watched.health.phase is WatchPhase.SYNCED
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)


async def test_it_leaves_an_event(api, cluster):
    made = await cluster.create(APPLICATIONS, api.namespace, _application(api))
    await write_event(cluster, about=made, reason="SyncRequested", message="Sync asked for", by="ada")
    (event,) = await cluster.list(EVENTS, api.namespace)
    assert event["involvedObject"]["uid"] == made["metadata"]["uid"]
    assert "ada" in event["message"]


def _application(api):
    return {
        "apiVersion": APPLICATIONS.api_version,
        "kind": APPLICATIONS.kind,
        **an_application("shop", namespace=api.namespace),
    }
