import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import dialect as postgres_dialect
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import DBAPIError

from bot.core.actor import THE_MACHINE
from bot.journal.changes import Ending
from bot.journal.model import FaultKind, Filter, Head, Outcome, PostedHead, chain_hash
from bot.journal.service import Journal, verify_journal
from bot.journal.store import journal as table
from bot.journal.store import journal_head
from bot.telemetry.metrics import REGISTRY
from tests.support.clock import NOON, ManualClock
from tests.support.journal import a_system_entry, an_entry
from tests.support.people import a_person

TODAY = date(2026, 11, 21)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def journal(clock):
    return Journal(clock)


async def append(database, journal, *entries):
    recorded = []
    for entry in entries:
        async with database.transaction() as tx:
            recorded.append(await journal.append(tx, entry))
    return recorded


async def append_and_roll_back(database, journal, entry):
    async def fail_at_the_end():
        async with database.transaction() as tx:
            await journal.append(tx, entry)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_at_the_end()


async def listed(database, journal, **wanted):
    async with database.reading() as tx:
        return [one.entry.target for one in await journal.list_entries(tx, Filter(**wanted))]


async def head_of(database, journal):
    async with database.reading() as tx:
        return await journal.head(tx)


async def run(database, *statements):
    async with database.transaction() as tx:
        for statement in statements:
            await tx.execute(statement)


async def filled(database, journal, clock, length=6):
    """A journal of people's entries with the bot's own between them."""
    for number in range(1, length + 1):
        clock.advance(timedelta(minutes=1))
        await append(
            database, journal, an_entry(target=f"channel:{number}", detail={"n": number}), a_system_entry()
        )


def kinds(verdict):
    return [fault.kind for fault in verdict.faults]


async def test_what_was_recorded_is_read_back_whole(database, journal):
    entry = an_entry(
        "alerts:silence",
        by=a_person("Zoë “Z” 🦊"),
        target="channel:critical",
        outcome=Outcome.FAILED,
        reason="naïve ✓\x7f",
        detail={"until": "2026-11-21", "count": 10**18, "share": 0.1, "all": True, "none": None, "ключ": "✓"},
        namespace="shop",
        app="argocd/shop",
        incident=7,
        operation="op-1",
    )

    (recorded,) = await append(database, journal, entry)

    async with database.reading() as tx:
        assert await journal.list_entries(tx) == [recorded]
    assert recorded.entry == entry
    assert recorded.at == NOON
    assert (await verify_journal(database)).intact


async def test_text_that_a_database_refuses_is_recorded_all_the_same(database, journal):
    (recorded,) = await append(
        database, journal, an_entry(by=a_person("nul\x00", user="1"), detail={"odd": "\ud800\x00"})
    )

    async with database.reading() as tx:
        assert await journal.list_entries(tx) == [recorded]
    assert (await verify_journal(database)).intact


async def test_what_people_do_is_chained_and_what_the_bot_does_is_not(database, journal):
    first, own, second = await append(
        database, journal, an_entry(), a_system_entry(), an_entry("alerts:unack")
    )

    assert (own.seq, own.hash) == (None, None)
    assert [first.seq, second.seq] == [1, 2]
    assert second.hash == chain_hash(first.hash, second)
    assert await head_of(database, journal) == Head(2, second.hash)


async def test_an_entry_that_is_rolled_back_leaves_no_gap(database, journal):
    await append_and_roll_back(database, journal, an_entry())

    (kept,) = await append(database, journal, an_entry())

    assert kept.seq == 1
    assert (await verify_journal(database)).intact


async def test_people_who_act_at_the_same_moment_stand_one_after_the_other(database, journal):
    await asyncio.gather(*(append(database, journal, an_entry(target=f"channel:{n}")) for n in range(20)))

    verdict = await verify_journal(database)

    assert verdict.intact
    assert verdict.head.seq == 20


async def test_subscribers_hear_of_an_entry_inside_its_transaction(database, journal):
    heard = []

    async def write_along(tx, recorded):
        heard.append(recorded)
        if recorded.entry.actor.is_person:
            await journal.append(tx, a_system_entry("alerts:noted", target=recorded.entry.target))

    journal.subscribe(write_along)

    (recorded,) = await append(database, journal, an_entry(target="channel:critical"))

    assert heard[0] == recorded
    assert await listed(database, journal) == ["channel:critical", "channel:critical"]


async def test_a_subscriber_that_fails_undoes_the_entry(database, journal):
    async def fail(tx, recorded):
        raise ZeroDivisionError

    journal.subscribe(fail)

    with pytest.raises(ZeroDivisionError):
        await append(database, journal, an_entry())
    assert await listed(database, journal) == []


async def test_entries_are_counted_once_they_are_committed(database, journal):
    def counted():
        return REGISTRY.get_sample_value("the_machine_audit_events_total", {"action": "test:counted"}) or 0

    before = counted()
    await append_and_roll_back(database, journal, an_entry("test:counted"))
    async with database.transaction() as tx:
        await journal.append(tx, an_entry("test:counted"))
        await journal.append(tx, a_system_entry("test:counted"))

    assert counted() == before + 2


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["d", "c", "b", "a"]),
        ({"namespace": "shop"}, ["c", "a"]),
        ({"app": "argocd/shop"}, ["b"]),
        ({"incident": 7}, ["a"]),
        ({"operation": "op-1"}, ["d"]),
        ({"actor": "5"}, ["b"]),
        ({"action": "alerts:*"}, ["c", "a"]),
        ({"action": "alerts:ac?"}, ["a"]),
        ({"action": "alerts_ack"}, []),
        ({"action": "%"}, []),
        ({"namespace": "shop", "action": "*:ack"}, ["a"]),
        ({"since": NOON + timedelta(minutes=2)}, ["d", "c"]),
        ({"until": NOON + timedelta(minutes=2)}, ["b", "a"]),
        ({"since": NOON + timedelta(minutes=1), "until": NOON + timedelta(minutes=3)}, ["c", "b"]),
    ],
)
async def test_entries_are_found_newest_first_by_what_they_are_about(
    database, journal, clock, wanted, expected
):
    for entry in (
        an_entry("alerts:ack", target="a", namespace="shop", incident=7),
        an_entry("argocd:sync", target="b", app="argocd/shop", by=a_person("Five", user="5")),
        an_entry("alerts:silence", target="c", namespace="shop"),
        a_system_entry("kargo:promoted", target="d", operation="op-1"),
    ):
        await append(database, journal, entry)
        clock.advance(timedelta(minutes=1))

    assert await listed(database, journal, **wanted) == expected
    async with database.reading() as tx:
        assert await journal.count_entries(tx, Filter(**wanted)) == len(expected)


async def changed(database, journal, *, since=NOON, until=None, limit=50, **places):
    async with database.reading() as tx:
        found = await journal.list_changes(tx, since=since, until=until, limit=limit, **places)
    return [one.entry.target for one in found]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["f", "e", "c", "b", "a"]),
        ({"namespaces": ["shop"]}, ["f", "c", "a"]),
        ({"apps": ["argocd/shop"]}, ["c", "b"]),
        ({"namespaces": ["shop"], "apps": ["argocd/shop"]}, ["f", "c", "b", "a"]),
        ({"namespaces": ["shop", "web"]}, ["f", "e", "c", "a"]),
        ({"namespaces": ["elsewhere"]}, []),
        ({"namespaces": ["shop"], "limit": 1}, ["f"]),
        ({"namespaces": ["shop"], "apps": ["argocd/shop"], "limit": 3}, ["f", "c", "b"]),
        ({"namespaces": ["shop"], "since": NOON + timedelta(minutes=2)}, ["f", "c"]),
        ({"until": NOON + timedelta(minutes=2)}, ["b", "a"]),
    ],
)
async def test_changes_are_found_newest_first_by_where_they_happened(
    database, journal, clock, wanted, expected
):
    for entry in (
        an_entry("alerts:silence", target="a", namespace="shop", change=True),
        a_system_entry("argocd:synced", target="b", app="argocd/shop", change=True),
        an_entry("argocd:sync", target="c", namespace="shop", app="argocd/shop", change=True),
        an_entry("argocd:sync", target="d", namespace="shop", outcome=Outcome.FAILED, change=True),
        an_entry("secrets:rotate", target="e", namespace="web", change=True),
        an_entry("secrets:rotate", target="f", namespace="shop", change=True),
        a_system_entry(target="g", namespace="shop"),
    ):
        await append(database, journal, entry)
        clock.advance(timedelta(minutes=1))

    assert await changed(database, journal, **wanted) == expected


async def test_an_operation_is_one_change_with_its_end(database, journal):
    started = an_entry("argocd:sync", namespace="shop", operation="op-1", detail={"state": "started"})
    await append(
        database,
        journal,
        replace(started, change=True),
        a_system_entry("argocd:sync", operation="op-1", outcome=Outcome.FAILED, detail={"state": "failed"}),
        an_entry("alerts:silence", namespace="shop", change=True),
    )

    async with database.reading() as tx:
        changes = await journal.read_changes(tx, namespaces=["shop"], since=NOON)

    assert [(change.action, change.ending) for change in changes] == [
        ("alerts:silence", Ending.DONE),
        ("argocd:sync", Ending.FAILED),
    ]


async def test_changes_are_in_the_chain_beside_entries_from_before_there_were_any(database, journal):
    await append(database, journal, an_entry(), an_entry(change=True), a_system_entry(change=True))

    assert (await verify_journal(database)).intact


async def test_changes_are_found_without_reading_the_rest_of_the_journal(database, journal):
    rows = [
        {
            "at": NOON - timedelta(seconds=number),
            "actor_kind": "system",
            "actor_id": "the-machine",
            "actor_name": "The Machine",
            "action": "alerts:opened",
            "target": "",
            "outcome": "done",
            "reason": "",
            "detail": {},
            "namespace": f"ns-{number % 50}",
            "app": f"argocd/app-{number % 200}",
            "change": number % 100 == 0,
        }
        for number in range(5_000)
    ]
    await run(database, insert(table).values(rows[:1]))
    async with database.transaction() as tx:
        await tx.execute(insert(table), rows[1:])
        if not database.is_sqlite:
            await tx.execute(text("ANALYZE journal"))
    for places in (
        {},
        {"namespaces": ["ns-0"]},
        {"apps": ["argocd/app-0"]},
        {"namespaces": ["ns-0", "ns-1"], "apps": ["argocd/app-0"]},
    ):
        plan = await explained(database, journal, since=NOON - timedelta(hours=1), limit=12, **places)
        assert "SCAN journal" not in plan
        assert "Seq Scan on journal" not in plan
        assert "ix_journal_change" in plan


async def explained(database, journal, **wanted):
    """How the database means to find changes, in its own words."""
    plans = []

    class Explaining:
        """Stands where the transaction would, and asks for the plan as well."""

        def __init__(self, tx):
            self._tx = tx

        async def execute(self, statement, parameters=None):
            bound = statement.params(parameters or {}).compile(
                dialect=sqlite_dialect() if database.is_sqlite else postgres_dialect(),
                compile_kwargs={"literal_binds": True},
            )
            explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
            rows = await self._tx.execute(text(f"{explain} {bound}".replace(":", "\\:")))
            plans.extend(str(row) for row in rows)
            return await self._tx.execute(statement, parameters)

    async with database.reading() as tx:
        await journal.list_changes(Explaining(tx), **wanted)
    return "\n".join(plans)


async def test_a_long_list_is_paged(database, journal):
    await append(database, journal, *(an_entry(target=str(n)) for n in range(5)))

    async with database.reading() as tx:
        first = await journal.list_entries(tx, limit=2)
        second = await journal.list_entries(tx, before=first[-1].id, limit=2)

    assert [one.entry.target for one in (*first, *second)] == ["4", "3", "2", "1"]


async def test_old_entries_of_the_bot_are_deleted_and_the_chain_stays_whole(database, journal, clock):
    await filled(database, journal, clock, length=4)

    async with database.transaction() as tx:
        deleted = await journal.purge(tx, before=NOON + timedelta(minutes=3))

    assert deleted == 2
    verdict = await verify_journal(database)
    assert verdict.intact
    assert verdict.head.seq == 4


async def test_old_changes_are_deleted_as_everything_else(database, journal, clock):
    await append(database, journal, an_entry(change=True), a_system_entry(change=True))
    async with database.transaction() as tx:
        assert await journal.purge(tx, before=clock.advance(timedelta(days=1))) == 1
    async with database.reading() as tx:
        (kept,) = await journal.list_changes(tx, since=NOON)
    assert kept.entry.actor.is_person
    assert (await verify_journal(database)).intact


async def test_deleting_is_bounded(database, journal, clock):
    await filled(database, journal, clock, length=4)

    async with database.transaction() as tx:
        assert await journal.purge(tx, before=clock.advance(timedelta(days=1)), limit=3) == 3


@pytest.mark.parametrize("batch", [1, 2, 6, 500])
async def test_an_untouched_journal_is_intact_in_batches_of_any_size(database, journal, clock, batch):
    await filled(database, journal, clock)
    head = await head_of(database, journal)

    verdict = await verify_journal(database, [PostedHead(TODAY, head.seq, head.hash)], batch=batch)

    assert verdict.intact
    assert verdict.head == head
    assert verdict.posted_compared == 1


@pytest.mark.parametrize("batch", [2, 500])
@pytest.mark.parametrize(
    "values",
    [
        {"reason": "nothing to see"},
        {"actor_name": "Somebody else"},
        {"at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"detail": {"n": 4}},
        {"hash": "0" * 64},
        {"hash": None},
        {"change": True},
    ],
)
async def test_a_changed_row_is_found(database, journal, clock, values, batch):
    await filled(database, journal, clock)

    await run(database, update(table).where(table.c.seq == 3).values(values))

    verdict = await verify_journal(database, batch=batch)
    assert [(fault.kind, fault.seq) for fault in verdict.faults] == [(FaultKind.CHANGED, 3)]


@pytest.mark.parametrize(
    "change",
    [
        "outcome = 'fine'",
        "actor_kind = 'ghost'",
        "detail = '[]'",
        "detail = '{\"n\": NaN}'",
        "detail = 'null'",
    ],
)
async def test_a_row_that_cannot_be_understood_is_found(database, journal, clock, change):
    await filled(database, journal, clock)
    broken = text(f"UPDATE journal SET {change} WHERE seq = 3")
    if "NaN" in change and not database.is_sqlite:
        # PostgreSQL takes nothing that is not JSON: nobody can bring that about.
        with pytest.raises(DBAPIError, match="invalid input syntax for type json"):
            await run(database, broken)
        return

    await run(database, broken)

    verdict = await verify_journal(database)
    assert [(fault.kind, fault.seq) for fault in verdict.faults] == [(FaultKind.UNREADABLE, 3)]


async def test_a_deleted_row_is_found(database, journal, clock):
    await filled(database, journal, clock)

    await run(database, delete(table).where(table.c.seq == 3))

    (fault,) = (await verify_journal(database)).faults
    assert (fault.kind, fault.seq) == (FaultKind.MISSING, 3)


async def test_rows_that_changed_places_are_found(database, journal, clock):
    await filled(database, journal, clock)

    await run(
        database,
        update(table).where(table.c.seq == 3).values(seq=99),
        update(table).where(table.c.seq == 4).values(seq=3),
        update(table).where(table.c.seq == 99).values(seq=4),
    )

    assert kinds(await verify_journal(database)) == [FaultKind.CHANGED]


async def test_a_person_s_entry_put_in_outside_the_chain_is_found(database, journal, clock):
    await filled(database, journal, clock, length=2)
    async with database.transaction() as tx:
        row = dict((await tx.execute(select(table).where(table.c.seq == 2))).mappings().one())
    for seq in (None, -1):
        await run(database, insert(table).values(row | {"id": 1000 + (seq or 0), "seq": seq, "hash": None}))

        assert kinds(await verify_journal(database)) == [FaultKind.UNCHAINED]

        await run(database, delete(table).where(table.c.id >= 999))


async def test_a_tail_that_was_cut_off_is_found_by_the_recorded_head(database, journal, clock):
    await filled(database, journal, clock)

    await run(database, delete(table).where(table.c.seq > 4))

    assert kinds(await verify_journal(database)) == [FaultKind.HEAD_DIFFERS]


async def cut_with_the_head(database, last):
    async with database.transaction() as tx:
        await tx.execute(delete(table).where(table.c.seq > last))
        row = (await tx.execute(select(table).where(table.c.seq == last))).one()
        await tx.execute(update(journal_head).values(seq=row.seq, hash=row.hash))


async def test_a_tail_cut_off_with_its_head_is_found_only_by_a_head_that_was_posted(database, journal, clock):
    await filled(database, journal, clock)
    head = await head_of(database, journal)

    await cut_with_the_head(database, 4)

    assert (await verify_journal(database)).intact
    (fault,) = (await verify_journal(database, [PostedHead(TODAY, head.seq, head.hash)])).faults
    assert (fault.kind, fault.seq) == (FaultKind.CUT, 6)
    assert "2026-11-21" in fault.text


async def test_a_tail_cut_off_and_grown_again_is_found_by_a_head_that_was_posted(database, journal, clock):
    await filled(database, journal, clock)
    head = await head_of(database, journal)

    await cut_with_the_head(database, 4)
    await filled(database, journal, clock, length=9)

    assert (await verify_journal(database)).intact
    verdict = await verify_journal(database, [PostedHead(TODAY, head.seq, head.hash)])
    assert kinds(verdict) == [FaultKind.REWRITTEN]


async def test_a_journal_that_was_emptied_is_found_by_a_head_that_was_posted(database, journal, clock):
    await filled(database, journal, clock)
    head = await head_of(database, journal)

    await run(database, delete(table), delete(journal_head))

    assert (await verify_journal(database)).intact
    verdict = await verify_journal(database, [PostedHead(TODAY, head.seq, head.hash)])
    assert kinds(verdict) == [FaultKind.CUT]


async def test_without_its_head_row_the_chain_goes_on_where_it_stood(database, journal, clock):
    await filled(database, journal, clock, length=3)
    await run(database, delete(journal_head))
    assert kinds(await verify_journal(database)) == [FaultKind.HEAD_DIFFERS]

    (recorded,) = await append(database, journal, an_entry())

    assert recorded.seq == 4
    assert (await verify_journal(database)).intact


async def test_the_head_of_a_day_waits_until_it_is_posted(database, journal, clock):
    await filled(database, journal, clock, length=2)
    head = await head_of(database, journal)
    expected = PostedHead(TODAY, head.seq, head.hash)

    async with database.transaction() as tx:
        assert await journal.heads_to_post(tx, TODAY) == [expected]
    await filled(database, journal, clock, length=1)
    async with database.transaction() as tx:
        assert await journal.heads_to_post(tx, TODAY) == [expected]
        await journal.mark_posted(tx, TODAY, "1234")
    async with database.transaction() as tx:
        assert await journal.heads_to_post(tx, TODAY) == []


async def test_heads_that_could_not_be_posted_are_posted_later(database, journal, clock):
    days = []
    for offset in range(3):
        await filled(database, journal, clock, length=1)
        async with database.transaction() as tx:
            days = await journal.heads_to_post(tx, TODAY + timedelta(days=offset))

    assert [(head.day.day, head.seq) for head in days] == [(21, 1), (22, 2), (23, 3)]
    assert (await verify_journal(database, days)).posted_compared == 3


async def test_a_day_on_which_nobody_acted_has_no_head(database, journal, clock):
    async with database.transaction() as tx:
        assert await journal.heads_to_post(tx, TODAY) == []
    await filled(database, journal, clock, length=1)
    async with database.transaction() as tx:
        await journal.heads_to_post(tx, TODAY)
        await journal.mark_posted(tx, TODAY, "1")
    await append(database, journal, a_system_entry())

    async with database.transaction() as tx:
        assert await journal.heads_to_post(tx, TODAY + timedelta(days=1)) == []


async def test_the_bot_is_named_as_itself(database, journal):
    await append(database, journal, a_system_entry())

    async with database.reading() as tx:
        (recorded,) = await journal.list_entries(tx)
    assert recorded.entry.actor == THE_MACHINE


async def test_what_was_only_seen_later_stands_where_it_happened(database, journal, clock):
    async with database.transaction() as tx:
        await journal.append(
            tx, a_system_entry("argocd:synced", target="shop", namespace="shop", change=True)
        )
        clock.advance(timedelta(hours=3))
        missed = a_system_entry("argocd:synced", target="web", namespace="shop", change=True)
        recorded = await journal.append(tx, missed, at=NOON - timedelta(minutes=5))
    assert recorded.at == NOON - timedelta(minutes=5)
    assert await changed(database, journal, since=NOON - timedelta(hours=1)) == ["shop", "web"]
    assert await changed(database, journal, namespaces=["shop"], since=NOON) == ["shop"]
    assert await listed(database, journal, until=NOON) == ["web"]
    async with database.transaction() as tx:
        assert await journal.purge(tx, before=NOON) == 1
    assert await listed(database, journal) == ["shop"]


async def test_nothing_happened_later_than_now(database, journal):
    async with database.transaction() as tx:
        recorded = await journal.append(tx, a_system_entry(), at=NOON + timedelta(minutes=2))
    assert recorded.at == NOON


async def test_what_people_do_is_recorded_when_they_do_it(database, journal):
    async with database.transaction() as tx:
        with pytest.raises(ValueError, match="when it is done"):
            await journal.append(tx, an_entry(), at=NOON - timedelta(minutes=2))
