"""Minecraft servers of ours: small, on loopback, as honest or as hostile as a test wants them."""

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def varint(value: int) -> bytes:
    made = bytearray()
    while True:
        made.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(made)


def a_png(width: int = 64, height: int = 64) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\x00" + b"\x46\xa7\x58" * width
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            chunk(b"IDAT", zlib.compress(row * height)),
            chunk(b"IEND", b""),
        )
    )


def an_icon(data: bytes | None = None) -> str:
    return "data:image/png;base64," + base64.b64encode(data if data is not None else a_png()).decode()


def a_status(*names: str, online: int | None = None, most: int = 20, **more: Any) -> dict[str, Any]:
    """What a server says, as its JSON."""
    return {
        "version": {"name": "1.21.4", "protocol": 769},
        "players": {
            "online": len(names) if online is None else online,
            "max": most,
            "sample": [{"name": name, "id": f"{number:032x}"} for number, name in enumerate(names)],
        },
        "description": {"text": "A Minecraft Server"},
        "favicon": an_icon(),
        **more,
    }


def framed(status: Any) -> bytes:
    text = (status if isinstance(status, str) else json.dumps(status)).encode()
    packet = varint(0) + varint(len(text)) + text
    return varint(len(packet)) + packet


class JavaServer:
    """Speaks the status protocol; what it says can be changed at any moment."""

    def __init__(self, status: Any = None) -> None:
        self.status: Any = a_status() if status is None else status
        self.talk: Talk | None = None
        """Says something else than a status."""
        self.asked = 0
        self.handshakes: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        try:
            if self.talk is not None:
                await self.talk(reader, writer)
            else:
                length = (await reader.readexactly(1))[0]
                self.handshakes.append(await reader.readexactly(length))
                assert await reader.readexactly(2) == b"\x01\x00"
                writer.write(framed(self.status))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The test is over, and with it the loop.
        finally:
            writer.close()


@asynccontextmanager
async def java_server(status: Any = None, *, talk: Talk | None = None) -> AsyncIterator[JavaServer]:
    server = JavaServer(status)
    server.talk = talk
    await server.open()
    try:
        yield server
    finally:
        await server.close()


def says(data: bytes, *, then: str = "close", pause: float = 0) -> Talk:
    """Answer with these bytes, whatever was asked; then close, hold the line, or drip."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if pause:
            for byte in data:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(pause)
        else:
            writer.write(data)
            await writer.drain()
        if then == "hold":
            await reader.read()  # Its peer goes in the end.
            await reader.read()

    return talk


def legacy_kick(motd: str = "An old server", online: int = 2, most: int = 10) -> bytes:
    text = "\x00".join(("§1", "78", "1.6.4", motd, str(online), str(most)))
    return b"\xff" + struct.pack(">H", len(text)) + text.encode("utf-16-be")


class BedrockServer(asyncio.DatagramProtocol):
    """Answers an unconnected ping with an unconnected pong."""

    def __init__(self, pong: bytes) -> None:
        self.pong = pong
        self.port = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data[:1] == b"\x01":
            self._transport.sendto(self.pong, addr)


def a_pong(text: str = "MCPE;§aA §lBedrock;766;1.21.50;3;10;1;World;Survival;1;19132;19133;") -> bytes:
    said = text.encode()
    magic = bytes.fromhex("00ffff00fefefefefdfdfdfd12345678")
    return b"\x1c" + bytes(16) + magic + struct.pack(">H", len(said)) + said


@asynccontextmanager
async def bedrock_server(pong: bytes | None = None) -> AsyncIterator[BedrockServer]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: BedrockServer(a_pong() if pong is None else pong), local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol
    finally:
        transport.close()


class RconServer:
    """A console: remembers what it was told, and answers as the tests want."""

    def __init__(self, password: str = "secret") -> None:
        self.password = password
        self.commands: list[str] = []
        self.answers: dict[str, str] = {}
        self.whitelist: list[str] = []
        self.players: list[str] = []
        self.logins = 0
        self.mode = ""
        """hang: says nothing to commands; stray: something else first; close: hangs up on commands."""
        self.may_answer = asyncio.Event()
        """Cleared, it takes its time."""
        self.may_answer.set()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                # As the real one reads: what is not exactly one packet ends it.
                data = await reader.read(1460)
                if len(data) < 10 or struct.unpack_from("<i", data)[0] != len(data) - 4:
                    break
                number, kind = struct.unpack_from("<ii", data, 4)
                await self._handle(writer, number, kind, data[12:-2].decode())
        except (ConnectionError, asyncio.CancelledError):
            pass  # The test is over, and with it the loop.
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _handle(self, writer: asyncio.StreamWriter, number: int, kind: int, text: str) -> None:
        if kind == 3:
            self.logins += 1
            self._send(writer, number if text == self.password else -1, 2, "")
        elif kind == 2:
            self.commands.append(text)
            await self.may_answer.wait()
            if self.mode == "hang":
                return
            if self.mode == "close":
                writer.close()
                return
            if self.mode == "stray":
                self._send(writer, number - 1 or 99, 0, "an answer that is late")
            said = self._answer(text)
            for at in range(0, max(len(said), 1), 4096):
                self._send(writer, number, 0, said[at : at + 4096])
        else:
            self._send(writer, number, 0, f"Unknown request {kind:x}")
        await writer.drain()

    def _send(self, writer: asyncio.StreamWriter, number: int, kind: int, text: str) -> None:
        body = struct.pack("<ii", number, kind) + text.encode() + b"\x00\x00"
        writer.write(struct.pack("<i", len(body)) + body)

    def _answer(self, command: str) -> str:
        if command in self.answers:
            return self.answers[command]
        match command.split():
            case ["list"]:
                names = ", ".join(self.players)
                return f"There are {len(self.players)} of a max of 20 players online: {names}"
            case ["whitelist", "list"]:
                if not self.whitelist:
                    return "There are no whitelisted players"
                return f"There are {len(self.whitelist)} whitelisted player(s): {', '.join(self.whitelist)}"
            case ["whitelist", "add", "Nobody"]:
                return "That player does not exist"
            case ["whitelist", "add", name]:
                if name in self.whitelist:
                    return "Player is already whitelisted"
                self.whitelist.append(name)
                return f"Added {name} to the whitelist"
            case ["whitelist", "remove", name]:
                if name not in self.whitelist:
                    return "Player is not whitelisted"
                self.whitelist.remove(name)
                return f"Removed {name} from the whitelist"
            case ["say", *_] | ["save-all", *_] | ["stop"]:
                return ""
            case _:
                return "Unknown or incomplete command, see below for error"


@asynccontextmanager
async def rcon_server(password: str = "secret") -> AsyncIterator[RconServer]:
    server = RconServer(password)
    await server.open()
    try:
        yield server
    finally:
        await server.close()
