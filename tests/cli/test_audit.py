import asyncio
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from aiohttp import web
from sqlalchemy import text

from bot.cli.audit import message_texts
from bot.cli.main import main
from bot.database.engine import Database
from bot.journal.model import PostedHead
from bot.journal.service import Journal
from tests.support.clock import ManualClock
from tests.support.journal import an_entry

BOT, CHANNEL = "1136200000000000001", "1136200000000000002"
TODAY = date(2026, 11, 21)


def a_message(number, *, content="", components=(), author=BOT):
    day = (TODAY - date(2015, 1, 1)).days - 10 + number
    return {
        "id": str((day * 86_400_000 << 22) + number),
        "type": 0,
        "author": {"id": author},
        "content": content,
        "components": list(components),
    }


def shown(line):
    """As the bot shows text: deep inside a container."""
    display = {"type": 10, "content": f"**Good morning**\n{line}"}
    return {"type": 17, "components": [{"type": 9, "components": [display], "accessory": {"type": 11}}]}


@dataclass
class Discord:
    """As much of Discord's API as reading a channel takes."""

    messages: list = field(default_factory=list)
    """Oldest first."""
    failures: list = field(default_factory=list)
    requests: list = field(default_factory=list)

    def app(self):
        app = web.Application()
        app.router.add_get("/users/@me", self.me)
        app.router.add_get(f"/channels/{CHANNEL}/messages", self.page)
        return app

    async def me(self, request):
        assert request.headers["Authorization"] == "Bot secret"
        return web.json_response({"id": BOT})

    async def page(self, request):
        self.requests.append(dict(request.query))
        if self.failures:
            return self.failures.pop(0)
        before = int(request.query.get("before", 1 << 63))
        older = [one for one in reversed(self.messages) if int(one["id"]) < before]
        return web.json_response(older[: int(request.query["limit"])])


@pytest.fixture
async def discord():
    return Discord()


@pytest.fixture
async def verify(discord, database_url, tmp_path, capsys):
    """Run `machine audit verify`; gives the exit code and what was printed."""
    runner = web.AppRunner(discord.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    file = tmp_path / "machine.yaml"
    file.write_text(
        f"discord: {{token: secret, guild: '{CHANNEL}', channels: {{audit: '{CHANNEL}'}},"
        f" api_url: 'http://127.0.0.1:{port}'}}\n"
        "web: {tokens: [a-token-that-is-long-enough-for-the-rules]}\n"
        f"database: {{url: '{database_url}'}}\n"
        "alerts: {routes: [{channel: audit}]}\n"
    )

    async def run(*arguments):
        code = await asyncio.to_thread(main, ["audit", "verify", "--config", str(file), *arguments])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    yield run
    await runner.cleanup()


@pytest.fixture
async def heads(database):
    """A journal of three days, two entries a day, with the head of each day."""
    journal, heads = Journal(ManualClock()), []
    for offset in range(3):
        day = TODAY + timedelta(days=offset)
        async with database.transaction() as tx:
            for _ in range(2):
                await journal.append(tx, an_entry(target="channel:critical"))
            (head,) = await journal.heads_to_post(tx, day)
            await journal.mark_posted(tx, day, "1")
            heads.append(head)
    return heads


async def run_sql(database: Database, *statements):
    async with database.transaction() as tx:
        for statement in statements:
            await tx.execute(text(statement))


def post(discord, heads):
    discord.messages = [a_message(n, components=[shown(head)]) for n, head in enumerate(heads)]


CUT = (
    "DELETE FROM journal WHERE seq > 4",
    "UPDATE journal_head SET seq = 4, hash = (SELECT hash FROM journal WHERE seq = 4)",
)


async def test_an_untouched_record_is_intact(verify, discord, heads):
    post(discord, heads)

    code, printed = await verify()

    assert code == 0
    assert "The record is intact: 6 entries were read, 3 posted heads compared" in printed
    assert heads[-1].hash in printed
    assert "Only internal consistency" not in printed


async def test_a_changed_entry_is_named(verify, discord, heads, database):
    post(discord, heads)
    await run_sql(database, "UPDATE journal SET reason = 'x' WHERE seq = 3")

    code, printed = await verify()

    assert code == 1
    assert "TAMPERED: entry 3 does not fit its hash" in printed


async def test_a_tail_that_was_cut_off_is_found_in_the_channel_and_not_offline(
    verify, discord, heads, database
):
    post(discord, heads)
    await run_sql(database, *CUT)

    code, printed = await verify("--offline")
    assert code == 0
    assert "Only internal consistency was checked (as asked)" in printed
    assert discord.requests == []

    code, printed = await verify()
    assert code == 1
    assert (
        "TAMPERED: entry 6 was posted as the head of 2026-11-23, but the chain ends with entry 4" in printed
    )


async def test_old_heads_can_be_left_out(verify, discord, heads, database):
    old = PostedHead(TODAY - timedelta(days=9), 900, "0" * 64)
    post(discord, [old, *heads])

    assert (await verify())[0] == 1
    assert (await verify("--since", "2026-11-21"))[0] == 0


async def test_only_what_the_bot_wrote_counts(verify, discord, heads):
    post(discord, heads)
    forged = PostedHead(TODAY, 4, "0" * 64)
    discord.messages.append(a_message(9, content=str(forged), author="1136200000000000009"))

    assert (await verify())[0] == 0


async def test_a_head_in_plain_text_counts_too(verify, discord, heads):
    discord.messages = [a_message(n, content=str(head)) for n, head in enumerate(heads)]

    assert "3 posted heads compared" in (await verify())[1]


async def test_a_posted_head_that_vanished_is_warned_of(verify, discord, heads):
    post(discord, heads[:2])

    code, printed = await verify()

    assert code == 0
    assert "Warning: the head of 2026-11-23 was posted, but its message is not there any more" in printed


async def test_a_channel_without_heads_is_said_to_prove_little(verify, heads):
    code, printed = await verify()

    assert code == 0
    assert "no head was found in #audit" in printed


async def test_a_long_channel_is_read_to_its_first_message(verify, discord, heads):
    post(discord, heads)
    discord.messages += [a_message(10 + n, content="talk") for n in range(250)]

    _code, printed = await verify()

    assert "3 posted heads compared" in printed
    assert len(discord.requests) == 3


async def test_reading_stops_at_the_day_that_was_asked_for(verify, discord, heads):
    discord.messages = [a_message(n - 500, content="talk") for n in range(400)]
    discord.messages += [a_message(20 + n, components=[shown(head)]) for n, head in enumerate(heads)]

    _code, printed = await verify("--since", "2026-11-21")

    assert "3 posted heads compared" in printed
    assert len(discord.requests) == 1


async def test_it_waits_when_discord_asks_for_it(verify, discord, heads):
    post(discord, heads)
    discord.failures = [web.Response(status=429, headers={"Retry-After": "0"})]

    code, _printed = await verify()

    assert code == 0
    assert len(discord.requests) == 2


@pytest.mark.parametrize(
    ("status", "said"),
    [(503, "--offline"), (403, "READ_MESSAGE_HISTORY"), (404, "channels.audit"), (200, "JSON")],
)
async def test_when_the_channel_cannot_be_read_it_fails_and_says_why(verify, discord, heads, status, said):
    discord.failures = [web.Response(status=status, text="<html>", content_type="text/html")]

    code, printed = await verify()

    assert code == 1
    assert said in printed
    assert "intact" not in printed


@pytest.mark.parametrize(
    "odd", [None, [], "text", {"type": 10}, {"type": 10, "content": 5}, {"components": None}]
)
def test_odd_components_hold_no_text(odd):
    assert list(message_texts({"author": {}, "components": [odd]})) == []
