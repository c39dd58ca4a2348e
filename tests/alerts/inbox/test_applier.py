"""Applying, with everything that can go wrong in between, on both databases."""

import pytest
from sqlalchemy import update

from bot.alerts.inbox import store
from bot.alerts.inbox.applier import Applier
from bot.alerts.inbox.model import STARTS_ALLOWED, DeliveryState, QuarantineReason, UnreadableError
from bot.core.errors import InvalidError, LostLeadershipError, UnavailableError
from bot.core.loops import AT_ONCE
from bot.database.leadership import Leadership, leadership
from tests.support.clock import NOON, ManualClock
from tests.support.deliveries import an_arrival, put, states, stored

APPLIED, PENDING, QUARANTINED = DeliveryState.APPLIED, DeliveryState.PENDING, DeliveryState.QUARANTINED


class Room:
    """Applies a delivery by noting it down; goes wrong where a test says so."""

    def __init__(self, database):
        self.database = database
        self.tried = []
        self.notices = []
        self.wrong = {}
        """What the tries of a body raise, one after the other."""

    async def handle(self, delivery):
        self.tried.append(delivery.body)
        async with self.database.transaction() as tx:
            await store.mark(tx, delivery.id, APPLIED, now=NOON)
            if self.wrong.get(delivery.body):
                raise self.wrong[delivery.body].pop(0)
        return APPLIED

    async def notice(self, tx, number, reason):
        self.notices.append((number, reason))

    def applier(self):
        return Applier(self.database, ManualClock(), handle=self.handle, notice=self.notice)


@pytest.fixture
def room(database):
    return Room(database)


async def until_idle(applier: Applier) -> None:
    while await applier.step() == AT_ONCE:
        pass


async def test_everything_pending_is_applied_in_order(room, database):
    bodies = [str(index).encode() for index in range(50)]
    await put(database, *map(an_arrival, bodies))
    await until_idle(room.applier())
    assert room.tried == bodies
    assert await states(database) == [APPLIED] * 50


async def test_an_idle_applier_waits_until_it_is_woken(room):
    assert await room.applier().step() is None


async def test_a_delivery_that_cannot_be_read_is_put_aside_at_once(room, database):
    bad, good = await put(database, an_arrival(b"bad"), an_arrival(b"good"))
    room.wrong[b"bad"] = [UnreadableError(QuarantineReason.TOO_DEEP, "It has 900 levels.")]
    await until_idle(room.applier())
    assert room.tried == [b"bad", b"good"]
    assert room.notices == [(bad, QuarantineReason.TOO_DEEP)]
    assert await states(database) == [QUARANTINED, APPLIED]
    progress = (await stored(database, bad)).progress
    assert progress.error == "too_deep: The body is nested deeper than any alert is. It has 900 levels."
    assert progress.settled_at == NOON
    assert (await stored(database, good)).progress.starts == 1


async def test_an_invalid_delivery_without_a_reason_has_wrong_types(room, database):
    (number,) = await put(database, an_arrival(b"bad"))
    room.wrong[b"bad"] = [InvalidError("expected a number")]
    await until_idle(room.applier())
    assert room.notices == [(number, QuarantineReason.WRONG_TYPES)]


async def test_a_bug_that_passes_is_survived_and_the_order_is_kept(room, database):
    await put(database, *map(an_arrival, [b"1", b"2", b"3"]))
    room.wrong[b"2"] = [KeyError("once"), ZeroDivisionError("twice")]
    await until_idle(room.applier())
    assert room.tried == [b"1", b"2", b"2", b"2", b"3"]
    assert await states(database) == [APPLIED] * 3


async def test_a_bug_that_stays_is_quarantined_after_three_tries_and_the_rest_goes_on(room, database):
    numbers = await put(database, *map(an_arrival, [b"1", b"2", b"3"]))
    room.wrong[b"2"] = [KeyError("a secret")] * 9
    await until_idle(room.applier())
    assert room.tried == [b"1", b"2", b"2", b"2", b"3"]
    assert room.notices == [(numbers[1], QuarantineReason.FAILED_THREE_TIMES)]
    assert await states(database) == [APPLIED, QUARANTINED, APPLIED]
    error = (await stored(database, numbers[1])).progress.error
    assert error.startswith("failed_three_times: KeyError, reference ")
    assert "secret" not in error


async def test_a_retried_delivery_has_three_tries_again(room, database):
    (number,) = await put(database, an_arrival(b"bad"))
    room.wrong[b"bad"] = [KeyError()] * 5
    await until_idle(room.applier())
    async with database.transaction() as tx:
        await store.retry(tx, number)
    await until_idle(room.applier())
    assert len(room.tried) == 6
    assert await states(database) == [APPLIED]


async def test_an_outage_counts_against_no_delivery(room, database):
    numbers = await put(database, *map(an_arrival, [b"1", b"2", b"3"]))
    room.wrong[b"2"] = [UnavailableError("down") for _ in range(30)]
    applier = room.applier()
    for _ in range(30):
        with pytest.raises(UnavailableError):
            await applier.step()
    await until_idle(applier)
    assert await states(database) == [APPLIED] * 3
    assert room.notices == []
    assert [(await stored(database, number)).progress.starts for number in numbers] == [1, 1, 1]


async def test_lost_leadership_stops_at_once(room, database):
    await put(database, *map(an_arrival, [b"1", b"2", b"3"]))
    room.wrong[b"2"] = [LostLeadershipError("another leads")]
    with pytest.raises(LostLeadershipError):
        await room.applier().step()
    assert await states(database) == [APPLIED, PENDING, PENDING]


async def test_a_process_that_is_killed_again_and_again_blames_no_innocent(room, database):
    """Each applier here lives for one claim: it never comes to say what became of it."""
    await put(database, *(an_arrival(str(index).encode()) for index in range(10)))
    for _ in range(STARTS_ALLOWED):
        await room.applier()._claim()
    await until_idle(room.applier())
    assert await states(database) == [QUARANTINED] + [APPLIED] * 9
    assert [reason for _, reason in room.notices] == [QuarantineReason.NEVER_FINISHED]


async def test_fewer_kills_put_nothing_aside(room, database):
    await put(database, *(an_arrival(str(index).encode()) for index in range(10)))
    for _ in range(STARTS_ALLOWED - 1):
        await room.applier()._claim()
    await until_idle(room.applier())
    assert await states(database) == [APPLIED] * 10


async def test_an_epoch_that_is_gone_claims_nothing(room, database):
    await put(database, an_arrival())
    epoch = await Leadership(database, "us").acquire()
    async with database.transaction() as tx:
        await tx.execute(update(leadership).values(epoch=epoch + 1, holder="another"))
    led = database.under(epoch)
    applier = Applier(led, ManualClock(), handle=room.handle, notice=room.notice)
    with pytest.raises(LostLeadershipError):
        await applier.step()
    assert room.tried == []
