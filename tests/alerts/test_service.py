from datetime import timedelta

import pytest

from bot.access.model import Grant, Policy
from bot.alerts.model.incident import IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.store.lists import IncidentFilter
from bot.core.errors import ConflictError, NotAllowedError, NotFoundError
from bot.journal.model import Filter, Outcome
from bot.journal.service import verify_journal
from tests.support.alerting import ALERTS, CRITICAL, OPERATORS, a_route, open_rooms
from tests.support.alerts import a_body, an_entry
from tests.support.people import a_person

ADA = a_person("Ada", roles=[OPERATORS])
BEN = a_person("Ben", roles=[OPERATORS])
EVE = a_person("Eve")
ONE = IncidentNumber(1)


@pytest.fixture
async def rooms(database):
    opened = await open_rooms(
        database, a_route("", "alerts", mention=("role:oncall",), remind=timedelta(minutes=15))
    )
    await opened.receive(a_body(an_entry(namespace="prod")))
    return opened


async def test_an_acknowledgement_says_who_and_stops_reminding(rooms):
    (incident,) = await rooms.alerts.acknowledge([ONE], by=ADA, note="on it")
    assert incident.acknowledgement.by_name == "Ada"
    assert (await rooms.incident(1)).acknowledgement == incident.acknowledgement
    rooms.clock.advance(timedelta(hours=1))
    await rooms.timers.step()
    assert await rooms.card("ping", "1/alerts/1", ALERTS) is None
    assert (await rooms.card("incident", "1", ALERTS)).wanted == 2


async def test_a_second_acknowledgement_learns_who_has_it(rooms):
    await rooms.alerts.acknowledge([ONE], by=ADA)
    with pytest.raises(ConflictError, match=f"<@{ADA.id}> has acknowledged #1"):
        await rooms.alerts.acknowledge([ONE], by=BEN)


async def test_giving_it_back_reminds_again(rooms):
    await rooms.alerts.acknowledge([ONE], by=ADA)
    await rooms.alerts.unacknowledge(ONE, by=ADA)
    rooms.clock.advance(timedelta(minutes=16))
    await rooms.timers.step()
    assert await rooms.card("ping", "1/alerts/1", ALERTS) is not None
    await rooms.alerts.acknowledge([ONE], by=BEN)
    with pytest.raises(ConflictError):
        await rooms.alerts.acknowledge([ONE], by=BEN)


async def test_who_may_not_is_refused_and_written_down(rooms):
    with pytest.raises(NotAllowedError, match="alerts:ack"):
        await rooms.alerts.acknowledge([ONE], by=EVE)
    async with rooms.database.reading() as tx:
        (refusal,) = await rooms.journal.list_entries(tx, Filter(actor=EVE.id))
    assert refusal.entry.outcome is Outcome.REFUSED
    assert (await rooms.incident(1)).acknowledgement is None


async def test_several_are_acknowledged_together_or_not_at_all(rooms):
    await rooms.receive(a_body(an_entry("Other"), group_labels={"alertname": "Other"}))
    with pytest.raises(NotFoundError):
        await rooms.alerts.acknowledge([ONE, IncidentNumber(99)], by=ADA)
    assert (await rooms.incident(1)).acknowledgement is None
    numbers = await rooms.alerts.list_here(ALERTS)
    assert numbers == (1, 2)
    await rooms.alerts.acknowledge(numbers, by=ADA)
    assert await rooms.alerts.list_here(ALERTS) == ()
    assert await rooms.alerts.list_here(CRITICAL) == ()


async def test_closed_by_hand_stays_closed_until_the_next_firing_delivery(rooms):
    closed = await rooms.alerts.resolve(ONE, by=ADA, note="known")
    assert not closed.is_open
    assert (await rooms.incident(1)).closing.by_name == "Ada"
    assert await rooms.receive(a_body(an_entry(namespace="prod"))) == ["applied"]
    assert (await rooms.incident(1)).is_open


async def test_a_severity_that_rises_after_an_acknowledgement_pings(rooms):
    await rooms.alerts.acknowledge([ONE], by=ADA)
    rooms.clock.advance(timedelta(minutes=1))
    await rooms.receive(a_body(an_entry(namespace="prod"), an_entry(pod="b", severity="critical")))
    assert await rooms.card("ping", "1/alerts/1", ALERTS) is not None


async def test_a_test_alert_goes_the_whole_way_and_ends_by_itself(rooms):
    await rooms.alerts.send_test(Severity.INFO, by=ADA)
    await rooms.applier.step()
    assert (await rooms.incident(2)).title == "MachineTest"
    rooms.clock.advance(timedelta(minutes=6))
    await rooms.timers.step()
    await rooms.applier.step()
    assert not (await rooms.incident(2)).is_open


async def test_lists_are_filtered_and_the_worst_comes_first(rooms):
    for name, severity in (("Disk", "critical"), ("Net", "info")):
        await rooms.receive(a_body(an_entry(name, severity=severity), group_labels={"alertname": name}))
    page = await rooms.alerts.search(IncidentFilter(), page=0, by=ADA)
    assert [incident.title for incident in page.incidents] == ["Disk", "KubePodCrashLooping", "Net"]
    page = await rooms.alerts.search(IncidentFilter(text="dIs"), page=7, by=ADA)
    assert [incident.title for incident in page.incidents] == ["Disk"]
    page = await rooms.alerts.search(IncidentFilter(severity=Severity.INFO), page=0, by=ADA)
    assert page.total == 1
    assert [known.title for known in rooms.alerts.known(by=ADA, action="alerts:ack")] == [
        "Disk",
        "KubePodCrashLooping",
        "Net",
    ]


async def test_a_list_holds_only_what_its_reader_may_see(database):
    rooms = await open_rooms(
        database, a_route('severity="critical"', "critical"), a_route("", "alerts", index=1)
    )
    await rooms.receive(a_body(an_entry("Disk", severity="critical"), group_labels={"alertname": "Disk"}))
    await rooms.receive(a_body(an_entry("Net"), group_labels={"alertname": "Net"}))
    guest = Grant(name="guests", users=frozenset({EVE.id}), may=("alerts:list",), on=("channel:alerts",))
    rooms.access.use(Policy((guest,)))
    page = await rooms.alerts.search(IncidentFilter(), page=0, by=EVE)
    assert [incident.title for incident in page.incidents] == ["Net"]
    assert page.total == 1


async def test_text_that_means_something_to_a_database_is_only_text(rooms):
    page = await rooms.alerts.search(IncidentFilter(text="%_'\"; --"), page=0, by=ADA)
    assert page.total == 0


async def test_a_note_of_another_room_is_on_the_card_until_it_is_taken_away(rooms):
    async with rooms.database.transaction() as tx:
        await rooms.alerts.set_note(tx, ONE, "oncall", "paged Ada")
    assert (await rooms.incident(1)).notes == {"oncall": "paged Ada"}
    async with rooms.database.transaction() as tx:
        await rooms.alerts.set_note(tx, ONE, "oncall", None)
    assert (await rooms.incident(1)).notes == {}


async def test_what_people_did_is_in_the_chain(rooms):
    await rooms.alerts.acknowledge([ONE], by=ADA)
    await rooms.alerts.unacknowledge(ONE, by=BEN)
    verdict = await verify_journal(rooms.database)
    assert verdict.intact
    assert verdict.head.seq == 2
