"""What an object must look like: checked by whoever was given to the server, and a few rules of its own."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.demo.cluster.failures import Cause, Json
from bot.demo.cluster.kinds import APPLICATION, EVENT, Kind

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an object."""

    path: Path
    message: str
    """As the server writes it: `Required value`, `Invalid value: …`."""
    reason: str = "FieldValueInvalid"
    unknown: bool = False
    """The kind has no such field: it is pruned or refused, as the writer asked."""

    def cause(self) -> Cause:
        """Return it as an answer tells of it."""
        return Cause(dotted(self.path), self.message, self.reason)


class Schemas(Protocol):
    """Knows what objects of a kind look like."""

    def problems(self, kind: Kind, body: Json) -> Sequence[Problem]:
        """Return what is wrong with an object; nothing for a kind that is not known."""
        ...


def dotted(path: Path) -> str:
    """Return a path as the server writes it: `spec.sources[0].repoURL`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def prune(body: Json, paths: Iterable[Path]) -> None:
    """Take fields out of an object."""
    for path in paths:
        parent: Any = body
        for step in path[:-1]:
            parent = parent[step]
        parent.pop(path[-1], None)


_REQUIRED_OF_APPLICATIONS: tuple[tuple[Path, tuple[str, ...]], ...] = (
    ((), ("metadata", "spec")),
    (("spec",), ("destination", "project")),
    (("operation", "info", "*"), ("name", "value")),
    (("operation", "sync", "source"), ("repoURL",)),
    (("operation", "sync", "sources", "*"), ("repoURL",)),
    (("operation", "sync", "resources", "*"), ("kind", "name")),
    (("status", "operationState"), ("operation", "phase", "startedAt")),
    (("status", "operationState", "syncResult"), ("revision",)),
    (("status", "history", "*"), ("deployedAt", "id")),
)


class OwnRules:
    """The rules that matter most, known without any schema at hand."""

    def problems(self, kind: Kind, body: Json) -> Sequence[Problem]:
        """Return what is wrong with an Application or an Event."""
        if kind == APPLICATION:
            return list(_missing(body))
        if kind == EVENT:
            return list(_event_problems(body))
        return ()


def _missing(body: Json) -> Iterator[Problem]:
    for path, names in _REQUIRED_OF_APPLICATIONS:
        for place, found in _at(body, path, ()):
            for name in names:
                if name not in found:
                    yield Problem((*place, name), "Required value", "FieldValueRequired")


def _at(value: Any, path: Path, place: Path) -> Iterator[tuple[Path, Json]]:
    if not path:
        if isinstance(value, dict):
            yield place, value
        return
    step, *rest = path
    if step == "*" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _at(item, tuple(rest), (*place, index))
    elif isinstance(value, dict) and step in value:
        yield from _at(value[step], tuple(rest), (*place, step))


def _event_problems(body: Json) -> Iterator[Problem]:
    about = body.get("involvedObject")
    if not isinstance(about, dict):
        yield Problem(("involvedObject",), "Required value", "FieldValueRequired")
        return
    namespace = body["metadata"].get("namespace")
    if about.get("namespace", namespace if namespace == "default" else "") != namespace:
        told = f'Invalid value: "{about.get("namespace", "")}": does not match event.namespace'
        yield Problem(("involvedObject", "namespace"), told)
    if body.get("eventTime") is None:
        return
    for name in ("reportingComponent", "reportingInstance", "action", "reason"):
        if not body.get(name):
            yield Problem((name,), "Required value", "FieldValueRequired")


class Both:
    """The server's own rules and those that were given."""

    def __init__(self, given: Schemas | None) -> None:
        """Take the others, if any."""
        self._all: list[Schemas] = [OwnRules(), *([given] if given else [])]

    def problems(self, kind: Kind, body: Json) -> Sequence[Problem]:
        """Return what anybody finds wrong, each thing once."""
        found = (problem for schemas in self._all for problem in schemas.problems(kind, body))
        return list({(problem.path, problem.reason): problem for problem in found}.values())
