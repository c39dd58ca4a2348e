"""What people do with incidents. Each method checks access itself, at the moment of acting."""

import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.access.service import Access
from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import Arrival, DeliveryId, Kind
from bot.alerts.model.incident import Incident, IncidentNumber, acknowledge, close_by_hand
from bot.alerts.model.severity import Severity
from bot.alerts.policy import AlertPolicy
from bot.alerts.routing import Labels, RouteVerdict, explain_routes
from bot.alerts.showing import Known, Showing, targets_at, targets_of
from bot.alerts.store.lists import IncidentFilter, Place, list_incidents, list_numbers, list_places
from bot.alerts.store.reading import get_incident, get_incidents
from bot.alerts.store.writing import update_incident
from bot.alerts.timeline.model import Page as TimelinePage
from bot.alerts.timeline.service import Timelines
from bot.cards.threads import store as threads_store
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import ConflictError, NotAllowedError
from bot.database.engine import Database, Transaction
from bot.journal.model import Entry
from bot.journal.model import Outcome as How
from bot.timers.service import Timers

TEST_ENDS = "alerts.test-ends"
TEST_LASTS = timedelta(minutes=5)

_MOST_AT_ONCE = 50
_MOST_LISTED = 2000
_MOST_KNOWN = 5000
PAGE = 8


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the incidents that were asked for."""

    incidents: tuple[Incident, ...]
    total: int
    number: int
    """From 0."""


class Alerts:
    """The use cases of people."""

    def __init__(
        self,
        database: Database,
        access: Access,
        showing: Showing,
        timers: Timers,
        *,
        timelines: Timelines,
        clock: Clock,
        policy: Callable[[], AlertPolicy],
        wake_applier: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the leading database and the rooms below."""
        self._database = database
        self._access = access
        self._showing = showing
        self._timers = timers
        self._timelines = timelines
        self._clock = clock
        self._policy = policy
        self._wake_applier = wake_applier
        timers.register(TEST_ENDS, self._end_test)

    async def load(self) -> None:
        """Fill what is held in memory for completion."""
        async with self._database.reading() as tx:
            for incident in await list_incidents(tx, IncidentFilter(), limit=_MOST_KNOWN):
                self._showing.index.note(incident)

    def known(self, *, by: Actor, action: str) -> list[Known]:
        """Return the open incidents to which somebody may do this; no request leaves the process."""
        allowed: dict[tuple[str, ...], bool] = {}
        for known in (everything := self._showing.index.all()):
            if known.targets not in allowed:
                allowed[known.targets] = self._access.decide(by, action, known.targets).allowed
        return [known for known in everything if allowed[known.targets]]

    async def get(self, number: IncidentNumber, *, by: Actor) -> Incident:
        """Return an incident.

        Raises:
            NotFoundError: There is none of this number.
        """
        async with self._database.reading() as tx:
            incident = await get_incident(tx, number)
        await self._allow(by, "alerts:show", incident)
        return incident

    async def read_timeline(self, number: IncidentNumber, page: int | None, *, by: Actor) -> TimelinePage:
        """Return a page of what happened to an incident, None: the newest; for whom its details are for.

        Raises:
            NotFoundError: There is none of this number.
        """
        incident = await self.get(number, by=by)
        async with self._database.reading() as tx:
            return await self._timelines.read(tx, incident, page)

    async def search(self, wanted: IncidentFilter, *, page: int, by: Actor) -> Page:
        """Return a page of the incidents that somebody may see, the worst and newest first."""
        await self._allow(by, "alerts:list", None)
        async with self._database.reading() as tx:
            places = await list_places(tx, wanted, limit=_MOST_LISTED)
            numbers = [place.number for place in places if self._may_list(by, place)]
            last = max(0, (len(numbers) - 1) // PAGE)
            number = min(max(page, 0), last)
            found = await get_incidents(tx, numbers[number * PAGE : (number + 1) * PAGE])
        return Page(tuple(found), len(numbers), number)

    def _may_list(self, by: Actor, place: Place) -> bool:
        return self._access.decide(by, "alerts:list", targets_at(place.channels, place.namespace)).allowed

    async def acknowledge(
        self, numbers: Sequence[IncidentNumber], *, by: Actor, note: str = ""
    ) -> tuple[Incident, ...]:
        """Take incidents on: reminders and escalation stop, the cards say who looks at it.

        Raises:
            ConflictError: Somebody has it already, or it is over; the text says who or since when.
        """

        async def change(tx: Transaction, incident: Incident) -> Incident:
            if not incident.is_open:
                raise ConflictError(f"#{incident.number} is over already.")
            held = incident.acknowledgement
            if held is not None and (held.by_id != by.id or held.note == note):
                who = "You have" if held.by_id == by.id else f"<@{held.by_id}> has"
                raise ConflictError(f"{who} acknowledged #{incident.number} already.")
            after = acknowledge(incident, by, note=note, now=self._clock.now())
            await self._showing.fall_silent(tx, after)
            return after

        return await self._change_all(numbers, "alerts:ack", by, note, change)

    async def list_here(self, channel_id: int) -> tuple[IncidentNumber, ...]:
        """Return the open incidents of a channel or a thread that nobody acknowledged, oldest first."""
        names = [name for name, known in self._policy().channels.items() if known == channel_id]
        numbers: dict[IncidentNumber, None] = {}
        async with self._database.reading() as tx:
            thread = await threads_store.find_by_id(tx, channel_id)
            if thread is not None:
                incident = await get_incident(tx, IncidentNumber(int(thread.key)))
                is_wanted = incident.is_open and incident.acknowledgement is None
                return (incident.number,) if is_wanted else ()
            for name in names:
                wanted = IncidentFilter(channel=name, acknowledged=False)
                numbers.update(dict.fromkeys(await list_numbers(tx, wanted, limit=_MOST_AT_ONCE)))
        return tuple(numbers)

    async def unacknowledge(self, number: IncidentNumber, *, by: Actor) -> Incident:
        """Give an incident back: it reminds and escalates again.

        Raises:
            ConflictError: Nobody has it.
        """

        async def change(tx: Transaction, incident: Incident) -> Incident:
            if incident.acknowledgement is None:
                raise ConflictError(f"Nobody has acknowledged #{incident.number}.")
            after = replace(incident, acknowledgement=None, changed_at=self._clock.now())
            await self._showing.remind_again(tx, after)
            return after

        return (await self._change_all([number], "alerts:unack", by, "", change))[0]

    async def resolve(self, number: IncidentNumber, *, by: Actor, note: str = "") -> Incident:
        """Close an incident by hand; the next delivery that calls it firing opens it again.

        Raises:
            ConflictError: It is over already.
        """

        async def change(tx: Transaction, incident: Incident) -> Incident:
            if not incident.is_open:
                raise ConflictError(f"#{incident.number} is over already.")
            after = close_by_hand(incident, by, note=note, now=self._clock.now())
            await self._showing.fall_silent(tx, after)
            return after

        return (await self._change_all([number], "alerts:resolve", by, note, change))[0]

    async def explain(self, labels: Labels, *, by: Actor) -> list[RouteVerdict]:
        """Say which routes an alert with these labels takes, and why not the others."""
        await self._allow(by, "alerts:explain-route", None)
        policy = self._policy()
        # An alert always comes from somewhere; most people ask about the first one.
        return explain_routes(policy.routes, {"__source__": policy.default_source, **labels})

    async def send_test(self, severity: Severity, *, by: Actor) -> DeliveryId:
        """Put a made-up alert into the inbox; it goes the whole way and resolves itself in 5 minutes."""
        await self._allow(by, "alerts:test", None)
        now = self._clock.now()
        name = secrets.token_hex(3)
        async with self._database.transaction() as tx:
            number = await self._arrive(tx, _test_body(name, severity, starts_at=now, ends_at=None))
            subject = f"{name}/{severity.name}/{now.isoformat()}"
            await self._timers.set(tx, TEST_ENDS, subject, now + TEST_LASTS)
            await self._showing.record(
                tx, Entry(actor=by, action="alerts:test", target="", detail={"severity": severity.word})
            )
        return number

    async def set_note(self, tx: Transaction, number: IncidentNumber, slot: str, text: str | None) -> None:
        """Write another room's line on the cards of an incident, or take it away."""
        incident = await get_incident(tx, number)
        notes = {name: line for name, line in incident.notes.items() if name != slot}
        if text is not None:
            notes[slot] = text
        after = replace(incident, notes=notes)
        await update_incident(tx, incident, after)
        await self._showing.show(tx, after)

    async def _end_test(self, tx: Transaction, subject: str, due_at: datetime) -> None:
        name, severity, started = subject.split("/")
        starts_at = datetime.fromisoformat(started)
        await self._arrive(tx, _test_body(name, Severity[severity], starts_at=starts_at, ends_at=due_at))

    async def _arrive(self, tx: Transaction, body: bytes) -> DeliveryId:
        arrival = Arrival(
            source=self._policy().default_source,
            kind=Kind.ALERTMANAGER,
            received_at=self._clock.now(),
            body=body,
            content_type="application/json",
            user_agent="the-machine/test",
        )
        tx.after_commit(self._wake_applier)
        return (await inbox_store.insert_many(tx, [arrival]))[0]

    async def _change_all(
        self,
        numbers: Sequence[IncidentNumber],
        action: str,
        by: Actor,
        note: str,
        change: Callable[[Transaction, Incident], Awaitable[Incident]],
    ) -> tuple[Incident, ...]:
        """Change several in one transaction: all of them or none."""
        changed: list[Incident] = []
        try:
            async with self._database.transaction() as tx:
                for number in dict.fromkeys(numbers):
                    before = await get_incident(tx, number)
                    self._access.check(by, action, targets_of(before))
                    after = await change(tx, before)
                    await update_incident(tx, before, after)
                    await self._showing.show(tx, after)
                    await self._showing.record(tx, _entry(after, action, by, note))
                    changed.append(after)
        except NotAllowedError as refusal:
            await self._record_refusal(by, action, f"incident:{numbers[len(changed)]}", refusal)
            raise
        return tuple(changed)

    async def _allow(self, by: Actor, action: str, incident: Incident | None) -> None:
        try:
            self._access.check(by, action, targets_of(incident) if incident else ())
        except NotAllowedError as refusal:
            await self._record_refusal(by, action, f"incident:{incident.number}" if incident else "", refusal)
            raise

    async def _record_refusal(self, by: Actor, action: str, target: str, refusal: NotAllowedError) -> None:
        async with self._database.transaction() as tx:
            await self._showing.record(
                tx, Entry(actor=by, action=action, target=target, outcome=How.REFUSED, reason=str(refusal))
            )


def _entry(incident: Incident, action: str, by: Actor, note: str) -> Entry:
    return Entry(
        actor=by,
        action=action,
        target=f"incident:{incident.number}",
        reason=note,
        detail={"title": incident.title, "severity": incident.severity.word},
        namespace=incident.common_labels.get("namespace"),
        incident=incident.number,
    )


def _test_body(name: str, severity: Severity, *, starts_at: datetime, ends_at: datetime | None) -> bytes:
    """Write a delivery as Alertmanager would."""
    labels = {"alertname": "MachineTest", "severity": severity.name.lower(), "__test__": name}
    status = "firing" if ends_at is None else "resolved"
    alert = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": "A test from Discord: nothing is wrong. It resolves itself in 5 minutes."},
        "startsAt": starts_at.isoformat(),
        "endsAt": ends_at.isoformat() if ends_at else "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": f"{int(name, 16):016x}",
    }
    return json.dumps(
        {
            "version": "4",
            "groupKey": f'{{}}:{{alertname="MachineTest", __test__="{name}"}}',
            "truncatedAlerts": 0,
            "status": status,
            "receiver": "the-machine",
            "groupLabels": labels,
            "commonLabels": labels,
            "commonAnnotations": alert["annotations"],
            "externalURL": "",
            "alerts": [alert],
        }
    ).encode()
