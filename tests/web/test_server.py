"""The server as a sender sees it, over real HTTP."""

import asyncio
import gzip
import io
import json
import zlib
from datetime import timedelta

import aiohttp
import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from bot.core.errors import UnavailableError
from bot.telemetry.metrics import HTTP_REFUSALS
from bot.web.body import read_body
from bot.web.server import Route, WebServer, json_answer
from bot.web.settings import WebSettings

MIB = 2**20


async def test_a_posted_body_reaches_its_handler(serve):
    async with serve() as (_, client), client.post("/hook", data=b"hello") as answer:
        assert answer.status == 200
        assert await answer.json() == {"size": 5}


async def test_an_empty_body_is_a_body(serve):
    async with serve() as (_, client), client.post("/hook") as answer:
        assert await answer.json() == {"size": 0}


async def test_without_a_valid_token_nothing_is_handled(serve):
    handled = []

    async def handler(request: web.Request) -> web.Response:
        handled.append(request)
        return json_answer({})

    refused = HTTP_REFUSALS.labels(reason="unauthenticated")
    before = refused._value.get()
    async with serve(Route("POST", "/hook", handler)) as (_, client):
        for shown in ("Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", ""):
            async with client.post("/hook", data=b"x", headers={"Authorization": shown}) as answer:
                assert answer.status == 401
                assert answer.headers.getall("WWW-Authenticate") == [
                    'Bearer realm="the-machine"',
                    'Basic realm="the-machine"',
                ]
                assert await answer.json() == {"error": "a valid token is needed"}
    assert handled == []
    assert refused._value.get() == before + 3


async def test_refusals_are_logged_once_a_minute_and_without_what_was_shown(serve):
    with structlog.testing.capture_logs() as logs:
        async with serve() as (_, client):
            for _ in range(3):
                await client.post("/hook", data=b"x", headers={"Authorization": "Bearer guessed"})
    refusals = [line for line in logs if line["event"] == "request_unauthenticated"]
    assert len(refusals) == 1
    assert "guessed" not in str(logs)


async def test_basic_authentication_is_accepted(serve):
    headers = {"Authorization": aiohttp.encode_basic_auth("alertmanager", "a-token")}
    async with serve() as (_, client), client.post("/hook", headers=headers) as answer:
        assert answer.status == 200


async def test_a_token_is_rotated_without_a_restart(serve):
    def shown(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    async def status(client, token: str) -> int:
        async with client.post("/hook", headers=shown(token)) as answer:
            return answer.status

    async with serve(tokens=("first",)) as (server, client):
        server.use_tokens([SecretStr("first"), SecretStr("second")])
        assert [await status(client, token) for token in ("first", "second")] == [200, 200]
        server.use_tokens([SecretStr("second")])
        assert [await status(client, token) for token in ("first", "second")] == [401, 200]


async def test_a_body_at_the_limit_is_read_and_one_over_is_refused_with_a_notice(serve, too_large):
    async with serve() as (_, client):
        async with client.post("/hook", data=io.BytesIO(b"x" * MIB)) as answer:
            assert answer.status == 200
        assert too_large == []
        async with client.post("/hook", data=io.BytesIO(b"x" * (MIB + 1))) as answer:
            assert answer.status == 413
            assert "larger than 1048576 bytes" in (await answer.json())["error"]
    assert too_large == [("/hook", MIB)]


async def test_a_body_of_unannounced_length_is_measured_while_it_arrives(serve, too_large):
    async def chunks():
        for _ in range(20):
            yield b"x" * (MIB // 10)

    async with serve() as (_, client), client.post("/hook", data=chunks()) as answer:
        assert answer.status == 413
    assert too_large == [("/hook", MIB)]


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_body_is_inflated(serve, encoding, compress):
    headers = {"Content-Encoding": encoding}
    async with (
        serve() as (_, client),
        client.post("/hook", data=compress(b"x" * 5_000), headers=headers) as answer,
    ):
        assert await answer.json() == {"size": 5_000}


async def test_a_bomb_is_measured_after_inflation(serve, too_large):
    bomb = gzip.compress(b"\0" * 64 * MIB)
    assert len(bomb) < MIB
    async with (
        serve() as (_, client),
        client.post("/hook", data=bomb, headers={"Content-Encoding": "gzip"}) as answer,
    ):
        assert answer.status == 413
    assert too_large == [("/hook", MIB)]


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, gzip", "nonsense"])
async def test_a_body_that_is_not_what_it_claims_is_kept_as_it_came(serve, encoding):
    async with (
        serve() as (_, client),
        client.post("/hook", data=b"plain", headers={"Content-Encoding": encoding}) as answer,
    ):
        assert answer.status == 200
        assert await answer.json() == {"size": 5}


async def test_a_body_that_takes_too_long_is_worth_another_try(serve):
    async def never_ends():
        yield b"{"
        await asyncio.Event().wait()

    async with (
        serve(body_within=timedelta(milliseconds=50)) as (_, client),
        client.post("/hook", data=never_ends()) as answer,
    ):
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        assert await answer.json() == {"error": "the body did not arrive within 0.05 s"}


async def test_a_sender_that_hangs_up_in_the_middle_leaves_no_trace(serve):
    reading, outcome = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.Response:
        reading.set()
        try:
            await read_body(request)
        except BaseException as error:
            outcome.set_result(error)
            raise
        raise AssertionError

    with structlog.testing.capture_logs() as logs:
        async with serve(Route("POST", "/hook", handler)) as (server, _):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                b"POST /hook HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-token\r\nContent-Length: 9\r\n\r\nhal"
            )
            await writer.drain()
            await reading.wait()
            writer.close()
            assert isinstance(await outcome, ConnectionError | UnavailableError)
    assert [line["event"] for line in logs] == ["web_listening"]


async def test_what_is_unavailable_is_worth_another_try(serve):
    async def handler(_request: web.Request) -> web.Response:
        raise UnavailableError("the database does not answer")

    async with serve(Route("POST", "/hook", handler)) as (_, client), client.post("/hook") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        assert await answer.json() == {"error": "the database does not answer"}


async def test_a_bug_answers_a_reference_that_the_log_has_too(serve):
    async def handler(_request: web.Request) -> web.Response:
        raise KeyError("secret detail")

    with structlog.testing.capture_logs() as logs:
        async with serve(Route("POST", "/hook", handler)) as (_, client), client.post("/hook") as answer:
            assert answer.status == 503
            told = await answer.json()
    assert "secret" not in json.dumps(told)
    (failure,) = [line for line in logs if line["event"] == "request_failed"]
    assert failure["reference"] == told["reference"]


async def test_an_unknown_path_and_a_wrong_method_are_answered_in_json(serve):
    async with serve() as (_, client):
        async with client.post("/nowhere") as answer:
            assert (answer.status, await answer.json()) == (404, {"error": "Not Found"})
        async with client.get("/hook") as answer:
            assert (answer.status, await answer.json()) == (405, {"error": "Method Not Allowed"})
            assert answer.headers["Allow"] == "POST"


async def test_answers_say_little_about_the_server(serve):
    async with serve() as (_, client):
        for answer in (await client.post("/hook"), await client.get("/nowhere")):
            assert answer.headers["Server"] == "the-machine"
            assert (await answer.text()).count("\n") == 1


async def test_an_open_route_asks_for_no_token(serve):
    async def handler(_request: web.Request) -> web.Response:
        return json_answer({"open": True})

    async with (
        serve(Route("GET", "/open", handler, authenticated=False), tokens=()) as (_, client),
        client.get("/open", headers={"Authorization": ""}) as answer,
    ):
        assert answer.status == 200


async def test_a_request_in_flight_is_finished_before_the_server_is_gone(serve):
    started, finish = asyncio.Event(), asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        started.set()
        await finish.wait()
        return json_answer({"finished": True})

    async with aiohttp.ClientSession() as client:
        async with serve(Route("GET", "/slow", handler)) as (server, _):
            url = f"http://127.0.0.1:{server.port}/slow"
            headers = {"Authorization": "Bearer a-token"}
            request = asyncio.create_task(client.get(url, headers=headers))
            await started.wait()
            asyncio.get_running_loop().call_later(0.05, finish.set)
        answer = await request
        assert await answer.json() == {"finished": True}
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(url)


async def test_a_request_that_never_ends_does_not_hold_the_end_up(serve):
    started = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with aiohttp.ClientSession() as client, asyncio.timeout(5):
        route = Route("GET", "/stuck", handler)
        async with serve(route, drain=timedelta(milliseconds=50)) as (server, _):
            url = f"http://127.0.0.1:{server.port}/stuck"
            headers = {"Authorization": "Bearer a-token"}
            request = asyncio.create_task(client.get(url, headers=headers))
            await started.wait()
        with pytest.raises(aiohttp.ClientError):
            await request


async def test_a_port_that_is_taken_stops_the_start(serve):
    async with serve() as (server, _):
        settings = WebSettings(host="127.0.0.1", port=server.port, tokens=("a",))
        with pytest.raises(OSError, match="address already in use"):
            async with WebServer(settings, (), too_large=lambda *_: None):
                pass
