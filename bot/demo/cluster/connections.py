"""How an answer goes over a connection, and how that fails."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from aiohttp import web

from bot.demo.cluster.dispatch import Answer
from bot.demo.cluster.failures import ApiError, expired
from bot.demo.cluster.faults import Break, Fault, error_body
from bot.demo.cluster.representations import pretty as indent
from bot.demo.cluster.rights import ANY
from bot.demo.cluster.watching import Watch

_JSON = {"Content-Type": "application/json"}


def respond(answer: Answer, *, pretty: bool = False) -> web.Response:
    """Return an answer as aiohttp sends it."""
    headers = {**_JSON, **answer.headers}
    body = indent(answer.body) if pretty and headers["Content-Type"] == "application/json" else answer.body
    return web.Response(status=answer.status, body=body, headers=headers)


def respond_error(error: ApiError, *, pretty: bool = False) -> web.Response:
    """Return an error as aiohttp sends it."""
    body, content_type = error_body(error, pretty=pretty)
    return web.Response(status=error.code, body=body, headers={"Content-Type": content_type, **error.headers})


async def hang() -> NoReturn:
    """Answer nothing until the asker or the server gives up."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def fail(request: web.Request, fault: Fault, answer: Answer, *, pretty: bool) -> web.StreamResponse:
    """Meet a request with a fault; its answer is lost, unless the fault only delays."""
    if fault.error is not None and not fault.as_line:
        return respond_error(fault.error, pretty=pretty or fault.pretty)
    match fault.broken:
        case None:
            return respond(answer, pretty=pretty)
        case Break.EMPTY:
            return web.Response(status=200, headers=_JSON)
        case Break.CUT_MID_LINE:
            response = web.StreamResponse(status=answer.status, headers={**_JSON, **answer.headers})
            response.content_length = len(answer.body)
            await response.prepare(request)
            await response.write(answer.body[: len(answer.body) // 2])
            abort(request)
        case Break.DROP:
            abort(request)
        case Break.HANG | Break.STALL:
            pass
    return await hang()


def abort(request: web.Request) -> None:
    """Reset the connection of a request."""
    if request.transport is not None:
        request.transport.abort()


class OpenWatch:
    """A watch on its connection."""

    def __init__(self, request: web.Request, watch: Watch, *, resource: str, pretty: bool) -> None:
        """Take both."""
        self.resource = resource
        self._request = request
        self._watch = watch
        self._pretty = pretty
        self._stalled = False
        self._response = web.StreamResponse(headers=_JSON)

    async def run(self, *, seconds: float, fault: Fault | None) -> web.StreamResponse:
        """Tell until the time is over or the reader goes."""
        await self._response.prepare(self._request)
        if fault is not None and fault.as_line and fault.error is not None:
            await self._response.write(fault.error.event())
            return self._response
        ending = asyncio.get_running_loop().call_later(seconds, self._watch.end)
        try:
            # Whoever watched may be gone by the next line.
            with suppress(ConnectionResetError):
                await self._tell(fault)
        finally:
            ending.cancel()
        return self._response

    async def _tell(self, fault: Fault | None) -> None:
        left = fault.lines if fault is not None and fault.broken is not None else None
        async for line in self._watch.lines():
            if left == 0 and fault is not None:
                await self._fail(fault, line)
            if self._stalled:
                await hang()
            await self._response.write(indent(line) if self._pretty else line)
            left = None if left is None else left - 1

    async def _fail(self, fault: Fault, line: bytes) -> None:
        if fault.broken is Break.CUT_MID_LINE:
            await self._response.write(line[: len(line) // 2])
            abort(self._request)
        await hang()

    def end(self, last_words: bytes = b"") -> None:
        """End properly, as when its time is over."""
        self._watch.end(last_words)

    def stall(self) -> None:
        """Tell nothing any more, and stay open."""
        self._stalled = True

    async def cut(self, *, mid_line: bool) -> None:
        """Lose the connection."""
        if mid_line and self._response.prepared:
            await self._response.write(b'{"type":"MODIFIED","object":{"apiVersion":"argo')
        abort(self._request)


class OpenWatches:
    """The watches that are open; each of the switches takes those of a resource, or all."""

    def __init__(self) -> None:
        """Begin without any."""
        self._open: set[OpenWatch] = set()

    @contextmanager
    def holding(self, watch: OpenWatch) -> Iterator[None]:
        """Know a watch while it is told."""
        self._open.add(watch)
        try:
            yield
        finally:
            self._open.discard(watch)

    def count(self, resource: str = ANY) -> int:
        """Return how many are open."""
        return len(self._of(resource))

    def end(self, resource: str = ANY) -> None:
        """End them properly, as when their time is over."""
        for watch in self._of(resource):
            watch.end()

    def expire(self, resource: str = ANY) -> None:
        """Tell them that their version is too old, 410 as a line, and end them."""
        for watch in self._of(resource):
            watch.end(expired(1, 1000).event())

    def stall(self, resource: str = ANY) -> None:
        """Let their links hang: they stay open and tell nothing any more."""
        for watch in self._of(resource):
            watch.stall()

    async def cut(self, resource: str = ANY, *, mid_line: bool = False) -> None:
        """Reset their connections, maybe inside a line."""
        for watch in self._of(resource):
            await watch.cut(mid_line=mid_line)

    def _of(self, resource: str) -> list[OpenWatch]:
        return [watch for watch in self._open if resource in {ANY, watch.resource}]
