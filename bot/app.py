"""The composition root: builds everything, connects it, starts it and stops it.

Two stacks: what every process does (database, inbox, web server), and what only
the leader does (gateway, applier, courier, timers). Read from top to bottom.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import structlog

from bot.access.service import Access, compile_policy
from bot.alerts import settings as alerts_settings
from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import DeliveryState, Kind
from bot.alerts.inbox.service import Inbox
from bot.alerts.inbox.web import Webhooks
from bot.alerts.policy import AlertPolicy
from bot.cards.notices.service import Notices
from bot.cards.store import Cards
from bot.chat.connection import DiscordConnection
from bot.chat.wire import redirect
from bot.core.clock import Clock, SystemClock
from bot.core.errors import LostLeadershipError, UnavailableError
from bot.core.loops import Loop
from bot.core.status import StatusLine
from bot.core.tasks import first_of, running
from bot.database.bells import Bell, Bells
from bot.database.engine import Database
from bot.database.facts import find_fact
from bot.database.leadership import Leader, Leadership
from bot.database.migrate import upgrade
from bot.journal.service import Journal
from bot.leading import DRAIN, Chat, Connect, Ground, Leading, MakeBot
from bot.settings.load import Loaded
from bot.settings.reload import ConfigWatcher
from bot.settings.tree import Settings
from bot.telemetry import metrics
from bot.telemetry.lag import measure_lag
from bot.telemetry.logs import configure_logging
from bot.troubles import Troubles
from bot.version import VERSION
from bot.web.health import health_routes
from bot.web.server import WebServer
from bot.web.signature import Signing

log = structlog.get_logger(__name__)

CAMPAIGN_EVERY = timedelta(seconds=2)


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
        self._environ = environ
        self._clock = clock or SystemClock()
        self._connect = connect or self._discord
        self._settings = loaded.settings
        self._policy = compile_alert_policy(loaded.settings)
        self._access = Access(
            compile_policy(loaded.settings.access, loaded.settings.discord.roles), self._clock
        )
        self._started_at = self._clock.now()
        self._journal = Journal(self._clock)
        self._cards = Cards(self._clock)
        database = loaded.settings.database
        self._database = Database(database.url.get_secret_value(), database.limits)
        self._leadership = Leadership(self._database, _name_of_process())
        self._bells = Bells(self._database)
        self._called = asyncio.Event()
        self._notices = Notices(self._database, self._cards, self._clock, self._notice_channel)
        self._troubles = Troubles(self._notices)
        self._watcher = ConfigWatcher(
            path, environ, loaded, apply=self._use, notify=self._troubles.configuration, clock=self._clock
        )
        self._leading: Leading | None = None
        self.web: WebServer | None = None
        """Listening while it runs."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop; what was opened last is closed first, so requests in flight finish."""
        metrics.BUILD_INFO.labels(VERSION).set(1)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._database)
            if not await self._has_tables(stop):
                return
            inbox = Inbox(self._database, self._clock, wake=self._arrived)
            await stack.enter_async_context(inbox)
            notices = Loop("notices", self._troubles.queue.step)
            self._troubles.queue.wake = notices.wake
            always = [
                notices,
                Loop("configuration", self._watcher.step),
                Loop("lag", measure_lag),
                *self._bells.loops,
            ]
            self._bells.on(Bell.DELIVERY, self._apply)
            self._bells.on(Bell.VACANCY, self._called.set)
            await stack.enter_async_context(running(loop.run() for loop in always))
            leader = await stack.enter_async_context(self._standing_for_election())
            webhooks = Webhooks(
                inbox,
                sources=self._sources,
                unknown_source=self._troubles.unknown_source,
                signing=self._signing,
            )
            health = health_routes({"database": self._check_database, "inbox": inbox.check})
            self.web = WebServer(
                self._settings.web,
                [*webhooks.routes, *health],
                too_large=self._troubles.too_large,
                clock=self._clock,
            )
            await stack.enter_async_context(self.web)
            await first_of(stop.wait(), leader)
            log.info("stopping")
        if not stop.is_set():
            raise LostLeadershipError("Another process uses this SQLite file now: this one has ended.")

    async def _has_tables(self, stop: asyncio.Event) -> bool:
        """Bring the tables up to date, once PostgreSQL is there; False when told to stop before.

        Raises:
            UnavailableError: With SQLite: what is wrong with its file does not pass by itself.
        """
        waits = False
        while not stop.is_set():
            try:
                await upgrade(self._database)
            except UnavailableError as error:
                if self._database.is_sqlite:
                    raise
                if not waits:
                    log.warning("database_waits", why=str(error))
                waits = True
                await first_of(stop.wait(), asyncio.sleep(CAMPAIGN_EVERY.total_seconds()))
            else:
                return True
        return False

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
        lost = waits = False
        while not finish.is_set() and not (lost and self._database.is_sqlite):
            self._called.clear()
            try:
                epoch = await self._leadership.acquire()
                waits = False
                if epoch is not None:
                    log.info("leading", epoch=epoch, holder=self._leadership.holder)
                    await self._lead(epoch, finish)
                    continue
            except* LostLeadershipError:
                lost = True
                log.warning("leadership_lost")
            except* UnavailableError as group:
                if not waits:
                    log.warning("leadership_waits", why=str(group.exceptions[0]))
                waits = True
            await first_of(finish.wait(), self._called.wait(), asyncio.sleep(CAMPAIGN_EVERY.total_seconds()))

    async def _lead(self, epoch: int, finish: asyncio.Event) -> None:
        """Run the leading stack; raises `LostLeadershipError` in a group."""
        ground = Ground(
            clock=self._clock,
            journal=self._journal,
            cards=self._cards,
            access=self._access,
            notices=self._notices,
            troubles=self._troubles,
            connect=self._connect,
            environ=self._environ,
            settings=lambda: self._settings,
            policy=lambda: self._policy,
            status=self._status,
            started_at=self._started_at,
        )
        leadership = self._leadership
        database = self._database.under(epoch, leadership.check, holder=leadership.holder)
        self._leading = Leading(ground, database)
        metrics.LEADING.set(1)
        metrics.LEADERSHIP_EPOCH.set(epoch)
        try:
            await self._leading.run(finish, leadership.keep(epoch))
        finally:
            metrics.LEADING.set(0)
            self._leading = None
            await leadership.release(epoch)

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
        told = settings.log
        configure_logging(told.level, json=told.format == "json", trace_key=told.trace_key)
        if self._leading is not None:
            self._leading.reconfigured()
        if self.web is not None:
            self.web.use_tokens(settings.web.tokens)

    async def _check_database(self) -> None:
        async with self._database.reading() as tx:
            await find_fact(tx, "ready")

    async def _status(self) -> list[StatusLine]:
        leader = await self._leadership.find_leader()
        async with self._database.reading() as tx:
            waiting = await inbox_store.count_by_state(tx)
        quarantined = waiting.get(DeliveryState.QUARANTINED, 0)
        pending = waiting.get(DeliveryState.PENDING, 0)
        text = f"{pending} deliveries wait, {quarantined} are quarantined"
        return [
            StatusLine("database", ok=True, text="SQLite" if self._database.is_sqlite else "PostgreSQL"),
            StatusLine("leader", ok=leader is not None and leader.is_current, text=_who_leads(leader)),
            StatusLine("inbox", ok=not quarantined, text=text),
            *(await self._leading.list_status() if self._leading is not None else ()),
        ]

    def _arrived(self) -> None:
        """Have deliveries applied that were committed here, by whoever leads."""
        if self._leading is not None:
            self._leading.wake_applier()
        else:
            self._bells.ring(Bell.DELIVERY)

    def _apply(self) -> None:
        """Apply deliveries that were committed elsewhere, if this process leads."""
        if self._leading is not None:
            self._leading.wake_applier()

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


def _name_of_process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def _who_leads(leader: Leader | None) -> str:
    if leader is None:
        return "nobody"
    who = f"{leader.holder}, epoch {leader.epoch}"
    return who if leader.is_current else f"nobody now; before it was {who}"


def compile_alert_policy(settings: Settings) -> AlertPolicy:
    """Return what the configuration says about alerts."""
    return alerts_settings.compile_policy(
        settings.alerts,
        channels=settings.discord.channels,
        roles=settings.discord.roles,
        sources=(alertmanager.name for alertmanager in settings.alertmanagers),
    )
