"""What a watch tells: the state there is, if asked for, then every change as it happens."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from enum import Enum

from bot.demo.cluster.failures import ApiError, Cause, Json, invalid_options
from bot.demo.cluster.kinds import Kind
from bot.demo.cluster.listing import Predicate, Selection
from bot.demo.cluster.representations import Form, metadata_only, whole
from bot.demo.cluster.requests import flag, number
from bot.demo.cluster.store import Change, ChangeType, Store, Stored, Subscription, encode

_NOT_OLDER_THAN = "NotOlderThan"
_END_OF_INITIAL_EVENTS = "k8s.io/initial-events-end"


class StreamingLists(Enum):
    """What a server makes of `sendInitialEvents`."""

    SUPPORTED = "supported"
    REFUSED = "refused"
    """The feature is switched off: 422."""
    UNKNOWN = "unknown"
    """Before Kubernetes 1.27: ignored, so that the end of the state is never told."""


class Watch:
    """One watch, from the options of its request to its end."""

    def __init__(
        self,
        store: Store,
        kind: Kind,
        selection: Selection,
        query: Mapping[str, str],
        *,
        partial: bool,
        streaming_lists: StreamingLists,
        bookmark_seconds: float,
    ) -> None:
        """Check the request.

        Raises:
            ApiError: 400 or 422.
        """
        check_watch_options(query, streaming_lists)
        self._store = store
        self._collection = store.collection(kind)
        self._kind = kind
        self._predicate: Predicate = selection.predicate()
        self._form: Form = metadata_only if partial else whole
        self._partial = partial
        self._bookmarks = flag(query, "allowWatchBookmarks")
        self._bookmark_seconds = bookmark_seconds
        self._since = number(query, "resourceVersion") or 0
        self._tells_end = flag(query, "sendInitialEvents") and streaming_lists is StreamingLists.SUPPORTED
        self._initial = self._tells_end or (not self._since and query.get("sendInitialEvents") != "false")
        self._news = asyncio.Event()
        self._ended = False
        self._last_words = b""

    def end(self, last_words: bytes = b"") -> None:
        """Have the watch end after one more line."""
        self._ended, self._last_words = True, last_words
        self._news.set()

    async def lines(self) -> AsyncIterator[bytes]:
        """Give line after line until the kind is gone or the reader has enough."""
        since = self._store.version if self._initial or not self._since else self._since
        initial = self._collection.listed(None) if self._initial else []
        try:
            subscription = self._collection.subscribe(since, self._news.set)
        except ApiError as error:
            # The headers are out already on the real one too: 200, and the error is a line.
            yield error.event()
            return
        try:
            for stored in initial:
                if self._predicate(stored):
                    yield _line(ChangeType.ADDED, self._form(stored))
            if self._tells_end and self._bookmarks:
                yield self._bookmark(since, {_END_OF_INITIAL_EVENTS: "true"})
            async for line in self._changes(subscription):
                yield line
        finally:
            self._collection.unsubscribe(subscription)

    async def _changes(self, subscription: Subscription) -> AsyncIterator[bytes]:
        while True:
            while subscription.waiting:
                if line := self._tell(subscription.waiting.popleft()):
                    yield line
            if subscription.ended or self._ended:
                if self._last_words:
                    yield self._last_words
                return
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._bookmark_seconds):
                    await self._news.wait()
                    continue
            if self._bookmarks:
                yield self._bookmark(self._store.version)

    def _tell(self, change: Change) -> bytes | None:
        """Return the line of a change: what enters the selection is added, what leaves it is deleted."""
        was = self._predicate(change.old)
        now = change.type is not ChangeType.DELETED and self._predicate(change.new)
        if not was and not now:
            return None
        if was and now:
            return _line(ChangeType.MODIFIED, self._form(change.new))
        if now:
            return _line(ChangeType.ADDED, self._form(change.new))
        return _line(ChangeType.DELETED, self._form(self._left(change)))

    def _left(self, change: Change) -> Stored:
        """Return the object as it last was in the selection, at the version by which it left."""
        if change.type is ChangeType.DELETED or change.old is None:
            return change.new
        last = change.old.read()
        last["metadata"]["resourceVersion"] = str(change.new.version)
        return Stored(change.old.key, change.new.version, change.old.labels, encode(last))

    def _bookmark(self, version: int, annotations: Mapping[str, str] | None = None) -> bytes:
        metadata: Json = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = dict(annotations)
        kind, api_version = self._kind.kind, self._kind.api_version
        if self._partial:
            kind, api_version = "PartialObjectMetadata", "meta.k8s.io/v1"
        return _line("BOOKMARK", encode({"kind": kind, "apiVersion": api_version, "metadata": metadata}))


def _line(told: str, body: bytes) -> bytes:
    return b"".join((b'{"type":"', told.encode(), b'","object":', body, b"}\n"))


def check_watch_options(query: Mapping[str, str], streaming_lists: StreamingLists) -> None:
    """Refuse what contradicts itself, and a streaming list where there is no such feature.

    Raises:
        ApiError: 422.
    """
    if streaming_lists is StreamingLists.UNKNOWN:
        return
    match = query.get("resourceVersionMatch", "")
    initial = query.get("sendInitialEvents", "")
    causes = []
    if initial and match != _NOT_OLDER_THAN:
        why = f"sendInitialEvents requires setting resourceVersionMatch to {_NOT_OLDER_THAN}"
        causes.append(_forbidden("resourceVersionMatch", why))
    if initial and streaming_lists is StreamingLists.REFUSED:
        why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        causes.append(_forbidden("sendInitialEvents", why))
    if match and not initial:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(_forbidden("resourceVersionMatch", why))
    if causes:
        raise invalid_options(*causes)


def _forbidden(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")
