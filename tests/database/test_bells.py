"""Processes on one PostgreSQL wake each other."""

import asyncio
import contextlib
import uuid

import pytest
from sqlalchemy import text

from bot.core.tasks import running
from bot.database.bells import Bell, Bells, ring
from bot.database.engine import Database
from tests.support.postgres import create_database, drop_database


@pytest.fixture
async def url(postgres_url):
    name = f"bells_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_url, name)
    await drop_database(postgres_url, name)


@contextlib.asynccontextmanager
async def a_process(url):
    """Its bells, and an event for each ring that it hears."""
    async with Database(url) as database:
        bells, heard = Bells(database), asyncio.Event()
        bells.on(Bell.DELIVERY, heard.set)
        async with running(loop.run() for loop in bells.loops):
            # It hears once when it begins to listen: something may have been rung before.
            await hears(heard)
            yield bells, heard


async def hears(heard):
    async with asyncio.timeout(10):
        await heard.wait()
    heard.clear()


async def test_what_one_process_rings_another_hears(url):
    async with a_process(url) as (bells, _), a_process(url) as (_, heard):
        bells.ring(Bell.DELIVERY)
        await hears(heard)


async def test_a_bell_in_a_transaction_rings_with_its_commit(url):
    async with a_process(url) as (_, heard), Database(url) as database:
        with contextlib.suppress(ZeroDivisionError):
            async with database.transaction() as tx:
                await ring(tx, Bell.DELIVERY)
                raise ZeroDivisionError
        async with database.transaction() as tx:
            await ring(tx, Bell.VACANCY)
            await ring(tx, Bell.DELIVERY)
            assert not heard.is_set()
        await hears(heard)


async def test_a_lost_listener_listens_again(url):
    async with a_process(url) as (bells, heard):
        async with Database(url) as database, database.reading() as tx:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            await tx.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        await hears(heard)
        bells.ring(Bell.DELIVERY)
        await hears(heard)


async def test_sqlite_has_nobody_to_ring_for(sqlite_url):
    async with Database(sqlite_url) as database:
        assert Bells(database).loops == ()
        async with database.transaction() as tx:
            await ring(tx, Bell.DELIVERY)
