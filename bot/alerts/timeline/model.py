"""What a timeline shows, and on which page: values and pure decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from bot.alerts.model.incident import Incident
from bot.journal.model import Recorded

CALLED, CHANGED, MUTED, UNMUTED = "alerts:called", "alerts:changed", "alerts:muted", "alerts:unmuted"
SILENCED, UNSILENCED = "alerts:silenced", "alerts:unsilenced"
"""What is written down only for incidents that carry a thread.

That somebody silenced is written down once, whatever that hides; these say it of each incident that it hides.
"""

PAGE_ENTRIES = 25
"""Entries on a page: as many lines, at their longest, as a message takes."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a timeline."""

    incident: Incident
    entries: tuple[Recorded, ...]
    """Oldest first."""
    number: int
    """From 1, which is the oldest."""
    of: int
    """How many pages there are."""


def count_pages(entries: int) -> int:
    """Return how many messages a timeline of so many entries takes; there is always one."""
    return max(1, ceil(entries / PAGE_ENTRIES))


def condense(entries: Sequence[Recorded]) -> list[Recorded]:
    """Leave out what the entry right after says anew: how many alerts fire."""
    kept = [first for first, second in pairwise(entries) if not (_counts(first) and _counts(second))]
    return [*kept, *entries[-1:]]


def _counts(recorded: Recorded) -> bool:
    return recorded.entry.action == CHANGED
