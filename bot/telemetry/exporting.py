"""Turns tracing on where the standard variables name an endpoint."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from bot.telemetry import tracing

log = structlog.get_logger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"


def wants_traces(environ: Mapping[str, str]) -> bool:
    """Say whether the environment asks for traces."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    return not is_off and exporter == "otlp" and any(environ.get(name) for name in _ENDPOINTS)


@contextmanager
def exporting(environ: Mapping[str, str]) -> Iterator[None]:
    """Export traces while the context lasts, if the environment of this process asks for it."""
    protocol = next((spoken for name in _PROTOCOLS if (spoken := environ.get(name))), _SPOKEN)
    if not wants_traces(environ):
        yield
        return
    if protocol != _SPOKEN:
        log.warning(
            "traces_not_exported", why=f"expected {_SPOKEN} as OTEL_EXPORTER_OTLP_PROTOCOL", given=protocol
        )
        yield
        return
    # Each of its tries would be a warning; that the last one failed is an error.
    for noisy in ("opentelemetry", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    from bot.telemetry.otel import OpenTelemetry  # noqa: PLC0415 (14 MB that only traces need)

    engine = OpenTelemetry()
    tracing.use_engine(engine)
    log.info("traces_exported")
    try:
        yield
    finally:
        tracing.use_engine(None)
        engine.close()
