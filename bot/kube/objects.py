"""What is kept of a resource's objects: a trimmed value for each, and who is told when one differs."""

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from bot.core.errors import MachineError
from bot.kube.model import Json, ObjectKey, Resource, key_of
from bot.telemetry.metrics import KUBE_WATCH_FAILURES, KUBE_WATCH_OBJECTS

log = structlog.get_logger(__name__)

T = TypeVar("T")

OnChange = Callable[[ObjectKey, T | None, T | None], None]
"""Told of a difference once it is kept: the key, the old value, the new one; None stands for no object."""

_ODD = (LookupError, TypeError, ValueError, AttributeError, MachineError)
"""What reading an object of an unexpected shape raises."""


class Objects(Generic[T]):
    """The objects of one resource."""

    def __init__(self, resource: Resource, trim: Callable[[Json], T | None]) -> None:
        """Take what turns an object into what is kept of it: a frozen value, or None for no interest."""
        self.kept: dict[ObjectKey, T] = {}
        self.callbacks: list[OnChange[T]] = []
        self._resource = str(resource)
        self._trim = trim
        self._odd: set[ObjectKey] = set()
        self._count = KUBE_WATCH_OBJECTS.labels(self._resource)
        self._not_understood = KUBE_WATCH_FAILURES.labels(self._resource, "not_understood")

    def keys_in(self, namespace: str | None) -> set[ObjectKey]:
        """Return the keys of a namespace, or of all, as they are now."""
        return {key for key in self.kept if namespace is None or key.namespace == namespace}

    def keep(self, thing: Json) -> ObjectKey | None:
        """Keep an object as it is now and return its key, if it has one.

        What is kept of an object that is not understood stays, for not to
        understand it does not mean that it is gone.
        """
        key = None
        try:
            key = key_of(thing)
            value = self._trim(thing)
        except _ODD as error:
            self._tell_of_odd(key, error)
            return key
        self._odd.discard(key)
        if value is None:
            self.drop(key)
            return key
        old = self.kept.get(key)
        if old is None or old != value:
            self.kept[key] = value
            self._changed(key, old, value)
        return key

    def drop(self, key: ObjectKey) -> None:
        """Forget an object."""
        self._odd.discard(key)
        old = self.kept.pop(key, None)
        if old is not None:
            self._changed(key, old, None)

    def _changed(self, key: ObjectKey, old: T | None, new: T | None) -> None:
        self._count.set(len(self.kept))
        for callback in self.callbacks:
            callback(key, old, new)

    def _tell_of_odd(self, key: ObjectKey | None, error: Exception) -> None:
        self._not_understood.inc()
        if key is not None and key not in self._odd:
            self._odd.add(key)
            log.warning(
                "object_not_understood", resource=self._resource, key=str(key), error=type(error).__name__
            )
