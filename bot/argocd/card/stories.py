"""How a story about an Application looks while it goes on, and how once it is over."""

from collections.abc import Iterator, Mapping
from typing import Final

import discord

from bot.argocd.card.parts import (
    DIFF,
    SYNC,
    key_of,
    message_of,
    opening,
    revisions_of,
    short_name,
    subtext,
    text_if,
)
from bot.argocd.stories import Happening, News, Story
from bot.chat import layout
from bot.chat.action import ActionButton, button, custom_id
from bot.chat.rendered import Rendered
from bot.chat.text import code, escape, timestamp
from bot.core.durations import spoken_duration

STORY: Final = "argo-news"
"""The action of the button that shows the Application of a story; its key is the story's number."""

_MOST_LINES: Final = 6
HEADS: Final[Mapping[News, str]] = {
    News.SYNC_FAILED: "SYNC FAILED",
    News.DEGRADED: "DEGRADED",
    News.ERROR: "BROKEN",
    News.DRIFTED: "OUT OF SYNC",
    News.DEPLOYED: "DEPLOYED",
}
"""What a story is headed by, the worst first."""
_SAID: Final[Mapping[News, str]] = {
    News.SYNC_FAILED: "A sync failed",
    News.DEGRADED: "It became degraded",
    News.ERROR: "Argo CD cannot work out what it should be",
    News.DRIFTED: "It is not what its sources say",
    News.DEPLOYED: "Another revision was deployed",
    News.WELL: "All is well",
    News.DELETED: "It was deleted",
}
_COLOURS: Final = {
    News.SYNC_FAILED: layout.CRITICAL,
    News.DEGRADED: layout.CRITICAL,
    News.ERROR: layout.WARNING,
    News.DRIFTED: layout.WARNING,
    News.DEPLOYED: layout.RUNNING,
}


def render_story(story: Story, *, url: str | None = None) -> Rendered:
    """Render a story: what is wrong now, what happened, and what can be done; one that is over is short."""
    head, colour = head_of(story)
    is_open = story.closed_at is None
    view = layout.view(
        layout.container(
            layout.text(f"### {head} · {short_name(story.key)}", subtext(_facts(story))),
            layout.gap(),
            *text_if(*(_wrong_lines(story) if is_open else ())),
            *text_if(*_happenings(story)),
            *text_if(opening(url)),
            layout.row(*_buttons(story)),
            colour=colour,
        )
    )
    return Rendered(view=view, marker=custom_id(STORY, str(story.id)), silent=True)


def head_of(story: Story) -> tuple[str, discord.Colour]:
    """Return in capitals what is worst about a story, and its colour."""
    last = story.happenings[-1].news if story.happenings else News.WELL
    if story.closed_at is None:
        worst = next((each for each in HEADS if each in story.wrong), None)
        if worst is None and last is not News.DEPLOYED:
            return "NOT YET WELL", layout.RUNNING
        return HEADS[worst or last], _COLOURS[worst or last]
    match last:
        case News.DELETED:
            return "DELETED", layout.QUIET
        case News.DEPLOYED:
            return "DEPLOYED", layout.GOOD
        case _:
            return "WELL AGAIN", layout.GOOD


def _facts(story: Story) -> Iterator[str]:
    facts = story.facts
    if story.closed_at is None:
        yield f"since {timestamp(story.opened_at)}"
    else:
        lasted = spoken_duration(story.closed_at - story.opened_at)
        yield f"{timestamp(story.closed_at)}, after {lasted}"
    yield f"{facts.get('health', '')} · {facts.get('sync', '')}".strip(" ·")
    yield f"project {escape(facts.get('project', ''))}"
    yield escape(str(story.key))


def _wrong_lines(story: Story) -> Iterator[str]:
    facts = story.facts
    if News.SYNC_FAILED in story.wrong and facts.get("message"):
        yield f"> {message_of(facts['message'])}"
        if facts.get("by"):
            yield f"asked for by {code(facts['by'])}"
    if News.ERROR in story.wrong and facts.get("error"):
        yield f"> {message_of(facts['error'])}"
    if News.DRIFTED in story.wrong:
        differ = escape(facts.get("differs", ""))
        yield f"{facts.get('out_of_sync', '0')} differ{f': {differ}' if differ else ''}"
    if facts.get("revision") and News.ERROR not in story.wrong:
        yield f"compared with {revisions_of([facts['revision']])}"


def _happenings(story: Story) -> Iterator[str]:
    for happening in story.happenings[-_MOST_LINES:]:
        yield f"{timestamp(happening.at, 't')} {_said(happening)}"


def _said(happening: Happening) -> str:
    words = message_of(happening.words)
    if happening.news is News.DEPLOYED:
        return f"{_SAID[happening.news]}{f' by {words}' if words else ''}"
    return f"{_SAID[happening.news]}{f': {words}' if words else ''}"


def _buttons(story: Story) -> Iterator[ActionButton]:
    yield button(STORY, str(story.id), "Status")
    key = key_of(story.key)
    if key is None or story.closed_at is not None or News.DRIFTED not in story.wrong:
        return
    yield button(DIFF, key, "Diff")
    yield button(SYNC, key, "Sync…")
