import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from bot.core.errors import LostLeadershipError, UnavailableError
from bot.core.loops import AT_ONCE, Loop
from bot.database.engine import Database
from bot.database.facts import find_fact, set_fact
from bot.database.leadership import Leadership
from bot.timers.model import LONGEST_WAIT
from bot.timers.service import Timers
from bot.timers.store import timer
from tests.support.clock import NOON, ManualClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


class Recorder:
    """A handler that says what ran."""

    def __init__(self):
        self.ran = []

    async def __call__(self, tx, subject, due_at):
        self.ran.append((subject, due_at))

    @property
    def subjects(self):
        return [subject for subject, _ in self.ran]


class Broken(Recorder):
    """A handler that leaves a trace in the database and fails for some subjects."""

    def __init__(self, *broken, error=ZeroDivisionError):
        super().__init__()
        self.broken = set(broken)
        self.error = error
        self.tried = []

    async def __call__(self, tx, subject, due_at):
        self.tried.append(subject)
        await set_fact(tx, f"ran:{subject}", "yes")
        if subject in self.broken:
            raise self.error(subject)
        await super().__call__(tx, subject, due_at)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def timers(database, clock):
    return Timers(database, clock)


@pytest.fixture
def remind(timers):
    handler = Recorder()
    timers.register("remind", handler)
    return handler


async def put(database, timers, subject, due_at, kind="remind"):
    async with database.transaction() as tx:
        await timers.set(tx, kind, subject, due_at)


async def cancel(database, timers, subject):
    async with database.transaction() as tx:
        return await timers.cancel(tx, "remind", subject)


async def left_traces(database, *subjects):
    async with database.reading() as tx:
        return [subject for subject in subjects if await find_fact(tx, f"ran:{subject}")]


async def states(database):
    async with database.reading() as tx:
        rows = await tx.execute(select(timer.c.subject, timer.c.state, timer.c.attempt).order_by(timer.c.id))
        return [tuple(row) for row in rows]


async def test_a_timer_runs_when_it_is_due_and_not_before(database, timers, remind, clock):
    await put(database, timers, "incident:7", NOON + MINUTE)

    clock.advance(59 * SECOND)
    assert await timers.step() == SECOND
    assert remind.ran == []

    clock.advance(SECOND)
    assert await timers.step() == LONGEST_WAIT
    assert remind.ran == [("incident:7", NOON + MINUTE)]


async def test_a_timer_runs_once(database, timers, remind, clock):
    await put(database, timers, "incident:7", NOON)

    for _ in range(3):
        await timers.step()
        clock.advance(MINUTE)

    assert remind.subjects == ["incident:7"]


async def test_setting_a_timer_again_moves_it(database, timers, remind, clock):
    await put(database, timers, "incident:7", NOON + MINUTE)
    await put(database, timers, "incident:7", NOON + 5 * MINUTE)

    clock.advance(2 * MINUTE)
    await timers.step()
    assert remind.ran == []

    clock.advance(3 * MINUTE)
    await timers.step()
    assert remind.ran == [("incident:7", NOON + 5 * MINUTE)]


async def test_a_cancelled_timer_does_not_run(database, timers, remind, clock):
    await put(database, timers, "incident:7", NOON)

    assert await cancel(database, timers, "incident:7")
    assert not await cancel(database, timers, "incident:7")

    await timers.step()
    assert remind.ran == []


async def test_a_timer_whose_transaction_is_rolled_back_was_never_set(database, timers, remind):
    async def fail_at_the_end():
        async with database.transaction() as tx:
            await timers.set(tx, "remind", "incident:7", NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_at_the_end()

    await timers.step()
    assert remind.ran == []


async def test_one_says_when_a_timer_is_due(database, timers, remind):
    await put(database, timers, "incident:7", NOON + MINUTE)

    async with database.reading() as tx:
        assert await timers.find_due_at(tx, "remind", "incident:7") == NOON + MINUTE
        assert await timers.find_due_at(tx, "remind", "incident:8") is None


async def test_what_was_overdue_at_a_restart_runs_once(database_url, clock):
    async with Database(database_url) as database:
        timers = Timers(database, clock)
        for minute in range(5):
            await put(database, timers, "incident:7", NOON + minute * MINUTE)
    clock.advance(timedelta(days=2))

    async with Database(database_url) as database:
        timers = Timers(database, clock)
        handler = Recorder()
        timers.register("remind", handler)
        await timers.step()
        await timers.step()

    assert handler.subjects == ["incident:7"]


async def test_timers_of_a_kind_without_a_handler_wait(database, timers, remind, clock):
    await put(database, timers, "x", NOON, kind="unknown")

    assert await timers.step() == LONGEST_WAIT

    later = Recorder()
    timers.register("unknown", later)
    await timers.step()
    assert later.subjects == ["x"]


async def test_a_kind_has_one_handler(timers, remind):
    with pytest.raises(ValueError, match="remind"):
        timers.register("remind", Recorder())


async def test_a_handler_that_sets_its_timer_anew_is_called_again(database, timers, clock):
    ran = []

    async def remind_again(tx, subject, due_at):
        ran.append(due_at)
        await timers.set(tx, "remind", subject, due_at + MINUTE)

    timers.register("remind", remind_again)
    await put(database, timers, "incident:7", NOON)

    for _ in range(3):
        assert await timers.step() == LONGEST_WAIT
        clock.advance(MINUTE)

    assert ran == [NOON, NOON + MINUTE, NOON + 2 * MINUTE]


async def test_a_handler_that_cancels_its_own_timer_has_run_all_the_same(database, timers, clock):
    async def stop(tx, subject, due_at):
        assert not await timers.cancel(tx, "remind", subject)

    timers.register("remind", stop)
    await put(database, timers, "incident:7", NOON)

    await timers.step()

    assert await states(database) == [("incident:7", "done", 1)]


async def test_the_effect_and_the_end_of_a_timer_are_one_commit(database, timers, clock):
    handler = Broken("bad")
    timers.register("remind", handler)
    await put(database, timers, "good", NOON)
    await put(database, timers, "bad", NOON)

    await timers.step()

    assert await left_traces(database, "good", "bad") == ["good"]
    assert await states(database) == [("good", "done", 1), ("bad", "pending", 1)]


async def test_a_handler_that_fails_holds_up_no_other(database, timers, clock):
    handler = Broken("bad-1", "bad-2")
    timers.register("remind", handler)
    for subject in ("bad-1", "good-1", "bad-2", "good-2"):
        await put(database, timers, subject, NOON)

    await timers.step()

    assert handler.subjects == ["good-1", "good-2"]


async def test_a_handler_that_fails_is_tried_again_later_and_later(database, timers, clock):
    handler = Broken("bad")
    timers.register("remind", handler)
    await put(database, timers, "bad", NOON)

    assert await timers.step() == 5 * SECOND
    assert await timers.step() == 5 * SECOND
    assert len(handler.tried) == 1
    clock.advance(5 * SECOND)
    assert await timers.step() == 10 * SECOND
    clock.advance(10 * SECOND)
    handler.broken.clear()
    assert await timers.step() == LONGEST_WAIT

    assert handler.subjects == ["bad"]
    assert len(handler.tried) == 3


async def test_a_timer_that_failed_starts_afresh_when_it_is_set_again(database, timers, clock):
    handler = Broken("bad")
    timers.register("remind", handler)
    await put(database, timers, "bad", NOON)
    await timers.step()
    handler.broken.clear()

    await put(database, timers, "bad", NOON)
    await timers.step()

    assert handler.subjects == ["bad"]


@pytest.mark.parametrize("error", [UnavailableError, LostLeadershipError])
async def test_what_concerns_the_whole_step_ends_it_and_nothing_is_lost(database, timers, clock, error):
    handler = Broken("first", error=error)
    timers.register("remind", handler)
    await put(database, timers, "first", NOON)
    await put(database, timers, "second", NOON + SECOND)
    clock.advance(SECOND)

    with pytest.raises(error):
        await timers.step()
    handler.broken.clear()
    clock.advance(5 * SECOND)
    await timers.step()

    assert sorted(handler.subjects) == ["first", "second"]


async def test_a_try_that_ended_with_the_process_comes_back(database, timers, remind, clock):
    await put(database, timers, "incident:7", NOON)
    # The process dies between the commit that counts the try and the try itself.
    assert len(await timers._claim()) == 1

    await timers.step()
    assert remind.ran == []
    clock.advance(5 * SECOND)
    await timers.step()

    assert remind.subjects == ["incident:7"]


async def test_a_timer_that_is_moved_or_cancelled_while_claimed_does_not_run(database, timers, remind, clock):
    await put(database, timers, "moved", NOON)
    await put(database, timers, "cancelled", NOON)
    claims = await timers._claim()
    await put(database, timers, "moved", NOON + MINUTE)
    await cancel(database, timers, "cancelled")

    for claim in claims:
        await timers._run(claim)

    assert remind.ran == []
    clock.advance(MINUTE)
    await timers.step()
    assert remind.subjects == ["moved"]


async def test_a_claim_is_taken_by_one(database, clock, timers, remind):
    other = Timers(database, clock)
    other.register("remind", remind)
    for n in range(20):
        await put(database, timers, str(n), NOON)

    mine, theirs = await asyncio.gather(timers._claim(), other._claim())

    assert len({claim.id for claim in (*mine, *theirs)}) == len(mine) + len(theirs) == 20


async def test_many_that_are_due_are_taken_in_batches(database, timers, remind, clock):
    async with database.transaction() as tx:
        for n in range(130):
            await timers.set(tx, "remind", str(n), NOON)

    assert await timers.step() == AT_ONCE
    assert len(remind.ran) == 100
    assert await timers.step() == LONGEST_WAIT
    assert len(remind.ran) == 130


async def test_what_was_tried_least_runs_first(database, timers, clock):
    handler = Broken("old")
    timers.register("remind", handler)
    await put(database, timers, "old", NOON)
    await timers.step()
    clock.advance(MINUTE)
    await put(database, timers, "fresh", NOON + MINUTE)

    await timers.step()

    assert handler.tried == ["old", "fresh", "old"]


async def test_the_loop_is_woken_by_the_commit_of_a_timer(database, timers, clock):
    rang = asyncio.Event()

    async def ring(tx, subject, due_at):
        tx.after_commit(rang.set)

    timers.register("remind", ring)
    loop = Loop("timers", timers.step)
    timers.on_set(loop.wake)
    running = asyncio.create_task(loop.run())
    try:
        await asyncio.sleep(0)
        await put(database, timers, "incident:7", NOON)
        async with asyncio.timeout(5):
            await rang.wait()
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_who_does_not_lead_any_more_runs_nothing(database, clock):
    epoch = await Leadership(database, "old").acquire()
    leading = database.under(epoch)
    timers = Timers(leading, clock)
    handler = Recorder()
    timers.register("remind", handler)
    await put(database, timers, "incident:7", NOON)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE leadership SET epoch = epoch + 1"))

    with pytest.raises(LostLeadershipError):
        await timers.step()
    assert handler.ran == []


async def test_timers_that_are_done_are_deleted_in_the_end(database, timers, remind, clock):
    await put(database, timers, "done", NOON)
    await put(database, timers, "pending", NOON + MINUTE)
    await timers.step()

    async with database.transaction() as tx:
        assert await timers.purge(tx, before=clock.advance(timedelta(days=30))) == 1

    assert await states(database) == [("pending", "pending", 0)]


events = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from("abc"), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.just("pass"), st.just(""), st.integers(1, 30)),
    ),
    max_size=12,
)


@given(events)
@settings(max_examples=30, deadline=None)
def test_each_timer_runs_once_at_its_last_time_unless_cancelled(migrated_sqlite, tmp_path_factory, events):
    async def play():
        path = tmp_path_factory.mktemp("timers") / "machine.db"
        path.write_bytes(migrated_sqlite.read_bytes())
        clock = ManualClock()
        expected, pending = [], {}
        async with Database(f"sqlite+aiosqlite:///{path}") as database:
            timers, handler = Timers(database, clock), Recorder()
            timers.register("remind", handler)
            for event, subject, seconds in [*events, ("pass", "", 100)]:
                if event == "set":
                    pending[subject] = clock.now() + seconds * SECOND
                    await put(database, timers, subject, pending[subject])
                elif event == "cancel":
                    await cancel(database, timers, subject)
                    pending.pop(subject, None)
                else:
                    now = clock.advance(seconds * SECOND)
                    expected += [one for one in pending.items() if one[1] <= now]
                    pending = {subject: due for subject, due in pending.items() if due > now}
                    await timers.step()
        assert sorted(handler.ran) == sorted(expected)

    asyncio.run(play())
