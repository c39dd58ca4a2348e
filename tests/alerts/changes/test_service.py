"""What changed around an incident, read from the journal for its cards."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from bot.cards import store as cards_store
from bot.journal.model import Outcome
from tests.support.alerting import ALERTS, open_rooms
from tests.support.alerts import a_body, an_entry
from tests.support.chat import GUILD_ID
from tests.support.journal import a_system_entry
from tests.support.journal import an_entry as a_journal_entry
from tests.support.people import a_person

ADA = a_person("Ada", user="111")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def rooms(database):
    """An incident in the namespace shop, which began at noon; it is noon."""
    made = await open_rooms(database)
    await made.receive(a_body(an_entry(namespace="shop", app="api")))
    return made


async def record(rooms, *entries, after=MINUTE):
    for entry in entries:
        rooms.clock.advance(after)
        async with rooms.database.transaction() as tx:
            await rooms.journal.append(tx, entry)


def a_sync(target="app:argocd/shop", **values):
    given = {"namespace": "shop", "change": True, "by": ADA, **values}
    return a_journal_entry("argocd:sync", target=target, **given)


async def shown(rooms, number=1):
    incident = await rooms.incident(number)
    async with rooms.database.reading() as tx:
        return list(await rooms.changes.read(tx, incident, channel_id=ALERTS))


async def test_a_card_without_changes_says_nothing(rooms):
    await record(rooms, a_sync(namespace="blog"), a_sync(change=False), a_sync(outcome=Outcome.FAILED))
    assert await shown(rooms) == []


async def test_what_changed_since_it_began_is_told_newest_first(rooms):
    await record(rooms, a_sync(), a_journal_entry("secrets:rotate", by=ADA, namespace="shop", change=True))
    heading, newest, oldest = await shown(rooms)
    assert heading == "**Changed here in the hour before, and since**"
    assert "rotated" in newest
    assert "synced **shop**" in oldest


async def test_what_changed_shortly_before_is_told_and_what_changed_long_before_is_not(database):
    rooms = await open_rooms(database)
    await record(rooms, a_sync("app:argocd/long-ago"))
    await record(rooms, a_sync("app:argocd/lately"), after=timedelta(minutes=59))
    rooms.clock.advance(10 * MINUTE)
    since = rooms.clock.now().isoformat()
    await rooms.receive(a_body(an_entry(namespace="shop", since=since)))
    heading, *lines = await shown(rooms)
    assert heading.endswith("hour before**")
    assert ["lately" in line for line in lines] == [True]


async def test_the_culprit_is_not_pushed_off_by_what_came_after(database):
    rooms = await open_rooms(database)
    await record(rooms, a_sync("app:argocd/culprit"))
    rooms.clock.advance(MINUTE)
    await rooms.receive(a_body(an_entry(namespace="shop", since=rooms.clock.now().isoformat())))
    await record(rooms, *(a_sync(f"app:argocd/later-{number}") for number in range(30)))
    _, first, _, third, rest = await shown(rooms)
    assert "later-29" in first
    assert "culprit" in third
    assert rest == "-# and more: `/machine changes`"


async def test_what_people_did_to_the_incident_itself_is_not_repeated(rooms):
    silence = {"by": ADA, "namespace": "shop", "change": True, "detail": {"matchers": "a=b"}}
    await record(rooms, a_journal_entry("alerts:silence", incident=1, **silence))
    assert await shown(rooms) == []
    await record(rooms, a_journal_entry("alerts:silence", incident=7, **silence))
    assert len(await shown(rooms)) == 2


async def test_an_application_is_found_by_the_labels_of_the_alert(rooms):
    change = a_sync(namespace="elsewhere", app="argocd/shop")
    await record(rooms, change)
    assert await shown(rooms) == []
    rooms.apps.known["api"] = "argocd/shop"
    assert len(await shown(rooms)) == 2


async def test_a_change_leads_to_its_card_in_the_same_channel_if_it_is_there(rooms):
    await record(rooms, a_sync(operation="op-1"))
    for channel, message in ((700, 1), (ALERTS, 2), (800, 3)):
        async with rooms.database.transaction() as tx:
            await rooms.cards.want(tx, "operation", "op-1", channel)
        card = await rooms.card("operation", "op-1", channel)
        async with rooms.database.transaction() as tx:
            await cards_store.mark_live(tx, card.id, message_id=message, version=1)
    _, line = await shown(rooms)
    assert line.endswith(f"· [card](https://discord.com/channels/{GUILD_ID}/{ALERTS}/2)")


async def test_a_change_whose_card_is_not_there_yet_has_no_link(rooms):
    await record(rooms, a_sync(operation="op-1"))
    async with rooms.database.transaction() as tx:
        await rooms.cards.want(tx, "operation", "op-1", ALERTS)
    _, line = await shown(rooms)
    assert "](" not in line


async def test_the_year_one_is_no_trouble(rooms):
    await record(rooms, a_sync())
    await rooms.receive(
        a_body(an_entry(namespace="shop", since="0001-01-01T00:00:00Z"), group_labels={"alertname": "Old"})
    )
    assert len(await shown(rooms, 2)) == 2


async def test_nothing_is_read_where_it_is_turned_off(rooms):
    await record(rooms, a_sync())
    rooms.policy = rooms.policy.__class__(
        **{name: getattr(rooms.policy, name) for name in rooms.policy.__slots__} | {"changes": timedelta(0)}
    )
    assert await shown(rooms) == []


async def wanted(rooms, number=1):
    card = await rooms.card("incident", str(number), ALERTS)
    return card.wanted


@pytest.mark.parametrize(
    ("entry", "marks"),
    [
        (a_sync(), 1),
        (a_sync(namespace=None, app="argocd/shop"), 1),
        (a_sync(namespace="blog"), 0),
        (a_sync(namespace=None), 0),
        (a_sync(change=False), 0),
        (a_sync(outcome=Outcome.FAILED), 0),
        (a_sync(change=False, operation="op", detail={"state": "failed"}, outcome=Outcome.FAILED), 1),
        (a_sync(change=False, operation="op", detail={"state": "requested"}), 0),
        (a_sync(change=False, operation="op", detail={"state": "started"}, outcome=Outcome.REFUSED), 0),
        (a_system_entry("argocd:synced", namespace="shop", change=True), 1),
    ],
)
async def test_a_change_has_the_open_cards_of_its_place_rendered(database, entry, marks):
    rooms = await open_rooms(database)
    rooms.apps.known["api"] = "argocd/shop"
    await rooms.receive(
        a_body(an_entry(namespace="shop", app="api")),
        a_body(an_entry(namespace="web", app="web"), group_labels={"alertname": "Other"}),
    )
    before, elsewhere = await wanted(rooms), await wanted(rooms, 2)
    await record(rooms, entry)
    assert await wanted(rooms) == before + marks
    assert await wanted(rooms, 2) == elsewhere


async def test_a_change_does_not_touch_the_cards_of_what_is_over(rooms):
    await rooms.receive(
        a_body(an_entry(namespace="shop", app="api", status="resolved", until="2026-11-21T12:00:30Z"))
    )
    before = await wanted(rooms)
    await record(rooms, a_sync())
    assert await wanted(rooms) == before


@pytest.mark.parametrize(("changes", "statements"), [(0, 1), (3, 3), (30, 4)])
async def test_reading_takes_few_statements_and_one_where_nothing_changed(rooms, changes, statements):
    await record(rooms, *(a_sync(operation=f"op-{number}") for number in range(changes)))
    incident = await rooms.incident(1)
    seen = []
    engine = rooms.database._reader.sync_engine
    async with rooms.database.reading() as tx:
        event.listen(engine, "before_cursor_execute", lambda *_: seen.append(_))
        await rooms.changes.read(tx, incident, channel_id=ALERTS)
    assert len(seen) == statements
