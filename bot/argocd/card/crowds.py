"""How stories look that are told together: how many, what is wrong, and by name those that find room."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import discord

from bot.argocd.card.parts import OPEN, chooser, s, short_name, subtext, text_if
from bot.argocd.card.stories import HEADS, head_of
from bot.argocd.stories import MOST_ALONE, TOGETHER_WITHIN, Crowd, News, Story
from bot.chat import layout
from bot.chat.action import button, custom_id
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import cut, cut_plain, escape, plain, timestamp
from bot.core.durations import spoken_duration

CROWD: Final = "argo-crowd"
"""The action of the button that lists Applications; its key is the crowd's number."""

_MOST_NAMED: Final = 12
_WORDS: Final = 600
"""Units of what Argo CD says: once for all, so it may be long; why nobody answered stands at its end."""
_LISTED_WORDS: Final = 200
_WORST_FIRST: Final = tuple(HEADS)


def render_crowd(crowd: Crowd) -> Rendered:
    """Render stories that are told together; the whole list is attached where not all can be named."""
    going_on = sorted((story for story in crowd.stories if story.closed_at is None), key=_rank)
    said, times = next(iter(Counter(filter(None, map(_words, going_on))).most_common(1)), ("", 0))
    named = going_on[:_MOST_NAMED]
    left = len(going_on) - len(named)
    options = ((story.key, _states(story)) for story in named)
    view = layout.view(
        layout.container(
            layout.text(f"### {_headline(crowd, going_on)}", subtext(_facts(crowd, going_on))),
            layout.gap(),
            *text_if(*(_said(said, times) if said else ())),
            *text_if(
                *map(_line, named), layout.subtext(f"and {left:,} more in the attached list") if left else ""
            ),
            *chooser(OPEN, f"crowd-{crowd.id}", options, "Look at one…"),
            layout.row(button(CROWD, str(crowd.id), "List Applications")),
            colour=_colour(crowd, going_on),
        )
    )
    files = (_list_of(crowd, going_on, said),) if len(crowd.stories) > _MOST_NAMED else ()
    return Rendered(view=view, marker=custom_id(CROWD, str(crowd.id)), files=files, silent=True)


def _rank(story: Story) -> tuple[int, int]:
    """Return by what the worst comes first."""
    ranks = (place for place, news in enumerate(_WORST_FIRST) if news in story.wrong)
    return next(ranks, len(_WORST_FIRST)), story.id


def _headline(crowd: Crowd, going_on: Sequence[Story]) -> str:
    total = len(crowd.stories)
    if not going_on:
        over = "ALL DELETED" if _deleted(crowd) == total else "ALL WELL AGAIN"
        return f"{over} · {total:,} Application{s(total)}"
    of_all = f" of {total:,}" if len(going_on) < total else ""
    counts = Counter(head_of(story)[0] for story in going_on)
    return " · ".join(
        (
            f"{len(going_on):,}{of_all} Application{s(total)}",
            *(f"{head} {count:,}" for head, count in counts.items()),
        )
    )


def _facts(crowd: Crowd, going_on: Sequence[Story]) -> Iterator[str]:
    if crowd.closed_at is not None:
        lasted = spoken_duration(crowd.closed_at - crowd.opened_at)
        yield f"{timestamp(crowd.closed_at)}, after {lasted}"
    else:
        yield f"since {timestamp(crowd.opened_at)}"
    deleted = _deleted(crowd)
    well = len(crowd.stories) - len(going_on) - deleted
    if going_on and well:
        yield f"{well:,} well again"
    if deleted:
        yield f"{deleted:,} deleted"
    if going_on:
        within = spoken_duration(TOGETHER_WITHIN)
        yield f"besides those with cards of their own: more than {MOST_ALONE} began within {within}"


def _deleted(crowd: Crowd) -> int:
    return sum(
        story.closed_at is not None and bool(story.happenings) and story.happenings[-1].news is News.DELETED
        for story in crowd.stories
    )


def _colour(crowd: Crowd, going_on: Sequence[Story]) -> discord.Colour:
    if going_on:
        return head_of(going_on[0])[1]
    return layout.QUIET if _deleted(crowd) == len(crowd.stories) else layout.GOOD


def _words(story: Story) -> str:
    """Return what Argo CD says of what is wrong, raw."""
    if News.ERROR in story.wrong:
        return story.facts.get("error", "")
    return story.facts.get("message", "") if News.SYNC_FAILED in story.wrong else ""


def _said(words: str, times: int) -> Iterator[str]:
    yield f"> {cut(escape(words), _WORDS)}"
    if times > 1:
        yield layout.subtext(f"what Argo CD says of {times:,} of them")


def _line(story: Story) -> str:
    return f"**{short_name(story.key)}** {_states(story)} · {timestamp(story.opened_at)}"


def _states(story: Story) -> str:
    """Return all that is wrong, the worst first; else how the story is headed."""
    return " · ".join(HEADS[each] for each in _WORST_FIRST if each in story.wrong) or head_of(story)[0]


def _list_of(crowd: Crowd, going_on: Sequence[Story], said: str) -> TextFile:
    """Return all of them as text, a line each, those that go on first; what is said of most stands once."""
    over = [story for story in crowd.stories if story.closed_at is not None]
    heading = f"{len(crowd.stories):,} Applications told together, since {_written(crowd.opened_at)}"
    lines = [heading, *([f"What Argo CD says most often: {plain(said)}"] if said else []), ""]
    lines += [_listed(story, said) for story in (*going_on, *over)]
    text = "\n".join([*lines, ""])
    return TextFile(f"applications-{crowd.id}.txt", text.encode("utf-8", "replace"))


def _listed(story: Story, said: str) -> str:
    words = _words(story) if story.closed_at is None else ""
    since = "at" if story.closed_at is not None else "since"
    line = f"{plain(str(story.key))}  {_states(story)} {since} {_written(story.closed_at or story.opened_at)}"
    return f"{line}  {cut_plain(plain(words), _LISTED_WORDS)}" if words not in {"", said} else line


def _written(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
