"""Keeps a channel readable when many Applications go wrong at once: stories share a card.

The first few have cards of their own, and keep them. Further ones are a crowd, and stay one for as
long as they are told. A crowd is its stories' rows alone, so that it goes on after a restart.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from bot.argocd import store
from bot.argocd.card.crowds import render_crowd
from bot.argocd.stories import (
    MOST_ALONE,
    REOPENS_WITHIN,
    TOGETHER_WITHIN,
    Story,
    crowd_of,
    is_crowded,
)
from bot.cards.store import Cards, find_card
from bot.chat.rendered import Rendered
from bot.database.engine import Database, Transaction
from bot.kube.model import ObjectKey

CARD: Final = "argocd-crowd"
"""The kind of the cards; their keys are the numbers of crowds."""

_EDITED_EVERY: Final = timedelta(seconds=5)
"""Thousands of Applications change one after the other, and each edit carries the whole list."""


class Crowds:
    """Says which stories are told together, and has their cards kept current."""

    def __init__(self, cards: Cards) -> None:
        """Take the cards."""
        self._cards = cards

    async def begin(
        self, tx: Transaction, *, key: ObjectKey, channel_id: int, opened_at: datetime, now: datetime
    ) -> Story:
        """Begin a story, in the crowd of its channel where too many have begun lately; still to be saved."""
        told_at = await store.list_told_at(tx, channel_id, since=now - TOGETHER_WITHIN, limit=MOST_ALONE)
        story = await store.insert_story(tx, key=key, channel_id=channel_id, opened_at=opened_at, told_at=now)
        if not is_crowded(told_at, now=now):
            return story
        crowd = await store.find_crowd(tx, channel_id, since=now - REOPENS_WITHIN)
        return replace(story, crowd=crowd or story.id)

    async def want(self, tx: Transaction, crowd: int, channel_id: int, *, now: datetime) -> None:
        """Have the card of a crowd: at once where it is not there yet, else edited after a while."""
        card = await find_card(tx, CARD, str(crowd), channel_id)
        not_before = None
        if card is not None and card.message_id is not None:
            not_before = card.retry_at if card.wanted > card.delivered else now + _EDITED_EVERY
        await self._cards.want(tx, CARD, str(crowd), channel_id, not_before=not_before)


class CrowdCards:
    """Renders crowds; one of which no story is kept has no card."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render the crowd of this number."""
        del channel_id
        async with self._database.reading() as tx:
            stories = await store.list_crowd(tx, int(key))
        return render_crowd(crowd_of(int(key), stories)) if stories else None
