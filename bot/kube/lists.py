"""Reads a list one object at a time, so that a page is never held as one tree and never read at once."""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

from bot.core.errors import UnavailableError
from bot.kube.answers import NO_SENSE
from bot.kube.model import Json

_DECODER = json.JSONDecoder()
_BETWEEN = re.compile(r"[ \t\r\n,:]*")


class ObjectList:
    """The body of a list; what it says about itself is known once its objects were gone through."""

    def __init__(self, body: bytes) -> None:
        """Take a body as it was received."""
        self._body = body
        self._about: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Json]:
        """Give each object, read at that moment; once, for the body is let go.

        Raises:
            UnavailableError: It is no list.
        """
        try:
            text, self._body = self._body.decode(), b""
            yield from self._objects(text)
        except (ValueError, IndexError) as error:
            raise UnavailableError(NO_SENSE) from error
        if not self.version:
            raise UnavailableError(NO_SENSE)

    @property
    def version(self) -> str:
        """The version from which a watch can go on."""
        return str(self._metadata.get("resourceVersion") or "")

    @property
    def token(self) -> str:
        """What asks for the next page; empty on the last one."""
        return str(self._metadata.get("continue") or "")

    @property
    def _metadata(self) -> dict[str, Any]:
        metadata = self._about.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    def _objects(self, text: str) -> Iterator[Json]:
        at = _expect(text, _skip(text, 0), "{")
        while text[at] != "}":
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)
            if key == "items" and text[at] == "[":
                at = yield from self._items(text, _skip(text, at + 1))
            else:
                self._about[key], at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)

    def _items(self, text: str, at: int) -> Generator[Json, None, int]:
        while text[at] != "]":
            thing, at = _DECODER.raw_decode(text, at)
            if not isinstance(thing, dict):
                raise ValueError("an object was expected")  # noqa: TRY004 (a body that makes no sense is one case)
            yield thing
            at = _skip(text, at)
        return at + 1


def _skip(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, char: str) -> int:
    if text[at] != char:
        raise ValueError("an object was expected")
    return _skip(text, at + 1)
