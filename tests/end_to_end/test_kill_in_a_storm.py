"""kill -9 in a storm: in the end each group is named once, on a card or on a line, and nobody is called twice."""

import asyncio
import os
import random
import re
from collections import Counter

import pytest
from sqlalchemy import update

from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import DeliveryState
from bot.database.engine import Database
from bot.database.leadership import leadership
from tests.support.alerts import a_body, an_entry
from tests.support.ports import free_port
from tests.support.running import a_process, a_town, count, details_of, send, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

GROUPS = 150
LIVES = 5
SEED = int(os.environ.get("MACHINE_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
_LINE = re.compile(r"\*\*(Group[0-9]{3})\*\*")


@pytest.fixture
async def town():
    async with a_town() as made:
        yield made


def body_of(group):
    name = f"Group{group:03}"
    severity = "critical" if group % 25 == 0 else "warning"
    entries = [an_entry(name, severity=severity, pod=pod) for pod in "ab"]
    return a_body(*entries, group_labels={"alertname": name})


def configuration(town, database_url, port):
    return town.configuration(
        database_url,
        port=port,
        alerts={
            "routes": [{"channel": "alerts", "mention": ["oncall"]}],
            "storm": {"after": "3s", "calm_for": "10m"},
        },
    )


async def deliver_all(port, rng):
    """Post every group, over ten seconds, each until it is accepted."""

    async def deliver(group):
        await asyncio.sleep(rng.random() * 10)
        await send(port, body_of(group))

    await asyncio.gather(*map(deliver, range(GROUPS)))


def digests(town):
    return [message for message in town.messages("alerts") if message.text.startswith("### STORM")]


def named(town):
    """How often each group is named: by a card of its own, or by a line of a digest."""
    on_cards = [match[1] for card in town.cards() for match in [re.search(r"(Group[0-9]{3})", card.text)]]
    return Counter([*on_cards, *(name for page in digests(town) for name in _LINE.findall(page.text))])


async def until_each_is_named_once(town):
    wanted = Counter(f"Group{group:03}" for group in range(GROUPS))
    try:
        await town.server.wait_for(lambda: named(town) == wanted, timeout=40)
    except TimeoutError:
        found = named(town)
        raise AssertionError({"missing": wanted - found, "too often": found - wanted}) from None


async def test_killed_in_a_storm_each_group_is_named_once(town, database_url, tmp_path):
    print(f"MACHINE_TEST_SEED={SEED}")
    rng = random.Random(SEED)
    port = free_port()
    config = write(tmp_path, configuration(town, database_url, port))
    async with a_process(config, port=port) as process:
        sending = asyncio.create_task(deliver_all(port, rng))
        for life in range(LIVES):
            before, many = sum(town.server.answers.values()), rng.randrange(1, 12)

            def is_time(most=before + many):
                return sum(town.server.answers.values()) >= most

            await town.server.wait_for(is_time, timeout=15)
            await asyncio.sleep(rng.random() * 0.05)
            await process.kill()
            await the_lease_ends(database_url)
            if life % 2 == 0:
                town.server.forget_nonces()
            await process.start()
        await sending
        await until_each_is_named_once(town)
        assert await process.terminate() == 0
        assert process.errors() == []
    assert_nothing_was_said_twice(town)
    counted = await count(database_url, inbox_store.count_by_state)
    assert (counted[DeliveryState.PENDING], counted[DeliveryState.QUARANTINED]) == (0, 0)


def assert_nothing_was_said_twice(town):
    town.assert_nothing_was_said_twice()
    ever = [
        message
        for message in town.server.state.every_message.values()
        if message.channel_id == town.channels["alerts"].id
    ]
    for action in ("storm-end", "storm-call"):
        posted = Counter(name for one in ever for name in one.custom_ids if name.startswith(f"tm:{action}:"))
        assert posted, action
        assert set(posted.values()) == {1}, posted
    # Those who were called: by cards before the storm, and once by the storm itself.
    calls = [one for one in ever if one.pinged_roles and not details_of(one)]
    assert len(calls) == 1, [one.text for one in calls]


async def the_lease_ends(database_url):
    """Move the database's time: the lease of whoever was killed would hold for 10 s more."""
    if database_url.startswith("sqlite"):
        return
    async with Database(database_url) as database, database.transaction() as tx:
        await tx.execute(update(leadership).values(expires_at=None))
