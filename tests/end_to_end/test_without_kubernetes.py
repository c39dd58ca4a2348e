"""Two processes that watch a cluster which goes away: alerts are shown, and somebody leads, all the same."""

import asyncio
import time
import uuid

import pytest

from bot.core.clock import SystemClock
from bot.demo.cluster.applications import a_project, an_application
from bot.demo.cluster.server import ApiServer
from tests.support.postgres import create_database, drop_database
from tests.support.replicas import all_are_shown, storm, two_replicas
from tests.support.running import a_town

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

GRANTS = [{"roles": ["operators"], "may": ["alerts:*", "machine:*", "argocd:*"]}]


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
async def url(postgres_url, migrated_postgres):
    name = f"without_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_url, name, migrated_postgres)
    await drop_database(postgres_url, name)


@pytest.fixture
async def cluster():
    async with ApiServer(clock=SystemClock()) as server:
        server.put("Namespace", {"metadata": {"name": "argocd"}})
        server.put("AppProject", a_project())
        server.put("Application", an_application("shop", repo="https://git.example.org/shop.git", path="."))
        yield server


async def answer(town, *command, **options):
    """What Discord shows of the answer, once there is more than that it is thought about."""
    asked = await town.server.slash(
        *command, user=town.ada, channel=town.channels["alerts"], options=options or None
    )
    await town.server.wait_for(lambda: asked.original is not None and asked.original.text, timeout=15)
    return asked.original.text


async def test_alerts_and_leadership_do_not_need_the_cluster(town, url, cluster, tmp_path):
    kubernetes = {
        "kubeconfig": str(cluster.kubeconfig(tmp_path)),
        "argocd": {"namespaces": ["argocd"], "write": True},
    }
    sections = {"kubernetes": kubernetes, "access": {"grants": GRANTS}}
    async with two_replicas(town, url, tmp_path, **sections) as (leader, standby):
        await leader.process.wait_for("watch_synced", resource="applications.argoproj.io")
        async with cluster.outage():
            sending = asyncio.create_task(storm([leader, standby], range(20), lasts=2.0))
            await town.server.wait_for(lambda: len(town.cards()) >= 5, 20)
            # The one that knew the cluster ends; the next one has never seen it.
            leading = asyncio.create_task(standby.leads())
            assert await leader.process.terminate() == 0
            ended = time.monotonic()
            assert await leading - ended <= 2
            await sending
            await all_are_shown(town, range(20), url)
            assert "Kubernetes cannot be reached" in await answer(town, "argocd", "list")
            assert "Kubernetes cannot be reached" in await answer(town, "argocd", "sync", app="shop")
            said = len(standby.process.lines)
        await standby.process.wait_for("watch_synced", since=said, resource="applications.argoproj.io")
        assert "shop" in await answer(town, "argocd", "list")
        assert standby.process.errors() == []
