"""What holds of PostgreSQL alone: servers that go, come, freeze and change their part."""

import asyncio
import socket
import uuid
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from bot.core.errors import LostLeadershipError, UnavailableError
from bot.database import leadership
from bot.database import postgresql as pool
from bot.database.engine import FENCE, Database
from bot.database.facts import find_fact, set_fact
from bot.database.leadership import LEASE, STOP_BEFORE, Leadership
from bot.database.limits import Limits
from tests.support.postgres import create_database, drop_database

WAITING = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
WAITING_FOR_THE_ROW = text("SELECT pid FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")


@pytest.fixture
async def url(postgres_url, migrated_postgres):
    """The address of a fresh PostgreSQL database."""
    name = f"engine_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_url, name, migrated_postgres)
    await drop_database(postgres_url, name)


async def end_its_connections(url):
    """Have the server close the connections of everybody else, as a restart does."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    async with Database(url) as database, database.reading() as tx:
        await tx.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))


async def test_postgresqls_own_variables_say_what_the_address_does_not(url, monkeypatch):
    address = make_url(url)
    said = {"PGHOST": address.host, "PGPORT": address.port, "PGUSER": address.username}
    for name, value in {**said, "PGDATABASE": address.database}.items():
        monkeypatch.setenv(name, str(value))
    async with Database("postgresql+asyncpg://") as database, database.transaction() as tx:
        await set_fact(tx, "colour", "red")
    async with Database(url) as database, database.reading() as tx:
        assert await find_fact(tx, "colour") == "red"


async def test_a_connection_that_was_lost_while_idle_is_replaced(url, monkeypatch):
    # Moves no clock, but makes what was used just now count as idle.
    monkeypatch.setattr(pool, "_PING_AFTER_SECONDS", 0.0)
    async with Database(url) as database:
        async with database.transaction() as tx:
            await set_fact(tx, "colour", "red")
        await end_its_connections(url)
        async with database.reading() as tx:
            assert await find_fact(tx, "colour") == "red"


async def test_connections_lost_while_in_use_cost_one_transaction(url):
    async with Database(url) as database:
        async with database.reading() as tx, database.reading() as other:
            await find_fact(tx, "colour")
            await find_fact(other, "colour")
        await end_its_connections(url)
        with pytest.raises(UnavailableError):
            async with database.reading() as tx:
                await find_fact(tx, "colour")
        async with database.reading() as tx, database.reading() as other:
            assert await find_fact(tx, "colour") == await find_fact(other, "colour")


async def test_a_server_that_became_a_standby_is_left(url):
    name = url.rpartition("/")[2]

    async def write(admin, statement):
        async with admin.transaction() as tx:
            await tx.execute(text("SET TRANSACTION READ WRITE"))
            await tx.execute(text(statement))

    async with Database(url) as database, Database(url) as admin:
        await write(admin, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        for open_one in (database.transaction, database.reading):
            # It could be read, but is behind.
            with pytest.raises(UnavailableError):
                async with open_one() as tx:
                    await find_fact(tx, "colour")
        await write(admin, f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')
        # Its settings are those of its start: only another connection is led to another server.
        async with database.transaction() as tx:
            await set_fact(tx, "colour", "red")


async def raises(database, sqlstate):
    """Have the server refuse a statement for a reason."""
    async with database.transaction() as tx:
        await tx.execute(text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$"))


async def backend(database):
    async with database.reading() as tx:
        return (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()


@pytest.mark.parametrize("sqlstate", ["25006", "57P01", "57P02", "57P03", "57P05", "08000", "08003", "08006"])
async def test_a_connection_of_which_the_server_says_that_it_ends_is_given_up(url, sqlstate):
    async with Database(url) as database:
        before = await backend(database)
        with pytest.raises(UnavailableError):
            await raises(database, sqlstate)
        assert await backend(database) != before


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "53100", "53300", "55P03", "57014"])
async def test_what_may_go_well_next_time_is_unavailable_and_keeps_the_connection(url, sqlstate):
    async with Database(url) as database:
        before = await backend(database)
        with pytest.raises(UnavailableError):
            await raises(database, sqlstate)
        assert await backend(database) == before


async def test_a_pooler_that_shares_sessions_is_named(url):
    async with Database(url) as database:
        with pytest.raises(UnavailableError, match="pool_mode = session"):
            await raises(database, "26000")  # As of a statement that was prepared in another session.


@pytest.mark.parametrize(
    ("sqlstate", "said"),
    [
        ("28P01", "user or its password"),
        ("28000", "pg_hba"),
        ("42501", "must own the database"),
        ("53100", "disk"),
        ("53300", "max_connections"),
    ],
)
async def test_what_a_person_can_do_something_about_is_said(url, sqlstate, said):
    async with Database(url) as database:
        with pytest.raises(UnavailableError, match=said):
            await raises(database, sqlstate)


async def test_a_database_that_is_not_there_is_said(url):
    async with Database(f"{url}_gone") as database:
        with pytest.raises(UnavailableError, match="no database of the name"):
            async with database.reading() as tx:
                await find_fact(tx, "colour")


def test_a_name_that_nobody_knows_is_said():
    assert "DNS" in pool.outage(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))


async def test_a_value_that_the_server_refuses_is_no_outage(url):
    async with Database(url) as database:
        before = await backend(database)
        with pytest.raises(DBAPIError):
            async with database.transaction() as tx:
                await set_fact(tx, "colour", "\0")
        assert await backend(database) == before


async def test_a_session_ends_by_itself_where_nobody_is_there_any_more(url):
    async with Database(url, Limits(statement_timeout=timedelta(seconds=7))) as database:
        async with database.reading() as tx:
            found = dict(
                (await tx.execute(text("SELECT name, current_setting(name) FROM pg_settings"))).all()
            )
        async with database.own_connection() as driver:
            line = driver._transport.get_extra_info("socket")
            assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 6000
    assert found["statement_timeout"] == "7s"
    assert found["idle_in_transaction_session_timeout"] == "5s"
    assert found["tcp_keepalives_idle"] == "5"
    assert found["tcp_user_timeout"] == "6000"
    assert found["application_name"] == "the-machine"


async def test_what_is_read_together_is_of_one_moment_and_nothing_can_be_written(url):
    async with Database(url) as database:
        async with database.transaction() as tx:
            await set_fact(tx, "colour", "red")
        async with database.reading() as tx:
            assert await find_fact(tx, "colour") == "red"
            async with database.transaction() as other:
                await set_fact(other, "colour", "blue")
            assert await find_fact(tx, "colour") == "red"
        with pytest.raises(UnavailableError):
            async with database.reading() as tx:
                await set_fact(tx, "colour", "green")
        async with database.reading() as tx:
            assert await find_fact(tx, "colour") == "blue"


async def test_a_take_over_is_seen_by_whoever_waited_for_it_however_the_server_is_configured(url):
    async with Database(url) as admin, admin.transaction() as tx:
        name = url.rpartition("/")[2]
        await tx.execute(
            text(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'")
        )
    async with Database(url) as database, Database(url) as other:
        former = database.under(await Leadership(database, "one").acquire())

        async def write():
            async with former.transaction() as tx:
                await set_fact(tx, "who", "former")

        async with other.transaction() as tx:
            await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FENCE})
            late = asyncio.create_task(write())
            while not (await tx.execute(WAITING)).scalar_one():
                pass
            await tx.execute(text("UPDATE leadership SET epoch = 2, holder = 'two'"))
        with pytest.raises(LostLeadershipError):
            await late


async def test_an_epoch_that_a_lagging_standby_gave_to_somebody_else_is_lost(url):
    async with Database(url) as database:
        one, two = Leadership(database, "one"), Leadership(database, "two")
        epoch = await one.acquire()
        led = database.under(epoch, one.check, holder="one")
        # The commit of the take-over did not reach the server that became the primary.
        async with database.transaction() as tx:
            await tx.execute(text("UPDATE leadership SET epoch = 0, expires_at = NULL"))
        assert await two.acquire() == epoch
        with pytest.raises(LostLeadershipError):
            async with led.transaction():
                pass
        assert not await one.renew(epoch)
        await one.release(epoch)
        leader = await one.find_leader()
        assert (leader.holder, leader.is_current) == ("two", True)


@pytest.fixture
def hurried(monkeypatch):
    """A lease that is renewed in no time; nothing else is about it."""
    monkeypatch.setattr(leadership, "RENEW_EVERY", timedelta(milliseconds=20))
    monkeypatch.setattr(leadership, "RETRY_EVERY", timedelta(milliseconds=20))
    monkeypatch.setattr(leadership, "ANSWERED_WITHIN", timedelta(milliseconds=100))


@asynccontextmanager
async def held(database):
    """The row of the leader, so that no renewal is answered."""
    async with database.transaction() as tx:
        await tx.execute(text("SELECT * FROM leadership FOR UPDATE"))
        yield tx


async def test_a_renewal_without_an_answer_is_tried_again_on_another_connection(url, hurried):
    async with Database(url) as database:
        one = Leadership(database, "one")
        kept = asyncio.create_task(one.keep(await one.acquire()))
        async with held(database) as tx:
            for _ in range(2):
                while not (before := (await tx.execute(WAITING_FOR_THE_ROW)).scalar()):
                    pass
                while (await tx.execute(WAITING_FOR_THE_ROW)).scalar() == before:
                    pass
            valid_until = one._valid_until
        while one._valid_until == valid_until:  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)
        assert not kept.done()
        kept.cancel()
        await asyncio.wait([kept])


async def test_a_leader_frozen_between_preparing_a_statement_and_executing_it_is_followed(url, monkeypatch):
    # Moves no clock, but makes what began just now count as begun long ago.
    monkeypatch.setattr(leadership, "FROZEN_AFTER_SECONDS", 0.0)
    async with Database(url) as ours, Database(url) as theirs:
        one, two = Leadership(ours, "one"), Leadership(theirs, "two")
        epoch = await one.acquire()

        async def freeze():
            async with ours.under(epoch).transaction() as tx:
                raw = await tx._connection.get_raw_connection()
                # The server waits for the rest from here on, and none of its own limits holds.
                await raw.driver_connection.prepare("SELECT 1")
                async with theirs.transaction() as other:
                    await other.execute(text("UPDATE leadership SET expires_at = clock_timestamp()"))
                assert await two.acquire() == epoch + 1

        with pytest.raises(UnavailableError):
            await freeze()
        assert (await two.find_leader()).holder == "two"


async def test_a_leader_without_answers_stops_before_the_end_of_its_lease(url, hurried):
    async with Database(url) as database:
        one = Leadership(database, "one")
        epoch = await one.acquire()
        one._valid_until -= (LEASE - STOP_BEFORE).total_seconds() - 0.5
        async with held(database):
            with pytest.raises(LostLeadershipError):
                await one.keep(epoch)
            assert 1.5 < one._valid_until - leadership._moment() <= STOP_BEFORE.total_seconds()


async def test_a_statement_that_takes_too_long_is_unavailable_but_for_migrations(url):
    limits = Limits(statement_timeout=timedelta(milliseconds=50))
    async with Database(url, limits) as database:
        with pytest.raises(UnavailableError):
            async with database.reading() as tx:
                await tx.execute(text("SELECT pg_sleep(10)"))
        async with database.unhurried() as patient, patient.transaction() as tx:
            await tx.execute(text("SELECT pg_sleep(0.2)"))


async def test_no_more_connections_are_made_than_the_limits_say(url):
    limits = Limits(pool_size=1, pool_overflow=0, pool_timeout=timedelta(milliseconds=100))
    async with Database(url, limits) as database, database.reading():
        with pytest.raises(UnavailableError):
            async with database.reading():
                pass


async def test_a_leader_whose_lease_ran_out_asks_nobody_and_does_nothing_more(url):
    async with Database(url) as database:
        one = Leadership(database, "one")
        led = database.under(await one.acquire(), one.check)
        async with led.transaction() as tx:
            await set_fact(tx, "colour", "red")
        # As after a freeze: the database would still let it.
        one._valid_until -= 9.5
        for open_one in (led.transaction, led.reading):
            with pytest.raises(LostLeadershipError):
                async with open_one():
                    pass
        with pytest.raises(LostLeadershipError):
            led.check_lease()
