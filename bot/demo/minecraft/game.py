"""What a Minecraft server is when nobody looks at its protocols: who plays there, and who may."""

import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

VERSION: Final = "1.21.4"
_PROTOCOL: Final = 769
_REGULARS: Final = (
    "alexcraft",
    "BlockBaron",
    "CreeperKeeper",
    "Dinnerbone_",
    "EnderEmma",
    "lavalars",
    "MinerMaja",
    "pixelpia",
    "RedstoneRob",
    "torchbearer9",
)
_SIDE: Final = 64
_UNKNOWN: Final = "Unknown or incomplete command, see below for error"


class Game:
    """A server with its players. It answers once it is ready."""

    def __init__(self, name: str, motd: str, *, most: int, usually: int, chance: Random) -> None:
        """Take its name, what it says of itself, for how many it has room and how many usually play."""
        self.name = name
        self.is_ready = False
        self.players: list[str] = []
        self.whitelist = sorted(_REGULARS, key=str.lower)
        self._motd = motd
        self._most = most
        self._usually = usually
        self._chance = chance
        self._icon = "data:image/png;base64," + b64encode(draw_block(chance)).decode()

    def status(self) -> Mapping[str, Any]:
        """Return what it tells everybody who asks."""
        sample = [{"name": name, "id": str(number)} for number, name in enumerate(self.players[:12])]
        return {
            "version": {"name": VERSION, "protocol": _PROTOCOL},
            "players": {"online": len(self.players), "max": self._most, "sample": sample},
            "description": {"text": self._motd},
            "favicon": self._icon,
        }

    def fill(self) -> None:
        """Have as many play as usual."""
        self.players = self._chance.sample(self.whitelist, min(self._usually, len(self.whitelist)))

    def live(self) -> None:
        """Have somebody come or go; the fewer there are, the likelier somebody comes."""
        absent = [name for name in self.whitelist if name not in self.players]
        comes = self._chance.random() * 2 * self._usually >= len(self.players)
        if comes and absent:
            self.players.append(self._chance.choice(absent))
        elif self.players:
            self.players.remove(self._chance.choice(self.players))

    def stop(self) -> None:
        """Throw everybody out."""
        self.is_ready = False
        self.players = []

    def run(self, command: str) -> str:
        """Do what is typed into the console, and answer in a server's words."""
        match command.split():
            case ["list"]:
                count, names = len(self.players), ", ".join(self.players)
                return f"There are {count} of a max of {self._most} players online: {names}"
            case ["whitelist", *words]:
                return self._change_whitelist(words)
            case ["say", *words]:
                return f"[Rcon] {' '.join(words)}"
            case ["save-all", *_]:
                return "Saved the game"
            case _:
                return _UNKNOWN

    def _change_whitelist(self, words: Sequence[str]) -> str:
        match words:
            case ["list"]:
                names = ", ".join(self.whitelist)
                return f"There are {len(self.whitelist)} whitelisted player(s): {names}"
            case ["add", name] if name in self.whitelist:
                return "Player is already whitelisted"
            case ["add", name]:
                self.whitelist.append(name)
                return f"Added {name} to the whitelist"
            case ["remove", name] if name in self.whitelist:
                self.whitelist.remove(name)
                return f"Removed {name} from the whitelist"
            case ["remove", _]:
                return "Player is not whitelisted"
            case _:
                return _UNKNOWN


def draw_block(chance: Random) -> bytes:
    """Return the picture of a block with grass on it, as a PNG."""
    rows = [_row(height, chance) for height in range(0, _SIDE, 4)]
    raw = b"".join(b"\x00" + row for row in rows for _ in range(4))
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _row(height: int, chance: Random) -> bytes:
    pixels = []
    for _ in range(_SIDE // 4):
        is_grass = height < 16 + chance.choice((0, 4, 8))
        red, green, blue = (95, 159, 53) if is_grass else (134, 96, 67)
        shade = chance.randint(-14, 14)
        pixels.append(bytes((red + shade, green + shade, blue + shade)) * 4)
    return b"".join(pixels)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
