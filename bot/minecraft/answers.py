"""Reading what servers answer: leniently, for one odd field says nothing of the others, and with bounds."""

import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from bot.minecraft.model import Answer
from bot.minecraft.motd import read_motd, strip_codes

MOST_NAMES: Final = 200
_LONGEST_NAME: Final = 40
_LONGEST_VERSION: Final = 60
_MOST_PLAYERS: Final = 1_000_000_000
_LARGEST_ICON: Final = 64 * 1024
_WIDEST_ICON: Final = 256
_ICON: Final = "data:image/png;base64,"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"IEND\xaeB`\x82"
_PNG_SMALLEST: Final = 33
_ANONYMOUS: Final = "Anonymous Player"
"""What a server says in place of a name that its player hides."""


def read_java(raw: Any, latency: timedelta) -> Answer | None:
    """Return what the JSON of a Java server says; None: it is no status."""
    if not isinstance(raw, Mapping):
        return None
    players, version = _mapping(raw, "players"), _mapping(raw, "version")
    if not players and not version:
        return None
    hides = raw.get("players") is None
    is_modded = bool(raw.get("forgeData") or raw.get("modinfo") or raw.get("isModded"))
    return Answer(
        online=_count(players.get("online")),
        most=_count(players.get("max")),
        version=_text(version.get("name"), _LONGEST_VERSION),
        protocol=_protocol(version.get("protocol")),
        names=tuple(_names(players.get("sample"))),
        motd=read_motd(raw.get("description", "")),
        icon=read_icon(raw.get("favicon")),
        latency=latency,
        brand="modded" if is_modded else "",
        hides_players=hides,
    )


def read_other(
    *,
    online: int,
    most: int,
    version: str,
    protocol: int,
    motd: Any,
    latency: timedelta,
    brand: str = "",
    bedrock: bool = False,
) -> Answer:
    """Return what a Bedrock server, or a Java server from before 1.7, says."""
    return Answer(
        online=_count(online),
        most=_count(most),
        version=_text(version, _LONGEST_VERSION),
        protocol=_protocol(protocol),
        motd=read_motd(motd, bedrock=bedrock),
        latency=latency,
        brand=_text(brand, _LONGEST_VERSION),
    )


def read_icon(raw: Any) -> bytes | None:
    """Return a picture if it is a PNG of a sane size; the rest of the world is shown none."""
    if not isinstance(raw, str) or not raw.startswith(_ICON) or len(raw) > 2 * _LARGEST_ICON:
        return None
    try:
        # Servers break it into lines, as MIME does.
        data = b64decode(raw[len(_ICON) :].replace("\n", "").replace("\r", ""), validate=True)
    except (Base64Error, ValueError):
        return None
    if len(data) > _LARGEST_ICON or len(data) < _PNG_SMALLEST or not data.startswith(_PNG):
        return None
    if data[12:16] != b"IHDR" or not data.endswith(_PNG_END):
        return None
    width, height = struct.unpack(">II", data[16:24])
    return data if 0 < width <= _WIDEST_ICON and 0 < height <= _WIDEST_ICON else None


def _mapping(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name)
    return found if isinstance(found, Mapping) else {}


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), _MOST_PLAYERS)


def _protocol(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str):
        return ""
    # JSON can hold halves of characters, which nothing that writes UTF-8 takes, such as our own metrics.
    whole = value[: 4 * longest].encode(errors="ignore").decode()
    return strip_codes(whole)[:longest].strip()


def _names(sample: Any) -> Iterator[str]:
    for each in sample[:MOST_NAMES] if isinstance(sample, list) else ():
        name = _text(each.get("name"), _LONGEST_NAME) if isinstance(each, Mapping) else ""
        if name and name != _ANONYMOUS:
            yield name
