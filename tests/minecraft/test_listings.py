import asyncio
import time
from datetime import timedelta

import pytest

from bot.minecraft.listings import REMEMBERED_FOR, Listings
from bot.minecraft.rcon import Rcon, RconTarget
from tests.support.clock import ManualClock
from tests.support.minecraft import rcon_server


@pytest.fixture
async def server():
    async with rcon_server() as opened:
        opened.whitelist = ["Alex", "Steve"]
        yield opened


@pytest.fixture
async def rcon(server):
    made = Rcon("survival", RconTarget("127.0.0.1", server.port, "secret"))
    yield made
    made.close()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def listings(clock):
    return Listings(clock)


async def test_names_are_asked_for_once_and_remembered_for_a_moment(server, rcon, clock, listings):
    assert list(await listings.names("survival", rcon)) == ["Alex", "Steve"]
    server.whitelist.append("Notch")
    assert list(await listings.names("survival", rcon)) == ["Alex", "Steve"]
    clock.advance(REMEMBERED_FOR + timedelta(seconds=1))
    assert list(await listings.names("survival", rcon)) == ["Alex", "Steve", "Notch"]
    assert server.commands == ["whitelist list"] * 2


async def test_what_was_changed_is_asked_for_again(server, rcon, listings):
    await listings.names("survival", rcon)
    server.whitelist.remove("Alex")
    listings.forget("survival")
    assert list(await listings.names("survival", rcon)) == ["Steve"]


async def test_a_console_that_hangs_holds_up_nobody_and_is_not_asked_at_each_key(server, rcon, listings):
    server.mode = "hang"
    began = time.monotonic()
    assert await asyncio.gather(*(listings.names("survival", rcon) for _ in range(5))) == [()] * 5
    assert list(await listings.names("survival", rcon)) == []
    assert time.monotonic() - began < 2.5
    assert server.commands == ["whitelist list"]


async def test_an_answer_that_means_nothing_and_a_console_that_is_off_offer_nobody(server, rcon, listings):
    server.answers["whitelist list"] = "Unknown command"
    assert list(await listings.names("survival", rcon)) == []
    await server.close()
    rcon.close()
    listings.forget("survival")
    assert list(await listings.names("survival", rcon)) == []
