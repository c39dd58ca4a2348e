"""The clock that catches up."""

from datetime import timedelta

from bot.demo.clock import LateClock
from tests.support.clock import NOON, ManualClock


def test_it_runs_behind_and_catches_up():
    clock = LateClock(ManualClock(), behind=timedelta(hours=1))
    assert clock.now() == NOON - timedelta(hours=1)
    clock.move_to(timedelta(minutes=5))
    assert clock.now() == NOON - timedelta(minutes=5)


def test_it_never_goes_back():
    clock = LateClock(ManualClock(), behind=timedelta(minutes=5))
    clock.move_to(timedelta(hours=1))
    assert clock.now() == NOON - timedelta(minutes=5)
