"""What a sync would change: one resource a page, and all of it attached."""

from collections.abc import Iterator, Sequence
from typing import Final

import discord

from bot.argocd.card.parts import (
    BUDGET,
    DIFF,
    LINE,
    SYNC,
    key_of,
    more,
    opening,
    page_key,
    resource_name,
    s,
    short_name,
)
from bot.argocd.card.parts import subtext as facts_line
from bot.argocd.detail import ResourceState
from bot.argocd.views import Change, Differences, ResourceDifference
from bot.chat import layout
from bot.chat.action import ActionButton, button
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import code, code_block, cut, escape, timestamp, units
from bot.kube.model import ObjectKey

_BLOCK: Final = 2200
_MOST_NAMED: Final = 40
_WORDS: Final = {
    Change.CREATED: "is created",
    Change.CHANGED: "is changed",
    Change.DELETED: "is deleted, but only with pruning",
}


def render_differences(found: Differences, page: int = 0) -> Rendered:
    """Render a page of what a sync would change."""
    application = found.application
    count = len(found.differences) or len(found.named)
    page = min(max(page, 0), max(len(found.differences) - 1, 0))
    facts = [
        f"{count:,} resource{s(count)} differ{'s' if count == 1 else ''}" if count else "",
        f"compared {timestamp(found.compared_at)}" if found.compared_at else "",
        f"read {timestamp(found.read_at)}" if found.differences else "",
    ]
    if found.why_unknown:
        lines = [cut(found.why_unknown, BUDGET)]
    elif found.differences:
        lines = list(_difference(found.differences[page]))
    else:
        lines = list(_names(found.named)) or ["Nothing: what runs is what the sources say."]
    view = layout.view(
        layout.container(
            layout.text(f"### What a sync of {short_name(application.key)} would change", facts_line(facts)),
            layout.gap(),
            layout.text(*lines),
            *_closing(found),
            *_buttons(application.key, page, len(found.differences), syncs=count > 0),
            colour=layout.WARNING if count or found.why_unknown else layout.GOOD,
        )
    )
    return Rendered(view=view, marker="", files=_patch(found.differences))


def _difference(difference: ResourceDifference) -> Iterator[str]:
    namespace = f" in {code(difference.key.namespace)}" if difference.key.namespace else ""
    counted = f": +{difference.added:,} −{difference.removed:,} lines" if difference.text else ""
    yield f"{resource_name(difference.key)}{namespace} {_WORDS[difference.change]}{counted}"
    if not difference.text:
        yield f"How cannot be shown: {cut(escape(difference.problem), LINE)}"
        return
    block = code_block(difference.text, language="diff", budget=_BLOCK)
    yield block
    if units(difference.text) + len("```diff\n\n```") > units(block):
        yield layout.subtext("cut here, all of it is in the attached file")


def _names(named: Sequence[ResourceState]) -> Iterator[str]:
    lines = [_named(state) for state in named[:_MOST_NAMED]]
    shown = layout.fitting(lines, BUDGET)
    yield from shown
    if rest := more(len(named) - len(shown)):
        yield layout.subtext(rest.strip())


def _named(state: ResourceState) -> str:
    namespace = f" in {code(state.key.namespace)}" if state.key.namespace else ""
    pruned = " no source has it any more" if state.requires_pruning else ""
    return f"{resource_name(state.key)}{namespace}{pruned}"


def _closing(found: Differences) -> Iterator[layout.Item]:
    why = cut(found.why_only_named, LINE) if found.named else ""
    lines = [layout.subtext(f"Only what differs is known, not how. {why}") if why else "", opening(found.url)]
    if any(lines):
        yield layout.text(*lines)


def _buttons(key: ObjectKey, page: int, pages: int, *, syncs: bool) -> Iterator[layout.Item]:
    row = [*_turning(key, page, pages), *_syncing(key, syncs=syncs)]
    if row:
        yield layout.row(*row)


def _turning(key: ObjectKey, page: int, pages: int) -> Iterator[ActionButton]:
    before, after = page_key(key, page - 1), page_key(key, page + 1)
    # Where the name does not fit into a button, the attached file has everything.
    if pages > 1 and before and after:
        yield button(DIFF, before, "Previous", disabled=page == 0)
        yield button(DIFF, after, f"Next ({page + 1} of {pages})", disabled=page == pages - 1)


def _syncing(key: ObjectKey, *, syncs: bool) -> Iterator[ActionButton]:
    name = key_of(key)
    if syncs and name is not None:
        yield button(SYNC, name, "Sync…", discord.ButtonStyle.success)


def _patch(differences: Sequence[ResourceDifference]) -> tuple[TextFile, ...]:
    texts = [f"# {each.key} {each.key.namespace}\n{each.text}\n" for each in differences if each.text]
    return (TextFile("changes.diff", "".join(texts).encode("utf-8", "replace")),) if texts else ()
