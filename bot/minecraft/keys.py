"""The keys to start and stop servers: what the one who asks sees before it happens."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from bot.chat.text import code, escape
from bot.core.actor import Actor
from bot.core.errors import ConflictError, InvalidError
from bot.minecraft.card.parts import counted, listed
from bot.minecraft.cluster import MinecraftCluster
from bot.minecraft.conduct import START, STOP, refuse_if_undone
from bot.minecraft.discovery import Manager, Workload
from bot.minecraft.model import View
from bot.minecraft.rcon import Consoles
from bot.minecraft.service import Door
from bot.operations.model import Operation, Plan
from bot.operations.service import Operations

MAY_START: Final = "minecraft:start"
MAY_STOP: Final = "minecraft:stop"
_NAMES: Final = 300


class Keys:
    """Offers starting and stopping as operations."""

    def __init__(
        self,
        door: Door,
        operations: Operations,
        consoles: Consoles,
        *,
        cluster: Callable[[], MinecraftCluster | None],
        workload: Callable[[str], Workload | None],
        is_allowed: Callable[[], bool],
    ) -> None:
        """Take who lets people in, what runs each server, and whether anything may be changed at all."""
        self._door = door
        self._operations = operations
        self._consoles = consoles
        self._cluster = cluster
        self._workload = workload
        self._is_allowed = is_allowed

    async def propose_start(self, name: str, *, by: Actor, channel_id: int) -> Operation:
        """Return what starting a server would do, to be confirmed.

        Raises:
            ConflictError: It is to run already, or Argo CD would undo it.
            InvalidError: It does not run where we can start it.
        """
        view = await self._door.enter(name, MAY_START, by=by)
        workload, manager = await self._changeable(view)
        if not workload.is_stopped:
            raise ConflictError(f"{view.server.name} is to run already: it has {_replicas(workload.wanted)}.")
        lines = [*_start_lines(workload), *_doubts(manager)]
        plan = _plan(START, MAY_START, view, workload, lines, to=1)
        return await self._operations.propose(plan, by=by, channel_id=channel_id)

    async def propose_stop(self, name: str, *, by: Actor, channel_id: int) -> Operation:
        """Return what stopping a server would do, and to whom.

        Raises:
            ConflictError: It is off already, or Argo CD would undo it.
            InvalidError: It does not run where we can stop it.
        """
        view = await self._door.enter(name, MAY_STOP, by=by)
        workload, manager = await self._changeable(view)
        if workload.is_stopped:
            raise ConflictError(f"{view.server.name} is stopped already.")
        has_console = self._consoles.find(view.server.name) is not None
        lines = [*_stop_lines(view, workload, has_console=has_console), *_doubts(manager)]
        plan = _plan(STOP, MAY_STOP, view, workload, lines, to=0)
        return await self._operations.propose(plan, by=by, channel_id=channel_id)

    async def _changeable(self, view: View) -> tuple[Workload, Manager | None]:
        name, cluster, known = view.server.name, self._cluster(), self._workload(view.server.name)
        if not self._is_allowed():
            raise InvalidError("Starting and stopping servers is switched off (`minecraft.write`).")
        if cluster is None or known is None:
            raise InvalidError(f"{name} does not run where it could be started or stopped from here.")
        workload = await cluster.read_workload(known.kind, known.namespace, known.name)
        manager = await cluster.find_manager(workload)
        refuse_if_undone(manager)
        return workload, manager


def _plan(kind: str, action: str, view: View, workload: Workload, lines: Iterable[str], *, to: int) -> Plan:
    verb, doing, done = ("Start", "Starting", "Started") if to else ("Stop", "Stopping", "Stopped")
    name = view.server.name
    return Plan(
        kind=kind,
        action=action,
        targets=view.server.targets,
        subject=view.server.target,
        title=f"{verb} {name}",
        doing=f"{doing} {name}",
        done=f"{done} {name}",
        system="Kubernetes",
        place=f"{workload.namespace} / {workload.name}",
        body=tuple(lines),
        request={
            "server": name,
            "kind": workload.kind,
            "namespace": workload.namespace,
            "name": workload.name,
            "force": bool(view.standing is not None and view.standing.players),
        },
        namespace=workload.namespace,
        noted={"from": _replicas(workload.wanted), "to": _replicas(to)},
        cancel_label="",
        stays_here=True,
    )


def _start_lines(workload: Workload) -> Iterator[str]:
    yield f"{_what(workload)}  {_replicas(workload.wanted)} → **{_replicas(1)}**"
    yield "It is started when it answers."


def _stop_lines(view: View, workload: Workload, *, has_console: bool) -> Iterator[str]:
    yield f"{_what(workload)}  {_replicas(workload.wanted)} → **{_replicas(0)}**"
    standing = view.standing
    if standing is not None and standing.players:
        names = listed(standing.answer.names, _NAMES, standing.players) if standing.answer is not None else ""
        who = f": {names}" if names else ""
        yield f"**{counted(standing.players, 'player')} will be thrown out**{who}"
    elif standing is not None and standing.answer is not None and standing.answer.hides_players:
        yield "It does not say whether somebody plays who would be thrown out."
    if has_console:
        yield "First it is said in the game and the world is saved."
    else:
        yield "Nobody is told in the game, for no console is configured; it saves as it ends."


def _doubts(manager: Manager | None) -> Iterator[str]:
    """Say so where nobody can tell whether it will last."""
    if manager is not None and manager.undoes is None:
        yield (
            f"Argo CD may undo it: whether {code(manager.name)} heals itself cannot be seen from here, "
            "for Applications may not be read."
        )


def _what(workload: Workload) -> str:
    return f"{escape(workload.kind)} {code(workload.name)}"


def _replicas(number: int) -> str:
    return "1 replica" if number == 1 else f"{number} replicas"
