"""What the cards about Applications have in common: words, names, keys of buttons."""

from collections.abc import Iterable, Iterator
from typing import Final

import discord

from bot.argocd.model import Application, HealthStatus, ResourceKey, SyncStatus
from bot.argocd.words import short
from bot.chat import layout
from bot.chat.action import select
from bot.chat.keys import pack, unpack
from bot.chat.text import code, cut, escape, link, timestamp, units
from bot.core.errors import InvalidError
from bot.kube.model import ObjectKey, WatchHealth, WatchPhase

OPEN: Final = "argo-open"
"""The action of selects that show one of the Applications that were listed."""
SYNC: Final = "argo-sync"
DIFF: Final = "argo-diff"
TREE: Final = "argo-tree"
HISTORY: Final = "argo-history"
REFRESH: Final = "argo-refresh"
TERMINATE: Final = "argo-terminate"
ROLL_BACK: Final = "argo-rollback"
OPEN_SET: Final = "argo-set"
REFRESH_SET: Final = "argo-set-refresh"

LINE: Final = 240
BUDGET: Final = 2700
"""Units of text for the list that a card is about."""

_NAME: Final = 80
_KEY: Final = 160
_FACTS: Final = 480
_MESSAGE: Final = 200
_SUBJECT: Final = 72
_MOST_REVISIONS: Final = 3
_HERE: Final = frozenset({"https://kubernetes.default.svc", "in-cluster"})
"""How Argo CD calls the cluster that it runs in."""

_HEALTH: Final = {
    HealthStatus.HEALTHY: "",
    HealthStatus.SUSPENDED: "SUSPENDED",
    HealthStatus.PROGRESSING: "PROGRESSING",
    HealthStatus.MISSING: "MISSING",
    HealthStatus.DEGRADED: "DEGRADED",
    HealthStatus.UNKNOWN: "HEALTH UNKNOWN",
}
_SYNC: Final = {
    SyncStatus.SYNCED: "",
    SyncStatus.OUT_OF_SYNC: "OUT OF SYNC",
    SyncStatus.UNKNOWN: "SYNC UNKNOWN",
}
_COLOURS: Final = {
    HealthStatus.HEALTHY: layout.GOOD,
    HealthStatus.SUSPENDED: layout.QUIET,
    HealthStatus.PROGRESSING: layout.RUNNING,
    HealthStatus.MISSING: layout.WARNING,
    HealthStatus.DEGRADED: layout.CRITICAL,
    HealthStatus.UNKNOWN: layout.QUIET,
}


def states(application: Application) -> str:
    """Return in capitals how an Application is: what is wrong, else HEALTHY."""
    words = [_HEALTH[application.health], _SYNC[application.sync]]
    if application.is_syncing:
        words = ["SYNCING", words[0]]
    return " · ".join(word for word in words if word) or "HEALTHY"


def colour_of(application: Application) -> discord.Colour:
    """Return the colour of a card about one Application."""
    if application.is_syncing and application.health is not HealthStatus.DEGRADED:
        return layout.RUNNING
    if application.health is HealthStatus.HEALTHY and application.sync is not SyncStatus.SYNCED:
        return layout.WARNING
    return _COLOURS[application.health]


def headline(application: Application) -> str:
    """Return the first line of a card about one Application."""
    return f"### {states(application)} · {short_name(application.key)}"


def place_facts(application: Application) -> list[str]:
    """Return which Application it is, for the facts line."""
    return [f"project {cut(escape(application.project), _NAME)}", cut(escape(str(application.key)), _KEY)]


def destination_of(application: Application) -> str:
    """Return where an Application goes, in safe markup; nothing where that is not written down."""
    destination = application.destination
    cluster = "" if destination.cluster in _HERE | {""} else f" on {code(destination.cluster, budget=_NAME)}"
    namespace = f"namespace {code(destination.namespace, budget=_NAME)}" if destination.namespace else ""
    return f"{namespace}{cluster}".strip()


def short_name(key: ObjectKey) -> str:
    """Return a name without its namespace, in safe markup, cut so that it may be emboldened."""
    return cut(escape(key.name), _NAME)


def resource_name(key: ResourceKey) -> str:
    """Return a resource in bold."""
    return f"**{cut(escape(key.kind), _NAME)}/{cut(escape(key.name), _NAME)}**"


def revisions_of(revisions: Iterable[str]) -> str:
    """Return revisions as people say them."""
    # Several sources may be of one repository.
    distinct = [revision for revision in dict.fromkeys(revisions) if revision]
    return " ".join(code(short(revision), budget=_NAME) for revision in distinct[:_MOST_REVISIONS])


def subject_of(subject: str) -> str:
    """Return the first line of a commit's message, cut to a line of a phone and a half."""
    return cut(escape(subject), _SUBJECT)


def message_of(message: str) -> str:
    """Return what somebody else says, cut."""
    return cut(escape(message), _MESSAGE)


def subtext(facts: Iterable[str | None]) -> str:
    """Return facts in small print, with points between."""
    return layout.subtext(cut(" · ".join(fact for fact in facts if fact), _FACTS))


def stale(watch: WatchHealth) -> str:
    """Return a warning where what is listed may be old, else nothing."""
    if watch.phase is WatchPhase.SYNCED:
        return ""
    why = message_of(watch.problem).rstrip(".") or "the cluster is still being read"
    if watch.last_contact is None:
        return f"**not read yet**: {why}"
    return f"**may be old**: {why}, last seen {timestamp(watch.last_contact)}"


def more(count: int) -> str:
    """Return words for those that are not named."""
    return f" and {count:,} more" if count > 0 else ""


def s(count: int) -> str:
    """Return the end of a plural, or nothing."""
    return "" if count == 1 else "s"


def opening(url: str | None) -> str:
    """Return the line that opens Argo CD's own page, or nothing."""
    made = link("Open in Argo CD", url) if url else None
    return layout.subtext(made) if made else ""


def text_if(*lines: str) -> Iterator[layout.Item]:
    """Yield one text of these lines, unless none is there."""
    if any(lines):
        yield layout.text(*lines)


def chooser(
    action: str, place: str, keys: Iterable[tuple[ObjectKey, str]], prompt: str
) -> Iterator[layout.Item]:
    """Yield a select that opens one of these, each given with a plain description; none, when none fits."""
    options = {
        str(key): discord.SelectOption(label=key.name or "-", value=str(key), description=about or None)
        for key, about in keys
        if units(str(key)) <= layout.LONGEST_OPTION
    }
    if options:
        yield layout.row(select(action, place, options.values(), prompt))


def key_of(key: ObjectKey) -> str | None:
    """Return the key of buttons about something; None where its name is too long for one."""
    try:
        return pack(key.namespace, key.name)
    except InvalidError:
        return None


def name_in(key: str) -> str:
    """Return what the key of a button names, as `<namespace>/<name>`."""
    return "/".join(unpack(key, 2))


def page_key(key: ObjectKey, page: int) -> str | None:
    """Return the key of a button that turns to a page about an Application; None: it is too long for one."""
    try:
        return pack(key.namespace, key.name, str(page))
    except InvalidError:
        return None


def page_in(key: str) -> tuple[str, int | None]:
    """Return the Application that the key of a button names, and the page if it turns to one."""
    if key.count("/") == 1:
        return name_in(key), None
    namespace, name, page = unpack(key, 3)
    return f"{namespace}/{name}", int(page)
