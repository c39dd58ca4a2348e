"""One alert is one trace: from the sender's request to the message in Discord, through the database."""

import pytest

from tests.support.alerts import a_body, an_entry
from tests.support.collector import a_collector
from tests.support.ports import free_port
from tests.support.running import TOKEN, a_process, a_town, post, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
async def collector():
    async with a_collector() as made:
        yield made


def fires(name):
    return a_body(an_entry(name, severity="critical"), group_labels={"alertname": name})


def whole_way(spans):
    """From the message back to where its trace began; None: not all of it was exported yet."""
    by_id = {span.id: span for span in spans}
    way = [
        span
        for span in spans
        if span.name == "POST discord" and span.attributes["url.path"].endswith("/messages")
    ]
    while way and way[-1].parent in by_id:
        way.append(by_id[way[-1].parent])
    return way if way and way[-1].parent == "" else None


async def test_from_the_webhook_to_the_message(town, collector, database_url, tmp_path):
    port = free_port()
    config = write(tmp_path, town.configuration(database_url, port=port))
    async with a_process(config, port=port, environ=collector.environ) as process:
        await post(port, fires("One"))
        await town.see("One")
        way = await collector.wait_for(whole_way)
        posted = way[0]
        assert [span.name for span in way] == [
            "POST discord",
            "deliver card",
            "apply delivery",
            "POST /webhooks/alertmanager",
        ]
        assert way[1].attributes["kind"] == "incident"
        assert way[2].attributes["outcome"] == "applied"
        await collector.wait_for(
            lambda spans: any(span.name == "commit delivery" and span.trace == posted.trace for span in spans)
        )
        assert process.errors() == []
        # What the person does is a trace of its own, that ends in the edit of the card.
        card = await town.see("One")
        ack = next(name for name in card.custom_ids if name.startswith("tm:ack:"))
        await town.server.click(card, ack, town.ada)
        await town.see("One", "cknowledged")
        edited = await collector.wait_for(
            lambda spans: next((span for span in spans if span.name == "PATCH discord"), None)
        )
        # Those around it end, and are exported, after it.
        around = {"interaction ack", "deliver card", "PATCH discord"}
        await collector.wait_for(
            lambda spans: around <= {span.name for span in spans if span.trace == edited.trace}
        )
        assert edited.trace != posted.trace
        await post(port, fires("Two"), path="/webhooks/alertmanager/unheard-of")
        assert await process.terminate() == 0
    # Nothing that would be a key is on its way to the collector.
    for secret in (TOKEN, town.server.token):
        assert secret.encode() not in collector.raw
    assert not any(
        "/callback" in str(span.attributes.get("url.path")) and "redacted" not in span.attributes["url.path"]
        for span in collector.spans
    )
    [warned] = [line for line in process.lines if line["event"] == "source_unknown"]
    assert warned["traceId"] in {
        span.trace for span in collector.spans if span.name == "POST /webhooks/alertmanager/{source}"
    }


async def test_a_command_is_named(town, collector, sqlite_url, tmp_path):
    port = free_port()
    config = write(tmp_path, town.configuration(sqlite_url, port=port))
    async with a_process(config, port=port, environ=collector.environ):
        await town.server.wait_ready(20)
        await town.server.slash("machine", "about", user=town.ada, channel=town.channels["alerts"])
        await town.server.slash("machine", "about", user=town.guest, channel=town.channels["alerts"])

        def both(spans):
            found = [span for span in spans if span.name == "interaction machine about"]
            return found if len(found) == 2 else None

        [answered, refused] = await collector.wait_for(both)
        assert not answered.failed
        assert refused.attributes["outcome"] == "NotAllowedError"
