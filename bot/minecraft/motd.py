"""The message of the day, read with bounds: what a server sends may be nested, repeated and huge.

Colours are left out, for text in Discord has none. mcstatus reads it as well, but
without bounds: 130 KB of it can cost gigabytes there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

MOST_TEXT: Final = 500
_MOST_PARTS: Final = 400
_DEEPEST: Final = 16
_CODE: Final = re.compile(r"§(.)", re.DOTALL)
_STYLES: Final = {"l": "bold", "o": "italic", "n": "underlined", "m": "strikethrough"}
_BEDROCK_MATERIALS: Final = frozenset("mn")
_COLOURS: Final = frozenset("0123456789abcdefghijpqstuv")


@dataclass(frozen=True, slots=True)
class Span:
    """Some text in one style."""

    text: str
    bold: bool = False
    italic: bool = False
    underlined: bool = False
    strikethrough: bool = False


_PLAIN: Final = Span("")


def read_motd(raw: Any, *, bedrock: bool = False) -> tuple[Span, ...]:
    """Return what a description shows, whatever it is made of; at most 500 characters of it."""
    spans: list[Span] = []
    left = MOST_TEXT
    for number, span in enumerate(_parts(raw, _PLAIN, 0, bedrock=bedrock)):
        text = span.text[:left]
        left -= len(text)
        if spans and replace(spans[-1], text="") == replace(span, text=""):
            spans[-1] = replace(span, text=spans[-1].text + text)
        elif text:
            spans.append(replace(span, text=text))
        if left <= 0 or number >= _MOST_PARTS:
            break
    return tuple(spans)


def strip_codes(text: str) -> str:
    """Return a text without the codes that Minecraft formats with."""
    return _CODE.sub("", text).replace("§", "")


def _parts(raw: Any, style: Span, depth: int, *, bedrock: bool) -> Iterator[Span]:
    """Go through a component and what is in it; each part is worked on only when it is asked for."""
    if depth > _DEEPEST:
        return
    if isinstance(raw, str):
        yield from _coded(raw[: 4 * MOST_TEXT], style, bedrock=bedrock)
    elif isinstance(raw, list):
        for each in raw[:_MOST_PARTS]:
            yield from _parts(each, style, depth + 1, bedrock=bedrock)
    elif isinstance(raw, Mapping):
        own = _styled(raw, style)
        for part in (raw.get("text"), raw.get("translate"), raw.get("extra")):
            if isinstance(part, str | list):
                yield from _parts(part, own, depth + 1, bedrock=bedrock)
    # Even what shows nothing counts, so that a million of it ends.
    yield replace(style, text="")


def _styled(raw: Mapping[str, Any], style: Span) -> Span:
    for name in _STYLES.values():
        if isinstance(said := raw.get(name), bool):
            style = _with(style, name, on=said)
    return style


def _with(style: Span, name: str, *, on: bool) -> Span:
    changed: dict[str, Any] = {name: on}
    return replace(style, **changed)


def _coded(text: str, style: Span, *, bedrock: bool) -> Iterator[Span]:
    at = 0
    for found in _CODE.finditer(text):
        yield replace(style, text=text[at : found.start()])
        at = found.end()
        style = _after(found[1].lower(), style, bedrock=bedrock)
    yield replace(style, text=text[at:])


def _after(code: str, style: Span, *, bedrock: bool) -> Span:
    if bedrock and code in _BEDROCK_MATERIALS:
        return style
    if code in _STYLES:
        return _with(style, _STYLES[code], on=True)
    if code == "r":
        return _PLAIN
    # In Java a colour ends every style before it.
    return _PLAIN if code in _COLOURS and not bedrock else style
