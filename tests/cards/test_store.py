"""Which cards wait, in which order, on both databases."""

import contextlib
from datetime import timedelta

import pytest

from bot.cards import store
from bot.cards.model import CardState, Priority
from bot.cards.store import Cards
from tests.support.clock import NOON, ManualClock

HERE, THERE = 11, 12
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def cards(clock):
    return Cards(clock)


@pytest.fixture
def want(database, cards):
    async def wanted(key="1", channel=HERE, priority=Priority.NORMAL, **more):
        async with database.transaction() as tx:
            await cards.want(tx, "incident", key, channel, priority=priority, **more)
        return await one(database, key, channel)

    return wanted


@pytest.fixture
def run(database):
    async def done(query, *arguments, **named):
        async with database.transaction() as tx:
            return await query(tx, *arguments, **named)

    return done


async def one(database, key="1", channel=HERE):
    async with database.reading() as tx:
        return await store.find_card(tx, "incident", key, channel)


async def due(database, channel=HERE, now=NOON, **more):
    async with database.reading() as tx:
        return [card.key for card in await store.list_due(tx, channel, now=now, limit=10, **more)]


async def test_a_card_that_is_wanted_waits_to_be_created(database, want):
    card = await want()
    assert (card.state, card.wanted, card.delivered, card.announced) == (CardState.ABSENT, 1, 0, False)
    assert await due(database) == ["1"]


async def test_a_card_wanted_again_is_the_same_one_in_a_new_version(want):
    first = await want()
    again = await want(priority=Priority.URGENT)
    assert again.id == first.id
    assert (again.wanted, again.priority) == (2, Priority.URGENT)


async def test_the_same_key_in_two_channels_is_two_cards(database, want, run):
    assert (await want()).id != (await want(channel=THERE)).id
    async with database.reading() as tx:
        assert await store.count_due(tx) == {HERE: 1, THERE: 1}


async def test_touching_a_key_marks_its_cards_everywhere_and_makes_none(database, cards, want, run):
    for channel in (HERE, THERE):
        card = await want(channel=channel)
        await run(store.mark_live, card.id, message_id=5, version=1)
    assert await due(database) == []
    await run(cards.touch, "incident", "1")
    await run(cards.touch, "incident", "unknown")
    assert (await due(database), await due(database, THERE)) == (["1"], ["1"])


async def test_whoever_delivers_hears_of_it_after_the_commit_and_once(database, cards):
    heard = []
    cards.on_change(lambda: heard.append(1))
    async with database.transaction() as tx:
        for key in "123":
            await cards.want(tx, "incident", key, HERE)
        assert not heard
    assert heard == [1]


async def test_nothing_is_heard_of_what_is_rolled_back(database, cards):
    heard = []
    cards.on_change(lambda: heard.append(1))
    with contextlib.suppress(ZeroDivisionError):
        async with database.transaction() as tx:
            await cards.want(tx, "incident", "1", HERE)
            raise ZeroDivisionError
    assert (heard, await due(database)) == ([], [])


async def test_the_most_urgent_goes_first_and_then_what_waits_longest(database, clock, want):
    for key, priority in [("a", 0), ("b", 30), ("c", 10), ("d", 30)]:
        await want(key, priority=Priority(priority))
        clock.advance(MINUTE)
    assert await due(database) == ["b", "d", "c", "a"]


async def test_only_what_a_free_slot_can_take_is_listed(database, want, run):
    live = await want("live")
    await run(store.mark_live, live.id, message_id=5, version=1)
    await want("live")
    await want("new")
    assert await due(database, states=(CardState.LIVE,)) == ["live"]
    assert await due(database, states=(CardState.ABSENT, CardState.CREATING, CardState.GONE)) == ["new"]


async def test_a_delivered_version_waits_no_longer_but_a_younger_one_does(database, want, run):
    card = await want()
    await want()
    await run(store.mark_live, card.id, message_id=5, version=card.wanted)
    assert await due(database) == ["1"]
    await run(store.mark_live, card.id, message_id=5, version=2)
    assert await due(database) == []
    now = await one(database)
    assert (now.state, now.message_id, now.announced, now.creating_since) == (CardState.LIVE, 5, True, None)


async def test_a_creation_keeps_the_moment_it_was_begun_at_first(database, want, run):
    card = await want()
    await run(store.mark_creating, card.id, marker="m", now=NOON)
    await run(store.mark_creating, card.id, marker="m", now=NOON + MINUTE)
    now = await one(database)
    assert (now.state, now.creating_since, now.marker) == (CardState.CREATING, NOON, "m")


async def test_a_lost_message_is_created_anew_as_another_one(database, want, run):
    card = await want()
    await run(store.mark_live, card.id, message_id=5, version=1)
    await run(store.mark_lost, card.id)
    now = await one(database)
    assert (now.state, now.message_id, now.generation) == (CardState.ABSENT, None, 1)
    assert now.announced
    assert await due(database) == ["1"]


async def test_a_card_that_went_waits_for_nothing(database, want, run):
    card = await want()
    await run(store.mark_gone, card.id, version=1)
    assert (await one(database)).state is CardState.GONE
    assert await due(database) == []


async def test_a_moved_card_waits_in_its_new_channel_and_belongs_to_the_old(database, want, run):
    card = await want()
    await run(store.move, card.id, to=THERE)
    assert (await due(database), await due(database, THERE)) == ([], ["1"])
    now = await one(database)
    assert (now.channel_id, now.posted_in) == (HERE, THERE)
    again = await want()
    assert again.posted_in == THERE


async def test_a_card_put_aside_comes_back_in_time_or_with_news(database, want, run):
    card = await want()
    await want("2")
    await run(store.mark_failed, card.id, retry_at=NOON + MINUTE)
    assert await due(database) == ["2"]
    assert await due(database, now=NOON + MINUTE) == ["1", "2"]
    async with database.reading() as tx:
        assert await store.find_next_retry(tx, HERE) == NOON + MINUTE
        assert await store.find_next_retry(tx, THERE) is None
    await want()
    assert sorted(await due(database)) == ["1", "2"]


async def test_an_update_may_be_told_to_wait(database, clock, want, run):
    await want(not_before=NOON + MINUTE)
    assert await due(database) == []
    assert await due(database, now=NOON + MINUTE) == ["1"]
    await run(store.mark_live, (await one(database)).id, message_id=5, version=1)
    await want(not_before=NOON + MINUTE)
    assert await due(database) == []
    await want()
    assert await due(database) == ["1"]


async def test_a_new_leader_sends_again_what_was_touched_lately(database, clock, want, run):
    for key in ("old", "fresh"):
        card = await want(key)
        await run(store.mark_live, card.id, message_id=5, version=1)
        clock.advance(MINUTE)
    await want("never shown")
    await run(store.send_again, touched_since=NOON + MINUTE)
    assert await due(database) == ["fresh", "never shown"]


async def test_cards_of_long_ago_are_forgotten_unless_they_wait(database, clock, want, run):
    card = await want("agrees")
    await run(store.mark_live, card.id, message_id=5, version=1)
    await want("waits")
    clock.advance(MINUTE)
    card = await want("young")
    await run(store.mark_live, card.id, message_id=6, version=1)
    assert (
        await run(store.purge, untouched_since=NOON + MINUTE, but=[(await one(database, "agrees")).kind]) == 0
    )
    assert await run(store.purge, untouched_since=NOON + MINUTE, but=["another kind"]) == 1
    assert await one(database, "agrees") is None
    assert await one(database, "waits") is not None
    assert await one(database, "young") is not None
