"""Servers found in Kubernetes: which Services are one, what they are called, what runs behind them. Pure.

The conventions are those of the itzg charts and of mc-router; our own annotations come first.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bot.core.errors import InvalidError
from bot.minecraft.model import NOWHERE, Address, Edition, Server, parse_address

NAME: Final = "the-machine.dev/minecraft-name"
IGNORE: Final = "the-machine.dev/minecraft-ignore"
SHOWN: Final = "the-machine.dev/minecraft-address"
PING: Final = "the-machine.dev/minecraft-ping"
"""Where to ask, if not at the Service's name in the cluster: for a bot that runs outside of it."""
OPERATION: Final = "the-machine.dev/operation"
"""On a workload: the operation that last started or stopped it."""
TRACKING: Final = "argocd.argoproj.io/tracking-id"
INSTANCE: Final = "app.kubernetes.io/instance"
"""Which Argo CD tracks by as well, and which charts of Helm set for their own reasons."""
ROUTER_NAME: Final = "mc-router.itzg.me/externalServerName"
ROUTER_DEFAULT: Final = "mc-router.itzg.me/defaultServer"

_LABELS: Final = ("app.kubernetes.io/name", "app.kubernetes.io/component")
_LABELLED: Final = frozenset({"minecraft", "minecraft-bedrock"})
_ROUTER: Final = "mc-router"
"""Its own Service looks like that of a server, but nothing answers by the name that it has in the cluster."""
_PORT_NAMES: Final = ("mc-router", "minecraft", "minecraft-bedrock", "bedrock")
_SUFFIX: Final = re.compile(r"-minecraft(?:-bedrock)?$")
_UNFIT: Final = re.compile(r"[^a-z0-9._-]+")
_LONGEST_NAME: Final = 40
_LONGEST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Service:
    """A Service that has a Minecraft server behind it."""

    namespace: str
    name: str
    port: int
    """Of the Service."""
    target_port: int
    """Of its pods, as far as it is a number."""
    edition: Edition
    selector: tuple[tuple[str, str], ...]
    called: str = ""
    """By our annotation."""
    shown: str = ""
    ping: str = ""
    is_headless: bool = False
    """Whether its name leads to its pods themselves, and so to their ports."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What runs pods: a Deployment or a StatefulSet."""

    kind: str
    namespace: str
    name: str
    labels: tuple[tuple[str, str], ...]
    """Of its pods."""
    wanted: int
    """Replicas that should run."""
    current: int
    ready: int
    operation: str = ""
    tracking: str = ""
    instance: str = ""

    @property
    def is_stopped(self) -> bool:
        """Whether nothing runs, nor should."""
        return self.wanted == 0


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod."""

    namespace: str
    name: str
    labels: tuple[tuple[str, str], ...]
    address: str
    is_ready: bool
    words: str
    """Plain: how it is."""
    is_ending: bool = False


@dataclass(frozen=True, slots=True)
class Manager:
    """The Application that a workload belongs to."""

    name: str
    """As `namespace/name`."""
    undoes: bool | None
    """Whether it would undo a change of the number of replicas; None: it may not be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A server in the cluster."""

    server: Server
    workload: Workload | None = None
    pods: tuple[Pod, ...] = ()
    is_one_of_several: bool = False
    """Whether others stand behind the same Service, so that it can only be asked at its pod."""


def read_service(raw: Mapping[str, Any]) -> Service | None:
    """Return a Service if a Minecraft server is behind it."""
    about, spec = raw["metadata"], raw.get("spec") or {}
    notes, labels = about.get("annotations") or {}, about.get("labels") or {}
    if notes.get(IGNORE) == "true" or not spec.get("selector"):
        return None
    if labels.get(_LABELS[0]) == _ROUTER and NAME not in notes:
        return None
    is_marked = bool(notes.keys() & {ROUTER_NAME, ROUTER_DEFAULT, NAME})
    is_marked = is_marked or any(labels.get(label) in _LABELLED for label in _LABELS)
    port = _game_port(spec.get("ports") or [], is_marked=is_marked)
    if port is None:
        return None
    is_bedrock = port.get("protocol") == "UDP"
    target = port.get("targetPort")
    return Service(
        about["namespace"],
        about["name"],
        int(port["port"]),
        target if isinstance(target, int) else int(port["port"]),
        Edition.BEDROCK if is_bedrock else Edition.JAVA,
        _pairs(spec["selector"]),
        notes.get(NAME, ""),
        (notes.get(SHOWN) or _first(notes.get(ROUTER_NAME, "")) or _balanced(raw, int(port["port"])))[
            :_LONGEST_SHOWN
        ],
        notes.get(PING, ""),
        spec.get("clusterIP") == "None",
    )


def read_workload(raw: Mapping[str, Any], kind: str) -> Workload:
    """Return what is kept of a Deployment or a StatefulSet."""
    about, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    notes = about.get("annotations") or {}
    template = (spec.get("template") or {}).get("metadata") or {}
    return Workload(
        kind,
        about["namespace"],
        about["name"],
        _pairs(template.get("labels") or {}),
        int(spec.get("replicas", 1)),
        int(status.get("replicas") or 0),
        int(status.get("readyReplicas") or 0),
        notes.get(OPERATION, ""),
        notes.get(TRACKING, ""),
        (about.get("labels") or {}).get(INSTANCE, ""),
    )


def read_pod(raw: Mapping[str, Any]) -> Pod | None:
    """Return what is kept of a pod; one that has ended is of no interest."""
    about, status = raw["metadata"], raw.get("status") or {}
    phase = status.get("phase", "Unknown")
    if phase in {"Succeeded", "Failed"}:
        return None
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or []}
    containers = status.get("containerStatuses") or []
    reasons = [reason for each in containers if (reason := _waits_for(each))]
    restarts = sum(int(each.get("restartCount") or 0) for each in containers)
    is_ready = conditions.get("Ready") == "True"
    words = "ready" if is_ready else next(iter(reasons), phase.lower())
    is_ending = "deletionTimestamp" in about
    if is_ending:
        words = "ending"
    if restarts:
        words += f", restarted {restarts} times" if restarts > 1 else ", restarted once"
    return Pod(
        about["namespace"],
        about["name"],
        _pairs(about.get("labels") or {}),
        status.get("podIP", ""),
        is_ready,
        words,
        is_ending,
    )


def discover(
    services: Iterable[Service], workloads: Sequence[Workload], pods: Sequence[Pod], *, taken: Iterable[str]
) -> list[Found]:
    """Return the servers of a cluster, each with a name of its own, but those whose names are `taken`."""
    found = [each for service in _distinct(services) for each in _behind(service, workloads, pods)]
    names: set[str] = set()
    made = []
    for each in found:
        name = _free_name(each.server, names)
        if name is not None:
            names.add(name)
            made.append(replace(each, server=replace(each.server, name=name)))
    known = frozenset(taken)
    return [each for each in made if each.server.name not in known]


def pods_of(workload: Workload, pods: Iterable[Pod]) -> list[Pod]:
    """Return the pods of a workload."""
    return [
        pod
        for pod in pods
        if pod.namespace == workload.namespace and workload.labels and _selects(workload.labels, pod.labels)
    ]


def managing_application(workload: Workload, *, home: str) -> tuple[str, str] | None:
    """Return namespace and name of the Application that a workload says it belongs to."""
    name = workload.tracking.partition(":")[0] or workload.instance
    if not name:
        return None
    namespace, underscore, rest = name.partition("_")
    return (namespace, rest) if underscore else (home, name)


def heals_replicas(application: Mapping[str, Any], workload: Workload) -> bool:
    """Tell whether Argo CD would undo a change of the number of replicas."""
    # Where only the label says so, it may be a release of Helm that is called like an Application.
    if workload.instance and not workload.tracking and not _lists(application, workload):
        return False
    spec = application.get("spec") or {}
    automated = (spec.get("syncPolicy") or {}).get("automated")
    if not isinstance(automated, Mapping) or automated.get("enabled") is False:
        return False
    if not automated.get("selfHeal"):
        return False
    return not any(_ignores(each, workload) for each in spec.get("ignoreDifferences") or [])


def _lists(application: Mapping[str, Any], workload: Workload) -> bool:
    resources = (application.get("status") or {}).get("resources") or []
    wanted = (workload.kind, workload.namespace, workload.name)
    return any((each.get("kind"), each.get("namespace"), each.get("name")) == wanted for each in resources)


def _ignores(rule: Mapping[str, Any], workload: Workload) -> bool:
    if rule.get("kind") not in {workload.kind, "*"}:
        return False
    if rule.get("name") not in {None, "", workload.name} or rule.get("namespace") not in {
        None,
        "",
        workload.namespace,
    }:
        return False
    pointers = rule.get("jsonPointers") or []
    expressions = rule.get("jqPathExpressions") or []
    return "/spec/replicas" in pointers or any(".spec.replicas" in each for each in expressions)


def _game_port(ports: Sequence[Mapping[str, Any]], *, is_marked: bool) -> Mapping[str, Any] | None:
    """Return the port of the game, as mc-router looks for it: by its name, then by its number."""
    for name in _PORT_NAMES:
        for port in ports:
            if port.get("name") == name:
                return port
    for number, protocol in ((25565, "TCP"), (19132, "UDP")):
        for port in ports:
            if port.get("port") == number and port.get("protocol", "TCP") == protocol:
                return port
    is_one = is_marked and len(ports) == 1 and ports[0].get("name") in {None, "", "game"}
    return ports[0] if is_one else None


def _distinct(services: Iterable[Service]) -> list[Service]:
    """Leave out all but the best of several Services of the same pods, as StatefulSets have one more."""
    best: dict[tuple[object, ...], Service] = {}
    for each in sorted(services, key=_plainness):
        # Who gave it a name of its own wants to see it.
        best.setdefault((each.namespace, each.selector, each.target_port, each.edition, each.called), each)
    named = {key[:-1] for key, each in best.items() if each.called}
    kept = [each for key, each in best.items() if each.called or key[:-1] not in named]
    return sorted(kept, key=lambda each: (each.namespace, each.name))


def _plainness(service: Service) -> tuple[object, ...]:
    return (not service.ping, not service.shown, service.is_headless, service.name)


def _behind(service: Service, workloads: Sequence[Workload], pods: Sequence[Pod]) -> Iterator[Found]:
    chosen = [
        each
        for each in workloads
        if each.namespace == service.namespace and _selects(service.selector, each.labels)
    ]
    if len(chosen) <= 1:
        workload = chosen[0] if chosen else None
        yield Found(server=_server_of(service), workload=workload, pods=_pods_of(service, workload, pods))
        return
    # One address for several servers does not say which of them answers: each is asked at its pod.
    for workload in chosen:
        own = _pods_of(service, workload, pods)
        # While one takes the place of another, the new one is the server.
        best = min(own, key=lambda pod: (not pod.address, pod.is_ending, not pod.is_ready), default=None)
        address = best.address if best is not None else ""
        server = replace(
            _server_of(service),
            name=_plain_name(workload.name),
            address=Address(address or f"{workload.name}{NOWHERE}", service.target_port),
        )
        yield Found(server=server, workload=workload, pods=own, is_one_of_several=True)


def _pods_of(service: Service, workload: Workload | None, pods: Sequence[Pod]) -> tuple[Pod, ...]:
    wanted = service.selector if workload is None else workload.labels
    return tuple(pod for pod in pods if pod.namespace == service.namespace and _selects(wanted, pod.labels))


def _server_of(service: Service) -> Server:
    port = service.target_port if service.is_headless else service.port
    address = Address(f"{service.name}.{service.namespace}.svc", port)
    if service.ping:
        with contextlib.suppress(InvalidError):
            address = parse_address(service.ping)
    name = _plain_name(service.called or _SUFFIX.sub("", service.name))
    return Server(
        name=name,
        address=address,
        edition=service.edition,
        shown_address=service.shown,
        namespace=service.namespace,
    )


def _free_name(server: Server, taken: set[str]) -> str | None:
    for name in (server.name, f"{server.name}.{server.namespace}"):
        if name not in taken and len(name) <= _LONGEST_NAME:
            return name
    return None


def _plain_name(text: str) -> str:
    return _UNFIT.sub("-", text.lower()).strip("-._")[:_LONGEST_NAME] or "server"


def _selects(selector: Iterable[tuple[str, str]], labels: Iterable[tuple[str, str]]) -> bool:
    return set(selector) <= set(labels)


def _pairs(labels: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(key), str(value)) for key, value in labels.items()))


def _first(names: str) -> str:
    return names.partition(",")[0].strip()


def _balanced(raw: Mapping[str, Any], port: int) -> str:
    """Return the address of a load balancer, if it is one."""
    ingress = ((raw.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    host = next((each.get("hostname") or each.get("ip") for each in ingress), None)
    if not host:
        return ""
    return str(host) if port in {25565, 19132} else f"{host}:{port}"


def _waits_for(container: Mapping[str, Any]) -> str:
    waiting = (container.get("state") or {}).get("waiting") or {}
    return str(waiting.get("reason") or "")
