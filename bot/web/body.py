"""Reading a body within bounds: of size, measured after decompression, and of time."""

import asyncio
import zlib
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from bot.core.errors import RefusedError, UnavailableError

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS
_ZLIB_METHOD = 8
"""The low half of the first byte of every zlib stream (RFC 1950, 2.2)."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What a body may cost."""

    max_bytes: int
    """After decompression; the bytes on the wire may not be more either."""
    within: timedelta
    """From the end of the headers to the last byte."""


LIMITS = web.AppKey("limits", BodyLimits)
_RECEIVED = web.RequestKey("received", bytes)


class BodyTooLargeError(RefusedError):
    """The body exceeds the limit, after decompression."""


class BodyIncompleteError(UnavailableError):
    """The body did not arrive whole and in time: worth sending again."""


async def read_body(request: web.Request) -> bytes:
    """Return the body, decompressed, within the limits of the server.

    A body that is not what its Content-Encoding says is returned as it came:
    what an authenticated sender posts is kept, whoever reads it will say more.

    Raises:
        BodyTooLargeError: It is larger than the limit; it was not read on.
        BodyIncompleteError: It broke off, or took too long.
    """
    limits = request.app[LIMITS]
    received = await receive_body(request)
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return received
    # In a thread: a bomb may inflate to the limit from next to nothing.
    inflated = await asyncio.to_thread(inflate, received, encoding, max_bytes=limits.max_bytes)
    return received if inflated is None else inflated


async def receive_body(request: web.Request) -> bytes:
    """Return the body as it is on the wire, within the limits of the server; read once, it is kept.

    Raises:
        BodyTooLargeError: It is larger than the limit; it was not read on.
        BodyIncompleteError: It broke off, or took too long.
    """
    kept: bytes | None = request.get(_RECEIVED)
    if kept is not None:
        return kept
    limits = request.app[LIMITS]
    try:
        async with asyncio.timeout(limits.within.total_seconds()):
            received = await _receive(request, limits.max_bytes)
    except TimeoutError as error:
        seconds = limits.within.total_seconds()
        raise BodyIncompleteError(f"the body did not arrive within {seconds:g} s") from error
    except web.RequestPayloadError as error:
        raise BodyIncompleteError("the body broke off") from error
    request[_RECEIVED] = received
    return received


async def _receive(request: web.Request, max_bytes: int) -> bytes:
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLargeError(_too_large(max_bytes))
    parts: list[bytes] = []
    size = 0
    while part := await request.content.readany():
        size += len(part)
        if size > max_bytes:
            raise BodyTooLargeError(_too_large(max_bytes))
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def inflate(compressed: bytes, encoding: str, *, max_bytes: int) -> bytes | None:
    """Decompress gzip or deflate, at most to the limit; None when it is neither, or damaged.

    Raises:
        BodyTooLargeError: More would come out.
    """
    match encoding:
        case "gzip" | "x-gzip":
            window = _GZIP
        case "deflate":
            # Senders disagree on whether deflate has a zlib header (RFC 9110, 8.4.1.2).
            window = _ZLIB if compressed[:1] and compressed[0] & 0x0F == _ZLIB_METHOD else _RAW_DEFLATE
        case _:
            return None
    stream = zlib.decompressobj(window)
    try:
        inflated = stream.decompress(compressed, max_bytes + 1)
    except zlib.error:
        return None
    if len(inflated) > max_bytes:
        raise BodyTooLargeError(_too_large(max_bytes))
    return inflated if stream.eof and not stream.unused_data else None


def _too_large(max_bytes: int) -> str:
    return f"the body is larger than {max_bytes} bytes (web.max_body_mib)"
