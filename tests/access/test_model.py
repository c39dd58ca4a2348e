from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.access import model
from bot.access.model import KNOWN_ACTIONS, Grant, Policy, Reason
from bot.access.windows import Window
from bot.core.actor import THE_MACHINE
from tests.support.clock import NOON
from tests.support.people import a_person

decide = partial(model.decide, now=NOON)
decide_approval = partial(model.decide_approval, now=NOON)
may_approve = partial(model.may_approve, now=NOON)

OPERATORS = "7001"
ONCALL = "7002"


def a_grant(*may, to=OPERATORS, on=("*",), approvals=0, users=(), name="access.grants[0]", during=()):
    return Grant(
        name=name,
        roles=frozenset([to]) if to else frozenset(),
        users=frozenset(users),
        may=may or ("*",),
        on=tuple(on),
        approvals=approvals,
        during=tuple(during),
    )


def a_policy(*grants):
    return Policy(tuple(grants))


operator = a_person("Olga", roles=[OPERATORS])


@pytest.mark.parametrize(
    ("may", "on", "action", "targets", "allowed"),
    [
        ("alerts:*", "*", "alerts:ack", ["channel:critical"], True),
        ("alerts:ack", "*", "alerts:silence", ["channel:critical"], False),
        ("alerts:ack", "*", "alerts:ack", [], True),
        ("alerts:ack", "channel:minecraft", "alerts:ack", [], True),
        ("alerts:ack", "channel:crit*", "alerts:ack", ["channel:critical"], True),
        ("alerts:ack", "channel:alerts", "alerts:ack", ["channel:critical"], False),
        ("Alerts:*", "*", "alerts:ack", [], False),
        ("*", "Channel:*", "alerts:ack", ["channel:critical"], False),
        ("argocd:sync", "app:argocd/*", "argocd:sync", ["app:argocd/shop", "namespace:shop"], True),
        ("argocd:sync", "namespace:shop", "argocd:sync", ["app:argocd/shop", "namespace:shop"], True),
        ("argocd:sync", "app:argocd/sho", "argocd:sync", ["app:argocd/shop"], False),
        ("argocd:sync", "app:*", "argocd:sync", ["app:argocd/shop"], True),
        ("argocd:?ync", "app:argocd/shop-[ab]", "argocd:sync", ["app:argocd/shop-b"], True),
        ("argocd:sync", "namespace:shop", "argocd:sync", ["namespace:shop\nx"], False),
    ],
)
def test_a_grant_covers_what_its_globs_match(may, on, action, targets, allowed):
    policy = a_policy(a_grant(may, on=[on]))

    assert decide(policy, operator, action, targets).allowed is allowed


def test_who_holds_none_of_the_roles_is_refused():
    decision = decide(a_policy(a_grant()), a_person(roles=[ONCALL]), "alerts:ack", ["channel:critical"])

    assert decision.reason is Reason.NO_GRANT


def test_a_grant_to_a_user_needs_no_role():
    ada = a_person("Ada", user="42")

    assert decide(a_policy(a_grant(to=None, users=["42"])), ada, "alerts:ack").allowed


def test_a_grant_to_nobody_is_for_nobody():
    assert not decide(a_policy(a_grant(to=None)), operator, "alerts:ack").allowed


def test_the_refusal_names_the_missing_grant():
    decision = decide(a_policy(), operator, "alerts:ack", ["channel:critical"])

    assert decision.missing == (
        'Nobody granted you `alerts:ack` on `channel:critical`; ask for a grant with may: ["alerts:ack"]'
    )


def test_the_refusal_says_when_only_the_thing_is_another():
    policy = a_policy(a_grant("alerts:ack", on=["channel:alerts"]))

    decision = decide(policy, operator, "alerts:ack", ["channel:critical"])

    assert decision.reason is Reason.OTHER_TARGET
    assert 'on: ["channel:critical"]' in decision.missing


def test_a_name_from_outside_cannot_leave_its_code_span():
    decision = decide(a_policy(), operator, "argocd:sync", ["app:x`@everyone`\n# big" + "y" * 500])

    assert "\n" not in decision.missing
    assert decision.missing.count("`") == 4
    assert len(decision.missing) < 300


def test_among_the_grants_that_match_the_most_approvals_count():
    policy = a_policy(
        a_grant("argocd:*", name="loose"),
        a_grant("argocd:sync", on=["app:prod/*"], approvals=2, name="strict"),
        a_grant("argocd:*", on=["app:lab/*"], approvals=5, name="elsewhere"),
    )

    decision = decide(policy, operator, "argocd:sync", ["app:prod/shop"])

    assert decision.approvals == 2
    assert decision.grant is not None
    assert decision.grant.name == "strict"


def test_without_a_policy_only_administrators_may():
    assert decide(Policy(), a_person(administrator=True), "alerts:ack").reason is Reason.ADMINISTRATOR
    refused = decide(Policy(), operator, "alerts:ack", ["channel:critical"])
    assert refused.reason is Reason.NO_POLICY
    assert "`alerts:ack`" in refused.missing


def test_with_a_policy_an_administrator_needs_a_grant_like_everybody():
    assert not decide(a_policy(a_grant()), a_person(administrator=True), "alerts:ack").allowed


def test_an_empty_policy_lets_nobody_act():
    assert decide(a_policy(), a_person(administrator=True), "alerts:ack").reason is Reason.NO_GRANT


def test_the_bot_itself_may():
    assert decide(a_policy(), THE_MACHINE, "alerts:resolve", ["channel:x"]).reason is Reason.SYSTEM


def test_nobody_approves_what_they_asked_for():
    policy = a_policy(a_grant())

    decision = decide_approval(policy, operator, "argocd:sync", [], requested_by=operator.id)

    assert decision.reason is Reason.OWN_REQUEST
    assert not decision.allowed


def test_whoever_may_do_it_may_approve_it_for_another():
    policy = a_policy(a_grant())

    assert may_approve(policy, operator, "argocd:sync", requested_by="1")
    assert not may_approve(policy, a_person("Eve"), "argocd:sync", requested_by="1")


def test_the_bot_approves_nothing():
    assert not may_approve(a_policy(a_grant()), THE_MACHINE, "argocd:sync", requested_by="1")


def test_each_action_is_known_once():
    assert len(set(KNOWN_ACTIONS)) == len(KNOWN_ACTIONS)


names = st.sampled_from(["channel:a", "channel:b", "app:x/y", "namespace:x"])
globs = st.sampled_from(["*", "channel:*", "channel:a", "app:x/*", "namespace:?", "nothing"])
actions = st.sampled_from(["alerts:ack", "alerts:silence", "argocd:sync"])
roles = st.sampled_from(["1", "2", "3"])
grants = st.builds(
    Grant,
    name=st.just("g"),
    roles=st.frozensets(roles, max_size=2),
    users=st.frozensets(st.sampled_from(["10", "11"]), max_size=1),
    may=st.lists(st.sampled_from(["*", "alerts:*", "alerts:ack", "argocd:sync"]), max_size=2).map(tuple),
    on=st.lists(globs, max_size=2).map(tuple),
    approvals=st.integers(0, 3),
)
policies = st.lists(grants, max_size=4)
people = st.builds(
    lambda number, held, administrator: a_person(user=number, roles=held, administrator=administrator),
    st.sampled_from(["10", "11", "12"]),
    st.frozensets(roles),
    st.booleans(),
)
targets = st.lists(names, max_size=3)


@given(policies, grants, people, actions, targets)
def test_another_grant_takes_no_right_and_no_approval_away(policy, extra, actor, action, on):
    before = decide(a_policy(*policy), actor, action, on)
    after = decide(a_policy(*policy, extra), actor, action, on)

    assert after.allowed or not before.allowed
    assert not before.allowed or after.approvals >= before.approvals


@given(policies, people, actions, targets, st.randoms())
def test_the_order_of_the_grants_does_not_matter(policy, actor, action, on, random):
    shuffled = random.sample(policy, len(policy))

    one, other = (decide(a_policy(*each), actor, action, on) for each in (policy, shuffled))

    assert (one.reason, one.approvals) == (other.reason, other.approvals)


@given(policies, people, actions, targets, names)
def test_another_name_of_the_thing_takes_no_right_away(policy, actor, action, on, name):
    if on and decide(a_policy(*policy), actor, action, on).allowed:
        assert decide(a_policy(*policy), actor, action, [*on, name]).allowed


@given(policies, people, actions, targets)
def test_who_is_named_by_no_grant_may_nothing(policy, actor, action, on):
    theirs = [grant for grant in policy if grant.is_for(actor)]
    decision = decide(a_policy(*policy), actor, action, on)

    assert decision == decide(a_policy(*theirs), actor, action, on)
    if not theirs:
        assert not decision.allowed
    assert decision.allowed == (decision.missing == "")


@given(policies, people, people, actions, targets)
def test_approving_is_doing_by_somebody_else(policy, asker, approver, action, on):
    expected = decide(a_policy(*policy), approver, action, on).allowed and asker.id != approver.id

    assert may_approve(a_policy(*policy), approver, action, on, requested_by=asker.id) is expected


@given(st.text(), st.lists(st.text(), max_size=3), people)
def test_any_text_can_be_asked_for(action, on, actor):
    decision = decide(a_policy(), actor, action, on)

    assert not decision.allowed
    assert decision.missing.isprintable()


OFFICE_HOURS = Window("0 8 * * 1-5", timedelta(hours=9), "Europe/Oslo")
SATURDAYS = Window("0 9 * * 6", timedelta(hours=6), "Europe/Oslo")
MONDAY = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_a_grant_that_is_limited_to_a_window_holds_while_it_is_open():
    policy = a_policy(a_grant("argocd:sync", during=[OFFICE_HOURS]))

    assert decide(policy, operator, "argocd:sync", now=MONDAY).allowed
    evening = decide(policy, operator, "argocd:sync", ["app:argocd/shop"], now=MONDAY.replace(hour=20))

    assert evening.reason is Reason.CLOSED
    assert evening.missing == (
        "`argocd:sync` on `app:argocd/shop` is granted to you only at certain times: "
        "it opens on Tuesday 24 November 2026 at 08:00 (Europe/Oslo)"
    )


def test_a_window_on_one_thing_is_not_opened_by_a_grant_on_everything():
    policy = a_policy(
        a_grant("argocd:*"), a_grant("argocd:sync", on=["project:prod-*"], during=[OFFICE_HOURS])
    )
    evening = MONDAY.replace(hour=20)

    assert not decide(policy, operator, "argocd:sync", ["project:prod-eu"], now=evening).allowed
    assert decide(policy, operator, "argocd:sync", ["project:lab"], now=evening).allowed
    assert decide(policy, operator, "argocd:refresh", ["project:prod-eu"], now=evening).allowed


def test_of_the_grants_with_windows_only_those_count_that_are_open():
    policy = a_policy(
        a_grant("argocd:sync", during=[OFFICE_HOURS], approvals=0, name="week"),
        a_grant("argocd:sync", during=[SATURDAYS], approvals=2, name="weekend"),
    )

    assert decide(policy, operator, "argocd:sync", now=MONDAY).approvals == 0
    assert decide(policy, operator, "argocd:sync", now=NOON).approvals == 2
    closed = decide(policy, operator, "argocd:sync", now=NOON + timedelta(days=1))
    assert closed.reason is Reason.CLOSED
    assert "Monday 23 November 2026 at 08:00" in closed.missing


def test_what_ends_something_is_allowed_at_any_time():
    policy = a_policy(a_grant("argocd:*", during=[OFFICE_HOURS]))

    assert decide(policy, operator, "argocd:terminate", now=NOON, at_any_time=True).allowed


def test_nobody_approves_while_the_window_is_closed():
    policy = a_policy(a_grant("argocd:*", during=[OFFICE_HOURS], approvals=1))

    assert may_approve(policy, operator, "argocd:sync", requested_by="1", now=MONDAY)
    assert not may_approve(policy, operator, "argocd:sync", requested_by="1", now=NOON)
