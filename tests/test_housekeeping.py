from datetime import timedelta

import pytest

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.settings import RetentionSettings
from bot.alerts.store.reading import find_incident
from bot.cards import store as cards_store
from bot.cards.threads import store as threads_store
from bot.core.errors import NotFoundError
from bot.housekeeping import HEAD, HeadCards, Housekeeping, head_key
from bot.journal.model import find_posted_heads
from bot.journal.service import list_vanished
from bot.journal.store import list_unposted
from bot.operations.model import State
from bot.operations.sources import OPERATION
from bot.telemetry.metrics import REGISTRY
from tests.support.alerting import ALERTS, CRITICAL, OPERATORS, a_policy, a_route, open_rooms
from tests.support.alerts import a_body, an_entry
from tests.support.operating import GITOPS, Operating, a_plan
from tests.support.people import a_person

ADA = a_person("Ada", roles=[OPERATORS])
MONTHS = timedelta(days=120)


@pytest.fixture
async def rooms(database):
    return await open_rooms(database)


@pytest.fixture
def housekeeping(rooms):
    return Housekeeping(
        rooms.database,
        rooms.journal,
        rooms.cards,
        rooms.timers,
        clock=rooms.clock,
        retention=RetentionSettings,
        audit_channel=lambda: CRITICAL,
    )


async def agree(rooms, kind, key, channel, *, message=7):
    """Have a card shown, as the courier does."""
    card = await rooms.card(kind, key, channel)
    async with rooms.database.transaction() as tx:
        await cards_store.mark_live(tx, card.id, message_id=message, version=card.wanted)


async def test_it_tells_when_it_was_done(rooms, housekeeping):
    await housekeeping.step()
    told = REGISTRY.get_sample_value(
        "the_machine_job_last_success_timestamp_seconds", {"task": "housekeeping"}
    )
    assert told == rooms.clock.now().timestamp()


async def test_what_was_over_long_ago_is_forgotten_with_its_card(rooms, housekeeping):
    await rooms.receive(a_body(an_entry()), a_body(an_entry(status="resolved", until="2026-11-21T12:10:00Z")))
    await agree(rooms, "incident", "1", ALERTS)
    rooms.clock.advance(MONTHS)
    await housekeeping.step()
    async with rooms.database.reading() as tx:
        assert await find_incident(tx, IncidentNumber(1)) is None
    assert await rooms.card("incident", "1", ALERTS) is None
    assert await rooms.actions() == []


async def test_the_thread_of_what_is_forgotten_is_forgotten_and_stays_in_discord(rooms, housekeeping):
    rooms.policy = a_policy(a_route(thread=True))
    await rooms.receive(a_body(an_entry()), a_body(an_entry(status="resolved", until="2026-11-21T12:10:00Z")))
    await agree(rooms, "incident", "1", ALERTS)
    async with rooms.database.transaction() as tx:
        thread = await threads_store.find_thread(tx, "incident", "1", ALERTS)
        await threads_store.mark_live(tx, thread, thread_id=7)
        await rooms.timelines.begin(tx, thread, 7)
    await agree(rooms, "timeline", "1/1", 7)
    rooms.clock.advance(MONTHS)
    await housekeeping.step()
    async with rooms.database.reading() as tx:
        assert await threads_store.find_by_id(tx, 7) is None
    assert await rooms.card("timeline", "1/1", 7) is None


async def test_an_incident_that_stays_open_for_months_keeps_its_message(rooms, housekeeping):
    await rooms.receive(a_body())
    await agree(rooms, "incident", "1", ALERTS)
    rooms.clock.advance(MONTHS)
    await housekeeping.step()
    assert (await rooms.card("incident", "1", ALERTS)).message_id == 7


async def test_the_head_of_a_day_is_posted_once_and_can_be_compared(rooms, housekeeping):
    await rooms.receive(a_body())
    await rooms.alerts.acknowledge([IncidentNumber(1)], by=ADA)
    await housekeeping.step()
    async with rooms.database.reading() as tx:
        (head,) = await list_unposted(tx)
    await agree(rooms, HEAD, head_key(head), CRITICAL)
    await housekeeping.step()
    await housekeeping.step()
    assert (await rooms.card(HEAD, head_key(head), CRITICAL)).wanted == 1
    assert await list_vanished(rooms.database, []) == [head]


async def test_the_posted_message_holds_the_line_that_is_read_back(rooms, housekeeping):
    await rooms.receive(a_body())
    await rooms.alerts.acknowledge([IncidentNumber(1)], by=ADA)
    await housekeeping.step()
    async with rooms.database.reading() as tx:
        (head,) = await list_unposted(tx)
    rendered = await HeadCards().render(head_key(head), CRITICAL)
    texts = [item.content for item in rendered.view.walk_children() if hasattr(item, "content")]
    assert list(find_posted_heads("\n".join(texts))) == [head]


async def test_operations_are_forgotten_with_their_cards_unless_they_still_run(rooms, housekeeping):
    world = Operating(rooms.database, clock=rooms.clock)
    over, runs = await world.started(), await world.started(a_plan(subject="app:argocd/cart"))
    dropped = await world.propose()
    world.system.show(over, State.SUCCEEDED)
    await world.later()
    for name in (over, runs):
        await agree(rooms, OPERATION, name, GITOPS)
    rooms.clock.advance(MONTHS)
    await housekeeping.step()

    assert [each.id for each in await world.operations.list_recent()] == [runs]
    assert await world.card(over) is None
    assert (await world.card(runs)).message_id == 7
    with pytest.raises(NotFoundError):
        await world.get(dropped)
