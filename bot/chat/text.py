"""Text from outside, made safe to show: it pings nobody, formats nothing, hides nothing and fits.

`escape` takes plain text and gives markup; everything else here gives markup too. Sizes are
counted in UTF-16 units, the strictest of the ways in which Discord's clients and servers count.
Pings are forbidden a second time where messages are sent, by `allowed_mentions`.
"""

import re
import unicodedata
from datetime import datetime
from typing import Final, Literal
from urllib.parse import quote as percent_encode
from urllib.parse import urlsplit

Newlines = Literal["fold", "keep"]
TimestampStyle = Literal["t", "T", "d", "D", "f", "F", "R"]

ELLIPSIS: Final = "…"
LONGEST_URL: Final = 512
"""Discord's limit on the address of a button; links in text keep to it as well."""

_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_INKLESS: Final = re.compile(
    # Letters and marks that show nothing: joiners, fillers, the Braille blank, variation selectors.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_LINE_END: Final = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SPACES: Final = re.compile(r"\s+")
_LOOKALIKE_AT: Final = "\uff20"
"""Servers look for @everyone without regard to markup: only another letter stops them."""
_EVERYONE: Final = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
_MARKUP: Final = re.compile(
    r"[\\*_~|`<>\[\]]"  # emphasis, code, spoilers, links, mentions, timestamps, custom emoji
    r"|(?<=<)@"  # a mention, broken in its middle as well
    r"|:(?=//)"  # an address that Discord would make a link
    r"|:(?=[\w+-]+:)"  # an emoji by its name
)
_LINE_START: Final = re.compile(r"^(?=[#+-])|^(\d+)(?=[.)])", re.MULTILINE)
_ATOM: Final = re.compile(
    r"\\."  # an escaped character
    r"|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)"  # code
    r"|\[(?:\\.|[^\]\\])*\]\([^)\s]*\)"  # a link
    r"|<[^<>\s]+>"  # a mention, a timestamp
    r"|.",
    re.DOTALL,
)


def units(text: str) -> int:
    """Return the length of a text as Discord may count it: in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def plain(text: str, *, newlines: Newlines = "fold") -> str:
    """Return what a person would see of a text: nothing invisible, single spaces, tidy lines."""
    lines = (_visible(line) for line in _LINE_END.split(text))
    separator = " " if newlines == "fold" else "\n"
    return separator.join(line for line in lines if line)


def escape(text: str, *, newlines: Newlines = "fold") -> str:
    """Return markup that shows a plain text as it is, whatever it holds.

    Empty lines are dropped when newlines are kept. The result may stand at the start of a line,
    in a link's label and between emphasis; it isn't for code (see `code`).
    """
    shown = _EVERYONE.sub(_LOOKALIKE_AT, plain(text, newlines=newlines))
    escaped = _MARKUP.sub(lambda found: "\\" + found[0], shown)
    return _LINE_START.sub(lambda found: (found[1] or "") + "\\", escaped)


def code(text: str, *, budget: int = 100) -> str:
    """Return a text as inline code in one line, cut to `budget` units without its two backticks."""
    shown = cut_plain(plain(text).replace("`", "ˋ"), budget)
    return f"`{shown or '-'}`"


def code_block(text: str, *, language: str = "", budget: int = 1900) -> str:
    """Return lines as a block of code, cut after a line to `budget` units with its fences and an ellipsis.

    Indentation stays; what cannot be seen goes.
    """
    opening, closing = f"```{language}", "```"
    left = budget - units(opening) - units(closing) - 2 * units(ELLIPSIS) - 2
    kept: list[str] = []
    for line in _LINE_END.split(text.rstrip()):
        shown = "".join(c for c in line.expandtabs(4) if unicodedata.category(c) not in _HIDDEN_CATEGORIES)
        safe = _INKLESS.sub("", shown).replace("`", "ˋ").rstrip()
        left -= units(safe) + 1
        if left < 0:
            kept.append(ELLIPSIS)
            break
        kept.append(safe)
    return "\n".join([opening, *kept, closing])


def quote(text: str, *, lines: int = 3, budget: int = 600) -> str:
    """Return the first lines of a text as a quote, with … where more was there."""
    escaped = escape(text, newlines="keep").splitlines()
    if not escaped:
        return ""
    kept = "\n".join(f"> {line}" for line in escaped[:lines])
    if len(escaped) > lines:
        kept += f" {ELLIPSIS}"
    return cut(kept, budget)


def cut(markup: str, budget: int) -> str:
    """Return markup in at most `budget` units, ending with … if it was longer.

    Never cuts inside an escape, code, a link, a mention or a timestamp. Emphasis isn't tracked: cut before
    you embolden.
    """
    if units(markup) <= budget:
        return markup
    left = budget - units(ELLIPSIS)
    if left < 0:
        return ""
    kept: list[str] = []
    for atom in _ATOM.finditer(markup):
        left -= units(atom[0])
        if left < 0:
            break
        kept.append(atom[0])
    return "".join(kept).rstrip() + ELLIPSIS


def cut_plain(text: str, budget: int) -> str:
    """Return plain text, such as a button's label, in at most `budget` units."""
    if units(text) <= budget:
        return text
    kept = text[: max(budget, 0)]
    while kept and units(kept) + units(ELLIPSIS) > budget:
        kept = kept[:-1]
    return kept.rstrip() + ELLIPSIS if budget > 0 else ""


def safe_url(url: str) -> str | None:
    """Return an http or https address that can stand in markup and buttons, or None if it cannot be used."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host or not host.isascii():
        return None
    encoded = percent_encode(url.strip().encode("utf-8", "replace"), safe="%/:?#@!$&'+,;=-.")
    encoded = _EVERYONE.sub("%40", encoded)
    usable = units(encoded) <= LONGEST_URL and encoded.lower().startswith(("http://", "https://"))
    return encoded if usable else None


def link(label: str, url: str) -> str | None:
    """Return a link in markup with a plain label, or None when the address cannot be used."""
    usable = safe_url(url)
    shown = escape(label)
    return f"[{shown}]({usable})" if usable and shown else None


def timestamp(moment: datetime, style: TimestampStyle = "R") -> str:
    """Return a moment as Discord shows it: in the reader's own zone and language."""
    return f"<t:{int(moment.timestamp())}:{style}>"


def _visible(line: str) -> str:
    spaced = _SPACES.sub(" ", line)
    shown = "".join(c for c in spaced if unicodedata.category(c) not in _HIDDEN_CATEGORIES)
    return _SPACES.sub(" ", _INKLESS.sub("", shown)).strip()
