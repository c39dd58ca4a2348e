"""What happened when, for who asks: the timeline as a private answer, with or without a thread."""

from datetime import timedelta

import pytest

from bot.access.model import Policy
from bot.alerts.store import writing
from bot.alerts.timeline.model import PAGE_ENTRIES
from tests.support.alerts import a_body, an_entry
from tests.support.people import a_person
from tests.support.world import buttons_of, words_of

ENDED = "2026-11-21T12:10:00Z"
HEAD = "### TIMELINE · KubePodCrashLooping"


def told_in(answer):
    """What is told, without the times."""
    lines = words_of(answer.response).splitlines()
    return [line.partition("> ")[2] for line in lines if line.startswith("<t:")]


async def end(town):
    await town.world.receive(a_body(an_entry(status="resolved", until=ENDED)))


async def press(town, who, label="Timeline"):
    return await who.click(town.alerts.last_message, label=label)


@pytest.fixture
async def closed(town):
    """The town after an incident in a channel without threads, which somebody had taken on."""
    await town.world.receive(a_body(an_entry()))
    town.world.clock.advance(timedelta(minutes=2))
    await press(town, town.alice, "Acknowledge")
    town.world.clock.advance(timedelta(minutes=8))
    await end(town)
    return town


@pytest.fixture
async def long(town):
    """The same, with one entry more than a page takes."""
    ada, alerts = a_person(roles=[str(town.operators.id)]), town.world.rooms.alerts
    await town.world.receive(a_body(an_entry()))
    for turn in range(PAGE_ENTRIES - 1):
        if turn % 2 == 0:
            await alerts.acknowledge([1], by=ada)
        else:
            await alerts.unacknowledge(1, by=ada)
    await end(town)
    return town


async def purge(town):
    async with town.world.rooms.database.transaction() as tx:
        assert await writing.purge(tx, closed_before=town.world.clock.now() + timedelta(days=1)) == [1]


async def test_a_closed_card_tells_who_presses_alone_what_happened_when(closed):
    answer = await press(closed, closed.victor)
    assert answer.ephemeral
    assert words_of(answer.response).startswith(HEAD)
    assert told_in(answer) == [
        "**Fires** · WARNING · 1 alert fires",
        f"<@{closed.alice.id}> acknowledged it",
        "**Resolved**",
    ]
    times = [line.split(":")[1] for line in words_of(answer.response).splitlines() if line.startswith("<t:")]
    assert [int(time) - int(times[0]) for time in times] == [0, 120, 600]
    assert len(closed.alerts.history()) == 1


async def test_the_newest_page_comes_first_and_pages_are_turned_in_place(long):
    newest = await press(long, long.alice)
    assert "page 2 of 2" in words_of(newest.response)
    assert told_in(newest) == ["**Resolved**"]
    assert list(buttons_of(newest.response)) == ["Previous", "Details"]
    oldest = await long.alice.click(newest.response, label="Previous")
    assert oldest.followups == []
    assert oldest.response.id == newest.response.id
    assert "page 1 of 2" in words_of(oldest.response)
    assert told_in(oldest)[0] == "**Fires** · WARNING · 1 alert fires"
    assert len(told_in(oldest)) == PAGE_ENTRIES
    again = await long.alice.click(oldest.response, label="Next")
    assert words_of(again.response) == words_of(newest.response)
    assert len(long.alerts.history()) == 1


async def test_details_lead_to_the_timeline_and_back_also_while_it_fires(town):
    await town.world.receive(a_body(an_entry()))
    assert "Timeline" not in buttons_of(town.alerts.last_message)
    shown = await town.alice.slash(town.alerts, "alerts show", incident="1")
    assert list(buttons_of(shown.response)) == ["Timeline"]
    timeline = await town.alice.click(shown.response, label="Timeline")
    assert timeline.followups == []
    assert timeline.response.id == shown.response.id
    assert told_in(timeline) == ["**Fires** · WARNING · 1 alert fires"]
    back = await town.alice.click(timeline.response, label="Details")
    assert back.response.id == shown.response.id
    assert words_of(back.response) == words_of(shown.response)


async def test_who_may_not_see_details_does_not_get_the_timeline_either(closed):
    closed.world.rooms.access.use(Policy(closed.world.rooms.access.policy.grants[:1]))
    answer = await press(closed, closed.victor)
    assert answer.ephemeral
    assert 'may: ["alerts:show"]' in answer.response.content


async def test_the_right_is_asked_for_on_each_page(long):
    newest = await press(long, long.victor)
    long.world.rooms.access.use(Policy(long.world.rooms.access.policy.grants[:1]))
    answer = await long.victor.click(newest.response, label="Previous")
    [told] = answer.followups
    assert told.ephemeral
    assert 'may: ["alerts:show"]' in told.content


async def test_an_incident_that_is_not_kept_any_more_is_said_to_be_so(closed):
    await purge(closed)
    answer = await press(closed, closed.alice)
    assert answer.ephemeral
    kind = "There is no incident #1. One that ended long ago is not kept any more."
    assert answer.response.content == kind


async def test_a_page_of_what_is_not_kept_any_more_stays_and_says_why(long):
    newest = await press(long, long.alice)
    await purge(long)
    answer = await long.alice.click(newest.response, label="Previous")
    [told] = answer.followups
    assert told.ephemeral
    assert "not kept any more" in told.content


async def test_it_is_pressed_and_turned_after_a_restart(long):
    await long.restart()
    newest = await press(long, long.alice)
    assert told_in(newest) == ["**Resolved**"]
    await long.restart()
    oldest = await long.alice.click(newest.response, label="Previous")
    assert len(told_in(oldest)) == PAGE_ENTRIES


async def test_who_was_called_again_is_told_without_a_thread_too(town):
    await town.world.receive(a_body(an_entry(severity="critical")))
    await town.world.pass_time(timedelta(minutes=15))
    card = town.critical.history()[0]
    details = await town.alice.click(card, label="Details")
    answer = await town.alice.click(details.response, label="Timeline")
    assert told_in(answer)[1].startswith("Called **oncall**")
