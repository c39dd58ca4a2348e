"""What is known of a resource at any moment, without asking: kept current by its loops."""

from collections.abc import Callable, ItemsView, KeysView, Sequence, ValuesView
from datetime import timedelta
from typing import Generic, TypeVar

import structlog

from bot.core.loops import Loop
from bot.kube.model import Json, ObjectKey, Resource, WatchHealth, WatchPhase
from bot.kube.objects import Objects, OnChange
from bot.kube.transport import Cluster
from bot.kube.watching import Patience, Watch
from bot.telemetry.metrics import KUBE_WATCH_CONTACT, KUBE_WATCH_SYNCED

log = structlog.get_logger(__name__)

T = TypeVar("T")

_LONGEST_WAIT = timedelta(minutes=5)
"""However long a server asks to be left alone."""
_WORST_FIRST = (
    WatchPhase.FORBIDDEN,
    WatchPhase.UNREACHABLE,
    WatchPhase.NOT_INSTALLED,
    WatchPhase.STARTING,
    WatchPhase.SYNCED,
)


class Watched(Generic[T]):
    """The objects of one resource, in some namespaces or in all of them."""

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        *,
        trim: Callable[[Json], T | None],
        namespaces: Sequence[str] = (),
        labels: str = "",
        patience: Patience | None = None,
    ) -> None:
        """Take what to watch, where no namespaces mean all of them; nothing happens until its loops run.

        `trim` turns an object into what is kept of it: a frozen value that can be
        compared, or None for an object of no interest. Texts that many objects
        share are best interned there.
        """
        self.resource = resource
        self.has_synced = False
        """Whether everything was known at one moment at least."""
        self._objects: Objects[T] = Objects(resource, trim)
        self._on_synced: list[Callable[[], None]] = []
        self._watches = tuple(
            Watch(
                cluster,
                resource,
                namespace,
                self._objects,
                labels=labels,
                patience=patience or Patience(),
                on_phase=self._phase_changed,
            )
            for namespace in (tuple(dict.fromkeys(namespaces)) or (None,))
        )
        self.loops: Sequence[Loop] = tuple(
            Loop(watch.name, watch.step, longest_wait=_LONGEST_WAIT) for watch in self._watches
        )
        """What keeps it current; each step of each is one connection."""
        KUBE_WATCH_CONTACT.labels(str(resource)).set_function(self._stalest_contact)

    def __len__(self) -> int:
        return len(self._objects.kept)

    def find(self, key: ObjectKey) -> T | None:
        """Return what is kept of an object."""
        return self._objects.kept.get(key)

    def keys(self) -> KeysView[ObjectKey]:
        """Return the keys of all objects, as a live view."""
        return self._objects.kept.keys()

    def values(self) -> ValuesView[T]:
        """Return what is kept of all objects, as a live view."""
        return self._objects.kept.values()

    def items(self) -> ItemsView[ObjectKey, T]:
        """Return both, as a live view."""
        return self._objects.kept.items()

    def on_change(self, callback: OnChange[T]) -> None:
        """Have a function called after each difference, those of the first list too; it must be quick."""
        self._objects.callbacks.append(callback)

    def on_synced(self, callback: Callable[[], None]) -> None:
        """Have a function called once everything is known for the first time; now, if it is."""
        if self.has_synced:
            callback()
        else:
            self._on_synced.append(callback)

    @property
    def health(self) -> WatchHealth:
        """How it is: as its worst namespace."""
        worst = min(self._watches, key=lambda watch: _WORST_FIRST.index(watch.phase))
        contacts = [watch.last_contact for watch in self._watches]
        known = [contact for contact in contacts if contact is not None]
        return WatchHealth(
            phase=worst.phase,
            problem=worst.problem,
            last_contact=min(known) if len(known) == len(contacts) else None,
            objects=len(self),
        )

    def _stalest_contact(self) -> float:
        contact = self.health.last_contact
        return contact.timestamp() if contact is not None else 0.0

    def _phase_changed(self) -> None:
        synced = self.health.phase is WatchPhase.SYNCED
        KUBE_WATCH_SYNCED.labels(str(self.resource)).set(synced)
        if not synced or self.has_synced:
            return
        self.has_synced = True
        log.info("watch_synced", resource=str(self.resource), objects=len(self))
        waiting, self._on_synced = self._on_synced, []
        for callback in waiting:
            callback()
