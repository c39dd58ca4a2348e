"""The HTTP server: one door for webhooks, probes and links; each room brings its routes."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import structlog
from aiohttp import hdrs, web
from pydantic import SecretStr

from bot.core.clock import Clock, SystemClock
from bot.core.errors import UnavailableError
from bot.telemetry import tracing
from bot.telemetry.metrics import HTTP_REFUSALS
from bot.telemetry.tracing import Kind, span
from bot.web.authentication import CHALLENGES, Tokens
from bot.web.body import LIMITS, BodyLimits, BodyTooLargeError
from bot.web.settings import WebSettings
from bot.web.signature import SignedBodies, Signing

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TooLarge = Callable[[str, int], None]
"""Told the path and the limit in bytes when a body was refused for its size; must not block."""

RETRY_AFTER_SECONDS = 5
_BODY_WITHIN = timedelta(seconds=10)
_DRAIN = timedelta(seconds=10)
_LINGER_SECONDS = 2.0
"""How long the rest of a body that nobody wants is read, so that its sender sees the answer."""
_REFUSAL_LOGGED_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Route:
    """A path and what answers it."""

    method: str
    path: str
    """As aiohttp writes it: `/webhooks/{source}`."""
    handler: Handler
    authenticated: bool = True
    """Whether one of the server's tokens is asked for before anything of the body is read."""
    signing: Callable[[web.Request], Signing | None] | None = None
    """Says how the sender of a request may sign it; a valid signature is as good as a token."""


class WebServer:
    """The server, listening while it is entered.

    Answers of its own: 401 without a valid token, 413 for a body over the
    limit, 503 with Retry-After for what may be sent again (also a bug: the
    sender keeps the alert). A body that arrives too slowly is answered 503
    and not 408, because Alertmanager gives up on every 4xx.
    """

    def __init__(
        self,
        settings: WebSettings,
        routes: Iterable[Route],
        *,
        too_large: TooLarge,
        body_within: timedelta = _BODY_WITHIN,
        drain: timedelta = _DRAIN,
        clock: Clock | None = None,
    ) -> None:
        """Take the routes of all rooms; `drain` is how long requests in flight may take at the end."""
        self._host = settings.host
        self._port = settings.port
        self._too_large = too_large
        self._refusals = _RefusalLog()
        self._signed = SignedBodies(clock or SystemClock())
        self.use_tokens(settings.tokens)
        app = web.Application(middlewares=[self._serve])
        app[LIMITS] = BodyLimits(settings.max_body_bytes, body_within)
        app.on_response_prepare.append(_say_little)
        added = [(app.router.add_route(route.method, route.path, route.handler), route) for route in routes]
        self._guarded = {entry: route for entry, route in added if route.authenticated}
        self._runner = web.AppRunner(
            app,
            access_log=None,
            # Ours, so that a body which is not what it claims can be kept as it came.
            auto_decompress=False,
            lingering_time=_LINGER_SECONDS,
            shutdown_timeout=drain.total_seconds(),
        )

    @property
    def port(self) -> int:
        """Say which port is listened on; the settings may leave the choice (0) to the system."""
        return int(self._runner.addresses[0][1])

    def use_tokens(self, tokens: Iterable[SecretStr]) -> None:
        """Replace the valid tokens from the next request on."""
        self._tokens = Tokens(tokens)

    async def __aenter__(self) -> Self:
        """Listen."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except BaseException:
            await self._runner.cleanup()
            raise
        log.info("web_listening", host=self._host, port=self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Accept nothing more, and let requests in flight finish."""
        await self._runner.cleanup()

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if (why := await self._refusal_reason(request)) is not None:
                return self._unauthenticated(request, why)
            return await self._handle(request, handler)
        except web.HTTPException as error:
            return _as_json(error)
        except BodyTooLargeError as error:
            return self._body_too_large(request, error)
        except UnavailableError as error:
            return _try_again({"error": str(error)})
        except ConnectionError:
            raise  # The sender is gone: there is nobody to answer.
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("request_failed", path=request.path, reference=reference)
            return _try_again({"error": "this went wrong on our side", "reference": reference})

    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        route = self._guarded.get(request.match_info.route)
        if route is None:
            return await handler(request)  # Probes and links: whoever asks every few seconds is no news.
        asked = {"http.request.method": route.method, "http.route": route.path}
        with (
            tracing.arriving(request.headers),
            span(f"{route.method} {route.path}", Kind.SERVER, **asked) as s,
        ):
            answer = await handler(request)
            s.set(**{"http.response.status_code": answer.status})
            return answer

    async def _refusal_reason(self, request: web.Request) -> str | None:
        route = self._guarded.get(request.match_info.route)
        if route is None or self._tokens.admit(request.headers):
            return None
        signing = route.signing(request) if route.signing else None
        return "no valid token" if signing is None else await self._signed.problem(request, signing)

    def _unauthenticated(self, request: web.Request, why: str) -> web.Response:
        HTTP_REFUSALS.labels(reason="unauthenticated").inc()
        self._refusals.note(request, why)
        response = json_answer({"error": "a valid token is needed"}, status=401)
        for challenge in CHALLENGES:
            response.headers.add(hdrs.WWW_AUTHENTICATE, challenge)
        return response

    def _body_too_large(self, request: web.Request, error: BodyTooLargeError) -> web.Response:
        HTTP_REFUSALS.labels(reason="too_large").inc()
        limit = request.app[LIMITS].max_bytes
        log.warning("body_too_large", path=request.path, max_bytes=limit)
        self._too_large(request.path, limit)
        return json_answer({"error": str(error)}, status=413)


class _RefusalLog:
    """Tells of senders without a token, not more than once a minute: anybody can be one."""

    def __init__(self) -> None:
        self._unsaid = 0
        self._next_at = 0.0

    def note(self, request: web.Request, why: str) -> None:
        self._unsaid += 1
        now = asyncio.get_running_loop().time()
        if now < self._next_at:
            return
        log.warning(
            "request_unauthenticated", path=request.path, peer=request.remote, why=why, times=self._unsaid
        )
        self._unsaid = 0
        self._next_at = now + _REFUSAL_LOGGED_EVERY_SECONDS


def json_answer(data: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """Answer with one line of JSON."""
    line = json.dumps(data, separators=(",", ":")) + "\n"
    return web.Response(text=line, status=status, content_type="application/json")


def _try_again(data: Mapping[str, Any]) -> web.Response:
    response = json_answer(data, status=503)
    response.headers[hdrs.RETRY_AFTER] = str(RETRY_AFTER_SECONDS)
    return response


def _as_json(error: web.HTTPException) -> web.Response:
    response = json_answer({"error": error.reason}, status=error.status)
    for name in (hdrs.ALLOW, hdrs.LOCATION):
        if name in error.headers:
            response.headers[name] = error.headers[name]
    return response


async def _say_little(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers[hdrs.SERVER] = "the-machine"
