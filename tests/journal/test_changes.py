"""Entries of one operation are one change."""

from datetime import timedelta

import pytest

from bot.core.actor import THE_MACHINE
from bot.journal.changes import Ending, changes_of
from bot.journal.model import Outcome, Recorded
from tests.support.clock import NOON
from tests.support.journal import a_system_entry, an_entry
from tests.support.people import a_person

ADA = a_person("Ada", user="111")
BEN = a_person("Ben", user="222")


def recorded(*entries):
    return [Recorded(number, NOON + timedelta(minutes=number), entry) for number, entry in enumerate(entries)]


def told(*entries):
    """What is made of entries, oldest first, as the journal finds them."""
    steps = recorded(*entries)
    return changes_of([step for step in reversed(steps) if step.entry.change], steps)


def a_step(state, *, by=None, change=False, **values):
    actor = by or THE_MACHINE
    detail = {"state": state, **values.pop("detail", {})}
    return an_entry("argocd:sync", by=actor, operation="op", change=change, detail=detail, **values)


def test_entries_of_no_operation_are_a_change_each():
    changes = told(an_entry("a:a", change=True), an_entry("b:b"), a_system_entry("c:c", change=True))
    assert [change.action for change in changes] == ["c:c", "a:a"]
    assert [change.ending for change in changes] == [Ending.DONE, Ending.DONE]


def test_an_operation_is_one_change_by_the_one_who_asked():
    (change,) = told(
        a_step("requested", by=ADA),
        a_step("waiting", by=BEN, target="app:argocd/shop", detail={"from": "a"}),
        a_step("started", change=True, target="app:argocd/shop", detail={"to": "b"}),
        a_step("succeeded", change=True, target="app:argocd/shop", detail={"to": "c"}),
    )
    assert change.actor == ADA
    assert change.at == NOON + timedelta(minutes=3)
    assert (change.target, change.detail["from"], change.detail["to"]) == ("app:argocd/shop", "a", "c")
    assert change.ending is Ending.DONE


@pytest.mark.parametrize(
    ("last", "ending"),
    [
        ([], Ending.RUNNING),
        ([a_step("progressing")], Ending.RUNNING),
        ([a_step("succeeded")], Ending.DONE),
        ([a_step("failed", outcome=Outcome.FAILED)], Ending.FAILED),
        ([a_step("", outcome=Outcome.FAILED)], Ending.FAILED),
        ([a_step("cancelled", by=BEN)], Ending.CANCELLED),
        ([a_step("superseded")], Ending.SUPERSEDED),
        ([a_step("lost")], Ending.LOST),
        ([a_step("succeeded"), a_step("failed", by=BEN, outcome=Outcome.REFUSED)], Ending.DONE),
        ([a_step("progressing"), a_step("", by=BEN)], Ending.RUNNING),
    ],
)
def test_the_newest_step_says_how_it_ended(last, ending):
    (change,) = told(a_step("started", by=ADA, change=True), *last)
    assert change.ending is ending
    assert change.actor == ADA


def test_an_operation_whose_beginning_is_not_known_is_still_told():
    step = a_step("succeeded", by=ADA, change=True)
    (change,) = changes_of(recorded(step), [])
    assert (change.actor, change.ending) == (ADA, Ending.DONE)


def test_each_thing_that_an_operation_changed_is_a_change():
    part = {"operation": "op", "change": True, "by": ADA}
    changes = told(
        a_step("started", by=ADA, target="app:argocd/root"),
        an_entry("argocd:sync", target="app:argocd/one", **part),
        an_entry("argocd:sync", target="app:argocd/two", detail={"state": "failed"}, **part),
        a_step("failed", target="app:argocd/root", outcome=Outcome.FAILED),
    )
    assert [(change.target, change.ending) for change in changes] == [
        ("app:argocd/two", Ending.FAILED),
        ("app:argocd/one", Ending.DONE),
    ]


def test_changes_stay_in_their_order():
    changes = told(
        an_entry("a:a", change=True),
        a_step("started", change=True),
        an_entry("b:b", change=True),
        a_step("succeeded", change=True),
        an_entry("c:c", change=True),
    )
    assert [change.action for change in changes] == ["c:c", "argocd:sync", "b:b", "a:a"]
