"""Matchers over labels, in Alertmanager's syntax and with its meaning.

The grammar is that of Alertmanager's UTF-8 parser
(https://prometheus.io/docs/alerting/latest/configuration/#matcher). Regular
expressions are Python's, which understands nearly all of RE2; what it does not
understand is refused when the matcher is made, never when an alert arrives.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

from bot.core.errors import InvalidError

_RESERVED = frozenset("{}!=~,\\\"'`")
_LONGEST_QUOTE = 60
_SIMPLE_ESCAPES = {
    "a": b"\a", "b": b"\b", "f": b"\f", "n": b"\n", "r": b"\r", "t": b"\t", "v": b"\v",
    "\\": b"\\", '"': b'"',
}  # fmt: skip
_GO_ESCAPE = re.compile(
    r"""\\(?:(?P<simple>[abfnrtv\\"])|x(?P<x>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})"""
    r"""|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<unknown>.?))|(?P<plain>[^\\]+)""",
    re.DOTALL,
)
_CLASSIC_ESCAPE = re.compile(r'\\([n"\\])')


class MatchOp(StrEnum):
    """How a label's value is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"

    @property
    def is_regex(self) -> bool:
        """Tell whether the value is a regular expression."""
        return self in {MatchOp.REGEX, MatchOp.NOT_REGEX}

    @property
    def is_positive(self) -> bool:
        """Tell whether the value is wanted, not unwanted."""
        return self in {MatchOp.EQUAL, MatchOp.REGEX}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. Raises `InvalidError` if its regular expression cannot be used."""

    name: str
    op: MatchOp
    value: str
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidError("expected the name of a label, not an empty one")
        if self.op.is_regex:
            object.__setattr__(self, "_pattern", _compile(self.value))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels meet the condition; a label that is absent is an empty one."""
        actual = labels.get(self.name, "")
        same = actual == self.value if self._pattern is None else bool(self._pattern.fullmatch(actual))
        return same is self.op.is_positive

    def __str__(self) -> str:
        needs_quotes = any(char in _RESERVED or char.isspace() for char in self.name)
        name = _quote(self.name) if needs_quotes else self.name
        return f"{name}{self.op}{_quote(self.value)}"


def parse_matcher(text: str) -> Matcher:
    """Return the one matcher that the text holds; raises `InvalidError` saying what was expected."""
    found = parse_matchers(text)
    if len(found) != 1:
        raise InvalidError(f'expected one matcher such as severity="critical", found {len(found)}')
    return found[0]


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of `{a="b", c=~"d"}`; the braces may be left out.

    Raises `InvalidError` that says what was expected and where.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidError("expected valid Unicode") from error
    return tuple(_Parser(text).matchers())


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def matchers(self) -> Iterator[Matcher]:
        in_braces = self._take("{")
        while not self._is_over(in_braces=in_braces):
            yield self._matcher()
            if not self._take(",") and not self._is_over(in_braces=in_braces):
                self._fail("a comma or a closing brace" if in_braces else "a comma or the end")
        if in_braces and not self._take("}"):
            self._fail("a closing brace")
        if self._peek():
            self._fail("the end")

    def _is_over(self, *, in_braces: bool) -> bool:
        return self._peek() in {"", "}"} if in_braces else not self._peek()

    def _matcher(self) -> Matcher:
        name = self._word("the name of a label")
        op = next((op for op in ("=~", "!~", "!=", "=") if self._take(op)), None)
        if op is None:
            self._fail("one of = != =~ !~")
        return Matcher(name, MatchOp(op), self._word('a value (an empty one is written "")'))

    def _word(self, expected: str) -> str:
        if self._peek() == '"':
            return self._quoted()
        start = self._at
        while self._at < len(self._text) and not _ends_word(self._text[self._at]):
            self._at += 1
        if self._at == start:
            self._fail(expected)
        return self._text[start : self._at]

    def _quoted(self) -> str:
        start = self._at + 1
        end = start
        while end < len(self._text) and self._text[end] != '"':
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            self._at = len(self._text)
            self._fail("a closing quotation mark")
        self._at = end + 1
        return _unquote(self._text[start:end])

    def _peek(self) -> str:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _take(self, token: str) -> bool:
        self._peek()
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _fail(self, expected: str) -> NoReturn:
        shown = self._text if len(self._text) <= _LONGEST_QUOTE else self._text[:_LONGEST_QUOTE] + "…"
        raise InvalidError(f"expected {expected} at position {self._at + 1} of {shown!r}")


def _ends_word(char: str) -> bool:
    return char in _RESERVED or char.isspace()


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _unquote(body: str) -> str:
    r"""Undo the escapes as Go does; where Go would refuse one, as Alertmanager's classic parser does.

    So `"\d+"` and `"\\d+"` are both the expression that was meant.
    """
    unquoted = _unquote_as_go(body)
    if unquoted is not None:
        return unquoted
    return _CLASSIC_ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], body)


def _unquote_as_go(body: str) -> str | None:
    if "\n" in body:
        return None
    parts: list[bytes] = []
    for found in _GO_ESCAPE.finditer(body):
        part = _go_part(found)
        if part is None:
            return None
        parts.append(part)
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError:
        return None


def _go_part(found: re.Match[str]) -> bytes | None:
    if found["plain"] is not None:
        return found["plain"].encode()
    if found["simple"] is not None:
        return _SIMPLE_ESCAPES[found["simple"]]
    if found["x"] is not None or found["octal"] is not None:
        return bytes([int(found["x"], 16) if found["x"] else int(found["octal"], 8)])
    digits = found["u"] or found["U"]
    if digits is None:
        return None
    try:
        return chr(int(digits, 16)).encode()
    except (ValueError, OverflowError):
        return None


def _compile(expression: str) -> re.Pattern[str]:
    r"""Compile with RE2's meaning of \d, \w and \s: ASCII."""
    try:
        with warnings.catch_warnings():
            # `[[:alpha:]]` compiles with a warning, and means something else than in RE2.
            warnings.simplefilter("error")
            return re.compile(expression, re.ASCII)
    except FutureWarning as error:
        raise InvalidError("expected a regular expression without [ or doubled signs in a set") from error
    except (re.error, OverflowError, DeprecationWarning) as error:
        raise InvalidError(f"expected a regular expression: {error}") from error
    except RecursionError as error:
        raise InvalidError("expected a regular expression that is nested less deeply") from error
