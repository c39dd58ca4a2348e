"""The leading stack: what one process of all does. Built anew each time that it comes to lead.

Read from top to bottom; what runs together is at the end.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import aiohttp

from bot.access.service import Access
from bot.alerts import kinds
from bot.alerts.changes.service import ChangesHere
from bot.alerts.digests import Digests
from bot.alerts.inbox.applier import Applier
from bot.alerts.intake import Intake
from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.policy import AlertPolicy
from bot.alerts.polling import Poll, Polling
from bot.alerts.service import Alerts
from bot.alerts.showing import CARD, PING, Showing
from bot.alerts.silences import settings as silences_settings
from bot.alerts.silences.service import Silences
from bot.alerts.silences.sources import SilenceEndCards
from bot.alerts.sources import IncidentCards, PingCards
from bot.alerts.store.lists import count_open_by_severity
from bot.alerts.storm.service import Storms
from bot.alerts.storm.sources import CallCards, DigestCards
from bot.alerts.timeline.service import Timelines
from bot.alerts.whereabouts import NoTargets
from bot.argocd.settings import ArgoSettings
from bot.cards.courier import Courier
from bot.cards.notices.service import KIND as NOTICE
from bot.cards.notices.service import Notices
from bot.cards.store import Cards
from bot.cards.threads.service import ThreadKeeper, Threads
from bot.chat.client import Cogs, MachineBot
from bot.chat.connection import ConnectionState
from bot.chat.handlers import Actions
from bot.chat.members import Members
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing
from bot.core.clock import Clock
from bot.core.loops import Loop
from bot.core.status import StatusLine
from bot.core.tasks import first_of, running
from bot.database.engine import Database
from bot.database.facts import FactMemory
from bot.examination.everything import examine
from bot.housekeeping import HEAD, HeadCards, Housekeeping
from bot.journal.service import Journal
from bot.kube.settings import Surroundings
from bot.kube.transport import Cluster
from bot.minecraft.settings import MinecraftSettings
from bot.operations import settings as operations_settings
from bot.operations.service import Operations
from bot.operations.sources import OPERATION, OperationCards
from bot.oversight.service import Oversight
from bot.platform import Platform
from bot.playground import Playground
from bot.settings.tree import Settings
from bot.telemetry import metrics
from bot.telemetry.requests import only_while, traced_requests
from bot.timers.service import Timers
from bot.troubles import Troubles
from bot.waking import waking
from cogs.alerts import AlertsCog
from cogs.argocd import ArgoCdCog
from cogs.digests import DigestsCog
from cogs.machine import MachineCog
from cogs.minecraft import MinecraftCog
from cogs.operations import OperationsCog
from cogs.silences import SilencesCog
from cogs.threads import ThreadsCog

FIGURES_EVERY = timedelta(seconds=15)
DRAIN = timedelta(seconds=5)
"""How long what is under way may take when the process ends."""


class Chat(Protocol):
    """The connection to Discord: the real one, or the demo's."""

    @property
    def client(self) -> MachineBot:
        """Return the client that is logged in; raises `UnavailableError` when none is."""
        ...

    @property
    def state(self) -> ConnectionState:
        """Return how the connection is."""
        ...

    async def run(self) -> None:
        """Stay connected until cancelled."""
        ...


MakeBot = Callable[[], MachineBot]
Connect = Callable[[MakeBot], Chat]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the process stands on, whether it leads or not."""

    clock: Clock
    journal: Journal
    cards: Cards
    access: Access
    notices: Notices
    troubles: Troubles
    connect: Connect
    environ: Mapping[str, str]
    settings: Callable[[], Settings]
    """The configuration in force."""
    policy: Callable[[], AlertPolicy]
    """What it says about alerts."""
    status: Callable[[], Awaitable[list[StatusLine]]]
    """How the whole process is."""
    started_at: datetime


class Leading:
    """Everything that one process alone does, under the epoch in which it leads."""

    def __init__(self, ground: Ground, database: Database) -> None:
        """Build it over the database of an epoch; nothing runs yet."""
        self._ground, self._database = ground, database
        clock, settings, policy = ground.clock, ground.settings, ground.policy
        cards, journal, access = ground.cards, ground.journal, ground.access
        notices, troubles = ground.notices, ground.troubles

        def guild() -> int:
            return int(settings().discord.guild)

        timers = self._timers = Timers(database, clock)
        threads, messages = Threads(), DiscordMessages(lambda: self.chat.client)
        self._timelines = Timelines(database, cards, threads, journal)
        storms = Storms(database, cards, journal, clock, policy)
        showing = Showing(cards, timers, journal, clock, policy, storms=storms, threads=threads)
        members = Members(lambda: self.chat.client, guild)
        operations = Operations(
            database,
            access,
            cards,
            journal,
            clock=clock,
            policy=lambda: operations_settings.compile_policy(
                settings().operations, settings().discord.channels
            ),
            guild=guild,
            look_up=members.look_up,
        )
        self._session = aiohttp.ClientSession(
            trace_configs=[only_while(database.check_lease), traced_requests()]
        )
        self._kube = self._build_kube()
        self._platform = self._build_platform(operations)
        self._changes = ChangesHere(
            journal,
            cards,
            showing.index,
            policy=policy,
            targets=self._platform or NoTargets(),
            guild=guild,
        )
        intake = Intake(database, showing, clock, policy)
        self._playground = self._build_playground(intake, operations)
        applier = Applier(database, clock, handle=intake.apply, notice=troubles.quarantined)
        applying = Loop(applier.name, applier.step, longest_wait=timedelta(seconds=2))
        self._alerts = Alerts(
            database,
            access,
            showing,
            timers,
            timelines=self._timelines,
            clock=clock,
            policy=policy,
            wake_applier=applying.wake,
        )
        silences = Silences(
            database,
            access,
            showing,
            cards,
            clusters=lambda: self._polling.clusters,
            clock=clock,
            policy=policy,
            silence_policy=lambda: silences_settings.compile_policy(settings().alerts.silences),
            zone=lambda: settings().alerts.silences.zone,
            guild=guild,
            post=notices.post,
            audit_channel=notices.channel,
            wake_poller=lambda: self._polling.wake(),  # noqa: PLW0108 (it is made below)
        )

        def make_poll(cluster: AlertmanagerCluster) -> Poll:
            return Poll(
                cluster, database, intake, showing, clock=clock, post=notices.post, follow=silences.follow
            )

        self._polling = Polling(
            lambda: settings().alertmanagers,
            lambda: settings().alerts.poll,
            make_poll,
            self._session,
            clock=clock,
            chance=random.random,
        )
        self._digests = Digests(database, access, self._alerts, storms, policy=policy)
        oversight = Oversight(
            database,
            journal,
            access,
            notices,
            clock=clock,
            status=ground.status,
            examine=lambda: examine(settings()),
            places=lambda: self._places(showing),
            guild=guild,
            started_at=ground.started_at,
        )
        actions, pacing = Actions(), Pacing(time.monotonic)

        def make_cogs(_bot: MachineBot) -> Cogs:
            yield AlertsCog(self._alerts, silences, actions)
            yield SilencesCog(silences, actions)
            yield DigestsCog(self._digests, silences, actions, clock)
            yield from (MachineCog(oversight, actions), ThreadsCog(keeper))
            yield OperationsCog(operations, actions)
            if self._platform is not None:
                yield ArgoCdCog(self._platform.argocd, actions)
            yield from self._minecraft_cogs(actions)

        def make_bot() -> MachineBot:
            return MachineBot(
                guild_id=guild(),
                actions=actions,
                make_cogs=make_cogs,
                remember=FactMemory(database, "commands"),
                pacing=pacing,
                may_act=database.check_lease,
            )

        self.chat = ground.connect(make_bot)
        keeper = ThreadKeeper(
            database,
            messages,
            pacing,
            cards,
            clock=clock,
            on_start=self._timelines.begin,
            on_refusal=troubles.thread_refused,
        )
        self._courier = Courier(
            database,
            messages,
            pacing,
            {
                CARD: IncidentCards(database, clock, policy, self._changes),
                PING: PingCards(database, clock, policy),
                kinds.DIGEST: DigestCards(database, clock),
                kinds.CALL: CallCards(database, policy),
                kinds.SILENCE_ENDS: SilenceEndCards(database, clock),
                kinds.TIMELINE: self._timelines,
                OPERATION: OperationCards(database),
                NOTICE: notices,
                HEAD: HeadCards(),
                **(self._platform.cards if self._platform is not None else {}),
                **(self._playground.sources if self._playground is not None else {}),
            },
            clock=clock,
            fallback_channel=notices.channel,
            on_refusal=troubles.card_refused,
            listener=storms,
            threads=keeper,
            in_threads=frozenset({kinds.TIMELINE}),
        )
        housekeeping = Housekeeping(
            database,
            journal,
            cards,
            timers,
            clock=clock,
            retention=lambda: settings().alerts.retention,
            audit_channel=notices.channel,
            also=[self._playground.thinning.step] if self._playground is not None else (),
        )
        ticking, following = Loop("timers", timers.step), Loop("operations", operations.step)
        self._cleaning = Loop("housekeeping", housekeeping.step, longest_wait=timedelta(days=1))
        self._loops = (
            applying,
            ticking,
            following,
            self._cleaning,
            Loop("figures", self._count),
            *(self._platform.loops if self._platform is not None else ()),
            *(self._playground.loops if self._playground is not None else ()),
        )
        self.wake_applier = applying.wake
        cards.on_change(self._courier.wake)
        threads.on_change(keeper.wake)
        timers.on_set(ticking.wake)
        operations.on_due(following.wake)

    async def run(self, finish: asyncio.Event, keep: Coroutine[Any, Any, None]) -> None:
        """Lead until told to finish; `keep` renews the right to. Raises `LostLeadershipError` in a group."""
        journal, kube = self._ground.journal, self._kube or nullcontext()
        async with self._session, kube, self._playground or nullcontext(), running([keep]) as kept:
            await self._alerts.load()
            work = [
                *(loop.run() for loop in self._loops),
                self._courier.run(),
                self._polling.run(),
                self.chat.run(),
            ]
            async with (
                journal.telling(self._timelines.hear),
                journal.telling(self._changes.hear),
                waking(
                    hourly=[self._cleaning.wake],
                    regularly=[self._playground.regularly] if self._playground is not None else [],
                ),
                running(work) as ended,
            ):
                await first_of(finish.wait(), ended, kept)
                await first_of(self._courier.finish(), ended, kept, asyncio.sleep(DRAIN.total_seconds()))

    def reconfigured(self) -> None:
        """Take up a changed configuration."""
        self._polling.change()
        if self._playground is not None:
            self._playground.reconfigured()

    async def list_status(self) -> list[StatusLine]:
        """Return how each part is."""
        chat = self.chat.state
        return [
            StatusLine(
                "Discord", ok=not chat.problem, text=chat.problem or chat.phase.value, since=chat.since
            ),
            *self._polling.status,
            *(self._platform.status() if self._platform is not None else ()),
            *(self._playground.status() if self._playground is not None else ()),
            *await self._digests.list_status(),
        ]

    def _build_kube(self) -> Cluster | None:
        kubernetes = self._ground.settings().kubernetes
        if kubernetes is None:
            return None
        surroundings, may_act = Surroundings(self._ground.environ), self._database.check_lease
        return Cluster(kubernetes, self._ground.clock, surroundings=surroundings, may_act=may_act)

    def _build_platform(self, operations: Operations) -> Platform | None:
        kubernetes = self._ground.settings().kubernetes
        if self._kube is None or kubernetes is None or kubernetes.argocd is None:
            return None
        return Platform(
            self._kube,
            self._argocd,
            database=self._database,
            access=self._ground.access,
            journal=self._ground.journal,
            operations=operations,
            session=self._session,
            clock=self._ground.clock,
            environ=self._ground.environ,
            cards=self._ground.cards,
            channels=lambda: self._ground.settings().discord.channels,
        )

    def _build_playground(self, intake: Intake, operations: Operations) -> Playground | None:
        if self._ground.settings().minecraft is None:
            return None
        ground = self._ground
        return Playground(
            self._minecraft,
            lambda: ground.settings().discord.channels,
            database=self._database,
            access=ground.access,
            journal=ground.journal,
            cards=ground.cards,
            intake=intake,
            operations=operations,
            client=lambda: self.chat.client,
            clock=ground.clock,
            kube=self._kube,
            zone=lambda: ground.settings().alerts.silences.timezone,
            argocd_home=next(iter(self._argocd().namespaces), "argocd"),
        )

    def _minecraft_cogs(self, actions: Actions) -> Cogs:
        if (playground := self._playground) is not None:
            services = (playground.minecraft, playground.whitelists, playground.keys)
            yield MinecraftCog(*services, actions, self._ground.clock)

    def _minecraft(self) -> MinecraftSettings:
        return self._ground.settings().minecraft or MinecraftSettings()

    def _argocd(self) -> ArgoSettings:
        kubernetes = self._ground.settings().kubernetes
        return (kubernetes and kubernetes.argocd) or ArgoSettings()

    def _places(self, showing: Showing) -> list[str]:
        """Return the namespaces and Applications that are known, as access names them."""
        watched = self._platform.places() if self._platform is not None else ()
        return sorted({*showing.index.places(), *watched}, reverse=True)

    async def _count(self) -> timedelta:
        async with self._database.reading() as tx:
            counted = await count_open_by_severity(tx)
        for severity, number in counted.items():
            metrics.ALERTS_ACTIVE.labels(severity.name.lower()).set(number)
        return FIGURES_EVERY
