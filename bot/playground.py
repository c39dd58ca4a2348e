"""Minecraft, put together where it is configured: what watches the servers, and what serves people."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Self

from bot.access.service import Access
from bot.alerts.intake import Intake
from bot.cards.source import CardSource
from bot.cards.store import Cards
from bot.chat.client import MachineBot
from bot.chat.presence import Presence
from bot.core.clock import Clock
from bot.core.loops import Loop
from bot.core.status import StatusLine
from bot.database.engine import Database
from bot.journal.service import Journal
from bot.kube.model import WatchPhase
from bot.kube.transport import Cluster
from bot.minecraft.alerting import Alarms
from bot.minecraft.boards import BOARD, SETTLE, Boards
from bot.minecraft.cluster import MinecraftCluster
from bot.minecraft.conduct import START, STOP, Starting, Stopping
from bot.minecraft.discovery import Found, Pod, Workload
from bot.minecraft.keys import Keys
from bot.minecraft.model import Server, View
from bot.minecraft.pictures import Pictures
from bot.minecraft.ping import Pinger
from bot.minecraft.places import Places, compile_places
from bot.minecraft.polling import Polling
from bot.minecraft.rcon import Consoles, RconTarget
from bot.minecraft.service import Door, Minecraft
from bot.minecraft.settings import MinecraftSettings, compile_console, compile_servers
from bot.minecraft.thinning import Thinning
from bot.minecraft.whitelists import ANSWERED, ASKED, AnswerCards, RequestCards, Whitelists
from bot.operations.service import Operations
from bot.waking import Regularly

_UNASKED = (
    "Several servers stand behind its Service, so it can only be asked at its pod: name its namespace in "
    "`minecraft.namespaces`."
)


class Playground:
    """The servers that are watched, as long as this process leads."""

    def __init__(
        self,
        settings: Callable[[], MinecraftSettings],
        channels: Callable[[], Mapping[str, str]],
        *,
        database: Database,
        access: Access,
        journal: Journal,
        cards: Cards,
        intake: Intake,
        operations: Operations,
        client: Callable[[], MachineBot],
        clock: Clock,
        kube: Cluster | None = None,
        argocd_home: str = "argocd",
        zone: Callable[[], str] = lambda: "UTC",
    ) -> None:
        """Take what is configured at the moment of asking, the leading database and the rooms below.

        `kube` is the cluster in which servers are looked for and started, if there is one; `zone` names the
        time zone of pictures.
        """
        self._settings = settings
        self._known: tuple[MinecraftSettings, Mapping[str, Found]] | None = None
        self._cluster = _watched(kube, settings(), argocd_home) if kube is not None else None
        self._channels = channels
        self._pinger = Pinger()
        self._consoles = Consoles(self._console)
        self._polling = Polling(
            database,
            self._pinger,
            Alarms(intake, self._severity),
            servers=self._servers,
            settings=settings,
            clock=clock,
            is_off=self._is_off,
            knows_all=self._knows_all,
            can_be_asked=lambda name: not self._hint(self._found().get(name)),
        )
        presence = Presence(client)
        self._boards = Boards(
            database,
            cards,
            views=self._views,
            has_looked=self._has_looked,
            channels=lambda: self._places().boards,
            presence=lambda text: presence.want(text if settings().presence else ""),
            clock=clock,
        )
        door = Door(database, access, journal, self._views)
        self.minecraft = Minecraft(database, door, self._consoles, Pictures(zone=zone), clock)
        self.whitelists = Whitelists(
            database,
            door,
            self._consoles,
            journal,
            cards,
            clock=clock,
            channel=lambda: self._places().requests,
        )
        self.keys = Keys(
            door,
            operations,
            self._consoles,
            cluster=lambda: self._cluster,
            workload=self._workload,
            is_allowed=lambda: settings().write,
        )
        if self._cluster is not None:
            ways = (database, self._cluster, self._polling, clock)
            operations.register(START, Starting(*ways))
            operations.register(STOP, Stopping(*ways, consoles=lambda: self._consoles))
        self.thinning = Thinning(database, clock, settings)
        self._requests, self._answers = RequestCards(database), AnswerCards(database)
        asking = Loop("minecraft", self._polling.step, longest_wait=timedelta(days=1))
        self.regularly = Regularly(asking.wake, lambda: settings().every)
        """When servers are asked."""
        self._showing = Loop("minecraft boards", self._boards.step, shortest_wait=SETTLE)
        presenting = Loop("presence", presence.step)
        presence.wake = presenting.wake
        self._polling.on_change(self._showing.wake)
        watching: tuple[Loop, ...] = ()
        if self._cluster is not None:
            self._cluster.on_change(self._forget_found)
            self._cluster.on_change(self._showing.wake)
            self._cluster.on_change(operations.wake)
            # Whoever has just been found is asked at once.
            self._cluster.services.on_change(lambda _key, _old, _new: asking.wake())
            self._cluster.on_synced(asking.wake)
            watching = self._cluster.loops
        self.loops = (asking, self._showing, presenting, *watching)

    async def __aenter__(self) -> Self:
        await self._polling.load()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._consoles.close()
        self._pinger.close()

    @property
    def sources(self) -> Mapping[str, CardSource]:
        """What renders the cards, by their kind."""
        return {BOARD: self._boards, ASKED: self._requests, ANSWERED: self._answers}

    def reconfigured(self) -> None:
        """Take up a changed configuration."""
        self._showing.wake()

    def status(self) -> list[StatusLine]:
        """How the servers are, in a line, and how well the cluster is seen where they are looked for."""
        standings = self._polling.standings.values()
        up = sum(standing.is_up for standing in standings)
        expected = sum(standing.is_up or standing.stop is None for standing in standings)
        text = f"{up} of {len(standings)} servers are up"
        lines = [StatusLine("Minecraft", ok=up == expected, text=text)]
        if self._cluster is not None and self._settings().discover:
            health = self._cluster.health
            ok = health.phase is WatchPhase.SYNCED
            lines.append(
                StatusLine(
                    "Minecraft's Services", ok=ok, text=health.problem or f"{health.objects} are watched"
                )
            )
        return lines

    def _servers(self) -> Sequence[Server]:
        return [*compile_servers(self._settings()), *(found.server for found in self._found().values())]

    def _found(self) -> Mapping[str, Found]:
        """Return the servers of the cluster by their names; put together once for each difference."""
        settings = self._settings()
        if self._cluster is None or not settings.discover:
            return {}
        if self._known is None or self._known[0] is not settings:
            if not self._cluster.has_looked:
                # What runs them is known a moment later than they are, and says how many there are.
                return {}
            found = self._cluster.find([server.name for server in settings.servers])
            self._known = (settings, {each.server.name: each for each in found})
        return self._known[1]

    def _has_looked(self) -> bool:
        return self._cluster is None or not self._settings().discover or self._cluster.has_looked

    def _knows_all(self) -> bool:
        return self._cluster is None or not self._settings().discover or self._cluster.knows_all

    def _forget_found(self) -> None:
        self._known = None

    def _workload(self, name: str) -> Workload | None:
        if self._cluster is None:
            return None
        if (found := self._found().get(name)) is not None:
            return found.workload
        for server in self._settings().servers:
            if server.name == name and (runs := server.workload) is not None:
                return self._cluster.find_workload(runs.resource_kind, runs.namespace, runs.name)
        return None

    def _is_off(self, name: str) -> bool | None:
        workload = self._workload(name)
        return workload.is_stopped if workload is not None else None

    def _views(self) -> list[View]:
        return [self._view(server) for server in self._servers()]

    def _view(self, server: Server) -> View:
        found, workload = self._found().get(server.name), self._workload(server.name)
        return View(
            server=server,
            standing=self._polling.standings.get(server.name),
            can_start=workload is not None and self._settings().write,
            is_wanted=workload is not None and not workload.is_stopped,
            is_coming=workload is not None and workload.ready < workload.wanted,
            is_being_started=self._polling.is_being_started(server.name),
            pods=_pod_words(found.pods) if found is not None else (),
            hint=self._hint(found),
        )

    def _hint(self, found: Found | None) -> str:
        watches_pods = self._cluster is None or self._cluster.watches_pods
        return _UNASKED if found is not None and found.is_one_of_several and not watches_pods else ""

    def _places(self) -> Places:
        return compile_places(self._settings(), self._channels())

    def _console(self, server: str) -> RconTarget | None:
        return compile_console(self._settings(), server)

    def _severity(self) -> str:
        down = self._settings().down
        return down.severity if down is not None else ""


def _watched(kube: Cluster, settings: MinecraftSettings, argocd_home: str) -> MinecraftCluster | None:
    """Return what is watched of a cluster, if anything is to be: where servers are, and what runs them."""
    run_in = {server.workload.namespace for server in settings.servers if server.workload is not None}
    if not settings.discover and not run_in:
        return None
    everywhere = settings.discover and not settings.namespaces
    namespaces = () if everywhere else tuple(sorted({*settings.namespaces, *run_in}))
    return MinecraftCluster(kube, namespaces, argocd_home=argocd_home)


def _pod_words(pods: Sequence[Pod]) -> tuple[str, ...]:
    """Say how pods are where that is of interest: one that is ready is the server itself."""
    if len(pods) == 1 and pods[0].is_ready:
        return ()
    return tuple(f"{pod.name}: {pod.words}" for pod in pods)
