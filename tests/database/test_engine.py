import asyncio

import pytest
from sqlalchemy import select, text

from bot.core.errors import LostLeadershipError, UnavailableError
from bot.database.engine import Database
from bot.database.facts import fact, find_fact, set_fact
from bot.database.leadership import Leadership


async def test_what_was_committed_is_there_after_reopening(database_url):
    async with Database(database_url) as database, database.transaction() as tx:
        await set_fact(tx, "colour", "red")
    async with Database(database_url) as database, database.reading() as tx:
        assert await find_fact(tx, "colour") == "red"


async def test_an_exception_rolls_everything_back_and_calls_nobody(database):
    called = []

    async def fail():
        async with database.transaction() as tx:
            tx.after_commit(lambda: called.append(1))
            await set_fact(tx, "colour", "red")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.reading() as tx:
        assert await find_fact(tx, "colour") is None
    assert called == []


async def test_after_commit_calls_the_same_callback_once(database):
    called = []

    def wake():
        called.append(1)

    async with database.transaction() as tx:
        tx.after_commit(wake)
        tx.after_commit(wake)
        assert called == []
    assert called == [1]


async def test_concurrent_read_modify_writes_of_a_leader_lose_nothing(database):
    epoch = await Leadership(database, "one").acquire()
    led = database.under(epoch)

    async def increment():
        async with led.transaction() as tx:
            value = int(await find_fact(tx, "count") or "0")
            await set_fact(tx, "count", str(value + 1))

    await asyncio.gather(*(increment() for _ in range(25)))
    async with database.reading() as tx:
        assert (await tx.execute(select(fact.c.value))).scalar() == "25"


async def test_a_former_leader_can_record_nothing(database):
    former = database.under(await Leadership(database, "one").acquire())
    await Leadership(database, "one").release(1)
    epoch = await Leadership(database, "two").acquire()
    assert epoch == 2
    with pytest.raises(LostLeadershipError):
        async with former.transaction() as tx:
            await set_fact(tx, "who", "former")
    async with database.under(epoch).transaction() as tx:
        await set_fact(tx, "who", "leader")
    async with database.reading() as tx:
        assert await find_fact(tx, "who") == "leader"


async def test_a_second_process_waits_while_the_lease_is_valid(database):
    first = Leadership(database, "one")
    assert await first.acquire() == 1
    second = await Leadership(database, "two").acquire()
    assert second == (2 if database.is_sqlite else None)
    assert await first.renew(1) is not database.is_sqlite


async def test_a_lease_given_back_is_taken_at_once(database):
    first = Leadership(database, "one")
    await first.release(await first.acquire())
    assert await Leadership(database, "two").acquire() == 2
    leader = await first.find_leader()
    assert leader is not None
    assert leader.holder == "two"


async def test_a_database_that_is_not_there_is_unavailable(tmp_path):
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/no/folder/machine.db") as database:
        with pytest.raises(UnavailableError):
            async with database.transaction() as tx:
                await set_fact(tx, "colour", "red")


async def test_a_server_that_refuses_is_unavailable():
    async with Database("postgresql+asyncpg://nobody@127.0.0.1:1/none") as database:
        with pytest.raises(UnavailableError):
            async with database.reading() as tx:
                await find_fact(tx, "colour")


async def test_a_lease_that_holds_is_told_from_one_that_ended(database):
    leadership = Leadership(database, "one")
    assert await leadership.find_leader() is None
    epoch = await leadership.acquire()
    assert (await leadership.find_leader()).is_current
    await leadership.release(epoch)
    leader = await leadership.find_leader()
    assert (leader.holder, leader.is_current) == ("one", False)


async def test_a_transaction_cancelled_in_the_middle_holds_nobody_up(sqlite_url):
    async with Database(sqlite_url) as database:
        begun = asyncio.Event()

        async def hang():
            async with database.transaction() as tx:
                await set_fact(tx, "colour", "red")
                begun.set()
                await tx.execute(
                    text(
                        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) SELECT max(i) FROM n"
                    )
                )

        task = asyncio.create_task(hang())
        await begun.wait()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        async with database.transaction() as tx:
            assert await find_fact(tx, "colour") is None
            await set_fact(tx, "colour", "blue")
        async with database.reading() as tx:
            assert await find_fact(tx, "colour") == "blue"


async def test_a_transaction_of_nothing_commits_nothing_and_the_next_one_works(database):
    called = []
    async with database.transaction() as tx:
        tx.after_commit(lambda: called.append(1))
    async with database.transaction() as tx:
        await set_fact(tx, "colour", "red")
    async with database.reading():
        pass
    async with database.reading() as tx:
        assert await find_fact(tx, "colour") == "red"
    assert called == [1]


async def test_a_file_that_cannot_be_used_is_told_with_what_to_do(tmp_path):
    async def says(url):
        async with Database(url) as opened:
            with pytest.raises(UnavailableError) as raised:
                async with opened.transaction() as tx:
                    await tx.execute(text("CREATE TABLE more (id INTEGER)"))
        return str(raised.value)

    assert "folder must be there" in await says(f"sqlite+aiosqlite:///{tmp_path}/nowhere/machine.db")
    (tmp_path / "letter.db").write_text("Dear database, " * 100)
    assert "no database of SQLite" in await says(f"sqlite+aiosqlite:///{tmp_path}/letter.db")
    frozen = f"file:{tmp_path}/frozen.db?mode=ro&uri=true"
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/frozen.db") as opened, opened.transaction() as tx:
        await tx.execute(text("CREATE TABLE there (id INTEGER)"))
    assert "cannot be written" in await says(f"sqlite+aiosqlite:///{frozen}")
