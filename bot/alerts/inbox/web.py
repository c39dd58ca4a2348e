"""The webhooks of Alertmanager and Grafana: what an authenticated sender posts is committed, then read."""

import re
import time
from collections.abc import Callable, Sequence

import structlog
from aiohttp import hdrs, web

from bot.alerts.inbox.model import Kind
from bot.alerts.inbox.service import Inbox
from bot.core.errors import UnavailableError
from bot.telemetry.metrics import WEBHOOK_SECONDS, WEBHOOKS_RECEIVED
from bot.web.body import read_body
from bot.web.server import Route, json_answer
from bot.web.signature import Signing

log = structlog.get_logger(__name__)

# Where a Prometheus posts that takes us for an Alertmanager: kept, and explained.
_PROMETHEUS = (
    "/api/v2/alerts",
    "/webhooks/alertmanager/api/v2/alerts",
    "/webhooks/alertmanager/{source}/api/v2/alerts",
)
_ODD = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME = 63
_LONGEST_HEADER = 200
_UNKNOWN_REMEMBERED = 100
"""An authenticated sender can invent names; beyond this many none is reported any more."""


class Webhooks:
    """The routes that take deliveries in."""

    def __init__(
        self,
        inbox: Inbox,
        *,
        sources: Callable[[Kind], Sequence[str]],
        unknown_source: Callable[[Kind, str], None],
        signing: Callable[[str], Signing | None] = lambda _: None,
    ) -> None:
        """Take the names of the configured senders of a kind, and whom to tell of another name, once each.

        A delivery of an unknown source is accepted like any other. `signing` says
        how the Grafana of a name may sign. No callback may block.
        """
        self._inbox = inbox
        self._sources = sources
        self._unknown_source = unknown_source
        self._signing = signing
        self._reported: set[tuple[Kind, str]] = set()

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes, for the server."""
        return tuple(
            Route("POST", path, self._alertmanager) for path in (*_paths("alertmanager"), *_PROMETHEUS)
        ) + tuple(
            Route(method, path, self._grafana, signing=self._signing_of)
            for method in ("POST", "PUT")  # Grafana leaves the choice to people.
            for path in _paths("grafana")
        )

    async def _alertmanager(self, request: web.Request) -> web.Response:
        return await self._accept(Kind.ALERTMANAGER, request)

    async def _grafana(self, request: web.Request) -> web.Response:
        return await self._accept(Kind.GRAFANA, request)

    def _signing_of(self, request: web.Request) -> Signing | None:
        source, is_known = self._source(Kind.GRAFANA, request)
        return self._signing(source) if is_known else None

    async def _accept(self, kind: Kind, request: web.Request) -> web.Response:
        started = time.perf_counter()
        source, is_known = self._source(kind, request)
        label = source if is_known else "unknown"
        try:
            number = await self._inbox.accept(
                source,
                kind,
                await read_body(request),
                content_type=_header(request, hdrs.CONTENT_TYPE),
                user_agent=_header(request, hdrs.USER_AGENT),
            )
        except UnavailableError:
            WEBHOOKS_RECEIVED.labels(source=label, result="unavailable").inc()
            raise
        WEBHOOKS_RECEIVED.labels(source=label, result="accepted").inc()
        WEBHOOK_SECONDS.observe(time.perf_counter() - started)
        if not is_known:
            self._report(kind, source)
        return json_answer({"id": number})

    def _source(self, kind: Kind, request: web.Request) -> tuple[str, bool]:
        """Return the source of a delivery, fit to be stored and shown, and whether it is configured."""
        named = request.match_info.get("source", "")
        known = self._sources(kind)
        if not named:
            return (known[0] if known else kind.value), True
        if named in known:
            return named, True
        return _ODD.sub("_", named)[:_LONGEST_NAME], False

    def _report(self, kind: Kind, source: str) -> None:
        if (kind, source) in self._reported or len(self._reported) >= _UNKNOWN_REMEMBERED:
            return
        self._reported.add((kind, source))
        log.warning("source_unknown", source=source, kind=kind.value)
        self._unknown_source(kind, source)


def _paths(name: str) -> tuple[str, ...]:
    return f"/webhooks/{name}", f"/webhooks/{name}/", f"/webhooks/{name}/{{source}}"


def _header(request: web.Request, name: str) -> str:
    """Return a header, fit for a text column of any database."""
    value = request.headers.get(name, "")[:_LONGEST_HEADER]
    return value.encode("utf-8", "replace").decode().replace("\0", "")
