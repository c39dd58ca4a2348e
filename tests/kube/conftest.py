"""An API server, and a client that it knows."""

import pytest

from bot.demo.cluster.server import ApiServer
from tests.support.clock import ManualClock
from tests.support.kube import a_client


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def server():
    async with ApiServer() as opened:
        yield opened


@pytest.fixture
async def cluster(server, clock, tmp_path):
    async with a_client(server, tmp_path, clock) as opened:
        yield opened
