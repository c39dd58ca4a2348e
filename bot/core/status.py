"""How a part of the bot is, in a line."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that an operator can do there, to one of several things."""

    action: str
    """The name of what choosing one does."""
    prompt: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One part, whether it is well, and what to know of it."""

    name: str
    ok: bool
    text: str
    since: datetime | None = None
    offer: Offer | None = None
