"""Where cards get their looks: each room that has cards gives one source per kind."""

from typing import Protocol

from bot.chat.rendered import Rendered


class CardSource(Protocol):
    """Renders the cards of one kind."""

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Return how a card looks now, or None: it should go."""
        ...
