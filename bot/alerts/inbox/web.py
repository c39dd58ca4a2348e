"""The webhook of Alertmanager: whatever an authenticated sender posts is committed, and read later."""

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

log = structlog.get_logger(__name__)

_ONLY_SOURCE = "alertmanager"
"""The source of a delivery without a name while no Alertmanager is configured."""
_PROMETHEUS = ("/webhooks/alertmanager/api/v2/alerts", "/webhooks/alertmanager/{source}/api/v2/alerts")
_ODD = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME = 63
_LONGEST_HEADER = 200
_UNKNOWN_REMEMBERED = 100
"""An authenticated sender can invent names; beyond this many none is reported any more."""


class Webhooks:
    """The routes that take deliveries in."""

    def __init__(
        self, inbox: Inbox, *, sources: Callable[[], Sequence[str]], unknown_source: Callable[[str], None]
    ) -> None:
        """Take the names of the configured Alertmanagers, and whom to tell of another name, once each.

        A delivery of an unknown source is accepted like any other. Neither
        callback may block.
        """
        self._inbox = inbox
        self._sources = sources
        self._unknown_source = unknown_source
        self._reported: set[str] = set()

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes, for the server."""
        named = "/webhooks/alertmanager/{source}"
        # The last two are where a Prometheus posts that takes us for an Alertmanager: kept, and explained.
        paths = ("/webhooks/alertmanager", "/webhooks/alertmanager/", named, *_PROMETHEUS)
        return tuple(Route("POST", path, self._alertmanager) for path in paths)

    async def _alertmanager(self, request: web.Request) -> web.Response:
        started = time.perf_counter()
        source, is_known = self._source(request.match_info.get("source", ""))
        label = source if is_known else "unknown"
        try:
            number = await self._inbox.accept(
                source,
                Kind.ALERTMANAGER,
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
            self._report(source)
        return json_answer({"id": number})

    def _source(self, named: str) -> tuple[str, bool]:
        """Return the source of a delivery, fit to be stored and shown, and whether it is configured."""
        known = self._sources()
        if not named:
            return (known[0] if known else _ONLY_SOURCE), True
        if named in known:
            return named, True
        return _ODD.sub("_", named)[:_LONGEST_NAME], False

    def _report(self, source: str) -> None:
        if source in self._reported or len(self._reported) >= _UNKNOWN_REMEMBERED:
            return
        self._reported.add(source)
        log.warning("source_unknown", source=source)
        self._unknown_source(source)


def _header(request: web.Request, name: str) -> str:
    """Return a header, fit for a text column of any database."""
    value = request.headers.get(name, "")[:_LONGEST_HEADER]
    return value.encode("utf-8", "replace").decode().replace("\0", "")
