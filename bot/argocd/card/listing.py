"""Several Applications: a list of them, and a tree."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import discord

from bot.argocd.card.parts import (
    BUDGET,
    OPEN,
    chooser,
    opening,
    short_name,
    stale,
    states,
    subtext,
    text_if,
)
from bot.argocd.model import Application, HealthStatus
from bot.argocd.search import is_troubled
from bot.argocd.views import Branch, Grown, Listing, Wanted
from bot.argocd.words import short
from bot.chat import layout
from bot.chat.action import MOST_OPTIONS
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import code, cut, escape, timestamp
from bot.kube.model import ObjectKey, WatchPhase

_DEEPEST_LISTED: Final = 20
"""Levels of a tree that are told apart by their indent in the attached list."""
_NAME: Final = 60
_MOST_ABOVE: Final = 5
_DEEPEST: Final = 4
"""Levels of a tree that are moved to the right: more would leave no room on a phone."""


def render_list(listing: Listing) -> Rendered:
    """Render Applications, the worst first; those that find no room are in the attached list."""
    found = listing.applications
    shown = _fitting(found)
    left = len(found) - len(shown)
    view = layout.view(
        layout.container(
            layout.text(_heading(listing), subtext(_facts(listing))),
            layout.gap(),
            layout.text(*(_grouped(shown) or [_none(listing)]), _in_the_file(left)),
            *chooser(OPEN, "list", map(_option, shown), "Look at one…"),
            colour=_list_colour(found),
        )
    )
    files = (TextFile("applications.txt", _as_table(found)),) if left else ()
    return Rendered(view=view, marker="", files=files)


def render_tree(grown: Grown) -> Rendered:
    """Render an Application with all below it, by wave, each with its state."""
    lines = [_branch_line(branch) for branch in grown.branches]
    shown = layout.fitting(lines, BUDGET)
    left = len(lines) - len(shown)
    missing = [branch for branch in grown.branches if branch.application is None]
    known = {branch.key: branch.application for branch in grown.branches if branch.application}
    # What is wrong is offered first: there are at most 25 options.
    options = sorted(known.values(), key=lambda each: not is_troubled(each))
    troubled = sum(map(is_troubled, known.values())) + len(missing)
    view = layout.view(
        layout.container(
            layout.text(f"### Tree of {short_name(grown.root.key)}", subtext(_tree_facts(grown, troubled))),
            layout.gap(),
            layout.text(*(shown or ["Nothing is known of it."]), _in_the_file(left)),
            *text_if(opening(grown.url)),
            *chooser(OPEN, "tree", map(_option, options), "Look at one…"),
            colour=layout.WARNING if troubled else layout.GOOD,
        )
    )
    files = (TextFile("tree.txt", _as_text(grown.branches)),) if left else ()
    return Rendered(view=view, marker="", files=files)


def _in_the_file(left: int) -> str:
    return layout.subtext(f"and {left:,} more in the attached list") if left else ""


def application_line(application: Application) -> str:
    """Return an Application in a line that fits a phone; what state it is in stands elsewhere."""
    name, namespace = application.key.name, application.destination.namespace
    where = cut(escape(namespace), _NAME) if namespace != name else ""
    drift = (
        f"{application.out_of_sync:,} of {application.resources:,} differ" if application.out_of_sync else ""
    )
    facts = " · ".join(fact for fact in (where, drift, _ill_since(application)) if fact)
    return f"**{cut(escape(name), _NAME)}** {facts}".rstrip()


def _ill_since(application: Application) -> str:
    if application.health is HealthStatus.HEALTHY or application.health_since is None:
        return ""
    return timestamp(application.health_since)


def _none(listing: Listing) -> str:
    if listing.total:
        return "No Application is like that."
    known = listing.watch.phase is WatchPhase.SYNCED
    return "There are none that you may see." if known else "No Application could be read so far."


def _heading(listing: Listing) -> str:
    found = len(listing.applications)
    if not listing.total and listing.watch.phase is not WatchPhase.SYNCED:
        return "### Applications"
    total = f" of {listing.total:,}" if found != listing.total else ""
    return f"### {found:,}{total} Application{'' if listing.total == 1 else 's'}"


def _facts(listing: Listing) -> Iterator[str]:
    troubled = sum(map(is_troubled, listing.applications))
    if listing.applications:
        yield f"{troubled:,} not synced or not healthy" if troubled else "all synced and healthy"
    yield from _asked(listing.wanted)
    yield stale(listing.watch)


def _asked(wanted: Wanted) -> Iterator[str]:
    if wanted.project:
        yield f"project {code(wanted.project)}"
    if wanted.health is not None:
        yield f"health {wanted.health.value}"
    if wanted.sync is not None:
        yield f"sync {wanted.sync.value}"
    if wanted.text:
        yield f"with {code(wanted.text)}"


def _list_colour(found: Sequence[Application]) -> discord.Colour:
    if not found:
        return layout.QUIET
    return layout.WARNING if any(map(is_troubled, found)) else layout.GOOD


def _fitting(applications: Sequence[Application]) -> Sequence[Application]:
    """Return the first Applications of which there is room for all lines."""
    first = applications[:MOST_OPTIONS]
    for count in range(len(first), 0, -1):
        lines = _grouped(first[:count])
        if len(layout.fitting(lines, BUDGET)) == len(lines):
            return first[:count]
    return ()


def _grouped(applications: Iterable[Application]) -> list[str]:
    """Return lines by state, the worst first; those that are well share one, since nobody looks for them."""
    groups: dict[str, list[Application]] = defaultdict(list)
    well: list[Application] = []
    for application in applications:
        if is_troubled(application) or application.is_syncing:
            groups[states(application)].append(application)
        else:
            well.append(application)
    lines = [
        line
        for state, members in groups.items()
        for line in (f"**{state}**", *(application_line(each) for each in members))
    ]
    names = " · ".join(cut(escape(each.key.name), _NAME) for each in well)
    return [*lines, "**HEALTHY**", names] if well else lines


def _tree_facts(grown: Grown, troubled: int) -> Iterator[str]:
    below = len({branch.key for branch in grown.branches} - {grown.root.key})
    yield f"{below:,} below it, by sync wave" if below else "nothing below it"
    yield f"{troubled:,} not synced or not healthy" if troubled else "all synced and healthy"
    if grown.above:
        names = [code(key.name) for key in reversed(grown.above[:_MOST_ABOVE])]
        yield f"itself below {' › '.join(names)}"
    yield stale(grown.watch)


def _branch_line(branch: Branch) -> str:
    indent = "\u2003" * min(branch.depth, _DEEPEST)
    wave = f"`wave {branch.wave}` " if branch.depth else ""
    name = f"{indent}{wave}**{short_name(branch.key)}**"
    if branch.application is None:
        return f"{name} MISSING: it does not exist, or is not watched"
    if branch.is_again:
        return f"{name} again, see above"
    state = states(branch.application)
    shown = state if state != "HEALTHY" else "healthy"
    return f"{name} {shown} {_ill_since(branch.application)}".rstrip()


def _option(application: Application) -> tuple[ObjectKey, str]:
    return application.key, f"{states(application)} · {application.project}"


def _as_table(applications: Iterable[Application]) -> bytes:
    lines = (
        f"{each.health.value:<12} {each.sync.value:<10} {each.key!s:<60} {each.project:<24} "
        f"{short(each.revision)}".rstrip()
        for each in applications
    )
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _as_text(branches: Iterable[Branch]) -> bytes:
    lines = []
    for branch in branches:
        found = branch.application
        state = f"{found.health.value}, {found.sync.value}" if found else "missing"
        lines.append(f"{'  ' * min(branch.depth, _DEEPEST_LISTED)}wave {branch.wave} {branch.key} {state}")
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")
