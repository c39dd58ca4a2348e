"""Argo CD, put together where it is configured: what serves people, and what other rooms ask of it."""

from collections.abc import Callable, Iterator, Mapping

import aiohttp

from bot.access.service import Access
from bot.argocd.cluster import ArgoCluster
from bot.argocd.crowds import CARD as CROWD
from bot.argocd.crowds import CrowdCards
from bot.argocd.finding import Owners
from bot.argocd.guard import Pod
from bot.argocd.links import Links
from bot.argocd.news import CARD as STORY
from bot.argocd.news import NewsCards, NewsDesk
from bot.argocd.server import ArgoServer
from bot.argocd.service import ArgoCd
from bot.argocd.settings import ArgoSettings, compile_news
from bot.cards.store import Cards
from bot.core.clock import Clock
from bot.core.loops import Loop
from bot.core.status import StatusLine
from bot.database.engine import Database
from bot.journal.service import Journal
from bot.kube.model import WatchPhase
from bot.kube.transport import Cluster
from bot.operations.service import Operations


class Platform:
    """The cluster that is watched, as long as this process leads."""

    def __init__(
        self,
        kube: Cluster,
        argocd: Callable[[], ArgoSettings],
        *,
        database: Database,
        access: Access,
        journal: Journal,
        operations: Operations,
        session: aiohttp.ClientSession,
        clock: Clock,
        environ: Mapping[str, str],
        cards: Cards,
        channels: Callable[[], Mapping[str, str]],
    ) -> None:
        """Take the cluster, what is configured, the leading database and the rooms below.

        `channels` are our names.
        """
        self._argo = ArgoCluster(kube, argocd().namespaces, clock)
        self._owners = Owners(self._argo.applications)
        self._argo.applications.on_change(self._owners.change)
        self.argocd = ArgoCd(
            database,
            access,
            journal,
            operations,
            argo=self._argo,
            server=ArgoServer(lambda: argocd().server, session, clock),
            clock=clock,
            settings=argocd,
            pod=_own_pod(environ),
        )
        desk = NewsDesk(
            database,
            cards,
            journal,
            self._argo,
            clock=clock,
            policy=lambda: compile_news(argocd(), channels()),
        )
        news = Loop("argocd news", desk.step)
        desk.wake = news.wake
        self.loops = (*self._argo.loops, news)
        """What runs as long as this process leads."""
        self.cards: dict[str, NewsCards | CrowdCards] = {
            STORY: NewsCards(database, Links(self._argo, argocd)),
            CROWD: CrowdCards(database),
        }
        """Who renders its cards, by kind."""

    def find_app(self, labels: Mapping[str, str]) -> str | None:
        """Return the Application that an alert is about."""
        found = self._owners.find(labels)
        return str(found) if found is not None else None

    def places(self) -> list[str]:
        """Return the Applications and their namespaces, as access and completion name them."""
        applications = self._argo.applications.values()
        namespaces = {each.destination.namespace for each in applications} - {""}
        return [*(f"namespace:{name}" for name in namespaces), *(f"app:{each.key}" for each in applications)]

    def status(self) -> Iterator[StatusLine]:
        """How well the cluster is seen, a line for each kind of resource."""
        for name, health in (
            ("Applications", self._argo.applications.health),
            ("AppProjects", self._argo.projects.health),
            ("ApplicationSets", self._argo.sets.health),
        ):
            yield StatusLine(
                f"Argo CD's {name}",
                ok=health.phase is WatchPhase.SYNCED,
                text=health.problem or f"{health.objects:,} are watched",
            )


def _own_pod(environ: Mapping[str, str]) -> Pod | None:
    """Return the pod that this process runs in, as the chart tells it."""
    namespace, name = environ.get("POD_NAMESPACE"), environ.get("POD_NAME") or environ.get("HOSTNAME")
    return Pod(namespace, name) if namespace and name else None
