"""Merge patches (RFC 7386) and JSON patches (RFC 6902)."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from bot.demo.cluster.failures import bad_request, failed_test

Document = Any


def merge(target: Document, patch: Document) -> Document:
    """Return the target with a merge patch applied: null deletes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def apply_operations(target: Document, operations: Document) -> Document:
    """Return the target with a JSON patch applied.

    Raises:
        ApiError: 400 if it is no list of operations, 422 if one does not fit or a test fails.
    """
    if not isinstance(operations, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        )
    document = deepcopy(target)
    for operation in operations:
        document = _apply(document, operation)
    return document


def _apply(document: Document, operation: Document) -> Document:
    match operation:
        case {"op": "test", "path": str(path)}:
            if _read(document, _steps(path)) != operation.get("value"):
                raise failed_test()
            return document
        case {"op": "add", "path": str(path)}:
            return _write(document, _steps(path), operation.get("value"), _insert)
        case {"op": "replace", "path": str(path)}:
            _read(document, _steps(path))
            return _write(document, _steps(path), operation.get("value"), _replace)
        case {"op": "remove", "path": str(path)}:
            return _write(document, _steps(path), None, _remove)
        case {"op": "copy" | "move" as op, "path": str(path), "from": str(source)}:
            value = deepcopy(_read(document, _steps(source)))
            if op == "move":
                document = _write(document, _steps(source), None, _remove)
            return _write(document, _steps(path), value, _insert)
        case _:
            raise bad_request("error decoding patch: an operation has no known form")


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _read(document: Document, steps: Sequence[str]) -> Document:
    for step in steps:
        document = document[_place(document, step)]
    return document


Change = Callable[[Any, Any, Any], None]


def _write(document: Document, steps: Sequence[str], value: Document, change: Change) -> Document:
    if not steps:
        return value
    parent = _read(document, steps[:-1])
    change(parent, _place(parent, steps[-1], new=change is _insert), value)
    return document


def _place(parent: Document, step: str, *, new: bool = False) -> Any:
    """Return what indexes the parent; raises 422 when nothing stands there."""
    if isinstance(parent, dict) and (new or step in parent):
        return step
    if isinstance(parent, list):
        index = len(parent) if step == "-" else _number(step)
        if index < len(parent) + new:
            return index
    raise failed_test()


def _number(step: str) -> int:
    if not step.isdecimal():
        raise failed_test()
    return int(step)


def _insert(parent: Any, place: Any, value: Any) -> None:
    if isinstance(parent, list):
        parent.insert(place, value)
    else:
        parent[place] = value


def _replace(parent: Any, place: Any, value: Any) -> None:
    parent[place] = value


def _remove(parent: Any, place: Any, _: Any) -> None:
    del parent[place]
