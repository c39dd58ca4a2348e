"""Grafana's way through the whole app: signed instead of with a token, to a card of its own words."""

import hashlib
import hmac
import time

import aiohttp
import pytest

from tests.support.alerts import a_grafana_body, a_grafana_entry
from tests.support.running import a_town, an_app, write

pytestmark = pytest.mark.timeout(60)

SECRET = "a-secret-between-grafana-and-us"


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
def config(town, sqlite_url, tmp_path):
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    lab = {
        "name": "lab",
        "kind": "grafana",
        "urls": ["http://127.0.0.1:3000"],
        "hmac_secret_file": "secret",
        "hmac_timestamp_header": "X-Grafana-Alerting-Timestamp",
    }
    main = {"name": "main", "urls": ["http://127.0.0.1:9093"]}
    return write(tmp_path, town.configuration(sqlite_url, alertmanagers=[main, lab]))


async def put(port: int, body: bytes, *, age: float = 0.0, path: str = "/webhooks/grafana") -> int:
    """Send a body as Grafana does that signs it; return the status of the answer."""
    seconds = str(int(time.time() - age))
    signature = hmac.new(SECRET.encode(), f"{seconds}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Grafana-Alerting-Signature": signature, "X-Grafana-Alerting-Timestamp": seconds}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
        client.put(path, data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_a_signed_delivery_becomes_a_card_that_its_resolve_closes(town, config):
    firing = a_grafana_entry(instance="web-1", severity="critical")
    async with an_app(config) as app:
        assert await put(app.port, a_grafana_body(firing)) == 200
        card = await town.see("CRITICAL", "High CPU", "B=91.2 C=1", "/d/cpu")
        resolved = {**firing, "status": "resolved", "endsAt": "2026-11-21T12:10:00Z"}
        assert await put(app.port, a_grafana_body(resolved), path="/webhooks/grafana/lab") == 200
        assert await town.see("RESOLVED", "High CPU") is card
    town.assert_nothing_was_said_twice()


async def test_a_recorded_delivery_cannot_be_sent_again_later_nor_to_another_address(town, config):
    async with an_app(config) as app:
        assert await put(app.port, a_grafana_body(), age=600) == 401
        assert await put(app.port, a_grafana_body(), path="/webhooks/alertmanager") == 405
        assert await put(app.port, a_grafana_body(), path="/webhooks/grafana/other") == 401


async def test_a_rule_that_cannot_be_evaluated_has_a_card_that_says_so(town, config):
    blind = a_grafana_entry("DatasourceError", rulename="Disk full", annotations={"Error": "no such host"})
    async with an_app(config) as app:
        await put(app.port, a_grafana_body(blind))
        await town.see("WARNING · Grafana cannot evaluate Disk full", "no such host")
