"""Whatever happens in whatever order, in the end we say what Alertmanager says."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.peers.model import (
    ClusterState,
    PeerAlert,
    PeerGroup,
    PeerState,
    PeerStatus,
    PeerView,
    Snapshot,
    Unreachable,
)
from bot.alerts.polling import Poll
from bot.alerts.store.reading import list_of_source
from bot.core.errors import ConflictError
from bot.database.engine import Database
from tests.support.alerting import OPERATORS, Rooms, open_rooms
from tests.support.alerts import a_body, an_entry
from tests.support.people import a_person

ADA = a_person("Ada", roles=[OPERATORS])
ANCHOR = ("Anchor", "a")
ALERTS = (("X", "a"), ("X", "b"), ("Y", "a"))
GROUPS = ("X", "Y")
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # Half the time went to the disk.


@dataclass
class Told:
    """An Alertmanager that is a value: it answers what the test says."""

    firing: dict[tuple[str, str], datetime] = field(default_factory=dict)
    silenced: set[tuple[str, str]] = field(default_factory=set)
    resolved: dict[tuple[str, str], tuple[datetime, datetime]] = field(default_factory=dict)
    answers: bool = True
    now: datetime | None = None
    name: str = "main"
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """What happens while its answer is under way."""

    async def look(self):
        heard = self._answer()
        if self.meanwhile is not None:
            await self.meanwhile()
        return heard

    def _answer(self):
        if not self.answers:
            return Unreachable(self.now, "It does not answer.")
        status = PeerStatus(
            started_at=self.now - timedelta(hours=1), cluster=ClusterState.READY, version="0.28"
        )
        return Snapshot(taken_at=self.now, views=(PeerView(status, tuple(map(self._listed, self.firing))),))

    async def look_at_groups(self, snapshot):
        names = sorted({name for name, _ in self.firing})
        return replace(
            snapshot,
            groups=tuple(
                PeerGroup(
                    "discord",
                    {"alertname": name},
                    tuple(self._listed(alert) for alert in self.firing if alert[0] == name),
                )
                for name in names
            ),
        )

    async def list_silences(self):
        return ()

    def _listed(self, alert):
        entry = self._entry(alert)
        is_silenced = alert in self.silenced
        return PeerAlert(
            fingerprint=entry["fingerprint"],
            labels=entry["labels"],
            annotations={},
            starts_at=self.firing[alert],
            ends_at=None,
            updated_at=self.now,
            state=PeerState.SUPPRESSED if is_silenced else PeerState.ACTIVE,
            silenced_by=("s1",) if is_silenced else (),
            muted_by=(),
            receivers=("discord",),
        )

    def _entry(self, alert):
        name, pod = alert
        if alert in self.firing:
            return an_entry(name, pod=pod, since=self.firing[alert].isoformat())
        since, until = self.resolved[alert]
        return an_entry(name, pod=pod, status="resolved", since=since.isoformat(), until=until.isoformat())

    def body(self, group: str) -> bytes | None:
        """What it would send of a group now; nothing of what is silenced."""
        entries = [
            self._entry(alert)
            for alert in (*self.firing, *self.resolved)
            if alert[0] == group and alert not in self.silenced
        ]
        return a_body(*entries, group_labels={"alertname": group}) if entries else None


@dataclass
class Story:
    """What happens, over real rooms."""

    rooms: Rooms
    theirs: Told = field(default_factory=Told)
    held: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.poll = Poll(
            self.theirs,
            self.rooms.database,
            self.rooms.intake,
            self.rooms.showing,
            clock=self.rooms.clock,
            post=_nobody,
            follow=_nobody,
        )

    def fire(self, alert) -> None:
        self.theirs.resolved.pop(alert, None)
        self.theirs.firing.setdefault(alert, self.rooms.clock.now())

    async def happen(self, what: str, which: int) -> None:
        alert, group, now = ALERTS[which % 3], GROUPS[which % 2], self.rooms.clock.now()
        self.theirs.now = now
        match what:
            case "fires":
                self.fire(alert)
            case "resolves" if alert in self.theirs.firing:
                self.theirs.resolved[alert] = (self.theirs.firing.pop(alert), now)
            case "is silenced":
                self.theirs.silenced.add(alert)
            case "is heard":
                self.theirs.silenced.discard(alert)
            case "is sent" if body := self.theirs.body(group):
                await self.rooms.receive(body)
            case "is held" if body := self.theirs.body(group):
                self.held.append(body)
            case "arrives late" if self.held:
                await self.rooms.receive(self.held.pop(0))
            case "is polled":
                await self.poll.step()
            case "is sent while it is polled" if body := self.theirs.body(group):
                self.theirs.meanwhile = lambda: self.rooms.receive(body)
                await self.poll.step()
                self.theirs.meanwhile = None
            case "goes away":
                self.theirs.answers = False
            case "comes back":
                self.theirs.answers = True
            case "we restart":
                self.restart()
            case "is taken on" | "is closed by hand":
                await self._click(what)
        self.rooms.clock.advance(timedelta(seconds=20 + 40 * which))

    async def _click(self, what: str) -> None:
        for incident in await self.ours():
            if incident.is_open and incident.title != "Anchor":
                act = self.rooms.alerts.resolve if what == "is closed by hand" else self._acknowledge
                with contextlib.suppress(ConflictError):
                    await act(IncidentNumber(incident.number), by=ADA)

    async def _acknowledge(self, number, *, by) -> None:
        await self.rooms.alerts.acknowledge([number], by=by)

    async def ours(self):
        async with self.rooms.database.reading() as tx:
            return await list_of_source(tx, "main")

    async def end(self) -> None:
        """Let everything arrive, and be asked often enough."""
        for body in self.held:
            await self.rooms.receive(body)
        self.theirs.answers = True
        for _ in range(6):
            self.rooms.clock.advance(timedelta(minutes=6))
            self.theirs.now = self.rooms.clock.now()
            await self.poll.step()

    async def assert_agreement(self) -> None:
        ours = await self.ours()
        opened = [incident for incident in ours if incident.is_open]
        assert len({incident.group_labels["alertname"] for incident in opened}) == len(opened)
        shown = {name_of(alert) for incident in opened for alert in incident.firing}
        by_hand = {name_of(alert) for incident in ours if not incident.is_open for alert in incident.firing}
        firing = set(self.theirs.firing)
        assert shown <= firing
        assert firing - self.theirs.silenced <= shown | by_hand
        for incident in opened:
            quiet = {name_of(alert) for alert in incident.firing} & self.theirs.silenced
            assert (incident.muting.alerts if incident.muting else 0) == len(quiet)
            assert incident.unknown_since is None


def name_of(alert):
    return alert.labels["alertname"], alert.labels["pod"]


async def _nobody(*_arguments, **_named) -> None:
    """Tell nobody."""


WHAT = st.sampled_from(
    (
        "fires",
        "resolves",
        "is silenced",
        "is heard",
        "is sent",
        "is held",
        "arrives late",
        "is polled",
        "is sent while it is polled",
        "goes away",
        "comes back",
        "we restart",
        "is taken on",
        "is closed by hand",
    )
)


@pytest.mark.timeout(60)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(st.tuples(WHAT, st.integers(0, 5)), min_size=12, max_size=30))
def test_any_interleaving_ends_in_agreement(migrated_sqlite, events):
    async def tell(path: Path) -> None:
        shutil.copy(migrated_sqlite, path)
        async with Database(f"sqlite+aiosqlite:///{path}") as database:
            story = Story(await open_rooms(database))
            # An address is known for this Alertmanager's own once something from it was seen listed.
            story.fire(ANCHOR)
            story.theirs.now = story.rooms.clock.now()
            await story.rooms.receive(story.theirs.body("Anchor"))
            await story.poll.step()
            for what, which in events:
                await story.happen(what, which)
            await story.end()
            await story.assert_agreement()

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        asyncio.run(tell(Path(folder) / "machine.db"))
