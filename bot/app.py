"""The composition root: builds everything, connects it, starts it and stops it.

Two stacks: what every process does (database, inbox, web server), and what only
the leader does (gateway, applier, courier, timers). Read from top to bottom.
"""

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import aiohttp
import structlog

from bot.access.service import Access, compile_policy
from bot.alerts import kinds
from bot.alerts import settings as alerts_settings
from bot.alerts import store as alerts_store
from bot.alerts.changes.service import ChangesHere
from bot.alerts.digests import Digests
from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.applier import Applier
from bot.alerts.inbox.model import DeliveryId, DeliveryState, Kind, QuarantineReason
from bot.alerts.inbox.service import Inbox
from bot.alerts.inbox.web import Webhooks
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
from bot.alerts.storm.service import Storms
from bot.alerts.storm.sources import CallCards, DigestCards
from bot.alerts.timeline.service import Timelines
from bot.alerts.whereabouts import NoTargets
from bot.cards.courier import Courier
from bot.cards.model import Card
from bot.cards.notices.service import KIND as NOTICE
from bot.cards.notices.service import NoticeQueue, Notices
from bot.cards.store import Cards
from bot.cards.threads.model import Thread
from bot.cards.threads.service import REFUSED_FOR, ThreadKeeper, Threads
from bot.chat.client import Cogs, MachineBot
from bot.chat.connection import ConnectionState, DiscordConnection
from bot.chat.handlers import Actions
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing
from bot.chat.text import code, escape
from bot.chat.wire import redirect
from bot.core.clock import Clock, SystemClock
from bot.core.durations import spoken_duration
from bot.core.errors import LostLeadershipError, UnavailableError
from bot.core.loops import Loop
from bot.core.status import StatusLine
from bot.core.tasks import first_of, running
from bot.database.engine import Database, Transaction
from bot.database.facts import FactMemory, find_fact
from bot.database.leadership import Leadership
from bot.database.migrate import upgrade
from bot.housekeeping import HEAD, HeadCards, Housekeeping, calendar
from bot.journal.model import Recorded
from bot.journal.service import Journal, Subscriber
from bot.oversight.service import Oversight
from bot.settings.load import Loaded
from bot.settings.problems import Problem
from bot.settings.reload import ConfigWatcher
from bot.settings.tree import Settings
from bot.telemetry import metrics
from bot.telemetry.lag import measure_lag
from bot.telemetry.logs import configure_logging
from bot.timers.service import Timers
from bot.version import VERSION
from bot.web.health import health_routes
from bot.web.server import WebServer
from bot.web.signature import Signing
from cogs.alerts import AlertsCog
from cogs.digests import DigestsCog
from cogs.machine import MachineCog
from cogs.silences import SilencesCog

log = structlog.get_logger(__name__)

DRAIN = timedelta(seconds=5)
"""How long deliveries in flight may take when the process ends."""
CAMPAIGN_EVERY = timedelta(seconds=2)
_FIGURES_EVERY = timedelta(seconds=15)
_PROBLEMS_SHOWN = 10


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


class App:
    """One process of the bot."""

    def __init__(
        self,
        loaded: Loaded,
        path: Path,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Take the configuration; nothing is opened before `run`."""
        self._clock = clock or SystemClock()
        self._connect = connect or self._discord
        self._settings = loaded.settings
        self._policy = compile_alert_policy(loaded.settings)
        self._access = Access(compile_policy(loaded.settings.access, loaded.settings.discord.roles))
        self._started_at = self._clock.now()
        self._journal = Journal(self._clock)
        self._cards = Cards(self._clock)
        self._database = Database(loaded.settings.database.url.get_secret_value())
        self._notices = Notices(self._database, self._cards, self._clock, self._notice_channel)
        self._queue = NoticeQueue(self._notices)
        self._watcher = ConfigWatcher(
            path, environ, loaded, apply=self._use, notify=self._tell_problems, clock=self._clock
        )
        self._wake_applier: Callable[[], None] = lambda: None
        self._hear: Subscriber = _nobody
        self._journal.subscribe(self._tell_of_entry)
        self._chat: Chat | None = None
        self._digests: Digests | None = None
        self._polling: Polling | None = None
        self.web: WebServer | None = None
        """Listening while it runs."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop; what was opened last is closed first, so requests in flight finish."""
        metrics.BUILD_INFO.labels(VERSION).set(1)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._database)
            await upgrade(self._database)
            inbox = Inbox(self._database, self._clock, wake=self._arrived)
            await stack.enter_async_context(inbox)
            notices = Loop("notices", self._queue.step)
            self._queue.wake = notices.wake
            always = [notices, Loop("configuration", self._watcher.step), Loop("lag", measure_lag)]
            await stack.enter_async_context(running(loop.run() for loop in always))
            leader = await stack.enter_async_context(self._standing_for_election())
            webhooks = Webhooks(
                inbox,
                sources=self._sources,
                unknown_source=self._tell_unknown_source,
                signing=self._signing,
            )
            health = health_routes({"database": self._check_database, "inbox": inbox.check})
            self.web = WebServer(
                self._settings.web,
                [*webhooks.routes, *health],
                too_large=self._tell_too_large,
                clock=self._clock,
            )
            await stack.enter_async_context(self.web)
            await first_of(stop.wait(), leader)
            log.info("stopping")
        if not stop.is_set():
            raise LostLeadershipError("Another process uses this SQLite file now: this one has ended.")

    async def reload(self) -> None:
        """Read the configuration now, as SIGHUP asks."""
        await self._watcher.reload()

    @asynccontextmanager
    async def _standing_for_election(self) -> AsyncIterator["asyncio.Task[None]"]:
        """Lead whenever nobody else does; the task ends by itself only when it cannot go on."""
        finish = asyncio.Event()
        task = asyncio.create_task(self._campaign(finish), name="leadership")
        try:
            yield task
        finally:
            finish.set()
            await asyncio.wait([task], timeout=2 * DRAIN.total_seconds())
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def _campaign(self, finish: asyncio.Event) -> None:
        leadership = Leadership(
            self._database, f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        )
        lost = False
        while not finish.is_set() and not (lost and self._database.is_sqlite):
            try:
                if (epoch := await leadership.acquire()) is not None:
                    log.info("leading", epoch=epoch)
                    await self._lead(leadership, epoch, finish)
                    continue
            except* LostLeadershipError:
                lost = True
                log.warning("leadership_lost")
            except* UnavailableError as group:
                log.warning("leadership_waits", why=str(group.exceptions[0]))
            await first_of(finish.wait(), asyncio.sleep(CAMPAIGN_EVERY.total_seconds()))

    async def _lead(self, leadership: Leadership, epoch: int, finish: asyncio.Event) -> None:
        """Build and run the leading stack; raises `LostLeadershipError` in a group."""
        database = self._database.under(epoch)
        timers = Timers(database, self._clock)
        threads, messages = Threads(), DiscordMessages(lambda: chat.client)
        timelines = Timelines(database, self._cards, threads, self._journal)
        self._hear = timelines.hear
        storms = Storms(database, self._cards, self._journal, self._clock, lambda: self._policy)
        showing = Showing(
            self._cards,
            timers,
            self._journal,
            self._clock,
            lambda: self._policy,
            storms=storms,
            threads=threads,
        )
        changes = ChangesHere(
            self._journal,
            self._cards,
            showing.index,
            policy=lambda: self._policy,
            targets=NoTargets(),
            guild=lambda: int(self._settings.discord.guild),
        )
        intake = Intake(database, showing, self._clock, lambda: self._policy)
        applier = Applier(database, self._clock, handle=intake.apply, notice=self._quarantined)
        applying = Loop(applier.name, applier.step, longest_wait=timedelta(seconds=2))
        alerts = Alerts(
            database,
            self._access,
            showing,
            timers,
            clock=self._clock,
            policy=lambda: self._policy,
            wake_applier=applying.wake,
        )
        session = aiohttp.ClientSession()
        silences = Silences(
            database,
            self._access,
            showing,
            self._cards,
            clusters=lambda: polling.clusters,
            clock=self._clock,
            policy=lambda: self._policy,
            silence_policy=lambda: silences_settings.compile_policy(self._settings.alerts.silences),
            zone=lambda: self._settings.alerts.silences.zone,
            guild=lambda: int(self._settings.discord.guild),
            post=self._notices.post,
            audit_channel=self._notice_channel,
            wake_poller=lambda: polling.wake(),  # noqa: PLW0108 (it is made below)
        )

        def make_poll(cluster: AlertmanagerCluster) -> Poll:
            return Poll(
                cluster,
                database,
                intake,
                showing,
                clock=self._clock,
                post=self._notices.post,
                follow=silences.follow,
            )

        polling = self._polling = Polling(
            lambda: self._settings.alertmanagers,
            lambda: self._settings.alerts.poll,
            make_poll,
            session,
            clock=self._clock,
            chance=random.random,
        )
        digests = self._digests = Digests(database, self._access, alerts, storms, policy=lambda: self._policy)
        await alerts.load()
        oversight = Oversight(
            database,
            self._journal,
            self._access,
            self._notices,
            clock=self._clock,
            status=self._status,
            places=showing.index.places,
            guild=lambda: int(self._settings.discord.guild),
            started_at=self._started_at,
        )
        actions, pacing = Actions(), Pacing(time.monotonic)

        def make_cogs(_bot: MachineBot) -> Cogs:
            yield AlertsCog(alerts, silences, actions)
            yield SilencesCog(silences, actions)
            yield DigestsCog(digests, silences, actions, self._clock)
            yield MachineCog(oversight, actions)

        def make_bot() -> MachineBot:
            return MachineBot(
                guild_id=int(self._settings.discord.guild),
                actions=actions,
                make_cogs=make_cogs,
                remember=FactMemory(database, "commands"),
                pacing=pacing,
            )

        chat = self._chat = self._connect(make_bot)
        keeper = ThreadKeeper(
            database,
            messages,
            pacing,
            clock=self._clock,
            on_start=timelines.begin,
            on_refusal=self._tell_thread_refusal,
        )
        courier = Courier(
            database,
            messages,
            pacing,
            {
                CARD: IncidentCards(database, self._clock, lambda: self._policy, changes),
                PING: PingCards(database, self._clock, lambda: self._policy),
                kinds.DIGEST: DigestCards(database, self._clock),
                kinds.CALL: CallCards(database, lambda: self._policy),
                kinds.SILENCE_ENDS: SilenceEndCards(database, self._clock),
                kinds.TIMELINE: timelines,
                NOTICE: self._notices,
                HEAD: HeadCards(),
            },
            clock=self._clock,
            fallback_channel=self._notice_channel,
            on_refusal=self._tell_refusal,
            listener=storms,
            threads=keeper,
            in_threads=frozenset({kinds.TIMELINE}),
        )
        housekeeping = Housekeeping(
            database,
            self._journal,
            self._cards,
            timers,
            clock=self._clock,
            retention=lambda: self._settings.alerts.retention,
            audit_channel=self._notice_channel,
        )
        ticking, cleaning = (
            Loop("timers", timers.step),
            Loop("housekeeping", housekeeping.step, longest_wait=timedelta(days=1)),
        )
        counting = Loop("figures", lambda: self._count(database))
        self._wake_applier = applying.wake
        self._cards.on_change(courier.wake)
        threads.on_change(keeper.wake)
        timers.on_set(ticking.wake)
        work = [
            *(loop.run() for loop in (applying, ticking, cleaning, counting)),
            leadership.keep(epoch),
            courier.run(),
            polling.run(),
            chat.run(),
        ]
        metrics.LEADING.set(1)
        try:
            async with (
                session,
                self._journal.telling(changes.hear),
                calendar(cleaning.wake),
                running(work) as ended,
            ):
                await first_of(finish.wait(), ended)
                await first_of(courier.finish(), ended, asyncio.sleep(DRAIN.total_seconds()))
        finally:
            metrics.LEADING.set(0)
            self._wake_applier = lambda: None
            self._hear = _nobody
            self._chat = self._digests = self._polling = None
            await leadership.release(epoch)

    async def _count(self, database: Database) -> timedelta:
        async with database.reading() as tx:
            counted = await alerts_store.count_open_by_severity(tx)
        for severity, number in counted.items():
            metrics.ALERTS_ACTIVE.labels(severity.name.lower()).set(number)
        return _FIGURES_EVERY

    def _discord(self, make_bot: MakeBot) -> Chat:
        discord = self._settings.discord
        redirect(discord.api_url, discord.gateway_url)
        return DiscordConnection(make_bot, self._token, clock=self._clock)

    def _token(self) -> str:
        return self._settings.discord.token.get_secret_value()

    async def _use(self, settings: Settings) -> None:
        """Take a changed configuration: routes, mappings, grants, tokens, logs."""
        self._settings = settings
        self._policy = compile_alert_policy(settings)
        self._access.use(compile_policy(settings.access, settings.discord.roles))
        configure_logging(settings.log.level, json=settings.log.format == "json")
        if self._polling is not None:
            self._polling.change()
        if self.web is not None:
            self.web.use_tokens(settings.web.tokens)

    async def _check_database(self) -> None:
        async with self._database.reading() as tx:
            await find_fact(tx, "ready")

    async def _status(self) -> list[StatusLine]:
        leader = await Leadership(self._database, "").find_leader()
        chat = self._chat.state if self._chat is not None else None
        lines = [
            StatusLine("database", ok=True, text="SQLite" if self._database.is_sqlite else "PostgreSQL"),
            StatusLine("leader", ok=leader is not None, text=leader.holder if leader else "nobody"),
        ]
        if chat is not None:
            lines.append(
                StatusLine(
                    "Discord", ok=not chat.problem, text=chat.problem or chat.phase.value, since=chat.since
                )
            )
        async with self._database.reading() as tx:
            waiting = await inbox_store.count_by_state(tx)
        quarantined = waiting.get(DeliveryState.QUARANTINED, 0)
        pending = waiting.get(DeliveryState.PENDING, 0)
        text = f"{pending} deliveries wait, {quarantined} are quarantined"
        lines.append(StatusLine("inbox", ok=not quarantined, text=text))
        if self._polling is not None:
            lines += self._polling.status
        return lines if self._digests is None else [*lines, *await self._digests.list_status()]

    def _arrived(self) -> None:
        """Wake whoever applies deliveries in this process, if it leads."""
        self._wake_applier()

    def _sources(self, kind: Kind) -> tuple[str, ...]:
        return tuple(one.name for one in self._settings.alertmanagers if one.kind == kind.value)

    def _signing(self, source: str) -> Signing | None:
        for one in self._settings.alertmanagers:
            if one.name == source and one.hmac_secret is not None:
                return Signing(
                    secret=one.hmac_secret,
                    header=one.hmac_header,
                    timestamp_header=one.hmac_timestamp_header,
                    tolerance=one.hmac_tolerance,
                )
        return None

    def _notice_channel(self) -> int | None:
        return self._policy.channels.get(self._settings.notices_channel)

    async def _quarantined(self, tx: Transaction, number: DeliveryId, reason: QuarantineReason) -> None:
        await self._notices.post(
            tx,
            f"quarantine:{reason.value}",
            "A delivery could not be applied",
            f"{reason.sentence}\nIt is kept as delivery **{number}**. Look at it with "
            f"`machine inbox show {number}`; after a remedy, `machine inbox retry {number}`.",
        )

    def _tell_unknown_source(self, kind: Kind, source: str) -> None:
        self._queue.put(
            f"source:{kind.value}:{source}",
            "Alerts come from an unknown source",
            f"{code(source)} posts to `/webhooks/{kind.value}`, but `alertmanagers` names no such source "
            f"of kind {kind.value}. "
            "Its alerts are accepted. Correct the address in its receiver, or add it to the configuration.",
        )

    def _tell_too_large(self, path: str, limit: int) -> None:
        self._queue.put(
            "too-large",
            "A delivery was refused for its size",
            f"Something larger than {limit // 2**20} MiB was posted to {code(path)}. Alertmanager does not "
            "get past this by itself: raise `web.max_body_mib`, or set `max_alerts` in its receiver.",
        )

    def _tell_refusal(self, card: Card, why: str, moved_to: int | None) -> None:
        what = f"The card {code(f'{card.kind} {card.key}')} belongs into <#{card.channel_id}>."
        then = "It is shown here instead." if moved_to is not None else "It is tried again later."
        self._queue.put(f"refused:{card.channel_id}", "Discord refused a card", f"{why}\n{what} {then}")

    def _tell_thread_refusal(self, thread: Thread, why: str) -> None:
        self._queue.put(
            f"thread:{thread.channel_id}",
            "A card has no thread",
            f"{why}\nThe route into <#{thread.channel_id}> asks for threads. Its cards are shown without. "
            "Grant the bot *Create Public Threads* and *Send Messages in Threads* there, or take `thread` "
            f"out of the route; it is tried again every {spoken_duration(REFUSED_FOR)} or so.",
        )

    async def _tell_of_entry(self, tx: Transaction, recorded: Recorded) -> None:
        await self._hear(tx, recorded)

    async def _tell_problems(self, problems: tuple[Problem, ...]) -> None:
        shown = "\n".join(f"- {escape(str(problem))}" for problem in problems[:_PROBLEMS_SHOWN])
        more = len(problems) - _PROBLEMS_SHOWN
        self._queue.put(
            "configuration",
            "The changed configuration needs a look",
            shown + (f"\nand {more} more" if more > 0 else ""),
        )


async def _nobody(_tx: Transaction, _recorded: Recorded) -> None:
    """Stand in for whoever keeps timelines, where nobody leads."""


def compile_alert_policy(settings: Settings) -> AlertPolicy:
    """Return what the configuration says about alerts."""
    return alerts_settings.compile_policy(
        settings.alerts,
        channels=settings.discord.channels,
        roles=settings.discord.roles,
        sources=(alertmanager.name for alertmanager in settings.alertmanagers),
    )
