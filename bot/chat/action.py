"""The one button and the one select: their state is in their custom_id, so they outlive every restart.

Cards make them with `button` and `select`; `bot.chat.handlers` has what pressing them does, so that
a card, which is a picture of values, reaches nothing that talks.
No other persistent view exists, and none of these ever shares a view with static items: discord.py
would forget the pattern of all messages when that view ends.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, Self, cast

import discord

from bot.chat.layout import LONGEST_LABEL, LONGEST_OPTION, LONGEST_PLACEHOLDER
from bot.chat.text import cut_plain

TEMPLATE: Final = re.compile(r"tm:(?P<action>[a-z-]+):(?P<key>[A-Za-z0-9._/-]{1,80})")
MOST_OPTIONS: Final = 25


def custom_id(action: str, key: str) -> str:
    """Return the custom_id of an action on the thing that `key` names.

    Raises ValueError for what the pattern does not allow: keys are made by us.
    """
    made = f"tm:{action}:{key}"
    if not TEMPLATE.fullmatch(made) or len(made) > 100:  # noqa: PLR2004  # Discord's limit.
        raise ValueError(f"{made!r} is no custom_id of ours")
    return made


class Handler(Protocol):
    """Does what the items stand for: `bot.chat.handlers.Actions`, which the client carries."""

    async def press(self, interaction: discord.Interaction[Any], action: str, key: str) -> None:
        """Do what a button stands for."""
        ...

    async def choose(
        self, interaction: discord.Interaction[Any], action: str, key: str, values: Sequence[str]
    ) -> None:
        """Do what a choice stands for."""
        ...


class ActionButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=TEMPLATE):
    """A button that asks for an action on the thing that its key names."""

    def __init__(self, item: discord.ui.Button[Any], action: str, key: str) -> None:
        super().__init__(item)
        self._action = action
        self._key = key

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003  # discord.py's signature.
        item: discord.ui.Item[Any],
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the item that was used out of the message it is on."""
        return cast("Self", _made_again(item, match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do it."""
        await _handler(interaction).press(interaction, self._action, self._key)


class ActionSelect(discord.ui.DynamicItem[discord.ui.Select[Any]], template=TEMPLATE):
    """A select whose choice asks for an action on the thing that its key names."""

    def __init__(self, item: discord.ui.Select[Any], action: str, key: str) -> None:
        super().__init__(item)
        self._action = action
        self._key = key

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003  # discord.py's signature.
        item: discord.ui.Item[Any],
        match: re.Match[str],
        /,
    ) -> Self:
        """Make the item that was used out of the message it is on."""
        return cast("Self", _made_again(item, match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do it."""
        await _handler(interaction).choose(interaction, self._action, self._key, self.item.values)


def button(
    action: str,
    key: str,
    label: str,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
    *,
    disabled: bool = False,
) -> ActionButton:
    """Return a button; its label is plain text and cut to fit."""
    made: discord.ui.Button[Any] = discord.ui.Button(
        style=style,
        label=cut_plain(label, LONGEST_LABEL),
        custom_id=custom_id(action, key),
        disabled=disabled,
    )
    return ActionButton(made, action, key)


def select(
    action: str, key: str, options: Iterable[discord.SelectOption], placeholder: str, *, most: int = 1
) -> ActionSelect:
    """Return a select of the first 25 options, of which up to `most` may be chosen."""
    offered = list(options)[:MOST_OPTIONS]
    for option in offered:
        option.label = cut_plain(option.label, LONGEST_OPTION)
        option.description = option.description and cut_plain(option.description, LONGEST_OPTION)
    made: discord.ui.Select[Any] = discord.ui.Select(
        custom_id=custom_id(action, key),
        placeholder=cut_plain(placeholder, LONGEST_PLACEHOLDER),
        options=offered,
        max_values=min(most, len(offered)) or 1,
    )
    return ActionSelect(made, action, key)


def _made_again(item: discord.ui.Item[Any], match: re.Match[str]) -> ActionButton | ActionSelect:
    """Make either: discord.py keeps one class for a pattern, the one that it saw last."""
    if isinstance(item, discord.ui.Select):
        return ActionSelect(item, match["action"], match["key"])
    return ActionButton(cast("discord.ui.Button[Any]", item), match["action"], match["key"])


def _handler(interaction: discord.Interaction[Any]) -> Handler:
    handler: Handler = interaction.client.actions
    return handler
