"""Our API server keeps what a real one promises."""

import pytest

from tests.support.api_contract import PROMISES, WITH_SCHEMAS
from tests.support.crds import VARIABLE, crd_schemas


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
async def test_that(promise, api):
    await promise(api)


@pytest.mark.skipif(crd_schemas() is None, reason=f"{VARIABLE} names no folder of schemas")
@pytest.mark.parametrize("promise", WITH_SCHEMAS, ids=lambda promise: promise.__name__)
async def test_that_with_schemas(promise, api):
    await promise(api)
