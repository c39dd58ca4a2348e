"""What is believed of a real Alertmanager that says nothing by itself."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from bot.alerts.card import state_word
from bot.alerts.model import IncidentNumber, State
from bot.alerts.polling import Poll
from bot.alerts.showing import REMIND
from bot.telemetry.metrics import REGISTRY
from tests.support.alerting import OPERATORS, Rooms, a_route, open_rooms
from tests.support.peers import a_posted_alert, a_running_peer
from tests.support.people import a_person
from tests.support.running import free_port
from tests.support.silencing import Silencing, delivered

MINUTE = timedelta(minutes=1)
LONG_ENOUGH = timedelta(minutes=10)
"""A peer that is up for this long has heard of every alert."""
ADA = a_person("Ada", roles=[OPERATORS])


@dataclass
class Watch:
    """A poll over rooms, and what it told operators."""

    rooms: Rooms
    silencing: Silencing
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.poll = self._fresh()

    def _fresh(self) -> Poll:
        return Poll(
            self.silencing.cluster(),
            self.rooms.database,
            self.rooms.intake,
            self.rooms.showing,
            clock=self.rooms.clock,
            post=self._post,
            follow=self.silencing.silences.follow,
        )

    def restart(self) -> None:
        """Forget whatever was only in memory."""
        self.poll = self._fresh()

    async def look(self, times: int = 1) -> None:
        """Poll once a minute."""
        for _ in range(times):
            await self.poll.step()
            self.rooms.clock.advance(MINUTE)

    async def _post(self, tx, key, title, text) -> None:
        del tx, key, text
        self.told.append(title)

    async def first(self):
        return await self.rooms.incident(1)

    async def reminder(self):
        """When people are to be reminded of the first incident."""
        async with self.rooms.database.reading() as tx:
            return await self.rooms.timers.find_due_at(tx, REMIND, "1/alerts")


@pytest.fixture
async def watch(database):
    """Make a watch of the Alertmanager at an address."""

    @asynccontextmanager
    async def make(url: str, *routes):
        rooms = await open_rooms(database, *routes)
        async with aiohttp.ClientSession() as session:
            yield Watch(rooms, Silencing(rooms, session, {"main": url}))

    return make


@pytest.fixture
async def real(tmp_path):
    async with a_running_peer(tmp_path / "am") as running:
        yield running


async def test_an_incident_whose_resolve_never_came_is_closed(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url) as ours:
        await ours.rooms.receive(await delivered(real))
        await ours.look()
        assert (await ours.first()).is_open
        await real.post(a_posted_alert(until=datetime.now(UTC)))
        ours.rooms.clock.advance(LONG_ENOUGH)
        ours.restart()
        await ours.look()
        assert (await ours.first()).is_open
        await ours.look()
        assert (await ours.first()).state is State.RESOLVED
        assert await ours.rooms.actions() == ["alerts:opened", "alerts:resolved"]


async def test_an_alertmanager_that_has_just_begun_closes_nothing(tmp_path, watch):
    port = free_port()
    async with a_running_peer(tmp_path / "am", port=port) as real:
        await real.post(a_posted_alert())
        async with watch(real.url) as ours:
            await ours.rooms.receive(await delivered(real))
            await ours.look()
            await real.stop()
            async with a_running_peer(tmp_path / "am", port=port) as again:
                await ours.look(3)
                assert await again.alerts() == []
                assert (await ours.first()).state is State.FIRING
                await again.post(a_posted_alert())
                ours.rooms.clock.advance(LONG_ENOUGH)
                await ours.look(3)
                assert (await ours.first()).state is State.FIRING


async def test_a_silence_made_elsewhere_shows_and_its_end_too(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url, a_route(mention=("role:oncall",), remind=timedelta(minutes=15))) as ours:
        await ours.rooms.receive(await delivered(real))
        await ours.look()
        silence = await real.amtool("silence", "add", "alertname=KubePodCrashLooping", "--comment=upgrade")
        await ours.look()
        muted = await ours.first()
        assert muted.muting.silences == (silence,)
        assert state_word(muted) == "SILENCED"
        assert await ours.reminder() is None
        changed_at = muted.changed_at
        await real.amtool("silence", "expire", silence)
        await ours.look()
        heard = await ours.first()
        assert heard.muting is None
        assert state_word(heard) == "WARNING"
        assert heard.changed_at == changed_at
        assert await ours.reminder() is not None


async def test_nobody_is_pinged_for_what_is_silenced(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url, a_route(mention=("role:oncall",), remind=timedelta(minutes=15))) as ours:
        await ours.rooms.receive(await delivered(real))
        await real.amtool("silence", "add", "alertname=KubePodCrashLooping", "--comment=upgrade")
        await ours.look()
        ours.rooms.clock.advance(timedelta(hours=1))
        await ours.rooms.timers.step()
        assert await ours.rooms.card("ping", "1/alerts/1", 101) is None


async def test_what_resolves_while_it_is_silenced_is_closed(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url) as ours:
        await ours.rooms.receive(await delivered(real))
        await real.amtool("silence", "add", "alertname=KubePodCrashLooping", "--comment=upgrade")
        await ours.look()
        assert (await ours.first()).is_muted
        await real.post(a_posted_alert(until=datetime.now(UTC)))
        ours.rooms.clock.advance(LONG_ENOUGH)
        await ours.look(2)
        closed = await ours.first()
        assert closed.state is State.RESOLVED
        assert closed.muting is None


async def test_an_alert_that_was_never_delivered_is_opened(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url) as ours:
        await ours.rooms.receive(await delivered(real))
        await real.post(a_posted_alert("DiskFull", namespace="db"))
        await ours.look(2)
        opened = await ours.rooms.incident(2)
        assert opened.title == "DiskFull"
        assert opened.group_labels == {"alertname": "DiskFull", "namespace": "db"}
        assert await ours.rooms.card("incident", "2", 101) is not None
        told = await delivered(real, group={"alertname": "DiskFull", "namespace": "db"})
        await ours.rooms.receive(told)
        await ours.look(2)
        assert await ours.rooms.actions() == ["alerts:opened", "alerts:opened"]


async def test_what_was_closed_by_hand_stays_closed_while_it_still_fires(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url) as ours:
        await ours.rooms.receive(await delivered(real))
        await ours.look()
        await ours.rooms.alerts.resolve(IncidentNumber(1), by=ADA)
        await ours.look(5)
        assert not (await ours.first()).is_open


async def test_while_nobody_answers_it_is_unknown_and_told_once(tmp_path, watch):
    port = free_port()
    async with a_running_peer(tmp_path / "am", port=port) as real:
        await real.post(a_posted_alert())
        async with watch(real.url) as ours:
            await ours.rooms.receive(await delivered(real))
            await ours.look()
            assert REGISTRY.get_sample_value("the_machine_backend_up", {"backend": "alertmanager:main"}) == 1
            went_at = ours.rooms.clock.now()
            await real.stop()
            await ours.look(3)
            ours.restart()
            await ours.look(6)
            unknown = await ours.first()
            assert state_word(unknown) == "UNKNOWN"
            assert unknown.unknown_since >= went_at
            assert not ours.poll.status.ok
            assert REGISTRY.get_sample_value("the_machine_backend_up", {"backend": "alertmanager:main"}) == 0
            assert ours.told == ["An Alertmanager does not answer"]
            async with a_running_peer(tmp_path / "am", port=port) as again:
                await again.post(a_posted_alert())
                await ours.look(2)
                assert (await ours.first()).state is State.FIRING
                assert (await ours.first()).unknown_since is None
                assert ours.poll.status.ok
                assert ours.told == ["An Alertmanager does not answer", "An Alertmanager answers again"]
