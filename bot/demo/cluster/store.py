"""The objects of the cluster, a version for each change, and the history that watches are told from.

An object is kept as the bytes that go over the wire: nobody can change it by
accident, thousands of large ones fit, and a list is written without encoding.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from bot.core.clock import Clock
from bot.demo.cluster.failures import Json, expired
from bot.demo.cluster.kinds import Kind

_FIRST_VERSION = 1000
_UNCOUNTED = ("apiVersion", "kind", "metadata")


class Key(NamedTuple):
    """What an object is found by within its kind; the namespace is "" where there is none."""

    namespace: str
    name: str


class ChangeType(StrEnum):
    """What a watch says of a change."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Stored:
    """An object at one version."""

    key: Key
    version: int
    labels: Mapping[str, str]
    body: bytes

    def read(self) -> Json:
        """Return a copy of the object that may be changed."""
        read: Json = json.loads(self.body)
        return read


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the history of a kind."""

    type: ChangeType
    old: Stored | None
    new: Stored
    """The object afterwards; of one that is gone, its last state at the version of its end."""


class Subscription:
    """The changes of one kind from a version on, for one reader."""

    def __init__(self, waiting: Iterator[Change], notify: Callable[[], None]) -> None:
        """Take what has happened already, and what to call when more does."""
        self.waiting = deque(waiting)
        self.ended = False
        """The kind was uninstalled."""
        self._notify = notify

    def tell(self, change: Change) -> None:
        """Add a change."""
        self.waiting.append(change)
        self._notify()

    def end(self) -> None:
        """Say that nothing more will come."""
        self.ended = True
        self._notify()


class Collection:
    """The objects of one kind."""

    def __init__(self, kind: Kind, remembered: int, version: int) -> None:
        """Start empty at a version; the history keeps so many changes."""
        self.kind = kind
        self.objects: dict[Key, Stored] = {}
        self.forgotten = version
        """The version of the last change that the history has no more."""
        self._history: deque[Change] = deque()
        self._remembered = remembered
        self._subscriptions: set[Subscription] = set()

    def listed(self, namespace: str | None) -> list[Stored]:
        """Return the objects of a namespace, or all, in the order of their keys."""
        return [
            stored
            for key, stored in sorted(self.objects.items())
            if namespace is None or key.namespace == namespace
        ]

    def record(self, change: Change) -> None:
        """Take a change into the objects and the history, and tell the readers."""
        if change.type is ChangeType.DELETED:
            del self.objects[change.new.key]
        else:
            self.objects[change.new.key] = change.new
        self._history.append(change)
        while len(self._history) > self._remembered:
            self.forgotten = self._history.popleft().new.version
        for subscription in self._subscriptions:
            subscription.tell(change)

    def forget(self, version: int) -> None:
        """Lose the history up to a version, as a compaction does."""
        self._history.clear()
        self.forgotten = version

    def subscribe(self, since: int, notify: Callable[[], None]) -> Subscription:
        """Return the changes after a version.

        Raises:
            ApiError: 410, the history does not reach back that far.
        """
        if since < self.forgotten:
            raise expired(since, self.forgotten)
        missed = (change for change in tuple(self._history) if change.new.version > since)
        subscription = Subscription(missed, notify)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Tell this reader no more."""
        self._subscriptions.discard(subscription)

    def end(self) -> None:
        """Tell all readers that the kind is gone."""
        for subscription in tuple(self._subscriptions):
            subscription.end()


class Store:
    """All collections, and the one counter of versions."""

    def __init__(self, *, clock: Clock, new_uid: Callable[[], str], remembered: int) -> None:
        """Start empty."""
        self.version = _FIRST_VERSION
        self._clock = clock
        self._new_uid = new_uid
        self._remembered = remembered
        self._collections: dict[Kind, Collection] = {}

    def collection(self, kind: Kind) -> Collection:
        """Return the objects of a kind."""
        if kind not in self._collections:
            self._collections[kind] = Collection(kind, self._remembered, _FIRST_VERSION)
        return self._collections[kind]

    def drop(self, kind: Kind) -> None:
        """Lose a kind with its objects."""
        if dropped := self._collections.pop(kind, None):
            dropped.end()

    def find(self, kind: Kind, key: Key) -> Stored | None:
        """Return an object, or None."""
        return self.collection(kind).objects.get(key)

    def prepare_new(self, kind: Kind, key: Key, body: Json) -> Json:
        """Return an object as it will be stored, with what the server itself writes into its metadata."""
        given: dict[str, Any] = dict(body.get("metadata") or {})
        metadata = {
            **given,
            "name": key.name,
            **({"namespace": key.namespace} if kind.namespaced else {}),
            "uid": self._new_uid(),
            "creationTimestamp": timestamp(self._clock.now()),
            **({"generation": 1} if kind.has_generation else {}),
        }
        for name in ("generateName", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if not given.get(name) or name != "generateName":
                metadata.pop(name, None)
        return {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}

    def add(self, kind: Kind, key: Key, prepared: Json) -> Stored:
        """Store a new object."""
        stored = self._stamp(key, prepared)
        self.collection(kind).record(Change(ChangeType.ADDED, None, stored))
        return stored

    def prepare_changed(self, kind: Kind, old: Json, body: Json) -> Json:
        """Return an object as it will replace an older one; equal to that if nothing changes."""
        before = old["metadata"]
        metadata: Json = {**(body.get("metadata") or {})}
        for name in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(name, None)
            if name in before:
                metadata[name] = before[name]
        metadata["resourceVersion"] = before["resourceVersion"]
        metadata["name"] = before["name"]
        if kind.namespaced:
            metadata["namespace"] = before["namespace"]
        changed = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        if kind.has_generation:
            metadata["generation"] = before.get("generation", 1) + (
                _counted(kind, old) != _counted(kind, changed)
            )
        return changed

    def change(self, kind: Kind, old: Stored, prepared: Json) -> Stored:
        """Store an object anew; one that waited for its finalizers is gone without them."""
        metadata = prepared["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            return self.remove(kind, old, prepared)
        if prepared == old.read():
            return old
        stored = self._stamp(old.key, prepared)
        self.collection(kind).record(Change(ChangeType.MODIFIED, old, stored))
        return stored

    def remove(self, kind: Kind, old: Stored, last: Json) -> Stored:
        """Lose an object; returns its last state."""
        stored = self._stamp(old.key, last)
        self.collection(kind).record(Change(ChangeType.DELETED, old, stored))
        return stored

    def mark_for_deletion(self, kind: Kind, old: Stored) -> Stored:
        """Say that an object is to go once its finalizers have done their work."""
        prepared = old.read()
        if "deletionTimestamp" in prepared["metadata"]:
            return old
        prepared["metadata"] |= {
            "deletionTimestamp": timestamp(self._clock.now()),
            "deletionGracePeriodSeconds": 0,
        }
        if kind.has_generation:
            prepared["metadata"]["generation"] = prepared["metadata"].get("generation", 1) + 1
        stored = self._stamp(old.key, prepared)
        self.collection(kind).record(Change(ChangeType.MODIFIED, old, stored))
        return stored

    def advance(self) -> int:
        """Let a version pass, as a change of another kind would."""
        self.version += 1
        return self.version

    def _stamp(self, key: Key, prepared: Json) -> Stored:
        version = self.advance()
        metadata = {**prepared["metadata"], "resourceVersion": str(version)}
        return Stored(key, version, metadata.get("labels") or {}, encode({**prepared, "metadata": metadata}))


def encode(value: object) -> bytes:
    """Return JSON in one line, as the server writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def timestamp(moment: datetime) -> str:
    """Return a moment as the API writes it: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _counted(kind: Kind, body: Json) -> Json:
    """Return the part of an object whose changes raise its generation."""
    ignored = (*_UNCOUNTED, "status") if kind.has_status else _UNCOUNTED
    return {name: value for name, value in body.items() if name not in ignored}
