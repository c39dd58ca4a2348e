"""A cluster with Argo CD in it, and a process of the bot that asks it."""

import pytest

from bot.database.engine import Database
from bot.demo.cluster.server import ApiServer
from tests.support.argo_desk import Desk, Stage
from tests.support.argo_news import Newsroom
from tests.support.chart_rights import within_the_charts_rights
from tests.support.clock import ManualClock
from tests.support.crds import crd_schemas


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def stage(clock):
    async with ApiServer(clock=clock, schemas=crd_schemas()) as server:
        with within_the_charts_rights(server):
            yield Stage(server, clock)


@pytest.fixture
async def desk(stage, sqlite_url, tmp_path):
    async with Database(sqlite_url) as database, Desk(stage, database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def newsdesk(stage, database, tmp_path):
    async with Desk(stage, database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def room(newsdesk):
    return Newsroom(newsdesk)
