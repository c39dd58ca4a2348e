"""What Alertmanager keeps quiet calls for nobody, and its card says why."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.alerts import alertmanager
from bot.alerts.card import Look, render_incident
from bot.alerts.model.incident import Muting
from bot.alerts.model.severity import Severity
from bot.alerts.muting import note_muting, set_muting
from bot.alerts.peers.model import Silence, SilenceState
from bot.alerts.showing import REMIND
from bot.alerts.silences.sources import read_silenced
from bot.alerts.timeline.model import MUTED, SILENCED, UNMUTED, UNSILENCED
from bot.core.matchers import parse_matchers
from bot.journal.model import Filter
from tests.support.alerting import ALERTS, a_route, open_rooms
from tests.support.alerts import NOON, a_body, an_entry

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


def a_silence(name, *, matchers="alertname=DiskFull", by="carol", minutes=(0, 60)):
    return Silence(
        id=name,
        matchers=parse_matchers(matchers),
        starts_at=NOON + timedelta(minutes=minutes[0]),
        ends_at=NOON + timedelta(minutes=minutes[1]),
        created_by=by,
        comment="upgrade",
        state=SilenceState.ACTIVE,
    )


def silenced_by(*names, alerts=1):
    return Muting(silences=names, alerts=alerts, firing=1)


async def noted(database, *mutings, silences=(), thread=True):
    """What is written down of an incident that is kept quiet in these ways, one after the other."""
    rooms = await open_rooms(database, a_route(thread=thread))
    await rooms.receive(body(FIRES))
    for muting in mutings:
        async with rooms.database.transaction() as tx:
            before = await rooms.incident(1)
            after = await set_muting(tx, rooms.showing, before, muting)
            await note_muting(tx, rooms.showing, before, after, {each.id: each for each in silences})
    async with rooms.database.reading() as tx:
        entries = await rooms.journal.list_entries(tx, Filter(incident=1))
    return [each.entry for each in reversed(entries)][1:]


async def test_a_silence_is_noted_with_who_made_it_and_until_when(database):
    silence = a_silence("s1", by="Ada (Discord 7) via The Machine")
    began, ended = await noted(database, silenced_by("s1"), None, silences=[silence])
    assert (began.action, began.actor.is_person, began.change) == (SILENCED, False, False)
    said = {
        name: began.detail[name]
        for name in ("silence", "matchers", "until", "by", "by_id", "replaces", "quiet")
    }
    assert said == {
        "silence": "main/s1",
        "matchers": 'alertname="DiskFull"',
        "until": silence.ends_at.isoformat(),
        "by": "Ada",
        "by_id": "7",
        "replaces": False,
        "quiet": None,
    }
    assert (ended.action, ended.detail["silence"], ended.detail["by"]) == (UNSILENCED, "main/s1", None)
    assert not ended.detail["still"]


async def test_a_silence_that_is_not_known_is_noted_by_its_id(database):
    [began] = await noted(database, silenced_by("s1"))
    assert (began.action, began.detail["silence"], began.detail["until"]) == (SILENCED, "main/s1", None)


async def test_of_two_silences_each_is_noted_and_what_is_still_quiet_says_so(database):
    entries = await noted(
        database,
        silenced_by("s1"),
        silenced_by("s1", "s2"),
        silenced_by("s2"),
        silences=[a_silence("s1"), a_silence("s2")],
    )
    assert [(each.action, each.detail["silence"]) for each in entries] == [
        (SILENCED, "main/s1"),
        (SILENCED, "main/s2"),
        (UNSILENCED, "main/s1"),
    ]
    assert entries[-1].detail["still"]


async def test_an_edit_that_makes_another_silence_is_one_change(database):
    before, after = a_silence("s1", minutes=(0, 10)), a_silence("s2", minutes=(10, 90))
    _, changed = await noted(database, silenced_by("s1"), silenced_by("s2"), silences=[before, after])
    assert (changed.action, changed.detail["silence"], changed.detail["replaces"]) == (
        SILENCED,
        "main/s2",
        True,
    )
    assert changed.detail["by"] is None


async def test_other_reasons_are_noted_without_a_silence(database):
    entries = await noted(database, INHIBITED, None, AT_NIGHT, silenced_by("s1", alerts=0))
    assert [each.action for each in entries] == [MUTED, UNMUTED, MUTED, SILENCED, UNMUTED]
    assert entries[0].detail["inhibited"]
    assert entries[2].detail["at_this_time"]
    assert entries[3].detail["quiet"] == 0


async def test_without_a_thread_nothing_of_it_is_noted(database):
    assert await noted(database, silenced_by("s1"), INHIBITED, None, thread=False) == []
