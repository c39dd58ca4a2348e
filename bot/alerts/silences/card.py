"""How silences look: the preview before one is made, the lines on a card, the news of its life."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import discord

from bot.alerts.model.incident import Incident, IncidentNumber, Muting
from bot.alerts.peers.authors import person_in
from bot.alerts.peers.model import Silence
from bot.alerts.silences.ending import Heard
from bot.alerts.silences.model import (
    Breadth,
    Draft,
    Event,
    Judgement,
    Limits,
    Moment,
    Preview,
    SilencePolicy,
    Verdict,
    Width,
)
from bot.chat import layout
from bot.chat.action import ActionButton, button, select
from bot.chat.text import code, cut, escape, timestamp
from bot.core.durations import spoken_duration
from bot.core.matchers import Matcher

_MOST_MATCHERS: Final = 10
_MOST_LINES: Final = 3
_MOST_NAMED: Final = 5
_CONDITION: Final = 120
_NAME: Final = 50
_COMMENT: Final = 200
_LINE: Final = 400

_HEADLINES: Final = {
    Verdict.FINE: "Silence this?",
    Verdict.CONFIRM: "Silence this? It is broad",
    Verdict.REFUSE: "This silence is not allowed",
}
_COLOURS: Final = {
    Verdict.FINE: layout.RUNNING,
    Verdict.CONFIRM: layout.WAITING,
    Verdict.REFUSE: layout.CRITICAL,
}
_WIDTHS: Final = {
    Width.NARROW: "All that its alerts share",
    Width.GROUP: "Its group",
    Width.ALERT: "Every alert of this name",
    Width.PLACE: "Everything in this namespace",
}
_TITLES: Final = {
    Moment.BEGAN: "A silence began",
    Moment.CHANGED: "A silence was changed",
    Moment.ENDS_SOON: "A silence is about to end",
    Moment.ENDED: "A silence ended",
    Moment.ENDED_EARLY: "A silence was ended early",
    Moment.VANISHED: "A silence vanished",
}


def render_preview(
    draft: Draft,
    preview: Preview,
    judgement: Judgement,
    *,
    policy: SilencePolicy,
    named: Mapping[IncidentNumber, Incident],
    key: str,
    offered: Mapping[Width, Sequence[Matcher]] | None = None,
) -> discord.ui.LayoutView:
    """Return the private answer to a draft: what it would do, and the button that does it.

    `named` are the incidents that it hides or leaves out, as far as they are known;
    `offered` are other matchers to choose; `key` names the draft in `tm:silence-create:`,
    `tm:silence-edit:` and `tm:silence-width:`.
    """
    limits = policy.refuse if judgement.verdict is Verdict.REFUSE else policy.confirm
    lines = [
        *_effect_lines(preview, named),
        *_left_out_lines(draft, named),
        *_reason_lines(judgement, preview, limits),
    ]
    return layout.view(
        layout.container(
            layout.text(f"### {_HEADLINES[judgement.verdict]}", *_condition_lines(map(str, draft.matchers))),
            layout.gap(),
            layout.text(_end_line(draft), *lines),
            *_width_row(draft, offered or {}, key),
            layout.row(*_preview_buttons(judgement, key)),
            colour=_COLOURS[judgement.verdict],
        )
    )


def silenced_lines(muting: Muting, silences: Mapping[str, Silence], causes: Sequence[str] = ()) -> list[str]:
    """Return what a card says of why its alerts are quiet; none of it is longer than a line may be.

    `silences` are those that are known, by id; `causes` are the names of the
    alerts that inhibit it.
    """
    how_much = "" if muting.is_whole else f", {muting.alerts:,} of {muting.firing:,} alerts"
    lines = [
        cut(_silenced(silences.get(silence_id), silence_id) + how_much, _LINE)
        for silence_id in muting.silences[:_MOST_LINES]
    ]
    if len(muting.silences) > _MOST_LINES:
        lines.append(f"and by {len(muting.silences) - _MOST_LINES:,} more silences")
    if muting.inhibitors:
        by = _listed([code(name, budget=_NAME) for name in causes]) or "another alert"
        lines.append(cut(f"Inhibited by {by}{how_much}", _LINE))
    if muting.intervals:
        by = _listed([code(name, budget=_NAME) for name in muting.intervals])
        lines.append(cut(f"Muted at this time by {by}{how_much}", _LINE))
    return lines or [f"Kept quiet by Alertmanager{how_much}"]


def render_silence(silence: Silence, *, source: str, key: str, is_over: bool) -> discord.ui.LayoutView:
    """Return a silence with what can be done to it; `key` names it in the buttons."""
    when = (
        f"ended {timestamp(silence.ends_at)}"
        if is_over
        else f"until {timestamp(silence.ends_at, 'f')} ({timestamp(silence.ends_at)})"
    )
    buttons = [] if is_over else [layout.row(*_life_buttons(key))]
    return layout.view(
        layout.container(
            layout.text(
                f"### {'SILENCE OVER' if is_over else 'SILENCED'}",
                layout.subtext(f"{code(source, budget=_NAME)} · by {_author(silence)} · {when}"),
                *_condition_lines(silence.conditions),
                _comment(silence),
            ),
            *buttons,
            colour=layout.QUIET,
        )
    )


def event_words(event: Event, *, source: str) -> tuple[str, str]:
    """Return title and text of the news about a silence."""
    silence = event.silence
    lines = [f"In {code(source, budget=_NAME)}, by {_author(silence)}", *_condition_lines(silence.conditions)]
    lines += [_happened(event), _comment(silence)]
    return _TITLES[event.moment], "\n".join(line for line in lines if line)


def render_event(event: Event, *, source: str, key: str) -> discord.ui.LayoutView:
    """Return the news about a silence as a message, with Extend where it still lasts."""
    title, text = event_words(event, source=source)
    lasts = event.moment in {Moment.BEGAN, Moment.CHANGED, Moment.ENDS_SOON}
    buttons = [layout.row(*_life_buttons(key))] if lasts else []
    return layout.view(
        layout.container(layout.text(f"### {title}", text), *buttons, colour=layout.QUIET),
    )


def render_ending(
    silence: Silence, heard: Heard, *, named: Mapping[IncidentNumber, Incident], key: str, mark: str
) -> discord.ui.LayoutView:
    """Return the question before a silence is ended that hides other incidents.

    `key` names the silence, and with `mark` what was told, in the button that ends it.
    """
    return layout.view(
        layout.container(
            layout.text(
                f"### End this silence? It hides {_kind_of(heard)}", *_condition_lines(silence.conditions)
            ),
            layout.gap(),
            layout.text(*_heard_lines(heard, named)),
            layout.row(
                button("unsilence", f"{key}.{mark}", "End all the same", discord.ButtonStyle.danger),
                button("silence-edit", key, "Change"),
            ),
            colour=layout.WAITING,
        )
    )


def render_misunderstood(why: str, *, key: str, action: str = "silence-edit") -> discord.ui.LayoutView:
    """Return what was wrong with what somebody typed, and the button that gives it back."""
    return layout.view(layout.text(why), layout.row(button(action, key, "Try again")))


def created_words(created: Mapping[str, str], failed: Mapping[str, str], draft: Draft) -> str:
    """Return the private answer after a silence was asked for; `failed` says why, by source."""
    until = f"until {timestamp(draft.ends_at, 'f')} ({timestamp(draft.ends_at)})"
    lines = [f"Silenced in {_listed(list(map(code, created)))} {until}."] if created else []
    lines += [f"Not in {code(source)}: {cut(escape(why), _COMMENT)}" for source, why in failed.items()]
    return "\n".join(lines) or "There is no Alertmanager that it could be made in."


def ended_words(sources: Sequence[str], failed: Mapping[str, str]) -> str:
    """Return the private answer after silences were ended; `failed` says why not, by source."""
    lines = [f"The silence is ended in {_listed(list(map(code, sources)))}."] if sources else []
    lines += [f"Not in {code(source)}: {cut(escape(why), _COMMENT)}" for source, why in failed.items()]
    return "\n".join(lines)


def silence_key(silence_id: str) -> str:
    """Name a silence in buttons; `incident_key` names all that keep an incident quiet."""
    return f"s/{silence_id}"


def incident_key(number: IncidentNumber) -> str:
    """Name the silences of an incident in buttons."""
    return f"i/{number}"


def _width_row(draft: Draft, offered: Mapping[Width, Sequence[Matcher]], key: str) -> Iterator[layout.Item]:
    options = [
        discord.SelectOption(
            label=_WIDTHS[width],
            value=width.value,
            description=", ".join(map(str, matchers)),
            default=tuple(matchers) == draft.matchers,
        )
        for width, matchers in offered.items()
    ]
    if len(options) > 1:
        yield layout.row(select("silence-width", key, options, "Narrow or widen it"))


def _preview_buttons(judgement: Judgement, key: str) -> Iterator[ActionButton]:
    if judgement.verdict is Verdict.FINE:
        yield button("silence-create", key, "Silence", discord.ButtonStyle.primary)
    elif judgement.verdict is Verdict.CONFIRM:
        yield button("silence-create", key, "Silence all the same", discord.ButtonStyle.danger)
    yield button("silence-edit", key, "Change")


def _life_buttons(key: str) -> Iterator[ActionButton]:
    yield button("silence-extend", key, "Extend")
    yield button("silence-edit", key, "Change")
    yield button("unsilence", key, "End now")


def _end_line(draft: Draft) -> str:
    return f"Until {timestamp(draft.ends_at, 'f')} ({timestamp(draft.ends_at)})"


def _condition_lines(conditions: Iterable[str]) -> list[str]:
    written = list(conditions)
    lines = [code(condition, budget=_CONDITION) for condition in written[:_MOST_MATCHERS]]
    if len(written) > _MOST_MATCHERS:
        lines.append(layout.subtext(f"and {len(written) - _MOST_MATCHERS} more conditions"))
    return lines


def _effect_lines(preview: Preview, named: Mapping[IncidentNumber, Incident]) -> Iterator[str]:
    yield f"**{_matched_words(preview)}**"
    if preview.already_muted:
        yield f"{preview.already_muted:,} of them are quiet already."
    if len(preview.names) > 1:
        yield "They are " + _listed([code(name, budget=_NAME) for name in preview.names]) + "."
    if preview.others:
        also = "also " if preview.incident is not None else ""
        yield f"It {also}hides {_incidents(preview.others, named)}."
    if preview.silent:
        names = _listed([code(name, budget=_NAME) for name in preview.silent])
        yield layout.subtext(f"{names} could not be asked: there it may match more.")


def _kind_of(heard: Heard) -> str:
    if heard.besides is None:
        return "several incidents"
    return "another incident" if len(heard.incidents) == 1 else "other incidents"


def _heard_lines(heard: Heard, named: Mapping[IncidentNumber, Incident]) -> Iterator[str]:
    up_to = "" if heard.is_exact else "up to "
    more = "" if heard.besides is None else " more"
    plural = "" if heard.alerts == 1 else "s"
    critical = f", {up_to}{heard.critical:,} of them critical" if heard.critical else ""
    counted = f"{up_to}{heard.alerts:,}{more} alert{plural}"
    yield f"**{counted[0].upper()}{counted[1:]} will be heard again{critical}.**"
    yield f"It {'' if heard.besides is None else 'also '}hides {_incidents(heard.incidents, named)}."


def _left_out_lines(draft: Draft, named: Mapping[IncidentNumber, Incident]) -> Iterator[str]:
    if draft.left_out:
        left_out = _incidents(draft.left_out, named)
        yield f"It leaves out {left_out}: what no configured Alertmanager sent can only be acknowledged."


def _incidents(numbers: Sequence[IncidentNumber], named: Mapping[IncidentNumber, Incident]) -> str:
    shown = [_incident_words(number, named.get(number)) for number in numbers[:_MOST_NAMED]]
    if len(numbers) > _MOST_NAMED:
        shown.append(f"{len(numbers) - _MOST_NAMED:,} more")
    return ", ".join(shown)


def _matched_words(preview: Preview) -> str:
    if not preview.alerts:
        return "It matches no alert that fires now."
    plural = "" if preview.alerts == 1 else "s"
    critical = f", {preview.critical:,} of them critical" if preview.critical else ""
    return f"It matches {preview.alerts:,} firing alert{plural}{critical}."


def _incident_words(number: IncidentNumber, incident: Incident | None) -> str:
    title = f" {cut(escape(incident.title), _NAME)}" if incident is not None else ""
    return f"#{number}{title}"


def _reason_lines(judgement: Judgement, preview: Preview, limits: Limits) -> Iterator[str]:
    for reason in judgement.reasons:
        yield f"- {_reason_words(reason, preview, limits)}"


def _reason_words(reason: Breadth, preview: Preview, limits: Limits) -> str:
    match reason:
        case Breadth.CRITICAL:
            return f"It silences {preview.critical:,} critical alert{'' if preview.critical == 1 else 's'}."
        case Breadth.MANY:
            return f"It silences more than {limits.alerts or 0:,} alerts."
        case Breadth.LONG:
            longest = spoken_duration(limits.longer_than) if limits.longer_than else ""
            return f"It lasts longer than {longest}."
        case Breadth.MATCHES_ALL:
            return "Its matchers ask for nothing in particular: it would silence nearly everything."


def _silenced(silence: Silence | None, silence_id: str) -> str:
    if silence is None:
        return f"Silenced by {code(silence_id, budget=_NAME)}"
    until = f"until {timestamp(silence.ends_at, 't')} ({timestamp(silence.ends_at)})"
    said = cut(escape(silence.comment), _COMMENT)
    return f"Silenced by {_author(silence)} {until}" + (f": *{said}*" if said else "")


def _author(silence: Silence) -> str:
    person = person_in(silence.created_by)
    return f"<@{person}>" if person else f"**{cut(escape(silence.created_by), _NAME) or 'somebody'}**"


def _comment(silence: Silence) -> str:
    said = cut(escape(silence.comment), _COMMENT)
    return f"*{said}*" if said else ""


def _happened(event: Event) -> str:
    silence, before = event.silence, event.before
    until = f"until {timestamp(silence.ends_at, 'f')} ({timestamp(silence.ends_at)})"
    match event.moment:
        case Moment.BEGAN | Moment.ENDS_SOON:
            return until
        case Moment.CHANGED if before is not None and before.ends_at != silence.ends_at:
            return f"{until}, before: {timestamp(before.ends_at, 'f')}"
        case Moment.CHANGED:
            return until
        case Moment.ENDED | Moment.ENDED_EARLY:
            return f"ended {timestamp(silence.ends_at, 'f')}"
        case Moment.VANISHED:
            return (
                f"It was to last {until}, and Alertmanager does not list it any more: "
                "its alerts may be sent again."
            )


def _listed(named: Sequence[str]) -> str:
    shown = list(named[:_MOST_NAMED])
    if len(named) > _MOST_NAMED:
        shown.append(f"{len(named) - _MOST_NAMED:,} more")
    if len(shown) <= 1:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
