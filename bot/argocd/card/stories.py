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
from bot.argocd.episodes import Episode, Happening, News
from bot.chat import layout
from bot.chat.action import ActionButton, button, custom_id
from bot.chat.rendered import Rendered
from bot.chat.text import code, escape, timestamp
from bot.core.durations import spoken_duration

STORY: Final = "argo-news"
"""The action of the button that shows the Application of a story; its key is the story's number."""

_MOST_LINES: Final = 6
_HEADS: Final[Mapping[News, str]] = {
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


def render_story(episode: Episode, *, url: str | None = None) -> Rendered:
    """Render a story: what is wrong now, what happened, and what can be done; one that is over is short."""
    head, colour = _head(episode)
    is_open = episode.closed_at is None
    view = layout.view(
        layout.container(
            layout.text(f"### {head} · {short_name(episode.key)}", subtext(_facts(episode))),
            layout.gap(),
            *text_if(*(_wrong_lines(episode) if is_open else ())),
            *text_if(*_happenings(episode)),
            *text_if(opening(url)),
            layout.row(*_buttons(episode)),
            colour=colour,
        )
    )
    return Rendered(view=view, marker=custom_id(STORY, str(episode.id)), silent=True)


def _head(episode: Episode) -> tuple[str, discord.Colour]:
    if episode.closed_at is None:
        worst = next((each for each in _HEADS if each in episode.wrong), News.DEPLOYED)
        return _HEADS[worst], _COLOURS[worst]
    last = episode.happenings[-1].news if episode.happenings else News.WELL
    match last:
        case News.DELETED:
            return "DELETED", layout.QUIET
        case News.DEPLOYED:
            return "DEPLOYED", layout.GOOD
        case _:
            return "WELL AGAIN", layout.GOOD


def _facts(episode: Episode) -> Iterator[str]:
    facts = episode.facts
    if episode.closed_at is None:
        yield f"since {timestamp(episode.opened_at)}"
    else:
        lasted = spoken_duration(episode.closed_at - episode.opened_at)
        yield f"{timestamp(episode.closed_at)}, after {lasted}"
    yield f"{facts.get('health', '')} · {facts.get('sync', '')}".strip(" ·")
    yield f"project {escape(facts.get('project', ''))}"
    yield escape(str(episode.key))


def _wrong_lines(episode: Episode) -> Iterator[str]:
    facts = episode.facts
    if {News.SYNC_FAILED, News.ERROR} & episode.wrong and facts.get("message"):
        yield f"> {message_of(facts['message'])}"
        if News.SYNC_FAILED in episode.wrong and facts.get("by"):
            yield f"asked for by {code(facts['by'])}"
    if News.DRIFTED in episode.wrong:
        differ = escape(facts.get("differs", ""))
        yield f"{facts.get('out_of_sync', '0')} differ{f': {differ}' if differ else ''}"
    if facts.get("revision"):
        yield f"compared with {revisions_of([facts['revision']])}"


def _happenings(episode: Episode) -> Iterator[str]:
    for happening in episode.happenings[-_MOST_LINES:]:
        yield f"{timestamp(happening.at, 't')} {_said(happening)}"


def _said(happening: Happening) -> str:
    words = message_of(happening.words)
    if happening.news is News.DEPLOYED:
        return f"{_SAID[happening.news]}{f' by {words}' if words else ''}"
    return f"{_SAID[happening.news]}{f': {words}' if words else ''}"


def _buttons(episode: Episode) -> Iterator[ActionButton]:
    yield button(STORY, str(episode.id), "Status")
    key = key_of(episode.key)
    if key is None or episode.closed_at is not None or News.DRIFTED not in episode.wrong:
        return
    yield button(DIFF, key, "Diff")
    yield button(SYNC, key, "Sync…")
