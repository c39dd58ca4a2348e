"""A real API server keeps what ours promises: the simulation is held to the same text."""

import pytest

from tests.support.api_contract import PROMISES, WITH_SCHEMAS


@pytest.mark.parametrize("promise", [*PROMISES, *WITH_SCHEMAS], ids=lambda promise: promise.__name__)
async def test_that(promise, api):
    await promise(api)
