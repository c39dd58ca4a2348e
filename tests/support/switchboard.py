"""An address that leads to one server or another, as a Kubernetes Service does."""

import asyncio
import contextlib
from typing import Self


class Switchboard:
    """Listens on loopback while it is entered, and passes every connection on to the server of the moment."""

    def __init__(self, port: int) -> None:
        """Take the port of the first server."""
        self._target = port
        self._lines: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def turn_to(self, port: int) -> None:
        """Lead new connections to another server; those that stand stay where they are."""
        self._target = port

    def cut(self) -> None:
        """Reset every connection."""
        for line in list(self._lines):
            line.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onwards = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._lines |= {writer, onwards}
        try:
            await asyncio.gather(_pass_on(reader, onwards), _pass_on(there, writer))
        finally:
            self._lines -= {writer, onwards}


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()
