"""How well names fit what somebody typed so far: pure, and quick enough for thousands at each key stroke."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

LONGEST: Final = 100
"""Characters that are looked at of what was typed; Discord lets people type thousands."""
MOST_WORDS: Final = 6

_EXACT, _PREFIX, _WORD, _WITHIN, _BESIDE, _SCATTERED = range(6)


def words_of(typed: str) -> list[str]:
    """Return the words that must fit, in lower case."""
    return typed[:LONGEST].lower().split()[:MOST_WORDS]


def rank(typed: str, candidates: Iterable[T], *, text: Callable[[T], str]) -> list[T]:
    """Return the candidates that fit, the best first; equally good ones keep their order."""
    words = words_of(typed)
    if not words:
        return list(candidates)
    scored = []
    for candidate in candidates:
        name = text(candidate)
        if (fit := score(words, name, name.lower())) is not None:
            scored.append((fit, candidate))
    scored.sort(key=lambda pair: pair[0])
    return [candidate for _, candidate in scored]


def score(words: Sequence[str], name: str, lowered: str, beside: str = "") -> int | None:
    """Return how far a name is from the words, 0 being the nearest; None: one of them does not fit.

    For each word the best is the first word of the name itself, then its beginning,
    then the beginning of another part (humps in CamelCase count), then letters
    together anywhere, then those in `beside`, which is in lower case too, then the
    letters in this order with others between them.
    """
    total = 0
    for word in words:
        at = lowered.find(word)
        if at == 0:
            total += _EXACT if lowered[len(word) : len(word) + 1] in {"", " "} else _PREFIX
        elif at > 0:
            total += _WORD if _begins_a_part(word, name, lowered, at) else _WITHIN
        elif word in beside:
            total += _BESIDE
        elif _is_scattered(word, lowered):
            total += _SCATTERED
        else:
            return None
    return total


def _begins_a_part(word: str, name: str, lowered: str, at: int) -> bool:
    while at > 0:
        before = name[at - 1 : at]
        if not before.isalnum() or (name[at : at + 1].isupper() and not before.isupper()):
            return True
        at = lowered.find(word, at + 1)
    return False


def _is_scattered(word: str, lowered: str) -> bool:
    # No regular expression: one with a gap between all letters could take for ever.
    at = -1
    for letter in word:
        at = lowered.find(letter, at + 1)
        if at < 0:
            return False
    return True
