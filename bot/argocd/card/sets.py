"""ApplicationSets: what they made, and what is wrong with them."""

from collections.abc import Iterator
from typing import Final

from bot.argocd.card.listing import application_line
from bot.argocd.card.parts import (
    BUDGET,
    OPEN,
    OPEN_SET,
    REFRESH_SET,
    chooser,
    key_of,
    message_of,
    opening,
    s,
    short_name,
    stale,
    states,
    subtext,
    text_if,
)
from bot.argocd.sets import ApplicationSet, RolloutState
from bot.argocd.views import SetListing, SetRefreshed, SetStanding
from bot.chat import layout
from bot.chat.action import button
from bot.chat.rendered import Rendered
from bot.chat.text import code, cut, escape

_WORD: Final = 60
_MOST_ERRORS: Final = 3


def render_sets(listing: SetListing) -> Rendered:
    """Render ApplicationSets, those with errors first."""
    lines = [f"**{_state(each)}** · {_set_line(each)}" for each in listing.sets]
    shown = layout.fitting(lines, BUDGET)
    left = len(lines) - len(shown)
    wrong = sum(1 for each in listing.sets if each.errors)
    view = layout.view(
        layout.container(
            layout.text(
                f"### {len(lines):,} ApplicationSet{s(len(lines))}",
                subtext([f"{wrong:,} with errors" if wrong else "none with errors", stale(listing.watch)]),
            ),
            layout.gap(),
            layout.text(
                *(shown or ["There is none that you may see."]),
                layout.subtext(f"and {left:,} more") if left else "",
            ),
            *chooser(OPEN_SET, "list", ((each.key, _state(each)) for each in listing.sets), "Look at one…"),
            colour=layout.WARNING if wrong else layout.GOOD,
        )
    )
    return Rendered(view=view, marker="")


def render_set(standing: SetStanding) -> Rendered:
    """Render one ApplicationSet with what it made and where its rolling sync is."""
    found = standing.set
    lines = [
        *_error_lines(found),
        *(_rollout_line(each) for each in found.rollout if each.status != "Healthy"),
        *(f"{application_line(each)} · {states(each)}" for each in standing.applications),
    ]
    shown = layout.fitting(lines, BUDGET)
    left = len(lines) - len(shown)
    view = layout.view(
        layout.container(
            layout.text(f"### {_state(found)} · {short_name(found.key)}", subtext(_facts(found))),
            layout.gap(),
            layout.text(
                *(shown or ["It has made no Application that is known."]),
                layout.subtext(f"and {left:,} more lines") if left else "",
            ),
            *text_if(opening(standing.url)),
            *chooser(OPEN, "set", ((e.key, states(e)) for e in standing.applications), "Look at one…"),
            *_refresh(found),
            colour=layout.CRITICAL if found.errors else layout.GOOD,
        )
    )
    return Rendered(view=view, marker="")


def render_set_refreshed(refreshed: SetRefreshed) -> Rendered:
    """Render what became of the refresh of an ApplicationSet."""
    found = refreshed.after
    words = (
        f"It made its Applications anew in {refreshed.took_seconds:.0f} s."
        if refreshed.is_done
        else "Its controller has not answered within a minute. It may still do so."
    )
    view = layout.view(
        layout.container(
            layout.text(f"### {_state(found)} · {short_name(found.key)}", subtext(_facts(found))),
            layout.gap(),
            layout.text(words, *_error_lines(found)),
            colour=layout.CRITICAL if found.errors else layout.GOOD,
        )
    )
    return Rendered(view=view, marker="")


def _state(found: ApplicationSet) -> str:
    if found.errors:
        return "FAILING"
    if found.deleting:
        return "BEING DELETED"
    return "REFRESHING" if found.refreshing else "WORKING"


def _set_line(found: ApplicationSet) -> str:
    return f"**{short_name(found.key)}** {found.applications:,} Application{s(found.applications)}"


def _facts(found: ApplicationSet) -> Iterator[str]:
    yield "ApplicationSet"
    yield cut(escape(str(found.key)), 2 * _WORD)
    if found.generators:
        yield f"generated from {cut(escape(', '.join(found.generators)), _WORD)}"
    yield f"policy {cut(escape(found.policy), _WORD)}"
    if found.rolling_steps:
        yield f"rolls out in {found.rolling_steps} steps"


def _error_lines(found: ApplicationSet) -> Iterator[str]:
    for each in found.errors[:_MOST_ERRORS]:
        yield f"**{cut(escape(each.type), _WORD)}** {message_of(each.message)}".rstrip()
    if len(found.errors) > _MOST_ERRORS:
        yield f"and {len(found.errors) - _MOST_ERRORS} more errors"


def _rollout_line(each: RolloutState) -> str:
    status = cut(escape(each.status), _WORD)
    message = f": {message_of(each.message)}" if each.message else ""
    return f"step {cut(escape(each.step), _WORD)} {code(each.application)} **{status}**{message}"


def _refresh(found: ApplicationSet) -> Iterator[layout.Item]:
    key = key_of(found.key)
    if key is not None:
        yield layout.row(button(REFRESH_SET, key, "Refresh"))
