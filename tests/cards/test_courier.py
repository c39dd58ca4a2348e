"""The courier, discord.py and a Discord on loopback: nothing is lost, nothing is said twice."""

import asyncio
import contextlib
import time
from datetime import timedelta

import pytest

from bot.cards import store
from bot.cards.courier import LONGEST_OUTAGE_WAIT, Courier
from bot.cards.model import CardState, Priority
from bot.cards.store import Cards
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing
from bot.core.errors import LostLeadershipError, UnavailableError
from bot.core.loops import AT_ONCE
from bot.database.engine import Database
from tests.simulators.discord.faults import (
    DISCONNECT,
    HANG,
    RESET,
    answer,
    edit_limit,
    invalid_form,
    missing_access,
    missing_permissions,
    rate_limited,
    server_error,
    slow,
    unknown_channel,
)
from tests.simulators.discord.redirect import redirected
from tests.simulators.discord.server import DiscordServer
from tests.simulators.discord.state import SUPPRESS_NOTIFICATIONS, THREAD
from tests.support.chat import GUILD_ID, a_bot, a_card
from tests.support.clock import ManualClock

CREATE = "/channels/*/messages"
EDIT = "/channels/*/messages/*"
KIND = "board"
SECOND = timedelta(seconds=1)


class Time:
    """All clocks of a test: the wall's, the pacing's and Discord's."""

    def __init__(self):
        self.clock = ManualClock()
        self._start = self.clock.now()

    def monotonic(self):
        return (self.clock.now() - self._start).total_seconds()

    def wall(self):
        return self.clock.now().timestamp()

    def advance(self, by):
        self.clock.advance(by)


class Boards:
    """A source of cards that show what a test writes on them."""

    def __init__(self, role):
        self.texts = {}
        self.pings = {}
        self.bugs = set()
        self.errors = {}
        self.role = role

    async def render(self, key, channel_id):
        if key in self.bugs:
            raise ZeroDivisionError
        if key in self.errors:
            raise self.errors[key]
        text = self.texts.get(key)
        if text is None:
            return None
        pings = (self.role.id,) if key in self.pings else ()
        return a_card(f"<@&{self.role.id}> {key}: {text}", key=key, ping_roles=pings)


class World:
    """A Discord, a database, and a courier between them that can be replaced."""

    def __init__(self, server, database, bot, time_, *, pacing, deadline):
        self.deadline = deadline
        self.server, self.database, self.bot, self.time, self.pacing = server, database, bot, time_, pacing
        self.alerts, self.critical, self.audit = map(server.add_channel, ("alerts", "critical", "audit"))
        self.boards = Boards(server.add_role("oncall", mentionable=True))
        self.cards = Cards(time_.clock)
        self.refusals = []
        self.fallback = self.audit.id
        self.courier = self.new_courier()

    def new_courier(self, database=None):
        """What a restart leaves: the database and Discord."""
        self.courier = Courier(
            database or self.database,
            DiscordMessages(lambda: self.bot, deadline=self.deadline),
            self.pacing,
            {KIND: self.boards},
            clock=self.time.clock,
            fallback_channel=lambda: self.fallback,
            on_refusal=lambda card, _why, to: self.refusals.append((card.key, to)),
        )
        self.cards.on_change(self.courier.wake)
        return self.courier

    async def show(self, key, text, *, channel=None, priority=Priority.NORMAL, ping=False):
        self.boards.texts[key] = text
        if ping:
            self.boards.pings[key] = True
        async with self.database.transaction() as tx:
            await self.cards.want(tx, KIND, key, (channel or self.alerts).id, priority=priority)

    async def card(self, key, channel=None):
        async with self.database.reading() as tx:
            return await store.find_card(tx, KIND, key, (channel or self.alerts).id)

    async def waiting(self):
        async with self.database.reading() as tx:
            return sum((await store.count_due(tx)).values())

    async def deliver(self, within=timedelta(hours=2)):
        """Deliver everything, moving the time on where the courier waits; gives how far."""
        began = self.time.monotonic()
        while await self.waiting():
            waits = [await self._until_it_waits(channel) for channel in await self._channels()]
            known = [wait for wait in waits if wait is not None]
            if not known:
                continue
            self.time.advance(max(min(known), timedelta(milliseconds=20)))
            passed = timedelta(seconds=self.time.monotonic() - began)
            assert passed < within, f"{await self.waiting()} cards still wait"
        return timedelta(seconds=self.time.monotonic() - began)

    async def _channels(self):
        async with self.database.reading() as tx:
            return list(await store.count_due(tx))

    async def _until_it_waits(self, channel):
        wait = AT_ONCE
        while wait == AT_ONCE:
            wait = await self.courier.step(channel)
        return wait

    def texts(self, channel=None):
        """What a person reads in a channel, without the mention."""
        return [m.text.partition("> ")[2] for m in self.server.messages(channel or self.alerts)]

    def creations(self):
        """Every message that ever was, deleted ones too."""
        return list(self.server.state.every_message.values())

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.courier.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


@contextlib.asynccontextmanager
async def a_world(database, *, real_time=False):
    time_ = Time()
    async with DiscordServer(clock=time_.wall) as server:
        server.add_guild("Home", guild_id=GUILD_ID)
        pacing = Pacing(time.monotonic if real_time else time_.monotonic)
        with redirected(server):
            async with a_bot(pacing=pacing) as bot:
                await bot.login(server.token)
                deadline = timedelta(seconds=5 if real_time else 0.5)
                yield World(server, database, bot, time_, pacing=pacing, deadline=deadline)
                server.release()


@pytest.fixture
async def sqlite(sqlite_url):
    async with Database(sqlite_url) as opened:
        yield opened


@pytest.fixture
async def world(sqlite):
    async with a_world(sqlite) as made:
        yield made


@pytest.fixture
async def paced(sqlite):
    """A world whose limits are real time, as discord.py's are."""
    async with a_world(sqlite, real_time=True) as made:
        yield made


@pytest.fixture
async def either(database):
    """A world on each kind of database."""
    async with a_world(database) as made:
        yield made


# Latest only, most urgent first, one at a time.


async def test_a_card_appears_and_is_edited_in_place(either):
    await either.show("1", "fires")
    await either.deliver()
    await either.show("1", "resolved")
    await either.deliver()
    assert either.texts() == ["1: resolved"]
    assert len(either.creations()) == 1
    assert await either.waiting() == 0


async def test_only_the_latest_version_is_ever_delivered(world):
    for text in ("one", "two", "three"):
        await world.show("1", text)
    await world.deliver()
    assert [version.text for version in world.creations()[0].versions] == [
        f"<@&{world.boards.role.id}> 1: three"
    ]


async def test_the_most_urgent_card_goes_first(world):
    for key, priority in [("low", 0), ("normal", 10), ("urgent", 30), ("high", 20)]:
        await world.show(key, "x", priority=Priority(priority))
    await world.deliver()
    assert world.texts() == ["urgent: x", "high: x", "normal: x", "low: x"]


async def test_what_changes_while_a_request_is_on_its_way_is_delivered_as_one_edit(paced):
    paced.server.faults.add("POST", CREATE, slow(1.5))
    async with paced.running():
        await paced.show("1", "first")
        await paced.server.wait_for(lambda: paced.server.faults.scripts[0].hits)
        for number in range(5):
            await paced.show("1", str(number))
        assert paced.creations() == []
        await paced.server.wait_for(lambda: paced.texts() == ["1: 4"])
    assert len(paced.creations()[0].versions) == 2


async def test_each_channel_has_one_request_in_flight_and_none_waits_for_another(paced):
    flights = Flights(paced.server)
    paced.server.latency = 0.05
    channels = (paced.alerts, paced.critical, paced.audit)
    async with paced.running():
        for number in range(5):
            for channel in channels:
                await paced.show(f"{number}", "x", channel=channel)
        await paced.server.wait_for(lambda: all(len(paced.texts(channel)) == 5 for channel in channels))
    assert flights.most_in_one_channel == 1
    assert flights.most_at_all > 1


async def test_edits_do_not_wait_for_creations_that_have_no_slot(world):
    await world.show("old", "fires", priority=Priority.LOW)
    await world.deliver()
    world.pacing.hold(world.alerts.id, "create", 60)
    for number in range(30):
        await world.show(f"new-{number}", "x", priority=Priority.URGENT)
    await world.show("old", "resolved", priority=Priority.LOW)
    assert await world._until_it_waits(world.alerts.id) > 50 * SECOND
    assert world.texts() == ["old: resolved"]
    await world.deliver()
    assert len(world.texts()) == 31


class Flights:
    """Watches how many requests of cards are on their way."""

    def __init__(self, server):
        self._now = {}
        self.most_in_one_channel = self.most_at_all = 0
        self._handle, server._handle_api = server._handle_api, self._watched

    async def _watched(self, request, path):
        if "/messages" not in path:
            return await self._handle(request, path)
        channel = path.split("/")[2]
        self._now[channel] = self._now.get(channel, 0) + 1
        self.most_in_one_channel = max(self.most_in_one_channel, self._now[channel])
        self.most_at_all = max(self.most_at_all, sum(self._now.values()))
        try:
            return await self._handle(request, path)
        finally:
            self._now[channel] -= 1


# Created exactly once.

FAULTS = {
    "500": server_error(500),
    "502": server_error(502),
    "503": server_error(503),
    "504": server_error(504),
    "reset": RESET,
    "disconnect": DISCONNECT,
    "hang": HANG,
}
REFUSALS = {
    "user": rate_limited(0.1),
    "shared": rate_limited(0.1, scope="shared"),
    "global": rate_limited(0.1, scope="global"),
    "without Via": rate_limited(60, via=False),
    "edit limit": edit_limit(0.1),
    "edit limit without Via": edit_limit(0.1, via=False),
    "overloaded": answer(400, 130000, "API resource is currently overloaded"),
}


@pytest.mark.parametrize("remembered", [True, False], ids=["nonce remembered", "nonce forgotten"])
@pytest.mark.parametrize("after_commit", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_message_is_created_once_whatever_happens_to_the_request(
    world, fault, after_commit, remembered
):
    world.server.faults.add("POST", CREATE, FAULTS[fault], after_commit=after_commit)
    await world.show("1", "fires", ping=True)
    await world._until_it_waits(world.alerts.id)
    if not remembered:
        world.server.forget_nonces()
    await world.show("1", "fires more")
    await world.deliver(within=15 * SECOND)
    [message] = world.creations()
    assert world.texts() == ["1: fires more"]
    assert message.pinged_roles == (world.boards.role.id,)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("fault", REFUSALS)
async def test_a_request_that_was_refused_is_repeated_when_discord_allows(world, fault, method, times):
    await world.show("1", "fires")
    if method == "PATCH":
        await world.deliver()
        await world.show("1", "changed")
    world.server.faults.add(method, CREATE if method == "POST" else EDIT, REFUSALS[fault], times=times)
    # The pause that is asked for is real time for discord.py and moved time for the courier.
    await world.deliver(within=timedelta(minutes=10))
    assert world.texts() == ["1: changed" if method == "PATCH" else "1: fires"]
    assert len(world.creations()) == 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("after_commit", [False, True], ids=["before", "after"])
async def test_an_edit_of_unknown_outcome_is_repeated(world, fault, after_commit):
    await world.show("1", "fires")
    await world.deliver()
    world.server.faults.add("PATCH", EDIT, FAULTS[fault], after_commit=after_commit)
    await world.show("1", "resolved")
    await world.deliver(within=15 * SECOND)
    assert world.texts() == ["1: resolved"]
    assert len(world.creations()) == 1


async def test_while_the_edge_blocks_us_nothing_is_tried(world):
    world.server.faults.add("POST", CREATE, rate_limited(60, via=False))
    await world.show("1", "x")
    await world.show("2", "x", channel=world.critical)
    await world._until_it_waits(world.alerts.id)
    before = len(world.server.requests)
    assert await world._until_it_waits(world.critical.id) > 50 * SECOND
    assert len(world.server.requests) == before


@pytest.mark.parametrize("remembered", [True, False], ids=["nonce remembered", "nonce forgotten"])
async def test_a_crash_after_discord_took_the_message_and_before_we_knew_doubles_nothing(either, remembered):
    world = either
    world.server.faults.add("POST", CREATE, slow(5), after_commit=True)
    await world.show("1", "fires", ping=True)
    delivering = asyncio.create_task(world.courier.step(world.alerts.id))
    await world.server.wait_for(lambda: world.texts() == ["1: fires"])
    delivering.cancel()
    await asyncio.wait([delivering])
    assert (await world.card("1")).state is CardState.CREATING

    if not remembered:
        world.server.forget_nonces()
        world.time.advance(timedelta(hours=3))
    world.new_courier()
    await world.show("1", "resolved")
    await world.deliver()
    [message] = world.creations()
    assert world.texts() == ["1: resolved"]
    assert message.pinged_roles == (world.boards.role.id,)


async def test_a_crash_before_discord_took_the_message_loses_nothing(either):
    world = either
    world.server.faults.add("POST", CREATE, HANG)
    await world.show("1", "fires", ping=True)
    delivering = asyncio.create_task(world.courier.step(world.alerts.id))
    await world.server.wait_for(lambda: world.server.faults.scripts[0].hits)
    delivering.cancel()
    await asyncio.wait([delivering])
    world.new_courier()
    await world.deliver()
    [message] = world.creations()
    assert message.pinged_roles == (world.boards.role.id,)


async def test_a_message_is_found_again_behind_many_of_others(world):
    world.server.faults.add("POST", CREATE, DISCONNECT, after_commit=True)
    await world.show("1", "fires")
    await world._until_it_waits(world.alerts.id)
    world.server.forget_nonces()
    alice = world.server.add_member("alice")
    for number in range(300):
        world.server.post(world.alerts, alice, str(number))
    await world.deliver()
    assert sum("1: fires" in text for text in world.texts()) == 1


async def test_a_new_database_is_not_given_the_messages_of_the_old_one(world, migrated_sqlite, tmp_path):
    await world.show("1", "of the old database")
    await world.deliver()
    world.time.advance(timedelta(minutes=1))
    copy = tmp_path / "new.db"
    copy.write_bytes(migrated_sqlite.read_bytes())
    async with Database(f"sqlite+aiosqlite:///{copy}") as fresh:
        world.database = fresh
        world.new_courier()
        await world.show("1", "of the new database")
        await world.deliver()
    assert world.texts() == ["1: of the old database", "1: of the new database"]


# Pings.


async def test_only_the_first_creation_pings(world):
    await world.show("1", "fires", ping=True)
    await world.deliver()
    await world.show("1", "fires more")
    await world.deliver()
    [message] = world.server.messages(world.alerts)
    assert message.pinged_roles == (world.boards.role.id,)
    [edit] = world.server.requests_to("PATCH", EDIT)
    assert edit.json["allowed_mentions"] == {"parse": []}


async def test_a_deleted_message_is_posted_again_without_a_ping(world):
    await world.show("1", "fires", ping=True)
    await world.deliver()
    world.server.delete_message(world.server.last_message(world.alerts))
    await world.show("1", "fires more")
    await world.deliver()
    [message] = world.server.messages(world.alerts)
    assert world.texts() == ["1: fires more"]
    assert message.pinged_roles == ()
    assert message.flags & SUPPRESS_NOTIFICATIONS


async def test_a_message_deleted_again_and_again_is_posted_again_each_time(world):
    for number in range(4):
        await world.show("1", str(number))
        await world.deliver()
        world.server.delete_message(world.server.last_message(world.alerts))
    await world.show("1", "last")
    await world.deliver()
    assert world.texts() == ["1: last"]


# What should go.


async def test_a_card_that_should_go_is_deleted(world):
    await world.show("1", "calls")
    await world.deliver()
    await world.show("1", None)
    await world.deliver()
    assert world.texts() == []
    await world.show("1", "calls again")
    await world.deliver()
    assert world.texts() == ["1: calls again"]


async def test_a_card_that_should_go_before_it_came_is_never_posted(world):
    await world.show("1", "calls")
    await world.show("1", None)
    await world.deliver()
    assert world.creations() == []


async def test_a_card_that_should_go_while_its_creation_is_in_doubt_is_found_and_deleted(world):
    world.server.faults.add("POST", CREATE, DISCONNECT, after_commit=True)
    await world.show("1", "calls")
    await world._until_it_waits(world.alerts.id)
    await world.show("1", None)
    await world.deliver()
    assert world.texts() == []


async def test_a_deletion_that_is_limited_is_repeated(world):
    await world.show("1", "calls")
    await world.deliver()
    world.server.faults.add("DELETE", EDIT, rate_limited(0.1))
    await world.show("1", None)
    await world.deliver()
    assert world.texts() == []


# Refusals.

FORBIDDEN = {
    "missing access": missing_access(),
    "missing permissions": missing_permissions(),
    "unknown channel": unknown_channel(),
}


@pytest.mark.parametrize("fault", FORBIDDEN)
async def test_a_card_whose_channel_refuses_us_is_shown_in_the_audit_channel(world, fault):
    world.server.faults.add("POST", f"/channels/{world.alerts.id}/messages", FORBIDDEN[fault], times=None)
    await world.show("1", "fires", ping=True)
    await world.show("2", "fires", channel=world.critical)
    await world.deliver()
    assert (world.texts(), world.texts(world.critical), world.texts(world.audit)) == (
        [],
        ["2: fires"],
        ["1: fires"],
    )
    assert world.refusals == [("1", world.audit.id)]
    assert world.server.last_message(world.audit).pinged_roles == (world.boards.role.id,)
    await world.show("1", "resolved")
    await world.deliver()
    assert world.texts(world.audit) == ["1: resolved"]


async def test_a_card_whose_channel_was_deleted_later_moves_too(world):
    await world.show("1", "fires")
    await world.deliver()
    world.server.delete_channel(world.alerts)
    await world.show("1", "resolved")
    await world.deliver()
    assert world.texts(world.audit) == ["1: resolved"]


async def test_when_the_audit_channel_refuses_too_the_card_waits_and_others_go_on(world):
    for channel in (world.alerts, world.audit):
        channel.refusal = 50013
    await world.show("1", "fires")
    await world.show("2", "fires", channel=world.critical)
    for channel in (world.alerts, world.critical, world.audit):
        await world._until_it_waits(channel.id)
    assert world.texts(world.critical) == ["2: fires"]
    assert world.refusals == [("1", world.audit.id), ("1", None)]
    world.audit.refusal = None
    assert await world.deliver() <= timedelta(minutes=1)
    assert world.texts(world.audit) == ["1: fires"]


async def test_without_an_audit_channel_the_card_waits_for_permission(world):
    world.fallback = None
    world.alerts.refusal = 50001
    await world.show("1", "fires")
    await world._until_it_waits(world.alerts.id)
    assert world.refusals == [("1", None)]
    world.alerts.refusal = None
    assert await world.deliver() <= timedelta(minutes=1)
    assert world.texts() == ["1: fires"]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_refusal_that_is_not_discords_own_moves_nothing(world, status):
    world.server.faults.add("POST", CREATE, server_error(status))
    await world.show("1", "fires")
    await world.deliver()
    assert world.texts() == ["1: fires"]
    assert world.refusals == []


async def test_a_rejected_card_is_put_aside_and_the_others_go_on(world):
    world.server.faults.add("POST", CREATE, invalid_form())
    await world.show("bad", "x", priority=Priority.URGENT)
    await world.show("good", "x")
    await world._until_it_waits(world.alerts.id)
    assert world.texts() == ["good: x"]
    assert world.refusals == [("bad", None)]
    assert await world.deliver() <= timedelta(minutes=1)
    assert world.texts() == ["good: x", "bad: x"]


async def test_a_card_that_is_always_rejected_is_tried_less_and_less(world):
    world.server.faults.add("POST", CREATE, invalid_form(), times=None)
    await world.show("bad", "x")
    for _ in range(24 * 60):
        await world._until_it_waits(world.alerts.id)
        world.time.advance(timedelta(minutes=1))
    assert 10 < len(world.refusals) < 40


async def test_a_rejected_card_is_tried_at_once_when_it_looks_different(world):
    world.server.faults.add("POST", CREATE, invalid_form())
    await world.show("bad", "x")
    await world._until_it_waits(world.alerts.id)
    await world.show("bad", "y")
    await world._until_it_waits(world.alerts.id)
    assert world.texts() == ["bad: y"]


async def test_a_bug_in_how_one_card_looks_keeps_only_that_card_waiting(world, caplog):
    world.boards.bugs.add("bad")
    await world.show("bad", "x", priority=Priority.URGENT)
    await world.show("good", "x")
    await world._until_it_waits(world.alerts.id)
    assert world.texts() == ["good: x"]
    assert "ZeroDivisionError" in caplog.text
    world.boards.bugs.clear()
    assert await world.deliver() <= timedelta(minutes=1)
    assert world.texts() == ["good: x", "bad: x"]


# Threads.


@pytest.fixture
def thread(world):
    guild = world.server.guild
    made = world.server.state.add_channel(guild, "t", kind=THREAD, parent_id=world.alerts.id)
    made.archived = True
    return made


async def test_an_archived_thread_is_opened_for_a_card_for_its_edit_and_for_its_end(world, thread):
    for text in ("fires", "resolved", None):
        thread.archived = True
        await world.show("1", text, channel=thread)
        await world.deliver()
        assert world.texts(thread) == ([f"1: {text}"] if text else [])
    assert world.refusals == []


async def test_a_thread_that_stays_archived_is_left_for_the_audit_channel(world, thread):
    fault = answer(400, 50083, "Thread is archived")
    world.server.faults.add("POST", f"/channels/{thread.id}/messages", fault, times=None)
    await world.show("1", "fires", channel=thread)
    await world.deliver()
    assert world.texts(world.audit) == ["1: fires"]


# Outages and limits.


@pytest.mark.parametrize("before", ["nothing shown", "cards shown"])
async def test_after_an_outage_of_two_minutes_everything_is_shown_within_seconds(world, before):
    channels = (world.alerts, world.critical)
    if before == "cards shown":
        for number in range(40):
            await world.show(str(number), "before", channel=channels[number % 2])
        await world.deliver()
    world.server.down = True
    for second in range(120):
        await world.show(str(second % 40), f"at {second}", channel=channels[second % 2])
        for channel in channels:
            await world._until_it_waits(channel.id)
        world.time.advance(SECOND)
    world.server.down = False
    assert await world.deliver() <= LONGEST_OUTAGE_WAIT
    shown = [*world.texts(world.alerts), *world.texts(world.critical)]
    assert sorted(shown) == sorted(f"{number}: at {number + 80}" for number in range(40))
    assert len(world.creations()) == 40


async def test_an_outage_of_one_channel_does_not_stop_another(world):
    world.server.faults.add("POST", f"/channels/{world.alerts.id}/messages", server_error(503), times=None)
    await world.show("1", "x")
    await world.show("2", "x", channel=world.critical)
    for channel in (world.alerts, world.critical):
        await world._until_it_waits(channel.id)
    assert world.texts(world.critical) == ["2: x"]


async def test_while_discord_is_away_it_is_not_asked_more_than_every_few_seconds(world):
    world.server.down = True
    await world.show("1", "x")
    before = sum(world.server.answers.values())
    for _ in range(1200):
        await world._until_it_waits(world.alerts.id)
        world.time.advance(timedelta(milliseconds=100))
    assert sum(world.server.answers.values()) - before <= 120 / LONGEST_OUTAGE_WAIT.total_seconds() + 5


async def test_with_the_limit_of_a_channel_no_request_is_refused_and_the_last_state_is_shown(paced):
    paced.server.limits.channel_create = (5, 0.4)
    paced.server.limits.channel_edit = (5, 0.4)
    async with paced.running():
        for number in range(20):
            await paced.show(str(number), "fires")
        for number in range(20):
            await paced.show(str(number), "resolved")
        expected = sorted(f"{number}: resolved" for number in range(20))
        await paced.server.wait_for(lambda: sorted(paced.texts()) == expected, timeout=10)
    assert paced.server.count_429 == 0
    assert len(paced.creations()) == 20


async def test_a_card_that_changes_all_the_time_is_edited_as_often_as_discord_allows(paced):
    paced.server.limits.channel_edit = (2, 0.3)
    async with paced.running():
        for number in range(100):
            await paced.show("1", str(number))
            await asyncio.sleep(0)
        await paced.server.wait_for(lambda: paced.texts() == ["1: 99"])
    assert paced.server.count_429 == 0
    assert len(paced.creations()[0].edits) < 20


async def test_the_limit_on_edits_of_old_messages_is_waited_out(paced):
    paced.server.limits.old_edits = (3, 0.5)
    paced.server.limits.old_after_seconds = 60
    for number in range(6):
        await paced.show(str(number), "fires")
    async with paced.running():
        await paced.server.wait_for(lambda: len(paced.texts()) == 6)
        paced.time.advance(timedelta(hours=2))
        for number in range(6):
            await paced.show(str(number), "resolved")
        await paced.server.wait_for(lambda: all("resolved" in text for text in paced.texts()), timeout=10)
    # It is announced by no header: the first of each window finds out.
    assert paced.server.count_429 <= 3


# Beginning and ending.


async def test_at_the_end_what_is_on_its_way_finishes_and_nothing_more_begins(paced):
    paced.server.faults.add("POST", CREATE, slow(0.3))
    async with paced.running():
        await paced.show("1", "x")
        await paced.show("2", "x")
        await paced.server.wait_for(lambda: paced.server.faults.scripts[0].hits)
        async with asyncio.timeout(2):
            await paced.courier.finish()
        assert paced.texts() == ["1: x"]
        assert (await paced.card("1")).state is CardState.LIVE
        await paced.show("3", "x")
        assert await paced.courier.step(paced.alerts.id) is None
    assert paced.texts() == ["1: x"]


async def test_a_delivery_that_broke_off_does_not_hold_up_the_end(world):
    world.boards.errors["1"] = UnavailableError("the database does not answer")
    await world.show("1", "x")
    with pytest.raises(UnavailableError):
        await world.courier.step(world.alerts.id)
    async with asyncio.timeout(1):
        await world.courier.finish()


async def test_a_new_leader_sends_again_what_was_touched_lately_and_doubles_nothing(world):
    await world.show("old", "x")
    await world.deliver()
    world.time.advance(timedelta(minutes=5))
    await world.show("fresh", "x")
    await world.deliver()
    [fresh] = [m for m in world.server.messages(world.alerts) if "fresh" in m.text]
    world.new_courier()
    async with world.running():
        await world.server.wait_for(lambda: fresh.edits)
    assert [len(message.edits) for message in world.creations()] == [0, 1]


async def test_a_former_leader_delivers_nothing_more(world):
    async with world.database.transaction() as tx:
        await tx.execute(_lead(1))
    world.new_courier(world.database.under(1))
    await world.show("1", "x")
    async with world.database.transaction() as tx:
        await tx.execute(_lead(2))
    with pytest.raises(LostLeadershipError):
        await world.courier.step(world.alerts.id)
    assert world.texts() == []


async def test_a_database_that_comes_back_is_all_it_takes(paced):
    paced.boards.errors["1"] = UnavailableError("the database does not answer")
    async with paced.running():
        await paced.show("1", "x")
        await asyncio.sleep(0)
        paced.boards.errors.clear()
        await paced.server.wait_for(lambda: paced.texts() == ["1: x"])


async def test_before_the_bot_has_logged_in_cards_wait(world):
    bot, world.bot = world.bot, None
    messages = DiscordMessages(lambda: _absent(world))
    world.courier._messages = messages
    await world.show("1", "x")
    with pytest.raises(UnavailableError):
        await world.courier.step(world.alerts.id)
    world.bot = bot
    await world.deliver()
    assert world.texts() == ["1: x"]


def _absent(world):
    if world.bot is None:
        raise UnavailableError("The bot has not logged in to Discord yet.")
    return world.bot


def _lead(epoch):
    from sqlalchemy import text  # noqa: PLC0415

    return text(
        f"INSERT INTO leadership (id, holder, epoch) VALUES (1, 'x', {epoch}) "
        f"ON CONFLICT (id) DO UPDATE SET epoch = {epoch}"
    )
