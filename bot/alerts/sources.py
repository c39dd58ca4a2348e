"""Gives the courier the looks of incidents and pings: a read, then the pure card."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from bot.alerts.card import Look, render_incident, render_ping
from bot.alerts.changes.service import ChangesHere
from bot.alerts.model.incident import Destination, Incident, IncidentNumber
from bot.alerts.policy import AlertPolicy
from bot.alerts.routing import MentionIds
from bot.alerts.showing import CARD
from bot.alerts.silences.sources import read_silenced
from bot.alerts.store.pings import find_ping
from bot.alerts.store.reading import find_incident
from bot.cards.store import find_card
from bot.cards.threads import store as threads_store
from bot.chat.rendered import Rendered
from bot.core.clock import Clock
from bot.database.engine import Database

_RENDERED_APART = 500
"""The card of more alerts is made in a thread: listing ten thousand takes a quarter of a second."""


class IncidentCards:
    """Renders incidents, one card for each channel."""

    def __init__(
        self, database: Database, clock: Clock, policy: Callable[[], AlertPolicy], changes: ChangesHere
    ) -> None:
        """Take the database, the policy of the moment and what reads what changed around an incident."""
        self._database = database
        self._clock = clock
        self._policy = policy
        self._changes = changes

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render an incident; one that is no longer kept has no card."""
        async with self._database.reading() as tx:
            incident = await find_incident(tx, IncidentNumber(int(key)))
            if incident is None:
                return None
            silenced = await read_silenced(tx, incident)
            changes = await self._changes.read(tx, incident, channel_id=channel_id)
            destination = destination_in(incident, channel_id, self._policy())
            has_thread = destination is not None and destination.thread
            paused = has_thread and await threads_store.is_paused(tx, CARD, key, channel_id)
        look = look_at(destination, self._policy(), self._clock)
        look = replace(look, silenced=silenced, changes=changes, timeline_is_paused=paused)
        if len(incident.alerts) > _RENDERED_APART:
            return await asyncio.to_thread(render_incident, incident, look=look)
        return render_incident(incident, look=look)


class PingCards:
    """Renders the replies that call for somebody; one that has done its work goes."""

    def __init__(self, database: Database, clock: Clock, policy: Callable[[], AlertPolicy]) -> None:
        """Take the database and the policy of the moment."""
        self._database = database
        self._clock = clock
        self._policy = policy

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render a ping, or None when it was answered, overtaken, or the incident is over."""
        number, channel, sequence = key.split("/")
        async with self._database.reading() as tx:
            incident = await find_incident(tx, IncidentNumber(int(number)))
            ping = await find_ping(tx, IncidentNumber(int(number)), channel)
            card = await find_card(tx, CARD, number, channel_id)
        if incident is None or ping is None or ping.sequence != int(sequence) or not incident.is_open:
            return None
        if incident.is_muted:
            return None
        acknowledged = incident.acknowledgement
        if acknowledged is not None and acknowledged.at >= ping.at:
            return None
        destination = destination_in(incident, channel_id, self._policy())
        if destination is None:
            return None
        look = look_at(destination, self._policy(), self._clock)
        reply_to = card.message_id if card is not None else None
        return render_ping(incident, key=key, reason=ping.reason, look=look, reply_to=reply_to)


def destination_in(incident: Incident, channel_id: int, policy: AlertPolicy) -> Destination | None:
    """Return the destination of an incident that is shown in a channel."""
    for destination in incident.destinations:
        if policy.channels.get(destination.channel) == channel_id:
            return destination
    return None


def look_at(destination: Destination | None, policy: AlertPolicy, clock: Clock) -> Look:
    """Return what a card shows of the people who are told in its channel."""
    ids = policy.mention_ids(destination) if destination is not None else MentionIds()
    mentions = (*(f"<@&{role}>" for role in ids.roles), *(f"<@{user}>" for user in ids.users))
    return Look(now=clock.now(), mentions=mentions, ping_roles=ids.roles, ping_users=ids.users)
