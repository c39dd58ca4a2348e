"""Who owns which field: kept in `managedFields` as the server keeps it, and asked by server-side apply."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.demo.cluster.failures import Json

Path = tuple[str, ...]
Fields = dict[str, Any]

_UNOWNED = frozenset({"apiVersion", "kind"})
_OWNED_METADATA = frozenset({"labels", "annotations", "finalizers", "ownerReferences"})


def leaves(value: Json) -> dict[Path, Any]:
    """Return the fields of an object that have an owner; a list is one field."""
    return dict(_leaves(value, ()))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if not isinstance(value, dict) or (not value and path):
        yield path, value
        return
    for name, inner in value.items():
        if not path and name in _UNOWNED:
            continue
        if path == ("metadata",) and name not in _OWNED_METADATA:
            continue
        yield from _leaves(inner, (*path, name))


def changed_fields(old: Json, new: Json) -> set[Path]:
    """Return the fields that a write set; those that it removed have no owner any more."""
    before, missing = leaves(old), object()
    return {path for path, value in leaves(new).items() if before.get(path, missing) != value}


def owned(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], set[Path]]:
    """Return the fields of each manager and way of writing."""
    return {
        (entry["manager"], entry["operation"]): set(_read(entry.get("fieldsV1") or {}, ()))
        for entry in entries
    }


def _read(fields: Fields, path: Path) -> Iterator[Path]:
    if not fields:
        if path:
            yield path
        return
    for name, inner in fields.items():
        yield from _read(inner, (*path, name.removeprefix("f:")))


def written(api_version: str, at: str, owners: Mapping[tuple[str, str], set[Path]]) -> list[Json]:
    """Return `managedFields`."""
    return [
        {
            "manager": manager,
            "operation": operation,
            "apiVersion": api_version,
            "time": at,
            "fieldsType": "FieldsV1",
            "fieldsV1": _write(paths),
        }
        for (manager, operation), paths in owners.items()
        if paths
    ]


def _write(paths: Iterable[Path]) -> Fields:
    fields: Fields = {}
    for path in sorted(paths):
        place = fields
        for step in path:
            place = place.setdefault(f"f:{step}", {})
    return fields


def take_over(
    entries: Iterable[Mapping[str, Any]], owner: tuple[str, str], paths: set[Path], present: set[Path]
) -> dict[tuple[str, str], set[Path]]:
    """Return who owns what after somebody wrote some fields; `present` are the fields that the object has."""
    owners = {
        other: (fields - paths) & present if other != owner else fields & present
        for other, fields in owned(entries).items()
    }
    owners[owner] = owners.get(owner, set()) | paths
    return owners


def contested(
    entries: Iterable[Mapping[str, Any]], manager: str, applied: Mapping[Path, Any], live: Mapping[Path, Any]
) -> list[tuple[str, str]]:
    """Return the fields that an apply would take from others: pairs of owner and path."""
    missing = object()
    return [
        (other, "." + ".".join(path))
        for (other, operation), fields in owned(entries).items()
        for path in sorted(fields & applied.keys())
        if (other, operation) != (manager, "Apply") and live.get(path, missing) != applied[path]
    ]
