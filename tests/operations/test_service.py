from datetime import timedelta

import pytest

from bot.access.model import Policy
from bot.access.windows import Window
from bot.cards import store as cards_store
from bot.core.errors import BrokenError, ConflictError, InvalidError, NotAllowedError, NotFoundError
from bot.journal.model import Outcome
from bot.operations.model import OperationId, OperationPolicy, State
from bot.telemetry.metrics import REGISTRY
from tests.support.operating import ADA, BOB, CHANNEL, CY, EVE, GITOPS, GUILD, a_plan, a_policy

MINUTE = timedelta(minutes=1)
NEEDS_ONE, NEEDS_TWO = a_policy(approvals=1), a_policy(approvals=2)


def figure(name, **labels):
    return REGISTRY.get_sample_value(f"the_machine_operations_{name}", labels) or 0


async def test_nothing_begins_before_it_is_confirmed(world, system):
    name = await world.propose()
    await world.later()

    assert system.starts == []
    assert await world.state(name) is State.REQUESTED
    assert await world.card(name) is None


async def test_what_was_confirmed_is_started_and_followed_to_its_end(world, system):
    ended = figure("ended_total", kind="test.do", state="succeeded")
    name = await world.started()
    assert system.starts == [name]
    assert await world.state(name) is State.STARTED
    system.show(name, fraction=0.5, step="wave 1 of 2")
    await world.later()
    assert await world.state(name) is State.PROGRESSING
    assert figure("active", state="progressing") == 1
    system.show(name, State.SUCCEEDED, outcome="Healthy after 5 s.")
    await world.later()

    done = await world.get(name)
    assert done.state is State.SUCCEEDED
    assert done.outcome == "Healthy after 5 s."
    assert done.ended_at == world.clock.now()
    assert figure("active", state="progressing") == 0
    assert figure("ended_total", kind="test.do", state="succeeded") == ended + 1
    assert await world.operations.step() is None


async def test_every_change_of_state_is_in_the_journal_with_where_and_by_whom(world, system):
    name = await world.started()
    system.show(name)
    await world.later()
    system.show(name, State.SUCCEEDED, outcome="Healthy.")
    await world.later()

    entries = await world.entries(name)
    assert [(e.detail["state"], e.actor.name, e.outcome) for e in entries] == [
        ("started", "Ada", Outcome.DONE),
        ("progressing", "The Machine", Outcome.DONE),
        ("succeeded", "Ada", Outcome.DONE),
    ]
    assert {(e.action, e.target, e.namespace, e.app) for e in entries} == {
        ("argocd:sync", "app:argocd/shop", "shop", "argocd/shop")
    }
    assert [e.change for e in entries] == [False, False, True]
    assert entries[-1].reason == "Healthy."


async def test_a_dry_run_and_a_failure_are_no_change(world, system):
    for plan, state in ((a_plan(changes=False), State.SUCCEEDED), (a_plan(), State.FAILED)):
        name = await world.started(plan)
        system.show(name, state)
        await world.later()
        last = (await world.entries(name))[-1]
        assert last.detail["state"] == state.value
        assert not last.change


async def test_who_may_not_is_refused_and_that_is_recorded(world):
    with pytest.raises(NotAllowedError, match="argocd:sync"):
        await world.propose(by=EVE)

    (entry,) = await world.entries()
    assert (entry.actor.name, entry.outcome, entry.action) == ("Eve", Outcome.REFUSED, "argocd:sync")


async def test_confirming_twice_is_confirming_once(world, system, operations):
    name = await world.propose()
    await operations.confirm(name, by=ADA)
    await operations.confirm(name, by=ADA)
    await world.settle()
    await operations.confirm(name, by=ADA)
    await world.settle()

    assert system.starts == [name]
    assert len(await world.entries(name)) == 1


async def test_only_the_asker_confirms(world, system, operations):
    name = await world.propose()

    with pytest.raises(NotAllowedError, match="Only the one who asked"):
        await operations.confirm(name, by=BOB)

    await world.settle()
    assert system.starts == []
    assert [e.outcome for e in await world.entries(name)] == [Outcome.REFUSED]


async def test_a_preview_is_good_for_a_quarter_of_an_hour(world, operations):
    name = await world.propose()
    world.clock.advance(15 * MINUTE)

    with pytest.raises(ConflictError, match="too old"):
        await operations.confirm(name, by=ADA)


async def test_rights_withdrawn_before_the_confirmation_count(world, operations):
    name = await world.propose()
    world.access.use(Policy(()))

    with pytest.raises(NotAllowedError):
        await operations.confirm(name, by=ADA)


async def test_one_thing_has_one_operation_and_the_other_one_is_named_and_linked(world, operations):
    first = await world.started()
    card = await world.card(first)
    async with world.database.transaction() as tx:
        await cards_store.mark_live(tx, card.id, message_id=777, version=card.wanted)
    second = await world.propose(by=BOB)

    with pytest.raises(ConflictError) as refused:
        await operations.confirm(second, by=BOB)

    assert "<@1>" in str(refused.value)
    assert f"https://discord.com/channels/{GUILD}/{GITOPS}/777" in str(refused.value)
    assert await world.state(second) is State.REQUESTED


async def test_after_the_end_the_next_one_may_begin(world, system, operations):
    first = await world.started()
    system.show(first, State.FAILED)
    await world.later()
    second = await world.started(by=BOB)

    assert system.starts == [first, second]


async def test_other_things_go_on_beside_it(world, system):
    one = await world.started()
    other = await world.started(a_plan(subject="app:argocd/cart"))

    assert system.starts == [one, other]


async def test_the_card_is_where_the_configuration_wants_it_or_where_it_was_asked(world):
    one = await world.started()
    world.settings = OperationPolicy(channel_id=None)
    other = await world.started(a_plan(subject="app:argocd/cart"))

    assert await world.card(one, GITOPS)
    assert await world.card(other, CHANNEL)


class TestApprovals:
    @pytest.fixture(autouse=True)
    def policy(self, world):
        world.access.use(NEEDS_ONE)

    async def test_it_waits_until_somebody_else_approves(self, world, system, operations):
        name = await world.started()
        assert await world.state(name) is State.WAITING
        assert system.starts == []
        await operations.approve(name, by=BOB)
        await world.settle()

        assert system.starts == [name]
        entries = await world.entries(name)
        assert [(e.detail.get("state") or e.detail["step"], e.actor.name) for e in entries] == [
            ("waiting", "Ada"),
            ("approved, 1 of 1", "Bob"),
            ("started", "The Machine"),
        ]

    async def test_the_asker_cannot_approve(self, world, operations):
        name = await world.started()

        with pytest.raises(NotAllowedError, match="somebody else"):
            await operations.approve(name, by=ADA)
        assert (await world.entries(name))[-1].outcome is Outcome.REFUSED

    async def test_who_may_not_do_it_cannot_approve_it(self, world, operations):
        name = await world.started()

        with pytest.raises(NotAllowedError):
            await operations.approve(name, by=EVE)
        assert await world.state(name) is State.WAITING

    async def test_the_same_person_counts_once(self, world, operations):
        world.access.use(NEEDS_TWO)
        name = await world.started()
        await operations.approve(name, by=BOB)
        await operations.approve(name, by=BOB)
        assert await world.state(name) is State.WAITING
        await operations.approve(name, by=CY)

        assert await world.state(name) is State.STARTED

    async def test_the_plan_can_ask_for_more_than_the_grants(self, world, operations):
        name = await world.started(a_plan(min_approvals=2))
        await operations.approve(name, by=BOB)
        assert await world.state(name) is State.WAITING
        assert (await world.get(name)).approvals_needed == 2

    async def test_nobody_in_time_is_the_end_of_it(self, world, system, operations):
        name = await world.started()
        await world.later(29 * MINUTE)
        assert await world.state(name) is State.WAITING
        await world.later(MINUTE)

        assert await world.state(name) is State.CANCELLED
        assert "Nobody approved in time" in (await world.get(name)).outcome
        with pytest.raises(ConflictError):
            await operations.approve(name, by=BOB)
        assert system.starts == []

    async def test_an_approval_after_the_time_is_too_late_even_before_the_loop_says_so(
        self, world, operations
    ):
        name = await world.started()
        world.clock.advance(30 * MINUTE)

        with pytest.raises(ConflictError, match="too long"):
            await operations.approve(name, by=BOB)

    async def test_the_time_runs_out_across_a_restart(self, world):
        name = await world.started()
        world.clock.advance(31 * MINUTE)
        world = world.restarted()
        await world.settle()

        assert await world.state(name) is State.CANCELLED

    async def test_an_asker_without_the_right_any_more_ends_it(self, world, system, operations):
        name = await world.started()
        world.roles_now[ADA.id] = frozenset()
        await operations.approve(name, by=BOB)
        await world.settle()

        assert await world.state(name) is State.CANCELLED
        assert "<@1> may not do this any more" in (await world.get(name)).outcome
        assert system.starts == []

    @pytest.mark.parametrize("leaver", [ADA, BOB])
    async def test_who_left_before_the_start_agreed_to_nothing(self, world, system, operations, leaver):
        name = await world.started()
        await operations.approve(name, by=BOB)
        world.gone.add(leaver.id)
        await world.settle()

        assert await world.state(name) is State.CANCELLED
        assert system.starts == []

    async def test_an_approval_does_not_count_once_its_right_was_withdrawn(self, world, operations):
        world.access.use(NEEDS_TWO)
        name = await world.started()
        await operations.approve(name, by=BOB)
        world.roles_now[BOB.id] = frozenset()
        await operations.approve(name, by=CY)

        assert await world.state(name) is State.WAITING
        assert [each.by.name for each in (await world.get(name)).approvals] == ["Cy"]

    async def test_rights_withdrawn_between_the_last_click_and_the_start_count(
        self, world, system, operations
    ):
        name = await world.started()
        await operations.approve(name, by=BOB)
        world.access.use(Policy(()))
        await world.settle()

        assert await world.state(name) is State.CANCELLED
        assert system.starts == []

    async def test_an_approver_without_the_right_at_the_start_counts_no_more(self, world, system, operations):
        name = await world.started()
        await operations.approve(name, by=BOB)
        world.roles_now[BOB.id] = frozenset()
        await world.settle()

        assert "approvals are not enough any more" in (await world.get(name)).outcome
        assert system.starts == []

    async def test_anybody_who_may_do_it_can_decline_it(self, world, system, operations):
        name = await world.started()
        await operations.decline(name, by=BOB, why="not during the *demo*")
        await operations.decline(name, by=CY)
        await world.settle()

        declined = await world.get(name)
        assert declined.state is State.CANCELLED
        assert declined.outcome == r"Declined by <@2>: not during the \*demo\*."
        last = (await world.entries(name))[-1]
        assert (last.actor.name, last.outcome) == ("Bob", Outcome.REFUSED)
        assert system.starts == []

    async def test_the_asker_withdraws_it_without_any_right(self, world, operations):
        name = await world.started()
        world.access.use(Policy(()))
        await operations.act(name, "cancel", by=ADA)

        assert (await world.get(name)).outcome == "Withdrawn by <@1>."

    async def test_others_need_the_right_to_decline(self, world, operations):
        name = await world.started()

        with pytest.raises(NotAllowedError):
            await operations.decline(name, by=EVE)

    async def test_what_has_begun_cannot_be_declined(self, world, operations):
        name = await world.started()
        await operations.approve(name, by=BOB)
        await world.settle()

        with pytest.raises(ConflictError, match="begun already"):
            await operations.decline(name, by=CY)


class TestWindows:
    async def test_it_is_not_begun_while_the_window_is_closed(self, world, system, operations):
        world.access.use(a_policy(during=(Window("0 12 * * *", 10 * MINUTE),)))
        name = await world.propose()
        world.clock.advance(10 * MINUTE)

        with pytest.raises(NotAllowedError, match="it opens on Sunday 22 November 2026 at 12:00"):
            await operations.confirm(name, by=ADA)

    async def test_what_runs_can_be_ended_after_the_window_closed(self, world, system, operations):
        world.access.use(a_policy(during=(Window("0 12 * * *", 10 * MINUTE),)))
        name = await world.started()
        world.clock.advance(10 * MINUTE)
        await operations.act(name, "cancel", by=BOB)
        await world.later()

        assert await world.state(name) is State.CANCELLED


class TestStarting:
    async def test_a_lost_answer_is_looked_up_and_nothing_begins_twice(self, world, system):
        system.lose_next_answer = True
        name = await world.started()
        assert (await world.get(name)).accepted_at is None
        await world.later()

        assert system.starts == [name]
        assert (await world.get(name)).accepted_at is not None

    async def test_a_restart_between_recording_and_starting_starts_it_once(self, world, system, operations):
        name = await world.propose()
        await operations.confirm(name, by=ADA)
        world = world.restarted()
        await world.settle()
        await world.restarted().settle()

        assert system.starts == [name]

    async def test_a_restart_after_the_start_whose_answer_was_lost_starts_nothing(self, world, system):
        system.lose_next_answer = True
        name = await world.started()
        world = world.restarted()
        await world.settle()
        system.show(name, State.SUCCEEDED)
        await world.later()

        assert system.starts == [name]
        assert await world.state(name) is State.SUCCEEDED

    async def test_an_outage_delays_the_start(self, world, system):
        system.down = True
        name = await world.started()
        before = await world.get(name)
        assert before.problem == "Argo CD does not answer."
        assert before.unseen_since == world.clock.now()
        system.down = False
        await world.later()

        assert system.starts == [name]
        assert not (await world.get(name)).problem

    async def test_what_was_refused_there_failed_and_says_why(self, world, system):
        system.fail_next.append(InvalidError("There is no revision `abc`."))
        name = await world.started()

        failed = await world.get(name)
        assert failed.state is State.FAILED
        assert failed.outcome == "Nothing was begun: There is no revision `abc`."

    async def test_what_is_forbidden_there_failed(self, world, system):
        system.fail_next.append(BrokenError("The bot may not patch applications."))
        name = await world.started()

        assert await world.state(name) is State.FAILED

    async def test_what_could_not_be_started_for_long_is_not_started_later(self, world, system):
        system.down = True
        name = await world.started()
        await world.later(10 * MINUTE)
        system.down = False
        await world.later(MINUTE)

        failed = await world.get(name)
        assert failed.state is State.FAILED
        assert "could not be started within 10 min" in failed.outcome
        assert system.starts == []

    async def test_a_bot_that_was_away_for_long_starts_nothing_old(self, world, system, operations):
        name = await world.propose()
        await operations.confirm(name, by=ADA)
        world.clock.advance(11 * MINUTE)
        await world.restarted().settle()

        assert await world.state(name) is State.FAILED
        assert system.starts == []

    async def test_a_start_that_got_through_unseen_is_followed_however_late(self, world, system):
        system.lose_next_answer = True
        name = await world.started()
        system.down = True
        await world.later(11 * MINUTE)
        system.down = False
        await world.later(MINUTE)

        assert system.starts == [name]
        assert await world.state(name) is State.STARTED

    async def test_a_bug_while_starting_is_not_repeated_and_ends_it(self, world, system):
        system.fail_next.append(ZeroDivisionError())
        name = await world.started()
        await world.later(timedelta(seconds=15))

        failed = await world.get(name)
        assert failed.state is State.FAILED
        assert "Reference" in failed.outcome
        assert system.starts == []

    async def test_without_its_conductor_it_waits(self, world):
        name = await world.started(a_plan(kind="kargo.promote"))

        assert (await world.get(name)).problem == "This part of the bot is turned off."


class TestCancelling:
    async def test_what_runs_is_cancelled_in_its_system(self, world, system, operations):
        name = await world.started()
        await operations.act(name, "cancel", by=BOB)
        await operations.act(name, "cancel", by=CY)
        await world.later()

        cancelled = await world.get(name)
        assert system.acts == [(name, "cancel", "Bob")]
        assert cancelled.state is State.CANCELLED
        assert cancelled.outcome == "It was terminated."
        wish = next(e for e in await world.entries(name) if e.detail.get("wish"))
        assert (wish.actor.name, wish.outcome) == ("Bob", Outcome.DONE)

    async def test_cancelling_can_have_an_action_of_its_own(self, world, operations):
        name = await world.started(a_plan(cancel_action="argocd:terminate"))
        world.access.use(a_policy(may=("argocd:sync",)))

        with pytest.raises(NotAllowedError, match="argocd:terminate"):
            await operations.act(name, "cancel", by=BOB)

    async def test_before_the_start_nothing_begins(self, world, system, operations):
        name = await world.propose()
        await operations.confirm(name, by=ADA)
        await operations.act(name, "cancel", by=ADA)
        await world.settle()

        assert system.starts == []
        assert (await world.get(name)).outcome == "Cancelled by <@1> before it began."

    async def test_a_start_of_unknown_outcome_is_looked_for_and_ends_only_after_a_while(
        self, world, system, operations
    ):
        system.down = True
        name = await world.started()
        await operations.act(name, "cancel", by=BOB)
        system.down = False
        await world.settle()
        assert await world.state(name) is State.STARTED
        await world.later(timedelta(seconds=15))

        assert await world.state(name) is State.CANCELLED
        assert (await world.entries(name))[-1].actor.name == "Bob"
        assert system.starts == []

    async def test_a_start_that_gets_through_late_is_cancelled_there(self, world, system, operations):
        system.down = True
        name = await world.started()
        await operations.act(name, "cancel", by=BOB)
        system.down = False
        await world.later(timedelta(seconds=14))
        assert await world.state(name) is State.STARTED
        system.show(name)
        await world.later(timedelta(seconds=1))
        await world.later()

        assert system.acts == [(name, "cancel", "Bob")]
        assert await world.state(name) is State.CANCELLED

    async def test_a_start_that_had_got_through_is_cancelled_there(self, world, system, operations):
        system.lose_next_answer = True
        name = await world.started()
        await operations.act(name, "cancel", by=BOB)
        await world.later()

        assert system.acts == [(name, "cancel", "Bob")]
        assert await world.state(name) is State.CANCELLED

    async def test_a_refusal_stands_on_the_card_and_it_is_followed_on(self, world, system, operations):
        name = await world.started()
        system.fail_next.append(ConflictError("Argo CD is pruning."))
        await operations.act(name, "cancel", by=BOB)
        await world.settle()

        running = await world.get(name)
        assert running.note == "Terminate, asked for by <@2>, was refused: Argo CD is pruning."
        assert running.wish is None
        assert (await world.entries(name))[-1].outcome is Outcome.REFUSED

    async def test_what_ends_by_itself_need_not_be_cancelled(self, world, system, operations):
        name = await world.started()
        system.show(name, State.SUCCEEDED)
        await operations.act(name, "cancel", by=BOB)
        await world.later()

        assert await world.state(name) is State.SUCCEEDED

    async def test_during_an_outage_it_is_tried_again_across_a_restart(self, world, system, operations):
        name = await world.started()
        system.down = True
        await operations.act(name, "cancel", by=BOB)
        await world.settle()
        assert "is tried again" in (await world.get(name)).note
        world = world.restarted()
        system.down = False
        await world.settle()

        assert system.acts == [(name, "cancel", "Bob")]

    async def test_offers_are_done_while_they_are_offered(self, world, system, operations):
        name = await world.started()
        with pytest.raises(ConflictError, match="discard"):
            await operations.act(name, "discard", by=BOB)
        system.show(name, offers=("discard",))
        await world.later()
        await operations.act(name, "discard", by=BOB)
        await world.settle()

        assert system.acts == [(name, "discard", "Bob")]

    async def test_what_cannot_be_cancelled_says_so(self, world, operations):
        name = await world.started(a_plan(cancel_label=""))

        with pytest.raises(ConflictError):
            await operations.act(name, "cancel", by=BOB)

    async def test_what_is_over_says_how_it_ended(self, world, system, operations):
        name = await world.started()
        system.show(name, State.FAILED, outcome="Deployment api is degraded.")
        await world.later()

        with pytest.raises(ConflictError, match="Deployment api is degraded"):
            await operations.act(name, "cancel", by=BOB)


class TestFollowing:
    async def test_an_outage_is_said_with_since_when_and_forgotten_when_over(self, world, system):
        name = await world.started()
        system.show(name, fraction=0.3)
        await world.later()
        system.down = True
        await world.later()
        since = world.clock.now()
        await world.later(MINUTE)
        unseen = await world.get(name)
        assert (unseen.state, unseen.unseen_since) == (State.PROGRESSING, since)
        assert figure("unseen") == 1
        system.down = False
        await world.later(MINUTE)

        assert (await world.get(name)).unseen_since is None
        assert figure("unseen") == 0

    async def test_an_outage_of_one_delays_only_itself(self, world, system):
        name = await world.started()
        other = await world.started(a_plan(kind="kargo.promote", subject="stage:shop/prod"))
        system.show(name, State.SUCCEEDED)
        await world.later()

        assert await world.state(name) is State.SUCCEEDED
        assert await world.state(other) is State.STARTED

    async def test_a_bug_in_one_conductor_does_not_stop_the_others(self, world, system):
        name = await world.started()
        other = await world.started(a_plan(subject="app:argocd/cart"))
        system.show(other, State.SUCCEEDED)
        system.fail_next.append(ZeroDivisionError())
        await world.later()
        assert "Reference" in (await world.get(name)).problem
        await world.later()

        assert await world.state(other) is State.SUCCEEDED
        assert not (await world.get(name)).problem

    async def test_it_is_asked_less_often_the_longer_it_is_away(self, world, system):
        name = await world.started()
        system.down = True
        await world.later()
        waits = []
        for _ in range(8):
            wait = await world.operations.step()
            waits.append(wait.total_seconds())
            await world.later(wait)

        assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
        assert (await world.get(name)).state is State.STARTED

    async def test_only_the_conductor_says_that_it_is_lost(self, world, system):
        name = await world.started()
        system.down = True
        await world.later(timedelta(days=3))
        assert await world.state(name) is State.STARTED
        system.down = False
        system.show(name, State.LOST)
        await world.later(MINUTE)

        lost = await world.get(name)
        assert lost.state is State.LOST
        assert "look there" in lost.outcome

    async def test_it_is_followed_across_a_restart(self, world, system):
        name = await world.started()
        system.show(name, fraction=0.5, memory={"best": 0.5})
        await world.later()
        world = world.restarted()
        system.show(name, State.SUCCEEDED, outcome="Healthy.")
        await world.settle()

        assert await world.state(name) is State.SUCCEEDED

    async def test_the_conductor_is_reminded_of_what_it_left(self, world, system):
        name = await world.started()
        system.show(name, memory={"retries": 2})
        await world.later()

        assert (await world.restarted().get(name)).memory == {"retries": 2}

    async def test_waking_a_subject_has_it_looked_at_but_not_all_the_time(self, world, system, operations):
        name = await world.started()
        before, looked = world.woken, world.clock.now()
        operations.wake("app:argocd/other")
        assert world.woken == before
        operations.wake("app:argocd/shop")
        assert world.woken == before + 1
        assert await operations.step() == timedelta(seconds=1)
        system.show(name, fraction=0.9)
        await world.later(timedelta(seconds=1))

        assert (await world.get(name)).progress.fraction == 0.9
        assert world.clock.now() - looked == timedelta(seconds=1)

    async def test_a_card_is_touched_when_it_looks_other(self, world, system):
        name = await world.started()
        first = (await world.card(name)).wanted
        await world.later()
        settled = (await world.card(name)).wanted
        system.show(name, State.STARTED, memory={"looked": 1})
        await world.later()
        assert (await world.card(name)).wanted == settled
        system.show(name, fraction=0.1)
        await world.later()

        assert (await world.card(name)).wanted == settled + 1 > first


async def test_lists_and_finding(world, system, operations):
    one = await world.started()
    world.clock.advance(MINUTE)
    other = await world.started(a_plan(subject="app:argocd/cart"))
    system.show(one, State.SUCCEEDED)
    await world.later()

    assert [each.id for each in await operations.list_active()] == [other]
    assert [each.id for each in await operations.list_recent()] == [other, one]
    assert (await operations.find_active("app:argocd/cart")).id == other
    assert await operations.find_active("app:argocd/shop") is None
    with pytest.raises(NotFoundError):
        await operations.get(OperationId("unknown"))


async def test_details_are_for_those_who_may_read_them(world, operations):
    name = await world.started(a_plan(details_action="argocd:status"))

    shown = await operations.show(name, by=BOB)
    assert [entry.entry.detail["state"] for entry in shown.entries] == ["started"]
    with pytest.raises(NotAllowedError):
        await operations.show(name, by=EVE)


async def test_a_preview_can_be_dropped_by_the_asker_alone(world, operations):
    name = await world.propose()
    with pytest.raises(NotAllowedError):
        await operations.decline(name, by=BOB)
    await operations.decline(name, by=ADA)

    assert (await operations.confirm(name, by=ADA)).state is State.CANCELLED
    assert await world.card(name) is None
