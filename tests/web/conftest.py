"""A server with one route of its own, on a free port."""

from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from bot.web.body import read_body
from bot.web.server import Route, WebServer, json_answer
from bot.web.settings import WebSettings

TOKEN = {"Authorization": "Bearer a-token"}


async def echo_size(request: web.Request) -> web.Response:
    return json_answer({"size": len(await read_body(request))})


@pytest.fixture
def too_large():
    """What the server told of bodies over the limit."""
    return []


@pytest.fixture
def serve(too_large):
    """Open a server with given routes; gives it and a client session of it."""

    @asynccontextmanager
    async def opened(*routes: Route, tokens=("a-token",), **options):
        settings = WebSettings(host="127.0.0.1", port=0, tokens=tokens, max_body_mib=1)
        routes = routes or (Route("POST", "/hook", echo_size),)
        server = WebServer(settings, routes, too_large=lambda *told: too_large.append(told), **options)
        async with (
            server,
            aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", headers=TOKEN) as client,
        ):
            yield server, client

    return opened
