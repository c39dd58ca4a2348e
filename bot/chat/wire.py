"""Discord's HTTP calls, watched and corrected where discord.py leaves a gap.

Three things are learnt from every call: metrics, the pace that Discord allows, and for our own
messages whether a call that failed may have been carried out. Written for discord.py 2.7.1.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import discord
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Ratelimit, Route
from yarl import URL

from bot.chat.pacing import TOO_MANY_REQUESTS, Answer, Pacing
from bot.core.errors import InvalidError
from bot.telemetry import tracing
from bot.telemetry.metrics import DISCORD_RATE_LIMITED, DISCORD_REQUESTS

API_URL: Final = "https://discord.com/api/v10"
GATEWAY_URL: Final = "wss://gateway.discord.gg/"
_NOT_CARRIED_OUT: Final = 503
"""The one server error that says that nothing was done."""
_SERVER_ERRORS: Final = 500


def redirect(api_url: str = API_URL, gateway_url: str = GATEWAY_URL) -> None:
    """Have discord.py of this process talk to these addresses.

    Anything but Discord itself must be a simulator on loopback: the token goes there.
    """
    for url, real in ((api_url, API_URL), (gateway_url, GATEWAY_URL)):
        if url.rstrip("/") != real.rstrip("/") and not _on_loopback(url):
            raise InvalidError(
                f"{url} is neither Discord nor on this machine: the bot's token would go there."
            )
    Route.BASE = api_url.rstrip("/")
    DiscordWebSocket.DEFAULT_GATEWAY = URL(gateway_url)


@dataclass(slots=True)
class Attempt:
    """What became of the requests of one call."""

    deadline: asyncio.Timeout
    """Ends the call early when Discord says that it takes no more for now."""
    on_the_wire: bool = False
    """Whether a request was sent and not answered yet."""
    may_be_done: bool = False
    """Whether a request ended without Discord saying what became of it."""
    limited_for: float | None = None
    """Seconds that a 429 asked for."""

    @property
    def outcome_unknown(self) -> bool:
        """Whether Discord may have done what was asked."""
        return self.on_the_wire or self.may_be_done


_attempt: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


@contextmanager
def attempt(deadline: asyncio.Timeout) -> Iterator[Attempt]:
    """Watch the requests that are sent inside, by this task."""
    watched = Attempt(deadline)
    token = _attempt.set(watched)
    try:
        yield watched
    finally:
        _attempt.reset(token)


class Wire:
    """Watches the HTTP calls of one client."""

    def __init__(self, pacing: Pacing, may_act: Callable[[], None]) -> None:
        self._pacing = pacing
        self._may_act = may_act
        self._http: HTTPClient | None = None
        self.trace = aiohttp.TraceConfig()
        self.trace.on_request_start.append(self._begins)
        self.trace.on_connection_create_end.append(self._connected)
        self.trace.on_request_headers_sent.append(self._sent)
        self.trace.on_request_end.append(self._answered)
        self.trace.on_request_exception.append(self._failed)

    def attach(self, http: HTTPClient) -> None:
        """Correct the waiting of the client that uses `trace`."""
        self._http = http
        buckets = http._buckets  # noqa: SLF001  # discord.py files them under their hash as well.

        def get_ratelimit(key: str) -> Ratelimit:
            if key not in buckets:
                http._try_clear_expired_ratelimits()  # noqa: SLF001
                buckets[key] = Bucket(http.max_ratelimit_timeout)
            return buckets[key]

        # No public way exists; `Bucket` says why.
        http.get_ratelimit = get_ratelimit  # type: ignore[method-assign]

    async def _begins(
        self,
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        start: aiohttp.TraceRequestStartParams,
    ) -> None:
        """Stop what waited for its turn for too long, after all waiting of discord.py."""
        self._may_act()
        asked = {
            "http.request.method": start.method,
            "url.path": start.url.path,
            "server.address": start.url.host or "",
        }
        context.span = tracing.begin(f"{start.method} discord", tracing.Kind.CLIENT, **asked)

    async def _connected(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        _end: aiohttp.TraceConnectionCreateEndParams,
    ) -> None:
        """Stop what waited for its connection for too long; nothing was sent through it yet."""
        self._may_act()

    async def _sent(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        _sent: aiohttp.TraceRequestHeadersSentParams,
    ) -> None:
        if watched := _attempt.get():
            watched.on_the_wire = True

    async def _answered(
        self, _session: aiohttp.ClientSession, context: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        response = end.response
        tracing.answered(context.span, response.status)
        limited = response.status == TOO_MANY_REQUESTS
        answer = Answer(
            end.method,
            end.url.path,
            response.status,
            response.headers,
            await response.read() if limited else b"",
        )
        DISCORD_REQUESTS.labels(answer.method, str(answer.status)).inc()
        self._pacing.learn(answer)
        if limited:
            self._note_limit(answer)
        if watched := _attempt.get():
            _judge(watched, answer)

    async def _failed(
        self,
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        failure: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        tracing.unanswered(getattr(context, "span", None), failure.exception)
        DISCORD_REQUESTS.labels(failure.method, "none").inc()
        if (watched := _attempt.get()) and watched.on_the_wire:
            watched.on_the_wire = False
            watched.may_be_done = True

    def _note_limit(self, answer: Answer) -> None:
        scope = "edge" if answer.from_the_edge else answer.headers.get("X-RateLimit-Scope", "unknown")
        DISCORD_RATE_LIMITED.labels(
            scope if scope in {"user", "global", "shared", "edge"} else "unknown"
        ).inc()
        if answer.is_global and self._http is not None:
            # discord.py closes this gate for everybody and would leave it closed for ever when the one call
            # that waits to open it is cancelled.
            gate = self._http._global_over  # noqa: SLF001
            asyncio.get_running_loop().call_later(answer.retry_after, gate.set)


class Bucket(Ratelimit):
    """discord.py's bucket, but who takes the last slot has the answer at once.

    Theirs makes that request wait for the next slot before it returns: the message is in the channel, and for
    seconds its sender does not know its id, or gives up. Ours lets the next request wait.
    """

    __slots__ = ("_freed", "_limit_known")

    def __init__(self, max_ratelimit_timeout: float | None) -> None:
        super().__init__(max_ratelimit_timeout)
        self._freed = asyncio.Event()
        self._limit_known = False

    def update(self, response: aiohttp.ClientResponse, *, use_clock: bool = False) -> None:
        """Take the limit from an answer; requests still on their way are not in its count of what remains."""
        left = self.remaining
        super().update(response, use_clock=use_clock)
        if self._limit_known:
            self.remaining = min(self.remaining, left)
        self._limit_known = True

    async def acquire(self) -> None:
        """Wait for a slot and take it."""
        self._last_request = self._loop.time()
        while not self._has_slot():
            await self._wait_for_slot()
        self.remaining -= 1
        self.outgoing += 1

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None:
        self.outgoing -= 1
        if self.expires is None:
            # Nothing is known of the limit yet: requests go one by one.
            self.remaining = max(self.remaining, self.limit - self.outgoing)
        self._freed.set()

    def _has_slot(self) -> bool:
        if self.is_expired():
            self.reset()  # type: ignore[no-untyped-call]
        return self.remaining > 0

    async def _wait_for_slot(self) -> None:
        wait = None if self.expires is None else self.expires - self._loop.time()
        if (
            wait is not None
            and self._max_ratelimit_timeout is not None
            and wait > self._max_ratelimit_timeout
        ):
            raise discord.RateLimited(wait)
        self._freed.clear()
        try:
            # A little late rather than a little early: `is_expired` is strict.
            async with asyncio.timeout(None if wait is None else wait + 0.001):
                await self._freed.wait()
        except TimeoutError:
            pass


def _judge(watched: Attempt, answer: Answer) -> None:
    watched.on_the_wire = False
    if answer.status == TOO_MANY_REQUESTS:
        watched.limited_for = answer.retry_after
        if not watched.deadline.expired():
            # discord.py would wait and then send what is old by then.
            watched.deadline.reschedule(0)
    elif answer.status >= _SERVER_ERRORS and answer.status != _NOT_CARRIED_OUT:
        watched.may_be_done = True


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
