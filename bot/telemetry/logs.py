"""Logs: one pipeline for structlog and for what libraries log, one line for each event, no secrets in it."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(
    r"(?:^|[_.-])(?:token|tokens|password|passwd|secret|authorization|api[_-]?key|dsn)$", re.IGNORECASE
)
_PATTERNS = (
    # Authorization: Bearer …, Basic …, Bot …
    (re.compile(r"\b(Bearer|Basic|Bot)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1\2{REDACTED}"),
    # A Discord bot's token: the id, the time and a signature, each in base64.
    (re.compile(r"\b[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"), REDACTED),
    # A Discord webhook's or interaction's address ends in its token.
    (re.compile(r"(/(?:webhooks|interactions)/[0-9]{15,20}/)[A-Za-z0-9_-]{20,}"), rf"\1{REDACTED}"),
    # user:password@ in an address.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"']+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    # ?token=… and "password": "…", written by whatever library.
    (
        re.compile(
            r"([\"']?\b(?:[a-z0-9]+[_-])*(?:token|password|passwd|secret|api[_-]?key)[\"']?\s*[=:]\s*)"
            r"(\"[^\"]*\"|'[^']*'|[^\s&,;}\])\"']+)",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    (
        re.compile(r"(\bauthorization[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;}]+)", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    # An acknowledgement's address is its permission.
    (re.compile(r"(/ack/)[A-Za-z0-9._~-]{8,}"), rf"\1{REDACTED}"),
)


_CHATTY = ("alembic", "apscheduler")
"""Libraries that tell at level info what nobody asks."""


def configure_logging(level: str, *, json: bool, stream: TextIO | None = None) -> None:
    """Send every log line of the process through one pipeline to standard error, or to `stream`."""
    processors = _processors(json=json)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def redact(value: Any, name: str = "") -> Any:
    """Return the value without secrets in it; all of it goes if its name says that it is one."""
    if name and _SECRET_NAMES.search(name) and value is not None:
        return REDACTED
    if isinstance(value, Mapping):
        return {key: redact(below, str(key)) for key, below in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redact_text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def redact_text(text: str) -> str:
    """Return the text with everything that looks like a secret blotted out."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: redact(value, key) for key, value in event.items()}


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first = {key: event.pop(key) for key in ("ts", "level", "logger", "event") if key in event}
    return {**first, **event}


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]


def _processors(*, json: bool) -> list[Processor]:
    last: Processor = (
        structlog.processors.JSONRenderer(separators=(",", ":"), ensure_ascii=False, default=str)
        if json
        else structlog.dev.ConsoleRenderer(
            timestamp_key="ts",
            colors=sys.stderr.isatty(),
            # A pretty traceback with every local value takes seconds, in which no webhook is answered.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    return [_redact_event, _in_order, last]
