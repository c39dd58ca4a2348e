"""Sends the metrics to a collector by OTLP, where nobody scrapes them; imported only where that is wanted.

What is sent is what `/metrics` shows: the registry stays the one place where
anything is counted.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

from bot.version import VERSION

_TOTAL = AggregationTemporality.CUMULATIVE
_FLUSH_SECONDS = 3.0
_UNBOUNDED = "+Inf"


class MetricsSender:
    """Sends everything in a registry again and again, in a thread of its own."""

    def __init__(self, registry: CollectorRegistry, resource: Resource, *, every_seconds: float) -> None:
        """Read the environment and begin; the first sending is after the first interval."""
        self._registry = registry
        self._resource = resource
        self._every = every_seconds
        self._began = time.time_ns()
        self._exporter = OTLPMetricExporter()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send once more; a collector that is away is not waited for long."""
        self._ending.set()
        self._thread.join(_FLUSH_SECONDS)

    def _run(self) -> None:
        while not self._ending.wait(self._every):
            self._send()
        self._send()
        self._exporter.shutdown()

    def _send(self) -> None:
        scope = ScopeMetrics(
            scope=InstrumentationScope("the-machine", VERSION),
            metrics=list(translated(self._registry.collect(), began=self._began, now=time.time_ns())),
            schema_url="",
        )
        # What goes wrong is logged by the exporter itself.
        self._exporter.export(
            MetricsData([ResourceMetrics(resource=self._resource, scope_metrics=[scope], schema_url="")])
        )


def translated(families: Iterable[Family], *, began: int, now: int) -> Iterator[Metric]:
    """Return metrics of Prometheus as those of OpenTelemetry, which lead to the same names in Prometheus."""
    for family in families:
        if not family.samples:
            continue
        data: Sum | Gauge | Histogram
        name = family.name
        if family.type == "counter":
            name = f"{family.name}_total"
            totals = [sample for sample in family.samples if sample.name == name]
            data = Sum([_number(sample, began, now) for sample in totals], _TOTAL, is_monotonic=True)
        elif family.type == "histogram":
            data = Histogram(list(_distributions(family, began, now)), _TOTAL)
        else:
            data = Gauge([_number(sample, began, now) for sample in family.samples])
        # A unit would become a part of the name once more.
        yield Metric(name=name, description=family.documentation, unit="", data=data)


def _number(sample: Sample, began: int, now: int) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=dict(sample.labels), start_time_unix_nano=began, time_unix_nano=now, value=sample.value
    )


def _distributions(family: Family, began: int, now: int) -> Iterator[HistogramDataPoint]:
    for labels, samples in _by_labels(family.samples):
        ending = {sample.name.removeprefix(f"{family.name}_"): sample.value for sample in samples}
        buckets = [(s.labels["le"], s.value) for s in samples if s.name.endswith("_bucket")]
        reached = [int(count) for _, count in buckets]
        yield HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=began,
            time_unix_nano=now,
            count=int(ending["count"]),
            sum=ending["sum"],
            bucket_counts=[after - before for before, after in zip([0, *reached], reached, strict=False)],
            explicit_bounds=[float(bound) for bound, _ in buckets if bound != _UNBOUNDED],
            # Prometheus keeps neither of them.
            min=None,  # type: ignore[arg-type]  # In the protocol both are optional.
            max=None,  # type: ignore[arg-type]
        )


def _by_labels(samples: Iterable[Sample]) -> Iterable[tuple[tuple[tuple[str, str], ...], list[Sample]]]:
    grouped: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        labels: Mapping[str, str] = sample.labels
        own = tuple((name, value) for name, value in labels.items() if name != "le")
        grouped.setdefault(own, []).append(sample)
    return grouped.items()
