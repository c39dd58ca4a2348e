"""Runs the servers as the cluster wants them: a pod is made, a world is loaded, then it answers."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from bot.demo.cluster.server import ApiServer
from bot.demo.configuration import HOST
from bot.demo.minecraft.console import ConsolePort
from bot.demo.minecraft.game import Game
from bot.demo.minecraft.status import StatusPort

NAMESPACE: Final = "games"
CREATING_SECONDS: Final = 4.0
"""From a replica that is wanted to a pod that is ready."""
LOADING_SECONDS: Final = 5.0
"""From a pod that is ready to a server that answers."""
ENDING_SECONDS: Final = 3.0
_LOOK_EVERY_SECONDS: Final = 0.25
_LIVE_EVERY_SECONDS: Final = 9.0
_PING: Final = "the-machine.dev/minecraft-ping"
_SHOWN: Final = "the-machine.dev/minecraft-address"


@dataclass
class Place:
    """Where a game runs: what the cluster knows of it, and its ports."""

    game: Game
    kind: str
    status: StatusPort = field(init=False)
    console: ConsolePort = field(init=False)
    runs: bool = False

    def __post_init__(self) -> None:
        """Make its ports; they are not open yet."""
        self.status, self.console = StatusPort(self.game), ConsolePort(self.game)

    @property
    def pod(self) -> str:
        """The name of its pod."""
        return f"{self.game.name}-{'0' if self.kind == 'StatefulSet' else '6d5f8c7b9-k2v4x'}"


class Host:
    """The node on which the servers run."""

    def __init__(self, cluster: ApiServer, *, pace: float = 1.0) -> None:
        """Take the cluster that says what is to run; at a pace of 2 everything takes twice as long."""
        self._cluster = cluster
        self._pace = pace
        self._places: list[Place] = []

    async def put(self, game: Game, *, kind: str, runs: bool) -> Place:
        """Make what runs a game; one that runs does so from the start."""
        place = Place(game, kind)
        await place.status.open()
        await place.console.open()
        labels = {"app": game.name}
        workload = {
            "metadata": {"name": game.name, "namespace": NAMESPACE},
            "spec": {
                "replicas": int(runs),
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "minecraft", "image": "itzg/minecraft-server"}]},
                },
                **({"serviceName": game.name} if kind == "StatefulSet" else {}),
            },
        }
        self._cluster.put(kind, workload)
        self._places.append(place)
        if runs:
            place.runs, game.is_ready = True, True
            game.fill()
            self._show_pod(place, is_ready=True)
            self._count(place, there=1, ready=1)
        else:
            place.status.close()
            place.console.close()
        return place

    def expose(self, place: Place) -> None:
        """Make a Service, by which a server is found; it says where to ask from outside of the cluster."""
        name = place.game.name
        notes = {_PING: f"{HOST}:{place.status.port}", _SHOWN: f"{name}.example.org"}
        spec = {"selector": {"app": name}, "ports": [{"name": "minecraft", "port": 25565}]}
        about = {"name": name, "namespace": NAMESPACE, "annotations": notes}
        self._cluster.put("Service", {"metadata": about, "spec": spec})

    def close(self) -> None:
        """Close every port."""
        for place in self._places:
            place.status.close()
            place.console.close()

    async def run(self) -> None:
        """Keep to what the cluster wants, and have people come and go, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for place in self._places:
                group.create_task(self._keep(place), name=f"host of {place.game.name}")
                group.create_task(_live(place.game), name=f"players of {place.game.name}")

    async def _keep(self, place: Place) -> NoReturn:
        while True:
            wanted = self._cluster.get(place.kind, NAMESPACE, place.game.name)["spec"].get("replicas", 1) > 0
            if wanted and not place.runs:
                await self._start(place)
            elif place.runs and not wanted:
                await self._stop(place)
            await asyncio.sleep(_LOOK_EVERY_SECONDS * self._pace)

    async def _start(self, place: Place) -> None:
        place.runs = True
        self._show_pod(place, is_ready=False)
        self._count(place, there=1, ready=0)
        await asyncio.sleep(CREATING_SECONDS * self._pace)
        await place.status.open()
        await place.console.open()
        self._show_pod(place, is_ready=True)
        self._count(place, there=1, ready=1)
        await asyncio.sleep(LOADING_SECONDS * self._pace)
        place.game.is_ready = True

    async def _stop(self, place: Place) -> None:
        place.runs = False
        place.game.stop()
        place.status.close()
        place.console.close()
        self._count(place, there=1, ready=0)
        await asyncio.sleep(ENDING_SECONDS * self._pace)
        self._cluster.delete("Pod", NAMESPACE, place.pod)
        self._count(place, there=0, ready=0)

    def _count(self, place: Place, *, there: int, ready: int) -> None:
        status = {"status": {"replicas": there, "readyReplicas": ready}}
        self._cluster.patch(place.kind, NAMESPACE, place.game.name, status)

    def _show_pod(self, place: Place, *, is_ready: bool) -> None:
        waiting: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        state = {"running": {}} if is_ready else waiting
        pod = {
            "metadata": {"name": place.pod, "namespace": NAMESPACE, "labels": {"app": place.game.name}},
            "spec": {"containers": [{"name": "minecraft", "image": "itzg/minecraft-server"}]},
            "status": {
                "phase": "Running" if is_ready else "Pending",
                "podIP": HOST,
                "conditions": [{"type": "Ready", "status": str(is_ready)}],
                "containerStatuses": [{"name": "minecraft", "restartCount": 0, "state": state}],
            },
        }
        self._cluster.put("Pod", pod)


async def _live(game: Game) -> NoReturn:
    while True:
        await asyncio.sleep(_LIVE_EVERY_SECONDS)
        if game.is_ready:
            game.live()
