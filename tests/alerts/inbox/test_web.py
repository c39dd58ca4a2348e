"""The webhook over real HTTP, on both databases."""

import gzip
import hashlib
import hmac
from contextlib import asynccontextmanager

import aiohttp
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from yarl import URL

from bot.alerts.inbox.model import DeliveryState, Kind
from bot.alerts.inbox.service import Inbox
from bot.alerts.inbox.web import Webhooks
from bot.web.server import WebServer
from bot.web.settings import WebSettings
from bot.web.signature import Signing
from tests.support.clock import ManualClock
from tests.support.deliveries import states, stored

PATH = "/webhooks/alertmanager"
GRAFANA = "/webhooks/grafana"
SIGNATURE = "X-Grafana-Alerting-Signature"
SIGNING = {
    "lab": Signing(secret=SecretStr("s3cret"), header=SIGNATURE),
    "edge": Signing(secret=SecretStr("other"), header=SIGNATURE, timestamp_header="X-Time"),
}


@pytest.fixture
def unknown():
    """The sources that were reported."""
    return []


@pytest.fixture
def serve(database, unknown):
    @asynccontextmanager
    async def opened(*sources: str, grafanas=("lab", "edge", "plain"), token="Bearer t"):
        inbox = Inbox(database, ManualClock(), wake=lambda: None)
        webhooks = Webhooks(
            inbox,
            sources=lambda kind: sources if kind is Kind.ALERTMANAGER else grafanas,
            unknown_source=lambda _kind, source: unknown.append(source),
            signing=SIGNING.get,
        )
        settings = WebSettings(host="127.0.0.1", port=0, tokens=("t",), max_body_mib=1)
        server = WebServer(settings, webhooks.routes, too_large=lambda *_: None, clock=ManualClock())
        headers = {"Authorization": token, "User-Agent": "Alertmanager/0.28.0"}
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


@pytest.mark.parametrize("prefix", ["", PATH, f"{PATH}/main"])
async def test_what_a_prometheus_posts_that_takes_us_for_an_alertmanager_is_kept(serve, database, prefix):
    async with serve("main") as client, client.post(f"{prefix}/api/v2/alerts", json=[]) as answer:
        assert answer.status == 200
        assert (await stored(database, (await answer.json())["id"])).source == "main"


def signed(body: bytes, *, secret: str = "s3cret", seconds: str | None = None) -> dict[str, str]:
    """Sign a body as Grafana does."""
    prefix = f"{seconds}:".encode() if seconds is not None else b""
    digest = hmac.new(secret.encode(), prefix + body, hashlib.sha256).hexdigest()
    return {SIGNATURE: digest, **({"X-Time": seconds} if seconds is not None else {})}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("path", "source"), [(GRAFANA, "lab"), (f"{GRAFANA}/", "lab"), (f"{GRAFANA}/edge", "edge")]
)
async def test_grafana_may_post_or_put_to_an_address_of_its_own(serve, database, method, path, source):
    async with serve("main") as client, client.request(method, path, json={"version": "1"}) as answer:
        assert answer.status == 200
        progress = (await stored(database, (await answer.json())["id"])).progress
    assert (progress.kind, progress.source) == (Kind.GRAFANA, source)


async def test_without_any_grafana_configured_its_delivery_is_accepted(serve, database, unknown):
    async with serve("main", grafanas=()) as client, client.post(GRAFANA, json={}) as answer:
        assert (await stored(database, (await answer.json())["id"])).source == "grafana"
    assert unknown == []


async def test_the_name_of_an_alertmanager_is_unknown_as_a_grafana(serve, unknown):
    async with serve("main") as client:
        for path in (f"{GRAFANA}/main", f"{PATH}/lab"):
            async with client.post(path, json={}) as answer:
                assert answer.status == 200
    assert unknown == ["main", "lab"]


async def test_a_signature_is_as_good_as_a_token(serve, database):
    body = b'{"version":"1"}'
    async with serve("main", token="") as client:
        async with client.post(GRAFANA, data=body, headers=signed(body)) as answer:
            assert answer.status == 200
            assert (await stored(database, (await answer.json())["id"])).body == body
        async with client.put(f"{GRAFANA}/lab", data=b"", headers=signed(b"")) as answer:
            assert answer.status == 200


async def test_a_token_is_enough_where_a_signature_could_be_shown(serve):
    async with (
        serve("main") as client,
        client.post(GRAFANA, json={}, headers={SIGNATURE: "0" * 64}) as answer,
    ):
        assert answer.status == 200


async def test_what_is_signed_is_the_body_on_the_wire(serve, database):
    packed = gzip.compress(b'{"version":"1"}')
    headers = {**signed(packed), "Content-Encoding": "gzip"}
    async with (
        serve("main", token="") as client,
        client.post(GRAFANA, data=packed, headers=headers) as answer,
    ):
        assert answer.status == 200
        assert (await stored(database, (await answer.json())["id"])).body == b'{"version":"1"}'


@pytest.mark.parametrize("path", [PATH, f"{GRAFANA}/plain", f"{GRAFANA}/edge", f"{GRAFANA}/nobody"])
async def test_a_signature_of_one_grafana_opens_no_other_address(serve, database, path):
    async with (
        serve("main", token="") as client,
        client.post(path, data=b"x", headers=signed(b"x")) as answer,
    ):
        assert answer.status == 401
    assert await states(database) == []


@pytest.mark.parametrize("away", [-301, -300, 0, 300, 301])
async def test_an_old_delivery_cannot_be_sent_again_where_the_time_is_signed(serve, away):
    seconds = str(int(ManualClock().now().timestamp()) + away)
    headers = signed(b"x", secret="other", seconds=seconds)
    address = f"{GRAFANA}/edge"
    async with serve("main", token="") as client, client.post(address, data=b"x", headers=headers) as answer:
        assert answer.status == (200 if abs(away) <= 300 else 401)
