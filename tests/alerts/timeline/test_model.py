"""Which entries are on which page, and which are left out."""

from datetime import timedelta

import pytest

from bot.alerts.timeline.model import CHANGED, PAGE_ENTRIES, condense, count_pages
from bot.core.actor import THE_MACHINE
from bot.journal.model import Entry, Recorded
from tests.support.alerts import NOON


def entries(*actions):
    return [
        Recorded(number, NOON + timedelta(minutes=number), Entry(actor=THE_MACHINE, action=action))
        for number, action in enumerate(actions)
    ]


@pytest.mark.parametrize(
    ("count", "pages"), [(0, 1), (1, 1), (PAGE_ENTRIES, 1), (PAGE_ENTRIES + 1, 2), (2 * PAGE_ENTRIES + 1, 3)]
)
def test_a_page_is_full_before_the_next_begins(count, pages):
    assert count_pages(count) == pages


def test_of_counts_in_a_row_only_the_last_is_shown():
    told = entries("alerts:opened", CHANGED, CHANGED, "alerts:ack", CHANGED, "alerts:resolved")
    assert [recorded.id for recorded in condense(told)] == [0, 2, 3, 4, 5]


def test_nothing_is_condensed_to_nothing():
    assert condense([]) == []
