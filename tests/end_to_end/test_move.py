"""The bot moves from SQLite to PostgreSQL, and goes on with what it had begun."""

import asyncio
import sys
import uuid

import pytest

from tests.support.alerts import a_body, an_entry
from tests.support.ports import free_port
from tests.support.postgres import create_database, drop_database
from tests.support.running import ROOT, a_process, a_town, post, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


@pytest.fixture
async def empty_url(postgres_url):
    name = f"move_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres_url, name)
    await drop_database(postgres_url, name)


def says(name, *, over=False):
    until = {"status": "resolved", "until": "2026-11-21T12:30:00Z"} if over else {}
    return a_body(an_entry(name, severity="critical", **until), group_labels={"alertname": name})


async def copy(source, target):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "database", "copy", "--from", source, "--to", target),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_after_the_move_it_goes_on_with_its_cards(town, sqlite_url, empty_url, tmp_path):
    port = free_port()
    before = write(tmp_path, town.configuration(sqlite_url, port=port))
    async with a_process(before, port=port) as process:
        for name in ("One", "Two"):
            await post(port, says(name))
            await town.see(name)
        code, said = await copy(sqlite_url, empty_url)
        assert code == 1
        assert "stop the bot" in said
        assert await process.terminate() == 0

    code, said = await copy(sqlite_url, empty_url)
    assert code == 0, said
    assert "The record is whole" in said

    after = write(tmp_path, town.configuration(empty_url, port=port))
    async with a_process(after, port=port) as process:
        await post(port, says("One", over=True))
        await town.see("RESOLVED", "One")
        await post(port, says("Three"))
        await town.see("Three")
        assert await process.terminate() == 0
        assert process.errors() == []
    assert len(town.cards()) == 3
    town.assert_nothing_was_said_twice()
    code, said = await copy(sqlite_url, empty_url)
    assert code == 1
    assert "not empty" in said
