"""Asks the cluster that a configuration names whether it lets the bot do what it is configured for."""

from collections.abc import Sequence

import aiohttp

from bot.argocd.cluster import APPLICATIONS, rights_needed
from bot.argocd.server import ArgoServer
from bot.argocd.settings import ArgoSettings
from bot.core.clock import SystemClock
from bot.core.errors import MachineError
from bot.core.findings import Finding
from bot.kube.model import Right
from bot.kube.rights import missing_rights
from bot.kube.transport import Cluster
from bot.minecraft.cluster import PODS, SERVICES, WORKLOADS
from bot.minecraft.settings import MinecraftSettings
from bot.settings.kubernetes import KubernetesSettings

_MOST_NAMED = 6


async def check_cluster(
    settings: KubernetesSettings | None,
    session: aiohttp.ClientSession,
    *,
    minecraft: MinecraftSettings | None = None,
) -> list[Finding]:
    """Return what the cluster and argocd-server say; raises nothing."""
    of_minecraft = minecraft_rights(minecraft) if minecraft is not None else ()
    if settings is None or not (settings.argocd or of_minecraft):
        return []
    findings: list[Finding] = []
    async with Cluster(settings, SystemClock()) as cluster:
        try:
            if settings.argocd is not None:
                findings.append(await _check_argocd(cluster, settings.argocd))
            if of_minecraft:
                missing = await missing_rights(cluster, of_minecraft)
                findings.append(_judged("minecraft", missing, "its servers can be seen in the cluster"))
        except MachineError as error:
            return [Finding("kubernetes", is_fine=False, text=str(error))]
    if settings.argocd is not None and settings.argocd.server is not None:
        findings.append(await _check_server(settings.argocd, session))
    return findings


def minecraft_rights(settings: MinecraftSettings) -> tuple[Right, ...]:
    """Return what must be allowed to find servers where they are looked for, and to start and stop them."""
    run = [server.workload for server in settings.servers if server.workload is not None]
    if not settings.discover and not run:
        return ()
    everywhere = settings.discover and not settings.namespaces
    named = sorted({*settings.namespaces, *(workload.namespace for workload in run)})
    places: list[str | None] = [None] if everywhere else [*named]
    watched = (SERVICES, *WORKLOADS.values(), *(() if everywhere else (PODS,)))
    rights = [Right(verb, each, place) for place in places for each in watched for verb in ("list", "watch")]
    if settings.write and settings.discover:
        rights += [
            Right(verb, each, place)
            for place in places
            for each in WORKLOADS.values()
            for verb in ("get", "patch")
        ]
    elif settings.write:
        rights += [
            Right(verb, WORKLOADS[workload.resource_kind], workload.namespace, workload.name)
            for workload in run
            for verb in ("get", "patch")
        ]
    return tuple(rights)


async def _check_argocd(cluster: Cluster, settings: ArgoSettings) -> Finding:
    subject = "kubernetes.argocd"
    if not await cluster.is_installed(APPLICATIONS):
        return Finding(
            subject, is_fine=False, text="the cluster has no Argo CD; install it, or take the section out"
        )
    missing = await missing_rights(cluster, rights_needed(settings.namespaces, write=settings.write))
    how = "read and written" if settings.write else "read"
    return _judged(subject, missing, f"Applications can be {how}")


def _judged(subject: str, missing: Sequence[Right], well: str) -> Finding:
    if not missing:
        return Finding(subject, is_fine=True, text=well)
    named = ", ".join(map(str, missing[:_MOST_NAMED]))
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    text = f"the bot may not {named}{more}; grant it to the bot's service account, as the chart does"
    return Finding(subject, is_fine=False, text=text)


async def _check_server(settings: ArgoSettings, session: aiohttp.ClientSession) -> Finding:
    subject = "kubernetes.argocd.server"
    server = ArgoServer(lambda: settings.server, session, SystemClock())
    try:
        name = await server.who_am_i()
    except MachineError as error:
        return Finding(subject, is_fine=False, text=str(error))
    return Finding(subject, is_fine=True, text=f"it knows the bot as {name}")
