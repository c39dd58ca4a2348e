"""Everything that people can ask of Argo CD, done with the rights that the chart gives and no others."""

import asyncio
from contextlib import suppress

import pytest

from bot.argocd.cluster import rights_needed
from bot.argocd.settings import ArgoSettings
from bot.argocd.views import Wanted
from bot.core.errors import MachineError
from bot.core.tasks import running
from bot.database.engine import Database
from bot.demo.cluster.applications import an_application_set
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.rights import Asked
from bot.demo.cluster.server import THE_MACHINE, TOKEN, ApiServer
from bot.demo.cluster.watching import StreamingLists
from bot.examination.cluster import minecraft_rights
from bot.minecraft.cluster import WORKLOADS, MinecraftCluster
from bot.minecraft.settings import MinecraftSettings
from bot.operations.model import State
from tests.chart.values import MINIMAL, merged
from tests.support.argo_desk import ADA, BOB, CHANNEL, CONFIG, WEB, Desk, Stage
from tests.support.chart_rights import EVERYTHING_ON, rules_of, single
from tests.support.clock import ManualClock
from tests.support.crds import crd_schemas
from tests.support.helm import NAMESPACE, render
from tests.support.kube import a_client
from tests.support.minecraft_cluster import a_workload

NEWER = Piece(kind="Deployment", name="web", image="shop:2")
PLACES = {"one namespace": ["argocd"], "two namespaces": ["argocd", "apps"], "the whole cluster": []}


def rules(**argocd):
    rendered = render(merged(MINIMAL, {"config": {"kubernetes": {"argocd": argocd}}}))
    return rules_of(rendered.documents, namespace=NAMESPACE, account=rendered.pod["serviceAccountName"])


@pytest.fixture
async def stage():
    clock = ManualClock()
    async with ApiServer(clock=clock, schemas=crd_schemas()) as server:
        server.put("Namespace", {"metadata": {"name": "apps"}})
        yield Stage(server, clock)


@pytest.fixture
async def database(sqlite_url):
    async with Database(sqlite_url) as opened:
        yield opened


def ours(server):
    """What the bot asked for; everybody may ask for their own rights."""
    return [each for each in server.requests if each.verb and each.resource != "selfsubjectaccessreviews"]


async def deploy(stage, namespace, name):
    stage.commit(WEB, CONFIG, app=name)
    stage.put(name, namespace=namespace)
    sync = {"initiatedBy": {"username": "admin"}, "sync": {"syncStrategy": {"hook": {}}}}
    stage.server.patch("Application", namespace, name, {"operation": sync})
    for _ in range(30):
        await stage.step()
        app = stage.app(name, namespace)
        if "operation" not in app and app["status"]["health"]["status"] == "Healthy":
            return
    raise AssertionError(app["status"])


async def look(desk, name):
    await desk.argocd.list_applications(Wanted(), by=ADA)
    await desk.argocd.status(name, by=ADA)
    await desk.argocd.tree(name, by=ADA)
    await desk.argocd.history(name, by=ADA)
    await desk.argocd.diff(name, by=ADA)


async def look_at_sets(desk, name):
    await desk.until(lambda: len(desk.argo.sets) > 0)
    await desk.argocd.list_sets(by=ADA)
    await desk.argocd.set_status(name, by=ADA)


async def write(stage, desk, namespace, short):
    name = f"{namespace}/{short}"
    async with stage.running():
        assert (await desk.argocd.refresh(name, by=ADA)).is_done
        assert (await desk.argocd.refresh_set(f"{namespace}/teams", by=ADA)).is_done
    stage.commit(NEWER, CONFIG, app=short)
    await desk.step(2)
    assert (await desk.until_over(await desk.sync(name))).state is State.SUCCEEDED
    back = await desk.argocd.propose_rollback(name, "0", by=ADA, channel_id=CHANNEL)
    assert (await desk.until_over(await desk.confirm(back))).state is State.SUCCEEDED
    tree = await desk.argocd.propose_tree_sync(name, by=ADA, channel_id=CHANNEL)
    assert (await desk.until_over(await desk.confirm(tree))).state is State.SUCCEEDED
    running = await desk.sync(name)
    await desk.argocd.terminate(name, by=ADA, channel_id=CHANNEL)
    await desk.until_over(running)


@pytest.mark.parametrize("lists", [StreamingLists.SUPPORTED, StreamingLists.REFUSED])
@pytest.mark.parametrize("namespaces", PLACES.values(), ids=PLACES.keys())
async def test_what_the_chart_allows_is_enough_and_nothing_of_it_is_unused(
    stage, database, tmp_path, namespaces, lists
):
    server = stage.server
    given = rules(namespaces=namespaces, write=True)
    server.rights.add_user(THE_MACHINE, TOKEN, given)
    server.streaming_lists = lists
    places = namespaces or ["argocd", "apps"]
    for index, place in enumerate(places):
        await deploy(stage, place, f"shop{index}")
        server.put("ApplicationSet", an_application_set("teams", namespace=place))
    settings = ArgoSettings(write=True, namespaces=tuple(namespaces))
    async with Desk(stage, database, tmp_path, settings=settings, namespaces=tuple(namespaces)) as desk:
        for index, place in enumerate(places):
            await look(desk, f"{place}/shop{index}")
            await look_at_sets(desk, f"{place}/teams")
            await write(stage, desk, place, f"shop{index}")
    denied = [(each.verb, each.resource, each.namespace) for each in ours(server) if each.status == 403]
    assert denied == []
    if lists is StreamingLists.REFUSED:
        asked = [each.asked() for each in ours(server)]
        assert [rule for rule in single(given) if not any(rule.covers(each) for each in asked)] == []


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("namespaces", PLACES.values(), ids=PLACES.keys())
def test_what_the_bot_looks_for_in_its_own_rights_is_what_the_chart_gives(namespaces, write):
    given = rules(namespaces=namespaces, write=write)
    wanted = [
        Asked(
            verb=right.verb,
            group=right.resource.group,
            resource=right.resource.plural,
            namespace=right.namespace,
            name=right.name,
        )
        for right in rights_needed(namespaces, write=write)
    ]
    assert [asked for asked in wanted if not any(rule.covers(asked) for rule in given)] == []
    assert [rule for rule in single(given) if not any(rule.covers(asked) for asked in wanted)] == []


async def test_who_may_only_look_gets_no_verb_that_changes_anything(stage, database, tmp_path):
    given = rules()
    assert {verb for rule in given for verb in rule.verbs} == {"get", "list", "watch"}
    stage.server.rights.add_user(THE_MACHINE, TOKEN, given)
    await deploy(stage, "argocd", "shop")
    async with Desk(stage, database, tmp_path, settings=ArgoSettings()) as desk:
        await look(desk, "shop")
    assert {each.status for each in ours(stage.server)} <= {0, 200}


async def test_a_verb_that_is_missing_is_noticed_here(stage, database, tmp_path):
    stage.server.rights.add_user(THE_MACHINE, TOKEN, rules())
    await deploy(stage, "argocd", "shop")
    async with Desk(stage, database, tmp_path) as desk:
        with pytest.raises(MachineError, match="patch"):
            await desk.argocd.refresh("shop", by=BOB)
    assert 403 in {each.status for each in ours(stage.server)}


@pytest.mark.parametrize("namespaces", PLACES.values(), ids=PLACES.keys())
def test_bots_of_one_name_in_two_namespaces_have_roles_of_their_own(namespaces):
    kubernetes = {"argocd": {"namespaces": namespaces, "write": True}}
    values = merged(MINIMAL, {"config": {"kubernetes": kubernetes, "minecraft": {"discover": True}}})

    def names(namespace):
        made = render(values, namespace=namespace).documents
        return {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in made}

    assert names("the-machine") & names("the-machine-dev") == set()


def test_nothing_but_the_one_config_map_and_no_secret_can_be_read():
    for given in (rules(write=True), rules(namespaces=[], write=True)):
        everywhere = {"namespace": "argocd", "group": ""}
        may = [
            (verb, resource)
            for resource in ("secrets", "configmaps", "pods", "pods/exec")
            for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
            for asked in [Asked(verb=verb, resource=resource, name="something", **everywhere)]
            if any(rule.covers(asked) for rule in given)
        ]
        assert may == []
        assert not any("*" in part for rule in given for part in (rule.verbs, rule.groups, rule.resources))


def test_with_everything_on_nothing_can_be_deleted_and_only_events_created():
    rendered = render(EVERYTHING_ON)
    given = rules_of(rendered.documents, namespace=NAMESPACE, account=rendered.pod["serviceAccountName"])
    assert {verb for rule in given for verb in rule.verbs} <= {"get", "list", "watch", "patch", "create"}
    assert {name for rule in given if "create" in rule.verbs for name in rule.resources} == {"events"}
    assert {name for rule in given for name in rule.resources} & {"secrets", "pods/exec"} == set()


def test_what_is_read_everywhere_needs_a_cluster_role_and_nothing_else_does():
    config = {"kubernetes": {"argocd": {"namespaces": ["argocd", "apps"], "write": True}}}
    rendered = render(merged(MINIMAL, {"config": config}))
    assert "ClusterRole" not in rendered.kinds
    assert {each["metadata"]["namespace"] for each in rendered.all("Role")} == {"argocd", "apps"}
    config["kubernetes"]["argocd"]["namespaces"] = []
    rendered = render(merged(MINIMAL, {"config": config}))
    role = rendered.one("ClusterRole")
    assert {name for rule in role["rules"] for name in rule["resources"]} == {
        "applications", "applicationsets", "events",
    }  # fmt: skip
    assert rendered.one("Role")["metadata"]["namespace"] == "argocd"


def minecraft_rules(**minecraft):
    values = {"config": {"kubernetes": {}, "minecraft": minecraft}}
    rendered = render(merged(MINIMAL, values))
    return rules_of(rendered.documents, namespace=NAMESPACE, account=rendered.pod["serviceAccountName"])


@pytest.mark.parametrize(
    ("minecraft", "namespaces"),
    [
        ({}, set()),
        ({"discover": True}, {"*"}),
        ({"discover": True, "namespaces": ["games"]}, {"games"}),
        (
            {"servers": [{"name": "a", "address": "a", "workload": {"namespace": "mc", "name": "a"}}]},
            {"mc"},
        ),
    ],
)
def test_servers_are_looked_for_only_where_they_are(minecraft, namespaces):
    found = minecraft_rules(**minecraft)
    assert {namespace for rule in found for namespace in rule.namespaces} == namespaces
    assert not any("patch" in rule.verbs for rule in found)
    writing = minecraft_rules(**minecraft, write=True)
    assert any("patch" in rule.verbs for rule in writing) is bool(namespaces)


SERVERS = [
    {"name": "a", "address": "a", "workload": {"namespace": "mc", "name": "survival"}},
    {"name": "b", "address": "b", "workload": {"namespace": "mc", "name": "lobby", "kind": "statefulset"}},
    {"name": "c", "address": "c", "workload": {"namespace": "old", "name": "classic"}},
]


def test_only_named_servers_can_be_started_where_servers_are_not_looked_for():
    writing = [rule for rule in minecraft_rules(servers=SERVERS, write=True) if "patch" in rule.verbs]
    assert {(*rule.namespaces, *rule.resources, *rule.names) for rule in writing} == {
        ("mc", "deployments", "survival"), ("mc", "statefulsets", "lobby"), ("old", "deployments", "classic"),
    }  # fmt: skip
    assert {verb for rule in writing for verb in rule.verbs} == {"get", "patch"}
    found = [
        rule for rule in minecraft_rules(servers=SERVERS, discover=True, namespaces=["mc"], write=True)
        if "patch" in rule.verbs
    ]  # fmt: skip
    assert {name for rule in found for name in rule.names} == {"*"}


def test_who_may_only_look_at_servers_lists_and_watches():
    assert {verb for rule in minecraft_rules(servers=SERVERS, discover=True) for verb in rule.verbs} == {
        "list", "watch",
    }  # fmt: skip


@pytest.mark.parametrize("namespaces", [["games"], []], ids=["one namespace", "the whole cluster"])
async def test_what_minecraft_is_given_is_enough_and_nothing_of_it_is_unused(tmp_path, namespaces):
    given = minecraft_rules(discover=True, namespaces=namespaces, write=True)
    async with ApiServer() as server, a_client(server, tmp_path) as kube:
        server.rights.add_user(THE_MACHINE, TOKEN, given)
        server.streaming_lists = StreamingLists.REFUSED
        for kind in WORKLOADS:
            server.put(kind, a_workload(kind.lower(), kind=kind))
        cluster = MinecraftCluster(kube, namespaces, argocd_home="argocd")

        def unused():
            asked = [each.asked() for each in ours(server)]
            return [rule for rule in single(given) if not any(rule.covers(each) for each in asked)]

        async with running(loop.run() for loop in cluster.loops):
            for kind in WORKLOADS:
                workload = await cluster.read_workload(kind, "games", kind.lower())
                await cluster.scale(workload, 1, operation="op-1")
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    while unused():  # noqa: ASYNC110 (a watch of a cluster tells no test that it has begun)
                        await asyncio.sleep(0.01)
        assert unused() == []
        assert [(each.verb, each.resource) for each in ours(server) if each.status == 403] == []


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "minecraft",
    [
        {"discover": True},
        {"discover": True, "namespaces": ["games"]},
        {"discover": True, "namespaces": ["games"], "servers": SERVERS},
        {"servers": SERVERS},
        {},
    ],
)
def test_what_the_doctor_looks_for_of_minecraft_is_what_the_chart_gives(minecraft, write):
    given = minecraft_rules(**minecraft, write=write)
    wanted = [
        Asked(
            verb=right.verb,
            group=right.resource.group,
            resource=right.resource.plural,
            namespace=right.namespace,
            name=right.name,
        )
        for right in minecraft_rights(MinecraftSettings.model_validate({**minecraft, "write": write}))
    ]
    assert [asked for asked in wanted if not any(rule.covers(asked) for rule in given)] == []
    assert [rule for rule in single(given) if not any(rule.covers(asked) for asked in wanted)] == []
