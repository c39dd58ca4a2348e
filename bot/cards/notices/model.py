"""What a notice is."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that operators should know."""

    id: int
    key: str
    """Equal for what is the same thing said again."""
    title: str
    text: str
    """What is wrong and what to do, in Discord's markup; what comes from outside is escaped in it."""
    count: int
    first_at: datetime
    last_at: datetime
