"""Finds Applications among thousands by what somebody typed: pure, and quick enough for each key stroke."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop
from sys import intern
from typing import NamedTuple

from bot.argocd.model import Application, HealthStatus, SyncStatus
from bot.argocd.views import Wanted
from bot.core.ranking import score, words_of
from bot.kube.model import ObjectKey


def is_troubled(application: Application) -> bool:
    """Tell whether it is not synced or not healthy."""
    return application.sync is not SyncStatus.SYNCED or application.health is not HealthStatus.HEALTHY


def select(applications: Iterable[Application], wanted: Wanted) -> list[Application]:
    """Return those that are asked for, the ones that need somebody first, then by name."""
    words = words_of(wanted.text)
    found = [each for each in applications if _fits(each, wanted, words)]
    found.sort(key=_urgency)
    return found


def _urgency(application: Application) -> tuple[int, int, str, str]:
    worst, both = application.badness
    return -worst, -both, application.key.name, application.key.namespace


def _fits(application: Application, wanted: Wanted, words: Sequence[str]) -> bool:
    if wanted.project and application.project != wanted.project:
        return False
    if wanted.health is not None and application.health is not wanted.health:
        return False
    if wanted.sync is not None and application.sync is not wanted.sync:
        return False
    if not words:
        return True
    searched = _searched(application)
    return all(word in searched for word in words)


def _searched(application: Application) -> str:
    destination = application.destination
    parts = [
        str(application.key),
        application.project,
        destination.namespace,
        destination.cluster,
        *application.images,
        *(f"{name}={value}" for name, value in application.labels),
    ]
    return "\n".join(parts).lower()


class _Entry(NamedTuple):
    name: str
    beside: str
    """What it is found by as well, if less well."""
    key: ObjectKey


class Index:
    """Names made ready for completion. What changes while nobody types costs next to nothing."""

    def __init__(self) -> None:
        """Begin empty."""
        self._entries: dict[ObjectKey, _Entry] = {}
        self._in_order: list[_Entry] | None = []

    def put(self, key: ObjectKey, *, beside: str = "") -> None:
        """Add a name, or say what else it is found by now."""
        lowered = key.name.lower()
        # Thousands are kept: a text that is there already is not kept twice.
        name = key.name if lowered == key.name else lowered
        entry = _Entry(name, intern(f"{key.namespace} {beside}".lower()), key)
        if self._entries.get(key) != entry:
            self._entries[key] = entry
            self._in_order = None

    def remove(self, key: ObjectKey) -> None:
        """Forget a name."""
        if self._entries.pop(key, None) is not None:
            self._in_order = None

    def find_named(self, name: str) -> list[ObjectKey]:
        """Return what has exactly this name, in whichever namespace."""
        lowered = name.lower()
        return [entry.key for entry in self._ordered() if entry.name == lowered and entry.key.name == name]

    def rank(self, typed: str) -> Iterator[ObjectKey]:
        """Yield what fits, the best first by `bot.core.ranking`; among equals the shortest name is first.

        All are looked at once, and put in order only as far as somebody asks.
        """
        words = words_of(typed.replace("/", " "))
        entries = self._ordered()
        if not words:
            yield from (entry.key for entry in entries)
            return
        scored = [
            (fit, len(entry.name), place)
            for place, entry in enumerate(entries)
            if (fit := score(words, entry.key.name, entry.name, entry.beside)) is not None
        ]
        heapify(scored)
        while scored:
            yield entries[heappop(scored)[2]].key

    def _ordered(self) -> list[_Entry]:
        if self._in_order is None:
            self._in_order = sorted(self._entries.values())
        return self._in_order
