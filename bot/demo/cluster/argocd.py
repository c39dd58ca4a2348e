"""A controller that does to Applications what Argo CD's does, phase by phase and trap by trap.

What it deploys is made up: `repositories` say what each commit wants to run and
how that behaves. Tests step it; the demo runs its loop.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from bot.core.loops import Loop
from bot.demo.cluster.applications import (
    FINALIZER,
    HYDRATE,
    REFRESH,
    SET_REFRESH,
    SKIP_RECONCILE,
    TRACKING_ID,
)
from bot.demo.cluster.failures import Json
from bot.demo.cluster.live import Live, Running
from bot.demo.cluster.objects import Objects
from bot.demo.cluster.operating import Operator
from bot.demo.cluster.refreshing import Refresher
from bot.demo.cluster.repositories import Repositories
from bot.demo.cluster.store import Key
from bot.demo.cluster.world import World

PASS = timedelta(seconds=2)
"""The least that passes between two waves of a real one."""
_AT_A_TIME = 10


class ArgoController:
    """Watches over all Applications of a cluster."""

    def __init__(self, cluster: Objects, *, control_plane: str = "argocd", pace: timedelta = PASS) -> None:
        """Take the cluster, and how long each step rests when the loop is run."""
        self._cluster = cluster
        self._pace = pace
        self._world = World(cluster, control_plane)
        self.refresher = Refresher(self._world)
        self._operator = Operator(self._world, self.refresher)
        self.ignored: set[Key] = set()
        """Applications that no controller feels responsible for."""

    @property
    def repositories(self) -> Repositories:
        """What there is to deploy."""
        return self._world.repositories

    def running(self, namespace: str, name: str) -> Running:
        """Return what runs for an Application, to be looked at or broken."""
        return self._world.running(Key(namespace, name))

    def drift(self, namespace: str, name: str, resource: str) -> None:
        """Have somebody change a resource of an Application by hand."""
        self._live(namespace, name, resource).drifted = True

    def break_down(self, namespace: str, name: str, resource: str, *, broken: bool = True) -> None:
        """Have a resource of an Application become unhealthy by itself, or well again."""
        self._live(namespace, name, resource).broken = broken

    async def step(self) -> timedelta:
        """Make one pass over every Application and every set; returns how long to rest."""
        for place, app in enumerate(self._cluster.objects("Application")):
            if place % _AT_A_TIME == 0:
                # Whoever shares the event loop must not wait for all of them.
                await asyncio.sleep(0)
            if self._cluster.find("Application", app["metadata"]["namespace"], app["metadata"]["name"]):
                self.step_one(app["metadata"]["namespace"], app["metadata"]["name"])
        for owner in self._cluster.objects("ApplicationSet"):
            self._reconcile_set(owner)
        return self._pace

    def step_one(self, namespace: str, name: str) -> None:
        """Make one pass over one Application."""
        key = Key(namespace, name)
        app = self._cluster.get("Application", *key)
        if key in self.ignored or app["metadata"].get("annotations", {}).get(SKIP_RECONCILE) == "true":
            return
        if "deletionTimestamp" in app["metadata"]:
            self._let_go(key, app)
            return
        self._world.running(key).tick()
        # A sync is compared with what it should have done by the pass after its last.
        self.refresher.refresh(key)
        self.refresher.sync_automatically(key)
        app = self._cluster.get("Application", *key)
        if "operation" in app:
            self._operator.advance(key, app)

    @contextmanager
    def pass_in_flight(self, namespace: str, name: str, *, reads_again: bool = False) -> Iterator[None]:
        """Make one pass of a sync that has read the Application before the body, and writes after it.

        A real one reads again before it writes that it runs; what happens after
        that, it does not see.
        """
        key = Key(namespace, name)
        app = self._cluster.get("Application", *key)
        state = self._operator.begin(key, app)
        yield
        self._operator.end(key, app, state, reads_again=reads_again)

    def loop(self) -> Loop:
        """Return what runs it in the demo."""
        return Loop("argocd_controller", self.step)

    def _live(self, namespace: str, name: str, resource: str) -> Live:
        for key, live in self.running(namespace, name).resources.items():
            if key.name == resource:
                return live
        raise KeyError(f"Nothing called {resource} runs for {namespace}/{name}.")

    def _let_go(self, key: Key, app: Json) -> None:
        left = [name for name in app["metadata"].get("finalizers", ()) if name != FINALIZER]
        self._world.forget(key)
        self._cluster.patch("Application", *key, {"metadata": {"finalizers": left or None}})

    def _reconcile_set(self, owner: Json) -> None:
        """Take what a generated Application should not carry; a refresh that was asked for is done then."""
        metadata = owner["metadata"]
        template = owner["spec"]["template"]["metadata"].get("annotations", {})
        kept = {REFRESH, HYDRATE, TRACKING_ID, *template}
        for app in self._cluster.objects("Application", metadata["namespace"]):
            owners = app["metadata"].get("ownerReferences", ())
            if not any(one["kind"] == "ApplicationSet" and one["name"] == metadata["name"] for one in owners):
                continue
            stray = [
                name
                for name in app["metadata"].get("annotations", {})
                if name not in kept and not name.startswith("notified.notifications.argoproj.io")
            ]
            if stray:
                patch = {"metadata": {"annotations": dict.fromkeys(stray)}}
                self._cluster.patch("Application", metadata["namespace"], app["metadata"]["name"], patch)
        if SET_REFRESH in metadata.get("annotations", {}):
            patch = {"metadata": {"annotations": {SET_REFRESH: None}}}
            self._cluster.patch("ApplicationSet", metadata["namespace"], metadata["name"], patch)
