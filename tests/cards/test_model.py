"""What a card needs next, and how patient one is with it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.model import Card, CardState, Need, Priority, backoff, need_of
from tests.support.clock import NOON

SECOND = timedelta(seconds=1)


def a_card(**values) -> Card:
    usual = {
        "id": 7,
        "kind": "incident",
        "key": "417",
        "channel_id": 1,
        "posted_in": 1,
        "priority": Priority.NORMAL,
        "wanted": 1,
        "delivered": 0,
        "state": CardState.ABSENT,
        "message_id": None,
        "generation": 0,
        "creating_since": None,
        "marker": None,
        "touched_at": NOON,
        "announced": False,
        "failures": 0,
        "retry_at": None,
    }
    return Card(**{**usual, **values})


@pytest.mark.parametrize(
    ("state", "need"),
    [
        (CardState.ABSENT, Need.CREATE),
        (CardState.GONE, Need.CREATE),
        (CardState.CREATING, Need.FIND),
        (CardState.LIVE, Need.EDIT),
    ],
)
def test_a_creation_of_unknown_outcome_is_looked_up_first(state, need):
    assert need_of(a_card(state=state)) is need


@given(st.integers(1, 2**63 - 1), st.integers(0, 2**31), st.datetimes())
def test_discord_takes_the_nonce_of_any_card(number, generation, began):
    assert 0 < len(a_card(id=number, generation=generation).nonce(began)) <= 25


def test_a_creation_that_is_repeated_has_the_same_nonce():
    assert a_card(wanted=1).nonce(NOON) == a_card(wanted=5, failures=3).nonce(NOON)


@pytest.mark.parametrize(
    "other",
    [a_card(id=8), a_card(generation=1), a_card(key="418"), a_card(posted_in=2)],
    ids=["another card", "posted again", "the same number in a new database", "moved"],
)
def test_another_message_has_another_nonce(other):
    assert a_card().nonce(NOON) != other.nonce(NOON)


def test_the_same_card_of_a_new_database_has_another_nonce():
    assert a_card().nonce(NOON) != a_card().nonce(NOON + SECOND)


@given(st.integers(0, 10_000))
def test_patience_doubles_up_to_its_limit(failures):
    wait = backoff(failures, first=SECOND, longest=timedelta(hours=1))
    assert SECOND <= wait <= timedelta(hours=1)
    assert wait <= backoff(failures + 1, first=SECOND, longest=timedelta(hours=1)) <= 2 * wait


def test_the_first_wait_is_the_shortest():
    waits = [backoff(n, first=SECOND, longest=timedelta(seconds=5)).total_seconds() for n in range(1, 6)]
    assert waits == [1, 2, 4, 5, 5]
