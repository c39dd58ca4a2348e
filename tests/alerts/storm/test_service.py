"""Storms over a real database: nothing is lost, nothing is shown twice, whatever comes in between."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.alerts import kinds
from bot.alerts.model.incident import IncidentNumber, Muting
from bot.alerts.muting import set_muting
from bot.alerts.storm import store
from bot.alerts.storm.service import Storms
from bot.cards import store as cards_store
from bot.cards.model import CardState, Pressure
from bot.telemetry.metrics import REGISTRY
from tests.support.alerting import ALERTS, CRITICAL, OPERATORS, a_route, open_rooms
from tests.support.alerts import a_body, an_entry
from tests.support.people import a_person

ENDED = "2026-11-21T12:10:00Z"


def a_group(number, *, severity="warning", **entry):
    labels = {"alertname": f"Group{number:03}"}
    return a_body(an_entry(labels["alertname"], severity=severity, **entry), group_labels=labels)


@pytest.fixture
async def rooms(database):
    return await open_rooms(database, a_route(mention=("role:oncall",)))


async def feel(rooms, *, rate=1.0):
    """Tell the storms what waits, as the courier does."""
    async with rooms.database.reading() as tx:
        waiting = await cards_store.count_waiting(tx, now=rooms.clock.now())
    return await rooms.storms.feel({ALERTS: Pressure(ALERTS, waiting.get(ALERTS, 0), rate)})


def severity_of(number):
    return ("critical", "info", "warning", "warning")[number % 4]


def ended(number):
    return a_group(number, severity=severity_of(number), status="resolved", until=ENDED)


async def receive(rooms, *bodies):
    if bodies:
        await rooms.receive(*bodies)


async def deliver(rooms, most=1000, *, channel=ALERTS):
    """Show what waits, as the courier does."""
    async with rooms.database.transaction() as tx:
        due = await cards_store.list_due(tx, channel, now=rooms.clock.now(), limit=most)
        for number, card in enumerate(due):
            await cards_store.mark_live(tx, card.id, message_id=1000 * card.id + number, version=card.wanted)


async def all_cards(rooms, kind=kinds.INCIDENT):
    async with rooms.database.reading() as tx:
        rows = await tx.execute(select(cards_store.card).where(cards_store.card.c.kind == kind))
        return {row.key: row for row in rows if row.announced or row.wanted > row.delivered}


async def held(rooms):
    async with rooms.database.reading() as tx:
        storms = await store.list_latest(tx)
        if ALERTS not in storms:
            return set()
        rows = await tx.execute(select(store.line).where(store.line.c.storm == storms[ALERTS].id))
        return {str(row.incident) for row in rows if row.page is not None and row.released_at is None}


async def test_a_storm_withdraws_the_cards_that_were_never_shown(rooms):
    await rooms.receive(*[a_group(n) for n in range(5)])
    await deliver(rooms)
    await rooms.receive(*[a_group(n) for n in range(5, 25)])
    await feel(rooms)
    assert set(await all_cards(rooms)) == {str(n) for n in range(1, 6)}
    assert await held(rooms) == {str(n) for n in range(6, 26)}
    assert set(await all_cards(rooms, kinds.DIGEST)) == {"1/1"}
    assert set(await all_cards(rooms, kinds.CALL)) == {"1/1"}


async def test_one_that_is_being_created_keeps_its_card(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    first = (await all_cards(rooms))["1"]
    async with rooms.database.transaction() as tx:
        noted = await cards_store.mark_creating(tx, first.id, marker="m", now=rooms.clock.now())
    assert noted is False
    await feel(rooms)
    assert set(await all_cards(rooms)) == {"1"}
    assert "1" not in await held(rooms)


async def test_what_another_channel_takes_in_place_of_one_that_refuses_shares_messages_as_well(rooms):
    await rooms.receive(*[a_group(n) for n in range(10)])
    async with rooms.database.transaction() as tx:
        for card in (await all_cards(rooms)).values():
            await cards_store.move(tx, card.id, to=CRITICAL)
    await rooms.receive(*[a_group(n) for n in range(10, 20)])
    await feel(rooms)
    assert await all_cards(rooms) == {}
    assert len(await held(rooms)) == 20
    assert set(await all_cards(rooms, kinds.DIGEST)) == {"1/1"}
    for _ in range(60):
        await deliver(rooms, channel=CRITICAL)
        await deliver(rooms)
        rooms.clock.advance(timedelta(seconds=10))
        await feel(rooms)
    assert await held(rooms) == set()
    assert {card.posted_in for card in (await all_cards(rooms)).values()} == {ALERTS, CRITICAL}


async def test_a_creation_that_raced_with_the_storm_finds_nothing_to_create(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    first = (await all_cards(rooms))["1"]
    await feel(rooms)
    async with rooms.database.transaction() as tx:
        assert await cards_store.mark_creating(tx, first.id, marker="m", now=rooms.clock.now()) is None


async def test_a_withdrawn_card_does_not_come_back_because_something_about_it_changed(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    await feel(rooms)
    async with rooms.database.transaction() as tx:
        await rooms.cards.touch(tx, kinds.INCIDENT, "1")
    assert await all_cards(rooms) == {}


async def test_critical_ones_stay_and_call_for_nobody_by_themselves(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)], a_group(99, severity="critical"))
    await feel(rooms)
    [(_, card)] = (await all_cards(rooms)).items()
    assert card.announced
    assert card.state == CardState.ABSENT


async def test_cards_that_are_no_incidents_begin_no_storm(rooms):
    async with rooms.database.transaction() as tx:
        for number in range(50):
            await rooms.cards.want(tx, "notice", str(number), ALERTS)
    assert await feel(rooms) is None
    assert await held(rooms) == set()


async def test_a_reminder_in_a_storm_is_said_with_the_others(database):
    remind = timedelta(minutes=1)
    rooms = await open_rooms(database, a_route(mention=("role:oncall",), remind=remind))
    await rooms.receive(*[a_group(n) for n in range(20)])
    await feel(rooms)
    rooms.clock.advance(remind)
    await rooms.timers.step()
    assert await all_cards(rooms, kinds.PING) == {}
    async with rooms.database.reading() as tx:
        [owed] = await store.list_owed(tx, ALERTS)
    assert owed.owed == 20


async def test_a_storm_is_measured(rooms):
    def measured(name):
        return REGISTRY.get_sample_value(f"the_machine_storm_{name}", {"channel": "alerts"})

    began = measured("began_total") or 0
    await rooms.receive(*[a_group(n) for n in range(20)])
    await feel(rooms)
    await feel(rooms)
    assert (measured("began_total"), measured("active"), measured("held")) == (began + 1, 1, 20)
    for _ in range(60):
        await deliver(rooms)
        rooms.clock.advance(timedelta(seconds=10))
        await feel(rooms)
    assert (measured("began_total"), measured("active"), measured("held")) == (began + 1, 0, 0)


async def mute(rooms, *numbers):
    """Note that Alertmanager keeps these incidents quiet."""
    for number in numbers:
        await set_mutings(rooms, number, Muting(inhibitors=("other",), alerts=1, firing=1))


async def set_mutings(rooms, number, muting):
    async with rooms.database.transaction() as tx:
        await set_muting(tx, rooms.showing, await rooms.incident(number), muting)


async def owed(rooms):
    async with rooms.database.reading() as tx:
        return {one.mention: one.owed for one in await store.list_owed(tx, ALERTS)}


async def called(rooms):
    return sorted(await all_cards(rooms, kinds.CALL))


async def test_nobody_is_called_when_a_storm_begins_with_what_is_quiet(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    await mute(rooms, *range(1, 21))
    await feel(rooms)
    assert len(await held(rooms)) == 20
    assert (await called(rooms), await owed(rooms)) == ([], {})


async def test_whoever_was_to_be_called_for_what_is_quiet_meanwhile_is_not(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    await feel(rooms)
    assert await called(rooms) == ["1/1"]
    rooms.clock.advance(timedelta(minutes=1))
    await rooms.receive(a_group(20), a_group(21))
    assert await owed(rooms) == {"role:oncall": 2}
    await mute(rooms, 21)
    await rooms.alerts.acknowledge([IncidentNumber(22)], by=a_person(roles=[OPERATORS]))
    for _ in range(10):
        rooms.clock.advance(timedelta(minutes=1))
        await deliver(rooms)
        await feel(rooms)
    assert (await called(rooms), await owed(rooms)) == (["1/1"], {"role:oncall": 0})


async def test_what_is_quiet_or_taken_is_not_among_the_worst_that_nobody_has(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    await feel(rooms)
    ada = a_person(roles=[OPERATORS])
    await mute(rooms, *range(1, 18))
    await rooms.alerts.acknowledge([IncidentNumber(18)], by=ada)
    worst = await rooms.digests.list_worst(1, by=ada)
    assert [each.number for each in worst] == [20, 19]


async def test_one_that_joins_while_it_is_quiet_calls_when_it_is_heard_again(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    await feel(rooms)
    rooms.clock.advance(timedelta(minutes=1))
    await rooms.receive(a_group(20))
    await mute(rooms, 21)
    rooms.clock.advance(timedelta(minutes=6))
    await feel(rooms)
    assert await called(rooms) == ["1/1"]
    await rooms.receive(*[a_group(n) for n in range(30, 60)])
    await mute(rooms, *range(22, 52))
    await set_mutings(rooms, 21, None)
    await feel(rooms)
    assert await called(rooms) == ["1/1", "1/2"]


async def test_one_that_was_called_for_calls_nobody_again_when_it_is_heard_again(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    await feel(rooms)
    await mute(rooms, 1)
    await set_mutings(rooms, 1, None)
    rooms.clock.advance(timedelta(minutes=6))
    await rooms.receive(*[a_group(n) for n in range(30, 60)])
    await mute(rooms, *range(21, 51))
    await feel(rooms)
    assert await called(rooms) == ["1/1"]


async def test_forgotten_storms_go_with_their_lines(rooms):
    await rooms.receive(*[a_group(n) for n in range(20)])
    await feel(rooms)
    for _ in range(60):
        await deliver(rooms)
        rooms.clock.advance(timedelta(seconds=10))
        await feel(rooms)
    rooms.clock.advance(timedelta(days=1))
    async with rooms.database.transaction() as tx:
        assert await store.purge(tx, settled_before=rooms.clock.now()) == 1
        assert (await tx.execute(select(store.line))).all() == []


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_each_incident_has_a_card_or_a_line_and_in_the_end_a_card(rooms, seed):
    chance = random.Random(seed)
    firing = set()
    for _ in range(30):
        match chance.choice(["many", "few", "end", "feel", "feel", "deliver", "time", "restart"]):
            case "many":
                new = {chance.randrange(60) for _ in range(chance.randrange(30))}
            case "few":
                new = {chance.randrange(60)}
            case "end":
                over = {n for n in firing if chance.random() < 0.3}
                await receive(rooms, *[ended(n) for n in sorted(over)])
                firing -= over
                new = set()
            case "feel":
                await feel(rooms)
                new = set()
            case "deliver":
                await deliver(rooms, chance.randrange(1, 20))
                new = set()
            case "time":
                rooms.clock.advance(timedelta(seconds=chance.randrange(90)))
                new = set()
            case "restart":
                rooms.storms = rooms.showing._storms = Storms(
                    rooms.database, rooms.cards, rooms.journal, rooms.clock, lambda: rooms.policy
                )
                new = set()
        await receive(rooms, *[a_group(n, severity=severity_of(n)) for n in sorted(new)])
        firing |= new
        cards, lines = set(await all_cards(rooms)), await held(rooms)
        assert not cards & lines, "on a digest and on a card"
    for _ in range(100):
        await feel(rooms, rate=5.0)
        await deliver(rooms)
        rooms.clock.advance(timedelta(seconds=15))
        if not await held(rooms):
            break
    await deliver(rooms)
    assert await held(rooms) == set()
    cards = await all_cards(rooms)
    async with rooms.database.reading() as tx:
        rows = await tx.execute(select(store.incident.c.number).where(store.incident.c.closed_at.is_(None)))
        still_open = {str(row.number) for row in rows}
    assert len(still_open) == len(firing)
    assert still_open <= set(cards)
    assert all(card.delivered == card.wanted for card in cards.values())
