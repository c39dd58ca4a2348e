from dataclasses import fields, replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from bot.operations import store
from bot.operations.model import Approval, Ending, Operation, OperationId, Plan, Progress, State, Wish
from tests.support.clock import NOON
from tests.support.operating import ADA, BOB, CHANNEL, a_plan

MINUTE = timedelta(minutes=1)


def an_operation(name="one", **values) -> Operation:
    return Operation(
        **{
            "id": OperationId(name),
            "plan": a_plan(subject=f"app:argocd/{name}"),
            "state": State.WAITING,
            "asked_by": ADA,
            "asked_at": NOON,
            "confirmed_at": NOON,
            "channel_id": CHANNEL,
            **values,
        }
    )


def with_everything() -> Operation:
    return an_operation(
        plan=a_plan(min_approvals=1, request={"resources": [{"kind": "Pod"}], "prune": True}),
        state=State.PROGRESSING,
        expires_at=NOON + MINUTE,
        approvals_needed=2,
        approvals=(Approval(BOB, NOON), Approval(ADA, NOON + MINUTE)),
        started_at=NOON,
        attempts=3,
        tried_at=NOON,
        accepted_at=NOON,
        abandoned=Ending(State.CANCELLED, "why", BOB),
        wish=Wish("cancel", BOB, NOON),
        granted=Wish("discard", ADA, NOON),
        note="**note**",
        progress=Progress(
            state=State.PROGRESSING,
            fraction=0.25,
            step="wave 1 of 2",
            body=("a", "b"),
            counts="1 of 2",
            outcome="",
            offers=("discard",),
            memory={"retries": 2, "seen": ["x"]},
        ),
        unseen_since=NOON,
        problem="p",
        outcome="o",
        ended_at=NOON + MINUTE,
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


async def save(database, *operations):
    async with database.transaction() as tx:
        for each in operations:
            await store.save(tx, each)


@pytest.mark.parametrize("saved", [an_operation(), with_everything()], ids=["little", "everything"])
async def test_an_operation_is_given_back_as_it_was_saved(database, saved):
    await save(database, saved)

    async with database.reading() as tx:
        assert await store.find(tx, saved.id) == saved


def test_the_example_with_everything_leaves_nothing_out():
    usual, full = an_operation(), with_everything()
    same = {each.name for each in fields(Operation) if getattr(usual, each.name) == getattr(full, each.name)}
    assert same == {"id", "asked_by", "asked_at", "channel_id", "confirmed_at"}


async def test_saving_again_replaces_what_was_kept(database):
    await save(database, an_operation(), an_operation(state=State.STARTED))

    async with database.reading() as tx:
        found = await store.find(tx, OperationId("one"))
    assert found.state is State.STARTED


async def test_what_a_newer_version_wrote_can_be_read(database):
    await save(database, an_operation())
    async with database.transaction() as tx:
        row = (await tx.execute(store.operation.select())).one()
        body = {**row.body, "later": 1, "plan": {**row.body["plan"], "also": 2}}
        await tx.execute(store.operation.update().values(body=body))

    async with database.reading() as tx:
        assert await store.find(tx, OperationId("one")) == an_operation()


async def test_the_database_keeps_a_second_one_away_from_a_subject(database):
    plan = a_plan()
    await save(database, an_operation("one", plan=plan))

    with pytest.raises(IntegrityError):
        await save(database, an_operation("two", plan=plan))


@pytest.mark.parametrize("state", [state for state in State if not state.is_active])
async def test_what_is_not_active_holds_nothing(database, state):
    plan = a_plan()
    await save(database, an_operation("one", plan=plan, state=state))
    await save(database, an_operation("two", plan=plan))

    async with database.reading() as tx:
        assert (await store.find_active(tx, plan.subject)).id == "two"


async def test_the_active_ones_are_listed_oldest_first_and_the_recent_ones_newest_first(database):
    late = NOON + MINUTE
    await save(
        database,
        an_operation("late", confirmed_at=late),
        an_operation("early"),
        an_operation("over", state=State.FAILED, confirmed_at=late + MINUTE),
        an_operation("preview", state=State.REQUESTED, confirmed_at=None),
    )

    async with database.reading() as tx:
        active = [each.id for each in await store.list_active(tx)]
        recent = [each.id for each in await store.list_recent(tx, limit=2)]
    assert active == ["early", "late"]
    assert recent == ["over", "late"]


async def test_what_ended_long_ago_is_forgotten_a_few_at_a_time(database):
    over = [an_operation(f"over-{n}", state=State.FAILED, ended_at=NOON + n * MINUTE) for n in range(4)]
    await save(database, *over, an_operation("runs"))

    async with database.transaction() as tx:
        first = await store.purge(tx, ended_before=NOON + 3 * MINUTE, limit=2)
        second = await store.purge(tx, ended_before=NOON + 3 * MINUTE, limit=2)
    assert (first, second) == (["over-0", "over-1"], ["over-2"])
    async with database.reading() as tx:
        assert await store.find(tx, OperationId("over-3"))
        assert await store.find(tx, OperationId("runs"))


async def test_previews_are_forgotten_whether_they_were_dropped_or_not(database):
    preview = an_operation("preview", state=State.REQUESTED, confirmed_at=None)
    dropped = replace(preview, id=OperationId("dropped"), state=State.CANCELLED, ended_at=NOON)
    young = replace(preview, id=OperationId("young"), asked_at=NOON + MINUTE)
    await save(database, preview, dropped, young, an_operation())

    async with database.transaction() as tx:
        assert await store.purge_previews(tx, before=NOON + MINUTE) == 2
    async with database.reading() as tx:
        assert await store.find(tx, OperationId("young"))
        assert await store.find(tx, OperationId("one"))


def test_a_plan_needs_only_what_its_room_must_say():
    assert not Plan(
        kind="k", action="a:b", targets=(), subject="s", title="t", doing="d", done="d", system="x"
    ).min_approvals
