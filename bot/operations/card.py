"""How an operation looks: its preview, its live card, and all of it for who asks."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import discord

from bot.chat import layout
from bot.chat.action import ActionButton, button, custom_id
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import code, cut, escape, link, timestamp, units
from bot.core.durations import spoken_duration
from bot.journal.model import Recorded
from bot.operations.life import mention
from bot.operations.model import CANCEL, Operation, State, wish_label

CONFIRM: Final = "op-confirm"
APPROVE: Final = "op-approve"
DECLINE: Final = "op-decline"
ACT: Final = "op-act"
DETAILS: Final = "op-details"
AT_ONCE: Final = "now"
"""Behind an id: without asking why."""

_CELLS: Final = 20
_MOST_LINES: Final = 12
_LINE: Final = 300
_BODY: Final = 1500
_BRIEF: Final = 700
_SEEN: Final = 1000
_OUTCOME: Final = 800
_COUNTS: Final = 200
_NOTE: Final = 240
_MOST_OFFERS: Final = 2
_DETAILS: Final = 3200

_COLOURS: Final = {
    State.REQUESTED: layout.WAITING,
    State.WAITING: layout.WAITING,
    State.STARTED: layout.RUNNING,
    State.PROGRESSING: layout.RUNNING,
    State.SUCCEEDED: layout.GOOD,
    State.FAILED: layout.CRITICAL,
    State.CANCELLED: layout.QUIET,
    State.SUPERSEDED: layout.QUIET,
    State.LOST: layout.WARNING,
}


def render_preview(operation: Operation) -> Rendered:
    """Render what an operation would do, for the one who is to confirm it."""
    facts = [
        escape(operation.plan.system),
        escape(operation.plan.place),
        _needed(operation),
        _expiry(operation),
    ]
    buttons = [
        button(CONFIRM, operation.id, "Confirm", discord.ButtonStyle.success),
        button(DECLINE, f"{operation.id}/{AT_ONCE}", "Cancel"),
    ]
    view = _message(operation, facts, [_body(operation.plan.body)], buttons)
    return Rendered(view=view, marker=custom_id(CONFIRM, operation.id))


def render_operation(operation: Operation) -> Rendered:
    """Render the live card of an operation; what is over shrinks."""
    if operation.state.is_final:
        facts, parts = _closed_facts(operation), [_closed_parts(operation)]
    elif operation.state.is_running:
        facts, parts = _facts(operation), [_running_parts(operation), _happening(operation)]
    else:
        facts, parts = _facts(operation), [_body(operation.plan.body)]
    view = _message(operation, list(facts), parts, list(_buttons(operation)))
    return Rendered(view=view, marker=custom_id(DETAILS, operation.id))


def render_details(operation: Operation, entries: Sequence[Recorded]) -> Rendered:
    """Render all that is known, with what the journal says, oldest first; what does not fit is attached."""
    seen = operation.progress
    lines = [
        *operation.plan.body,
        *(seen.body if seen is not None else ()),
        escape(seen.counts) if seen is not None else "",
        operation.outcome,
        operation.note,
        *(_entry_line(recorded) for recorded in entries),
        layout.subtext(f"operation {code(operation.id)}"),
    ]
    text = "\n".join(line for line in lines if line)
    is_long = units(text) > _DETAILS
    view = layout.view(
        layout.container(
            layout.text(
                _headline(operation), layout.subtext(_joined(_facts_of_all(operation))), _link(operation)
            ),
            layout.gap(),
            layout.text(cut(text, _DETAILS)),
            colour=_COLOURS[operation.state],
        )
    )
    files = (TextFile(f"operation-{operation.id[:8]}.md", text.encode()),) if is_long else ()
    return Rendered(view=view, marker="", files=files)


def confirmed_words(operation: Operation) -> str:
    """Say what became of a confirmation, to the one who confirmed."""
    place = f"<#{operation.channel_id}>"
    if operation.state is State.WAITING:
        lacking = operation.approvals_needed - len(operation.approvals)
        expires = (
            f", which may be given until {timestamp(operation.expires_at, 't')}"
            if (operation.expires_at is not None)
            else ""
        )
        return f"It waits for {_approvals(lacking)}{expires}: see {place}."
    if operation.state.is_final:
        return operation.outcome or "It is over."
    return f"{escape(operation.plan.doing)}: see {place}."


def declined_words(operation: Operation) -> str:
    """Say what became of a refusal to go on, to the one who refused."""
    return operation.outcome or "Nothing was begun."


def progress_bar(fraction: float) -> str:
    """Return a bar of 20 cells in code, full only at the very end, and the per cent."""
    within = min(max(fraction, 0.0), 1.0)
    filled, percent = int(within * _CELLS), int(within * 100)
    return f"`{'█' * filled}{'░' * (_CELLS - filled)}` {percent} %"


def _message(
    operation: Operation,
    facts: Sequence[str],
    parts: Sequence[Iterable[str]],
    buttons: Sequence[ActionButton],
) -> discord.ui.LayoutView:
    items: list[layout.Item] = [layout.text(_headline(operation), layout.subtext(_joined(facts)))]
    for part in parts:
        if said := [line for line in part if line.strip()]:
            items += [layout.gap(), layout.text(*said)]
    if (opening := _link(operation)) is not None:
        items.append(layout.text(opening))
    items.append(layout.row(*buttons))
    return layout.view(layout.container(*items, colour=_COLOURS[operation.state]))


def _headline(operation: Operation) -> str:
    plan, state = operation.plan, operation.state
    if state in {State.REQUESTED, State.WAITING}:
        return f"### {_short(plan.title)}?"
    if state.is_running:
        return f"### {_short(plan.doing)}"
    if state is State.SUCCEEDED:
        return f"### {_short(plan.done)}"
    return f"### {state.value.upper()} · {_short(plan.title)}"


def _facts(operation: Operation) -> Iterator[str]:
    asked_at = operation.confirmed_at or operation.asked_at
    yield f"asked by {mention(operation.asked_by)} {timestamp(asked_at, 'R')}"
    yield _approved_by(operation)
    yield escape(operation.plan.system)
    if operation.state is State.WAITING:
        yield _needed(operation)
        yield _expiry(operation)
    yield escape(operation.plan.place)


def _closed_facts(operation: Operation) -> Iterator[str]:
    yield f"asked by {mention(operation.asked_by)}"
    yield _approved_by(operation)
    if operation.ended_at is not None:
        yield timestamp(operation.ended_at, "f")
        if operation.started_at is not None:
            yield f"took {spoken_duration(operation.ended_at - operation.started_at)}"
    yield escape(operation.plan.system)
    yield escape(operation.plan.place)


def _facts_of_all(operation: Operation) -> list[str]:
    return list(_closed_facts(operation) if operation.state.is_final else _facts(operation))


def _running_parts(operation: Operation) -> Iterator[str]:
    seen = operation.progress
    if operation.accepted_at is None:
        yield "starting"
    elif seen is not None:
        bar = progress_bar(seen.fraction) if seen.fraction is not None else ""
        yield "   ".join(part for part in (bar, cut(escape(seen.step), _COUNTS)) if part)
    yield from _body(operation.plan.brief or operation.plan.body, _BRIEF)


def _happening(operation: Operation) -> Iterator[str]:
    """Yield what it waits for, and what people and systems did to it."""
    seen = operation.progress
    if seen is not None:
        yield from _body(seen.body, _SEEN)
        if seen.counts:
            yield layout.subtext(cut(escape(seen.counts), _COUNTS))
    if operation.unseen_since is not None:
        yield cut(
            f"**cannot see {escape(operation.plan.system)}** since {timestamp(operation.unseen_since, 'R')}: "
            f"{operation.problem}",
            _NOTE,
        )
    if operation.abandoned is not None:
        yield cut(operation.abandoned.outcome, _NOTE)
        yield "It is looked up whether it had begun all the same."
    if operation.note:
        yield cut(operation.note, _NOTE)
    elif (wish := operation.wish) is not None:
        yield f"{_short(wish_label(operation.plan, wish.what))}: asked for by {mention(wish.by)}"


def _closed_parts(operation: Operation) -> Iterator[str]:
    yield from _body(operation.plan.brief, _BRIEF)
    yield cut(operation.outcome, _OUTCOME)
    seen = operation.progress
    if seen is None or operation.state is State.SUCCEEDED:
        return
    yield from _body(seen.body, _SEEN)
    if seen.counts:
        yield layout.subtext(cut(escape(seen.counts), _COUNTS))


def _buttons(operation: Operation) -> Iterator[ActionButton]:
    """Yield at most four: five wrap on a phone."""
    plan = operation.plan
    if operation.state is State.WAITING:
        yield button(APPROVE, operation.id, "Approve", discord.ButtonStyle.success)
        yield button(DECLINE, operation.id, "Decline…", discord.ButtonStyle.danger)
    elif operation.state.is_running:
        is_ending = operation.abandoned is not None or (
            operation.wish is not None and operation.wish.what == CANCEL
        )
        if plan.cancel_label and not is_ending:
            yield _wish(operation, CANCEL, discord.ButtonStyle.danger)
        if operation.progress is not None and operation.wish is None:
            for offer in operation.progress.offers[:_MOST_OFFERS]:
                yield _wish(operation, offer, discord.ButtonStyle.secondary)
    yield button(DETAILS, operation.id, "Details")


def _wish(operation: Operation, what: str, style: discord.ButtonStyle) -> ActionButton:
    return button(ACT, f"{operation.id}/{what}", wish_label(operation.plan, what), style)


def _body(lines: Sequence[str], left: int = _BODY) -> Iterator[str]:
    for number, line in enumerate(lines[:_MOST_LINES]):
        shown = _cut(line)
        left -= units(shown)
        if left < 0:
            yield layout.subtext(f"and {len(lines) - number} more lines, in Details")
            return
        yield shown
    if len(lines) > _MOST_LINES:
        yield layout.subtext(f"and {len(lines) - _MOST_LINES} more lines, in Details")


def _entry_line(recorded: Recorded) -> str:
    entry = recorded.entry
    who = mention(entry.actor)
    what = str(entry.detail.get("state") or entry.detail.get("step") or entry.detail.get("wish") or "")
    told = (
        f"{timestamp(recorded.at, 'f')} {code(entry.action)} {escape(what)} · {who} · {entry.outcome.value}"
    )
    return _cut(f"{told}: {entry.reason}" if entry.reason else told)


def _approved_by(operation: Operation) -> str:
    people = ", ".join(mention(each.by) for each in operation.approvals)
    return f"approved by {people}" if people else ""


def _needed(operation: Operation) -> str:
    lacking = operation.approvals_needed - len(operation.approvals)
    return f"needs {_approvals(lacking)}" if lacking > 0 else ""


def _approvals(number: int) -> str:
    return f"{number} approval{'' if number == 1 else 's'}"


def _expiry(operation: Operation) -> str:
    return f"expires {timestamp(operation.expires_at, 'R')}" if operation.expires_at is not None else ""


def _link(operation: Operation) -> str | None:
    opening = link(f"Open in {operation.plan.system}", operation.plan.url) if operation.plan.url else None
    return layout.subtext(opening) if opening is not None else None


def _joined(facts: Sequence[str]) -> str:
    return cut(" · ".join(fact for fact in facts if fact), _LINE)


def _short(text: str) -> str:
    return cut(escape(text), 150)


def _cut(markup: str) -> str:
    return cut(markup, _LINE)
