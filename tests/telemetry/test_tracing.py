"""Traces reach a collector as the standard variables say, and cost nothing without them."""

import asyncio
import io
import json
import os
import subprocess
import sys

import pytest
import structlog
from aiohttp import ClientSession, web

from bot.core.errors import NotFoundError
from bot.telemetry import tracing
from bot.telemetry.exporting import METRICS, TRACES
from bot.telemetry.logs import configure_logging
from bot.telemetry.requests import traced_requests
from tests.support.collector import a_collector, seconds_to_end, sending

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def collector():
    async with a_collector() as made:
        yield made


@pytest.fixture
async def exported(collector, monkeypatch):
    """Export to the collector; call it to have everything sent."""
    for name, value in collector.environ.items():
        monkeypatch.setenv(name, value)
    async with sending(collector.environ):
        yield collector


async def named(collector, name):
    return await collector.wait_for(lambda spans: next((span for span in spans if span.name == name), None))


async def test_what_is_done_inside_is_a_part_of_it(exported):
    with tracing.span("outer", tracing.Kind.SERVER, number=7):
        with tracing.span("inner"):
            stored = tracing.traceparent()
        with tracing.following(stored), tracing.span("later"):
            pass
    outer, inner, later = [await named(exported, name) for name in ("outer", "inner", "later")]
    assert (outer.parent, inner.parent, later.parent) == ("", outer.id, inner.id)
    assert {outer.trace, inner.trace, later.trace} == {stored.split("-")[1]}
    assert outer.attributes == {"number": 7}
    assert outer.resource["service.name"] == "the-machine"
    assert outer.resource["deployment.environment"] == "test"
    assert exported.authorization == "Basic c2VjcmV0"


async def test_the_name_of_the_service_can_be_set(collector, monkeypatch):
    environ = collector.environ | {"OTEL_SERVICE_NAME": "harold"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with sending(environ):
        with tracing.span("named"):
            pass
    assert (await named(collector, "named")).resource["service.name"] == "harold"


async def test_what_fails_says_so_and_a_refusal_is_no_failure(exported):
    for error in (KeyError("password=hunter2"), NotFoundError("there is no incident 7")):
        with pytest.raises(type(error)), tracing.span(type(error).__name__):
            raise error
    assert (await named(exported, "KeyError")).failed
    refused = await named(exported, "NotFoundError")
    assert not refused.failed
    assert refused.attributes["outcome"] == "refused"
    assert b"hunter2" not in exported.raw


async def test_secrets_are_taken_out_of_attributes(exported):
    path = "/api/v10/interactions/1136200000000000000/" + "aW50ZXJhY3Rpb24" * 3 + "/callback"
    with tracing.span("secret", **{"url.path": path, "token": "hunter2"}) as span:
        span.set(note="Bearer abcdefgh12345678")
    found = await named(exported, "secret")
    assert found.attributes["token"] == "[redacted]"
    assert "aW50ZXJhY3Rpb24" not in found.attributes["url.path"]
    assert found.attributes["note"] == "Bearer [redacted]"


async def test_a_sender_and_a_system_of_ours_are_parts_of_the_same_trace(exported):
    seen = []

    async def answer(request):
        seen.append(request.headers.get("traceparent"))
        return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with ClientSession(trace_configs=[traced_requests()]) as session:
        with tracing.arriving({"Traceparent": PARENT}), tracing.span("webhook", tracing.Kind.SERVER):
            await session.get(url)
        await session.get(url)
    await runner.cleanup()
    webhook, asked = await named(exported, "webhook"), await named(exported, "GET 127.0.0.1")
    assert webhook.trace == asked.trace == PARENT.split("-")[1]
    assert asked.parent == webhook.id
    assert asked.failed
    # Outside of a trace nothing is begun: a poll every few seconds is no news.
    assert seen == [f"00-{asked.trace}-{asked.id}-01", None]
    assert [span.name for span in exported.spans].count("GET 127.0.0.1") == 1


async def test_a_line_of_the_log_names_its_trace_where_loki_looks_for_it(exported):
    stream = io.StringIO()
    configure_logging("info", json=True, stream=stream)
    try:
        with tracing.span("logged"):
            trace, span, _ = tracing.ids()
            structlog.get_logger("a").info("inside")
        structlog.get_logger("a").info("outside")
        configure_logging("info", json=True, stream=stream, trace_key="trace_id")
        with tracing.span("again"):
            structlog.get_logger("a").info("other_key")
    finally:
        structlog.reset_defaults()
    inside, outside, other = stream.getvalue().splitlines()
    assert f'"traceId":"{trace}"' in inside
    assert json.loads(inside)["spanId"] == span
    assert "traceId" not in outside
    assert "trace_id" in json.loads(other)


async def test_tasks_beside_each_other_do_not_mix_their_traces(exported):
    async def work(number):
        with tracing.span(f"root {number}"):
            await asyncio.sleep(0.01)
            with tracing.span(f"leaf {number}"):
                await asyncio.sleep(0.01)

    await asyncio.gather(*map(work, range(5)))
    for number in range(5):
        root, leaf = await named(exported, f"root {number}"), await named(exported, f"leaf {number}")
        assert leaf.parent == root.id


def test_a_collector_that_is_away_holds_the_end_up_for_seconds_only():
    assert seconds_to_end({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) < 5


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://a:4318"}, False),
    ],
)
def test_the_standard_variables_turn_it_on(environ, wanted):
    assert TRACES.is_wanted(environ) is wanted


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, False),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_METRICS_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://a:4318/v1/metrics"}, True),
        (
            {
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://a:4318/v1/metrics",
                "OTEL_METRICS_EXPORTER": "none",
            },
            False,
        ),
    ],
)
def test_metrics_are_sent_only_where_they_are_asked_for_by_name(environ, wanted):
    assert METRICS.is_wanted(environ) is wanted


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "expected http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "expected otlp, or none"),
        ("OTEL_PROPAGATORS", "tracecontext,b3", "Propagator b3 not found"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a password alone", None),
        ("OTEL_TRACES_SAMPLER", "sometimes", "recognize sampler sometimes"),
        ("OTEL_TRACES_EXPORTER", "otlp,console", None),
    ],
)
def test_what_is_asked_for_and_cannot_be_had_is_told_and_stops_nobody(variable, value, said):
    code = (
        "import os\n"
        "from bot.telemetry.exporting import exporting\n"
        "from bot.telemetry.logs import configure_logging\n"
        "configure_logging('info', json=True)\n"
        "with exporting(os.environ):\n"
        "    print('runs')"
    )
    environ = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", variable: value}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout.strip() == "runs"
    told = [line for line in map(json.loads, done.stderr.splitlines()) if line["level"] != "info"]
    if said is None:
        assert told == []
    else:
        [line] = told
        assert said in line.get("why", line["event"])
    assert "a password alone" not in done.stderr


@pytest.mark.parametrize(
    ("sampler", "argument", "kept"),
    [("always_off", "", False), ("parentbased_traceidratio", "0", False), ("traceidratio", "1", True)],
)
async def test_what_is_sampled_is_said_by_the_standard_variables(
    collector, monkeypatch, sampler, argument, kept
):
    environ = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    for name, value in (collector.environ | environ).items():
        monkeypatch.setenv(name, value)
    async with sending(collector.environ | environ):
        with tracing.span("sampled"):
            assert tracing.traceparent().endswith("-01" if kept else "-00")
        if kept:
            assert await named(collector, "sampled")


def test_without_an_endpoint_nothing_is_imported():
    code = (
        "import sys, bot.app\n"
        "from bot.telemetry.exporting import exporting\n"
        "with exporting({}):\n"
        "    print([name for name in sys.modules if name.startswith(('opentelemetry', 'google'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
