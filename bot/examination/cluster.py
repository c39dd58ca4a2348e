"""Asks the cluster that a configuration names whether it lets the bot do what it is configured for."""

import aiohttp

from bot.argocd.cluster import APPLICATIONS, rights_needed
from bot.argocd.server import ArgoServer
from bot.argocd.settings import ArgoSettings
from bot.core.clock import SystemClock
from bot.core.errors import MachineError
from bot.core.findings import Finding
from bot.kube.rights import missing_rights
from bot.kube.transport import Cluster
from bot.settings.kubernetes import KubernetesSettings

_MOST_NAMED = 6


async def check_cluster(settings: KubernetesSettings | None, session: aiohttp.ClientSession) -> list[Finding]:
    """Return what the cluster and argocd-server say; raises nothing."""
    if settings is None or settings.argocd is None:
        return []
    async with Cluster(settings, SystemClock()) as cluster:
        try:
            findings = [await _check_argocd(cluster, settings.argocd)]
        except MachineError as error:
            return [Finding("kubernetes", is_fine=False, text=str(error))]
    if settings.argocd.server is not None:
        findings.append(await _check_server(settings.argocd, session))
    return findings


async def _check_argocd(cluster: Cluster, settings: ArgoSettings) -> Finding:
    subject = "kubernetes.argocd"
    if not await cluster.is_installed(APPLICATIONS):
        return Finding(
            subject, is_fine=False, text="the cluster has no Argo CD; install it, or take the section out"
        )
    missing = await missing_rights(cluster, rights_needed(settings.namespaces, write=settings.write))
    if missing:
        named = ", ".join(map(str, missing[:_MOST_NAMED]))
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        text = f"the bot may not {named}{more}; grant it to the bot's service account, as the chart does"
        return Finding(subject, is_fine=False, text=text)
    how = "read and written" if settings.write else "read"
    return Finding(subject, is_fine=True, text=f"Applications can be {how}")


async def _check_server(settings: ArgoSettings, session: aiohttp.ClientSession) -> Finding:
    subject = "kubernetes.argocd.server"
    server = ArgoServer(lambda: settings.server, session, SystemClock())
    try:
        name = await server.who_am_i()
    except MachineError as error:
        return Finding(subject, is_fine=False, text=str(error))
    return Finding(subject, is_fine=True, text=f"it knows the bot as {name}")
