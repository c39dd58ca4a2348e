"""How changes look on the card of an incident: markup, a line each."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.chat import layout
from bot.core.durations import spoken_duration
from bot.journal.changes import Changed
from bot.journal.words import change_line

_AN_HOUR: Final = timedelta(hours=1)


def changed_lines(
    shown: Sequence[tuple[Changed, str]], *, more: int, is_all: bool, began: datetime, window: timedelta
) -> Iterator[str]:
    """Yield the heading and the changes, each with the address of its card or an empty one.

    `more` are known besides; there may be others where it `is_all` does not hold.
    """
    if not shown:
        return
    since = ", and since" if any(change.at > began for change, _ in shown) else ""
    length = "hour" if window == _AN_HOUR else spoken_duration(window)
    yield f"**Changed here in the {length} before{since}**"
    yield from (change_line(change, url=url) for change, url in shown)
    if more or not is_all:
        count = f"{more} more" if is_all else "more"
        yield layout.subtext(f"and {count}: `/machine changes`")
