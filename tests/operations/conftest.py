import pytest

from tests.support.operating import open_operating


@pytest.fixture
async def world(database):
    return await open_operating(database)


@pytest.fixture
def system(world):
    return world.system


@pytest.fixture
def operations(world):
    return world.operations
