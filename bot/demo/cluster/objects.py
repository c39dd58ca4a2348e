"""The objects of the cluster within reach of Python: for controllers, the demo's people, and tests."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from bot.core.clock import Clock
from bot.demo.cluster.failures import Json
from bot.demo.cluster.kinds import NAMESPACE, Kind, Kinds, Named
from bot.demo.cluster.patches import merge
from bot.demo.cluster.schemas import Both, Schemas, dotted
from bot.demo.cluster.store import Key, Store, Stored

T = TypeVar("T")


class Objects:
    """What is in the cluster; no rights, no faults, no subresources stand before it."""

    def __init__(
        self,
        *,
        clock: Clock,
        new_uid: Callable[[], str],
        schemas: Schemas | None,
        kinds: Iterable[Kind],
        remembered: int,
    ) -> None:
        """Start empty."""
        self.clock = clock
        self.kinds = Kinds(kinds)
        self._store = Store(clock=clock, new_uid=new_uid, remembered=remembered)
        self._schemas = Both(schemas)
        self._happened = asyncio.Event()

    @property
    def version(self) -> int:
        """The version of the last change."""
        return self._store.version

    def put(self, kind: str | Named, body: Json) -> Json:
        """Store an object, new or in the place of an older one; its namespace is made if need be.

        Raises:
            ValueError: The object breaks the rules of its kind.
        """
        found = self.kinds.get(kind)
        metadata = body["metadata"]
        key = Key(metadata.get("namespace", "default") if found.namespaced else "", metadata["name"])
        if found.namespaced and self._store.find(NAMESPACE, Key("", key.namespace)) is None:
            self.put(NAMESPACE, {"metadata": {"name": key.namespace}, "status": {"phase": "Active"}})
        old = self._store.find(found, key)
        if old is not None:
            return self._change(found, old, body)
        prepared = self._store.prepare_new(found, key, body)
        self._check(found, prepared)
        return self._tell(self._store.add(found, key, prepared))

    def find(self, kind: str | Named, namespace: str | None, name: str) -> Json | None:
        """Return an object, or None."""
        stored = self._store.find(self.kinds.get(kind), Key(namespace or "", name))
        return stored.read() if stored else None

    def get(self, kind: str | Named, namespace: str | None, name: str) -> Json:
        """Return an object.

        Raises:
            KeyError: There is none.
        """
        return self._get(self.kinds.get(kind), namespace, name).read()

    def objects(self, kind: str | Named, namespace: str | None = None) -> list[Json]:
        """Return the objects of a kind, in the order of their names."""
        return [stored.read() for stored in self._store.collection(self.kinds.get(kind)).listed(namespace)]

    def patch(self, kind: str | Named, namespace: str | None, name: str, patch: Json) -> Json:
        """Merge something into an object, whatever version it has; returns the object.

        Raises:
            KeyError: There is none.
            ValueError: It would break the rules of its kind.
        """
        found = self.kinds.get(kind)
        old = self._get(found, namespace, name)
        return self._change(found, old, merge(old.read(), patch))

    def delete(self, kind: str | Named, namespace: str | None, name: str) -> None:
        """Delete an object; with finalizers it only is marked.

        Raises:
            KeyError: There is none.
        """
        found = self.kinds.get(kind)
        old = self._get(found, namespace, name)
        body = old.read()
        if body["metadata"].get("finalizers"):
            self._tell(self._store.mark_for_deletion(found, old))
        else:
            self._tell(self._store.remove(found, old, body))

    def install(self, kind: Kind) -> None:
        """Know one more kind."""
        self.kinds.install(kind)

    def uninstall(self, kind: str | Named) -> None:
        """Lose a kind with its objects; its watches end, and its address is no more."""
        found = self.kinds.get(kind)
        self.kinds.uninstall(found)
        self._store.drop(found)

    def advance(self, versions: int = 1) -> None:
        """Let versions pass, as changes of other kinds would."""
        for _ in range(versions):
            self._store.advance()

    async def wait_until(self, condition: Callable[[], T | None], *, within: float = 10.0) -> T:
        """Return what a condition gives once it is true; it is asked after each request and change.

        Raises:
            TimeoutError: It did not in time, in seconds.
        """
        async with asyncio.timeout(within):
            while not (found := condition()):
                self._happened.clear()
                await self._happened.wait()
        return found

    def _get(self, kind: Kind, namespace: str | None, name: str) -> Stored:
        stored = self._store.find(kind, Key(namespace or "", name))
        if stored is None:
            raise KeyError(f"{kind.resource} {namespace}/{name}")
        return stored

    def _change(self, kind: Kind, old: Stored, body: Json) -> Json:
        prepared = self._store.prepare_changed(kind, old.read(), body)
        self._check(kind, prepared)
        return self._tell(self._store.change(kind, old, prepared))

    def _check(self, kind: Kind, body: Json) -> None:
        if problems := self._schemas.problems(kind, body):
            told = "; ".join(f"{dotted(problem.path)}: {problem.message}" for problem in problems)
            raise ValueError(f"{kind.kind} {body['metadata']['name']}: {told}")

    def _tell(self, stored: Stored) -> Json:
        self._happened.set()
        return stored.read()
