"""Operations over a real database, with a system of their own that can fail in every way."""

from dataclasses import dataclass, field
from datetime import timedelta

from bot.access.model import Grant, Policy
from bot.access.service import Access
from bot.cards.store import Cards, find_card
from bot.core.errors import ConflictError, UnavailableError
from bot.database.engine import Database
from bot.database.leadership import Leadership
from bot.journal.service import Journal
from bot.operations.model import Operation, OperationId, OperationPolicy, Plan, Progress, State
from bot.operations.service import Operations
from bot.operations.sources import OPERATION
from tests.support.clock import ManualClock
from tests.support.people import a_person

KIND = "test.do"
CHANNEL, GITOPS, GUILD = 301, 302, 555
OPERATORS = "900"

ADA = a_person("Ada", user="1", roles=[OPERATORS])
BOB = a_person("Bob", user="2", roles=[OPERATORS])
CY = a_person("Cy", user="3", roles=[OPERATORS])
EVE = a_person("Eve", user="4")


def a_plan(**values) -> Plan:
    return Plan(
        **{
            "kind": KIND,
            "action": "argocd:sync",
            "targets": ("app:argocd/shop", "project:default"),
            "subject": "app:argocd/shop",
            "title": "Sync shop",
            "doing": "Syncing shop",
            "done": "Synced shop",
            "system": "Argo CD",
            "place": "default / shop",
            "body": ("`4f1c2ab` → `9be01d7` fix(cart): retry payment",),
            "request": {"revision": "9be01d7"},
            "namespace": "shop",
            "app": "argocd/shop",
            "url": "https://argocd.example.org/applications/shop",
            "cancel_label": "Terminate",
            **values,
        }
    )


@dataclass
class TinySystem:
    """Another system and its conductor: what was begun in it outlives every restart of the bot."""

    begun: dict[str, Progress] = field(default_factory=dict)
    """What runs or ran, by the id of the operation."""
    starts: list[str] = field(default_factory=list)
    """The ids that really began something, in order."""
    acts: list[tuple[str, str, str]] = field(default_factory=list)
    down: bool = False
    lose_next_answer: bool = False
    """The next start gets through, but its answer does not arrive."""
    fail_next: list[BaseException] = field(default_factory=list)
    """Raised by the next calls, one each."""
    lookups: int = 0

    async def start(self, operation: Operation) -> None:
        self._fail()
        if operation.id not in self.begun:
            self.starts.append(operation.id)
            self.begun[operation.id] = Progress(state=State.STARTED)
        if self.lose_next_answer:
            self.lose_next_answer = False
            raise UnavailableError("The answer of Argo CD did not arrive.")

    async def has_begun(self, operation: Operation) -> bool:
        self.lookups += 1
        self._fail()
        return operation.id in self.begun

    async def observe(self, operation: Operation) -> Progress:
        self._fail()
        return self.begun[operation.id]

    async def act(self, operation: Operation, what: str, *, by) -> None:
        self._fail()
        if self.begun[operation.id].state.is_final:
            raise ConflictError("Nothing goes on there.")
        self.acts.append((operation.id, what, by.name))
        if what == "cancel":
            self.show(operation.id, State.CANCELLED, outcome="It was terminated.")

    def show(self, name: str, state: State = State.PROGRESSING, **values) -> None:
        self.begun[name] = Progress(state=state, **values)

    def _fail(self) -> None:
        if self.fail_next:
            raise self.fail_next.pop(0)
        if self.down:
            raise UnavailableError("Argo CD does not answer.")


def a_policy(**values) -> Policy:
    grant = {"name": "operators", "roles": frozenset({OPERATORS}), "may": ("argocd:*",)}
    return Policy((Grant(**{**grant, **values}),))


@dataclass
class Operating:
    """One process: the service over a database and a system, which both outlive it."""

    database: Database
    system: TinySystem = field(default_factory=TinySystem)
    clock: ManualClock = field(default_factory=ManualClock)
    access: Access | None = None
    settings: OperationPolicy = field(default_factory=lambda: OperationPolicy(channel_id=GITOPS))
    roles_now: dict[str, frozenset[str]] = field(default_factory=dict)
    """What roles people hold by now, where these are others."""
    gone: set[str] = field(default_factory=set)
    """Who is not a member any more."""
    made: int = 0

    def __post_init__(self) -> None:
        self.access = self.access or Access(a_policy(), self.clock)
        self.cards = Cards(self.clock)
        self.journal = Journal(self.clock)
        self.woken = 0
        self.operations = Operations(
            self.database,
            self.access,
            self.cards,
            self.journal,
            clock=self.clock,
            policy=lambda: self.settings,
            guild=lambda: GUILD,
            look_up=self._look_up,
            make_id=self._make_id,
        )
        self.operations.register(KIND, self.system)
        self.operations.on_due(self._wake)

    def restarted(self) -> "Operating":
        """Another process over the same database and system; the leadership goes over to it."""
        return Operating(
            self.database,
            self.system,
            self.clock,
            self.access,
            self.settings,
            self.roles_now,
            self.gone,
            self.made,
        )

    async def propose(self, plan: Plan | None = None, *, by=ADA) -> OperationId:
        proposed = await self.operations.propose(plan or a_plan(), by=by, channel_id=CHANNEL)
        return proposed.id

    async def started(self, plan: Plan | None = None, *, by=ADA) -> OperationId:
        """Propose, confirm and start something."""
        name = await self.propose(plan, by=by)
        await self.operations.confirm(name, by=by)
        await self.settle()
        return name

    async def settle(self) -> None:
        """Do what is due at this moment."""
        for _ in range(20):
            wait = await self.operations.step()
            if wait is None or wait > timedelta(0):
                return
        raise AssertionError("the loop does not come to rest")

    async def later(self, by: timedelta = timedelta(seconds=5)) -> None:
        self.clock.advance(by)
        await self.settle()

    async def get(self, name: OperationId) -> Operation:
        return await self.operations.get(name)

    async def state(self, name: OperationId) -> State:
        return (await self.get(name)).state

    async def card(self, name: OperationId, channel: int = GITOPS):
        async with self.database.reading() as tx:
            return await find_card(tx, OPERATION, name, channel)

    async def entries(self, name: OperationId | None = None):
        """The journal about an operation, oldest first."""
        async with self.database.reading() as tx:
            listed = await self.journal.list_entries(tx, limit=1000)
        return [each.entry for each in reversed(listed) if name in {None, each.entry.operation}]

    async def _look_up(self, actor):
        if actor.id in self.gone:
            return None
        roles = self.roles_now.get(actor.id)
        return actor if roles is None else a_person(actor.name, user=actor.id, roles=roles)

    def _make_id(self) -> OperationId:
        self.made += 1
        return OperationId(f"00000000-0000-4000-8000-{self.made:012}")

    def _wake(self) -> None:
        self.woken += 1


async def open_operating(database: Database) -> Operating:
    epoch = await Leadership(database, "test").acquire()
    return Operating(database.under(epoch))
