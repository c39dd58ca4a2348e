"""The status protocol of Minecraft's Java edition, as a server speaks it: https://minecraft.wiki/w/Java_Edition_protocol."""

import asyncio
import json
from contextlib import suppress
from typing import Final

from bot.demo.minecraft.game import Game
from bot.demo.minecraft.listener import Listener

_HELD: Final = 30.0
"""Seconds for which a connection stays that nobody speaks on."""
_LONGEST: Final = 2048
_STATUS: Final = 1
_SENT_AWAY: Final = {"text": "This server is part of a demo. There is no world behind it."}


class StatusPort(Listener):
    """Tells whoever asks how a game is; whoever would join is sent away with a word."""

    def __init__(self, game: Game) -> None:
        """Take the game."""
        super().__init__()
        self._game = game

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client."""
        if not self._game.is_ready:
            # A server that loads its world takes connections and says nothing.
            await reader.read()
            return
        with suppress(ValueError):
            async with asyncio.timeout(_HELD):
                is_status = (await _read_packet(reader)).endswith(bytes((_STATUS,)))
                while packet := await _read_packet(reader):
                    if not is_status:
                        writer.write(_packet(0, _text(json.dumps(_SENT_AWAY))))
                        break
                    # A ping comes back as it is.
                    is_ping = packet[0] == 1
                    answer = packet[1:] if is_ping else _text(json.dumps(self._game.status()))
                    writer.write(_packet(packet[0], answer))
                    if is_ping:
                        break
                await writer.drain()


async def _read_packet(reader: asyncio.StreamReader) -> bytes:
    length, shift = 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
        if shift > 14:  # noqa: PLR2004 (no packet that we take is longer)
            raise ValueError("the packet is too long")
    if length > _LONGEST:
        raise ValueError("the packet is too long")
    return await reader.readexactly(length)


def _packet(kind: int, body: bytes) -> bytes:
    return _varint(len(body) + 1) + bytes((kind,)) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:  # noqa: PLR2004 (seven bits of each byte count)
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
