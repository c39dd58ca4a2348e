"""The real discord.py against a Discord that answers what it likes: nothing is sent twice, nothing hangs."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import discord
import pytest

from bot.chat.errors import (
    ChannelForbiddenError,
    ChannelGoneError,
    DiscordUnavailableError,
    EditLimitedError,
    MessageGoneError,
    MessageRejectedError,
    ThreadArchivedError,
)
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing, Verb
from bot.chat.rendered import TextFile
from tests.simulators.discord.faults import (
    DISCONNECT,
    HANG,
    RESET,
    answer,
    archived_thread,
    edit_limit,
    invalid_form,
    missing_access,
    missing_permissions,
    rate_limited,
    server_error,
    unauthorized,
    unknown_channel,
    unknown_message,
)
from tests.simulators.discord.redirect import redirected
from tests.simulators.discord.server import DiscordServer
from tests.simulators.discord.state import COMPONENTS_V2
from tests.support.chat import GUILD_ID, a_bot, a_card

CREATE = "/channels/*/messages"
EDIT = "/channels/*/messages/*"


@pytest.fixture
async def server():
    async with DiscordServer() as running:
        running.add_guild("Home", guild_id=GUILD_ID)
        with redirected(running):
            yield running


@pytest.fixture
def channel(server):
    return server.add_channel("alerts")


@pytest.fixture
def pacing():
    return Pacing(time.monotonic)


@pytest.fixture
async def bot(server, pacing):
    async with a_bot(pacing=pacing) as made:
        await made.login(server.token)
        yield made


@pytest.fixture
def messages(bot):
    return DiscordMessages(lambda: bot, deadline=timedelta(seconds=5))


@pytest.fixture
def hasty(bot):
    return DiscordMessages(lambda: bot, deadline=timedelta(seconds=0.3))


async def test_a_created_message_shows_the_card_once_and_pings_nobody(server, channel, messages):
    first = await messages.create(channel.id, a_card("<@&1> @everyone"), nonce="card-1")
    again = await messages.create(channel.id, a_card("<@&1> @everyone"), nonce="card-1")
    assert first == again
    [message] = server.messages(channel)
    assert message.flags & COMPONENTS_V2
    assert server.requests[-1].json["allowed_mentions"] == {"parse": [], "roles": [], "users": []}


async def test_a_creation_pings_whom_it_names_and_no_more(server, channel, messages):
    role = server.add_role("oncall", mentionable=True)
    await messages.create(
        channel.id, a_card(f"<@&{role.id}>", ping_roles=(role.id,), ping_users=(4,), silent=True), nonce="n"
    )
    sent = server.requests[-1].json
    assert sent["allowed_mentions"] == {"parse": [], "roles": [role.id], "users": [4]}
    assert sent["flags"] & 1 << 12


async def test_a_reply_stands_even_when_its_card_is_gone(server, channel, messages):
    await messages.create(channel.id, a_card(reply_to=42), nonce="n")
    reference = server.requests[-1].json["message_reference"]
    assert (int(reference["message_id"]), reference["fail_if_not_exists"]) == (42, False)


async def test_an_edit_shows_the_new_text_and_pings_nobody(server, channel, messages):
    posted = await messages.create(channel.id, a_card("old"), nonce="n")
    await messages.edit(channel.id, posted, a_card("new", ping_roles=(1,)))
    assert "new" in server.last_message(channel).text
    assert server.requests[-1].json["allowed_mentions"] == {"parse": []}


async def test_attachments_are_replaced_and_taken_away_by_edits(server, channel, messages):
    posted = await messages.create(channel.id, a_card(files=(TextFile("a.txt", b"one"),)), nonce="n")
    assert [a["filename"] for a in server.last_message(channel).payload["attachments"]] == ["a.txt"]
    await messages.edit(channel.id, posted, a_card(files=(TextFile("b.txt", b"two"),)))
    assert [a["filename"] for a in server.last_message(channel).payload["attachments"]] == ["b.txt"]
    await messages.edit(channel.id, posted, a_card())
    assert server.last_message(channel).payload["attachments"] == []


async def test_deleting_a_message_that_is_gone_is_fine(server, channel, messages):
    posted = await messages.create(channel.id, a_card(), nonce="n")
    await messages.delete(channel.id, posted)
    await messages.delete(channel.id, posted)
    assert server.messages(channel) == []


async def test_a_message_is_found_by_its_marker_among_those_of_others(server, channel, messages):
    now = datetime.now(UTC)
    server.post(channel, server.add_member("alice"), "hello")
    posted = [await messages.create(channel.id, a_card(key=str(n)), nonce=str(n)) for n in range(3)]
    assert await messages.find(channel.id, "tm:ack:1", since=now) == posted[1]
    assert await messages.find(channel.id, "tm:ack:9", since=now) is None
    assert await messages.find(channel.id, "tm:ack:1", since=now + timedelta(minutes=5)) is None


async def test_a_message_is_found_behind_many_pages(server, channel, messages):
    now = datetime.now(UTC)
    alice = server.add_member("alice")
    for number in range(250):
        server.post(channel, alice, str(number))
    posted = await messages.create(channel.id, a_card(), nonce="n")
    assert await messages.find(channel.id, "tm:ack:520", since=now) == posted


async def test_history_tells_texts_oldest_first(server, channel, messages):
    now = datetime.now(UTC) - timedelta(seconds=5)
    server.post(channel, server.add_member("alice"), "hello")
    await messages.create(channel.id, a_card("head abc"), nonce="n")
    told = await messages.history(channel.id, now)
    assert [(entry.author_is_us, entry.text) for entry in told] == [(False, "hello"), (True, "head abc")]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (unknown_message(), MessageGoneError),
        (unknown_channel(), ChannelGoneError),
        (missing_access(), ChannelForbiddenError),
        (missing_permissions(), ChannelForbiddenError),
        (invalid_form(), MessageRejectedError),
        (archived_thread(), ThreadArchivedError),
        (edit_limit(0.2), EditLimitedError),
        (edit_limit(0.2, via=False), EditLimitedError),
        (rate_limited(0.2), EditLimitedError),
        (server_error(503), DiscordUnavailableError),
        (answer(400, 130000, "Overloaded"), DiscordUnavailableError),
        (unauthorized(), DiscordUnavailableError),
        (rate_limited(9, via=False), DiscordUnavailableError),
    ],
)
async def test_each_refusal_of_an_edit_has_its_own_error(server, channel, messages, fault, error):
    posted = await messages.create(channel.id, a_card(), nonce="n")
    server.faults.add("PATCH", EDIT, fault)
    with pytest.raises(error) as raised:
        await messages.edit(channel.id, posted, a_card("new"))
    assert not getattr(raised.value, "outcome_unknown", False)


@pytest.mark.parametrize("after_commit", [False, True])
@pytest.mark.parametrize("fault", [HANG, DISCONNECT, RESET, server_error(500), server_error(502)])
async def test_a_creation_that_may_have_happened_says_so(server, channel, hasty, fault, after_commit):
    server.faults.add("POST", CREATE, fault, after_commit=after_commit)
    with pytest.raises(DiscordUnavailableError) as raised:
        await hasty.create(channel.id, a_card(), nonce="n")
    assert raised.value.outcome_unknown
    assert len(server.messages(channel)) == after_commit
    server.release()


async def test_a_creation_that_never_left_is_known_not_to_have_happened(server, channel, messages):
    async with server.refusing_connections():
        for _ in range(2):
            # The first meets the connection that was open before the outage: who knows.
            with pytest.raises(DiscordUnavailableError) as raised:
                await messages.create(channel.id, a_card(), nonce="n")
    assert not raised.value.outcome_unknown


async def test_a_limit_ends_the_call_at_once_and_nothing_old_is_sent_later(server, channel, messages, pacing):
    server.faults.add("POST", CREATE, rate_limited(2.5))
    began = time.monotonic()
    with pytest.raises(EditLimitedError) as raised:
        await messages.create(channel.id, a_card(), nonce="n")
    assert time.monotonic() - began < 1
    assert raised.value.retry_after == pytest.approx(2.5)
    assert pacing.ready_in(channel.id, Verb.CREATE) > 2
    assert server.messages(channel) == []


async def test_a_global_limit_whose_waiter_gave_up_does_not_block_for_ever(server, channel, messages):
    server.faults.add("POST", CREATE, rate_limited(0.2, scope="global"))
    with pytest.raises(EditLimitedError):
        await messages.create(channel.id, a_card(), nonce="n")
    assert await messages.create(channel.id, a_card(), nonce="n")


async def test_whoever_takes_the_last_slot_has_the_answer_at_once(server, channel, messages):
    server.limits.channel_create = (2, 3.0)
    began = time.monotonic()
    for number in range(2):
        await messages.create(channel.id, a_card(key=str(number)), nonce=str(number))
    assert time.monotonic() - began < 1


async def test_who_asks_the_pacing_first_never_meets_a_429(server, channel, messages, pacing):
    server.limits.channel_create = (5, 0.4)
    for number in range(14):
        await asyncio.sleep(pacing.ready_in(channel.id, Verb.CREATE))
        await messages.create(channel.id, a_card(key=str(number)), nonce=str(number))
    assert server.count_429 == 0
    assert len(server.messages(channel)) == 14


async def test_who_does_not_ask_waits_inside_without_a_429(server, channel, messages):
    server.limits.channel_create = (2, 0.3)
    await asyncio.gather(*(messages.create(channel.id, a_card(key=str(n)), nonce=str(n)) for n in range(7)))
    assert server.count_429 == 0
    assert len(server.messages(channel)) == 7


async def test_calls_that_time_out_leave_the_way_free_for_others(server, channel, hasty, messages):
    server.limits.channel_create = (1, 0.5)
    await messages.create(channel.id, a_card(key="0"), nonce="0")
    late = await asyncio.gather(
        *(hasty.create(channel.id, a_card(key=str(n)), nonce=str(n)) for n in range(1, 4)),
        return_exceptions=True,
    )
    assert [error.outcome_unknown for error in late] == [False] * 3
    assert await messages.create(channel.id, a_card(key="9"), nonce="9")
    assert len(server.messages(channel)) == 2


async def test_a_thread_is_taken_out_of_the_archive(server, channel, messages, bot):
    thread = await bot.get_partial_messageable(channel.id).send("start")
    opened = await bot.http.start_thread_with_message(
        channel.id, thread.id, name="t", auto_archive_duration=60, rate_limit_per_user=0
    )
    await bot.http.edit_channel(int(opened["id"]), archived=True)
    await messages.unarchive(int(opened["id"]))
    found = await bot.fetch_channel(int(opened["id"]))
    assert isinstance(found, discord.Thread)
    assert not found.archived
