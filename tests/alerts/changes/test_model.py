"""Which changes a card shows."""

from datetime import timedelta

import pytest

from bot.alerts.changes.model import choose
from bot.journal.changes import Changed
from tests.support.clock import NOON
from tests.support.people import a_person


def at(*minutes):
    """Changes so many minutes after noon, the newest first."""
    return [
        Changed(at=NOON + timedelta(minutes=minute), actor=a_person(), action="argocd:sync")
        for minute in minutes
    ]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ([], []),
        ([-5], [-5]),
        ([-5, -10, -15, -20], [-5, -10, -15]),
        ([3, 2, -5], [3, 2, -5]),
        ([4, 3, 2, -5, -10], [4, 3, -5]),
        ([4, 3, 2, 0], [4, 3, 0]),
        ([4, 3, 2, 1], [4, 3, 2]),
        ([4, 3, -5, -10], [4, 3, -5]),
    ],
)
def test_the_newest_are_shown_and_always_one_from_before_it_began(changes, shown):
    assert list(choose(at(*changes), began=NOON)) == at(*shown)
