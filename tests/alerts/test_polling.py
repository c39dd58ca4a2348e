"""What is believed of a real Alertmanager that says nothing by itself."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web

from bot.alerts.card import state_word
from bot.alerts.model.incident import IncidentNumber, State
from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.settings import AlertmanagerSettings
from bot.alerts.polling import Poll, Polling
from bot.alerts.showing import REMIND
from bot.alerts.timeline.model import SILENCED, UNSILENCED
from bot.core.tasks import running
from bot.journal.model import Filter
from bot.telemetry.metrics import REGISTRY
from tests.support.alerting import OPERATORS, Rooms, a_route, open_rooms
from tests.support.peers import a_posted_alert, a_running_peer, served, until
from tests.support.people import a_person
from tests.support.ports import free_port
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


async def test_what_others_do_to_a_silence_is_noted_of_each_incident_that_it_hides(real, watch):
    await real.post(a_posted_alert("DiskFull"), a_posted_alert("Down"))
    async with watch(real.url, a_route(thread=True)) as ours:
        for name in ("DiskFull", "Down"):
            await ours.rooms.receive(await delivered(real, group={"alertname": name}))
        await ours.look()
        silence = await real.amtool("silence", "add", "alertname=~D.+", "--comment=x", "--author=carol")
        await ours.look()
        await real.amtool("silence", "update", silence, "--duration=4h")
        await ours.look()
        await real.amtool("silence", "expire", silence)
        await ours.look()
        for number in (1, 2):
            began, changed, ended = [each for each in await noted(ours, number) if "silence" in each.detail]
            assert [each.action for each in (began, changed, ended)] == [SILENCED, SILENCED, UNSILENCED]
            assert {each.detail["silence"] for each in (began, changed, ended)} == {f"main/{silence}"}
            assert (began.detail["by"], changed.detail["by"]) == ("carol", None)
            assert began.detail["until"] < changed.detail["until"]


async def noted(watch, number):
    async with watch.rooms.database.reading() as tx:
        entries = await watch.rooms.journal.list_entries(tx, Filter(incident=number))
    return [recorded.entry for recorded in reversed(entries)]


async def test_nobody_is_pinged_for_what_is_silenced(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url, a_route(mention=("role:oncall",), remind=timedelta(minutes=15))) as ours:
        await ours.rooms.receive(await delivered(real))
        await real.amtool("silence", "add", "alertname=KubePodCrashLooping", "--comment=upgrade")
        await ours.look()
        ours.rooms.clock.advance(timedelta(hours=1))
        await ours.rooms.timers.step()
        assert await ours.rooms.card("ping", "1/alerts/1", 101) is None


async def test_what_another_alert_inhibits_is_muted_until_that_is_over(real, watch):
    await real.post(a_posted_alert(cluster="blue"))
    async with watch(real.url, a_route(mention=("role:oncall",), remind=timedelta(minutes=15))) as ours:
        await ours.rooms.receive(await delivered(real))
        await ours.look()
        await real.post(a_posted_alert("Down", severity="critical", cluster="blue"))
        await until(real.inhibited)
        await ours.look()
        muted = await ours.first()
        assert (state_word(muted), len(muted.muting.inhibitors)) == ("MUTED", 1)
        assert await ours.reminder() is None
        await real.post(a_posted_alert("Down", severity="critical", cluster="blue", until=datetime.now(UTC)))
        await until(real.inhibited, lambda names: not names)
        await ours.look()
        assert state_word(await ours.first()) == "WARNING"
        assert await ours.reminder() is not None


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
        await until(real.grouped, lambda names: "DiskFull" in names)
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


async def test_a_grafana_without_a_token_is_one_line_in_the_status_and_no_notice(watch):
    async def refuse(_request):
        return web.Response(status=401)

    async with served(refuse) as url, watch(url) as ours:
        settings = AlertmanagerSettings.model_validate({"name": "main", "urls": [url], "kind": "grafana"})
        ours.poll.cluster = AlertmanagerCluster(settings, ours.silencing.session, ours.rooms.clock)
        await ours.look(6)
        assert ours.told == []
        assert (ours.poll.status.ok, ours.poll.status.text) == (
            True,
            "Grafana main is not asked: it wants a `token`, and none is configured.",
        )


class Interrupted:
    """An Alertmanager during whose answer something happens."""

    def __init__(self, cluster, happens):
        self.name = cluster.name
        self._cluster = cluster
        self._happens = happens

    async def look(self):
        heard = await self._cluster.look()
        await self._happens()
        return heard

    def __getattr__(self, name):
        return getattr(self._cluster, name)


async def test_what_is_delivered_while_it_is_asked_is_newer_than_its_list(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url) as ours:
        fires = await delivered(real)
        await ours.rooms.receive(fires)
        await ours.look()
        await real.post(a_posted_alert(until=datetime.now(UTC)))
        ours.rooms.clock.advance(LONG_ENOUGH)
        await ours.look()
        again = fires.replace(b'"severity": "warning"', b'"severity": "critical"')
        ours.poll.cluster = Interrupted(ours.poll.cluster, lambda: ours.rooms.receive(again))
        await ours.look()
        assert (await ours.first()).is_open, "it was told of since"
        ours.poll.cluster = ours.silencing.cluster()
        await ours.look()
        assert (await ours.first()).is_open, "its absence is counted from the beginning"
        await ours.look()
        assert not (await ours.first()).is_open


async def test_a_silence_made_while_it_is_asked_is_not_taken_back(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url) as ours:
        await ours.rooms.receive(await delivered(real))
        await ours.look()

        async def silence():
            silences = ours.silencing.silences
            draft = await silences.propose(IncidentNumber(1), by=ADA)
            await silences.create((await silences.preview(draft, by=ADA)).token, by=ADA)

        ours.poll.cluster = Interrupted(ours.poll.cluster, silence)
        await ours.look()
        assert (await ours.first()).is_muted


async def test_what_opens_while_it_is_asked_is_not_opened_again(real, watch):
    await real.post(a_posted_alert())
    async with watch(real.url) as ours:
        await ours.rooms.receive(await delivered(real))
        disk = {"alertname": "DiskFull", "namespace": "db"}
        await real.post(a_posted_alert("DiskFull", namespace="db"))
        await until(real.grouped, lambda names: "DiskFull" in names)
        await ours.look()
        told = await delivered(real, group=disk)
        over = told.replace(b'"firing"', b'"resolved"').replace(b"0001-01-01", b"2096-01-01")
        ours.poll.cluster = Interrupted(ours.poll.cluster, lambda: ours.rooms.receive(told, over))
        await ours.look()
        assert await ours.rooms.actions() == ["alerts:opened", "alerts:opened", "alerts:resolved"]


class Asked:
    """Polls of several Alertmanagers as the configuration has them, and which were asked."""

    def __init__(self, rooms, session, urls):
        self.rooms = rooms
        self.urls = urls
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.polling = Polling(
            self._settings, lambda: self.every, self._make, session, clock=rooms.clock, chance=lambda: 0.0
        )
        self.every = timedelta(hours=1)

    def _settings(self):
        return [
            AlertmanagerSettings.model_validate({"name": name, "urls": [url]})
            for name, url in self.urls.items()
        ]

    def _make(self, cluster):
        rooms = self.rooms
        return Poll(
            cluster,
            rooms.database,
            rooms.intake,
            rooms.showing,
            clock=rooms.clock,
            post=_nobody,
            follow=self._follow,
        )

    async def _follow(self, tx, source, listed, *, taken_at):
        del listed, taken_at
        tx.after_commit(lambda: self.told.put_nowait(source))

    async def next(self):
        async with asyncio.timeout(10):
            return await self.told.get()

    def is_known_to_be(self, source):
        return REGISTRY.get_sample_value("the_machine_backend_up", {"backend": f"alertmanager:{source}"})


async def _nobody(*_arguments, **_named):
    """Tell nobody."""


@pytest.fixture
async def asked(database, real):
    rooms = await open_rooms(database)
    async with aiohttp.ClientSession() as session:
        made = Asked(rooms, session, {"first": real.url})
        async with running([made.polling.run()]):
            yield made


async def test_each_is_asked_when_it_begins_and_when_it_is_woken(asked):
    assert await asked.next() == "first"
    asked.polling.wake()
    assert await asked.next() == "first"


async def test_one_that_is_added_is_asked_at_once_and_the_others_remember(asked, real):
    assert await asked.next() == "first"
    before = asked.polling.clusters["first"]
    asked.urls = {"first": real.url, "second": real.url}
    asked.polling.change()
    assert {await asked.next(), await asked.next()} == {"first", "second"}
    assert asked.polling.clusters["first"] is before
    assert [line.text for line in asked.polling.status] == ["0 alerts fire there", "0 alerts fire there"]


async def test_one_that_is_taken_out_is_asked_no_more(asked, real):
    asked.urls = {"first": real.url, "second": real.url}
    asked.polling.change()
    assert {await asked.next(), await asked.next()} <= {"first", "second"}
    asked.urls = {"second": real.url}
    asked.polling.change()
    while await asked.next() != "second" or not asked.told.empty():
        pass
    asked.polling.wake()
    assert await asked.next() == "second"
    assert asked.told.empty()
    assert (asked.is_known_to_be("first"), asked.is_known_to_be("second")) == (None, 1)


async def test_one_that_moves_is_asked_at_its_new_address(asked):
    assert await asked.next() == "first"
    before = asked.polling.clusters["first"]
    asked.urls = {"first": f"http://127.0.0.1:{free_port()}"}
    asked.polling.change()
    assert asked.polling.clusters["first"] is not before
    assert [line.text for line in asked.polling.status] == ["not asked yet"]


async def test_without_any_nobody_is_asked_until_there_is_one(asked, real):
    assert await asked.next() == "first"
    asked.urls = {}
    asked.polling.change()
    assert asked.polling.status == []
    asked.urls = {"late": real.url}
    asked.polling.change()
    assert await asked.next() == "late"
