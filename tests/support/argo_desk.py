"""People who ask Argo CD for something through the bot: everything real but Discord and Argo CD itself.

The cluster and its controller outlive every restart of the bot.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp

from bot.access.model import Grant, Policy
from bot.access.service import Access
from bot.argocd.cluster import ArgoCluster
from bot.argocd.guard import Pod
from bot.argocd.server import ArgoServer
from bot.argocd.service import ArgoCd
from bot.argocd.settings import ArgoServerSettings, ArgoSettings
from bot.cards.store import Cards
from bot.core.actor import Actor
from bot.core.tasks import running
from bot.database.engine import Database
from bot.database.leadership import Leadership
from bot.demo.cluster.applications import REFRESH, a_project, an_application
from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.repositories import Piece
from bot.demo.cluster.server import ApiServer
from bot.demo.cluster.store import Key
from bot.journal.model import Entry
from bot.journal.service import Journal
from bot.operations.model import Operation, OperationId, OperationPolicy, State
from bot.operations.service import Operations
from tests.support.clock import ManualClock
from tests.support.kube import a_client
from tests.support.people import a_person

REPO = "https://git.example.org/platform.git"
OPERATORS = "900"
CHANNEL, GITOPS, GUILD = 301, 302, 555
ADA = a_person("Ada", user="1", roles=[OPERATORS])
BOB = a_person("Bob", user="2", roles=[OPERATORS])
EVE = a_person("Eve", user="4")
WEB = Piece(kind="Deployment", name="web", image="shop:1")
CONFIG = Piece(kind="ConfigMap", name="config", content="1")
POD = Pod("the-machine", "the-machine-7d9c5b8f66-abcde")
"""Where the bot runs, in a Deployment that no Application has unless a test adds it."""

_MARKER = "marker"
_STEP = timedelta(seconds=2)


class Stage:
    """The cluster and what Argo CD does in it."""

    step_length = _STEP

    def __init__(self, server: ApiServer, clock: ManualClock) -> None:
        self.server = server
        self.clock = clock
        self.controller = ArgoController(server)
        server.put("Namespace", {"metadata": {"name": "argocd"}})
        server.put("AppProject", a_project())
        self.configure()

    def commit(self, *pieces: Piece, app: str = "shop", message: str = "Change something") -> str:
        return self.controller.repositories.commit(REPO, f"apps/{app}", pieces, message=message)

    def put(self, name: str = "shop", **options: Any) -> None:
        self.server.put("Application", an_application(name, **options))

    def configure(self, **data: str) -> None:
        """Write Argo CD's own configuration."""
        body = {"metadata": {"name": "argocd-cm", "namespace": "argocd"}, "data": data}
        self.server.put("ConfigMap", body)

    def app(self, name: str = "shop", namespace: str = "argocd") -> dict[str, Any]:
        return self.server.get("Application", namespace, name)

    def state(self, name: str = "shop") -> dict[str, Any]:
        return self.app(name).get("status", {}).get("operationState") or {}

    def patch(self, body: dict[str, Any], name: str = "shop") -> None:
        self.server.patch("Application", "argocd", name, body)

    async def step(self, times: int = 1) -> None:
        """Have the controller look at everything, so many times."""
        for _ in range(times):
            self.clock.advance(_STEP)
            await self.controller.step()

    def sync_by(self, user: str = "admin", *, name: str = "shop", **sync: Any) -> None:
        """Have somebody else begin a sync."""
        operation = {"initiatedBy": {"username": user}, "sync": {"syncStrategy": {"hook": {}}, **sync}}
        self.patch({"operation": None}, name)
        self.patch({"operation": operation, "status": {"operationState": None}}, name)

    async def deployed(self, *pieces: Piece, name: str = "shop", **options: Any) -> str:
        """Have an Application deployed by somebody, synced and healthy; returns the revision."""
        revision = self.commit(*(pieces or (WEB, CONFIG)), app=name, message="Begin")
        self.put(name, **options)
        await self.step()
        if "operation" not in self.app(name):
            self.sync_by(name=name)
        for _ in range(30):
            await self.step()
            app = self.app(name)
            if "operation" not in app and app["status"]["health"]["status"] == "Healthy":
                return revision
        raise AssertionError(self.app(name)["status"])

    @asynccontextmanager
    async def running(self, *, swallow_first: bool = False) -> AsyncIterator[None]:
        """Have the controller look again and again, in real time, as it does while somebody waits."""

        async def work() -> None:
            if swallow_first:
                await self._swallow()
            while True:
                await self.controller.step()
                await asyncio.sleep(0.005)

        async with running([work()]):
            yield

    @asynccontextmanager
    async def comparing(self) -> AsyncIterator[None]:
        """Have the controller compare what it is asked to, and do nothing else."""

        async def work() -> None:
            while True:
                for app in self.server.objects("Application"):
                    key = Key(app["metadata"]["namespace"], app["metadata"]["name"])
                    if (
                        REFRESH in app["metadata"].get("annotations", {})
                        and key not in self.controller.ignored
                    ):
                        self.controller.refresher.refresh(key)
                await asyncio.sleep(0.002)

        async with running([work()]):
            yield

    async def _swallow(self) -> None:
        """Take the next request for a refresh away with a comparison that had begun before it."""
        while True:
            for app in self.server.objects("Application"):
                if REFRESH in app["metadata"].get("annotations", {}):
                    self.patch({"metadata": {"annotations": {REFRESH: None}}}, app["metadata"]["name"])
                    return
            await asyncio.sleep(0.002)

    def events(self) -> list[dict[str, Any]]:
        return list(self.server.objects("Event"))


@dataclass
class Desk:
    """One process of the bot."""

    stage: Stage
    database: Database
    folder: Path
    settings: ArgoSettings = field(default_factory=lambda: ArgoSettings(write=True))
    policy: Policy | None = None
    namespaces: tuple[str, ...] = ("argocd",)
    pod: Pod | None = POD
    watches: bool = True
    waits_for: timedelta = timedelta(seconds=5)
    operating: OperationPolicy = field(default_factory=lambda: OperationPolicy(channel_id=GITOPS))
    made: list[int] = field(default_factory=lambda: [0])

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self.clock = self.stage.clock
        epoch = await Leadership(self.database, "test").acquire()
        leading = self.database.under(epoch)
        self.access = Access(self.policy or a_policy(), self.clock)
        self.journal = Journal(self.clock)
        self.cards = Cards(self.clock)
        self.kube = await self._stack.enter_async_context(
            a_client(self.stage.server, self.folder, self.clock)
        )
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        self.argo = ArgoCluster(self.kube, self.namespaces, self.clock)
        self.server = ArgoServer(lambda: self.settings.server, session, self.clock)
        self.operations = Operations(
            leading,
            self.access,
            self.cards,
            self.journal,
            clock=self.clock,
            policy=lambda: self.operating,
            guild=lambda: GUILD,
            make_id=self._make_id,
        )
        self.leading = leading
        self.argocd = ArgoCd(
            leading,
            self.access,
            self.journal,
            self.operations,
            argo=self.argo,
            server=self.server,
            clock=self.clock,
            settings=lambda: self.settings,
            pod=self.pod,
            waits_for=self.waits_for,
            looks_every=timedelta(milliseconds=20),
        )
        self._marks: asyncio.Queue[bool] = asyncio.Queue()
        self.argo.applications.on_change(self._note)
        if self.watches:
            await self._stack.enter_async_context(running(loop.run() for loop in self.argo.loops))
            await self.until(
                lambda: (
                    self.argo.applications.has_synced
                    and self.argo.projects.has_synced
                    and self.argo.sets.has_synced
                )
            )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def restarted(self, **changes: Any) -> "Desk":
        """Return another process over the same database and cluster; still to be entered."""
        kept = {
            "settings": self.settings,
            "policy": self.policy,
            "namespaces": self.namespaces,
            "pod": self.pod,
            "watches": self.watches,
            "made": self.made,
        }
        return Desk(self.stage, self.database, self.folder, **{**kept, **changes})

    def _make_id(self) -> OperationId:
        self.made[0] += 1
        return OperationId(f"00000000-0000-4000-8000-{self.made[0]:012}")

    def _note(self, key: Any, old: Any, new: Any) -> None:
        del old
        if key.name == _MARKER and new is None:
            self._marks.put_nowait(True)

    async def until(self, condition: Any, *, within: float = 5.0) -> None:
        """Wait for what nobody tells of."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 (that is the point)
                await asyncio.sleep(0.002)

    async def catch_up(self) -> None:
        """Wait until the watch of Applications has seen everything that was written so far."""
        self.stage.server.put("Application", an_application(_MARKER, namespace=self.argo.home))
        self.stage.server.patch("Application", self.argo.home, _MARKER, {"metadata": {"finalizers": None}})
        self.stage.server.delete("Application", self.argo.home, _MARKER)
        async with asyncio.timeout(5):
            await self._marks.get()

    async def settle(self) -> None:
        """Do what is due at this moment."""
        for _ in range(30):
            wait = await self.operations.step()
            if wait is None or wait > timedelta(0):
                return
        raise AssertionError("the loop does not come to rest")

    async def later(self, by: timedelta = timedelta(seconds=5)) -> None:
        self.clock.advance(by)
        await self.settle()

    async def step(self, times: int = 1) -> None:
        """Have the controller and then the bot look, so many times."""
        for _ in range(times):
            await self.stage.step()
            if self.watches:
                await self.catch_up()
            self.operations.wake()
            await self.settle()

    async def until_over(self, name: OperationId, *, most: int = 60) -> Operation:
        for _ in range(most):
            await self.step()
            operation = await self.get(name)
            if operation.state.is_final:
                return operation
        raise AssertionError(await self.get(name))

    async def sync(self, name: str = "shop", *, by: Actor = ADA, **wanted: Any) -> OperationId:
        """Ask for a sync, confirm it and have it begin."""
        return await self.confirm(await self.propose(name, by=by, **wanted), by=by)

    async def propose(self, name: str = "shop", *, by: Actor = ADA, **wanted: Any) -> Operation:
        """Ask for a sync, while Argo CD looks at what it is asked to compare."""
        async with self.stage.comparing():
            return await self.argocd.propose_sync(name, by=by, channel_id=CHANNEL, **wanted)

    async def confirm(self, operation: Operation, *, by: Actor = ADA) -> OperationId:
        await self.operations.confirm(operation.id, by=by)
        await self.settle()
        return operation.id

    async def get(self, name: OperationId) -> Operation:
        return await self.operations.get(name)

    async def state(self, name: OperationId) -> State:
        return (await self.get(name)).state

    async def entries(self) -> list[Entry]:
        """The journal, oldest first."""
        async with self.leading.reading() as tx:
            listed = await self.journal.list_entries(tx, limit=1000)
        return [each.entry for each in reversed(listed)]


def a_policy(**values: Any) -> Policy:
    grant = {"name": "operators", "roles": frozenset({OPERATORS}), "may": ("argocd:*",)}
    return Policy((Grant(**{**grant, **values}),))


def server_settings(url: str, token: str) -> ArgoSettings:
    return ArgoSettings(write=True, server=ArgoServerSettings.model_validate({"url": url, "token": token}))
