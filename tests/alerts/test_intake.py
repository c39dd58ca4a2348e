from datetime import timedelta

import pytest

from bot.alerts.inbox.model import QuarantineReason
from bot.alerts.model.incident import State
from bot.alerts.model.severity import Severity
from tests.support.alerting import ALERTS, CRITICAL, a_route, open_rooms
from tests.support.alerts import a_body, an_entry

ENDED = "2026-11-21T12:10:00Z"


@pytest.fixture
async def rooms(database):
    return await open_rooms(database)


async def test_a_firing_group_becomes_an_incident_with_a_card(rooms):
    assert await rooms.receive(a_body()) == ["applied"]
    incident = await rooms.incident(1)
    assert incident.state is State.FIRING
    assert incident.title == "KubePodCrashLooping"
    card = await rooms.card("incident", "1", ALERTS)
    assert (card.wanted, card.delivered) == (1, 0)
    assert await rooms.actions() == ["alerts:opened"]


async def test_a_delivery_that_is_repeated_changes_nothing(rooms):
    body = a_body()
    assert await rooms.receive(body, body) == ["applied", "repeat"]
    assert (await rooms.card("incident", "1", ALERTS)).wanted == 1
    assert await rooms.actions() == ["alerts:opened"]


async def test_what_is_stored_is_what_was_told(rooms):
    await rooms.receive(
        a_body(
            an_entry(pod="a", annotations={"summary": "Größe ☃"}),
            an_entry(pod="b", severity="critical"),
        )
    )
    incident = await rooms.incident(1)
    assert incident.severity is Severity.CRITICAL
    assert {alert.labels["pod"]: alert.annotations for alert in incident.alerts} == {
        "a": {"summary": "Größe ☃"},
        "b": {},
    }


@pytest.mark.parametrize("number", [1_000, 2_001])
async def test_thousands_of_alerts_are_kept_and_every_one_resolves(rooms, number):
    pods = {f"p-{n}" for n in range(number)}
    await rooms.receive(a_body(*(an_entry(pod=pod) for pod in pods)))
    assert {alert.labels["pod"] for alert in (await rooms.incident(1)).firing} == pods
    await rooms.receive(a_body(*(an_entry(pod=pod, status="resolved", until=ENDED) for pod in pods)))
    incident = await rooms.incident(1)
    assert {alert.labels["pod"] for alert in incident.alerts} == pods
    assert not incident.is_open
    assert not incident.firing


async def test_more_alerts_join_the_same_incident(rooms):
    await rooms.receive(a_body(an_entry(pod="a")))
    await rooms.receive(a_body(an_entry(pod="a"), an_entry(pod="b")))
    assert len((await rooms.incident(1)).firing) == 2
    assert (await rooms.card("incident", "1", ALERTS)).wanted == 2


async def test_the_last_resolve_closes_it(rooms):
    await rooms.receive(a_body(an_entry(pod="a"), an_entry(pod="b")))
    await rooms.receive(a_body(an_entry(pod="a", status="resolved", until=ENDED), an_entry(pod="b")))
    assert (await rooms.incident(1)).is_open
    await rooms.receive(a_body(an_entry(pod="b", status="resolved", until=ENDED)))
    incident = await rooms.incident(1)
    assert incident.state is State.RESOLVED
    assert not incident.is_open
    assert await rooms.actions() == ["alerts:opened", "alerts:resolved"]


async def test_the_auto_resolve_that_is_followed_by_the_same_start_reopens(rooms):
    await rooms.receive(a_body(an_entry()))
    await rooms.receive(a_body(an_entry(status="resolved", until=ENDED)))
    await rooms.receive(a_body(an_entry()))
    incident = await rooms.incident(1)
    assert incident.state is State.FIRING
    assert incident.reopened == 1


async def test_long_after_its_end_it_is_a_new_incident(rooms):
    await rooms.receive(a_body(an_entry()), a_body(an_entry(status="resolved", until=ENDED)))
    rooms.clock.advance(timedelta(hours=1))
    await rooms.receive(a_body(an_entry(since="2026-11-21T13:00:00Z")))
    assert not (await rooms.incident(1)).is_open
    assert (await rooms.incident(2)).is_open


async def test_a_changed_group_key_finds_the_incident_by_its_labels(rooms):
    await rooms.receive(a_body(an_entry(), group_key="{}/old:{}"))
    await rooms.receive(a_body(an_entry(status="resolved", until=ENDED), group_key="{}/new:{}"))
    assert not (await rooms.incident(1)).is_open


async def test_the_same_alert_by_two_receivers_is_two_incidents(rooms):
    await rooms.receive(a_body(receiver="one"), a_body(receiver="two"))
    assert (await rooms.incident(1)).receiver == "one"
    assert (await rooms.incident(2)).receiver == "two"


async def test_a_truncated_delivery_closes_nothing(rooms):
    await rooms.receive(a_body(an_entry(pod="a"), truncated=7))
    await rooms.receive(a_body(an_entry(pod="a", status="resolved", until=ENDED), truncated=7))
    incident = await rooms.incident(1)
    assert incident.state is State.UNKNOWN
    assert incident.is_open


async def test_what_cannot_be_read_is_put_aside_and_the_rest_goes_on(rooms):
    states = await rooms.receive(b"not json", a_body())
    assert states == ["quarantined", "applied"]
    assert [reason for _, reason in rooms.quarantined] == [QuarantineReason.NOT_JSON]


async def test_channel_none_records_without_a_card(database):
    rooms = await open_rooms(database, a_route('alertname="Watchdog"', None), a_route(index=1))
    await rooms.receive(a_body(an_entry("Watchdog"), group_labels={"alertname": "Watchdog"}))
    assert (await rooms.incident(1)).destinations == ()
    assert await rooms.card("incident", "1", ALERTS) is None


async def test_a_joining_alert_adds_a_channel_and_takes_none_away(database):
    rooms = await open_rooms(
        database, a_route('severity="critical"', "critical"), a_route("", "alerts", index=1)
    )
    await rooms.receive(a_body(an_entry(pod="a")))
    await rooms.receive(a_body(an_entry(pod="a"), an_entry(pod="b", severity="critical")))
    await rooms.receive(
        a_body(an_entry(pod="a"), an_entry(pod="b", severity="critical", status="resolved", until=ENDED))
    )
    assert [each.channel for each in (await rooms.incident(1)).destinations] == ["alerts", "critical"]
    assert await rooms.card("incident", "1", CRITICAL) is not None


MENTIONING = a_route("", "alerts", mention=("role:oncall",), remind=timedelta(minutes=15))


async def test_a_severity_that_rises_pings(database):
    rooms = await open_rooms(database, MENTIONING)
    await rooms.receive(a_body(an_entry(pod="a")))
    assert await rooms.card("ping", "1/alerts/1", ALERTS) is None
    await rooms.receive(a_body(an_entry(pod="a"), an_entry(pod="b", severity="critical")))
    assert await rooms.card("ping", "1/alerts/1", ALERTS) is not None


async def test_a_re_fire_pings_but_flapping_does_not(database):
    rooms = await open_rooms(database, MENTIONING)
    fire, resolve = a_body(an_entry()), a_body(an_entry(status="resolved", until=ENDED))
    await rooms.receive(fire, resolve, fire)
    assert await rooms.card("ping", "1/alerts/1", ALERTS) is not None
    await rooms.receive(resolve, fire)
    assert await rooms.card("ping", "1/alerts/2", ALERTS) is None


async def test_it_reminds_until_somebody_acknowledges(database):
    rooms = await open_rooms(database, MENTIONING)
    await rooms.receive(a_body())
    for minutes in (15, 15):
        rooms.clock.advance(timedelta(minutes=minutes, seconds=1))
        await rooms.timers.step()
    assert await rooms.card("ping", "1/alerts/2", ALERTS) is not None
    await rooms.receive(a_body(an_entry(status="resolved", until=ENDED)))
    rooms.clock.advance(timedelta(hours=1))
    await rooms.timers.step()
    assert await rooms.card("ping", "1/alerts/3", ALERTS) is None


async def test_nothing_half_applied_is_left_by_a_failure(rooms):
    async def fail(tx, recorded):
        raise ZeroDivisionError

    rooms.journal.subscribe(fail)
    assert await rooms.receive(a_body()) == ["quarantined"]
    async with rooms.database.reading() as tx:
        assert await rooms.journal.count_entries(tx) == 0
    assert await rooms.card("incident", "1", ALERTS) is None


async def test_what_resolved_days_ago_is_forgotten_while_the_incident_stays_open(rooms):
    await rooms.receive(a_body(an_entry(pod="a"), an_entry(pod="b")))
    await rooms.receive(a_body(an_entry(pod="a", status="resolved", until=ENDED), an_entry(pod="b")))
    assert len((await rooms.incident(1)).alerts) == 2
    rooms.clock.advance(timedelta(days=2))
    await rooms.receive(a_body(an_entry(pod="b"), an_entry(pod="c")))
    assert {alert.labels["pod"] for alert in (await rooms.incident(1)).alerts} == {"b", "c"}
