"""The webhook over real HTTP, on both databases."""

from contextlib import asynccontextmanager

import aiohttp
import pytest
from sqlalchemy import text
from yarl import URL

from bot.alerts.inbox.model import DeliveryState
from bot.alerts.inbox.service import Inbox
from bot.alerts.inbox.web import Webhooks
from bot.web.server import WebServer
from bot.web.settings import WebSettings
from tests.support.clock import ManualClock
from tests.support.deliveries import states, stored

PATH = "/webhooks/alertmanager"


@pytest.fixture
def unknown():
    """The sources that were reported."""
    return []


@pytest.fixture
def serve(database, unknown):
    @asynccontextmanager
    async def opened(*sources: str):
        inbox = Inbox(database, ManualClock(), wake=lambda: None)
        webhooks = Webhooks(inbox, sources=lambda: sources, unknown_source=unknown.append)
        settings = WebSettings(host="127.0.0.1", port=0, tokens=("t",), max_body_mib=1)
        server = WebServer(settings, webhooks.routes, too_large=lambda *_: None)
        headers = {"Authorization": "Bearer t", "User-Agent": "Alertmanager/0.28.0"}
        async with (
            inbox,
            server,
            aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", headers=headers) as client,
        ):
            yield client

    return opened


async def test_a_committed_delivery_is_answered_with_its_id(serve, database):
    async with serve("main") as client, client.post(PATH, json={"version": "4"}) as answer:
        assert answer.status == 200
        delivery = await stored(database, (await answer.json())["id"])
    assert delivery.body == b'{"version": "4"}'
    assert delivery.source == "main"
    assert delivery.progress.content_type == "application/json"
    assert delivery.progress.user_agent == "Alertmanager/0.28.0"


@pytest.mark.parametrize("body", [b"", b"not json", b"[" * 100_000, b"\x00\xff", b'{"version":"9"}'])
async def test_an_odd_body_is_kept_and_answered_200(serve, database, body):
    async with serve("main") as client, client.post(PATH, data=body) as answer:
        assert answer.status == 200
        delivery = await stored(database, (await answer.json())["id"])
    assert delivery.body == body
    assert delivery.progress.state is DeliveryState.PENDING


async def test_nothing_is_answered_200_that_was_not_committed(serve, database):
    async with serve("main") as client:
        async with database.transaction() as tx:
            await tx.execute(text("ALTER TABLE delivery RENAME TO away"))
        async with client.post(PATH, json={}) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "5"


async def test_wrong_credentials_store_nothing(serve, database):
    headers = {"Authorization": "Bearer wrong"}
    async with serve("main") as client, client.post(PATH, json={}, headers=headers) as answer:
        assert answer.status == 401
    assert await states(database) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [(PATH, "main"), (PATH + "/", "main"), (PATH + "/main", "main"), (PATH + "/edge", "edge")],
)
async def test_the_path_names_the_source_and_without_a_name_it_is_the_first(
    serve, database, unknown, path, source
):
    async with serve("main", "edge") as client, client.post(path, json={}) as answer:
        assert (await stored(database, (await answer.json())["id"])).source == source
    assert unknown == []


async def test_without_any_alertmanager_configured_a_delivery_is_accepted(serve, database, unknown):
    async with serve() as client, client.post(PATH, json={}) as answer:
        assert (await stored(database, (await answer.json())["id"])).source == "alertmanager"
    assert unknown == []


async def test_an_unknown_source_is_accepted_and_reported_once(serve, database, unknown):
    async with serve("main") as client:
        for _ in range(3):
            async with client.post(PATH + "/lab", json={}) as answer:
                assert answer.status == 200
    assert unknown == ["lab"]
    assert len(await states(database)) == 3


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("%00%0a", "__"),
        ("a%20b", "a_b"),
        ("%F0%9F%94%A5", "_"),
        ("x" * 300, "x" * 63),
        ("@everyone", "_everyone"),
    ],
)
async def test_an_odd_name_of_a_source_is_made_fit_to_be_stored_and_shown(serve, database, name, source):
    async with serve("main") as client:
        url = URL(f"{client._base_url}/webhooks/alertmanager/{name}", encoded=True)
        async with client.post(url, json={}) as answer:
            assert (await stored(database, (await answer.json())["id"])).source == source


async def test_odd_headers_are_stored_as_far_as_they_fit(serve, database):
    headers = {"User-Agent": "ü" * 500, "Content-Type": "text/plain"}
    async with serve("main") as client, client.post(PATH, data=b"x", headers=headers) as answer:
        progress = (await stored(database, (await answer.json())["id"])).progress
    assert progress.user_agent == "ü" * 200
    assert progress.content_type == "text/plain"


@pytest.mark.parametrize("prefix", [PATH, f"{PATH}/main"])
async def test_what_a_prometheus_posts_that_takes_us_for_an_alertmanager_is_kept(serve, database, prefix):
    async with serve("main") as client, client.post(f"{prefix}/api/v2/alerts", json=[]) as answer:
        assert answer.status == 200
        assert (await stored(database, (await answer.json())["id"])).source == "main"
