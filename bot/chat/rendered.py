"""A message as it should look: what a card source gives and the courier delivers."""

from dataclasses import dataclass

import discord


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text to attach, for what does not fit into the message."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One message in Components V2, complete."""

    view: discord.ui.LayoutView
    """Made afresh for each rendering, without a timeout."""
    marker: str
    """A custom_id in the view that no other message of ours in its channel carries."""
    files: tuple[TextFile, ...] = ()
    ping_roles: tuple[int, ...] = ()
    """Roles that the creation may ping; an edit never pings."""
    ping_users: tuple[int, ...] = ()
    """Users that the creation may ping."""
    reply_to: int | None = None
    """The message that this one answers."""
    silent: bool = False
    """Whether the creation leaves phones quiet."""

    def __post_init__(self) -> None:
        """Show what is attached: Discord hides files that no component of such a message names."""
        shown = {item.media.url for item in self.view.walk_children() if isinstance(item, discord.ui.File)}
        for file in self.files:
            if (url := f"attachment://{file.name}") not in shown:
                self.view.add_item(discord.ui.File(url))
