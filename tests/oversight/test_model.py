"""Questions of operators, decided without a database."""

from datetime import UTC, datetime

import pytest

from bot.access.model import Grant, Policy, Reason
from bot.core.errors import InvalidError
from bot.oversight.model import Places, answer_access, parse_since, places_named
from tests.support.clock import NOON
from tests.support.people import a_person

OPERATORS = Grant(
    name="operators", roles=frozenset({"7"}), may=("alerts:*",), on=("channel:critical",), approvals=1
)
EVERYBODY = Grant(name="all", roles=frozenset({"1"}), may=("alerts:list", "alerts:show"))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        (" 1d ", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
    ],
)
def test_a_moment_is_so_long_ago_or_a_day(text, moment):
    assert parse_since(text, now=NOON) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "-2h", "99999999d"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(InvalidError, match="such as 2h"):
        parse_since(text, now=NOON)


def test_those_grants_count_that_cover_action_and_thing():
    answer = answer_access(
        Policy((OPERATORS, EVERYBODY)), "alerts:show", ("channel:alerts",), a_person(), now=NOON
    )
    assert answer.grants == (EVERYBODY,)
    assert answer.decision.reason is Reason.NO_GRANT


def test_the_decision_is_that_of_the_door():
    policy = Policy((OPERATORS, EVERYBODY))
    answer = answer_access(policy, "alerts:ack", ("channel:critical",), a_person(roles=["7"]), now=NOON)
    assert answer.grants == (OPERATORS,)
    assert answer.decision.grant is OPERATORS
    assert answer.decision.approvals == 1


def test_without_a_policy_there_are_no_grants_to_show():
    answer = answer_access(Policy(None), "alerts:ack", (), a_person(administrator=True), now=NOON)
    assert answer.grants is None
    assert answer.decision.reason is Reason.ADMINISTRATOR


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", Places()),
        (" shop ", Places(("shop",), ("argocd/shop", "tenants/shop"))),
        ("blog", Places(("blog",))),
        ("namespace:shop", Places(("shop",))),
        ("app:argocd/shop", Places(apps=("argocd/shop",))),
        ("argocd/shop", Places(apps=("argocd/shop",))),
        ("source:main", Places(("source:main",))),
    ],
)
def test_a_name_stands_for_a_namespace_and_for_applications_of_that_name(text, places):
    known = ["namespace:shop", "app:argocd/shop", "app:tenants/shop", "app:argocd/workshop"]
    assert places_named(text, known) == places


def test_places_are_named_as_the_policy_names_them():
    assert Places(("shop",), ("argocd/shop",)).targets == ("namespace:shop", "app:argocd/shop")
