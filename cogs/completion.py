"""Completion: ranks what is held in memory by how well it fits what was typed so far.

Pure: no request leaves the process while a person types.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_EXACT, _PREFIX, _WORD, _WITHIN, _SCATTERED = range(5)


def rank(typed: str, candidates: Iterable[T], *, text: Callable[[T], str]) -> list[T]:
    """Return the candidates that fit, the best first; equally good ones keep their order.

    Every word that was typed must fit. The best is the first word of `text`
    itself, then its beginning, then the beginning of another word (humps in
    CamelCase count), then letters anywhere together, then in this order.
    """
    words = typed.lower().split()
    if not words:
        return list(candidates)
    scored = []
    for candidate in candidates:
        shown = text(candidate)
        score = _score(words, shown)
        if score is not None:
            scored.append((score, candidate))
    scored.sort(key=lambda pair: pair[0])
    return [candidate for _, candidate in scored]


def _score(words: list[str], shown: str) -> int | None:
    lowered = shown.lower()
    total = 0
    for word in words:
        fit = _fit(word, shown, lowered)
        if fit is None:
            return None
        total += fit
    return total


def _fit(word: str, shown: str, lowered: str) -> int | None:
    at = lowered.find(word)
    if at < 0:
        letters = iter(lowered)
        return _SCATTERED if all(letter in letters for letter in word) else None
    if at == 0:
        return _EXACT if lowered == word or lowered[len(word)] == " " else _PREFIX
    while at >= 0:
        if _begins_word(shown, at):
            return _WORD
        at = lowered.find(word, at + 1)
    return _WITHIN


def _begins_word(shown: str, at: int) -> bool:
    before, first = shown[at - 1 : at], shown[at : at + 1]
    return not before.isalnum() or (first.isupper() and not before.isupper())
