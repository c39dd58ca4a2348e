"""Read fields out of an object that may have anything in them: nothing here raises.

The API server checks Argo CD's objects against a schema that is loose, and older
or newer versions than those we know leave fields out or put null there.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

_EMPTY: Final[Mapping[str, Any]] = {}
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def mapping(value: object) -> Mapping[str, Any]:
    """Return the object, or an empty one."""
    return value if isinstance(value, dict) else _EMPTY


def items(value: object) -> Sequence[Any]:
    """Return the list, or an empty one."""
    return value if isinstance(value, list) else ()


def objects(value: object) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a list, leaving out whatever else stands there."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else ()


def text(value: object) -> str:
    """Return the text, or an empty one."""
    return value if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list, leaving out whatever else stands there."""
    return tuple([each for each in value if isinstance(each, str)]) if isinstance(value, list) else ()


def pairs(value: object) -> dict[str, str]:
    """Return labels or annotations."""
    return {name: each for name, each in mapping(value).items() if isinstance(each, str)}


def flag(value: object) -> bool:
    """Tell whether it is true, and nothing else."""
    return value is True


def number(value: object) -> int:
    """Return the whole number, also one that is written as a text, or 0."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return 0


def moment(value: object) -> datetime | None:
    """Return the time in UTC, or None."""
    if not isinstance(value, str) or not value:
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
