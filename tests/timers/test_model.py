from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.timers.model import LONGEST_WAIT, retry_after, wait_until
from tests.support.clock import NOON


def test_a_timer_is_tried_again_later_and_later():
    assert [retry_after(n).total_seconds() for n in (1, 2, 3, 4)] == [5, 10, 20, 40]


@given(st.integers(0, 10**6))
def test_the_wait_for_another_try_only_grows_and_is_bounded(attempt):
    assert timedelta(seconds=5) <= retry_after(attempt) <= retry_after(attempt + 1) <= timedelta(minutes=5)


@given(st.none() | st.timedeltas(timedelta(days=-9), timedelta(days=9)))
def test_the_loop_sleeps_until_the_next_timer_and_never_long(after):
    wait = wait_until(None if after is None else NOON + after, now=NOON)

    assert timedelta(0) <= wait <= LONGEST_WAIT
    if after is not None and timedelta(0) <= after <= LONGEST_WAIT:
        assert wait == after
