"""Looks at the settings' models from outside: which keys there are, and what stands under them."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bot.configurable import FileTwin, NeedsRestart, NeedsRestartToAppear, Section
from bot.settings.problems import KeyPath


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section, as the file knows it."""

    name: str
    """The name in the file."""
    attribute: str
    """The name in Python."""
    field: FieldInfo
    twin: FileTwin | None
    needs_restart: bool
    needs_restart_to_appear: bool
    """Only whether the section is there at all; its keys speak for themselves."""

    @property
    def twin_name(self) -> str:
        """The name of the key that names a file instead."""
        return f"{self.name}_file"


def keys_of(section: type[Section]) -> dict[str, Key]:
    """Return the keys of a section by their names in the file, in order."""
    return {key.name: key for key in _keys(section)}


def names_in(section: type[Section]) -> list[str]:
    """Return every name that is valid in the section, the `…_file` twins too."""
    return [
        name for key in _keys(section) for name in ((key.name, key.twin_name) if key.twin else (key.name,))
    ]


def annotation_at(root: type[Section], path: KeyPath) -> Any:
    """Return the type of what stands at the path; None where nothing can stand."""
    annotation: Any = root
    for step in path:
        annotation = _below(bare(annotation), step)
        if annotation is None:
            return None
    return bare(annotation)


def section_at(root: type[Section], path: KeyPath) -> type[Section] | None:
    """Return the section that stands at the path, if it is one."""
    return as_section(annotation_at(root, path))


def as_section(annotation: Any) -> type[Section] | None:
    """Return the annotation if it is a section."""
    is_section = isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation if is_section else None


def bare(annotation: Any) -> Any:
    """Return the type without what only decorates it, and without `| None`."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in {types.UnionType, typing.Union}:
            annotation = next(arg for arg in typing.get_args(annotation) if arg is not type(None))
        else:
            return annotation


def is_secret(annotation: Any) -> bool:
    """Tell whether the value is one that nobody may see."""
    return annotation is SecretStr


def _keys(section: type[Section]) -> Iterator[Key]:
    for attribute, field in section.model_fields.items():
        yield Key(
            name=field.alias or attribute,
            attribute=attribute,
            field=field,
            twin=next((mark for mark in field.metadata if isinstance(mark, FileTwin)), None),
            needs_restart=any(isinstance(mark, NeedsRestart) for mark in field.metadata),
            needs_restart_to_appear=any(isinstance(mark, NeedsRestartToAppear) for mark in field.metadata),
        )


def _below(annotation: Any, step: str | int) -> Any:
    section = as_section(annotation)
    if section is not None:
        key = keys_of(section).get(str(step))
        return None if key is None else key.field.annotation
    arguments = typing.get_args(annotation)
    match typing.get_origin(annotation):
        case builtin if builtin is dict:
            return arguments[1]
        case builtin if builtin is tuple:
            return arguments[0]
        case _:
            return None
