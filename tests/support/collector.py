"""A collector of traces on loopback: takes what is sent by OTLP over HTTP, as Alloy or Tempo does."""

import asyncio
import contextlib
import gzip
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from bot.telemetry.exporting import exporting


@dataclass(frozen=True)
class Span:
    """One span, as it was received."""

    name: str
    trace: str
    id: str
    parent: str
    """Empty: it is a root."""
    kind: int
    failed: bool
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


class Collector:
    """What was received so far."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: dict[str, Any] = {}
        """The last of each name, as it was sent."""
        self.resource: Mapping[str, Any] = {}
        self.raw = b""
        self.port = 0
        self.authorization: str | None = None
        self._changed = asyncio.Condition()

    @property
    def environ(self) -> dict[str, str]:
        """What sends traces here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20c2VjcmV0",
        }

    async def wait_for_metric(self, name: str, within: float = 10.0) -> Any:
        """Wait for a metric; gives it as it was sent."""
        async with asyncio.timeout(within), self._changed:
            while name not in self.metrics:
                await self._changed.wait()
        return self.metrics[name]

    async def wait_for(self, found: Callable[[list[Span]], Any], within: float = 10.0) -> Any:
        """Wait until something is found among the spans; gives it."""
        try:
            async with asyncio.timeout(within), self._changed:
                while not (there := found(self.spans)):
                    await self._changed.wait()
        except TimeoutError:
            names = "\n".join(f"{span.trace[:6]} {span.parent or '-':>16} {span.name}" for span in self.spans)
            raise AssertionError(f"not among\n{names}") from None
        return there

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.authorization = request.headers.get("Authorization")
        taken = ExportTraceServiceRequest.FromString(body)
        async with self._changed:
            self.raw += body
            self.spans += [
                Span(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    kind=span.kind,
                    failed=span.status.code == 2,
                    attributes=_values(span.attributes),
                    resource=_values(resource.resource.attributes),
                )
                for resource in taken.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
            self._changed.notify_all()
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    async def _take_metrics(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        async with self._changed:
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resource = _values(resource.resource.attributes)
                self.metrics |= {
                    metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics
                }
            self._changed.notify_all()
        answer = ExportMetricsServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextlib.asynccontextmanager
async def a_collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector._take)
    app.router.add_post("/v1/metrics", collector._take_metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.port = runner.addresses[0][1]
    try:
        yield collector
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def sending(environ: Mapping[str, str]) -> AsyncIterator[None]:
    """Export as `exporting` does; its end waits beside the event loop, in which a collector has to answer."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(exporting(environ))
        try:
            yield
        finally:
            await asyncio.to_thread(stack.close)


def seconds_to_end(environ: Mapping[str, str]) -> float:
    """How long a process that has something to send takes to end, once it is to."""
    code = (
        "import os, time\n"
        "from bot.telemetry import tracing\n"
        "from bot.telemetry.exporting import exporting\n"
        "with exporting(os.environ):\n"
        "    with tracing.span('lost'):\n"
        "        pass\n"
        "    print(time.monotonic())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | environ
    )
    return time.monotonic() - float(done.stdout.splitlines()[-1])
