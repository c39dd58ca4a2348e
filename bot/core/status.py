"""How a part of the bot is, in a line."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One part, whether it is well, and what to know of it."""

    name: str
    ok: bool
    text: str
    since: datetime | None = None
