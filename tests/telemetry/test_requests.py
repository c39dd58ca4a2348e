"""What is asked and done at each request."""

import aiohttp
import pytest
from aiohttp import test_utils, web

from bot.core.errors import LostLeadershipError
from bot.telemetry.requests import only_while


@pytest.mark.parametrize("moments_of_leading", [0, 1])
async def test_who_does_not_lead_any_more_sends_nothing(moments_of_leading):
    """Neither at once, nor after it was frozen while a connection was made."""
    asked, leads = [], iter(range(moments_of_leading))

    async def hear(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    def may_act() -> None:
        if next(leads, None) is None:
            raise LostLeadershipError("another process leads now")

    outside = web.Application()
    outside.router.add_post("/silences", hear)
    async with (
        test_utils.TestServer(outside) as server,
        aiohttp.ClientSession(trace_configs=[only_while(may_act)]) as session,
    ):
        with pytest.raises(LostLeadershipError):
            await session.post(server.make_url("/silences"))
    assert asked == []
