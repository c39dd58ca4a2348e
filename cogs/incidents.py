"""Incidents as people type them, and as completion offers them."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from discord import app_commands

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.showing import Known
from bot.chat.text import cut_plain, plain
from bot.core.errors import InvalidError
from bot.core.matchers import MatchOp, parse_matcher
from bot.core.ranking import rank

Choice = app_commands.Choice[str]

ALL_HERE: Final = "all here"
"""Stands for the open incidents of a channel that nobody acknowledged."""
MOST_CHOICES: Final = 25

_LONGEST_CHOICE: Final = 100
_LONGEST_NUMBER: Final = 15
_SEPARATORS: Final = re.compile(r"[\s,;+]+")
_PAIR: Final = re.compile(r'(?:[^\s,"]|"(?:\\.|[^"\\])*")+')


def parse_incident(text: str) -> IncidentNumber:
    """Return the number of one incident, written `417` or `#417`.

    Raises:
        InvalidError: It is no number.
    """
    digits = text.strip().removeprefix("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER):
        raise InvalidError("Expected the number of an incident, such as 417: pick one of those offered.")
    return IncidentNumber(int(digits))


def parse_incidents(text: str) -> tuple[IncidentNumber, ...]:
    """Return the numbers of several incidents, each once, in the order written.

    Raises:
        InvalidError: One of them is no number, or there is none.
    """
    words = [word for word in _SEPARATORS.split(text) if word]
    if not words:
        raise InvalidError(f"Expected numbers of incidents, such as 417 418, or {ALL_HERE}.")
    return tuple(dict.fromkeys(map(parse_incident, words)))


def parse_labels(text: str) -> dict[str, str]:
    """Return the labels of `alertname=X severity=critical` or `{alertname="X", severity="critical"}`.

    Raises:
        InvalidError: It is neither.
    """
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    labels: dict[str, str] = {}
    for pair in _PAIR.findall(inner):
        matcher = parse_matcher(pair)
        if matcher.op is not MatchOp.EQUAL:
            raise InvalidError(
                "Expected the labels of one alert, such as alertname=DiskFull severity=critical."
            )
        labels[matcher.name] = matcher.value
    if not labels:
        raise InvalidError("Expected at least one label, such as alertname=DiskFull.")
    return labels


def offer_one(typed: str, known: Iterable[Known]) -> list[Choice]:
    """Return the incidents that fit best what was typed."""
    return [
        Choice(name=cut_plain(_line(each), _LONGEST_CHOICE), value=str(each.number))
        for each in _ranked(typed, known)[:MOST_CHOICES]
    ]


def offer_several(typed: str, known: Iterable[Known]) -> list[Choice]:
    """Return lists of incidents: what was typed already, and one more; `all here` among them."""
    offered = []
    if ALL_HERE.startswith(typed.strip().lower()):
        offered.append(Choice(name="all here: open and unacknowledged in this channel", value=ALL_HERE))
    chosen, last = _split(typed)
    before = " ".join(str(number) for number in chosen)
    rest = [each for each in known if each.number not in chosen]
    for each in _ranked(last, rest)[: MOST_CHOICES - len(offered)]:
        name = f"{' '.join(f'#{number}' for number in chosen)} {_line(each)}".strip()
        value = f"{before} {each.number}".strip()
        if len(value) <= _LONGEST_CHOICE:
            offered.append(Choice(name=cut_plain(name, _LONGEST_CHOICE), value=value))
    return offered


def _split(typed: str) -> tuple[Sequence[IncidentNumber], str]:
    """Tell the incidents that were chosen from the word that is being typed."""
    words = [word for word in _SEPARATORS.split(typed) if word]
    chosen: list[IncidentNumber] = []
    finished = words if _SEPARATORS.fullmatch(typed[-1:]) else words[:-1]
    for word in finished:
        try:
            chosen.append(parse_incident(word))
        except InvalidError:
            break
    return chosen, " ".join(words[len(chosen) :])


def _ranked(typed: str, known: Iterable[Known]) -> list[Known]:
    return rank(typed.replace("#", " "), known, text=_text)


def _text(known: Known) -> str:
    return f"{known.number} {known.title} {known.where} {known.severity.word}"


def _line(known: Known) -> str:
    held = " · acknowledged" if known.acknowledged else ""
    where = f" · {plain(known.where)}" if known.where else ""
    return f"#{known.number} {known.severity.word} {plain(known.title)}{where}{held}"
