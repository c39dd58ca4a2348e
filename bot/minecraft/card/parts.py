"""What several cards share: names of their buttons, lists of players, messages of the day."""

from collections.abc import Sequence
from typing import Final

from bot.chat.text import escape, units
from bot.minecraft.motd import Span

PLAYERS: Final = "mc-players"
HISTORY: Final = "mc-history"
START: Final = "mc-start"
STOP: Final = "mc-stop"
ADD: Final = "mc-add"
DECLINE: Final = "mc-decline"
EVERY_SERVER: Final = "all"
"""In place of the name of a server."""
LONGEST_NAMES: Final = 1500
_APART: Final = "\u200b"
"""Between two styles, so that their marks are not read as one."""


def listed(names: Sequence[str], budget: int, count: int | None = None) -> str:
    """Return names in one line, and how many more there are."""
    total = max(count if count is not None else len(names), len(names))
    shown: list[str] = []
    left = budget
    for name in names:
        escaped = escape(name)
        left -= units(escaped) + 2
        if left < 0:
            break
        if escaped:
            shown.append(escaped)
    if not shown:
        return ""
    more = total - len(shown)
    return f"{', '.join(shown)} and {more:,} more" if more > 0 else ", ".join(shown)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def motd_lines(spans: Sequence[Span]) -> list[str]:
    """Return a message of the day as lines of markup, in Discord's styles."""
    lines: list[list[str]] = [[]]
    for span in spans:
        for number, text in enumerate(span.text.split("\n")):
            if number:
                lines.append([])
            if styled := _styled(text, span):
                lines[-1].append(styled)
    return [line for parts in lines if (line := _APART.join(parts).strip(f" {_APART}"))]


def _styled(text: str, span: Span) -> str:
    shown = escape(text)
    if not shown:
        return " " if text and not text.strip() else ""
    for mark, on in (
        ("~~", span.strikethrough),
        ("__", span.underlined),
        ("*", span.italic),
        ("**", span.bold),
    ):
        shown = f"{mark}{shown}{mark}" if on else shown
    # Marks hold only next to what they mark, so spaces stand outside.
    return f"{' ' * text[:1].isspace()}{shown}{' ' * text[-1:].isspace()}"
