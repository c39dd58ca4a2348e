"""The boards: one live card for all servers in each configured channel, kept current by edits alone."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.cards.model import Priority
from bot.cards.store import Cards
from bot.chat.rendered import Rendered
from bot.core.clock import Clock
from bot.database.engine import Database
from bot.minecraft.card.servers import render_board
from bot.minecraft.model import Standing, View, total_words

BOARD: Final = "minecraft-board"
"""The kind of its cards."""
KEY: Final = "all"
REFRESH: Final = timedelta(minutes=3)
"""How old a board gets when nothing changes: its latencies go on."""
SETTLE: Final = timedelta(seconds=5)
"""What changes within this time is one edit."""

ShowPresence = Callable[[str], None]


class Boards:
    """Has the boards rendered when there is something new, and the presence with them."""

    def __init__(
        self,
        database: Database,
        cards: Cards,
        *,
        views: Callable[[], Sequence[View]],
        channels: Callable[[], Sequence[int]],
        presence: Callable[[str], None],
        clock: Clock,
        has_looked: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take the leading database, what is to be shown and where; `presence` is told the total.

        `has_looked` says whether it is known which servers there are.
        """
        self._database = database
        self._cards = cards
        self._views = views
        self._channels = channels
        self._presence = presence
        self._clock = clock
        self._has_looked = has_looked
        self._shown: tuple[object, ...] | None = None
        self._in: tuple[int, ...] = ()
        self._at: datetime | None = None

    async def step(self) -> timedelta:
        """Have every board rendered if something changed, or if it is old."""
        views, channels, now = self._views(), tuple(self._channels()), self._clock.now()
        if not self._has_looked() or any(view.standing is None for view in views):
            # After a restart they are found and asked first; nobody is to see that they are unknown.
            return REFRESH
        self._presence(total_words([view.standing for view in views if view.standing is not None]))
        shown = tuple(_shown(view) for view in views)
        is_old = self._at is None or now - self._at >= REFRESH
        if is_old or shown != self._shown or channels != self._in:
            async with self._database.transaction() as tx:
                for channel in channels:
                    await self._cards.want(tx, BOARD, KEY, channel, priority=Priority.LOW)
                if set(self._in) - set(channels) or self._at is None:
                    # Boards of channels that are not configured any more go.
                    await self._cards.touch(tx, BOARD, KEY)
            self._shown, self._in, self._at = shown, channels, now
        return REFRESH

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render a board, or None where there should be none."""
        del key
        if channel_id not in self._channels():
            return None
        return render_board(self._views(), now=self._clock.now())


def _shown(view: View) -> tuple[object, ...]:
    """Return what is worth an edit: a latency that trembles is not."""
    standing = view.standing
    facts = _facts(standing) if standing is not None else None
    return (view.server, view.can_start, view.is_wanted, view.condition, view.is_coming, view.pods, facts)


def _facts(standing: Standing) -> tuple[object, ...]:
    answer = standing.answer
    if answer is None:
        said: tuple[object, ...] = ()
    else:
        # Of many a server names some, others each time.
        names = frozenset() if answer.is_partial else frozenset(answer.names)
        said = (answer.online, answer.most, answer.version, names)
    return (standing.condition, standing.since, standing.trouble, standing.stop, said)
