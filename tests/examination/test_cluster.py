"""`machine doctor` beside a cluster: what it says is what keeps the bot from working there."""

import aiohttp
import pytest

from bot.core.clock import SystemClock
from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.argocd_server import TOKEN, ArgoCdServer
from bot.demo.cluster.server import ApiServer
from bot.examination.cluster import check_cluster
from bot.minecraft.settings import MinecraftSettings
from bot.settings.kubernetes import KubernetesSettings


@pytest.fixture
async def cluster():
    async with ApiServer(clock=SystemClock()) as server:
        server.put("Namespace", {"metadata": {"name": "argocd"}})
        yield server


@pytest.fixture
async def argocd_server(cluster):
    async with ArgoCdServer(cluster, ArgoController(cluster)) as server:
        yield server


@pytest.fixture
def check(cluster, tmp_path):
    async def ask(**argocd):
        settings = {"kubeconfig": str(cluster.kubeconfig(tmp_path)), "argocd": argocd}
        async with aiohttp.ClientSession() as session:
            found = await check_cluster(KubernetesSettings.model_validate(settings), session)
        return [str(finding) for finding in found]

    return ask


async def test_without_a_cluster_nothing_is_asked():
    async with aiohttp.ClientSession() as session:
        assert await check_cluster(None, session) == []
        assert await check_cluster(KubernetesSettings(), session) == []


@pytest.mark.parametrize(("write", "how"), [(False, "read"), (True, "read and written")])
async def test_who_may_everything_is_told_so(check, write, how):
    assert await check(write=write) == [f"ok   kubernetes.argocd: Applications can be {how}"]


async def test_a_missing_right_is_named_with_what_to_do(check, cluster):
    cluster.forbid(verb="patch", resource="applications")
    assert await check(write=False) == ["ok   kubernetes.argocd: Applications can be read"]
    (said,) = await check(write=True)
    assert said.startswith("FAIL kubernetes.argocd: the bot may not patch applications")
    assert "in argocd" in said
    assert "service account" in said


async def test_a_cluster_without_argo_cd_is_said(check, cluster):
    cluster.uninstall("Application")
    (said,) = await check()
    assert said.startswith("FAIL kubernetes.argocd: the cluster has no Argo CD")


async def test_a_cluster_that_does_not_answer_is_said(check, cluster):
    async with cluster.outage():
        (said,) = await check()
    assert said.startswith("FAIL kubernetes: ")


async def test_the_server_is_asked_who_we_are(check, argocd_server):
    said = await check(server={"url": argocd_server.url, "token": TOKEN})
    assert said[1] == "ok   kubernetes.argocd.server: it knows the bot as the-machine"


@pytest.mark.parametrize(
    ("token", "path", "expected"),
    [
        ("expired", "", "FAIL kubernetes.argocd.server: Argo CD's server does not accept our token"),
        (TOKEN, "/elsewhere", "FAIL kubernetes.argocd.server: Argo CD's server is not understood"),
    ],
)
async def test_a_server_that_does_not_serve_us_is_said(check, argocd_server, token, path, expected):
    said = await check(server={"url": argocd_server.url + path, "token": token})
    assert said[1].startswith(expected)


async def test_what_is_missing_to_find_minecraft_servers_and_to_start_them_is_named(cluster, tmp_path):
    settings = KubernetesSettings.model_validate({"kubeconfig": str(cluster.kubeconfig(tmp_path))})

    async def ask(**minecraft):
        async with aiohttp.ClientSession() as session:
            found = await check_cluster(
                settings, session, minecraft=MinecraftSettings.model_validate(minecraft)
            )
        return [str(finding) for finding in found]

    workload = {"namespace": "games", "name": "survival"}
    servers = [{"name": "survival", "address": "mc.example.org", "workload": workload}]
    assert await ask() == []
    assert await ask(discover=True) == ["ok   minecraft: its servers can be seen in the cluster"]
    cluster.forbid(verb="patch", resource="deployments")
    assert await ask(servers=servers) == ["ok   minecraft: its servers can be seen in the cluster"]
    (said,) = await ask(servers=servers, write=True)
    assert said.startswith("FAIL minecraft: the bot may not patch deployments.apps survival in games; grant")
    (said,) = await ask(discover=True, namespaces=["games"], write=True)
    assert said.startswith("FAIL minecraft: the bot may not patch deployments.apps in games; grant")
