"""Logs: one pipeline for structlog and for what libraries log, one line for each event, no secrets in it."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bot.telemetry import tracing
from bot.telemetry.redaction import redact

_CHATTY = ("alembic", "apscheduler")
"""Libraries that tell at level info what nobody asks."""


def configure_logging(
    level: str, *, json: bool, trace_key: str = "traceId", stream: TextIO | None = None
) -> None:
    """Send every log line of the process through one pipeline to standard error, or to `stream`.

    A line that is written inside of a trace holds its id under `trace_key`.
    """
    shared = [*_SHARED, _trace_under(trace_key)]
    processors = _processors(json=json)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
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
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: redact(value, key) for key, value in event.items()}


def _trace_under(key: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if (present := tracing.ids()) is not None:
            event[key], event["spanId"], _ = present
        return event

    return add


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
