"""Metrics that are sent: the same as those that are fetched, under the same names."""

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bot.telemetry.exporting import exporting
from bot.telemetry.metrics import BUILD_INFO, REGISTRY
from bot.telemetry.otel_metrics import translated
from tests.support.collector import a_collector, seconds_to_end, sending


@pytest.fixture
def registry():
    made = CollectorRegistry()
    counter = Counter("seen", "What was seen.", ["by"], registry=made)
    counter.labels("ada").inc(2)
    counter.labels("bob").inc()
    Gauge("waiting", "What waits.", registry=made).set(7)
    took = Histogram("took_seconds", "How long.", ["what"], buckets=(1, 5), registry=made)
    for seconds in (0.5, 0.5, 3, 30):
        took.labels("it").observe(seconds)
    Gauge("never_told", "No series yet.", ["by"], registry=made)
    return made


def by_name(registry):
    return {each.name: each for each in translated(registry.collect(), began=1, now=2)}


def test_a_counter_keeps_its_name_in_prometheus(registry):
    found = by_name(registry)["seen_total"]
    assert found.data.is_monotonic
    assert {point.attributes["by"]: point.value for point in found.data.data_points} == {"ada": 2, "bob": 1}
    assert (found.description, found.unit) == ("What was seen.", "")


def test_a_gauge_is_as_it_is(registry):
    [point] = by_name(registry)["waiting"].data.data_points
    assert (point.value, point.start_time_unix_nano, point.time_unix_nano) == (7, 1, 2)


def test_a_histogram_counts_each_value_in_one_bucket(registry):
    [point] = by_name(registry)["took_seconds"].data.data_points
    assert point.attributes == {"what": "it"}
    assert list(point.explicit_bounds) == [1.0, 5.0]
    assert list(point.bucket_counts) == [2, 1, 1]
    assert (point.count, point.sum) == (4, 34)


def test_what_has_no_series_is_not_sent(registry):
    assert by_name(registry).keys() == {"seen_total", "waiting", "took_seconds"}


def test_everything_that_can_be_fetched_is_sent():
    fetched = {
        family.name if family.type != "counter" else f"{family.name}_total"
        for family in text_string_to_metric_families(generate_latest(REGISTRY).decode())
        if family.samples and not family.name.endswith("_created")
    }
    assert by_name(REGISTRY).keys() == fetched


async def test_a_collector_gets_them_again_and_again(monkeypatch):
    BUILD_INFO.labels("1.2.3").set(1)
    async with a_collector() as collector:
        environ = collector.environ | {
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "50",
            "OTEL_TRACES_EXPORTER": "none",
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        async with sending(environ):
            metric = await collector.wait_for_metric("the_machine_build_info")
            collector.metrics.clear()
            assert await collector.wait_for_metric("the_machine_build_info")
    versions = {point.attributes[0].value.string_value for point in metric.gauge.data_points}
    assert "1.2.3" in versions
    assert collector.resource["service.name"] == "the-machine"
    assert collector.resource["deployment.environment"] == "test"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_METRIC_EXPORT_INTERVAL", "often")],
)
def test_what_cannot_be_had_is_told_and_stops_nobody(variable, value):
    environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1/v1/metrics", variable: value}
    with structlog.testing.capture_logs() as said, exporting(environ):
        pass
    [line] = said
    assert line["event"] == "metrics_not_exported"
    assert value in line["why"]


def test_a_collector_that_is_away_holds_the_end_up_for_seconds_only():
    environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1/v1/metrics"}
    assert seconds_to_end(environ) < 5
