"""What is done at each request of an aiohttp session: whether it may be sent, and what traces know of it."""

from collections.abc import Callable
from types import SimpleNamespace

import aiohttp

from bot.telemetry import tracing


def only_while(may_act: Callable[[], None]) -> aiohttp.TraceConfig:
    """Have each request ask whether this process still leads, at its beginning and once it is connected."""

    async def ask(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
        may_act()

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(ask)
    trace.on_connection_create_end.append(ask)
    return trace


def traced_requests() -> aiohttp.TraceConfig:
    """Have each request inside of a trace be a span, and tell its receiver by its headers."""
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_begins)
    trace.on_request_end.append(_answered)
    trace.on_request_exception.append(_failed)
    return trace


async def _begins(
    _session: aiohttp.ClientSession, context: SimpleNamespace, start: aiohttp.TraceRequestStartParams
) -> None:
    asked = {"url.path": start.url.path, "server.address": start.url.host or ""}
    context.span = tracing.begin(f"{start.method} {start.url.host}", tracing.Kind.CLIENT, **asked)
    tracing.departing(start.headers, context.span)


async def _answered(
    _session: aiohttp.ClientSession, context: SimpleNamespace, end: aiohttp.TraceRequestEndParams
) -> None:
    tracing.answered(context.span, end.response.status)


async def _failed(
    _session: aiohttp.ClientSession, context: SimpleNamespace, failure: aiohttp.TraceRequestExceptionParams
) -> None:
    tracing.unanswered(getattr(context, "span", None), failure.exception)
