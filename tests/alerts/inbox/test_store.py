"""The table of deliveries, on both databases."""

from datetime import timedelta

import pytest

from bot.alerts.inbox import store
from bot.alerts.inbox.model import DeliveryState, Kind
from bot.core.errors import ConflictError, NotFoundError
from tests.support.clock import NOON
from tests.support.deliveries import an_arrival, put, states, stored

LATER = NOON + timedelta(minutes=5)


async def claim(database, limit: int = 20):
    async with database.transaction() as tx:
        return [delivery.id for delivery in await store.claim_next(tx, limit=limit)]


async def mark(database, number, state, *, now=LATER, error=""):
    async with database.transaction() as tx:
        await store.mark(tx, number, state, now=now, error=error)


async def test_what_was_saved_is_read_back_unchanged(database):
    body = bytes(range(256)) * 10
    (number,) = await put(database, an_arrival(body, source="edge"))
    delivery = await stored(database, number)
    assert delivery.body == body
    assert delivery.source == "edge"
    assert delivery.progress.kind is Kind.ALERTMANAGER
    assert delivery.progress.received_at == NOON
    assert delivery.progress.size == len(body)
    assert delivery.progress.state is DeliveryState.PENDING
    assert (delivery.progress.starts, delivery.progress.failures) == (0, 0)
    assert delivery.progress.settled_at is None


async def test_ids_come_back_in_the_order_of_the_arrivals(database):
    numbers = await put(database, *(an_arrival(str(index).encode()) for index in range(150)))
    assert numbers == sorted(numbers)
    for index in (0, 77, 149):
        assert (await stored(database, numbers[index])).body == str(index).encode()


async def test_the_oldest_pending_are_claimed_first_and_their_start_is_counted(database):
    first, second, third = await put(database, an_arrival(), an_arrival(), an_arrival())
    await mark(database, first, DeliveryState.APPLIED)
    assert await claim(database, limit=1) == [second]
    assert (await stored(database, second)).progress.starts == 1
    assert (await stored(database, third)).progress.starts == 0


async def test_what_was_begun_before_is_claimed_alone(database):
    numbers = await put(database, *(an_arrival() for _ in range(4)))
    assert await claim(database, limit=2) == numbers[:2]
    # As if the process had died here: whichever of the two it was, it is found alone.
    assert await claim(database) == [numbers[0]]
    await mark(database, numbers[0], DeliveryState.APPLIED)
    assert await claim(database) == [numbers[1]]
    await mark(database, numbers[1], DeliveryState.APPLIED)
    assert await claim(database) == numbers[2:]


async def test_large_bodies_are_not_claimed_together(database):
    large = b"x" * (5 * 2**20)
    first, second, third = await put(database, an_arrival(large), an_arrival(large), an_arrival())
    assert await claim(database) == [first]
    await mark(database, first, DeliveryState.APPLIED)
    assert await claim(database) == [second, third]


async def test_an_unfair_start_is_given_back(database):
    (number,) = await put(database, an_arrival())
    await claim(database)
    async with database.transaction() as tx:
        await store.give_back(tx, [number])
        await store.give_back(tx, [number])
    assert (await stored(database, number)).progress.starts == 0


async def test_a_failure_is_counted_with_the_next_start(database):
    (number,) = await put(database, an_arrival())
    await claim(database)
    async with database.transaction() as tx:
        await store.begin_again(tx, number, error="KeyError, reference 1234")
    progress = (await stored(database, number)).progress
    assert (progress.starts, progress.failures, progress.error) == (2, 1, "KeyError, reference 1234")


async def test_what_became_of_a_delivery_is_kept(database):
    (number,) = await put(database, an_arrival())
    await mark(database, number, DeliveryState.REPEAT)
    progress = (await stored(database, number)).progress
    assert (progress.state, progress.settled_at) == (DeliveryState.REPEAT, LATER)
    assert await claim(database) == []


async def test_a_delivery_that_is_not_there_is_not_found(database):
    with pytest.raises(NotFoundError):
        await stored(database, 404)


async def test_the_list_is_newest_first_and_of_one_state_if_wanted(database):
    first, second, third = await put(database, an_arrival(), an_arrival(), an_arrival())
    await mark(database, second, DeliveryState.QUARANTINED, error="not_json: The body is not JSON.")
    async with database.reading() as tx:
        everything = await store.list_deliveries(tx, state=None, limit=2)
        put_aside = await store.list_deliveries(tx, state=DeliveryState.QUARANTINED, limit=10)
    assert [progress.id for progress in everything] == [third, second]
    assert [(progress.id, progress.error) for progress in put_aside] == [
        (second, "not_json: The body is not JSON.")
    ]
    assert first not in {progress.id for progress in everything}


async def test_a_quarantined_delivery_is_tried_as_if_for_the_first_time(database):
    (number,) = await put(database, an_arrival())
    await claim(database)
    await mark(database, number, DeliveryState.QUARANTINED, error="failed_three_times: KeyError")
    async with database.transaction() as tx:
        await store.retry(tx, number)
    progress = (await stored(database, number)).progress
    assert (progress.state, progress.starts, progress.error) == (DeliveryState.PENDING, 0, "")
    assert progress.settled_at is None
    assert await claim(database) == [number]


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.APPLIED, DeliveryState.REPEAT])
async def test_only_a_quarantined_delivery_can_be_retried(database, state):
    (number,) = await put(database, an_arrival())
    await mark(database, number, state)
    with pytest.raises(ConflictError, match=state.value):
        async with database.transaction() as tx:
            await store.retry(tx, number)


async def test_old_settled_deliveries_are_purged_and_pending_ones_never(database):
    numbers = await put(database, *(an_arrival() for _ in range(4)))
    (young,) = await put(database, an_arrival(received_at=LATER))
    for number, state in zip(
        [*numbers[1:], young], ["applied", "repeat", "quarantined", "applied"], strict=True
    ):
        await mark(database, number, DeliveryState(state))

    async def purge(quarantined_before):
        async with database.transaction() as tx:
            return await store.purge(tx, before=LATER, quarantined_before=quarantined_before)

    assert await purge(NOON) == 2
    assert await states(database) == ["pending", "quarantined", "applied"]
    assert await purge(LATER) == 1
    assert await states(database) == ["pending", "applied"]


async def test_a_purge_takes_few_at_a_time(database):
    for number in await put(database, *(an_arrival() for _ in range(5))):
        await mark(database, number, DeliveryState.APPLIED)
    async with database.transaction() as tx:
        assert await store.purge(tx, before=LATER, quarantined_before=LATER, limit=3) == 3


async def test_an_id_is_never_used_twice(database):
    (number,) = await put(database, an_arrival())
    await mark(database, number, DeliveryState.APPLIED)
    async with database.transaction() as tx:
        await store.purge(tx, before=LATER, quarantined_before=LATER)
    assert (await put(database, an_arrival()))[0] > number


async def test_deliveries_are_counted_by_state(database):
    first, *_ = await put(database, an_arrival(), an_arrival())
    await mark(database, first, DeliveryState.QUARANTINED)
    async with database.reading() as tx:
        assert await store.count_pending(tx) == 1
        assert await store.count_by_state(tx) == {
            DeliveryState.PENDING: 1,
            DeliveryState.APPLIED: 0,
            DeliveryState.REPEAT: 0,
            DeliveryState.QUARANTINED: 1,
        }
