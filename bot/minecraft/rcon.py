"""The console of a server, by RCON: one command at a time, and never an answer that belongs to another.

The client that PyPI offers ignores the numbers of answers: after a long or a late one
every later answer belongs to the wrong command there.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.core.errors import BrokenError, InvalidError, UnavailableError

DEFAULT_PORT: Final = 25575
LONGEST_COMMAND: Final = 1446
"""Bytes; a server closes the connection over more."""

_LOGIN, _COMMAND, _ANSWER = 3, 2, 0
_REFUSED: Final = -1
_FULL: Final = 4096
"""Characters after which a server cuts an answer and goes on in the next packet."""
_LARGEST_PACKET: Final = 4 * _FULL + 14
_MOST_TEXT: Final = 64 * _FULL
_HEAD: Final = struct.Struct("<ii")
_DEADLINE: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class RconTarget:
    """Which console, and how one is let in."""

    host: str
    port: int
    password: str

    def __repr__(self) -> str:
        return f"RconTarget({self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class _Packet:
    number: int
    text: str


class Rcon:
    """A console. The connection stays open: each new one is a line in the server's log."""

    def __init__(self, name: str, target: RconTarget, *, within: timedelta = _DEADLINE) -> None:
        """Take our name of the server and where its console is; nothing is opened yet."""
        self.target = target
        self._name = name
        self._within = within
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._last = 0

    async def run(self, command: str) -> str:
        """Return what the server answers to a command. It may run twice if the connection breaks.

        Raises:
            InvalidError: The command is too long, or more than one.
            UnavailableError: The console does not answer.
            BrokenError: It does not accept the password.
        """
        if len(command.encode()) > LONGEST_COMMAND or not command.isprintable():
            raise InvalidError("That is no command for a console.")
        async with self._lock:
            is_answered = False
            try:
                async with asyncio.timeout(self._within.total_seconds()):
                    answer = await self._run(command)
                is_answered = True
            except (OSError, asyncio.IncompleteReadError) as error:
                raise UnavailableError(f"The console of {self._name} does not answer.") from error
            finally:
                if not is_answered:
                    # Whoever comes next must not be given the answer to this one.
                    self.close()
        return answer

    def close(self) -> None:
        """Close the connection; the next command opens another."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _run(self, command: str) -> str:
        if self._streams is not None:
            try:
                return await self._ask(command)
            except (ConnectionError, asyncio.IncompleteReadError):
                # The server was started anew since the last command.
                self.close()
        return await self._ask(command)

    async def _ask(self, command: str) -> str:
        reader, writer = self._streams or await self._open()
        number = self._send(writer, _COMMAND, command)
        parts = [await self._answer(reader, number)]
        if len(parts[0]) < _FULL:
            return parts[0]
        # Not sent before, for two packets at once make a server hang up; its answer ends the one before.
        end = self._send(writer, _ANSWER, "")
        while sum(map(len, parts)) < _MOST_TEXT:
            packet = await self._read(reader)
            if packet.number == end:
                break
            if packet.number == number:
                parts.append(packet.text)
        else:
            self.close()
        return "".join(parts)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._streams = await asyncio.open_connection(self.target.host, self.target.port)
        reader, writer = self._streams
        number = self._send(writer, _LOGIN, self.target.password)
        while (answered := (await self._read(reader)).number) != number:
            # An empty answer may come before the one that counts.
            if answered == _REFUSED:
                raise BrokenError(f"The console of {self._name} does not accept our password.")
        return reader, writer

    def _send(self, writer: asyncio.StreamWriter, kind: int, text: str) -> int:
        self._last = self._last % 0x7FFFFFF0 + 1
        body = _HEAD.pack(self._last, kind) + text.encode() + b"\x00\x00"
        writer.write(struct.pack("<i", len(body)) + body)
        return self._last

    async def _answer(self, reader: asyncio.StreamReader, number: int) -> str:
        while (packet := await self._read(reader)).number != number:
            pass
        return packet.text

    async def _read(self, reader: asyncio.StreamReader) -> _Packet:
        (length,) = struct.unpack("<i", await reader.readexactly(4))
        if not _HEAD.size + 2 <= length <= _LARGEST_PACKET:
            raise ConnectionError("no packet of RCON is that long")
        body = await reader.readexactly(length)
        number, _ = _HEAD.unpack_from(body)
        return _Packet(number, body[_HEAD.size : -2].decode("utf-8", "replace"))


class Consoles:
    """The consoles of all servers, as the configuration says at the moment of asking."""

    def __init__(self, find: Callable[[str], RconTarget | None]) -> None:
        """Take what says where the console of a server is."""
        self._find = find
        self._open: dict[str, Rcon] = {}

    def find(self, server: str) -> Rcon | None:
        """Return the console of a server; None: it has none that we know of."""
        target, known = self._find(server), self._open.get(server)
        if known is not None and known.target != target:
            known.close()
            del self._open[server]
            known = None
        if known is None and target is not None:
            known = self._open[server] = Rcon(server, target)
        return known

    def close(self) -> None:
        """Close every connection."""
        for console in self._open.values():
            console.close()
        self._open.clear()
