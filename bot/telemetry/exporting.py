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
_NOT_SPOKEN = f"OTEL_EXPORTER_OTLP_PROTOCOL: expected {_SPOKEN}, to a port that is 4318 as a rule, not 4317"
_NOT_KNOWN = "OTEL_TRACES_EXPORTER: expected otlp, or none"


def wants_traces(environ: Mapping[str, str]) -> bool:
    """Say whether the environment asks for traces."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not is_off and _exporters(environ) != {"none"} and any(environ.get(name) for name in _ENDPOINTS)


@contextmanager
def exporting(environ: Mapping[str, str]) -> Iterator[None]:
    """Export traces while the context lasts, if the environment of this process asks for it.

    What it asks for and cannot have is told in the log: nobody is left without
    the bot because of its traces.
    """
    if not wants_traces(environ):
        yield
        return
    protocol = next((spoken for name in _PROTOCOLS if (spoken := environ.get(name))), _SPOKEN)
    if "otlp" not in _exporters(environ):
        log.warning("traces_not_exported", why=_NOT_KNOWN, given=environ["OTEL_TRACES_EXPORTER"])
        yield
        return
    if protocol != _SPOKEN:
        log.warning("traces_not_exported", why=_NOT_SPOKEN, given=protocol)
        yield
        return
    # What it cannot read of the headers it would quote, and headers hold passwords.
    logging.getLogger("opentelemetry.util.re").setLevel(logging.ERROR)
    try:
        # A propagator that is not installed is refused by the import already.
        from bot.telemetry.otel import OpenTelemetry  # noqa: PLC0415 (14 MB that only traces need)

        engine = OpenTelemetry()
    except ValueError as error:
        log.warning("traces_not_exported", why=str(error))
        yield
        return
    # Each of its tries would be a warning; that the last one failed is an error.
    for noisy in ("opentelemetry", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    tracing.use_engine(engine)
    log.info("traces_exported")
    try:
        yield
    finally:
        tracing.use_engine(None)
        engine.close()


def _exporters(environ: Mapping[str, str]) -> set[str]:
    named = environ.get("OTEL_TRACES_EXPORTER", "").split(",")
    return {name.strip() for name in named if name.strip()} or {"otlp"}
