"""Threads against the loopback Discord: its limits, its refusals, what people do by hand, and crashes."""

import asyncio

import pytest

from tests.simulators.discord.faults import HANG, server_error
from tests.simulators.discord.state import THREAD
from tests.support.alerts import a_body, an_entry
from tests.support.running import a_town, an_app, details_of, post, write

pytestmark = pytest.mark.timeout(120)

THREADS = "/channels/*/messages/*/threads"
ENDED = "2026-11-21T12:30:00Z"


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
def config(town, sqlite_url, tmp_path):
    settings = town.configuration(sqlite_url)
    settings["alerts"]["routes"] = [{"channel": "alerts", "thread": True}]
    return write(tmp_path, settings)


def fires(name="DiskFull", *pods):
    entries = (an_entry(name, pod=pod) for pod in pods or ("a",))
    return a_body(*entries, group_labels={"alertname": name})


def resolves(name="DiskFull", *pods):
    entries = (an_entry(name, pod=pod, status="resolved", until=ENDED) for pod in pods or ("a",))
    return a_body(*entries, group_labels={"alertname": name})


async def see_thread(town, *words, count=1):
    """Wait for so many threads with a message in each that says these words; gives the first."""

    def found():
        said = [
            thread
            for thread in town.threads()
            if any(all(word in m.text for word in words) for m in town.server.messages(thread))
        ]
        return said if len(said) == count else None

    return (await town.server.wait_for(found, 20))[0]


async def see_archived(town, thread, archived):
    await town.server.wait_for(lambda: thread.archived is archived, 20)


def settled(town):
    """Nothing was asked of Discord that it answers as a mistake of ours."""
    assert town.server.violations == []
    assert town.server.count_429 == 0


async def test_a_thread_lives_as_long_as_its_incident_and_comes_back_with_it(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        thread = await see_thread(town, "**Fires**")
        card = await town.see("DiskFull")
        assert (thread.id, thread.parent_id) == (card.id, card.channel_id)
        assert thread.name == "#1 · DiskFull"
        await post(app.port, resolves())
        await see_archived(town, thread, True)
        [timeline] = town.server.messages(thread)
        assert "**Resolved**" in timeline.text
        await post(app.port, fires("DiskFull", "a", "b"))
        await see_archived(town, thread, False)
        await see_thread(town, "**Fires again**")
    assert len(town.server.messages(thread)) == 1
    assert timeline.pinged_users == timeline.pinged_roles == ()
    settled(town)


async def test_a_thread_started_before_a_crash_is_found_again(town, config):
    town.server.faults.add("POST", THREADS, HANG, after_commit=True)
    async with an_app(config) as app:
        await post(app.port, fires())
        await town.server.wait_for(town.threads, 20)
        await app.die()
    town.server.release()
    async with an_app(config):
        thread = await see_thread(town, "**Fires**")
    assert town.threads() == [thread]
    town.assert_nothing_was_said_twice()


async def test_a_timeline_of_unknown_outcome_is_not_said_twice(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        card = await town.see("DiskFull")
        await see_thread(town, "**Fires**")
        town.server.faults.add("POST", "/channels/*/messages", HANG, after_commit=True, times=2)
        await post(app.port, fires("Other"))
        await town.server.wait_for(lambda: len(town.cards()) == 2, 20)
        await app.die()
    town.server.release()
    async with an_app(config):
        await see_thread(town, "**Fires**", count=2)
    assert card in town.cards()
    for thread in town.threads():
        assert len(town.server.messages(thread)) == 1
    town.assert_nothing_was_said_twice()


async def test_a_thread_of_unknown_outcome_is_found_although_all_is_over_meanwhile(town, config):
    town.server.faults.add("POST", THREADS, HANG, after_commit=True)
    async with an_app(config) as app:
        await post(app.port, fires())
        await town.server.wait_for(town.threads)
        await post(app.port, resolves())
        await town.see("DiskFull", "RESOLVED")
        await app.die()
    town.server.release()
    async with an_app(config):
        await town.server.wait_for(lambda: all(thread.archived for thread in town.threads()), 20)
    [thread] = town.threads()
    [told] = town.server.messages(thread)
    assert "Resolved" in told.text
    settled(town)


async def test_an_outage_delays_threads_and_loses_none(town, config):
    town.server.faults.add("POST", THREADS, server_error(503), times=3)
    async with an_app(config) as app:
        for name in ("One", "Two", "Three"):
            await post(app.port, fires(name))
        await see_thread(town, "**Fires**", count=3)
    settled(town)


async def test_limits_are_kept_and_cards_go_first(town, config):
    town.server.limits.other = (1, 0.5)
    town.server.limits.channel_create = (3, 0.5)
    async with an_app(config) as app:
        for number in range(9):
            await post(app.port, fires(f"Alert{number}"))
        await see_thread(town, "**Fires**", count=9)
    asked = [request.path for request in town.server.requests if request.method == "POST"]
    alerts = f"/channels/{town.channels['alerts'].id}/messages"
    last_card = max(place for place, path in enumerate(asked) if path == alerts)
    assert sum(path.endswith("/threads") for path in asked[:last_card]) <= 4
    settled(town)


async def test_who_may_start_no_threads_shows_cards_and_tells_operators_once(town, config):
    town.channels["alerts"].forbids_threads = True
    async with an_app(config) as app:
        for name in ("One", "Two", "Three"):
            await post(app.port, fires(name))
            await town.see(name)
        notice = await town.see_notice("A card has no thread", "Create Public Threads")
        await post(app.port, resolves("One"))
        await town.see("RESOLVED", "One")
    assert town.threads() == []
    assert len(town.notices()) == 1
    assert str(town.channels["alerts"].id) in notice.text
    assert len(town.server.requests_to("POST", THREADS)) == 1


async def test_the_most_threads_that_discord_allows_are_told_of_as_well(town, config):
    town.server.state.most_active_threads = 0
    async with an_app(config) as app:
        await post(app.port, fires())
        await town.see("DiskFull")
        await town.see_notice("A card has no thread", "as many active threads as Discord allows")


async def test_a_thread_that_somebody_deletes_stays_deleted(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        thread = await see_thread(town, "**Fires**")
        town.server.delete_channel(thread)
        await post(app.port, fires("DiskFull", "a", "b"))
        await town.see("2 alerts")
        await town.server.wait_for(
            lambda: [r for r in town.server.requests if r.status == 404 and str(thread.id) in r.path], 20
        )
        await post(app.port, resolves("DiskFull", "a", "b"))
        await town.see("RESOLVED")
        await post(app.port, fires("DiskFull", "c"))
        await town.see("WARNING", "DiskFull")
        await post(app.port, fires("Last"))
        await see_thread(town, "**Fires**")
    assert len(town.server.requests_to("POST", THREADS)) == 2
    assert len([r for r in town.server.requests if r.status == 404]) == 1
    assert town.notices() == []


async def test_a_thread_that_a_person_archives_is_put_back_after_each_line(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        thread = await see_thread(town, "**Fires**")
        thread.archived = True
        await post(app.port, fires("DiskFull", "a", "b"))
        await see_thread(town, "2 alerts fire now")
        await see_archived(town, thread, True)
        [timeline] = town.server.messages(thread)
        assert "2 alerts fire now" in timeline.text


PAUSED = "The timeline in the thread is paused: unlock it, or let the bot write there"


@pytest.mark.parametrize("is_archived", [False, True])
async def test_a_locked_thread_pauses_its_timeline_and_the_card_says_so_until_it_is_unlocked(
    town, config, is_archived
):
    async with an_app(config) as app:
        await post(app.port, fires())
        thread = await see_thread(town, "**Fires**")
        town.server.change_thread(thread, locked=True, archived=is_archived)
        await post(app.port, fires("DiskFull", "a", "b"))
        card = await town.see("2 alerts", PAUSED)
        [timeline] = town.server.messages(thread)
        assert "2 alerts fire now" not in timeline.text
        town.server.change_thread(thread, locked=False)
        await town.server.wait_for(lambda: PAUSED not in card.text, 20)
        assert "2 alerts fire now" in timeline.text
        await see_archived(town, thread, is_archived)
    assert town.notices() == []


async def test_a_thread_that_is_locked_at_the_end_is_archived_when_it_is_unlocked(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        thread = await see_thread(town, "**Fires**")
        town.server.change_thread(thread, locked=True)
        await post(app.port, resolves())
        await town.see("RESOLVED", PAUSED)
        await post(app.port, fires("Other"))
        await see_thread(town, "**Fires**", count=2)
        assert not thread.archived
        town.server.change_thread(thread, locked=False)
        await see_archived(town, thread, True)
        [timeline] = town.server.messages(thread)
        assert "**Resolved**" in timeline.text


async def test_a_thread_that_a_person_opens_stays_open(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        thread = await see_thread(town, "**Fires**")
        await post(app.port, resolves())
        await see_archived(town, thread, True)
        town.server.post(thread, town.ada, "One more thing")
        thread.archived = False
        await post(app.port, fires("Other"))
        await see_thread(town, "**Fires**", count=2)
        assert not thread.archived


async def test_a_thread_of_a_person_on_the_card_is_used(town, config):
    town.server.faults.add("POST", THREADS, server_error(503), times=1)
    async with an_app(config) as app:
        await post(app.port, fires())
        card = await town.see("DiskFull")
        mine = town.server.state.add_channel(
            town.server.guild, "mine", kind=THREAD, channel_id=card.id, parent_id=card.channel_id, owner_id=1
        )
        card.payload["flags"] |= 1 << 5
        await town.server.wait_for(lambda: town.server.messages(mine), 20)
        assert town.threads() == [mine]
        assert mine.name == "mine"


async def test_the_card_that_somebody_deletes_comes_again_and_its_thread_goes_on(town, config):
    async with an_app(config) as app:
        await post(app.port, fires())
        thread = await see_thread(town, "**Fires**")
        card = await town.see("DiskFull")
        town.server.delete_message(card)
        await post(app.port, fires("DiskFull", "a", "b"))
        await see_thread(town, "2 alerts fire now")
        again = await town.see("2 alerts")
        assert again.id != card.id
        await asyncio.sleep(0)
    assert town.threads() == [thread]
    assert details_of(again) == details_of(card)
