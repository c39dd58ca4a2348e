"""A bug in one of many things does not keep the others waiting."""

import asyncio

import pytest

from bot.core.errors import InvalidError
from bot.core.loops import Bug, survive


async def fails(error: BaseException) -> None:
    raise error


async def test_what_is_done_is_returned():
    assert await survive(asyncio.sleep(0, "done"), name="test") == "done"


async def test_a_bug_is_logged_in_full_under_the_reference_that_is_returned(caplog):
    bug = await survive(fails(KeyError("x")), name="test", delivery=7)
    assert isinstance(bug, Bug)
    assert bug.kind == "KeyError"
    (record,) = caplog.records
    assert (record.reference, record.delivery) == (bug.reference, 7)
    assert record.exc_info


async def test_what_the_caller_knows_passes():
    with pytest.raises(InvalidError):
        await survive(fails(InvalidError("no")), name="test", but=(InvalidError,))


async def test_a_cancellation_is_no_bug():
    with pytest.raises(asyncio.CancelledError):
        await survive(fails(asyncio.CancelledError()), name="test")
