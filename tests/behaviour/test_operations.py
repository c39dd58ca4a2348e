"""How people ask for something, approve it, watch it and end it."""

from datetime import timedelta

import pytest

from bot.access.model import Policy
from bot.chat.layout import GOOD, QUIET, RUNNING, WAITING
from bot.core.errors import ConflictError
from bot.database.engine import Database
from bot.operations.model import State
from tests.support.operating import open_operating
from tests.support.operating_town import Town, World
from tests.support.world import buttons_of, colour_of, words_of


@pytest.fixture
async def world(sqlite_url):
    async with Database(sqlite_url) as database:
        yield World(await open_operating(database))


@pytest.fixture
async def town(world, simcord_env):
    return Town(simcord_env, world)


async def test_the_asker_sees_privately_what_would_happen(town):
    shown = await town.alice.slash(town.general, "sync")

    assert shown.ephemeral
    assert "### Sync shop?" in words_of(shown.response)
    assert "`4f1c2ab` → `9be01d7`" in words_of(shown.response)
    assert list(buttons_of(shown.response)) == ["Confirm", "Cancel"]
    assert town.gitops.history() == []


async def test_who_may_not_is_told_which_grant_is_missing(town):
    shown = await town.victor.slash(town.general, "sync")

    assert 'may: ["argocd:sync"]' in shown.response.content
    assert len(town.env.errors) == 1
    town.env.errors.clear()


async def test_confirmed_it_runs_on_one_card_to_its_end(town):
    answer = await town.asked()
    assert words_of(answer.response) == f"Syncing shop: see <#{town.gitops.id}>."
    assert buttons_of(answer.response) == {}
    assert town.world.system.starts == [town.name]
    await town.happens(fraction=0.64, step="wave 2 of 3", counts="9 of 14 resources done")
    assert "`████████████░░░░░░░░` 64 %   wave 2 of 3" in words_of(town.card)
    assert colour_of(town.card) == RUNNING.value
    await town.happens(State.SUCCEEDED, outcome="Healthy after 10 s.")

    assert "### Synced shop" in words_of(town.card)
    assert "Healthy after 10 s." in words_of(town.card)
    assert list(buttons_of(town.card)) == ["Details"]
    assert colour_of(town.card) == GOOD.value


async def test_a_preview_can_be_dropped(town):
    shown = await town.alice.slash(town.general, "sync")
    answer = await town.alice.click(shown.response, label="Cancel")
    await town.world.settle()

    assert "Withdrawn by" in words_of(answer.response)
    assert town.gitops.history() == []
    assert town.world.system.starts == []


async def test_pressed_again_before_the_card_is_edited_a_button_does_nothing_more(town):
    town.demand(1)
    await town.asked()
    for _ in range(2):
        answer = await town.bob.click(town.card, label="Approve")
        assert answer.followups == []
    await town.world.settle()

    assert town.world.system.starts == [town.name]


async def test_the_second_to_ask_is_told_who_was_first_with_a_link(town):
    await town.asked()
    shown = await town.bob.slash(town.general, "sync")
    answer = await town.bob.click(shown.response, label="Confirm")

    [told] = answer.followups
    assert told.ephemeral
    assert f"asked for by <@{town.alice.id}>" in told.content
    assert f"/{town.gitops.id}/{town.card.id}" in told.content
    assert list(buttons_of(shown.response)) == ["Confirm", "Cancel"]


async def test_somebody_else_approves_and_it_runs(town):
    town.demand(1)
    answer = await town.asked()
    assert "It waits for 1 approval" in words_of(answer.response)
    assert "needs 1 approval" in words_of(town.card)
    assert colour_of(town.card) == WAITING.value
    await town.bob.click(town.card, label="Approve")
    await town.world.settle()

    assert town.world.system.starts == [town.name]
    assert f"approved by <@{town.bob.id}>" in words_of(town.card)
    assert list(buttons_of(town.card)) == ["Terminate", "Details"]


@pytest.mark.parametrize(
    ("who", "told"), [("alice", "somebody else must approve"), ("victor", 'may: ["argocd:sync"]')]
)
async def test_who_cannot_approve_is_told_why(town, who, told):
    town.demand(1)
    await town.asked()
    answer = await getattr(town, who).click(town.card, label="Approve")
    await town.world.settle()

    [refusal] = answer.followups
    assert refusal.ephemeral
    assert told in refusal.content
    assert town.world.system.starts == []


async def test_a_right_that_was_withdrawn_meanwhile_approves_nothing(town):
    town.demand(1)
    await town.asked()
    town.world.operating.access.use(Policy(()))
    answer = await town.bob.click(town.card, label="Approve")

    assert 'may: ["argocd:sync"]' in answer.followups[0].content
    assert town.world.system.starts == []


async def test_it_is_declined_with_a_reason(town):
    town.demand(1)
    await town.asked()
    dialog = await town.bob.click(town.card, label="Decline…")
    answer = await town.bob.submit_modal(dialog, {"why": "not during the demo"})
    await town.world.settle()

    assert f"Declined by <@{town.bob.id}>: not during the demo." in answer.response.content
    assert "### CANCELLED · Sync shop" in words_of(town.card)
    assert "not during the demo" in words_of(town.card)
    assert colour_of(town.card) == QUIET.value


async def test_without_approval_it_expires(town):
    town.demand(1)
    await town.asked()
    await town.world.operating.later(timedelta(minutes=30))
    await town.world.settle()

    assert "Nobody approved in time" in words_of(town.card)
    assert list(buttons_of(town.card)) == ["Details"]


async def test_it_is_terminated_from_its_card(town):
    await town.asked()
    await town.happens(fraction=0.2)
    await town.bob.click(town.card, label="Terminate")
    await town.world.operating.later()
    await town.world.settle()

    assert town.world.system.acts == [(town.name, "cancel", "bob")]
    assert "### CANCELLED · Sync shop" in words_of(town.card)


async def test_a_refusal_of_the_other_system_stands_on_the_card(town):
    await town.asked()
    town.world.system.fail_next.append(ConflictError("Pruning has begun."))
    await town.bob.click(town.card, label="Terminate")
    await town.world.settle()

    assert f"Terminate, asked for by <@{town.bob.id}>, was refused: Pruning has begun." in words_of(town.card)


async def test_an_offer_of_the_other_system_is_a_button(town):
    await town.asked()
    await town.happens(offers=("discard",), step="blocked by a sync window")
    await town.bob.click(town.card, label="Discard")
    await town.world.settle()

    assert town.world.system.acts == [(town.name, "discard", "bob")]


async def test_what_cannot_be_seen_says_since_when(town):
    await town.asked()
    await town.happens(fraction=0.5)
    town.world.system.down = True
    await town.world.operating.later()
    await town.world.settle()
    assert "**cannot see Argo CD** since <t:" in words_of(town.card)
    town.world.system.down = False
    await town.happens(fraction=0.6)

    assert "cannot see" not in words_of(town.card)


async def test_a_restart_in_the_middle_changes_nothing_for_anybody(town):
    town.demand(1)
    await town.asked()
    await town.restart()
    await town.bob.click(town.card, label="Approve")
    await town.world.settle()
    await town.happens(fraction=0.5)
    await town.restart()
    await town.happens(State.SUCCEEDED, outcome="Healthy after 10 s.")

    assert town.world.system.starts == [town.name]
    assert "Healthy after 10 s." in words_of(town.card)


async def test_what_the_bot_did_to_itself_is_told_when_it_is_back(town):
    await town.asked()
    town.world.system.show(town.name, State.SUCCEEDED, outcome="The Machine runs 1.2.0.")
    await town.restart()

    assert "The Machine runs 1.2.0." in words_of(town.card)


async def test_details_tell_the_whole_story_privately(town):
    town.demand(1)
    await town.asked()
    await town.bob.click(town.card, label="Approve")
    await town.world.settle()
    answer = await town.carol.click(town.card, label="Details")

    assert answer.ephemeral
    shown = words_of(answer.response)
    assert "waiting · <@" in shown
    assert f"approved, 1 of 1 · <@{town.bob.id}>" in shown
