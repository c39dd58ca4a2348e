"""A port that can be opened and closed again and again, always the same one."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress

from bot.demo.configuration import HOST


class Listener(ABC):
    """Listens on loopback while it is open."""

    def __init__(self) -> None:
        """Listen nowhere yet."""
        self.port = 0
        """Known once it was open."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = await asyncio.start_server(self._meet, HOST, self.port)
            self.port = int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Listen no more, and hang up."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    @abstractmethod
    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client until there is nothing more to say."""

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.talk(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()
