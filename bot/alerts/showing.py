"""What follows from an incident: its cards, its pings, its reminders, its place in the index.

Everything here happens inside the transaction that changes the incident.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.alerts import kinds
from bot.alerts.model.applying import Change
from bot.alerts.model.incident import Destination, Incident, IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.policy import AlertPolicy
from bot.alerts.store.pings import find_ping, next_ping
from bot.alerts.store.reading import find_incident
from bot.alerts.storm.model import Place
from bot.alerts.storm.service import Storms
from bot.alerts.timeline.model import CALLED
from bot.alerts.whereabouts import NOWHERE, NoTargets, Targets, Whereabouts, whereabouts
from bot.alerts.words import where
from bot.cards.model import Priority
from bot.cards.store import Cards
from bot.cards.threads.service import Threads
from bot.core.actor import THE_MACHINE
from bot.core.clock import Clock
from bot.core.durations import spoken_duration
from bot.database.engine import Transaction
from bot.journal.model import Entry, Scalar
from bot.journal.service import Journal
from bot.timers.service import Timers

CARD = kinds.INCIDENT
PING = kinds.PING
REMIND = "alerts.remind"

QUIET_AFTER_PING = timedelta(minutes=5)
"""An incident that flaps pings no more often than this."""

_PRIORITIES = {
    Severity.CRITICAL: Priority.URGENT,
    Severity.WARNING: Priority.NORMAL,
    Severity.INFO: Priority.LOW,
}


@dataclass(frozen=True, slots=True)
class Known:
    """What completion needs to know of an open incident."""

    number: IncidentNumber
    title: str
    where: str
    severity: Severity
    acknowledged: bool
    targets: tuple[str, ...]
    """Its names in the access policy."""
    whereabouts: Whereabouts = NOWHERE
    """Where its alerts fire."""
    silenced: bool = False
    """Whether a silence keeps an alert of it quiet."""


class Index:
    """The open incidents, held in memory for completion."""

    def __init__(self) -> None:
        """Start empty; filled when leading begins."""
        self._known: dict[IncidentNumber, Known] = {}
        self._targets: Targets = NoTargets()

    def use(self, targets: Targets) -> None:
        """Have somebody say which Application an alert is about."""
        self._targets = targets

    def note(self, incident: Incident) -> None:
        """Remember an open incident, forget one that is over."""
        if not incident.is_open:
            self._known.pop(incident.number, None)
            return
        self._known[incident.number] = Known(
            incident.number,
            incident.title,
            where(incident),
            incident.severity,
            incident.acknowledgement is not None,
            targets_of(incident),
            whereabouts(incident, self._targets),
            silenced=bool(incident.muting is not None and incident.muting.silences),
        )

    def places(self) -> list[str]:
        """Return where open incidents are, as the access policy names places: of each kind in order."""
        found = [known.whereabouts for known in self._known.values()]
        namespaces = {f"namespace:{name}" for each in found for name in each.namespaces}
        apps = {f"app:{name}" for each in found for name in each.apps}
        return [*sorted(namespaces), *sorted(apps)]

    def all(self) -> list[Known]:
        """Return the open incidents, the worst and newest first."""
        return sorted(self._known.values(), key=lambda known: (-known.severity, -known.number))


class Showing:
    """Keeps cards, pings and reminders in step with incidents."""

    def __init__(
        self,
        cards: Cards,
        timers: Timers,
        journal: Journal,
        clock: Clock,
        policy: Callable[[], AlertPolicy],
        *,
        storms: Storms,
        threads: Threads,
    ) -> None:
        """Take the rooms below and what the configuration says at the moment of asking."""
        self.index = Index()
        self._cards = cards
        self._timers = timers
        self._journal = journal
        self._clock = clock
        self._policy = policy
        self._storms = storms
        self._threads = threads
        timers.register(REMIND, self._remind)

    async def show(self, tx: Transaction, incident: Incident) -> None:
        """Have every card of an incident rendered, new ones too."""
        channels = self._policy().channels
        for destination in incident.destinations:
            # A channel that was taken out of the configuration keeps its cards as they are.
            if (channel_id := channels.get(destination.channel)) is None:
                continue
            if destination.thread:
                # It is started when the card is there, which it never is for who stands in a digest alone.
                name = f"#{incident.number} · {incident.title}"
                await self._threads.want(
                    tx, CARD, str(incident.number), channel_id, name=name, over=not incident.is_open
                )
            place = await self._storms.place(tx, incident, channel_id)
            if place is not Place.DIGEST:
                await self._cards.want(
                    tx,
                    CARD,
                    str(incident.number),
                    channel_id,
                    priority=_PRIORITIES[incident.severity],
                    announced=place is Place.QUIET_CARD,
                )
        tx.after_commit(lambda: self.index.note(incident))

    async def tell(self, tx: Transaction, before: Incident | None, after: Incident, change: Change) -> None:
        """Ping where a change is a reason to, and set or cancel the reminders."""
        if not _calls(after):
            await self.fall_silent(tx, after)
        elif before is not None and before.is_muted:
            await self.remind_again(tx, after)
        known = {destination.channel for destination in before.destinations} if before else set()
        for destination in after.destinations:
            if destination.channel not in known:
                await self._set_reminder(tx, after, destination)
            elif change is Change.SEVERITY_ROSE and before is not None:
                await self.ping(tx, after, destination, f"got worse, it was {before.severity.word}")
            elif change is Change.REOPENED and not await self._pinged_lately(tx, after, destination):
                await self.ping(tx, after, destination, "fired again")

    async def fall_silent(self, tx: Transaction, incident: Incident) -> None:
        """Stop reminding, and take away the ping that called for somebody."""
        for destination in incident.destinations:
            await self._timers.cancel(tx, REMIND, _subject(incident, destination))
            ping = await find_ping(tx, incident.number, destination.channel)
            if ping is not None:
                await self._cards.touch(
                    tx, PING, ping_key(incident.number, destination.channel, ping.sequence)
                )

    async def remind_again(self, tx: Transaction, incident: Incident) -> None:
        """Set the reminders of an incident that somebody gave back, or that is quiet no more."""
        for destination in incident.destinations:
            await self._set_reminder(tx, incident, destination)
            if (channel_id := self._policy().channels.get(destination.channel)) is not None:
                await self._storms.calls_again(tx, incident, channel_id)

    async def ping(self, tx: Transaction, incident: Incident, destination: Destination, reason: str) -> None:
        """Call for those who are mentioned in a channel, by a reply that replaces the one before."""
        channel_id = self._policy().channels.get(destination.channel)
        if not destination.mention or channel_id is None or incident.is_muted:
            return
        if await self._storms.calls_for(tx, incident, channel_id):
            await self._set_reminder(tx, incident, destination)
            return
        before = await find_ping(tx, incident.number, destination.channel)
        sequence = await next_ping(
            tx, incident.number, destination.channel, reason=reason, now=self._clock.now()
        )
        if before is not None:
            await self._cards.touch(tx, PING, ping_key(incident.number, destination.channel, before.sequence))
        await self._cards.want(
            tx,
            PING,
            ping_key(incident.number, destination.channel, sequence),
            channel_id,
            priority=Priority.URGENT if incident.severity is Severity.CRITICAL else Priority.HIGH,
        )
        await self._set_reminder(tx, incident, destination)
        called = ", ".join(destination.mention)
        await self._journal.append(tx, entry_of(incident, CALLED, reason=reason, called=called))

    async def _pinged_lately(self, tx: Transaction, incident: Incident, destination: Destination) -> bool:
        ping = await find_ping(tx, incident.number, destination.channel)
        return ping is not None and self._clock.now() - ping.at < QUIET_AFTER_PING

    async def _set_reminder(self, tx: Transaction, incident: Incident, destination: Destination) -> None:
        if destination.remind is None or not destination.mention:
            return
        if _calls(incident):
            due = self._clock.now() + destination.remind
            await self._timers.set(tx, REMIND, _subject(incident, destination), due)

    async def _remind(self, tx: Transaction, subject: str, due_at: datetime) -> None:
        del due_at
        number, _, channel = subject.partition("/")
        incident = await find_incident(tx, IncidentNumber(int(number)))
        if incident is None or not _calls(incident):
            return
        for destination in incident.destinations:
            if destination.channel == channel:
                age = spoken_duration(self._clock.now() - (incident.reopened_at or incident.opened_at))
                await self.ping(tx, incident, destination, f"still open after {age}, nobody acknowledged")

    async def note(self, tx: Transaction, incident: Incident, action: str, **detail: Scalar) -> None:
        """Write down what only those want to know who follow an incident in a thread."""
        if any(destination.thread for destination in incident.destinations):
            await self.record(tx, entry_of(incident, action, reason="", **detail))

    async def record(self, tx: Transaction, entry: Entry) -> None:
        """Write the journal in the same transaction."""
        await self._journal.append(tx, entry)


def _calls(incident: Incident) -> bool:
    """Whether somebody is still to be found who looks at it."""
    return incident.is_open and incident.acknowledgement is None and not incident.is_muted


def entry_of(incident: Incident, action: str, *, reason: str = "", **detail: Scalar) -> Entry:
    """Write down what happened to an incident by itself."""
    return Entry(
        actor=THE_MACHINE,
        action=action,
        target=f"incident:{incident.number}",
        reason=reason,
        detail={
            "title": incident.title,
            "severity": incident.severity.word,
            "firing": len(incident.firing),
            "alerts": len(incident.alerts),
            **detail,
        },
        namespace=incident.common_labels.get("namespace"),
        incident=incident.number,
    )


def targets_of(incident: Incident) -> tuple[str, ...]:
    """Name an incident as the access policy does: by its channels and its namespace."""
    channels = [destination.channel for destination in incident.destinations]
    return targets_at(channels, incident.common_labels.get("namespace"))


def targets_at(channels: Iterable[str], namespace: str | None) -> tuple[str, ...]:
    """Name whatever is shown in these channels and concerns this namespace."""
    shown = tuple(f"channel:{channel}" for channel in channels)
    return (*shown, f"namespace:{namespace}") if namespace else shown


def ping_key(number: IncidentNumber, channel: str, sequence: int) -> str:
    """Name a ping: its incident, our name of the channel and which one it is there."""
    return f"{number}/{channel}/{sequence}"


def _subject(incident: Incident, destination: Destination) -> str:
    return f"{incident.number}/{destination.channel}"
