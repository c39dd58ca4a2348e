"""What was deployed of an Application, with a way back."""

from collections.abc import Iterator, Sequence
from typing import Final

import discord

from bot.argocd.card.parts import (
    BUDGET,
    ROLL_BACK,
    key_of,
    opening,
    revisions_of,
    s,
    short_name,
    subject_of,
    subtext,
    text_if,
)
from bot.argocd.detail import HistoryEntry
from bot.argocd.plans import name_initiator
from bot.argocd.views import Commit, Past
from bot.argocd.words import short
from bot.chat import layout
from bot.chat.action import select
from bot.chat.rendered import Rendered
from bot.chat.text import code, cut, timestamp

_BY: Final = 60
_MOST_REVISIONS: Final = 3
_WHAT: Final = 40

Commits = Sequence[Commit | None]


def render_history(past: Past) -> Rendered:
    """Render what was deployed, newest first, with a way back to each."""
    lines = [
        _entry_lines(entry, commits, runs=place == 0)
        for place, (entry, commits) in enumerate(zip(past.entries, past.commits, strict=True))
    ]
    count = len(lines)
    shown = layout.fitting(lines, BUDGET)
    left = count - len(shown)
    view = layout.view(
        layout.container(
            layout.text(
                f"### History of {short_name(past.application.key)}",
                subtext([f"{count} deployment{s(count)} that Argo CD remembers", "newest first"]),
            ),
            layout.gap(),
            layout.text(*(shown or ["Nothing was deployed, as far as Argo CD remembers."])),
            *text_if(layout.subtext(f"and {left} older ones") if left else "", *_notes(past)),
            *_way_back(past),
        )
    )
    return Rendered(view=view, marker="")


def _entry_lines(entry: HistoryEntry, commits: Commits, *, runs: bool) -> str:
    first = "\n".join(_revisions(entry, commits))
    when = timestamp(entry.deployed_at, "f") if entry.deployed_at else "at a time that is not known"
    by = cut(name_initiator(entry.by, automated=entry.automated), _BY)
    facts = f"{entry.id} · {when} · {by}"
    return f"{first or 'No revision is noted'}{' **runs now**' if runs else ''}\n{layout.subtext(facts)}"


def _revisions(entry: HistoryEntry, commits: Commits) -> Iterator[str]:
    """Yield a line for each revision, with its sources where there are several."""
    places: dict[str, list[int]] = {}
    for place, revision in enumerate(entry.revisions):
        if revision:
            places.setdefault(revision, []).append(place)
    for revision, of in list(places.items())[:_MOST_REVISIONS]:
        known = [entry.sources[place] for place in of if place < len(entry.sources)]
        names = ", ".join(code(source.what, budget=_WHAT) for source in known) if len(places) > 1 else ""
        found = (commits[place] for place in of if place < len(commits))
        subject = next((commit.subject for commit in found if commit and commit.subject), "")
        yield " ".join(part for part in (names, revisions_of([revision]), subject_of(subject)) if part)


def _notes(past: Past) -> Iterator[str]:
    if past.application.auto_sync.enabled and past.entries[1:]:
        yield (
            "Auto-sync is on, so there is no way back from here: Argo CD would undo it at once. "
            "Revert the commit in Git."
        )
    yield opening(past.url)


def _way_back(past: Past) -> Iterator[layout.Item]:
    key = key_of(past.application.key)
    if past.application.auto_sync.enabled or key is None:
        return
    older = zip(past.entries[1:], past.commits[1:], strict=True)
    options = {entry.id: _option(entry, commits) for entry, commits in older if entry.raw_sources}
    if options:
        yield layout.row(select(ROLL_BACK, key, options.values(), "Roll back to…"))


def _option(entry: HistoryEntry, commits: Commits) -> discord.SelectOption:
    revisions = ", ".join(dict.fromkeys(short(revision) for revision in entry.revisions if revision))
    when = f" · {entry.deployed_at:%Y-%m-%d %H:%M} UTC" if entry.deployed_at else ""
    subject = next((commit.subject for commit in commits if commit and commit.subject), "")
    return discord.SelectOption(
        label=f"{entry.id} · {revisions}{when}", value=str(entry.id), description=subject or None
    )
