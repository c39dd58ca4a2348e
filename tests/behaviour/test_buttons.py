"""What pressing a button does, for whom, and what is said when it does not."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
import structlog
from sqlalchemy import text

from bot.access.model import Policy
from tests.support.alerting import a_route
from tests.support.alerts import a_body, an_entry
from tests.support.world import buttons_of, words_of


@pytest.fixture
async def card(town):
    await town.world.receive(a_body(an_entry(severity="critical", namespace="shop")))
    return town.critical.last_message


async def test_acknowledging_shows_who_on_every_card_and_says_nothing_else(town, card):
    answer = await town.alice.click(card, label="Acknowledge")
    assert answer.response is None or answer.response.id == card.id
    assert answer.followups == []
    await town.world.settle()
    for channel in (town.alerts, town.critical):
        [shown] = channel.history()
        assert f"Acknowledged by <@{town.alice.id}>" in words_of(shown)
        assert list(buttons_of(shown)) == ["Unacknowledge", "Details", "Silence…"]
    assert await town.world.rooms.actions() == ["alerts:opened", "alerts:ack"]


async def test_the_card_of_very_many_alerts_lists_them_and_has_the_same_buttons(town):
    entries = (an_entry(severity="critical", namespace="shop", pod=f"api-{number}") for number in range(501))
    await town.world.receive(a_body(*entries))
    card = town.critical.last_message
    [file] = card.attachments
    assert (await file.read()).count(b"FIRING since") == 501
    await town.alice.click(card, label="Acknowledge")
    await town.world.settle()
    assert f"Acknowledged by <@{town.alice.id}>" in words_of(town.critical.last_message)


async def test_who_is_late_is_told_privately_who_was_first(town, card):
    await town.alice.click(card, label="Acknowledge")
    answer = await town.bob.click(card, label="Acknowledge")
    [told] = answer.followups
    assert told.ephemeral
    assert told.content == f"<@{town.alice.id}> has acknowledged #1 already."
    assert len(town.critical.history()) == 1


async def test_who_presses_twice_is_told_so(town, card):
    await town.alice.click(card, label="Acknowledge")
    answer = await town.alice.click(card, label="Acknowledge")
    assert [told.content for told in answer.followups] == ["You have acknowledged #1 already."]


@pytest.mark.parametrize("label", ["Acknowledge", "Unacknowledge"])
async def test_who_may_not_is_told_privately_which_grant_is_missing(town, card, label):
    if label == "Unacknowledge":
        await town.alice.click(card, label="Acknowledge")
        await town.world.settle()
    before = words_of(town.critical.last_message)
    answer = await town.victor.click(town.critical.last_message, label=label)
    [told] = answer.followups
    action = "alerts:ack" if label == "Acknowledge" else "alerts:unack"
    assert told.ephemeral
    assert f'may: ["{action}"]' in told.content
    await town.world.settle()
    assert words_of(town.critical.last_message) == before
    async with town.world.rooms.database.reading() as tx:
        newest = (await town.world.rooms.journal.list_entries(tx))[0]
    assert (newest.entry.action, newest.entry.outcome, newest.entry.actor.id) == (
        action,
        "refused",
        str(town.victor.id),
    )
    assert newest.seq is not None


async def test_what_counts_are_the_grants_of_the_moment(town, card):
    [operators, viewers] = town.world.rooms.access.policy.grants
    town.world.rooms.access.use(Policy((replace(operators, roles=viewers.roles),)))
    refused = await town.alice.click(card, label="Acknowledge")
    assert len(refused.followups) == 1
    accepted = await town.victor.click(card, label="Acknowledge")
    assert accepted.followups == []
    await town.world.settle()
    assert f"Acknowledged by <@{town.victor.id}>" in words_of(town.critical.last_message)


async def test_a_grant_for_another_channel_does_not_help(town):
    town.world.rooms.policy = replace(town.world.rooms.policy, routes=(a_route("", "critical"),))
    await town.world.receive(a_body(an_entry()))
    answer = await town.victor.click(town.critical.last_message, label="Details")
    assert answer.ephemeral
    assert "`channel:critical`" in answer.response.content


async def test_a_ping_can_be_acknowledged_as_well(town):
    await town.world.receive(a_body(an_entry(severity="info")))
    await town.world.receive(a_body(an_entry(severity="warning", pod="b")))
    _, ping = town.alerts.history()
    await town.alice.click(ping, label="Acknowledge")
    await town.world.settle()
    [card] = town.alerts.history()
    assert f"Acknowledged by <@{town.alice.id}>" in words_of(card)


async def test_details_are_private_and_have_everything(town):
    await town.world.receive(
        a_body(
            an_entry(pod="checkout-1", annotations={"summary": "It *crashes*", "secret_note": "look left"})
        )
    )
    answer = await town.victor.click(town.alerts.last_message, label="Details")
    assert answer.ephemeral
    for word in ("checkout-1", "secret", "look left", r"\*crashes\*"):
        assert word in words_of(answer.response)
    assert len(town.alerts.history()) == 1


async def test_details_are_turned_page_by_page_in_place(town):
    await town.world.receive(
        a_body(*(an_entry(pod=f"pod-{n:02}", annotations={"text": f"{n:02}" * 250}) for n in range(40)))
    )
    first = await town.alice.click(town.alerts.last_message, label="Details")
    assert "page 1 of" in words_of(first.response)
    assert list(buttons_of(first.response)) == ["Next", "Timeline"]
    second = await town.alice.click(first.response, label="Next")
    assert second.followups == []
    assert "page 2 of" in words_of(second.response)
    back = await town.alice.click(second.response, label="Previous")
    assert "page 1 of" in words_of(back.response)
    assert len(town.alerts.history()) == 1


async def test_details_of_what_is_over_are_still_there(town):
    await town.world.receive(a_body(an_entry()))
    await town.world.receive(a_body(an_entry(status="resolved", until="2026-11-21T12:10:00Z")))
    answer = await town.alice.click(town.alerts.last_message, label="Details")
    assert "RESOLVED" in words_of(answer.response)


async def test_a_bug_answers_privately_with_a_reference_that_is_in_the_log(town, card):
    # What nobody ever writes there: whoever reads it meets an error that nobody thought of.
    async with town.world.rooms.database.transaction() as tx:
        await tx.execute(text("UPDATE incident SET state = 'secret detail'"))
    with structlog.testing.capture_logs() as logs:
        answer = await town.alice.click(card, label="Acknowledge")
    [failed] = [entry for entry in logs if entry["event"] == "interaction_failed"]
    [told] = answer.followups
    assert told.ephemeral
    assert failed["reference"] in told.content
    assert "secret" not in told.content


async def test_a_database_that_is_down_is_said_and_not_claimed(town, card, sqlite_url):
    async with town.world.rooms.database.transaction() as tx:
        # Of the one connection that writes: the test need not wait as long as people do.
        await tx.execute(text("PRAGMA busy_timeout=50"))
    with closing(sqlite3.connect(sqlite_url.partition("///")[2], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await town.alice.click(card, label="Acknowledge")
    [told] = answer.followups
    assert told.content.startswith("Another program holds the database locked. Try again")
    assert all(told.ephemeral for told in answer.followups)
    assert (await town.world.rooms.incident(1)).acknowledgement is None
    await town.alice.click(card, label="Acknowledge")
    assert (await town.world.rooms.incident(1)).acknowledgement is not None
