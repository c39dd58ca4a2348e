"""How a page of a timeline looks: an entry of the journal is a line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.alerts.model import Incident
from bot.alerts.timeline.model import CALLED, CHANGED, MUTED, UNMUTED, condense
from bot.alerts.words import where
from bot.chat import layout
from bot.chat.action import button, custom_id
from bot.chat.rendered import Rendered
from bot.chat.text import cut, escape, timestamp
from bot.core.actor import Actor
from bot.journal.changes import Changed, Ending
from bot.journal.model import Entry, Outcome, Recorded, Scalar
from bot.journal.words import change_words

ACTION: Final = "timeline"

_TITLE: Final = 100
_PLACE: Final = 80
_NAME: Final = 50
_NOTE: Final = 80
_WORDS: Final = 120
"""A page's lines together stay within a message."""
_A_WHILE: Final = timedelta(hours=12)
"""After so long a line says its day again."""

_HAPPENED: Final = {
    "alerts:opened": "Fires",
    "alerts:reopened": "Fires again",
    "alerts:severity-rose": "Got worse",
}
_SAID: Final = {
    "alerts:resolved": "**Resolved**",
    "alerts:unknown": "**Unknown** whether it still fires",
    MUTED: "Alertmanager keeps it quiet: silenced, inhibited or muted",
    UNMUTED: "Alertmanager keeps it quiet no more",
}
_DOES: Final = {
    "alerts:ack": "acknowledged it",
    "alerts:unack": "gave it back",
    "alerts:resolve": "closed it by hand",
}
_TRIED: Final = {Outcome.REFUSED: "may not silence it", Outcome.FAILED: "could not silence it"}
_SILENCING: Final = frozenset({"alerts:silence", "alerts:unsilence"})


def render_timeline(incident: Incident, entries: Sequence[Recorded], *, page: int, key: str) -> Rendered:
    """Return a page, whose entries come oldest first; `key` names it."""
    continued = f", continued ({page})" if page > 1 else ""
    place = cut(escape(where(incident)), _PLACE)
    view = layout.view(
        layout.container(
            layout.text(
                f"### TIMELINE · {cut(escape(incident.title), _TITLE)}{continued}",
                layout.subtext(f"#{incident.number} · {place}" if place else f"#{incident.number}"),
            ),
            layout.gap(),
            layout.text(*(list(_lines(condense(entries))) or ["Nothing is written down yet."])),
            layout.row(button(ACTION, key, "Details")),
            colour=layout.QUIET,
        )
    )
    return Rendered(view=view, marker=custom_id(ACTION, key), silent=True)


def _lines(entries: Iterable[Recorded]) -> Iterator[str]:
    said: datetime | None = None
    for recorded in entries:
        is_near = said is not None and recorded.at - said < _A_WHILE
        said = said if is_near else recorded.at
        yield f"{timestamp(recorded.at, 't' if is_near else 'f')} {cut(_words(recorded), _WORDS)}"


def _words(recorded: Recorded) -> str:
    entry = recorded.entry
    if said := _HAPPENED.get(entry.action):
        return f"**{said}** · {_severity(entry.detail)} · {_alerts(entry.detail)}"
    if said := _SAID.get(entry.action):
        return said
    if entry.action == CHANGED:
        return f"{_alerts(entry.detail)} now"
    return f"{_sentence(recorded)}{_because(entry)}"


def _sentence(recorded: Recorded) -> str:
    entry = recorded.entry
    if entry.action == CALLED:
        return f"Called {_called(entry.detail)}"
    if entry.action in _DOES:
        return f"{_person(entry.actor)} {_DOES[entry.action]}"
    if entry.action in _SILENCING and entry.outcome in _TRIED:
        return f"{_person(entry.actor)} {_TRIED[entry.outcome]}"
    return change_words(_changed(recorded))


def _severity(detail: Mapping[str, Scalar]) -> str:
    return escape(str(detail.get("severity", "")))


def _alerts(detail: Mapping[str, Scalar]) -> str:
    firing, known = detail.get("firing"), detail.get("alerts")
    if not isinstance(firing, int):
        return "alerts changed"
    if isinstance(known, int) and known > firing:
        return f"{firing:,} of {known:,} alerts fire"
    return "1 alert fires" if firing == 1 else f"{firing:,} alerts fire"


def _called(detail: Mapping[str, Scalar]) -> str:
    names = (name.partition(":")[2] or name for name in str(detail.get("called", "")).split(", "))
    shown = ", ".join(
        f"<@{name}>" if name.isascii() and name.isdigit() else f"**{escape(name)}**" for name in names
    )
    return cut(shown, _NOTE)


def _because(entry: Entry) -> str:
    said = cut(escape(entry.reason), _NOTE)
    return f": *{said}*" if said else ""


def _person(actor: Actor) -> str:
    if actor.is_person and actor.id.isascii() and actor.id.isdigit():
        return f"<@{actor.id}>"
    return f"**{cut(escape(actor.name), _NAME) or 'somebody'}**"


def _changed(recorded: Recorded) -> Changed:
    entry = recorded.entry
    return Changed(
        at=recorded.at,
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        detail=entry.detail,
        ending=Ending.DONE if entry.outcome is Outcome.DONE else Ending.FAILED,
    )
