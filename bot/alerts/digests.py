"""What people do with storms and their digests. Each method checks access itself, at the moment of acting."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bot.access.service import Access
from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.policy import AlertPolicy
from bot.alerts.service import Alerts
from bot.alerts.showing import targets_at
from bot.alerts.silences.sources import read_silenced
from bot.alerts.store.reading import get_incidents
from bot.alerts.storm import store
from bot.alerts.storm.card import FORCE
from bot.alerts.storm.model import Page, Storm, Totals
from bot.alerts.storm.service import Storms
from bot.alerts.storm.sources import find_page
from bot.core.actor import Actor
from bot.core.errors import NotFoundError
from bot.core.status import Offer, StatusLine
from bot.database.engine import Database, Transaction

ACTION = "alerts:ack"
"""Who may take incidents on may also say in how many messages they are shown."""

_MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class ChannelStorm:
    """The storm that is on in a channel."""

    channel: str
    """Our name of it."""
    storm: Storm
    totals: Totals


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident, and why it is quiet, if it is."""

    incident: Incident
    silenced: tuple[str, ...]
    """Ready markup, a line each."""


class Digests:
    """The use cases of people in a storm."""

    def __init__(
        self,
        database: Database,
        access: Access,
        alerts: Alerts,
        storms: Storms,
        *,
        policy: Callable[[], AlertPolicy],
    ) -> None:
        """Take the leading database and the services that do the work."""
        self._database = database
        self._access = access
        self._alerts = alerts
        self._storms = storms
        self._policy = policy

    async def acknowledge_page(self, key: str, *, by: Actor) -> tuple[Incident, ...]:
        """Take on everything that a page names and nobody has.

        Raises:
            NotFoundError: The page is no longer kept.
            NotAllowedError: Somebody may not acknowledge one of them.
        """
        numbers = [
            incident.number
            for incident in (await self._page(key)).named
            if incident.is_open and incident.acknowledgement is None
        ]
        return await self._alerts.acknowledge(numbers, by=by)

    async def list_page(self, key: str, *, by: Actor) -> tuple[Incident, ...]:
        """Return the incidents that a page ever named, the newest first."""
        page = await self._page(key)
        self._access.check(by, "alerts:list", self._targets(page.storm))
        return page.all

    async def list_worst(self, storm_id: int, *, by: Actor) -> tuple[Incident, ...]:
        """Return the incidents of a storm that somebody is still to be found for, the worst first."""
        async with self._database.reading() as tx:
            storm = await self._get(tx, storm_id)
            self._access.check(by, "alerts:list", self._targets(storm))
            numbers = await store.list_worst(tx, storm_id, limit=_MOST_LISTED)
            return tuple(await get_incidents(tx, numbers))

    async def list_open(self, key: str) -> tuple[tuple[IncidentNumber, ...], int]:
        """Return which open incidents a page names, and the Discord id of its channel.

        Raises:
            NotFoundError: The page is no longer kept.
        """
        page = await self._page(key)
        return tuple(each.number for each in page.named if each.is_open), page.storm.channel_id

    async def open(self, number: IncidentNumber, *, by: Actor) -> Opened:
        """Return an incident that was chosen from a page."""
        incident = await self._alerts.get(number, by=by)
        async with self._database.reading() as tx:
            return Opened(incident, await read_silenced(tx, incident))

    async def end(self, storm_id: int, *, by: Actor) -> None:
        """End a storm: its incidents get cards of their own again.

        Raises:
            ConflictError: It is over already.
        """
        async with self._database.transaction() as tx:
            storm = await self._get(tx, storm_id)
            self._access.check(by, ACTION, self._targets(storm))
            await self._storms.end(tx, storm, by=by)

    async def force(self, channel: str, *, by: Actor) -> None:
        """Begin a storm in a channel; it goes on until somebody ends it.

        Raises:
            NotFoundError: We know no such channel.
            ConflictError: One is on already.
        """
        channel_id = self._policy().channels.get(channel)
        if channel_id is None:
            raise NotFoundError(f"There is no channel named {channel} in the configuration.")
        self._access.check(by, ACTION, targets_at([channel], None))
        async with self._database.transaction() as tx:
            await self._storms.force(tx, channel_id, by=by)

    async def list_storms(self) -> list[ChannelStorm]:
        """Return the storms that are on."""
        async with self._database.reading() as tx:
            latest: Mapping[int, Storm] = await store.list_latest(tx)
            return [
                ChannelStorm(self._name(channel), storm, await store.sum_up(tx, storm.id))
                for channel, storm in latest.items()
                if storm.is_on
            ]

    async def list_status(self) -> list[StatusLine]:
        """Return how stormy it is, and in which channels one can have a storm."""
        storms = await self.list_storms()
        lines = [
            StatusLine(
                "storm",
                ok=False,
                text=f"in {one.channel}{' by hand' if one.storm.forced else ''}: {one.totals.incidents:,} "
                f"incidents, {one.totals.critical:,} critical,",
                since=one.storm.since,
            )
            for one in storms
        ]
        others = tuple(name for name in self._channels() if name not in {one.channel for one in storms})
        offer = Offer(FORCE, "Let incidents share messages in…", others)
        if not lines:
            return [StatusLine("storms", ok=True, text="none: each incident has a message", offer=offer)]
        return [*lines[:-1], replace(lines[-1], offer=offer)]

    def _channels(self) -> list[str]:
        return [name for name in dict.fromkeys(route.channel for route in self._policy().routes) if name]

    async def _page(self, key: str) -> Page:
        async with self._database.reading() as tx:
            page = await find_page(tx, key)
        if page is None:
            raise NotFoundError("This digest is no longer kept.")
        return page

    async def _get(self, tx: Transaction, storm_id: int) -> Storm:
        storm = await store.find_storm(tx, storm_id)
        if storm is None:
            raise NotFoundError("This storm is no longer kept.")
        return storm

    def _targets(self, storm: Storm) -> tuple[str, ...]:
        return targets_at(self._policy().names_of(storm.channel_id), None)

    def _name(self, channel_id: int) -> str:
        return next(iter(self._policy().names_of(channel_id)), str(channel_id))
