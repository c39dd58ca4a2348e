"""What Kubernetes and Prometheus ask: alive, ready, metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bot.core.errors import MachineError
from bot.telemetry.metrics import REGISTRY
from bot.web.server import Route, json_answer

Check = Callable[[], Awaitable[None]]
"""Returns when all is well; raises a `MachineError` that says what is wrong."""

_FINE = "ok"


def health_routes(
    checks: Mapping[str, Check],
    *,
    within: timedelta = timedelta(seconds=1),
    registry: CollectorRegistry = REGISTRY,
) -> tuple[Route, ...]:
    """Give the routes that need no token; `within` bounds each check of readiness.

    The checks say whether alerts can be accepted. Discord is no such check:
    without it Alertmanager must still find us.
    """

    async def livez(_request: web.Request) -> web.Response:
        return json_answer({"alive": True})

    async def readyz(_request: web.Request) -> web.Response:
        answers = await asyncio.gather(*(_outcome(check, within) for check in checks.values()))
        ready = all(answer == _FINE for answer in answers)
        told = {"ready": ready, "checks": dict(zip(checks, answers, strict=True))}
        return json_answer(told, status=200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return (
        Route("GET", "/livez", livez, authenticated=False),
        Route("GET", "/readyz", readyz, authenticated=False),
        Route("GET", "/metrics", metrics, authenticated=False),
    )


async def _outcome(check: Check, within: timedelta) -> str:
    try:
        async with asyncio.timeout(within.total_seconds()):
            await check()
    except TimeoutError:
        return f"no answer within {within.total_seconds():g} s"
    except MachineError as error:
        return str(error)
    return _FINE
