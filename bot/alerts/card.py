"""How incidents look: values go in, Discord's components come out.

The anatomy, top to bottom: headline, facts, what is wrong, who looks at it,
links, buttons. Whatever the senders wrote, a message keeps Discord's limits,
mentions only whom it was given, and reads without its colours.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from math import ceil

import discord

from bot.alerts import words
from bot.alerts.extras import for_people, shown, values_line
from bot.alerts.model.alert import common
from bot.alerts.model.incident import Incident, State
from bot.alerts.model.notification import OURSELVES
from bot.alerts.model.severity import Severity
from bot.alerts.routing import FailedMatcher, RouteVerdict
from bot.alerts.timeline.card import PAGE as TIMELINE_PAGE
from bot.chat import layout
from bot.chat.action import ActionButton, button, custom_id
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import code, cut, cut_plain, escape, link, plain, quote, timestamp, units
from bot.core.durations import spoken_duration

MOST_LINES = 5
"""Firing alerts that are named on a card; Details and the attached list have all."""

_TITLE = 150
_PLACE = 120
_SENTENCE = 400
_QUOTE = 500
_IDENTITY = 50
_VALUES = 40
_NOTE = 200
_NOTES = 600
_MENTIONS = 400
_CHANGES = 1_200
_MOST_TEXT = layout.MOST_TEXT - 100
_PAGE = 3_300
_MOST_PAGES = 50
_LONGEST_VALUE = 4_000
_CHUNK = 700
_LIST_NAME = 26
_LIST_LINE = 48

_COLOURS = {
    Severity.CRITICAL: layout.CRITICAL,
    Severity.WARNING: layout.WARNING,
    Severity.INFO: layout.RUNNING,
}


@dataclass(frozen=True, slots=True)
class Look:
    """What a card shows that its incident does not know."""

    now: datetime
    mentions: tuple[str, ...] = ()
    """Ready markup, such as `<@&7>`."""
    ping_roles: tuple[int, ...] = ()
    ping_users: tuple[int, ...] = ()
    silenced: tuple[str, ...] = ()
    """Why it is quiet: ready markup, a line each."""
    changes: tuple[str, ...] = ()
    """What changed around it: ready markup, a heading and a line each."""
    timeline_is_paused: bool = False
    """Whether the timeline in its thread cannot be written on."""


def render_incident(incident: Incident, *, look: Look) -> Rendered:
    """Return the card of an incident."""
    if not incident.is_open:
        return Rendered(view=_closed(incident, look), marker=_marker(incident))
    said = _said(incident)
    firing = _firing(incident)
    people = _people(incident, look)
    head = _head(incident)
    left = _MOST_TEXT - sum(map(units, (*head, *said, *firing, *people)))
    changes = _changes(look, left)
    left -= sum(units(line) + 1 for line in changes)
    linked, all_linked = _links(incident, left)
    view = layout.view(
        layout.container(
            layout.text(*head),
            *((layout.gap(),) if said or firing else ()),
            *((layout.text(*said),) if said else ()),
            # A text of its own: some clients take the lines after a quote for a part of it.
            *((layout.text(*firing),) if firing else ()),
            *((layout.divider(), layout.text(*changes)) if changes else ()),
            *(_part([*people, linked]) if people or linked else ()),
            layout.row(*_buttons(incident)),
            *_silence_row(incident),
            colour=_colour(incident),
        )
    )
    is_whole = all_linked and len(incident.firing) <= MOST_LINES and not _is_cut(incident)
    calls = incident.acknowledgement is None and not incident.is_muted
    return Rendered(
        view=view,
        marker=_marker(incident),
        files=() if is_whole else (_listing(incident, look),),
        ping_roles=look.ping_roles if calls else (),
        ping_users=look.ping_users if calls else (),
    )


def render_ping(
    incident: Incident, *, reason: str, look: Look, key: str, reply_to: int | None = None
) -> Rendered:
    """Return the one line that calls people to a card; `key` starts with the incident's number."""
    called = _joined(look.mentions, _MENTIONS, " ")
    title = cut(escape(incident.title), _TITLE)
    line = f"{called} {state_word(incident)} · #{incident.number} **{title}** {cut(escape(reason), _NOTE)}"
    view = layout.view(
        layout.text(line.strip()),
        layout.row(button("ack", key, "Acknowledge", discord.ButtonStyle.success)),
    )
    return Rendered(
        view=view,
        marker=custom_id("ack", key),
        ping_roles=look.ping_roles,
        ping_users=look.ping_users,
        reply_to=reply_to,
    )


def render_details(incident: Incident, page: int = 0) -> discord.ui.LayoutView:
    """Return one page of all labels and annotations; a page that does not exist is the nearest one."""
    pages = list(_pages(_detail_lines(incident)))
    number = min(max(page, 0), len(pages) - 1)
    facts = [f"#{incident.number}", _count_words(incident)]
    if len(pages) > 1:
        facts.append(f"page {number + 1} of {len(pages)}")
    if len(pages) == _MOST_PAGES:
        facts.append("more is in the list attached to the card")
    return layout.view(
        layout.container(
            layout.text(_headline(incident), layout.subtext(" · ".join(facts))),
            *_part(pages[number]),
            layout.row(
                *_turning("details", f"{incident.number}.", number, len(pages)),
                button(TIMELINE_PAGE, f"{incident.number}.", "Timeline"),
            ),
            colour=_colour(incident),
        )
    )


def render_list(
    incidents: Sequence[Incident], *, total: int, page: int, per_page: int, heading: str, key: str
) -> discord.ui.LayoutView:
    """Return one page of incidents, grouped by state in the order given.

    The pages are turned by buttons `tm:list:<key>/<page>`.
    """
    pages = max(ceil(total / per_page), 1)
    facts = [f"{total} incident{'' if total == 1 else 's'}"]
    if pages > 1:
        facts.append(f"page {page + 1} of {pages}")
    lines: list[str] = []
    for word, group in groupby(incidents, key=state_word):
        lines.append(f"**{word}**")
        lines += [_list_line(incident) for incident in group]
    return layout.view(
        layout.container(
            layout.text(f"### {cut(escape(heading), _TITLE)}", layout.subtext(" · ".join(facts))),
            *_part(_fitting(lines) or ["Nothing matches."]),
            *((layout.row(*_turning("list", f"{key}/", page, pages)),) if pages > 1 else ()),
        )
    )


def render_acknowledged(incidents: Sequence[Incident]) -> discord.ui.LayoutView:
    """Return the private answer to somebody who acknowledged."""
    named = [f"#{incident.number} **{cut(escape(incident.title), _TITLE)}**" for incident in incidents]
    return layout.view(
        layout.text(
            f"You look at {_and_more(named)}." if named else "There was nothing to acknowledge.",
            layout.subtext("Nobody is reminded of it any more.") if named else None,
        )
    )


def render_explained(verdicts: Sequence[RouteVerdict]) -> discord.ui.LayoutView:
    """Return the private answer to somebody who asked which routes an alert takes."""
    lines = [_verdict_line(verdict) for verdict in verdicts]
    taken = [_destination(verdict) for verdict in verdicts if verdict.matched]
    conclusion = f"It goes to {_and_more(taken)}." if taken else "No route takes it."
    return layout.view(
        layout.container(
            layout.text("### Which route it takes", layout.subtext(conclusion)),
            *_part(_fitting(lines) or ["There are no routes."]),
        )
    )


def state_word(incident: Incident) -> str:
    """Return what is known of an incident in the one word that its card begins with."""
    if not incident.is_open:
        return "CLOSED" if incident.closing is not None else "RESOLVED"
    if incident.state is State.UNKNOWN:
        return "UNKNOWN"
    if incident.is_muted:
        return "SILENCED" if incident.muting is not None and incident.muting.silences else "MUTED"
    return incident.severity.word


def _colour(incident: Incident) -> discord.Colour:
    if not incident.is_open:
        return layout.QUIET if incident.closing is not None else layout.GOOD
    is_quiet = incident.state is State.UNKNOWN or incident.is_muted
    return layout.QUIET if is_quiet else _COLOURS[incident.severity]


def _marker(incident: Incident) -> str:
    return custom_id("details", str(incident.number))


def _listing(incident: Incident, look: Look) -> TextFile:
    return TextFile(f"alerts-{incident.number}.txt", words.listing(incident, now=look.now))


def _closed(incident: Incident, look: Look) -> discord.ui.LayoutView:
    lines = (_closing(incident), _acknowledged(incident), *_notes(incident), _paused(look))
    people = [line for line in lines if line]
    return layout.view(
        layout.container(
            layout.text(*_head(incident)),
            *(_part(people) if people else ()),
            layout.row(*_buttons(incident)),
            colour=_colour(incident),
        )
    )


def _part(lines: Sequence[str]) -> tuple[layout.Item, layout.Item]:
    return layout.gap(), layout.text(*lines)


def _head(incident: Incident) -> list[str]:
    place = cut(escape(words.where(incident)), _PLACE)
    facts = [f"#{incident.number}", *_times(incident), _count_words(incident), place]
    return [_headline(incident), layout.subtext(" · ".join(fact for fact in facts if fact))]


def _headline(incident: Incident) -> str:
    return f"### {state_word(incident)} · {cut(escape(incident.title), _TITLE)}"


def _times(incident: Incident) -> Iterator[str]:
    if incident.closed_at is not None:
        lasted = spoken_duration(incident.closed_at - incident.opened_at)
        ended = timestamp(incident.closed_at, "t")
        by_hand = incident.closing is not None
        yield f"closed after {lasted}, at {ended}" if by_hand else f"lasted {lasted}, until {ended}"
    elif incident.state is State.UNKNOWN and incident.unknown_since is not None:
        was = incident.severity.word.lower()
        yield f"unknown since {timestamp(incident.unknown_since)}, {was} before"
    else:
        yield f"firing since {timestamp(incident.reopened_at or incident.opened_at)}"


def _count_words(incident: Incident) -> str:
    known, firing = len(incident.alerts), len(incident.firing)
    plural = "" if known == 1 else "s"
    if incident.is_open and 0 < firing < known:
        return f"{firing:,} of {known:,} alerts fire"
    return f"{known:,} alert{plural}"


def _said(incident: Incident) -> list[str]:
    lines = [
        _doubt(incident),
        _again(incident),
        cut(escape(words.summary(incident)), _SENTENCE),
        quote(words.description(incident), budget=_QUOTE),
    ]
    return [line for line in lines if line]


def _doubt(incident: Incident) -> str:
    if incident.state is not State.UNKNOWN:
        return ""
    if incident.truncated:
        return (
            f"All that the sender showed is over, but it cut {incident.truncated:,} more off: "
            "they may still fire."
        )
    if incident.firing:
        return "Alertmanager does not answer: whether it still fires is not known."
    return "The sender does not list it any more, and has not said that it is over."


def _again(incident: Incident) -> str:
    if incident.reopened_at is None:
        return ""
    after = spoken_duration(incident.reopened_at - incident.opened_at)
    times = f" {incident.reopened} times, the last" if incident.reopened > 1 else ""
    return f"Fired again{times} {after} after it first did."


def _firing(incident: Incident) -> list[str]:
    firing = incident.firing
    known = f"{words.where(incident)} {words.summary(incident)}"
    lines: list[str] = []
    # Told apart among all that fire, so that no line changes its name with its place.
    for alert, values in zip(firing[:MOST_LINES], words.identities(firing, known=known), strict=False):
        named = " ".join(code(value, budget=_IDENTITY) for value in values)
        judged = values_line(alert.annotations)
        since = f"since {timestamp(alert.starts_at)}" if len(firing) > 1 else ""
        parts = (named, code(judged, budget=_VALUES) if judged else "", since)
        lines.append(" ".join(part for part in parts if part))
    if len(firing) > MOST_LINES:
        lines.append(layout.subtext(f"and {len(firing) - MOST_LINES:,} more in the attached list"))
    if incident.truncated and incident.state is not State.UNKNOWN:
        lines.append(layout.subtext(f"{incident.truncated:,} more were cut off by the sender"))
    return [line for line in lines if line]


def _changes(look: Look, left: int) -> list[str]:
    """Return the heading and the changes that fit, or nothing."""
    heading = look.changes[:1]
    lines = layout.fitting(look.changes[1:], min(left, _CHANGES) - sum(units(line) + 1 for line in heading))
    return [*heading, *lines] if lines else []


def _people(incident: Incident, look: Look) -> list[str]:
    called = _joined(look.mentions, _MENTIONS, " ")
    lines = [
        _acknowledged(incident),
        f"Called {called}" if called and incident.acknowledgement is None else "",
        *look.silenced,
        *_notes(incident),
        _paused(look),
    ]
    return [line for line in lines if line]


def _acknowledged(incident: Incident) -> str:
    held = incident.acknowledgement
    if held is None:
        return ""
    if incident.is_open:
        when = timestamp(held.at)
    else:
        when = f"after {spoken_duration(held.at - (incident.reopened_at or incident.opened_at))}"
    return f"Acknowledged by {_person(held.by_id, held.by_name)} {when}{_remark(held.note)}"


def _closing(incident: Incident) -> str:
    by = incident.closing
    if by is None:
        return ""
    return f"Closed by hand by {_person(by.by_id, by.by_name)}{_remark(by.note)}"


def _person(person_id: str, name: str) -> str:
    if person_id.isascii() and person_id.isdigit() and len(person_id) <= 20:  # noqa: PLR2004 — Discord's ids
        return f"<@{person_id}>"
    return f"**{cut(escape(name), _IDENTITY) or 'somebody'}**"


def _remark(note: str) -> str:
    said = cut(escape(note), _NOTE)
    return f": *{said}*" if said else ""


def _notes(incident: Incident) -> list[str]:
    """Return what other rooms wrote: markup of ours, in the order of their slots."""
    return _fitting((cut(line, _NOTE) for _, line in sorted(incident.notes.items())), _NOTES)


def _paused(look: Look) -> str:
    if not look.timeline_is_paused:
        return ""
    return layout.subtext("The timeline in the thread is paused: unlock it, or let the bot write there")


def _links(incident: Incident, budget: int) -> tuple[str, bool]:
    """Return the links that fit, and whether those are all."""
    made = [link(name, address) for name, address in words.links(incident) if address]
    usable = [markup for markup in made if markup]
    joined = _joined(usable, budget - units(layout.subtext("")), " · ")
    return (layout.subtext(joined) if joined else ""), joined == " · ".join(usable)


def _buttons(incident: Incident) -> Iterator[ActionButton]:
    key = str(incident.number)
    if incident.is_open and incident.acknowledgement is None:
        yield button("ack", key, "Acknowledge", discord.ButtonStyle.success)
    elif incident.is_open:
        yield button("unack", key, "Unacknowledge")
    yield button("details", key, "Details")
    if not incident.is_open:
        yield button(TIMELINE_PAGE, key, "Timeline")
    if incident.is_open and incident.source != OURSELVES and not (_silences(incident) and incident.is_muted):
        yield button("silence", key, "Silence…")


def _silence_row(incident: Incident) -> Iterator[layout.Item]:
    """Return what can be done to the silences of an open incident."""
    if _silences(incident):
        key = f"i/{incident.number}"
        yield layout.row(
            button("silence-extend", key, "Extend"),
            button("silence-edit", key, "Change silence"),
            button("unsilence", key, "End silence"),
        )


def _silences(incident: Incident) -> tuple[str, ...]:
    return incident.muting.silences if incident.muting is not None else ()


def _is_cut(incident: Incident) -> bool:
    description = plain(words.description(incident), newlines="keep")
    return (
        units(escape(words.summary(incident))) > _SENTENCE
        or units(escape(incident.title)) > _TITLE
        or quote(description, budget=_QUOTE) != quote(description, lines=10_000, budget=1_000_000)
    )


def _detail_lines(incident: Incident) -> Iterator[str]:
    alerts = incident.alerts
    labels = common(shown(alert.labels) for alert in alerts)
    annotations = common(for_people(alert.annotations) for alert in alerts)
    if len(alerts) > 1 and (labels or annotations):
        yield f"**All {len(alerts):,} alerts**"
        yield from _item_lines(labels, {}, annotations, {})
    for place, alert in enumerate(alerts, start=1):
        until = f" until {timestamp(alert.ends_at, 'f')}" if alert.ends_at else ""
        heading = f"**{alert.status.upper()}** since {timestamp(alert.starts_at, 'f')}{until}"
        if len(alerts) == 1:
            yield heading
            yield from _item_lines(labels, {}, annotations, {})
        else:
            yield f"\n**{place}.** {heading}"
            yield from _item_lines(shown(alert.labels), labels, for_people(alert.annotations), annotations)


def _item_lines(
    labels: Mapping[str, str],
    said_labels: Mapping[str, str],
    annotations: Mapping[str, str],
    said_annotations: Mapping[str, str],
) -> Iterator[str]:
    for name, value in sorted(labels.items()):
        if name not in said_labels:
            yield from _value_lines(name, value)
    for name, value in sorted(annotations.items()):
        if name not in said_annotations:
            yield from _value_lines(name, value)


def _value_lines(name: str, value: str) -> Iterator[str]:
    shown = plain(value[:_LONGEST_VALUE], newlines="keep")
    if len(value) > _LONGEST_VALUE:
        shown += "…"
    yield f"{code(name, budget=_IDENTITY)} {escape(shown[:_CHUNK], newlines='keep')}"
    for start in range(_CHUNK, len(shown), _CHUNK):
        if more := escape(shown[start : start + _CHUNK], newlines="keep"):
            yield more


def _pages(lines: Iterable[str]) -> Iterator[list[str]]:
    """Share lines among pages; there is always one, and never more than a person would turn."""
    page: list[str] = []
    left = _PAGE
    turned = 0
    for line in lines:
        left -= units(line) + 1
        if left < 0 and page:
            yield page
            turned += 1
            if turned == _MOST_PAGES:
                return
            page, left = [], _PAGE - units(line) - 1
        page.append(line)
    yield page or ["Nothing is known of its alerts."]


def _turning(action: str, prefix: str, page: int, pages: int) -> Iterator[ActionButton]:
    if pages > 1:
        yield button(action, f"{prefix}{max(page - 1, 0)}", "Previous", disabled=page <= 0)
        yield button(action, f"{prefix}{page + 1}", "Next", disabled=page >= pages - 1)


def _list_line(incident: Incident) -> str:
    """Return one line of a list: what a phone shows without a wrap, about."""
    count = len(incident.firing) or len(incident.alerts)
    name = cut_plain(plain(incident.title), _LIST_NAME)
    left = _LIST_LINE - units(f"#{incident.number} {name}  · {count} · 07:40")
    place = plain(words.where(incident))
    if units(place) > left:
        # Of namespace and workload, the workload says more.
        place = cut_plain(place.rpartition(" / ")[2], max(left, 8))
    facts = [
        f"**{escape(name)}** {escape(place)}".strip(),
        f"{count:,}",
        timestamp(incident.closed_at or incident.reopened_at or incident.opened_at, "t"),
    ]
    if incident.is_open and incident.acknowledgement is not None:
        facts.append(_person(incident.acknowledgement.by_id, incident.acknowledgement.by_name))
    return f"{code(f'#{incident.number}')} {' · '.join(facts)}"


def _verdict_line(verdict: RouteVerdict) -> str:
    matchers = ", ".join(map(str, verdict.route.matchers)) or "everything"
    named = f"{verdict.route.index + 1}. {code(matchers)}"
    if verdict.matched:
        more = ", and later routes are asked too" if verdict.route.goes_on else ""
        return f"{named} **takes it** to {_destination(verdict)}{more}"
    if not verdict.reached:
        return f"{named} is not asked: an earlier route took it"
    return f"{named} does not: {', '.join(map(_failed_words, verdict.failed[:5]))}"


def _failed_words(failed: FailedMatcher) -> str:
    name = code(failed.matcher.name, budget=_IDENTITY)
    return f"{name} is {code(failed.actual)}" if failed.actual else f"there is no {name}"


def _destination(verdict: RouteVerdict) -> str:
    channel = verdict.route.channel
    if channel is None:
        return "no card (it is only recorded)"
    return f"**{cut(escape(channel), _IDENTITY)}**" + (" with a thread" if verdict.route.thread else "")


def _and_more(named: Sequence[str], most: int = 10) -> str:
    listed = list(named[:most])
    if len(named) > most:
        listed.append(f"{len(named) - most} more")
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _fitting(lines: Iterable[str], budget: int = _PAGE) -> list[str]:
    """Return the lines that fit, and how many did not."""
    offered = list(lines)
    kept = layout.fitting(offered, budget)
    left = len(offered) - len(kept)
    return [*kept, layout.subtext(f"and {left} more")] if left else kept


def _joined(parts: Iterable[str], budget: int, separator: str) -> str:
    """Return the parts that fit: a mention or a link is shown whole or not at all."""
    joined = ""
    for part in parts:
        longer = f"{joined}{separator}{part}" if joined else part
        if units(longer) <= budget:
            joined = longer
    return joined
