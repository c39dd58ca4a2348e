"""What holds for every test of what is sent."""

import threading

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    """One that goes on trying to send would draw random numbers in the middle of somebody else's test."""
    before = set(threading.enumerate())
    yield
    assert [each.name for each in threading.enumerate() if each not in before] == []
