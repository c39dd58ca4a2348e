"""Asking all servers again and again, and writing down what changed.

One step asks all of them at once, each with a deadline of its own, and is over by
the longest of these; what one says is known at once, whatever the others do. When it
is time for the next, somebody else knows.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.core.clock import Clock
from bot.core.loops import Bug, survive
from bot.database.engine import Database, Transaction
from bot.minecraft import store
from bot.minecraft.alerting import Alarms
from bot.minecraft.figures import forget_figures, show_figures
from bot.minecraft.history import Sample
from bot.minecraft.model import (
    STARTING_LASTS,
    Alarm,
    Outcome,
    Server,
    Standing,
    Stop,
    Trouble,
    alarm,
    recovered,
    settle,
    stopped_by_what_runs_it,
    wanted,
)
from bot.minecraft.ping import Pinger
from bot.minecraft.settings import MinecraftSettings, compile_down

log = structlog.get_logger(__name__)


class Polling:
    """Knows how every server stands."""

    def __init__(
        self,
        database: Database,
        pinger: Pinger,
        alarms: Alarms,
        *,
        servers: Callable[[], Sequence[Server]],
        settings: Callable[[], MinecraftSettings],
        clock: Clock,
        is_off: Callable[[str], bool | None] = lambda _name: None,
        knows_all: Callable[[], bool] = lambda: True,
        can_be_asked: Callable[[str], bool] = lambda _name: True,
    ) -> None:
        """Take the leading database, and what is watched at the moment of asking.

        `is_off` says whether a server is to be off, as whatever runs it says; `knows_all` whether all
        servers are known: until they are, none is forgotten. Of one that cannot be asked, as things are
        configured, nobody knows that it is down.
        """
        self._database = database
        self._pinger = pinger
        self._alarms = alarms
        self._servers = servers
        self._settings = settings
        self._clock = clock
        self._is_off = is_off
        self._knows_all = knows_all
        self.can_be_asked = can_be_asked
        self._standings: dict[str, Standing] = {}
        self._shown: dict[str, Server] = {}
        self._saved: dict[str, Standing] = {}
        self._kept: dict[str, Sample] = {}
        self._being_started: dict[str, datetime] = {}
        """When it was last said of a server that somebody starts it."""
        self._on_change: Callable[[], None] = _nobody

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have somebody told after each answer."""
        self._on_change = callback

    @property
    def standings(self) -> Mapping[str, Standing]:
        """How each server stands that was asked at least once; a live view."""
        return self._standings

    async def load(self) -> None:
        """Go on where the last leader ended: who was down since when, and whom that was told."""
        async with self._database.reading() as tx:
            for standing in await store.list_standings(tx):
                self._saved[standing.server] = standing
                # What was up is asked before anybody is told that it is.
                if not standing.is_up:
                    self._standings[standing.server] = standing

    async def step(self) -> None:
        """Ask every server once, and write down what changed."""
        settings = self._settings()
        servers = {server.name: server for server in self._servers()}
        self._forget_but(servers)
        places = asyncio.Semaphore(settings.at_once)
        async with asyncio.TaskGroup() as group:
            for server in servers.values():
                group.create_task(self._ask(server, places, settings.timeout))
        await self._record(servers)

    async def note_stop(self, tx: Transaction, server: str, stop: Stop | None) -> None:
        """Remember that somebody stopped a server on purpose, or wants it back."""
        standing = self._standings.get(server)
        if standing is None:
            return
        await store.save_standing(tx, self._stopped(standing, stop))
        tx.after_commit(lambda: self._noted(server, stop))

    def note_start(self, server: str, *, goes_on: bool) -> None:
        """Remember whether somebody is starting a server, as long as this process lives."""
        was = self.is_being_started(server)
        self._being_started.pop(server, None)
        if goes_on:
            self._being_started[server] = self._clock.now()
        if goes_on != was:
            self._on_change()

    def is_being_started(self, server: str) -> bool:
        """Tell whether somebody is starting a server; not for ever of one that nobody can follow."""
        said_at = self._being_started.get(server)
        return said_at is not None and self._clock.now() - said_at < STARTING_LASTS

    def _noted(self, server: str, stop: Stop | None) -> None:
        if (standing := self._standings.get(server)) is not None:
            self._standings[server] = self._stopped(standing, stop)
            self._on_change()

    def _stopped(self, standing: Standing, stop: Stop | None) -> Standing:
        return wanted(standing, now=self._clock.now()) if stop is None else replace(standing, stop=stop)

    async def _ask(self, server: Server, places: asyncio.Semaphore, within: timedelta) -> None:
        async with places:
            pinged = await survive(
                self._pinger.ping(server, within=within), name="minecraft", server=server.name
            )
        self._heard(server, Trouble.GARBAGE if isinstance(pinged, Bug) else pinged)

    def _heard(self, server: Server, outcome: Outcome) -> None:
        before, now = self._standings.get(server.name), self._clock.now()
        if before is None and (saved := self._saved.get(server.name)) is not None:
            before = replace(saved, misses=1)
        after = settle(before, outcome, server=server.name, now=now)
        self._standings[server.name] = after
        show_figures(server, outcome, after)
        if before is None or before.condition is not after.condition:
            was = before.condition.value if before is not None else None
            log.info("minecraft_server_changed", server=server.name, was=was, now=after.condition.value)
        self._on_change()

    async def _record(self, servers: Mapping[str, Server]) -> None:
        """Write down what is worth it, in one transaction; mostly there is nothing."""
        now, rules = self._clock.now(), compile_down(self._settings())
        until_next = self._settings().until_next
        changed: list[tuple[Standing, Alarm | None]] = []
        samples: list[tuple[str, Sample]] = []
        for name in servers:
            is_askable = self.can_be_asked(name)
            standing = recovered(self._standings[name], rules, now)
            standing = stopped_by_what_runs_it(standing, is_off=self._is_off(name), now=now)
            todo = alarm(standing, rules if is_askable else None, now, is_awaited=self.is_being_started(name))
            if todo is not None:
                standing = replace(standing, alarmed=todo is Alarm.OPEN)
            if todo is not None or _written(standing) != _written(self._saved.get(name)):
                changed.append((standing, todo))
            sample = Sample.of(standing)
            is_seen = is_askable and standing.misses == 0
            if is_seen and sample.says_more_than(self._kept.get(name), until_next=until_next):
                samples.append((name, sample))
        gone = self._saved.keys() - servers.keys() if self._knows_all() else set()
        if changed or samples or gone:
            await self._save(servers, changed, samples, gone, now)

    async def _save(
        self,
        servers: Mapping[str, Server],
        changed: Sequence[tuple[Standing, Alarm | None]],
        samples: Sequence[tuple[str, Sample]],
        gone: Collection[str],
        now: datetime,
    ) -> None:
        over = [self._saved[name] for name in gone if self._saved[name].alarmed]
        async with self._database.transaction() as tx:
            await store.add_samples(tx, samples)
            for standing, todo in changed:
                await store.save_standing(tx, standing)
                if todo is not None:
                    await self._alarms.tell(tx, standing, todo, server=servers[standing.server], now=now)
            for standing in over:
                # Nobody watches it any more, so nobody will ever say that it is back.
                await self._alarms.tell(tx, standing, Alarm.CLOSE, server=None, now=now)
            await store.forget_servers(tx, gone)
        for standing, _ in changed:
            self._saved[standing.server] = standing
            latest = self._standings[standing.server]
            self._standings[standing.server] = replace(
                latest, alarmed=standing.alarmed, down_since=standing.down_since, stop=standing.stop
            )
        self._kept.update(samples)
        for name in gone:
            del self._saved[name]

    def _forget_but(self, servers: Mapping[str, Server]) -> None:
        for name, server in self._shown.items():
            if servers.get(name) != server:
                forget_figures(server)
        for name in self._standings.keys() - servers.keys() if self._knows_all() else ():
            del self._standings[name]
            self._kept.pop(name, None)
        self._shown = dict(servers)


def _written(standing: Standing | None) -> tuple[object, ...]:
    """Return what is worth a row when it changes."""
    if standing is None:
        return ()
    return (
        standing.condition,
        standing.trouble,
        standing.since,
        standing.down_since,
        standing.alarmed,
        standing.stop,
    )


def _nobody() -> None:
    """Stand in until somebody wants to know."""
