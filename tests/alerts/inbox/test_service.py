"""What an accepted delivery can rely on, on both databases."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from bot.alerts.inbox.model import Kind
from bot.alerts.inbox.service import Inbox
from bot.core.errors import UnavailableError
from bot.core.loops import NOTHING_TRIED
from bot.database.engine import Database
from tests.support.clock import NOON, ManualClock
from tests.support.deliveries import states, stored

SOON = timedelta(milliseconds=50)


@pytest.fixture
def woken():
    return []


@pytest.fixture
def open_inbox(database, woken):
    def opened(**options):
        return Inbox(database, ManualClock(), wake=lambda: woken.append(1), **options)

    return opened


def post(inbox: Inbox, body: bytes = b"{}", source: str = "main"):
    return inbox.accept(source, Kind.ALERTMANAGER, body)


@asynccontextmanager
async def busy(database_url: str):
    """Keep every other writer of deliveries waiting."""
    async with Database(database_url) as other, other.transaction() as tx:
        lock = "LOCK TABLE delivery IN EXCLUSIVE MODE" if tx.dialect == "postgresql" else "SELECT 1"
        await tx.execute(text(lock))
        yield


async def refuse_source(database: Database, source: str) -> None:
    """Have the database refuse the deliveries of one source."""
    if database.is_sqlite:
        rule = (
            f"CREATE TRIGGER refused BEFORE INSERT ON delivery WHEN NEW.source = '{source}' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    else:
        rule = f"ALTER TABLE delivery ADD CONSTRAINT refused CHECK (source <> '{source}')"
    async with database.transaction() as tx:
        await tx.execute(text(rule))


async def test_an_accepted_delivery_is_committed(open_inbox, database, woken):
    async with open_inbox() as inbox:
        number = await inbox.accept(
            "main",
            Kind.ALERTMANAGER,
            b"\x00odd",
            content_type="application/json",
            user_agent="Alertmanager/0.28",
        )
        delivery = await stored(database, number)
    assert delivery.body == b"\x00odd"
    assert delivery.progress.received_at == NOON
    assert delivery.progress.user_agent == "Alertmanager/0.28"
    assert woken == [1]


async def test_an_accepted_delivery_is_there_after_a_kill(database_url):
    script = """
import asyncio, sys
from bot.alerts.inbox.model import Kind
from bot.alerts.inbox.service import Inbox
from bot.core.clock import SystemClock
from bot.database.engine import Database

async def main():
    async with Database(sys.argv[1]) as database, Inbox(database, SystemClock(), wake=lambda: None) as inbox:
        print(await inbox.accept("main", Kind.ALERTMANAGER, b"kept"), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, database_url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    number = int(await process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    process._transport.close()
    async with Database(database_url) as database:
        assert (await stored(database, number)).body == b"kept"


async def test_deliveries_that_come_together_share_a_commit(open_inbox, database, database_url):
    commits = []
    event.listen(database._writer.sync_engine, "commit", commits.append)
    async with open_inbox() as inbox:
        async with busy(database_url):
            posts = [asyncio.create_task(post(inbox, str(index).encode())) for index in range(100)]
            await asyncio.sleep(0)
            assert not any(task.done() for task in posts)
        numbers = await asyncio.gather(*posts)
        assert (await stored(database, numbers[42])).body == b"42"
    assert len(set(numbers)) == 100
    assert len(commits) <= 2


async def test_nobody_waits_for_company(open_inbox):
    async with open_inbox() as inbox, asyncio.timeout(5):
        for _ in range(20):
            await post(inbox)


async def test_what_cannot_be_committed_in_time_is_unavailable_and_the_next_is_accepted(
    open_inbox, database, database_url
):
    async with open_inbox(within=SOON) as inbox, busy(database_url):
        with pytest.raises(UnavailableError, match=r"longer than 0\.05 s"):
            await post(inbox, b"late")
    async with open_inbox() as inbox:
        number = await post(inbox, b"next")
        assert (await stored(database, number)).body == b"next"


async def test_a_sender_that_gave_up_is_not_committed_later(open_inbox, database, database_url):
    async with open_inbox() as inbox:
        async with busy(database_url):
            in_the_writer = asyncio.create_task(post(inbox))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gone = asyncio.create_task(post(inbox))
            await asyncio.sleep(0)
            gone.cancel()
        await in_the_writer
        await post(inbox)
    assert len(await states(database)) == 2


async def test_without_its_table_nothing_is_accepted_and_with_it_all_is_well_again(open_inbox, database):
    async with open_inbox() as inbox:
        async with database.transaction() as tx:
            await tx.execute(text("ALTER TABLE delivery RENAME TO away"))
        for _ in range(3):
            with pytest.raises(UnavailableError):
                await post(inbox)
        async with database.transaction() as tx:
            await tx.execute(text("ALTER TABLE away RENAME TO delivery"))
        assert await post(inbox) > 0


async def test_with_nothing_to_commit_nobody_knows_whether_the_database_is_back(open_inbox):
    assert await open_inbox().step() == NOTHING_TRIED


async def test_an_outage_is_told_of_although_every_sender_gave_up_meanwhile(open_inbox, database):
    inbox = open_inbox()
    inbox._is_open = True  # Its writer would take them before this test does.
    senders = [asyncio.create_task(post(inbox)) for _ in range(2)]
    await asyncio.sleep(0)

    def go_away(*_):
        for sender in senders:
            sender.cancel()
        raise OSError("the database is gone")

    event.listen(database._writer.sync_engine, "before_cursor_execute", go_away)
    with pytest.raises(UnavailableError):
        await inbox.step()
    await asyncio.wait(senders)


async def test_a_delivery_that_the_database_refuses_does_not_take_others_with_it(
    open_inbox, database, database_url
):
    await refuse_source(database, "bad")
    async with open_inbox() as inbox:
        async with busy(database_url):
            sources = ["good", "good", "bad", "good"]
            posts = [asyncio.create_task(post(inbox, source=source)) for source in sources]
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*posts, return_exceptions=True)
    assert [isinstance(outcome, int) for outcome in outcomes] == [True, True, False, True]
    assert isinstance(outcomes[2], UnavailableError)
    assert len(await states(database)) == 3


async def test_a_full_inbox_takes_nothing_more_in_and_is_not_ready(open_inbox, database_url):
    async with open_inbox(room=2) as inbox:
        async with busy(database_url):
            posts = [asyncio.create_task(post(inbox)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(UnavailableError, match="too many"):
                await post(inbox)
            with pytest.raises(UnavailableError, match="too many"):
                await inbox.check()
        await asyncio.gather(*posts)
        await inbox.check()


async def test_what_waits_is_committed_before_the_inbox_closes(open_inbox, database):
    async with open_inbox() as inbox:
        posts = [asyncio.create_task(post(inbox)) for _ in range(10)]
        await asyncio.sleep(0)
    assert all(task.done() for task in posts)
    assert len(await states(database)) == 10


async def test_a_closed_inbox_takes_nothing_in(open_inbox):
    inbox = open_inbox()
    with pytest.raises(UnavailableError):
        await post(inbox)
    async with inbox:
        await inbox.check()
    with pytest.raises(UnavailableError):
        await post(inbox)
    with pytest.raises(UnavailableError):
        await inbox.check()


# SQLite's driver cannot be interrupted while it waits for the lock, 5 s at most.
@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_an_inbox_closes_although_the_database_hangs(open_inbox, database_url):
    async with busy(database_url):
        async with open_inbox(within=SOON) as inbox:
            waiting = asyncio.create_task(post(inbox))
            await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await waiting
