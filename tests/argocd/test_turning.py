"""What readers of differences were shown is kept for a while, for them, and not too much of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.argocd.model import ResourceKey, SyncStatus
from bot.argocd.reading import read_application
from bot.argocd.turning import LASTS, MOST_CHARACTERS, Turning
from bot.argocd.views import Change, Differences, ResourceDifference
from bot.kube.model import ObjectKey
from tests.support.argocd import a_raw_application
from tests.support.clock import ManualClock
from tests.support.people import a_person

APP = read_application(a_raw_application())
ADA, BOB = a_person("Ada", user="1"), a_person("Bob", user="2")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def turning(clock):
    return Turning(clock)


def named(name):
    return replace(APP, key=ObjectKey("argocd", name))


def keep(turning, clock, application=APP, *, by=ADA, pages=2, characters=10):
    text = "x" * (characters // pages)
    found = Differences(
        application=application,
        differences=tuple(
            ResourceDifference(
                key=ResourceKey("", "ConfigMap", "shop", str(number)), change=Change.CHANGED, text=text
            )
            for number in range(pages)
        ),
        named=(),
        compared_at=None,
        read_at=clock.now(),
    )
    turning.keep(found, by=by, targets=())
    return found


def found(turning, application=APP, *, by=ADA):
    kept = turning.find(application.key, by=by, now=application)
    return kept.found if kept is not None else None


def test_it_is_kept_for_who_asked_and_for_a_while(turning, clock):
    shown = keep(turning, clock)
    clock.advance(LASTS - timedelta(seconds=1))
    assert found(turning) is shown
    assert found(turning, by=BOB) is None
    assert found(turning, named("web")) is None
    clock.advance(timedelta(seconds=1))
    assert found(turning) is None


def test_what_has_no_second_page_is_not_kept(turning, clock):
    keep(turning, clock, pages=1)
    assert found(turning) is None


@pytest.mark.parametrize("changed", [{"sync": SyncStatus.OUT_OF_SYNC}, {"revisions": ("b" * 40,)}])
def test_it_is_no_longer_true_once_the_application_is_another(turning, clock, changed):
    keep(turning, clock)
    now = replace(APP, **changed)
    assert turning.find(APP.key, by=ADA, now=now) is None
    assert turning.find(APP.key, by=ADA, now=None) is None


def test_of_all_together_only_so_much_is_kept(turning, clock):
    for name in ("one", "two", "three"):
        keep(turning, clock, named(name), characters=MOST_CHARACTERS // 2)
    assert [found(turning, named(name)) is not None for name in ("one", "two", "three")] == [
        False,
        True,
        True,
    ]
    keep(turning, clock, named("vast"), characters=MOST_CHARACTERS + 2)
    assert found(turning, named("vast")) is None
    assert found(turning, named("three")) is not None


def test_the_last_answer_takes_the_place_of_the_one_before(turning, clock):
    keep(turning, clock, characters=MOST_CHARACTERS)
    last = keep(turning, clock, characters=MOST_CHARACTERS)
    assert found(turning) is last
    keep(turning, clock, pages=1)
    assert found(turning) is None
