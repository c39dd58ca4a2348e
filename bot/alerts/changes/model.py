"""Which changes the card of an incident shows: a pure decision."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.journal.changes import Changed

MOST_SHOWN: Final = 3
"""Changes that a card shows; `/machine changes` has all."""


def choose(changes: Sequence[Changed], *, began: datetime) -> tuple[Changed, ...]:
    """Return what a card shows: the newest, and in any case one from before it began, if there is one."""
    shown = list(changes[:MOST_SHOWN])
    before = next((change for change in changes if change.at <= began), None)
    if before is not None and before not in shown:
        shown[-1] = before
    return tuple(shown)
