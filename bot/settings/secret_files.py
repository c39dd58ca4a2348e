"""Reads what the `…_file` twins of secrets name, and everything else that a configuration is made of."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.settings.document import Document, Place
from bot.settings.problems import KeyPath
from bot.settings.shape import Key, annotation_at, as_section, keys_of
from bot.settings.tree import Settings


class Files:
    """Reads files and remembers which, and what they held, so that a change can be noticed."""

    def __init__(self) -> None:
        self._digests: dict[Path, bytes] = {}

    def read(self, path: Path) -> bytes:
        """Return the content; raises `OSError`."""
        self._digests[path] = b""
        content = path.read_bytes()
        self._digests[path] = hashlib.sha256(content).digest()
        return content

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that was read, or could not be."""
        return tuple(self._digests)

    @property
    def fingerprint(self) -> str:
        """A text that is another one when any of the files has changed."""
        whole = hashlib.sha256()
        for path, digest in sorted(self._digests.items()):
            whole.update(str(path).encode() + b"\0" + digest + b"\0")
        return whole.hexdigest()


def fingerprint_of(paths: tuple[Path, ...]) -> str:
    """Return the fingerprint of the files as they are now; one that is missing counts as empty."""
    files = Files()
    for path in paths:
        try:
            files.read(path)
        except OSError:
            continue
    return files.fingerprint


def read_secret_files(document: Document, files: Files, folder: Path) -> set[KeyPath]:
    """Put the content of the twins' files where their keys are, in place.

    Relative names are looked up in `folder`. Returns the keys whose value stays
    unknown because of a problem that has been reported.
    """
    unknown: set[KeyPath] = set()
    for path, holder, key in list(_twins(document.data, ())):
        twin_path = (*path[:-1], key.twin_name)
        try:
            holder[key.name] = _content_of_twin(holder, key, files, folder)
        except _UnusableTwinError as error:
            document.problems.append(document.problem(twin_path, str(error)))
            unknown.add(path)
        else:
            place = document.place(twin_path)
            document.places[path] = Place(place.file, place.line, twin_path)
    return unknown


class _UnusableTwinError(Exception):
    """The twin gives no value; the text says what was expected."""


def _twins(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, dict[str, Any], Key]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _twins(item, (*path, index))
    if not isinstance(value, dict):
        return
    section = as_section(annotation_at(Settings, path))
    for key in keys_of(section).values() if section else ():
        if key.twin is not None and key.twin_name in value:
            yield (*path, key.name), value, key
    for name, below in value.items():
        yield from _twins(below, (*path, name))


def _content_of_twin(holder: dict[str, Any], key: Key, files: Files, folder: Path) -> str | list[str]:
    name = holder.pop(key.twin_name)
    if key.name in holder:
        raise _UnusableTwinError(f"expected either {key.name} or this, not both")
    if not isinstance(name, str) or not name:
        raise _UnusableTwinError("expected the name of a file")
    try:
        text = files.read(folder / name).decode()
    except OSError as error:
        raise _UnusableTwinError(f"expected a file that can be read: {error.strerror}") from error
    except ValueError as error:
        raise _UnusableTwinError("expected a file that can be read: it is not text in UTF-8") from error
    content = _content(text, lines=key.twin is not None and key.twin.lines)
    if not content:
        raise _UnusableTwinError("expected a file that is not empty")
    return content


def _content(text: str, *, lines: bool) -> str | list[str]:
    if lines:
        return [line.strip() for line in text.splitlines() if line.strip()]
    return text.rstrip("\r\n")
