"""Values in the key of a button: what a list was asked for survives a restart with its message."""

import re
from typing import Final

from bot.core.errors import InvalidError, NotFoundError

LONGEST_KEY: Final = 80
"""Of which one may keep some back, for what is added to it."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 -]")
_ESCAPED: Final = re.compile(r"(?:_[0-9a-f]{2})+")


def pack(*parts: str, keep_back: int = 0) -> str:
    """Return a key that holds these texts; `unpack` gives them back.

    Raises:
        InvalidError: They do not fit.
    """
    key = "/".join(_UNSAFE.sub(_escape, part).replace(" ", ".") for part in parts)
    if len(key) > LONGEST_KEY - keep_back:
        raise InvalidError("That is too much to ask for at once: use fewer or shorter words.")
    return key


def unpack(key: str, count: int) -> list[str]:
    """Return the texts that a key holds.

    Raises:
        NotFoundError: It was made by a version that packed something else.
    """
    parts = key.split("/")
    if len(parts) != count:
        raise NotFoundError("This button belongs to another version of the bot. Please ask again.")
    return [_ESCAPED.sub(_unescape, part.replace(".", " ")) for part in parts]


def _escape(found: re.Match[str]) -> str:
    return "".join(f"_{byte:02x}" for byte in found[0].encode("utf-8", "replace"))


def _unescape(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("_", "")).decode("utf-8", "replace")
