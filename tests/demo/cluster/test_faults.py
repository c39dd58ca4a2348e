"""Whatever was seen to go wrong with an API server can be made to."""

import asyncio
import time

import aiohttp
import pytest

from bot.demo.cluster import faults
from bot.demo.cluster.watching import StreamingLists
from tests.support.api_contract import STREAMING, an_application, create


@pytest.mark.parametrize(
    ("fault", "status", "begins"),
    [
        (faults.UNAUTHORIZED, 401, b'{"kind":"Status"'),
        (faults.FORBIDDEN_PRETTY, 403, b'{\n  "kind": "Status"'),
        (faults.NOT_INSTALLED, 404, b"404 page not found"),
        (faults.EXPIRED, 410, b'{"kind":"Status"'),
        (faults.SERVER_ERROR, 500, b'{"kind":"Status"'),
        (faults.BAD_GATEWAY, 502, b"<html>"),
        (faults.UNAVAILABLE, 503, b'{"kind":"Status"'),
        (faults.EMPTY, 200, b""),
    ],
)
async def test_a_request_is_answered_wrongly_once(server, api, fault, status, begins):
    server.faults.add(fault, verb="list", resource="applications")
    assert (await api.get("/api/v1/pods")).status == 200
    reply = await api.get(api.apps())
    assert reply.status == status
    assert reply.raw.startswith(begins)
    assert bool(reply.raw) is bool(begins)
    assert (await api.get(api.apps())).status == 200


async def test_too_many_requests_say_how_long_to_wait(server, api):
    server.faults.add(faults.too_many(7))
    reply = await api.get(api.apps())
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")


async def test_a_fault_stays_until_it_is_taken_back(server, api):
    script = server.faults.add(faults.SERVER_ERROR, times=None)
    for _ in range(3):
        assert (await api.get(api.apps())).status == 500
    server.faults.remove(script)
    assert (await api.get(api.apps())).status == 200
    assert script.hits == 3


async def test_a_write_can_be_done_and_its_answer_lost(server, api):
    await create(api, "shop")
    server.faults.add(faults.DROP, verb="patch", after_commit=True)
    with pytest.raises(aiohttp.ClientError):
        await api.merge(api.apps("shop"), {"metadata": {"annotations": {"a": "1"}}})
    assert server.get("Application", "argocd", "shop")["metadata"]["annotations"] == {"a": "1"}


async def test_a_write_that_is_dropped_is_not_done(server, api):
    await create(api, "shop")
    server.faults.add(faults.DROP, verb="patch")
    with pytest.raises(aiohttp.ClientError):
        await api.merge(api.apps("shop"), {"metadata": {"annotations": {"a": "1"}}})
    assert "annotations" not in server.get("Application", "argocd", "shop")["metadata"]


async def test_a_body_can_end_in_the_middle(server, api):
    await create(api, "shop")
    server.faults.add(faults.cut_mid_line(), verb="list")
    with pytest.raises((aiohttp.ClientError, OSError)):
        await api.get(api.apps())


async def test_an_answer_can_be_late(server, api):
    server.faults.add(faults.slow(0.2))
    before = time.monotonic()
    assert (await api.get(api.apps())).status == 200
    assert time.monotonic() - before >= 0.2


async def test_an_answer_can_stay_away(server, api):
    server.faults.add(faults.HANG)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await api.get(api.apps())


async def test_a_watch_can_be_refused_as_a_line(server, api):
    server.faults.add(faults.EXPIRED_LINE, verb="watch")
    async with api.watch(api.apps()) as lines:
        assert lines.response.status == 200
        assert (await lines.next())["object"]["code"] == 410
        assert await lines.next() is None


async def test_a_watch_can_be_cut_inside_a_line(server, api):
    for name in "abc":
        await create(api, name)
    server.faults.add(faults.cut_mid_line(after=2), verb="watch")
    async with api.watch(api.apps(), **STREAMING) as lines:
        assert await lines.next_change() == ("ADDED", "a")
        assert await lines.next_change() == ("ADDED", "b")
        with pytest.raises((aiohttp.ClientError, OSError)):
            await lines.response.content.readline()


async def test_a_watch_can_stop_telling(server, api):
    for name in "ab":
        await create(api, name)
    server.faults.add(faults.stall(after=1), verb="watch")
    async with api.watch(api.apps(), **STREAMING) as lines:
        assert await lines.next_change() == ("ADDED", "a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await lines.next()


async def test_open_watches_can_be_ended_expired_and_cut(server, api):
    async with api.watch(api.apps(), **STREAMING) as lines:
        await lines.next()
        server.watches.end("applications")
        assert await lines.next() is None
    async with api.watch(api.apps(), **STREAMING) as lines:
        await lines.next()
        server.watches.expire("applications")
        assert (await lines.next())["object"]["code"] == 410
    async with api.watch(api.apps(), **STREAMING) as lines:
        await lines.next()
        assert server.watches.count("applications") == 1
        await server.watches.cut("applications", mid_line=True)
        with pytest.raises((aiohttp.ClientError, OSError)):
            await lines.response.content.readline()
    await server.wait_until(lambda: server.watches.count() == 0)


async def test_an_open_watch_can_hang(server, api):
    async with api.watch(api.apps(), **STREAMING) as lines:
        await lines.next()
        server.watches.stall()
        server.put("Application", an_application("shop", namespace="argocd"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await lines.next()


async def test_during_an_outage_nobody_is_there(server, api):
    await create(api, "shop")
    async with api.watch(api.apps(), **STREAMING) as lines:
        await lines.next()
        async with server.outage():
            with pytest.raises((aiohttp.ClientError, OSError)):
                await asyncio.wait_for(lines.rest(), 5)
            with pytest.raises(aiohttp.ClientConnectorError):
                await api.get(api.apps("shop"))
    assert (await api.get(api.apps("shop"))).status == 200


async def test_forgotten_history_ends_pages_and_old_watches(server, api):
    for name in "abc":
        await create(api, name)
    first = (await api.get(api.apps(), limit="1")).json["metadata"]
    server.advance()
    server.forget_history()
    reply = await api.get(api.apps(), limit="1", **{"continue": first["continue"]})
    assert (reply.status, reply.json["reason"]) == (410, "Expired")
    async with api.watch(api.apps(), resourceVersion=first["resourceVersion"]) as lines:
        assert (await lines.next())["object"]["code"] == 410


async def test_a_version_of_the_future_is_too_large(server, api):
    future = str(server.version + 1000)
    reply = await api.get(api.apps(), resourceVersion=future, resourceVersionMatch="NotOlderThan")
    assert (reply.status, reply.json["reason"]) == (504, "Timeout")


async def test_streaming_lists_can_be_refused(server, api):
    server.streaming_lists = StreamingLists.REFUSED
    reply = await api.get(api.apps(), watch="true", **STREAMING)
    assert reply.status == 422
    assert "WatchList feature gate" in reply.message


async def test_an_old_server_never_says_where_the_state_ends(server, api):
    server.streaming_lists = StreamingLists.UNKNOWN
    server.bookmark_seconds = 0.05
    await create(api, "shop")
    async with api.watch(api.apps(), **STREAMING) as lines:
        assert await lines.next_change() == ("ADDED", "shop")
        bookmark = await lines.next()
        assert bookmark["type"] == "BOOKMARK"
        assert "annotations" not in bookmark["object"]["metadata"]


async def test_bookmarks_follow_the_versions_of_other_kinds(server, api):
    server.bookmark_seconds = 0.05
    async with api.watch(api.apps(), **STREAMING) as lines:
        await lines.next()
        server.advance(5)
        bookmark = await lines.next()
        assert bookmark["object"]["metadata"]["resourceVersion"] == str(server.version)


async def test_an_uninstalled_kind_ends_its_watches_and_is_not_found(server, api):
    kind = server.kinds.get("Application")
    async with api.watch(api.apps(), **STREAMING) as lines:
        await lines.next()
        server.uninstall("Application")
        assert await lines.next() is None
    assert (await api.get(api.apps())).raw == b"404 page not found\n"
    names = [each["name"] for each in (await api.get("/apis/argoproj.io/v1alpha1")).json["resources"]]
    assert "applications" not in names
    server.install(kind)
    assert (await api.get(api.apps())).json["items"] == []


async def test_what_python_puts_must_fit_the_schema(server):
    body = an_application("shop", namespace="argocd")
    del body["spec"]["project"]
    with pytest.raises(ValueError, match=r"spec\.project: Required value"):
        server.put("Application", body)
