import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.errors import (
    BrokenError,
    ConflictError,
    InvalidError,
    LostLeadershipError,
    NotFoundError,
    UnavailableError,
)
from bot.demo.cluster import faults
from bot.demo.cluster.rights import Rule
from bot.demo.cluster.schemas import Problem
from bot.demo.cluster.server import ApiServer
from bot.kube.model import BusyError, ForbiddenError, NotInstalledError, Right
from bot.kube.rights import missing_rights
from bot.kube.settings import ClusterSettings
from bot.kube.transport import PAGE, Cluster
from bot.telemetry.metrics import REGISTRY
from tests.support.clock import ManualClock
from tests.support.kube import APPLICATIONS, CONFIG_MAPS, NAMESPACES, a_client, an_application


def a_config_map(name, **data):
    return {"metadata": {"name": name, "namespace": "argocd"}, "data": data}


async def test_an_object_is_read(server, cluster):
    put = server.put(APPLICATIONS, an_application("shop"))
    assert await cluster.get(APPLICATIONS, "argocd", "shop") == put


async def test_metadata_alone_leaves_the_server(server, cluster):
    server.put(APPLICATIONS, an_application("shop", labels={"team": "a"}))
    found = await cluster.get_metadata(APPLICATIONS, "argocd", "shop")
    assert found["metadata"]["labels"] == {"team": "a"}
    assert "spec" not in found


async def test_what_does_not_exist_is_named(cluster):
    with pytest.raises(NotFoundError, match=r"^Application argocd/shop does not exist\.$"):
        await cluster.get(APPLICATIONS, "argocd", "shop")


@pytest.mark.parametrize("moments_of_leading", [0, 1])
async def test_who_does_not_lead_any_more_asks_for_nothing(server, tmp_path, moments_of_leading):
    """Neither at once, nor after it was frozen while a connection was made."""
    leads = iter(range(moments_of_leading))

    def may_act():
        if next(leads, None) is None:
            raise LostLeadershipError("another process leads now")

    settings = ClusterSettings(kubeconfig=server.kubeconfig(tmp_path))
    async with Cluster(settings, ManualClock(), may_act=may_act) as cluster:
        with pytest.raises(LostLeadershipError):
            await cluster.merge_patch(APPLICATIONS, "argocd", "shop", {})
    assert server.calls() == []


async def test_a_list_has_all_pages(server, cluster):
    names = [f"app-{number:03}" for number in range(2 * PAGE + 1)]
    for name in names:
        server.put(APPLICATIONS, an_application(name, labels={"team": name[-1]}))
    found = await cluster.list(APPLICATIONS, "argocd")
    assert [thing["metadata"]["name"] for thing in found] == names
    assert len(server.calls("list")) == 3
    assert len(await cluster.list(APPLICATIONS, labels="team=7")) == 20
    assert await cluster.list(APPLICATIONS, "elsewhere") == []


async def test_a_merge_patch_says_who_we_are_and_is_checked_strictly(server, cluster):
    server.put(APPLICATIONS, an_application("shop", annotations={"old": "1"}))
    body = {"metadata": {"annotations": {"old": None, "new": "2"}}}
    changed = await cluster.merge_patch(APPLICATIONS, "argocd", "shop", body)
    assert changed["metadata"]["annotations"] == {"new": "2"}
    (request,) = server.calls("patch")
    assert request.headers["content-type"] == "application/merge-patch+json"
    assert request.query == {"fieldManager": "the-machine", "fieldValidation": "Strict"}
    assert request.headers["user-agent"].startswith("the-machine/")


async def test_a_patch_can_be_bound_to_a_version(server, cluster):
    put = server.put(APPLICATIONS, an_application("shop"))
    version = put["metadata"]["resourceVersion"]
    body = {"metadata": {"labels": {"a": "b"}}}
    await cluster.merge_patch(APPLICATIONS, "argocd", "shop", body, if_version=version)
    with pytest.raises(ConflictError, match="somebody else"):
        await cluster.merge_patch(APPLICATIONS, "argocd", "shop", body, if_version=version)
    assert body == {"metadata": {"labels": {"a": "b"}}}


class OneUnknownField:
    """A schema without `operation.sink`."""

    def problems(self, kind, body):
        if "sink" not in body.get("operation", {}):
            return ()
        return (Problem(("operation", "sink"), "unknown field", unknown=True),)


async def test_a_misspelt_field_is_refused_and_named(tmp_path):
    async with ApiServer(schemas=OneUnknownField()) as server, a_client(server, tmp_path) as cluster:
        server.put(APPLICATIONS, an_application("shop"))
        with pytest.raises(InvalidError, match=r"see operation\.sink\."):
            await cluster.merge_patch(APPLICATIONS, "argocd", "shop", {"operation": {"sink": {}}})
        assert "operation" not in server.get(APPLICATIONS, "argocd", "shop")


async def test_an_object_is_created_once(server, cluster):
    server.put(NAMESPACES, {"metadata": {"name": "argocd"}})
    made = await cluster.create(CONFIG_MAPS, "argocd", a_config_map("notes", a="1"))
    assert made["metadata"]["uid"]
    with pytest.raises(ConflictError, match=r"ConfigMap argocd/notes exists already"):
        await cluster.create(CONFIG_MAPS, "argocd", a_config_map("notes"))


async def test_a_namespace_that_is_missing_is_told(cluster):
    with pytest.raises(NotFoundError, match="namespace"):
        await cluster.create(CONFIG_MAPS, "argocd", a_config_map("notes"))


async def test_rights_are_asked_of_the_server(server, cluster):
    server.forbid(verb="patch", resource="applications")
    assert not await cluster.may("patch", APPLICATIONS, "argocd")
    assert await cluster.may("get", APPLICATIONS, "argocd", "shop")
    wanted = [Right(verb, APPLICATIONS) for verb in ("get", "patch", "watch")]
    assert await missing_rights(cluster, wanted) == (wanted[1],)


async def test_a_right_to_a_subresource_is_its_own(server, cluster):
    server.forbid(verb="patch", resource="applications/status")
    assert await cluster.may("patch", APPLICATIONS)
    assert not await cluster.may("patch", APPLICATIONS, subresource="status")


async def test_what_is_forbidden_says_who_may_not_do_what(server, cluster):
    server.forbid(verb="get", resource="applications")
    with pytest.raises(ForbiddenError) as raised:
        await cluster.get(APPLICATIONS, "argocd", "shop")
    assert str(raised.value) == (
        "Kubernetes does not let system:serviceaccount:the-machine:the-machine get "
        "applications.argoproj.io in argocd."
    )
    assert isinstance(raised.value, BrokenError)


async def test_discovery_tells_what_is_installed(server, cluster):
    assert {"v1", "apps/v1", "argoproj.io/v1alpha1"} <= await cluster.installed_groups()
    assert await cluster.is_installed(APPLICATIONS)
    assert await cluster.is_installed(CONFIG_MAPS)
    for kind in ("Application", "AppProject", "ApplicationSet"):
        server.uninstall(kind)
    assert not await cluster.is_installed(APPLICATIONS)
    assert "argoproj.io/v1alpha1" not in await cluster.installed_groups()
    with pytest.raises(NotInstalledError):
        await cluster.get(APPLICATIONS, "argocd", "shop")


TROUBLE = {
    "dropped": faults.DROP,
    "empty": faults.EMPTY,
    "server error": faults.SERVER_ERROR,
    "unavailable": faults.UNAVAILABLE,
    "bad gateway": faults.BAD_GATEWAY,
    "too many": faults.too_many(3),
    "cut": faults.cut_mid_line(),
}


@pytest.mark.parametrize("fault", TROUBLE.values(), ids=TROUBLE)
async def test_a_server_in_trouble_is_unavailable(server, cluster, fault):
    server.put(APPLICATIONS, an_application("shop"))
    # aiohttp itself asks again where a connection that it kept was closed.
    server.faults.add(fault, times=None)
    with pytest.raises(UnavailableError) as raised:
        await cluster.get(APPLICATIONS, "argocd", "shop")
    if isinstance(raised.value, BusyError):
        assert raised.value.retry_after == timedelta(seconds=3)
    server.faults.clear()
    await cluster.get(APPLICATIONS, "argocd", "shop")


async def test_a_write_whose_answer_is_lost_is_not_repeated(server, cluster):
    server.put(APPLICATIONS, an_application("shop"))
    server.faults.add(faults.DROP, verb="patch", after_commit=True)
    with pytest.raises(UnavailableError):
        await cluster.merge_patch(APPLICATIONS, "argocd", "shop", {"metadata": {"labels": {"a": "b"}}})
    assert len(server.calls("patch")) == 1
    assert server.get(APPLICATIONS, "argocd", "shop")["metadata"]["labels"] == {"a": "b"}


async def test_every_request_has_a_deadline(server, tmp_path):
    server.faults.add(faults.HANG, times=None)
    async with a_client(server, tmp_path, timeout="50ms") as cluster:
        with pytest.raises(UnavailableError, match=r"within 0\.05 s"):
            await cluster.get(APPLICATIONS, "argocd", "shop")


async def test_a_caller_may_be_less_patient(server, cluster):
    await cluster.installed_groups()
    server.faults.add(faults.HANG, times=None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await cluster.get(APPLICATIONS, "argocd", "shop")


async def test_an_outage_is_over_when_it_is_over(server, cluster):
    server.put(APPLICATIONS, an_application("shop"))
    await cluster.get(APPLICATIONS, "argocd", "shop")
    async with server.outage():
        with pytest.raises(UnavailableError, match=r"cannot be reached|connection"):
            await cluster.get(APPLICATIONS, "argocd", "shop")
        assert REGISTRY.get_sample_value("the_machine_backend_up", {"backend": "kubernetes"}) == 0
    await cluster.get(APPLICATIONS, "argocd", "shop")
    assert REGISTRY.get_sample_value("the_machine_backend_up", {"backend": "kubernetes"}) == 1


async def test_requests_are_counted(server, cluster):
    labels = {"verb": "get", "resource": "applications.argoproj.io", "status": "404"}
    before = REGISTRY.get_sample_value("the_machine_kube_requests_total", labels) or 0
    with pytest.raises(NotFoundError):
        await cluster.get(APPLICATIONS, "argocd", "shop")
    assert REGISTRY.get_sample_value("the_machine_kube_requests_total", labels) == before + 1


async def test_rights_by_namespace_do_not_reach_further(server, tmp_path):
    server.rights.add_user("guest", "guests-token", [Rule(namespaces=("argocd",))])
    server.put(APPLICATIONS, an_application("shop"))
    kubeconfig = server.kubeconfig(tmp_path, user="guest", token="guests-token")
    async with a_client(server, tmp_path, kubeconfig=kubeconfig) as cluster:
        assert len(await cluster.list(APPLICATIONS, "argocd")) == 1
        with pytest.raises(ForbiddenError, match=r"guest list .* in the whole cluster"):
            await cluster.list(APPLICATIONS)


def test_nothing_is_imported_until_a_cluster_is_asked_and_little_then():
    program = """
import asyncio, json, sys
from bot.core.clock import SystemClock
from bot.kube.settings import ClusterSettings
from bot.kube.transport import Cluster
from bot.kube import events, reflector, rights
before = [name for name in sys.modules if name.split(".")[0] == "kubernetes"]
async def ask():
    async with Cluster(ClusterSettings(kubeconfig="/nowhere"), SystemClock()) as cluster:
        await cluster.installed_groups()
try:
    asyncio.run(ask())
except Exception as error:
    print(json.dumps([before, [name for name in sys.modules if name.endswith("_api")], str(error)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    before, apis, error = json.loads(done.stdout)
    assert before == []
    assert [name for name in apis if name.startswith("kubernetes")] == []
    assert error == "There is no way to Kubernetes: not in a pod, and no kubeconfig at /nowhere."
