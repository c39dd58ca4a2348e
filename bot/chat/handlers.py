"""What the buttons and selects of `bot.chat.action` do: cogs register it by the name of the action."""

from collections.abc import Awaitable, Callable, Sequence

from bot.chat.replies import Interaction, guarded
from bot.core.errors import NotFoundError

ButtonHandler = Callable[[Interaction, str], Awaitable[None]]
"""Is given the key of the pressed button."""
SelectHandler = Callable[[Interaction, str, tuple[str, ...]], Awaitable[None]]
"""Is given the key of the select and the chosen values."""


class Actions:
    """What each action does."""

    def __init__(self) -> None:
        self._buttons: dict[str, ButtonHandler] = {}
        self._selects: dict[str, SelectHandler] = {}

    def register(self, action: str, handler: ButtonHandler) -> None:
        """Have `handler` called when a button of this action is pressed."""
        self._buttons[action] = handler

    def register_select(self, action: str, handler: SelectHandler) -> None:
        """Have `handler` called when something is chosen in a select of this action."""
        self._selects[action] = handler

    async def press(self, interaction: Interaction, action: str, key: str) -> None:
        """Do what the button stands for; errors are answered."""
        handler = self._buttons.get(action, _refuse_unknown)
        await guarded(
            interaction, action if action in self._buttons else "unknown", handler(interaction, key)
        )

    async def choose(self, interaction: Interaction, action: str, key: str, values: Sequence[str]) -> None:
        """Do what the select stands for; errors are answered."""
        handler = self._selects.get(action, _refuse_unknown)
        name = action if action in self._selects else "unknown"
        await guarded(interaction, name, handler(interaction, key, tuple(values)))


async def _refuse_unknown(_interaction: Interaction, _key: str, _values: tuple[str, ...] = ()) -> None:
    raise NotFoundError(
        "This button belongs to another version of the bot. "
        "The next update of the message brings the right ones."
    )
