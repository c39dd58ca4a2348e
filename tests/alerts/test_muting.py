"""What Alertmanager keeps quiet calls for nobody, and its card says why."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.alerts import alertmanager
from bot.alerts.card import Look, render_incident
from bot.alerts.model import Muting, Severity
from bot.alerts.muting import set_muting
from bot.alerts.showing import REMIND
from bot.alerts.silences.sources import read_silenced
from tests.support.alerting import ALERTS, a_route, open_rooms
from tests.support.alerts import a_body, an_entry

QUARTER = timedelta(minutes=15)
INHIBITED = Muting(inhibitors=("feed",), alerts=1, firing=1)
AT_NIGHT = Muting(intervals=("night",), alerts=1, firing=1)


def body(*entries):
    return a_body(*entries, group_labels={"alertname": "DiskFull"})


FIRES = an_entry("DiskFull", pod="a")
WORSE = an_entry("DiskFull", pod="b", severity="critical")
OVER = an_entry("DiskFull", pod="a", status="resolved", until="2026-11-21T12:10:00Z")


@pytest.fixture
async def rooms(database):
    made = await open_rooms(database, a_route(mention=("role:oncall",), remind=QUARTER))
    await made.receive(body(FIRES))
    return made


async def mute(rooms, muting):
    async with rooms.database.transaction() as tx:
        await set_muting(tx, rooms.showing, await rooms.incident(1), muting)


async def ping(rooms, sequence=1):
    return await rooms.card("ping", f"1/alerts/{sequence}", ALERTS)


async def reminder(rooms):
    async with rooms.database.reading() as tx:
        return await rooms.timers.find_due_at(tx, REMIND, "1/alerts")


async def text_of_the_card(rooms):
    incident = await rooms.incident(1)
    async with rooms.database.reading() as tx:
        silenced = await read_silenced(tx, incident)
    rendered = render_incident(incident, look=Look(now=rooms.clock.now(), silenced=silenced))
    return "\n".join(item.content for item in rendered.view.walk_children() if hasattr(item, "content"))


@pytest.mark.parametrize(
    ("muting", "said"),
    [(INHIBITED, "Inhibited by another alert"), (AT_NIGHT, "Muted at this time by `night`")],
)
async def test_what_is_inhibited_or_muted_at_a_time_says_so_and_reminds_nobody(rooms, muting, said):
    assert await reminder(rooms) is not None
    await mute(rooms, muting)
    assert await reminder(rooms) is None
    rooms.clock.advance(4 * QUARTER)
    await rooms.timers.step()
    assert await ping(rooms) is None
    text = await text_of_the_card(rooms)
    assert text.startswith("### MUTED · DiskFull")
    assert said in text


async def test_what_is_heard_again_reminds_again(rooms):
    await mute(rooms, INHIBITED)
    await mute(rooms, None)
    assert await reminder(rooms) == rooms.clock.now() + QUARTER
    assert (await text_of_the_card(rooms)).startswith("### WARNING · DiskFull")


async def test_what_is_half_quiet_still_reminds(rooms):
    await rooms.receive(body(FIRES, an_entry("DiskFull", pod="b")))
    await mute(rooms, replace(INHIBITED, firing=2))
    rooms.clock.advance(QUARTER)
    await rooms.timers.step()
    assert await ping(rooms) is not None
    assert "Inhibited by another alert, 1 of 2 alerts" in await text_of_the_card(rooms)


async def test_a_severity_that_is_sent_to_have_risen_pings_although_the_rest_is_quiet(rooms):
    await mute(rooms, AT_NIGHT)
    await rooms.receive(body(FIRES, WORSE))
    assert not (await rooms.incident(1)).is_muted
    assert await ping(rooms) is not None


async def test_a_severity_that_rises_unsent_pings_nobody_while_all_is_quiet(rooms):
    await mute(rooms, AT_NIGHT)
    told = alertmanager.parse(body(FIRES, WORSE), source="main", received_at=rooms.clock.now())
    async with rooms.database.transaction() as tx:
        await rooms.intake.tell(tx, await rooms.incident(1), told)
    after = await rooms.incident(1)
    assert (after.severity, after.is_muted) == (Severity.CRITICAL, True)
    assert await ping(rooms) is None
    assert await reminder(rooms) is None


async def test_what_resolves_while_it_is_quiet_and_is_sent_again_pings_and_is_quiet_no_more(rooms):
    await mute(rooms, INHIBITED)
    await rooms.receive(body(OVER))
    assert (await rooms.incident(1)).muting is None
    rooms.clock.advance(timedelta(minutes=10))
    await rooms.receive(body(an_entry("DiskFull", pod="a", since="2026-11-21T12:20:00Z")))
    again = await rooms.incident(1)
    assert (again.reopened, again.muting) == (1, None)
    assert await ping(rooms) is not None
    assert await reminder(rooms) is not None
