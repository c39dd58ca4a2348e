"""Telling operators: once for the same thing, counting up when it happens again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from bot.cards.model import Priority
from bot.cards.notices import store
from bot.cards.notices.card import render_notice
from bot.cards.notices.model import Notice
from bot.cards.store import Cards, find_card
from bot.chat.rendered import Rendered
from bot.core.clock import Clock
from bot.core.errors import NotFoundError, UnavailableError
from bot.core.loops import survive
from bot.database.engine import Database, Transaction

KIND = "notice"

log = structlog.get_logger(__name__)

_MOST_WAITING = 100

_FORGET_AFTER = timedelta(days=1)
"""The same thing after a quiet day is news again."""
_UPDATE_EVERY = timedelta(minutes=1)
"""A notice that counts up is edited no more often than this."""


@dataclass(frozen=True, slots=True)
class _Told:
    key: str
    title: str
    text: str


class Notices:
    """Tells operators, and renders what they were told."""

    def __init__(
        self, database: Database, cards: Cards, clock: Clock, channel: Callable[[], int | None]
    ) -> None:
        """Take the leading database and where notices go at the moment of telling."""
        self._database = database
        self._cards = cards
        self._clock = clock
        self.channel = channel
        """Where operators are told, if anywhere."""

    async def post(self, tx: Transaction, key: str, title: str, text: str) -> None:
        """Tell of something, in the transaction that knows of it."""
        channel, now = self.channel(), self._clock.now()
        not_before = None
        known = await store.find_latest(tx, key)
        if known is None or now - known.last_at > _FORGET_AFTER:
            log.warning("notice_posted", notice=key)
            number = await store.insert_notice(tx, key=key, title=title, text=text, now=now)
        else:
            number = known.id
            await store.count_up(tx, number, text=text, now=now)
            if known.count > 1:
                not_before = now + _UPDATE_EVERY
        if channel is None or (not_before is not None and await self._is_to_be_updated(tx, number, channel)):
            return
        await self._cards.want(tx, KIND, str(number), channel, priority=Priority.HIGH, not_before=not_before)

    async def _is_to_be_updated(self, tx: Transaction, number: int, channel: int) -> bool:
        card = await find_card(tx, KIND, str(number), channel)
        return card is not None and card.wanted > card.delivered

    async def tell(self, key: str, title: str, text: str) -> None:
        """Tell of something that no transaction knows of."""
        async with self._database.transaction() as tx:
            await self.post(tx, key, title, text)

    async def get(self, number: int) -> Notice:
        """Return a notice.

        Raises:
            NotFoundError: It is no longer kept.
        """
        async with self._database.reading() as tx:
            notice = await store.find_notice(tx, number)
        if notice is None:
            raise NotFoundError("This notice is no longer kept.")
        return notice

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Give the courier the looks of a notice; one that is no longer kept has no card."""
        del channel_id
        async with self._database.reading() as tx:
            notice = await store.find_notice(tx, int(key))
        return render_notice(notice) if notice is not None else None


class NoticeQueue:
    """Takes notices where nothing may be awaited; a loop of its own writes them down."""

    def __init__(self, notices: Notices, *, wake: Callable[[], None] = lambda: None) -> None:
        """Take who tells, and what wakes the loop of `step`."""
        self._notices = notices
        self._waiting: deque[_Told] = deque(maxlen=_MOST_WAITING)
        self.wake = wake

    def put(self, key: str, title: str, text: str) -> None:
        """Have operators told soon; of more than a hundred that wait the oldest is dropped."""
        self._waiting.append(_Told(key, title, text))
        self.wake()

    async def step(self) -> timedelta | None:
        """Write down what waits."""
        while self._waiting:
            told = self._waiting[0]
            await survive(
                self._notices.tell(told.key, told.title, told.text),
                name="notices",
                but=(UnavailableError,),
                notice=told.key,
            )
            # Meanwhile so many may have come that it was dropped already.
            if self._waiting and self._waiting[0] is told:
                self._waiting.popleft()
        return None
