"""kill -9 at any moment: every alert is on exactly one card with its final state, and nothing is said twice."""

import asyncio
import os
import random
from collections import Counter

import pytest
from sqlalchemy import update

from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import DeliveryState
from bot.database.engine import Database
from bot.database.leadership import leadership
from tests.simulators.discord.faults import slow
from tests.support.alerts import a_body, an_entry
from tests.support.ports import free_port
from tests.support.running import Process, a_process, a_town, count, details_of, send, texts, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]

GROUPS = 50
SEED = int(os.environ.get("MACHINE_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


def name_of(group):
    return f"Alert{group:03}"


def body_of(group, *, step):
    """The four deliveries of a group: it fires, says so again, gets a second alert, and resolves.

    Every fifth group goes on firing.
    """
    name = name_of(group)
    first = {"severity": "critical" if group % 7 == 0 else "warning", "pod": "a"}
    second = {**first, "pod": "b"}
    over = {"status": "resolved", "until": "2026-11-21T12:30:00Z"}
    match step:
        case 0 | 1:
            entries = [an_entry(name, **first)]
        case 2:
            entries = [an_entry(name, **first), an_entry(name, **second)]
        case _ if group % 5 == 0:
            entries = [an_entry(name, **first), an_entry(name, **second, **over)]
        case _:
            entries = [an_entry(name, **first, **over), an_entry(name, **second, **over)]
    return a_body(*entries, group_labels={"alertname": name})


def is_final(group, text):
    if group % 5 == 0:
        return "RESOLVED" not in text
    return "RESOLVED" in text


async def deliver_all(port, rng):
    """200 deliveries: in order within a group, groups beside each other, each until it is accepted."""

    async def deliver(group):
        for step in range(4):
            await asyncio.sleep(rng.random() * 0.5)
            await send(port, body_of(group, step=step))

    await asyncio.gather(*(deliver(group) for group in range(GROUPS)))


async def until_all_is_shown(town):
    def final():
        shown = texts(town.cards())
        cards = {group: [text for text in shown if name_of(group) in text] for group in range(GROUPS)}
        return all(len(found) == 1 and is_final(group, found[0]) for group, found in cards.items())

    try:
        await town.server.wait_for(final, timeout=60)
    except TimeoutError:
        counted = Counter(details_of(card) for card in town.cards())
        wrong = [
            (name_of(group), [m.text for m in town.cards() if name_of(group) in m.text])
            for group in range(GROUPS)
        ]
        raise AssertionError(f"{counted}\n{wrong}") from None


async def until_all_is_applied(database_url):
    """What was posted again because its 200 was lost changes nothing, and so is seen nowhere but here."""
    async with asyncio.timeout(60):
        # The process says it to nobody.
        while (await count(database_url, inbox_store.count_by_state))[DeliveryState.PENDING]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def assert_all_is_well(town, process, database_url):
    await until_all_is_shown(town)
    await until_all_is_applied(database_url)
    assert await process.terminate() == 0
    town.assert_nothing_was_said_twice()
    assert len(town.cards()) == GROUPS
    # Nobody was called twice for the same thing either: the pings in the cards themselves.
    pinged = [message for message in town.server.state.every_message.values() if message.pinged_roles]
    assert len(pinged) == len({details_of(message) for message in pinged})
    counted = await count(database_url, inbox_store.count_by_state)
    assert counted[DeliveryState.PENDING] == 0
    assert counted[DeliveryState.QUARANTINED] == 0
    assert town.notices() == []
    assert process.errors() == []


async def test_killed_at_twenty_random_moments(town, database_url, tmp_path):
    print(f"MACHINE_TEST_SEED={SEED}")
    rng = random.Random(SEED)
    port = free_port()
    config = write(tmp_path, with_threads(town.configuration(database_url, port=port)))
    town.server.latency = 0.01
    async with a_process(config, port=port) as process:
        sending = asyncio.create_task(deliver_all(port, rng))
        for life in range(20):
            await survive_until(town, process, rng, life)
            await process.kill()
            await the_lease_ends(database_url)
            if life % 3 == 0:
                town.server.forget_nonces()
            await process.start()
        await sending
        await until_all_is_shown(town)
        await until_threads_agree(town)
        await assert_all_is_well(town, process, database_url)
    said = [
        (message.channel_id, name)
        for message in town.server.state.every_message.values()
        for name in message.custom_ids
        if name.startswith("tm:timeline:")
    ]
    assert len(said) == len(set(said)) == len(town.threads())


def with_threads(configuration):
    for route in configuration["alerts"]["routes"]:
        route["thread"] = True
    return configuration


async def until_threads_agree(town):
    """Each incident that goes on has its thread, and each thread tells the end and is archived at it."""

    def agree():
        threads = {thread.id: thread for thread in town.threads()}
        return all(
            is_told(town, card, threads[card.id]) if card.id in threads else "RESOLVED" in card.text
            for card in town.cards()
        )

    try:
        await town.server.wait_for(agree, timeout=60)
    except TimeoutError:
        threads = {thread.id: thread for thread in town.threads()}
        raise AssertionError(
            [
                (card.text, thread and (thread.archived, texts(town.server.messages(thread))))
                for card in town.cards()
                for thread in [threads.get(card.id)]
                if thread is None or not is_told(town, card, thread)
            ]
        ) from None


def is_told(town, card, thread):
    is_over = "RESOLVED" in card.text
    said = "\n".join(texts(town.server.messages(thread)))
    return thread.archived is is_over and "**Fires**" in said and said.endswith("**Resolved**") is is_over


async def survive_until(town, process, rng, life):
    """Let it live until a random moment: of its start, or after so many of its requests to Discord."""
    if life % 4 == 3:
        # While it starts, or just after: importing, migrating, logging in.
        await asyncio.sleep(rng.random() * 1.5)
        return
    before, many = sum(town.server.answers.values()), rng.randrange(1, 25)
    with_patience = 6.0
    try:
        await town.server.wait_for(lambda: sum(town.server.answers.values()) >= before + many, with_patience)
    except TimeoutError:
        return
    await asyncio.sleep(rng.random() * 0.02)


async def the_lease_ends(database_url):
    """Move the database's time: the lease of whoever was killed would hold for 10 s more."""
    if database_url.startswith("sqlite"):
        return
    async with Database(database_url) as database, database.transaction() as tx:
        await tx.execute(update(leadership).values(expires_at=None))


async def test_killed_after_discord_took_a_message_and_before_its_id_was_stored(town, database_url, tmp_path):
    """Each of the first lives ends so, and Discord has forgotten the nonce when the next one comes."""
    print(f"MACHINE_TEST_SEED={SEED}")
    rng = random.Random(SEED)
    port = free_port()
    config = write(tmp_path, town.configuration(database_url, port=port))
    # The answer to a creation stays away for so long that the message is there and its id unknown.
    late = town.server.faults.add("POST", "/channels/*/messages", slow(30.0), times=None, after_commit=True)
    process = Process(config)
    await process.start()
    try:
        sending = asyncio.create_task(deliver_all(port, rng))
        for life in range(5):
            before = len(town.cards())
            await town.server.wait_for(lambda before=before: len(town.cards()) > before, timeout=10)
            await process.kill()
            await the_lease_ends(database_url)
            town.server.forget_nonces()
            if life == 4:
                town.server.faults.scripts.remove(late)
            await process.start()
        await sending
        await assert_all_is_well(town, process, database_url)
    finally:
        await process.kill()
