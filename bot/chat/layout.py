"""Building blocks of Components V2 messages, and the limits that Discord sets them.

What goes in is markup: escape text from outside with `bot.chat.text` first.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import discord

from bot.chat.text import LONGEST_URL, units

CRITICAL: Final = discord.Colour(0xE5484D)
WARNING: Final = discord.Colour(0xF5A623)
WAITING: Final = discord.Colour(0xF2C94C)
"""Waiting for people."""
RUNNING: Final = discord.Colour(0x3E7BFA)
GOOD: Final = discord.Colour(0x46A758)
QUIET: Final = discord.Colour(0x6E7681)
"""Silenced or unknown."""

MOST_COMPONENTS: Final = 40
"""In one message, nested ones included (https://discord.com/developers/docs/components/reference)."""
MOST_TEXT: Final = 4000
"""Summed over all texts of one message."""
LONGEST_CUSTOM_ID: Final = 100
LONGEST_LABEL: Final = 80
LONGEST_OPTION: Final = 100
LONGEST_PLACEHOLDER: Final = 150

Item = discord.ui.Item[Any]


def view(*items: Item) -> discord.ui.LayoutView:
    """Return a message made of these items; made afresh for each sending, and it never times out."""
    made = discord.ui.LayoutView(timeout=None)
    for item in items:
        made.add_item(item)
    return made


def container(*items: Item, colour: discord.Colour | None = None) -> discord.ui.Container[Any]:
    """Return a box around items, with an accent in a colour."""
    return discord.ui.Container(*items, accent_colour=colour)


def text(*lines: str | None) -> discord.ui.TextDisplay[Any]:
    """Return one text of these lines; absent and empty ones are left out."""
    return discord.ui.TextDisplay("\n".join(line for line in lines if line))


def subtext(markup: str) -> str:
    """Return a line in small print."""
    return f"-# {markup}"


def fitting(lines: Iterable[str], budget: int) -> list[str]:
    """Return the first lines that fit into so many units of text together."""
    kept: list[str] = []
    left = budget
    for line in lines:
        left -= units(line) + 1
        if left < 0:
            break
        kept.append(line)
    return kept


def gap() -> discord.ui.Separator[Any]:
    """Return a space between two parts."""
    return discord.ui.Separator(visible=False)


def divider() -> discord.ui.Separator[Any]:
    """Return a line between two parts."""
    return discord.ui.Separator(visible=True)


def row(*items: Item) -> discord.ui.ActionRow[Any]:
    """Return one row: up to five buttons, or one select."""
    return discord.ui.ActionRow(*items)


def content_length(message: discord.ui.LayoutView) -> int:
    """Return the units of all texts of a message together."""
    return sum(
        units(item.content) for item in message.walk_children() if isinstance(item, discord.ui.TextDisplay)
    )


def problems(message: discord.ui.LayoutView) -> list[str]:
    """Return what Discord would refuse about a message; empty when it is fine."""
    return [*_sizes(message), *(problem for item in message.walk_children() for problem in _of_item(item))]


def _sizes(message: discord.ui.LayoutView) -> Iterator[str]:
    if not message.children:
        yield "the message is empty"
    if message.total_children_count > MOST_COMPONENTS:
        yield f"{message.total_children_count} components, at most {MOST_COMPONENTS} are allowed"
    if (length := content_length(message)) > MOST_TEXT:
        yield f"{length} units of text, at most {MOST_TEXT} are allowed"
    ids = Counter(getattr(_bare(item), "custom_id", None) for item in message.walk_children())
    yield from (
        f"custom_id {name!r} is used {count} times" for name, count in ids.items() if name and count > 1
    )


def _of_item(item: Item) -> Iterator[str]:
    match _bare(item):
        case discord.ui.TextDisplay(content=content) if not content.strip():
            yield "a text is empty"
        case discord.ui.ActionRow(children=[]) | discord.ui.Container(children=[]):
            yield "a row or container is empty"
        case discord.ui.Button() as button:
            yield from _of_button(button)
        case discord.ui.Select() as select:
            yield from _of_select(select)
        case _:
            pass


def _of_button(button: discord.ui.Button[Any]) -> Iterator[str]:
    if not button.label and not button.emoji:
        yield "a button has no label"
    yield from _too_long("label", button.label, LONGEST_LABEL)
    yield from _too_long("custom_id", button.custom_id, LONGEST_CUSTOM_ID)
    yield from _too_long("url", button.url, LONGEST_URL)


def _of_select(select: discord.ui.Select[Any]) -> Iterator[str]:
    if not select.options:
        yield "a select has no options"
    yield from _too_long("custom_id", select.custom_id, LONGEST_CUSTOM_ID)
    yield from _too_long("placeholder", select.placeholder, LONGEST_PLACEHOLDER)
    for option in select.options:
        yield from _too_long("option label", option.label, LONGEST_OPTION)
        yield from _too_long("option value", option.value, LONGEST_OPTION)
        yield from _too_long("option description", option.description, LONGEST_OPTION)
    if len({option.value for option in select.options}) < len(select.options):
        yield "two options of a select have the same value"


def _too_long(what: str, value: str | None, longest: int) -> Iterator[str]:
    if value and units(value) > longest:
        yield f"{what} {value[:20]!r} has {units(value)} units, at most {longest} are allowed"


def _bare(item: Item) -> Item:
    return item.item if isinstance(item, discord.ui.DynamicItem) else item
