"""Turns a channel's pressure into digests: who is held, who is called, who gets a card back.

Everything is in rows: a storm goes on after a restart where it was.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.alerts import kinds
from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.policy import AlertPolicy
from bot.alerts.storm import store
from bot.alerts.storm.model import (
    Line,
    Place,
    Storm,
    Totals,
    Verdict,
    batch,
    decide,
    due_mentions,
    is_critical,
    page_for,
    place_of,
    room_for,
)
from bot.cards import store as cards_store
from bot.cards.model import Pressure, Priority
from bot.cards.store import Cards
from bot.core.actor import THE_MACHINE, Actor
from bot.core.clock import Clock
from bot.core.errors import ConflictError
from bot.database.engine import Database, Transaction
from bot.journal.model import Entry
from bot.journal.service import Journal
from bot.telemetry import metrics

log = structlog.get_logger(__name__)

BEGAN, ENDED = "alerts:storm-began", "alerts:storm-ended"

_LOOK_AGAIN = timedelta(seconds=5)
"""How often a storm is weighed, and its first page told of the others."""
_RELEASE_EVERY = timedelta(seconds=1)
_REMEMBERED = timedelta(hours=1)
"""How long after a storm what it said counts as said."""
_CAUTIOUS = 1.0

_PRIORITIES = {Severity.CRITICAL: Priority.URGENT}


class Storms:
    """The storms of all channels."""

    def __init__(
        self,
        database: Database,
        cards: Cards,
        journal: Journal,
        clock: Clock,
        policy: Callable[[], AlertPolicy],
    ) -> None:
        """Take the leading database, whose only writer it is."""
        self._database = database
        self._cards = cards
        self._journal = journal
        self._clock = clock
        self._policy = policy
        self._known: dict[int, Storm] | None = None
        self._rates: dict[int, float] = {}
        self._looked: dict[int, tuple[datetime, Totals | None]] = {}
        """When the numbers of a storm were last looked at, and what its first page says of them."""

    # What the courier says.

    async def feel(self, pressures: Mapping[int, Pressure]) -> timedelta | None:
        """Begin, continue or end storms by what waits for channels; says when to be asked again."""
        async with self._database.reading() as tx:
            known = await self._latest(tx)
            unsettled = {channel for channel, storm in known.items() if storm.settled_at is None}
            held = await store.count_held(tx) if unsettled else {}
        self._measure(known, held)
        self._rates.update({channel: pressure.rate for channel, pressure in pressures.items()})
        waits = [
            await self._weigh(known.get(channel), pressures.get(channel, Pressure(channel, 0, _CAUTIOUS)))
            for channel in sorted(unsettled | pressures.keys())
        ]
        return min((wait for wait in waits if wait is not None), default=None)

    def _measure(self, storms: Mapping[int, Storm], held: Mapping[int, int]) -> None:
        for channel, storm in storms.items():
            name = self._name(channel)
            metrics.STORM_ACTIVE.labels(name).set(storm.is_on)
            metrics.STORM_HELD.labels(name).set(held.get(storm.id, 0))

    def _name(self, channel_id: int) -> str:
        return next(iter(self._policy().names_of(channel_id)), str(channel_id))

    async def _weigh(self, storm: Storm | None, pressure: Pressure) -> timedelta | None:
        now, rules = self._clock.now(), self._policy().storm
        newcomers = 0
        if storm is not None and storm.is_on:
            async with self._database.reading() as tx:
                newcomers = await store.count_newcomers(tx, storm.id, since=now - rules.calm_for)
        match decide(storm, pressure, newcomers, now=now, rules=rules):
            case Verdict.BEGIN:
                async with self._database.transaction() as tx:
                    return _LOOK_AGAIN if await self._begin(tx, storm, pressure.channel_id) else None
            case Verdict.END if storm is not None:
                async with self._database.transaction() as tx:
                    await self._end(tx, storm, by=None)
                return _RELEASE_EVERY
            case _ if storm is None or storm.settled_at is not None:
                return None
            case _ if storm.is_on:
                await self._go_on(storm, batch(pressure))
                return _LOOK_AGAIN
            case _:
                await self._give_back(storm, batch(pressure))
                return _RELEASE_EVERY

    # What becomes of a storm.

    async def _begin(
        self, tx: Transaction, before: Storm | None, channel_id: int, *, by: Actor | None = None
    ) -> bool:
        """Begin a storm, or go on with one that still has incidents to give back.

        Nothing begins by itself where no incident waits: other cards have no digest.
        """
        unshown = await cards_store.list_unshown(tx, channel_id, (kinds.INCIDENT, kinds.PING))
        if by is None and not any(card.kind == kinds.INCIDENT for card in unshown):
            return False
        if before is not None and before.settled_at is None:
            storm = replace(before, forced=by is not None, ended_at=None, ended_by=None)
            await store.update_storm(tx, storm)
            await self._touch_pages(tx, storm)
        else:
            storm = await store.insert_storm(tx, channel_id, since=self._clock.now(), forced=by is not None)
        self._note(tx, storm)
        numbers = {_number(card.key) for card in unshown}
        waiting = {_number(card.key) for card in unshown if card.kind == kinds.INCIDENT}
        severities = await store.list_severities(tx, waiting)
        room = room_for(self._rates.get(channel_id, _CAUTIOUS), self._policy().storm)
        kept = {number for number, severity in severities if is_critical(severity)}
        kept = set(sorted(kept)[:room])
        await cards_store.withdraw(
            tx, [card.id for card in unshown if card.kind == kinds.PING or _number(card.key) not in kept]
        )
        await cards_store.hush(tx, channel_id, (kinds.INCIDENT, kinds.PING))
        await self._join(tx, storm, [number for number, _ in severities], with_cards=kept)
        await store.owe(
            tx, channel_id, await store.list_calling(tx, numbers, self._policy().names_of(channel_id))
        )
        await self._call(tx, storm)
        await self._record(tx, storm, BEGAN, by, incidents=len(severities))
        tx.after_commit(metrics.STORMS.labels(self._name(channel_id)).inc)
        log.warning("storm_began", channel=channel_id, storm=storm.id, incidents=len(severities))
        return True

    async def _go_on(self, storm: Storm, most: int) -> None:
        """Call for people, give critical ones their cards, keep the first page current."""
        now, rules = self._clock.now(), self._policy().storm
        looked_at, seen = self._looked.get(storm.id, (storm.since, None))
        async with self._database.reading() as tx:
            calls = due_mentions(await store.list_owed(tx, storm.channel_id), now=now, rules=rules)
            totals = await store.sum_up(tx, storm.id) if now - looked_at >= _LOOK_AGAIN else seen
            first = [
                line
                for line, severity in await store.list_held_open(tx, storm.id, limit=most)
                if is_critical(severity)
            ]
        if not calls and not first and totals == seen:
            return
        async with self._database.transaction() as tx:
            if calls:
                await self._call(tx, storm)
            await self._give_cards(tx, storm, [(line, Severity.CRITICAL) for line in first])
            await self._release(tx, storm, first)
            if totals is not None and totals != seen:
                self._looked[storm.id] = (now, totals)
                await self._cards.touch(tx, kinds.DIGEST, page_key(storm.id, 1))

    async def _end(self, tx: Transaction, storm: Storm, *, by: Actor | None) -> None:
        now = self._clock.now()
        over = replace(storm, forced=False, ended_at=now, ended_by=by.id if by is not None else None)
        await store.update_storm(tx, over)
        # Who was over before the storm never had a card, and the digest says how it ended.
        closed = await store.list_held_closed(tx, storm.id)
        await store.release(tx, storm.id, [line.incident for line in closed], now=now)
        await self._touch_pages(tx, over)
        self._note(tx, over)
        await self._record(tx, over, ENDED, by)
        log.info("storm_ended", channel=storm.channel_id, storm=storm.id, by_hand=by is not None)

    async def _give_back(self, storm: Storm, most: int) -> None:
        """Give some incidents their cards back, as many as the channel takes beside what is new."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            await self._call(tx, storm)
            given = await store.list_held_open(tx, storm.id, limit=most)
            await self._give_cards(tx, storm, given)
            await self._release(tx, storm, [line for line, _ in given])
            await self._release(tx, storm, await store.list_held_closed(tx, storm.id))
            owing = any(one.owed for one in await store.list_owed(tx, storm.channel_id))
            if most == 0 or given or owing:
                return
            settled = replace(storm, settled_at=now)
            await store.update_storm(tx, settled)
            await self._touch_pages(tx, settled)
            await self._cards.touch_all(tx, kinds.CALL, storm.channel_id)
            self._note(tx, settled)
        log.info("storm_settled", channel=storm.channel_id, storm=storm.id)

    async def _give_cards(
        self, tx: Transaction, storm: Storm, given: Iterable[tuple[Line, Severity]]
    ) -> None:
        for line, severity in given:
            await self._cards.want(
                tx,
                kinds.INCIDENT,
                str(line.incident),
                storm.channel_id,
                priority=_PRIORITIES.get(severity, Priority.LOW),
                announced=True,
            )

    async def _release(self, tx: Transaction, storm: Storm, lines: Sequence[Line]) -> None:
        await store.release(tx, storm.id, [line.incident for line in lines], now=self._clock.now())
        for page in sorted({line.page for line in lines if line.page is not None}):
            await self._want_page(tx, storm, page)

    # What happens to incidents meanwhile.

    async def place(self, tx: Transaction, incident: Incident, channel_id: int) -> Place:
        """Say where an incident is shown in a channel, and have the digest render what it shows of it."""
        storm = (await self._latest(tx)).get(channel_id)
        if storm is None or self._is_forgotten(storm):
            return Place.CARD
        line = await store.find_line(tx, storm.id, incident.number)
        has_card = line is None and await self._has_card(tx, incident, channel_id)
        goes_first = incident.is_open and is_critical(incident.severity) and await self._has_room(tx, storm)
        place = place_of(line, storm, has_card=has_card, goes_first=goes_first)
        if line is None and place is not Place.CARD:
            await self._join(
                tx, storm, [incident.number], with_cards={incident.number} if goes_first else set()
            )
            await self._owe_for(tx, incident, channel_id)
        elif line is not None and line.page is not None:
            if line.is_held and place is Place.QUIET_CARD:
                await store.release(tx, storm.id, [incident.number], now=self._clock.now())
            await self._want_page(tx, storm, line.page)
        return place

    async def _has_card(self, tx: Transaction, incident: Incident, channel_id: int) -> bool:
        card = await cards_store.find_card(tx, kinds.INCIDENT, str(incident.number), channel_id)
        return card is not None and (card.announced or card.wanted > card.delivered)

    async def _has_room(self, tx: Transaction, storm: Storm) -> bool:
        waiting = await cards_store.count_waiting(tx, now=self._clock.now())
        rate = self._rates.get(storm.channel_id, _CAUTIOUS)
        return waiting.get(storm.channel_id, 0) < room_for(rate, self._policy().storm)

    async def calls_for(self, tx: Transaction, incident: Incident, channel_id: int) -> bool:
        """Take over a ping, if a storm is on: it is said together with others."""
        storm = (await self._latest(tx)).get(channel_id)
        if storm is None or not storm.is_on:
            return False
        await self._owe_for(tx, incident, channel_id)
        names = self._policy().names_of(channel_id)
        await store.note_called(tx, incident.number, names, now=self._clock.now())
        tx.after_commit(self._cards.wake)
        return True

    async def calls_again(self, tx: Transaction, incident: Incident, channel_id: int) -> None:
        """Hear that an incident is quiet no more, or was given back: perhaps nobody was called for it."""
        storm = (await self._latest(tx)).get(channel_id)
        if storm is not None and storm.is_on:
            await self._owe_for(tx, incident, channel_id)

    async def _owe_for(self, tx: Transaction, incident: Incident, channel_id: int) -> None:
        if not incident.is_open or incident.acknowledgement is not None or incident.is_muted:
            return
        names = self._policy().names_of(channel_id)
        mentions = [one for shown in incident.destinations if shown.channel in names for one in shown.mention]
        await store.owe(tx, channel_id, mentions)

    async def _join(
        self,
        tx: Transaction,
        storm: Storm,
        newcomers: Iterable[IncidentNumber],
        *,
        with_cards: Container[IncidentNumber],
    ) -> None:
        page, filled = await store.find_last_page(tx, storm.id)
        now = self._clock.now()
        lines: list[Line] = []
        for number in newcomers:
            if number in with_cards:
                lines.append(Line(number, None, now))
                continue
            page, filled = (page, filled + 1) if page_for(page, filled) == page else (page + 1, 1)
            lines.append(Line(number, page, now))
        await store.insert_lines(tx, storm.id, lines)
        for changed in sorted({line.page for line in lines if line.page is not None}):
            await self._want_page(tx, storm, changed)

    async def _call(self, tx: Transaction, storm: Storm) -> None:
        now = self._clock.now()
        owed = await store.list_owed(tx, storm.channel_id)
        due = due_mentions(owed, now=now, rules=self._policy().storm)
        if not due:
            return
        said = {one.mention: one.said_at for one in owed if one.mention in due}
        names = self._policy().names_of(storm.channel_id)
        still = await store.list_still_calling(tx, storm.id, names, said)
        await store.forgive(tx, storm.channel_id, [one for one in due if one not in still])
        called = [one for one in due if one in still]
        if not called:
            return
        sequence = await store.next_call(tx, storm.channel_id, called, now=now)
        # Whoever is called anew is not called by the message before, which goes when it calls nobody.
        await self._cards.touch_all(tx, kinds.CALL, storm.channel_id)
        await self._cards.want(
            tx, kinds.CALL, call_key(storm.id, sequence), storm.channel_id, priority=Priority.URGENT
        )

    async def _want_page(self, tx: Transaction, storm: Storm, page: int) -> None:
        await self._cards.want(
            tx, kinds.DIGEST, page_key(storm.id, page), storm.channel_id, priority=Priority.HIGH
        )

    async def _touch_pages(self, tx: Transaction, storm: Storm) -> None:
        for page in await store.list_pages(tx, storm.id):
            await self._want_page(tx, storm, page)

    # What people want.

    async def latest(self, tx: Transaction) -> Mapping[int, Storm]:
        """Return the latest storm of each channel that had one."""
        return await self._latest(tx)

    async def end(self, tx: Transaction, storm: Storm, *, by: Actor) -> None:
        """End a storm by hand.

        Raises:
            ConflictError: It is over already.
        """
        if not storm.is_on:
            raise ConflictError("The storm is over already.")
        await self._end(tx, storm, by=by)

    async def force(self, tx: Transaction, channel_id: int, *, by: Actor) -> None:
        """Begin a storm by hand; it goes on until somebody ends it.

        Raises:
            ConflictError: One is on already.
        """
        storm = (await self._latest(tx)).get(channel_id)
        if storm is not None and storm.is_on:
            raise ConflictError("A storm is on already.")
        await self._begin(tx, storm, channel_id, by=by)

    # What is remembered.

    async def _latest(self, tx: Transaction) -> Mapping[int, Storm]:
        if self._known is None:
            self._known = await store.list_latest(tx)
        return self._known

    def _note(self, tx: Transaction, storm: Storm) -> None:
        def remember() -> None:
            if self._known is not None:
                self._known[storm.channel_id] = storm

        tx.after_commit(remember)

    def _is_forgotten(self, storm: Storm) -> bool:
        return storm.settled_at is not None and self._clock.now() - storm.settled_at > _REMEMBERED

    async def _record(
        self, tx: Transaction, storm: Storm, action: str, by: Actor | None, **detail: int
    ) -> None:
        entry = Entry(
            actor=by or THE_MACHINE,
            action=action,
            target=f"channel:{self._name(storm.channel_id)}",
            detail={"storm": storm.id, **detail},
        )
        await self._journal.append(tx, entry)


def page_key(storm_id: int, page: int) -> str:
    """Name a page of a digest."""
    return f"{storm_id}/{page}"


def call_key(storm_id: int, sequence: int) -> str:
    """Name a message that calls for people."""
    return f"{storm_id}/{sequence}"


def _number(key: str) -> IncidentNumber:
    """Return the incident of a card or of a ping: `417`, `417/critical/2`."""
    return IncidentNumber(int(key.partition("/")[0]))
