"""Asks each Alertmanager what is true, and corrects what we believe.

Nothing is asked while a transaction is open. What is believed is read before
Alertmanager is asked, and decided upon before a transaction begins; what has
changed here meanwhile is newer than the list and left to the next one, so that
no list ever undoes a delivery or a click.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NoReturn, ParamSpec, Protocol, TypeVar

import aiohttp
import structlog

from bot.alerts.intake import Intake
from bot.alerts.model.incident import Incident, IncidentNumber, Muting, State
from bot.alerts.muting import note_muting, set_muting
from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.model import Silence, Snapshot, Unreachable
from bot.alerts.peers.settings import AlertmanagerSettings
from bot.alerts.reconcile import (
    POLLS_TO_LOSE_SIGHT,
    Corrected,
    Decision,
    LostSight,
    Memory,
    Muted,
    Opened,
    SeenAgain,
    Unmuted,
    reconcile,
    wants_groups,
)
from bot.alerts.showing import Showing, entry_of
from bot.alerts.store.lists import list_changes, list_receivers
from bot.alerts.store.reading import find_incident, find_latest, list_of_source
from bot.alerts.store.writing import update_incident
from bot.chat.text import code, escape
from bot.core.clock import Clock
from bot.core.errors import MachineError
from bot.core.loops import Loop
from bot.core.status import StatusLine
from bot.core.tasks import first_of, running
from bot.database.engine import Database, Transaction
from bot.database.facts import find_fact, forget_fact, set_fact
from bot.telemetry import metrics

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

_DECIDED_APART: Final = 500
"""Longer lists are compared in a thread, so that no webhook waits for them."""
_JITTER: Final = 0.1
"""How much chance adds to the wait, so that several bots do not ask in step."""


class Post(Protocol):
    """Tells operators of something."""

    async def __call__(self, tx: Transaction, key: str, title: str, text: str) -> None:
        """Tell it in the transaction that knows of it."""
        ...


class Follow(Protocol):
    """Takes note of the silences that an Alertmanager lists."""

    async def __call__(
        self, tx: Transaction, source: str, listed: Iterable[Silence], *, taken_at: datetime
    ) -> None:
        """Note what is listed, as of before `taken_at`."""
        ...


@dataclass(frozen=True, slots=True)
class _Believed:
    """What we believe of a source before it is asked."""

    at: datetime
    incidents: Mapping[IncidentNumber, Incident]
    receivers: frozenset[str]
    memory: Memory


class Poll:
    """Keeps the incidents of one Alertmanager in agreement with it."""

    def __init__(
        self,
        cluster: AlertmanagerCluster,
        database: Database,
        intake: Intake,
        showing: Showing,
        *,
        clock: Clock,
        post: Post,
        follow: Follow,
    ) -> None:
        """Take whom to ask, the leading database, and the rooms that what is heard goes to."""
        self.cluster = cluster
        self._source = cluster.name
        self._database = database
        self._intake = intake
        self._showing = showing
        self._clock = clock
        self._post = post
        self._follow = follow
        self._memory: Memory | None = None
        self._heard: Snapshot | Unreachable | None = None

    @property
    def status(self) -> StatusLine:
        """How the Alertmanager is, as of the last time that it was asked."""
        name, heard = f"Alertmanager {self._source}", self._heard
        if isinstance(heard, Unreachable) and heard.is_uninvited:
            return StatusLine(name, ok=True, text=heard.why)
        if isinstance(heard, Unreachable):
            since = self._memory.fails_since if self._memory is not None else None
            return StatusLine(name, ok=False, text=heard.why, since=since)
        if heard is None:
            return StatusLine(name, ok=True, text="not asked yet")
        if heard.missing:
            of_all = heard.missing + len(heard.views)
            return StatusLine(name, ok=False, text=f"{heard.missing} of {of_all} replicas do not answer")
        return StatusLine(name, ok=True, text=f"{len(heard.views[0].alerts)} alerts fire there")

    async def step(self) -> None:
        """Ask once, and apply what was heard."""
        asked_at = self._clock.now()
        if self._memory is None:
            self._memory = await self._remembered()
        believed = await self._believed(asked_at)
        heard = await self.cluster.look()
        if isinstance(heard, Snapshot) and await _apart(heard, self._wants_groups, believed, heard):
            heard = await self.cluster.look_at_groups(heard)
        silences = await self._silences() if isinstance(heard, Snapshot) else None
        decisions, memory = await _apart(heard, self._decide, believed, heard)
        async with self._database.transaction() as tx:
            memory = await self._apply(tx, believed, decisions, memory, silences or ())
            if silences is not None:
                await self._follow(tx, self._source, silences, taken_at=asked_at)
            await self._note_health(tx, heard, memory)
        self._memory, self._heard = memory, heard
        if not (isinstance(heard, Unreachable) and heard.is_uninvited):
            metrics.BACKEND_UP.labels(backend_of(self._source)).set(isinstance(heard, Snapshot))

    async def _remembered(self) -> Memory:
        async with self._database.reading() as tx:
            known = await find_fact(tx, self._urls_fact)
        return Memory(own_urls=frozenset(json.loads(known)) if known else frozenset())

    async def _believed(self, at: datetime) -> "_Believed":
        async with self._database.reading() as tx:
            ours = await list_of_source(tx, self._source)
            receivers = await list_receivers(tx, self._source)
        return _Believed(at, {each.number: each for each in ours}, receivers, self._memory or Memory())

    def _wants_groups(self, believed: "_Believed", heard: Snapshot) -> bool:
        return wants_groups(
            tuple(believed.incidents.values()),
            heard,
            believed.memory,
            source=self._source,
            receivers=believed.receivers,
        )

    def _decide(
        self, believed: "_Believed", heard: Snapshot | Unreachable
    ) -> tuple[tuple[Decision, ...], Memory]:
        ours = tuple(believed.incidents.values())
        return reconcile(
            ours,
            heard,
            believed.memory,
            source=self._source,
            now=self._clock.now(),
            mutings={each.number: each.muting for each in ours if each.muting is not None},
            receivers=believed.receivers,
        )

    async def _silences(self) -> tuple[Silence, ...] | None:
        try:
            return await self.cluster.list_silences()
        except MachineError as error:
            log.warning("silences_not_listed", source=self._source, why=str(error))
            return None

    async def _apply(
        self,
        tx: Transaction,
        believed: "_Believed",
        decisions: Iterable[Decision],
        memory: Memory,
        silences: Iterable[Silence],
    ) -> Memory:
        changed: set[IncidentNumber] = set()
        known = {silence.id: silence for silence in silences}
        for decision in decisions:
            log.info("incident_reconciled", source=self._source, decision=type(decision).__name__)
            await self._follow_up(tx, decision, believed, changed, known)
        if memory.own_urls != believed.memory.own_urls:
            await set_fact(tx, self._urls_fact, json.dumps(sorted(memory.own_urls)))
        return await self._without_news(tx, believed, memory, but=changed)

    async def _without_news(
        self, tx: Transaction, believed: "_Believed", memory: Memory, *, but: set[IncidentNumber]
    ) -> Memory:
        """Forget the absences of what was told of since: they are to be counted from the beginning."""
        numbers = {number for number, _ in memory.absences}
        changed_at = await list_changes(tx, sorted(numbers))
        return replace(
            memory,
            absences={
                (number, fingerprint): absence
                for (number, fingerprint), absence in memory.absences.items()
                if number in but or changed_at.get(number) == believed.incidents[number].changed_at
            },
        )

    async def _follow_up(
        self,
        tx: Transaction,
        decision: Decision,
        believed: "_Believed",
        changed: set[IncidentNumber],
        silences: Mapping[str, Silence],
    ) -> None:
        """Apply a decision, unless what it is about has changed; `changed` are those that it may have."""
        if isinstance(decision, Opened):
            await self._open(tx, decision, believed)
            return
        incident = await find_incident(tx, decision.number)
        if incident is None or not incident.is_open:
            return
        if incident.number not in changed and incident != believed.incidents[incident.number]:
            log.info("incident_changed_meanwhile", incident=incident.number)
            return
        changed.add(incident.number)
        match decision:
            case Corrected(told=told):
                await self._intake.tell(tx, incident, told)
            case Muted(muting=muting):
                await self._mute(tx, incident, muting, silences)
            case Unmuted():
                await self._mute(tx, incident, None, silences)
            case LostSight(since=since):
                await self._lose_sight(tx, incident, since)
            case SeenAgain() if incident.state is State.UNKNOWN:
                await self._change(tx, incident, replace(incident, state=State.FIRING, unknown_since=None))

    async def _open(self, tx: Transaction, decision: Opened, believed: "_Believed") -> None:
        told = decision.told
        before = await find_latest(tx, told)
        if before is not None and before.changed_at >= believed.at:
            # It was told of while we asked.
            return
        if before is not None and not before.is_open and before.closing is not None:
            firing = {alert.fingerprint for alert in before.firing}
            if firing.issuperset(alert.fingerprint for alert in told.firing):
                # Somebody closed it: only a delivery opens it again.
                return
        await self._intake.tell(tx, before, told)

    async def _mute(
        self, tx: Transaction, before: Incident, muting: Muting | None, silences: Mapping[str, Silence]
    ) -> None:
        after = await set_muting(tx, self._showing, before, muting)
        await note_muting(tx, self._showing, before, after, silences)

    async def _lose_sight(self, tx: Transaction, incident: Incident, since: datetime) -> None:
        after = replace(incident, state=State.UNKNOWN, unknown_since=since)
        await self._change(tx, incident, after)
        await self._showing.record(tx, entry_of(after, "alerts:unknown"))

    async def _change(self, tx: Transaction, before: Incident, after: Incident) -> None:
        await update_incident(tx, before, after)
        await self._showing.show(tx, after)

    async def _note_health(self, tx: Transaction, heard: Snapshot | Unreachable, memory: Memory) -> None:
        """Tell operators once that it does not answer, and once that it does again."""
        down_since = await find_fact(tx, self._down_fact)
        if isinstance(heard, Unreachable) and heard.is_uninvited:
            if self._heard is None:
                log.info("grafana_not_asked", source=self._source, why=heard.why)
        elif isinstance(heard, Unreachable):
            if down_since is None and memory.failures >= POLLS_TO_LOSE_SIGHT:
                log.warning("alertmanager_unreachable", source=self._source, why=heard.why)
                since = memory.fails_since or heard.at
                await set_fact(tx, self._down_fact, since.isoformat())
                await self._post(
                    tx,
                    f"down:{self._source}:{since.isoformat()}",
                    "An Alertmanager does not answer",
                    f"{code(self._source)}: {escape(heard.why)}\nIts alerts are still taken. What it never "
                    "says is not noticed, and its incidents become UNKNOWN, until it answers again.",
                )
        elif down_since is not None:
            log.info("alertmanager_reachable", source=self._source, since=down_since)
            await forget_fact(tx, self._down_fact)
            await self._post(
                tx,
                f"up:{self._source}:{down_since}",
                "An Alertmanager answers again",
                f"{code(self._source)} is asked again what fires and what is silenced.",
            )

    @property
    def _urls_fact(self) -> str:
        return f"own-urls:{self._source}"

    @property
    def _down_fact(self) -> str:
        return f"down:{self._source}"


class Polling:
    """Asks all configured Alertmanagers, each in a loop of its own."""

    def __init__(
        self,
        settings: Callable[[], Iterable[AlertmanagerSettings]],
        every: Callable[[], timedelta],
        make: Callable[[AlertmanagerCluster], Poll],
        session: aiohttp.ClientSession,
        *,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        """Take what is configured at the moment of asking, and a session that the caller closes."""
        self._settings = settings
        self._every = every
        self._make = make
        self._session = session
        self._clock = clock
        self._chance = chance
        self._changed = asyncio.Event()
        self._known: dict[str, tuple[AlertmanagerSettings, Poll]] = {}
        self._loops: tuple[Loop, ...] = ()

    @property
    def clusters(self) -> Mapping[str, AlertmanagerCluster]:
        """The Alertmanagers that are asked, by name."""
        return {name: poll.cluster for name, poll in self._polls().items()}

    @property
    def status(self) -> list[StatusLine]:
        """How each of them is."""
        return [poll.status for poll in self._polls().values()]

    def wake(self) -> None:
        """Have all of them asked soon."""
        for loop in self._loops:
            loop.wake()

    def change(self) -> None:
        """Take the configuration of the moment."""
        self._changed.set()

    async def run(self) -> NoReturn:
        """Ask until cancelled. Raises `LostLeadershipError` in a group."""
        while True:
            self._changed.clear()
            self._loops = tuple(self._loop(name, poll) for name, poll in self._polls().items())
            async with running(loop.run() for loop in self._loops) as ended:
                # Without a loop there is nothing that could end.
                await first_of(self._changed.wait(), *((ended,) if self._loops else ()))

    def _polls(self) -> Mapping[str, Poll]:
        """Return the polls of the configuration; one that stays as it was remembers what it heard."""
        polls: dict[str, tuple[AlertmanagerSettings, Poll]] = {}
        for settings in self._settings():
            known = self._known.get(settings.name)
            if known is None or known[0] != settings:
                known = (settings, self._make(AlertmanagerCluster(settings, self._session, self._clock)))
            polls[settings.name] = known
        for name in self._known.keys() - polls.keys():
            with suppress(KeyError):
                metrics.BACKEND_UP.remove(backend_of(name))
        self._known = polls
        return {name: poll for name, (_, poll) in polls.items()}

    def _loop(self, name: str, poll: Poll) -> Loop:
        async def step() -> timedelta:
            await poll.step()
            return self._every() * (1 + _JITTER * self._chance())

        return Loop(f"poll {name}", step, longest_wait=timedelta(days=1))


async def _apart(
    heard: Snapshot | Unreachable, decide: Callable[P, T], *arguments: P.args, **named: P.kwargs
) -> T:
    """Decide over what was heard, beside the event loop where that takes long."""
    if isinstance(heard, Snapshot) and sum(len(view.alerts) for view in heard.views) > _DECIDED_APART:
        return await asyncio.to_thread(decide, *arguments, **named)
    return decide(*arguments, **named)


def backend_of(source: str) -> str:
    """Name an Alertmanager in the metrics."""
    return f"alertmanager:{source}"
