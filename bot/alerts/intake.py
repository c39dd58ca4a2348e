"""Applies deliveries: one transaction from what was told to what should be shown."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from bot.alerts import alertmanager, grafana
from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import Delivery, DeliveryState, Kind
from bot.alerts.model.applying import Change, Outcome, apply_notification, heard_of
from bot.alerts.model.incident import Destination, Incident, join_destinations
from bot.alerts.model.notification import Notification
from bot.alerts.policy import AlertPolicy
from bot.alerts.showing import Showing, entry_of
from bot.alerts.store.reading import find_latest
from bot.alerts.store.writing import insert_incident, update_incident
from bot.alerts.timeline.model import CHANGED
from bot.core.clock import Clock
from bot.database.engine import Database, Transaction

log = structlog.get_logger(__name__)

_PARSED_APART = 128 * 1024
"""Larger bodies are parsed in a thread, so that no webhook waits for them."""

_PARSERS = {Kind.ALERTMANAGER: alertmanager.parse, Kind.GRAFANA: grafana.parse}

_JOURNALED = {
    Change.OPENED: "alerts:opened",
    Change.REOPENED: "alerts:reopened",
    Change.SEVERITY_ROSE: "alerts:severity-rose",
    Change.RESOLVED: "alerts:resolved",
    Change.UNKNOWN: "alerts:unknown",
}


class Intake:
    """Turns deliveries into incidents."""

    def __init__(
        self, database: Database, showing: Showing, clock: Clock, policy: Callable[[], AlertPolicy]
    ) -> None:
        """Take the leading database, what follows from an incident, and the policy of the moment."""
        self._database = database
        self._showing = showing
        self._clock = clock
        self._policy = policy

    async def apply(self, delivery: Delivery) -> DeliveryState:
        """Apply one delivery; doing it again changes nothing.

        Raises:
            UnreadableError: The body cannot be understood.
        """
        if len(delivery.body) > _PARSED_APART:
            told = await asyncio.to_thread(_read, delivery)
        else:
            told = _read(delivery)
        async with self._database.transaction() as tx:
            before = await find_latest(tx, told)
            heard = before and heard_of(before, told)
            state = await self._apply(tx, before, heard, told)
            await inbox_store.mark(tx, delivery.id, state, now=self._clock.now())
        return state

    async def tell(self, tx: Transaction, before: Incident | None, told: Notification) -> DeliveryState:
        """Apply what was found out about the latest incident of a group, as if it had been sent."""
        return await self._apply(tx, before, before, told)

    async def report(self, tx: Transaction, told: Notification) -> DeliveryState:
        """Apply what a room above found out by itself, as if it had been sent; again it changes nothing.

        The room is its own sender: what it once told to fire it must tell to be over.
        """
        before = await find_latest(tx, told)
        return await self._apply(tx, before, before and heard_of(before, told), told)

    async def _apply(
        self, tx: Transaction, before: Incident | None, heard: Incident | None, told: Notification
    ) -> DeliveryState:
        policy = self._policy()
        outcome = apply_notification(
            heard, told, words=policy.words, now=self._clock.now(), reopen_within=policy.reopen_within
        )
        return await self._record(tx, before, outcome, told)

    async def _record(
        self, tx: Transaction, before: Incident | None, outcome: Outcome, told: Notification
    ) -> DeliveryState:
        after = outcome.incident
        if outcome.change is Change.RESOLVED_UNSEEN:
            log.info("resolve_without_incident", source=told.source, receiver=told.receiver)
        if after is None:
            return DeliveryState.REPEAT
        if before is None or after.number != before.number:
            after = replace(after, destinations=self._routed(after))
            after = replace(after, number=await insert_incident(tx, after))
            await self._follow(tx, None, after, outcome.change)
            return DeliveryState.APPLIED
        if outcome.change is not Change.NOTHING_NEW and after.is_open:
            joined = join_destinations(after.destinations, self._routed(after))
            after = replace(after, destinations=joined)
        if outcome.change is Change.NOTHING_NEW:
            after = replace(after, muting=before.muting)
        await update_incident(tx, before, after, outcome.changed)
        if outcome.change is Change.NOTHING_NEW:
            return DeliveryState.REPEAT
        await self._follow(tx, before, after, outcome.change)
        return DeliveryState.APPLIED

    def _routed(self, incident: Incident) -> tuple[Destination, ...]:
        return self._policy().destinations(
            incident.firing, source=incident.source, receiver=incident.receiver
        )

    async def _follow(
        self, tx: Transaction, before: Incident | None, after: Incident, change: Change
    ) -> None:
        await self._showing.show(tx, after)
        # Written down first: whoever is called is called because of it.
        await self._write_down(tx, before, after, change)
        await self._showing.tell(tx, before, after, change)

    async def _write_down(
        self, tx: Transaction, before: Incident | None, after: Incident, change: Change
    ) -> None:
        if action := _JOURNALED.get(change):
            await self._showing.record(tx, entry_of(after, action))
        elif before is not None and len(before.firing) != len(after.firing):
            await self._showing.note(tx, after, CHANGED)


def _read(delivery: Delivery) -> Notification:
    parse = _PARSERS[delivery.progress.kind]
    return parse(delivery.body, source=delivery.source, received_at=delivery.progress.received_at)
