"""A simulated Discord with people in it, and the bot in front of a real database."""

import pytest

from bot.database.engine import Database
from tests.support.alerting import open_rooms
from tests.support.world import Town, World


@pytest.fixture
async def world(sqlite_url):
    return World(await open_rooms(Database(sqlite_url)))


@pytest.fixture
def simcord_bot(world):
    return world.bot


@pytest.fixture
async def town(world, simcord_env):
    made = Town(simcord_env, world)
    yield made
    await made.world.rooms.database.__aexit__()
