"""How a page of a timeline looks: an entry of the journal is a line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import discord

from bot.alerts.model.incident import Incident
from bot.alerts.timeline.model import (
    CALLED,
    CHANGED,
    MUTED,
    SILENCED,
    UNMUTED,
    UNSILENCED,
    Page,
    condense,
)
from bot.alerts.words import where
from bot.chat import layout
from bot.chat.action import ActionButton, button, custom_id
from bot.chat.rendered import Rendered
from bot.chat.text import code, cut, escape, timestamp
from bot.core.actor import Actor, ActorKind
from bot.journal.changes import Changed, Ending
from bot.journal.model import Entry, Outcome, Recorded, Scalar
from bot.journal.words import change_words

ACTION: Final = "timeline"
"""On a page in a thread, which is found again by it."""
PAGE: Final = "timeline-page"
"""Opens the newest page for who presses; with a dot and a number, or only a dot for the newest, in place."""

_TITLE: Final = 100
_PLACE: Final = 80
_NAME: Final = 50
_NOTE: Final = 80
_MATCHERS: Final = 40
"""So short that it is said until when."""
_WORDS: Final = 120
"""A page's lines together stay within a message."""
_TODAY: Final = timedelta(hours=20)
"""A time within it needs no day."""
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
    UNMUTED: "Quiet no more",
}
_DOES: Final = {
    "alerts:ack": "acknowledged it",
    "alerts:unack": "gave it back",
    "alerts:resolve": "closed it by hand",
}
_TRIED: Final = {Outcome.REFUSED: "may not silence it", Outcome.FAILED: "could not silence it"}
_SILENCES: Final = frozenset({"alerts:silence", SILENCED})
_UNSILENCES: Final = frozenset({"alerts:unsilence", UNSILENCED})
_SILENCING: Final = frozenset({"alerts:silence", "alerts:unsilence"})


def render_timeline(incident: Incident, entries: Sequence[Recorded], *, page: int, key: str) -> Rendered:
    """Return a page in a thread, whose entries come oldest first; `key` names it."""
    continued = f", continued ({page})" if page > 1 else ""
    view = _page(incident, entries, continued=continued, buttons=[button(ACTION, key, "Details")])
    return Rendered(view=view, marker=custom_id(ACTION, key), silent=True)


def render_page(page: Page) -> discord.ui.LayoutView:
    """Return the private answer to somebody who asked for a timeline."""
    which = f"page {page.number} of {page.of}" if page.of > 1 else ""
    back = button("details", f"{page.incident.number}.0", "Details")
    return _page(page.incident, page.entries, which=which, buttons=[*_turning(page), back])


def _page(
    incident: Incident,
    entries: Sequence[Recorded],
    *,
    continued: str = "",
    which: str = "",
    buttons: Iterable[ActionButton],
) -> discord.ui.LayoutView:
    facts = (f"#{incident.number}", cut(escape(where(incident)), _PLACE), which)
    return layout.view(
        layout.container(
            layout.text(
                f"### TIMELINE · {cut(escape(incident.title), _TITLE)}{continued}",
                layout.subtext(" · ".join(fact for fact in facts if fact)),
            ),
            layout.gap(),
            layout.text(*(list(_lines(condense(entries))) or ["Nothing is written down yet."])),
            layout.row(*buttons),
            colour=layout.QUIET,
        )
    )


def _turning(page: Page) -> Iterator[ActionButton]:
    if page.of > 1:
        key = page.incident.number
        yield button(PAGE, f"{key}.{page.number - 1}", "Previous", disabled=page.number <= 1)
        yield button(PAGE, f"{key}.{page.number + 1}", "Next", disabled=page.number >= page.of)


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
    if entry.action == MUTED:
        return _quiet(entry.detail)
    return f"{_sentence(recorded)}{_because(entry)}"


def _sentence(recorded: Recorded) -> str:
    entry = recorded.entry
    if entry.action == CALLED:
        return f"Called {_called(entry.detail)}"
    if entry.action in _DOES:
        return f"{_person(entry.actor)} {_DOES[entry.action]}"
    if entry.action in _SILENCING and entry.outcome in _TRIED:
        return f"{_person(entry.actor)} {_TRIED[entry.outcome]}"
    if entry.action in _SILENCES:
        return _silenced(recorded)
    if entry.action in _UNSILENCES:
        return _unsilenced(entry)
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


def _quiet(detail: Mapping[str, Scalar]) -> str:
    if detail.get("inhibited"):
        return "Quiet: another alert inhibits it"
    return "Quiet: muted at this time" if detail.get("at_this_time") else "Alertmanager keeps it quiet"


def _silenced(recorded: Recorded) -> str:
    detail = recorded.entry.detail
    said = "changed the silence of" if detail.get("replaces") else "silenced"
    quiet = detail.get("quiet")
    in_part = f" for {quiet:,} of its alerts" if isinstance(quiet, int) else ""
    parts = (_silencer(recorded.entry), said, _conditions(detail) + in_part, _until(recorded))
    return " ".join(part for part in parts if part)


def _unsilenced(entry: Entry) -> str:
    what = _conditions(entry.detail)
    by_itself = entry.action == UNSILENCED and entry.detail.get("by") is None
    by = _silencer(entry)
    said = f"The silence of {what} is over" if by_itself else f"{by} ended the silence of {what}"
    return f"{said}: still quiet" if entry.detail.get("still") else said


def _conditions(detail: Mapping[str, Scalar]) -> str:
    matchers = detail.get("matchers")
    return code(str(matchers), budget=_MATCHERS) if matchers else "it"


def _silencer(entry: Entry) -> str:
    """Name who did something to a silence, here or elsewhere."""
    by = entry.detail.get("by")
    if isinstance(by, str):
        return _person(Actor(ActorKind.PERSON, str(entry.detail.get("by_id") or ""), by))
    return _person(entry.actor) if entry.actor.is_person else "Somebody"


def _until(recorded: Recorded) -> str:
    try:
        moment = datetime.fromisoformat(str(recorded.entry.detail.get("until")))
        is_near = moment - recorded.at < _TODAY
    except (ValueError, TypeError):
        return ""
    return f"until {timestamp(moment, 't' if is_near else 'f')}"


def _because(entry: Entry) -> str:
    if entry.outcome is Outcome.DONE and entry.detail.get("replaces"):
        # It is the comment of the silence as it was, with its link.
        return ""
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
