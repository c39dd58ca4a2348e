"""RCON, as a Minecraft server speaks it."""

import asyncio
import struct
from typing import Final

from bot.demo.minecraft.game import Game
from bot.demo.minecraft.listener import Listener

PASSWORD: Final = "demo"  # noqa: S105 (it opens a made-up server on loopback)

_LOGIN, _COMMAND, _ANSWER = 3, 2, 0
_REFUSED: Final = -1
_LONGEST: Final = 1446 + 10


class ConsolePort(Listener):
    """Does what whoever knows the password types."""

    def __init__(self, game: Game) -> None:
        """Take the game."""
        super().__init__()
        self._game = game

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let one client in, and obey it."""
        knows_password = False
        while True:
            (length,) = struct.unpack("<i", await reader.readexactly(4))
            if not 10 <= length <= _LONGEST:  # noqa: PLR2004 (an empty command)
                return
            data = await reader.readexactly(length)
            number, kind = struct.unpack_from("<ii", data)
            said = data[8:-2].decode(errors="replace")
            if kind == _LOGIN:
                knows_password = said == PASSWORD
                _send(writer, number if knows_password else _REFUSED, _COMMAND, "")
            elif kind == _COMMAND and knows_password:
                _send(writer, number, _ANSWER, self._game.run(said))
            else:
                return
            await writer.drain()


def _send(writer: asyncio.StreamWriter, number: int, kind: int, text: str) -> None:
    body = struct.pack("<ii", number, kind) + text.encode() + b"\x00\x00"
    writer.write(struct.pack("<i", len(body)) + body)
