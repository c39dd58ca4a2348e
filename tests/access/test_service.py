from datetime import timedelta

import pytest
from pydantic import ValidationError

from bot.access.model import Grant, Policy
from bot.access.service import Access, compile_policy
from bot.access.settings import AccessSettings, GrantSettings, WindowSettings
from bot.core.errors import InvalidError, NotAllowedError
from bot.telemetry.metrics import REGISTRY
from tests.support.clock import ManualClock
from tests.support.people import a_person

USER = "81384788765712384"
ACKS = Policy((Grant(name="acks", roles=frozenset(["7"]), may=("alerts:ack",), approvals=1),))


def denied(action):
    return REGISTRY.get_sample_value("the_machine_authorization_denied_total", {"action": action}) or 0


def test_who_may_is_let_through_with_the_approvals_that_it_takes():
    assert Access(ACKS).check(a_person(roles=["7"]), "alerts:ack", ["channel:critical"]).approvals == 1


def test_a_refusal_names_the_grant_and_is_counted():
    before = denied("alerts:silence")

    with pytest.raises(
        NotAllowedError, match=r'Nobody granted you `alerts:silence`.*may: \["alerts:silence"\]'
    ):
        Access(ACKS).check(a_person(roles=["7"]), "alerts:silence", ["channel:critical"])

    assert denied("alerts:silence") == before + 1


def test_asking_what_would_be_decided_counts_nothing():
    before = denied("alerts:test")

    assert not Access(ACKS).decide(a_person(), "alerts:test").allowed

    assert denied("alerts:test") == before


def test_a_new_policy_counts_from_the_next_question():
    access = Access(ACKS)
    access.check(a_person(roles=["7"]), "alerts:ack")

    access.use(Policy(()))

    with pytest.raises(NotAllowedError):
        access.check(a_person(roles=["7"]), "alerts:ack")


def test_an_approval_of_the_own_request_is_refused():
    ada = a_person("Ada", user="5", roles=["7"])

    with pytest.raises(NotAllowedError, match="somebody else"):
        Access(ACKS).check_approval(ada, "alerts:ack", requested_by="5")
    assert Access(ACKS).check_approval(ada, "alerts:ack", requested_by="6").allowed


def test_a_configured_grant_speaks_of_our_role_names():
    grant = GrantSettings(roles=("operators",), users=(USER,), may=("alerts:*",), approvals=2)
    settings = AccessSettings(grants=(grant,))

    policy = compile_policy(settings, {"operators": "7"})

    assert policy == Policy(
        (
            Grant(
                name="access.grants[0]",
                roles=frozenset(["7"]),
                users=frozenset([USER]),
                may=("alerts:*",),
                on=("*",),
                approvals=2,
            ),
        )
    )


def test_an_unknown_role_name_is_refused_with_those_that_are_known():
    settings = AccessSettings(grants=(GrantSettings(roles=("operatrs",), may=("*",)),))

    with pytest.raises(InvalidError, match=r"access.grants\[0\].*operatrs.*known: operators"):
        compile_policy(settings, {"operators": "7"})


def test_no_access_section_is_no_policy():
    assert compile_policy(None, {}) == Policy(None)


def test_a_configured_window_opens_by_the_clock_of_the_service():
    during = [{"schedule": "0 8 * * 1-5", "duration": "9h", "timezone": "Europe/Oslo"}]
    grants = [{"users": [USER], "may": ["argocd:*"], "during": during}]
    clock = ManualClock()
    access = Access(compile_policy(AccessSettings.model_validate({"grants": grants}), {}), clock)
    ada = a_person(user=USER)

    with pytest.raises(NotAllowedError, match="it opens on Monday 23 November 2026 at 08:00"):
        access.check(ada, "argocd:sync", ["app:argocd/shop"])
    assert access.check(ada, "argocd:terminate", ["app:argocd/shop"], at_any_time=True).allowed
    clock.advance(timedelta(days=2))
    assert access.check(ada, "argocd:sync", ["app:argocd/shop"]).allowed


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"schedule": "8 o'clock", "duration": "1h"}, "five fields of cron"),
        ({"schedule": "0 0 0 8 * *", "duration": "1h"}, "five fields of cron"),
        ({"schedule": "0 8 30 2 *", "duration": "1h"}, "an opening at some time"),
        ({"schedule": "0 8 * * *", "duration": "0h"}, "more than nothing"),
        ({"schedule": "0 8 * * *", "duration": "1h", "timezone": "Oslo"}, "Europe/Berlin"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(window, expected):
    with pytest.raises(ValidationError, match=expected):
        WindowSettings.model_validate(window)


def test_labels_are_targets():
    assert GrantSettings.model_validate({"may": ["argocd:sync"], "on": ["label:team=web*"]}).on
