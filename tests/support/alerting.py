"""The rooms of an alert put together over a real database, without Discord."""

from dataclasses import dataclass, field
from datetime import timedelta

from bot.access.model import Grant, Policy
from bot.access.service import Access
from bot.alerts.changes.service import ChangesHere
from bot.alerts.digests import Digests
from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.applier import Applier
from bot.alerts.inbox.model import Arrival, Kind
from bot.alerts.intake import Intake
from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.model.severity import SeverityWords
from bot.alerts.policy import AlertPolicy
from bot.alerts.routing import Route
from bot.alerts.service import Alerts
from bot.alerts.showing import Showing
from bot.alerts.store.reading import find_incident
from bot.alerts.storm.service import Storms
from bot.alerts.timeline.service import Timelines
from bot.cards.store import Cards, find_card
from bot.cards.threads.service import Threads
from bot.core.matchers import parse_matchers
from bot.database.engine import Database
from bot.database.leadership import Leadership
from bot.journal.service import Journal
from bot.timers.service import Timers
from tests.support.chat import GUILD_ID
from tests.support.clock import ManualClock

ALERTS, CRITICAL = 101, 102
OPERATORS = "900"


class Apps:
    """Says by its `app` of which Application an alert is, as Argo CD would by its resources."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def find_app(self, labels):
        return self.known.get(labels.get("app", ""))


def a_route(
    match="", channel="alerts", *, mention=(), remind=None, goes_on=False, thread=False, index=0
) -> Route:
    matchers = parse_matchers(match) if match else ()
    return Route(
        index=index,
        matchers=matchers,
        channel=channel,
        mention=tuple(mention),
        remind=remind,
        goes_on=goes_on,
        thread=thread,
    )


def a_policy(*routes: Route) -> AlertPolicy:
    return AlertPolicy(
        routes=routes or (a_route(),),
        words=SeverityWords(),
        reopen_within=timedelta(minutes=30),
        channels={"alerts": ALERTS, "critical": CRITICAL},
        roles={"oncall": "800"},
        sources=("main",),
    )


@dataclass
class Rooms:
    database: Database
    clock: ManualClock
    policy: AlertPolicy
    quarantined: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cards = Cards(self.clock)
        self.timers = Timers(self.database, self.clock)
        self.journal = Journal(self.clock)
        self.storms = Storms(self.database, self.cards, self.journal, self.clock, lambda: self.policy)
        self.threads = Threads()
        self.timelines = Timelines(self.database, self.cards, self.threads, self.journal)
        self.journal.subscribe(self.timelines.hear)
        self.showing = Showing(
            self.cards,
            self.timers,
            self.journal,
            self.clock,
            lambda: self.policy,
            storms=self.storms,
            threads=self.threads,
        )
        self.apps = Apps()
        self.changes = ChangesHere(
            self.journal,
            self.cards,
            self.showing.index,
            policy=lambda: self.policy,
            targets=self.apps,
            guild=lambda: GUILD_ID,
        )
        self.journal.subscribe(self.changes.hear)
        self.intake = Intake(self.database, self.showing, self.clock, lambda: self.policy)
        self.applier = Applier(self.database, self.clock, handle=self.intake.apply, notice=self._notice)
        grant = Grant(name="operators", roles=frozenset({OPERATORS}), may=("alerts:*",))
        self.access = Access(Policy((grant,)))
        self.alerts = Alerts(
            self.database,
            self.access,
            self.showing,
            self.timers,
            timelines=self.timelines,
            clock=self.clock,
            policy=lambda: self.policy,
        )
        self.digests = Digests(
            self.database, self.access, self.alerts, self.storms, policy=lambda: self.policy
        )

    async def _notice(self, tx, number, reason) -> None:
        self.quarantined.append((number, reason))

    async def receive(self, *bodies: bytes, source: str = "main", kind: Kind = Kind.ALERTMANAGER):
        """Put bodies into the inbox and apply them; return what became of each."""
        arrivals = [
            Arrival(source=source, kind=kind, received_at=self.clock.now(), body=body) for body in bodies
        ]
        async with self.database.transaction() as tx:
            ids = await inbox_store.insert_many(tx, arrivals)
        while await self.applier.step() is not None:
            pass
        async with self.database.reading() as tx:
            return [(await inbox_store.get_delivery(tx, number)).progress.state.value for number in ids]

    async def incident(self, number: int) -> Incident:
        async with self.database.reading() as tx:
            found = await find_incident(tx, IncidentNumber(number))
        assert found is not None
        return found

    async def card(self, kind: str, key: str, channel: int):
        async with self.database.reading() as tx:
            return await find_card(tx, kind, key, channel)

    async def actions(self) -> list[str]:
        """The journal's actions, oldest first."""
        async with self.database.reading() as tx:
            entries = await self.journal.list_entries(tx, limit=1000)
        return [recorded.entry.action for recorded in reversed(entries)]


async def open_rooms(database: Database, *routes: Route) -> Rooms:
    epoch = await Leadership(database, "test").acquire()
    return Rooms(database.under(epoch), ManualClock(), a_policy(*routes))
