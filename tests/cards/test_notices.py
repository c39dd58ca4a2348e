"""Operators are told once of the same thing, and how often it happens."""

from datetime import timedelta

import pytest

from bot.cards import store as cards_store
from bot.cards.notices.service import KIND, NoticeQueue, Notices
from bot.cards.store import Cards
from bot.core.errors import NotFoundError, UnavailableError
from bot.core.loops import Loop
from tests.support.clock import ManualClock

AUDIT = 11


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def channel():
    return [AUDIT]


@pytest.fixture
def notices(database, clock, channel):
    return Notices(database, Cards(clock), clock, lambda: channel[0])


async def due(database, clock):
    """The numbers of the notices that would be delivered now."""
    async with database.reading() as tx:
        cards = await cards_store.list_due(tx, AUDIT, now=clock.now(), limit=200)
    return [int(card.key) for card in cards]


async def deliver(database, clock):
    numbers = await due(database, clock)
    async with database.transaction() as tx:
        for number in numbers:
            card = await cards_store.find_card(tx, KIND, str(number), AUDIT)
            await cards_store.mark_live(tx, card.id, message_id=number, version=card.wanted)
    return numbers


async def test_a_notice_waits_for_delivery_and_can_be_read(database, notices, clock):
    await notices.tell("disk", "The disk is full", "Delete something.")
    [number] = await due(database, clock)
    notice = await notices.get(number)
    assert (notice.title, notice.text, notice.count) == ("The disk is full", "Delete something.", 1)
    rendered = await notices.render(str(number), AUDIT)
    assert rendered.silent
    assert rendered.ping_roles == ()


async def test_the_same_thing_said_again_counts_up_on_the_same_card(database, notices, clock):
    await notices.tell("disk", "The disk is full", "90 %")
    first = await deliver(database, clock)
    clock.advance(timedelta(hours=1))
    await notices.tell("disk", "The disk is full", "95 %")
    assert await deliver(database, clock) == first
    notice = await notices.get(first[0])
    assert (notice.count, notice.text) == (2, "95 %")


async def test_what_happens_all_the_time_is_shown_about_once_a_minute_and_to_the_end(
    database, notices, clock
):
    deliveries = 0
    for _ in range(60):
        await notices.tell("disk", "The disk is full", "again")
        deliveries += len(await deliver(database, clock))
        clock.advance(timedelta(seconds=10))
    assert 9 <= deliveries <= 12
    clock.advance(timedelta(minutes=1))
    await deliver(database, clock)
    assert await due(database, clock) == []


async def test_after_a_quiet_day_it_is_news_again(database, notices, clock):
    await notices.tell("disk", "The disk is full", "90 %")
    first = await deliver(database, clock)
    clock.advance(timedelta(days=1, seconds=1))
    await notices.tell("disk", "The disk is full", "90 %")
    assert await deliver(database, clock) != first


async def test_without_a_channel_a_notice_is_kept(database, notices, clock, channel):
    channel[0] = None
    await notices.tell("disk", "The disk is full", "90 %")
    assert await due(database, clock) == []
    assert (await notices.get(1)).key == "disk"


async def test_a_notice_that_nobody_keeps_is_not_found(notices):
    with pytest.raises(NotFoundError):
        await notices.get(4)
    assert await notices.render("4", AUDIT) is None


async def test_the_queue_is_written_down_in_order_by_its_loop(database, notices, clock):
    queue = NoticeQueue(notices)
    woken = []
    queue.wake = lambda: woken.append(1)
    for key in "abc":
        queue.put(key, key, key)
    assert len(woken) == 3
    assert await queue.step() is None
    assert [(await notices.get(number)).key for number in await due(database, clock)] == ["a", "b", "c"]


async def test_what_could_not_be_written_down_is_tried_again(notices, clock, database):
    failing = _Failing(notices, UnavailableError("the database does not answer"))
    queue = NoticeQueue(failing)
    queue.put("a", "a", "a")
    with pytest.raises(UnavailableError):
        await queue.step()
    failing.error = None
    await queue.step()
    assert len(await due(database, clock)) == 1


async def test_a_bug_in_one_notice_does_not_keep_the_others_waiting(notices, clock, database, caplog):
    failing = _Failing(notices, ValueError("a bug"))
    queue = NoticeQueue(failing)
    queue.put("a", "a", "a")
    queue.put("b", "b", "b")
    failing.only = "a"
    await Loop("notices", queue.step)._guarded_step()
    assert [(await notices.get(number)).key for number in await due(database, clock)] == ["b"]
    assert "loop_failed" in caplog.text


async def test_a_flood_while_one_is_written_down_loses_only_the_oldest(notices, clock, database):
    queue = NoticeQueue(_Flooding(notices, lambda: queue))
    queue.put("first", "first", "first")
    await queue.step()
    told = [(await notices.get(number)).key for number in await due(database, clock)]
    assert told == ["first", *(f"flood-{number}" for number in range(5, 105))]


class _Failing:
    """Notices on a bad day."""

    def __init__(self, notices, error):
        self._notices = notices
        self.error = error
        self.only = None

    async def tell(self, key, title, text):
        if self.error is not None and self.only in (None, key):
            raise self.error
        await self._notices.tell(key, title, text)


class _Flooding:
    """Notices during whose first one many more come."""

    def __init__(self, notices, queue):
        self._notices = notices
        self._queue = queue

    async def tell(self, key, title, text):
        if key == "first":
            for number in range(105):
                self._queue().put(f"flood-{number}", "flood", "flood")
        await self._notices.tell(key, title, text)
