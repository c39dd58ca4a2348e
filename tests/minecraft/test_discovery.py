import pytest

from bot.minecraft.discovery import (
    IGNORE,
    NAME,
    OPERATION,
    PING,
    ROUTER_NAME,
    SHOWN,
    TRACKING,
    discover,
    heals_replicas,
    managing_application,
    read_pod,
    read_service,
    read_workload,
)
from bot.minecraft.model import Address, Edition
from tests.support.minecraft_cluster import a_pod, a_service, a_workload


def found(services, workloads=(), pods=(), taken=()):
    return discover(
        [service for raw in services if (service := read_service(raw)) is not None],
        [read_workload(raw, raw["kind"]) for raw in workloads],
        [pod for raw in pods if (pod := read_pod(raw)) is not None],
        taken=taken,
    )


def only(*services, **more):
    [one] = found(services, **more)
    return one


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ([{"name": "minecraft", "port": 25566}], 25566),
        ([{"name": "minecraft", "port": 25566}, {"name": "mc-router", "port": 25567}], 25567),
        ([{"port": 25565}], 25565),
        ([{"name": "web", "port": 80}, {"name": "game", "port": 25565}], 25565),
    ],
)
def test_the_port_is_found_as_mc_router_finds_it(ports, port):
    assert only(a_service(ports=ports)).server.address == Address("survival.games.svc", port)


@pytest.mark.parametrize(
    "raw",
    [
        a_service(ports=[{"name": "http", "port": 80}]),
        a_service(ports=[{"name": "rcon", "port": 25575}], labels={"app.kubernetes.io/name": "minecraft"}),
        a_service(annotations={IGNORE: "true"}),
        a_service(selector={}),
        a_service(ports=[]),
        a_service("mc-router", labels={"app.kubernetes.io/name": "mc-router"}),
    ],
)
def test_other_services_are_no_servers(raw):
    assert found([raw]) == []


def test_a_bedrock_server_is_known_by_its_protocol():
    server = only(a_service(ports=[{"port": 19132, "protocol": "UDP"}])).server
    assert server.edition is Edition.BEDROCK


def test_a_labelled_service_of_one_odd_port_is_one():
    labels = {"app.kubernetes.io/name": "minecraft"}
    assert only(a_service(ports=[{"port": 30000}], labels=labels)).server.address.port == 30000


def test_names_and_addresses_come_from_annotations_first():
    named = a_service("mc-7", annotations={NAME: "Sky Block!", SHOWN: "sky.example.org"})
    assert only(named).server.name == "sky-block"
    assert only(named).server.shown_address == "sky.example.org"
    routed = a_service(annotations={ROUTER_NAME: "play.example.org, other.example.org"})
    assert only(routed).server.shown_address == "play.example.org"
    balanced = a_service(status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})
    assert only(balanced).server.shown_address == "203.0.113.7"
    assert only(a_service("survival-minecraft")).server.name == "survival"
    assert only(a_service(annotations={PING: "127.0.0.1:7"})).server.address == Address("127.0.0.1", 7)
    assert only(a_service(annotations={PING: "not an address"})).server.address.port == 25565


def test_servers_of_the_same_name_are_told_apart():
    services = [a_service(namespace="one"), a_service(namespace="two"), a_service(namespace="three")]
    assert [each.server.name for each in found(services)] == ["survival", "survival.three", "survival.two"]


def test_a_server_that_is_configured_takes_the_place_of_the_one_that_is_found():
    services = [a_service(), a_service("creative", selector={"app": "creative"})]
    assert [each.server.name for each in found(services, taken=["survival"])] == ["creative"]


def headless(name="survival-pods", **more):
    made = a_service(name, ports=[{"name": "minecraft", "port": 25566, "targetPort": 25565}], **more)
    made["spec"]["clusterIP"] = "None"
    return made


@pytest.mark.parametrize(
    ("services", "names"),
    [
        pytest.param([headless("a-pods"), a_service()], ["survival"], id="headless"),
        pytest.param(
            [a_service("a"), a_service("lan", annotations={SHOWN: "mc.example.org"})], ["lan"], id="shown"
        ),
        pytest.param([a_service("a"), a_service("b", annotations={NAME: "one"})], ["one"], id="one is named"),
        pytest.param(
            [a_service(name, annotations={NAME: name}) for name in ("a", "b")], ["a", "b"], id="both named"
        ),
        pytest.param(
            [a_service("a"), a_service("b", ports=[{"name": "minecraft", "port": 25570}])],
            ["a", "b"],
            id="another port",
        ),
        pytest.param([a_service("a"), a_service("b", namespace="elsewhere")], ["b", "a"], id="elsewhere"),
    ],
)
def test_what_several_services_lead_to_is_one_server(services, names):
    assert [each.server.name for each in found(services)] == names


def test_by_a_name_that_leads_to_pods_their_own_port_is_asked():
    assert only(headless()).server.address == Address("survival-pods.games.svc", 25565)


def test_the_workload_and_pods_behind_a_service_are_found():
    one = only(
        a_service(),
        workloads=[a_workload("survival"), a_workload("other", app="other")],
        pods=[
            a_pod("survival-0", ready=False, reason="CrashLoopBackOff", restarts=3),
            a_pod("x", app="other"),
        ],
    )
    assert one.workload is not None
    assert (one.workload.name, one.workload.wanted) == ("survival", 1)
    assert [pod.words for pod in one.pods] == ["CrashLoopBackOff, restarted 3 times"]
    assert one.server.namespace == "games"


def test_several_servers_behind_one_address_are_asked_at_their_pods():
    labels = {"app.kubernetes.io/component": "minecraft"}
    service = a_service("minecraft", selector=labels, ports=[{"port": 25565, "targetPort": 25570}])
    workloads = [
        a_workload(name, app=name, labels=labels, replicas=1 if name != "off" else 0)
        for name in ("survival", "creative", "off")
    ]
    pods = [a_pod(f"{name}-0", app=name, labels=labels, address=f"10.0.0.{n}") for n, name in
            enumerate(("survival", "creative"))]  # fmt: skip
    servers = {each.server.name: each for each in found([service], workloads, pods)}
    assert servers["survival"].server.address == Address("10.0.0.0", 25570)
    assert servers["creative"].server.address == Address("10.0.0.1", 25570)
    assert servers["off"].server.address.host == "off.invalid"
    assert [pod.name for pod in servers["creative"].pods] == ["creative-0"]
    assert servers["off"].workload.is_stopped


def test_while_a_pod_is_replaced_the_new_one_is_asked():
    labels = {"app.kubernetes.io/component": "minecraft"}
    workloads = [a_workload(name, app=name, labels=labels) for name in ("survival", "creative")]
    pods = [
        a_pod("survival-a", labels=labels, address="10.0.0.1", deletionTimestamp="2026-11-21T12:00:00Z"),
        a_pod("survival-b", labels=labels, address="10.0.0.2", ready=False),
        a_pod("survival-c", labels=labels, ready=False),
    ]
    [survival] = [
        each
        for each in found([a_service(selector=labels)], workloads, pods)
        if each.server.name == "survival"
    ]
    assert survival.server.address.host == "10.0.0.2"


def test_pods_that_ended_are_of_no_interest():
    assert read_pod(a_pod("x", phase="Succeeded")) is None


def test_what_a_workload_carries_is_read():
    raw = a_workload(
        "survival", annotations={OPERATION: "id", TRACKING: "games:apps/Deployment:games/survival"}
    )
    workload = read_workload(raw, "Deployment")
    assert workload.operation == "id"
    assert managing_application(workload, home="argocd") == ("argocd", "games")
    elsewhere = read_workload(
        a_workload("x", annotations={TRACKING: "team_games:apps/Deployment:a/b"}), "Deployment"
    )
    assert managing_application(elsewhere, home="argocd") == ("team", "games")
    assert managing_application(read_workload(a_workload("x"), "Deployment"), home="argocd") is None


HEALS = {"automated": {"selfHeal": True}}


@pytest.mark.parametrize(
    ("spec", "heals"),
    [
        ({"syncPolicy": HEALS}, True),
        ({"syncPolicy": {"automated": {"selfHeal": False}}}, False),
        ({"syncPolicy": {"automated": {"selfHeal": True, "enabled": False}}}, False),
        ({"syncPolicy": {}}, False),
        ({}, False),
        ({"syncPolicy": HEALS, "ignoreDifferences": [{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]}, False),
        ({"syncPolicy": HEALS, "ignoreDifferences": [{"kind": "Deployment", "jqPathExpressions": [".spec.replicas"]}]}, False),
        ({"syncPolicy": HEALS, "ignoreDifferences": [{"kind": "StatefulSet", "jsonPointers": ["/spec/replicas"]}]}, True),
        ({"syncPolicy": HEALS, "ignoreDifferences": [{"kind": "Deployment", "name": "other", "jsonPointers": ["/spec/replicas"]}]}, True),
        ({"syncPolicy": HEALS, "ignoreDifferences": [{"kind": "Deployment", "jsonPointers": ["/spec/template"]}]}, True),
    ],
)  # fmt: skip
def test_whether_argo_cd_would_undo_scaling_is_told(spec, heals):
    workload = read_workload(a_workload("survival"), "Deployment")
    assert heals_replicas({"spec": spec}, workload) is heals
