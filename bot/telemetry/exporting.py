"""Turns traces, and metrics that are sent, on where the standard variables ask for them."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from bot.telemetry import tracing
from bot.telemetry.metrics import REGISTRY

log = structlog.get_logger(__name__)

_SPOKEN = "http/protobuf"
_NOT_SPOKEN = f"expected {_SPOKEN}, to a port that is 4318 as a rule, not 4317"


@dataclass(frozen=True, slots=True)
class Signal:
    """One of the things that OpenTelemetry knows how to send, and the variables about it."""

    name: str
    usual: str
    """The exporter where none is named."""

    def is_wanted(self, environ: Mapping[str, str]) -> bool:
        """Say whether the environment asks for it."""
        is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        return not is_off and self._exporters(environ) != {"none"} and bool(self._said(environ, "ENDPOINT"))

    def check(self, environ: Mapping[str, str]) -> None:
        """Look whether it can be had as the environment asks for it.

        Raises:
            ValueError: It cannot.
        """
        if "otlp" not in self._exporters(environ):
            given = environ[f"OTEL_{self.name}_EXPORTER"]
            raise ValueError(f"OTEL_{self.name}_EXPORTER: expected otlp, or none, and not {given}")
        protocol = self._said(environ, "PROTOCOL") or _SPOKEN
        if protocol != _SPOKEN:
            raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {_NOT_SPOKEN}; it is {protocol}")

    def _said(self, environ: Mapping[str, str], what: str) -> str:
        return environ.get(f"OTEL_EXPORTER_OTLP_{self.name}_{what}") or environ.get(
            f"OTEL_EXPORTER_OTLP_{what}", ""
        )

    def _exporters(self, environ: Mapping[str, str]) -> set[str]:
        named = environ.get(f"OTEL_{self.name}_EXPORTER", "").split(",")
        usual = "otlp" if environ.get(f"OTEL_EXPORTER_OTLP_{self.name}_ENDPOINT") else self.usual
        return {name.strip() for name in named if name.strip()} or {usual}


TRACES = Signal("TRACES", usual="otlp")
METRICS = Signal("METRICS", usual="none")
"""Only where they are asked for by name: as a rule Prometheus fetches them, and would have them twice."""


@contextmanager
def exporting(environ: Mapping[str, str]) -> Iterator[None]:
    """Send what the environment of this process asks for, while the context lasts.

    What it asks for and cannot have is told in the log: nobody is left without
    the bot because of its traces.
    """
    # What it cannot read of the headers it would quote, and headers hold passwords.
    logging.getLogger("opentelemetry.util.re").setLevel(logging.ERROR)
    with _traces(environ), _metrics(environ):
        yield


@contextmanager
def _traces(environ: Mapping[str, str]) -> Iterator[None]:
    if not TRACES.is_wanted(environ):
        yield
        return
    try:
        TRACES.check(environ)
        # A propagator that is not installed is refused by the import already.
        from bot.telemetry.otel import OpenTelemetry  # noqa: PLC0415 (14 MB that only traces need)

        engine = OpenTelemetry()
    except ValueError as error:
        log.warning("traces_not_exported", why=str(error))
        yield
        return
    _quieter()
    tracing.use_engine(engine)
    log.info("traces_exported")
    try:
        yield
    finally:
        tracing.use_engine(None)
        engine.close()


@contextmanager
def _metrics(environ: Mapping[str, str]) -> Iterator[None]:
    if not METRICS.is_wanted(environ):
        yield
        return
    try:
        METRICS.check(environ)
        every = int(environ.get("OTEL_METRIC_EXPORT_INTERVAL") or 60_000) / 1000
        from bot.telemetry.otel import what_we_are  # noqa: PLC0415
        from bot.telemetry.otel_metrics import MetricsSender  # noqa: PLC0415

        sender = MetricsSender(REGISTRY, what_we_are(), every_seconds=every)
    except ValueError as error:
        log.warning("metrics_not_exported", why=str(error))
        yield
        return
    _quieter()
    log.info("metrics_exported", every=every)
    try:
        yield
    finally:
        sender.close()


def _quieter() -> None:
    """Each try to send would be a warning; that the last one failed is an error."""
    for noisy in ("opentelemetry", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
