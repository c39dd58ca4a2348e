"""Lists one resource once and watches it from then on, a connection a step.

The protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
What comes is read line by line and trimmed before it is kept, so that thousands
of objects never stand in memory as they came.
"""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog

from bot.core.errors import InvalidError, MachineError, UnavailableError
from bot.core.loops import AT_ONCE
from bot.kube.answers import NO_SENSE, not_installed, watch_error
from bot.kube.model import (
    BusyError,
    ExpiredError,
    ForbiddenError,
    Json,
    NotInstalledError,
    ObjectKey,
    Resource,
    WatchPhase,
)
from bot.kube.objects import Objects
from bot.kube.transport import Breather, Cluster, Lines
from bot.telemetry.metrics import KUBE_WATCH_FAILURES, KUBE_WATCH_LISTS

log = structlog.get_logger(__name__)

T = TypeVar("T")

_END_OF_LIST = "k8s.io/initial-events-end"
_STREAMING_LIST = (
    ("sendInitialEvents", "true"),
    ("resourceVersionMatch", "NotOlderThan"),
    ("allowWatchBookmarks", "true"),
)
_LASTED = 5.0
"""Seconds: a connection that lasted as long was a good one, whatever it brought."""
_GIVES_UP_AFTER = 2
"""Answers in a row that the kind is not installed until its objects are taken for gone."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a watch waits for what."""

    silence_in_list: timedelta = timedelta(seconds=30)
    """A streaming list that pauses for longer is none: the server does not know how."""
    list_within: timedelta = timedelta(minutes=3)
    """The same, where such a server is never quiet."""
    silence: timedelta = timedelta(seconds=150)
    """A watch that says nothing for longer is dead: a bookmark comes about once a minute."""
    settled: timedelta = timedelta(seconds=1)
    """A watch that is open for as long works again, though nothing has changed meanwhile."""
    shortest_watch: timedelta = timedelta(minutes=5)
    longest_watch: timedelta = timedelta(minutes=10)
    """How long the server is asked to keep a watch open: by chance between the two."""
    first_retry: timedelta = timedelta(milliseconds=500)
    longest_retry: timedelta = timedelta(seconds=30)
    """How soon it is tried again after failures; the wait doubles from the first to the second."""
    not_installed: timedelta = timedelta(minutes=1)
    """How often a kind is looked for that the cluster does not know."""


class Watch(Generic[T]):
    """One namespace of a resource, or the whole cluster."""

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespace: str | None,
        objects: Objects[T],
        *,
        labels: str,
        patience: Patience,
        on_phase: Callable[[], None],
    ) -> None:
        """Take what to watch, and where to keep it; `on_phase` is told when the phase changes."""
        self.name = f"watch {resource}" + (f" in {namespace}" if namespace else "")
        self.phase = WatchPhase.STARTING
        self.problem = ""
        """A sentence; empty when all is well."""
        self.last_contact: datetime | None = None
        self._cluster = cluster
        self._resource = resource
        self._namespace = namespace
        self._objects = objects
        self._labels = labels
        self._patience = patience
        self._on_phase = on_phase
        self._version: str | None = None
        """From where to go on; None: everything must be listed."""
        self._unseen: set[ObjectKey] | None = None
        """While a list comes: what is kept and was not in it so far."""
        self._streams_lists = True
        """Whether the server knows streaming lists, as far as we know."""
        self._failures = 0
        """Connections in a row that brought nothing new."""
        self._absences = 0
        """Answers in a row that the kind is not installed."""

    async def step(self) -> timedelta:
        """Keep up one connection until it ends, and say when to begin the next."""
        try:
            if await self._connect_once():
                return AT_ONCE
            failure: MachineError = UnavailableError("Kubernetes ends the watch without a word.")
        except MachineError as error:
            failure = error
        return self._after(failure)

    async def _connect_once(self) -> bool:
        """Return whether the next connection may follow at once."""
        if self._version is not None:
            return await self._watch([("resourceVersion", self._version), ("allowWatchBookmarks", "true")])
        self._unseen = self._objects.keys_in(self._namespace)
        if self._streams_lists:
            return await self._list_by_stream()
        return await self._list_by_pages()

    async def _list_by_stream(self) -> bool:
        try:
            return await self._watch(_STREAMING_LIST)
        except InvalidError:
            self._streams_lists = False
        return True

    async def _list_by_pages(self) -> bool:
        version = await self._cluster.list_each(
            self._resource, self._namespace, self._keep, labels=self._labels
        )
        self._end_list(version, "pages")
        return True

    async def _watch(self, query: Sequence[tuple[str, str]]) -> bool:
        loop, began_as_list = asyncio.get_running_loop(), self._unseen is not None
        began = loop.time()
        asked = [*query, ("timeoutSeconds", str(self._watch_seconds()))]
        if self._labels:
            asked.append(("labelSelector", self._labels))
        async with self._cluster.watch_stream(self._resource, self._namespace, asked) as lines:
            self._contact()
            settling = loop.call_later(self._patience.settled.total_seconds(), self._settle)
            try:
                heard = await self._read(lines, began)
            finally:
                settling.cancel()
                if lasted := loop.time() - began >= _LASTED:
                    self._failures = 0
        if self._unseen is not None and self._streams_lists:
            raise UnavailableError("Kubernetes ended the list before it was complete.")
        return heard or began_as_list or lasted

    async def _read(self, lines: Lines, began: float) -> bool:
        """Take lines until the end; return whether there were any."""
        breather, heard = Breather(), False
        while True:
            try:
                line = await lines.next(within=self._quiet_for(began))
            except TimeoutError as error:
                if self._unseen is None:
                    raise UnavailableError("Kubernetes has become silent.") from error
                self._streams_lists = False
                return True
            if not line:
                return heard
            self._take(line)
            heard = True
            await breather.breathe()

    def _quiet_for(self, began: float) -> float:
        if self._unseen is None:
            return self._patience.silence.total_seconds()
        left = began + self._patience.list_within.total_seconds() - asyncio.get_running_loop().time()
        return max(0.0, min(self._patience.silence_in_list.total_seconds(), left))

    def _take(self, line: bytes) -> None:
        kind, thing, metadata = _read_event(line)
        if kind == "ERROR":
            # Whatever it is, it is not known to go away where we are.
            self._version = None
            raise watch_error(thing)
        self._contact()
        match kind:
            case "ADDED" | "MODIFIED":
                self._keep(thing)
            case "DELETED":
                self._drop(metadata)
            case "BOOKMARK" if _ends_list(metadata) and self._unseen is not None:
                self._end_list(metadata.get("resourceVersion"), "stream")
                return
        if self._unseen is None:
            self._version = metadata.get("resourceVersion") or self._version
            self._failures = 0
            self._settle()

    def _keep(self, thing: Json) -> None:
        key = self._objects.keep(thing)
        if self._unseen is not None and key is not None:
            self._unseen.discard(key)

    def _drop(self, metadata: Json) -> None:
        key = ObjectKey(metadata.get("namespace", ""), metadata.get("name", ""))
        self._objects.drop(key)
        if self._unseen is not None:
            self._unseen.discard(key)

    def _end_list(self, version: str | None, way: str) -> None:
        """Take the list for complete: what was not in it is gone."""
        gone, self._unseen = self._unseen or set(), None
        for key in gone:
            self._objects.drop(key)
        self._version = version
        KUBE_WATCH_LISTS.labels(str(self._resource), way).inc()
        self._contact()
        self._settle()

    def _contact(self) -> None:
        self.last_contact = self._cluster.clock.now()
        self._absences = 0

    def _settle(self) -> None:
        """Be well, if everything is known."""
        if self._version is not None and self._unseen is None:
            self._set_phase(WatchPhase.SYNCED, "")

    def _after(self, failure: MachineError) -> timedelta:
        """Say when to try again, and from where."""
        match failure:
            case NotInstalledError():
                return self._absent()
            case ExpiredError():
                self._version = None
                self._count("expired")
                if self._failures == 0:
                    self._failures = 1
                    return AT_ONCE
            case ForbiddenError():
                self._count("forbidden")
                self._set_phase(WatchPhase.FORBIDDEN, str(failure))
                return self._backoff(failure)
            case InvalidError():
                self._version = None
                self._count("unreachable")
            case _:
                self._count("unreachable")
        self._set_phase(WatchPhase.UNREACHABLE, str(failure))
        return self._backoff(failure)

    def _absent(self) -> timedelta:
        self._version = None
        self._absences += 1
        self.last_contact = self._cluster.clock.now()
        self._count("not_installed")
        if self._absences >= _GIVES_UP_AFTER:
            for key in self._objects.keys_in(self._namespace):
                self._objects.drop(key)
        self._set_phase(WatchPhase.NOT_INSTALLED, str(not_installed(self._resource)))
        return self._patience.not_installed

    def _backoff(self, failure: MachineError) -> timedelta:
        self._failures += 1
        first, longest = self._patience.first_retry, self._patience.longest_retry
        ceiling: timedelta = min(first * 2 ** min(self._failures - 1, 16), longest)
        wait = ceiling * random.uniform(0.5, 1)  # noqa: S311 (jitter is no secret)
        if isinstance(failure, BusyError) and failure.retry_after is not None:
            return max(wait, failure.retry_after)
        return wait

    def _count(self, reason: str) -> None:
        KUBE_WATCH_FAILURES.labels(str(self._resource), reason).inc()

    def _set_phase(self, phase: WatchPhase, problem: str) -> None:
        was, self.phase, self.problem = self.phase, phase, problem
        if was is phase:
            return
        if phase is not WatchPhase.SYNCED:
            log.warning("watch_lost", watch=self.name, phase=phase.value, why=problem)
        elif was is not WatchPhase.STARTING:
            log.info("watch_back", watch=self.name, objects=len(self._objects.kept))
        self._on_phase()

    def _watch_seconds(self) -> int:
        shortest, longest = self._patience.shortest_watch, self._patience.longest_watch
        return round(random.uniform(shortest.total_seconds(), longest.total_seconds()))  # noqa: S311 (spread)


def _read_event(line: bytes) -> tuple[str, Json, Json]:
    """Return what kind of event a line is, its object, and the metadata of that."""
    try:
        event = json.loads(line)
    except ValueError as error:
        raise UnavailableError(NO_SENSE) from error
    kind, thing = (event.get("type"), event.get("object")) if isinstance(event, dict) else (None, None)
    metadata = (thing.get("metadata") or {}) if isinstance(thing, dict) else None
    if not (isinstance(kind, str) and isinstance(thing, dict) and isinstance(metadata, dict)):
        raise UnavailableError(NO_SENSE)
    return kind, thing, metadata


def _ends_list(metadata: Json) -> bool:
    annotations = metadata.get("annotations")
    return isinstance(annotations, dict) and annotations.get(_END_OF_LIST) == "true"
