"""How storms look: digests in which an incident is a line, and what calls for people."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import discord

from bot.alerts import words
from bot.alerts.card import state_word
from bot.alerts.model.alert import Alert
from bot.alerts.model.incident import Incident
from bot.alerts.model.severity import Severity
from bot.alerts.storm.model import Page, Totals
from bot.chat import layout
from bot.chat.action import MOST_OPTIONS, ActionSelect, button, custom_id, select
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import code, cut, cut_plain, escape, plain, timestamp, units
from bot.core.durations import spoken_duration
from bot.core.matchers import Matcher, MatchOp

ACK, SILENCE, OPEN, LIST, END, CALL, FORCE = (
    "storm-ack",
    "storm-silence",
    "storm-open",
    "storm-list",
    "storm-end",
    "storm-call",
    "storm-force",
)

_LINE = 48
"""Visible characters of a line: a phone shows so many without a wrap."""
_NAME = 26
_PLACE = 24
_SHORT_NAME = 16
_MENTIONS = 1_000
_MOST_TEXT = layout.MOST_TEXT - 60
_USUAL = Severity.WARNING
"""What a line means that names no severity."""


def render_page(page: Page, *, now: datetime) -> Rendered:
    """Return a message of a digest: a line for each incident; a few words when there are none left."""
    key = f"{page.storm.id}/{page.number}"
    named = page.named
    head = _head(page, now)
    lines = _lines(named, _MOST_TEXT - sum(map(units, head)))
    acts = bool(named) and page.storm.settled_at is None
    buttons = []
    if acts:
        buttons.append(button(ACK, key, "Acknowledge all shown", discord.ButtonStyle.success))
        buttons.append(button(SILENCE, key, "Silence by common labels…"))
    if page.storm.is_on:
        buttons.append(button(END, key, "End storm mode"))
    if not buttons:
        buttons.append(button(LIST, key, "List incidents"))
    return Rendered(
        view=layout.view(
            layout.container(
                layout.text(*head),
                *((layout.gap(), layout.text(*lines)) if lines else ()),
                *(layout.row(one) for one in _selects(key, named)),
                layout.row(*buttons),
                colour=layout.WARNING if page.storm.is_on else layout.QUIET,
            )
        ),
        marker=buttons[0].item.custom_id or "",
        files=(_listing(page, now),),
    )


def render_call(
    totals: Totals, *, mentions: Sequence[str], ping_roles: Sequence[int], ping_users: Sequence[int], key: str
) -> Rendered:
    """Return the one line that calls for people in a storm, and says for how much it stands."""
    called = cut(" ".join(mentions), _MENTIONS)
    stands_for = [_counted(totals.incidents, "incident")]
    if totals.critical:
        stands_for.append(f"{totals.critical:,} critical")
    if totals.resolved:
        stands_for.append(f"{totals.resolved:,} over already")
    return Rendered(
        view=layout.view(
            layout.text(f"{called}: **STORM** · {', '.join(stands_for)}".removeprefix(": ")),
            layout.row(button(CALL, key, "List the worst")),
        ),
        marker=custom_id(CALL, key),
        ping_roles=tuple(ping_roles),
        ping_users=tuple(ping_users),
    )


def render_listed(incidents: Sequence[Incident], *, heading: str) -> discord.ui.LayoutView:
    """Return the private answer to somebody who asked which incidents a message stands for."""
    shown = incidents[:MOST_OPTIONS]
    lines = _lines(shown, _MOST_TEXT - 300)
    more = len(incidents) - len(shown)
    if more > 0:
        lines.append(layout.subtext(f"and {more:,} more in the list attached to the digest"))
    return layout.view(
        layout.container(
            layout.text(f"### {heading}", layout.subtext(_counted(len(incidents), "incident"))),
            layout.gap(),
            layout.text(*(lines or ["There are none."])),
        )
    )


def _head(page: Page, now: datetime) -> list[str]:
    storm, totals = page.storm, page.totals
    if storm.is_on:
        since = timestamp(storm.since, "t")
        if page.number > 1:
            facts = [f"page {page.number}", *_critical(page), "newest first"]
            return [f"### STORM · since {since}", layout.subtext(" · ".join(facts))]
        facts = [
            *_critical(page),
            f"{totals.alerts:,} alerts",
            "newest first, each message keeps itself current",
        ]
        return [
            f"### STORM · {_counted(totals.incidents, 'incident')} since {since}",
            layout.subtext(" · ".join(facts)),
        ]
    lasted = spoken_duration((storm.ended_at or now) - storm.since)
    if page.number == 1:
        headline = f"### STORM OVER · {_counted(totals.incidents, 'incident')} in {lasted}"
        facts = [
            f"{timestamp(storm.since, 't')} to {timestamp(storm.ended_at or now, 't')}",
            f"at most {totals.busiest_minute:,} a minute",
            *_critical(page),
            f"{totals.alerts:,} alerts",
            *([f"{totals.resolved:,} are over"] if totals.resolved else []),
            *([f"ended by <@{storm.ended_by}>"] if storm.ended_by else []),
        ]
    else:
        headline = f"### STORM OVER · page {page.number} of {totals.pages}"
        facts = [_counted(len(page.all), "incident"), "all are in the attached list"]
    if page.named:
        facts.append("those below get cards of their own again")
    return [headline, layout.subtext(" · ".join(facts))]


def _critical(page: Page) -> list[str]:
    critical = page.totals.critical
    if not critical or page.number > 1:
        return []
    return [f"{critical:,} critical {'has its own card' if critical == 1 else 'have their own cards'}"]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _lines(incidents: Sequence[Incident], budget: int) -> list[str]:
    """Return a line for each, as telling as there is room for."""
    lines: list[str] = []
    for style in (_full_line, _line_without_people, _shortest_line):
        lines = [style(incident) for incident in incidents]
        if sum(units(line) + 1 for line in lines) <= budget:
            break
    return lines


def _full_line(incident: Incident) -> str:
    held = incident.acknowledgement
    by = f"<@{held.by_id}>" if held is not None and held.by_id.isdigit() else "acknowledged"
    return _line(incident, _facts(incident, by), _NAME, _PLACE)


def _line_without_people(incident: Incident) -> str:
    return _line(incident, _facts(incident, "ack"), _NAME, _PLACE)


def _shortest_line(incident: Incident) -> str:
    return _line(incident, _facts(incident, "ack"), _SHORT_NAME, 0)


def _facts(incident: Incident, acknowledged: str) -> list[str]:
    if incident.closed_at is not None:
        return [state_word(incident).lower(), timestamp(incident.closed_at, "t")]
    word = state_word(incident).lower()
    return [
        f"{len(incident.firing) or len(incident.alerts):,}",
        *([word] if word != _USUAL.word.lower() else []),
        timestamp(incident.reopened_at or incident.opened_at, "t"),
        *([acknowledged] if incident.acknowledgement is not None else []),
    ]


def _line(incident: Incident, facts: Sequence[str], longest_name: int, longest_place: int) -> str:
    room = _LINE - len(f"#{incident.number} ") - sum(3 + _width(fact) for fact in facts)
    name = cut_plain(plain(incident.title), min(longest_name, room))
    left = min(room - units(name) - 1, longest_place)
    named = f"**{cut(escape(name), longest_name + 4)}** {_place(incident, left)}".strip()
    return f"{code(f'#{incident.number}')} {' · '.join((named, *facts))}"


def _width(fact: str) -> int:
    """Return how wide a fact is shown; a line that names a person may wrap."""
    if fact.startswith("<t:"):
        return len("07:40")
    return 0 if fact.startswith("<@") else len(fact)


def _place(incident: Incident, room: int) -> str:
    place = plain(words.where(incident))
    if units(place) > room:
        # Of namespace and workload, the workload says more.
        place = cut_plain(place.rpartition(" / ")[2], room) if room >= 4 else ""  # noqa: PLR2004 — fewer say nothing
    return cut(escape(place), room + 4) if room > 0 else ""


def _selects(key: str, named: Sequence[Incident]) -> Iterator[ActionSelect]:
    """Return selects of all that are named: a select holds fewer than a page."""
    for start in range(0, len(named), MOST_OPTIONS):
        some = named[start : start + MOST_OPTIONS]
        which = f"#{some[-1].number} to #{some[0].number}" if len(named) > MOST_OPTIONS else "one"
        options = [
            discord.SelectOption(
                label=f"#{incident.number} {plain(incident.title)}",
                value=str(incident.number),
                description=plain(words.where(incident)) or None,
            )
            for incident in some
        ]
        yield select(
            OPEN, f"{key}.{start // MOST_OPTIONS}", options, f"Open {which} to acknowledge or see more…"
        )


def _listing(page: Page, now: datetime) -> TextFile:
    """Return every alert of a page as text, all in one line each."""
    heading = f"Storm {page.storm.id}, page {page.number}, as of {_written(now)}\n"
    listed = [heading.encode()]
    left = words.MOST_LISTED_BYTES - len(listed[0]) - 100
    for incident in page.all:
        for line in _listed(incident):
            encoded = line.encode("utf-8", "replace")
            left -= len(encoded)
            if left < 0:
                return _file(page, [*listed, "\n… and more, too long for a file.\n".encode()])
            listed.append(encoded)
    return _file(page, listed)


def _file(page: Page, listed: Sequence[bytes]) -> TextFile:
    return TextFile(f"storm-{page.storm.id}-{page.number}.txt", b"".join(listed))


def _listed(incident: Incident) -> Iterator[str]:
    place = plain(words.where(incident))
    count = _counted(len(incident.alerts), "alert")
    facts = (f"#{incident.number} {state_word(incident)} {plain(incident.title)}", place, count)
    yield f"\n{', '.join(fact for fact in facts if fact)}\n"
    for alert in incident.alerts:
        yield _listed_alert(alert)


def _listed_alert(alert: Alert) -> str:
    until = f" until {_written(alert.ends_at)}" if alert.ends_at else ""
    labels = ", ".join(
        str(Matcher(name, MatchOp.EQUAL, value)) for name, value in sorted(alert.labels.items())
    )
    return f"  {alert.status.value} since {_written(alert.starts_at)}{until} {{{plain(labels)}}}\n"


def _written(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
