"""What the probes are told."""

import asyncio
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter

from bot.core.errors import UnavailableError
from bot.web.health import health_routes

NO_TOKEN = {"Authorization": ""}


async def fine() -> None:
    """Say that all is well."""


async def down() -> None:
    raise UnavailableError("the database does not answer")


async def hanging() -> None:
    await asyncio.Event().wait()


async def asked(serve, path: str, checks, **options):
    async with (
        serve(*health_routes(checks, **options)) as (_, client),
        client.get(path, headers=NO_TOKEN) as answer,
    ):
        return answer.status, await answer.json()


async def test_alive_means_the_event_loop_and_nothing_else(serve):
    assert await asked(serve, "/livez", {"database": down}) == (200, {"alive": True})


async def test_ready_when_every_check_is_fine(serve):
    told = {"ready": True, "checks": {"database": "ok", "inbox": "ok"}}
    assert await asked(serve, "/readyz", {"database": fine, "inbox": fine}) == (200, told)


async def test_not_ready_says_which_check_and_why(serve):
    told = {"ready": False, "checks": {"database": "the database does not answer", "inbox": "ok"}}
    assert await asked(serve, "/readyz", {"database": down, "inbox": fine}) == (503, told)


async def test_a_check_that_hangs_is_not_waited_for(serve):
    status, told = await asked(serve, "/readyz", {"database": hanging}, within=timedelta(milliseconds=20))
    assert status == 503
    assert told["checks"] == {"database": "no answer within 0.02 s"}


async def test_metrics_are_given_as_prometheus_reads_them(serve):
    registry = CollectorRegistry()
    Counter("the_machine_test", "A test.", registry=registry).inc()
    async with (
        serve(*health_routes({}, registry=registry)) as (_, client),
        client.get("/metrics", headers=NO_TOKEN) as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert "the_machine_test_total 1.0" in await answer.text()
