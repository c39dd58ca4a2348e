"""Gives the courier the looks of digests and of what calls for people: a read, then the pure card."""

from collections.abc import Callable

from bot.alerts.model.incident import Destination, IncidentNumber
from bot.alerts.policy import AlertPolicy
from bot.alerts.store.reading import get_incidents
from bot.alerts.storm import store
from bot.alerts.storm.card import render_call, render_page
from bot.alerts.storm.model import Page
from bot.chat.rendered import Rendered
from bot.core.clock import Clock
from bot.database.engine import Database, Transaction


class DigestCards:
    """Renders digests, a page at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Take the database."""
        self._database = database
        self._clock = clock

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render a page; one that is no longer kept goes."""
        del channel_id
        async with self._database.reading() as tx:
            page = await find_page(tx, key)
        return render_page(page, now=self._clock.now()) if page is not None else None


class CallCards:
    """Renders what calls for people; it goes when a later one calls them all, or the storm is over."""

    def __init__(self, database: Database, policy: Callable[[], AlertPolicy]) -> None:
        """Take the database and the policy of the moment."""
        self._database = database
        self._policy = policy

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render a call, or None when it has done its work."""
        storm_id, _, sequence = key.partition("/")
        async with self._database.reading() as tx:
            storm = await store.find_storm(tx, int(storm_id))
            called = await store.list_called(tx, channel_id, int(sequence))
            if storm is None or storm.settled_at is not None or not called:
                return None
            totals = await store.sum_up(tx, storm.id)
        ids = self._policy().mention_ids(Destination("", tuple(called)))
        return render_call(
            totals,
            mentions=[*(f"<@&{role}>" for role in ids.roles), *(f"<@{user}>" for user in ids.users)],
            ping_roles=ids.roles,
            ping_users=ids.users,
            key=key,
        )


async def find_page(tx: Transaction, key: str) -> Page | None:
    """Return what a page of a digest shows, by its name."""
    storm_id, _, number = key.partition("/")
    storm = await store.find_storm(tx, int(storm_id))
    if storm is None:
        return None
    lines = await store.list_lines(tx, storm.id, int(number))
    incidents = await get_incidents(tx, [IncidentNumber(line.incident) for line in lines])
    return Page(
        storm=storm,
        number=int(number),
        lines=tuple(lines),
        incidents={incident.number: incident for incident in incidents},
        totals=await store.sum_up(tx, storm.id),
    )
