"""Reads timelines, and keeps those in threads current: each entry has its page rendered anew."""

from bot.alerts import kinds
from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.store.reading import find_incident
from bot.alerts.timeline.card import render_timeline
from bot.alerts.timeline.model import PAGE_ENTRIES, Page, count_pages
from bot.cards.model import Priority
from bot.cards.store import Cards
from bot.cards.threads.model import Thread
from bot.cards.threads.service import Threads
from bot.chat.rendered import Rendered
from bot.database.engine import Database, Transaction
from bot.journal.model import Filter, Recorded
from bot.journal.service import Journal


class Timelines:
    """Says which pages there should be, and gives the courier their looks."""

    def __init__(self, database: Database, cards: Cards, threads: Threads, journal: Journal) -> None:
        """Take the leading database and the rooms below."""
        self._database = database
        self._cards = cards
        self._threads = threads
        self._journal = journal

    async def hear(self, tx: Transaction, recorded: Recorded) -> None:
        """Hear of an entry of the journal, inside its transaction."""
        if recorded.entry.incident is None:
            return
        number = recorded.entry.incident
        live = await self._threads.list_live(tx, kinds.INCIDENT, str(number))
        if live:
            last = count_pages(await self._count(tx, number))
            for thread in live:
                await self._want(tx, thread.thread_id, number, last)

    async def begin(self, tx: Transaction, thread: Thread, thread_id: int) -> None:
        """Have a thread that was just started carry what happened so far."""
        number = int(thread.key)
        for page in range(1, count_pages(await self._count(tx, number)) + 1):
            await self._want(tx, thread_id, number, page)

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render a page; one of an incident that is no longer kept has no looks."""
        del channel_id
        number, _, written = key.partition("/")
        page = int(written)
        async with self._database.reading() as tx:
            incident = await find_incident(tx, IncidentNumber(int(number)))
            count = await self._count(tx, int(number))
            entries = await self._entries(tx, int(number), page, count)
        if incident is None:
            return None
        return render_timeline(incident, entries, page=page, key=key)

    async def read(self, tx: Transaction, incident: Incident, number: int | None) -> Page:
        """Return a page, None: the newest; one that does not exist is the nearest one."""
        count = await self._count(tx, incident.number)
        last = count_pages(count)
        number = last if number is None else min(max(number, 1), last)
        entries = await self._entries(tx, incident.number, number, count)
        return Page(incident, tuple(entries), number, last)

    async def _entries(self, tx: Transaction, number: int, page: int, count: int) -> list[Recorded]:
        # Newest first: of all since this page began, the last ones are on it.
        since = max(count - (page - 1) * PAGE_ENTRIES, 1)
        newest_first = await self._journal.list_entries(tx, Filter(incident=number), limit=since)
        return newest_first[::-1][:PAGE_ENTRIES]

    async def _count(self, tx: Transaction, number: int) -> int:
        return await self._journal.count_entries(tx, Filter(incident=number))

    async def _want(self, tx: Transaction, thread_id: int | None, number: int, page: int) -> None:
        if thread_id is not None:
            await self._cards.want(
                tx, kinds.TIMELINE, page_key(number, page), thread_id, priority=Priority.LOW
            )


def page_key(number: int, page: int) -> str:
    """Name a page of a timeline."""
    return f"{number}/{page}"
