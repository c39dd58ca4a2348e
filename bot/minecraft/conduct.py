"""Starting and stopping servers by the number of their replicas, as operations."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.durations import spoken_duration
from bot.core.errors import ConflictError, InvalidError, MachineError
from bot.database.engine import Database
from bot.minecraft.cluster import MinecraftCluster
from bot.minecraft.console import SAVE, say_command
from bot.minecraft.discovery import Manager, Workload
from bot.minecraft.model import Stop
from bot.minecraft.polling import Polling
from bot.minecraft.rcon import Consoles
from bot.operations.model import Operation, OperationId, Progress, State

START: Final = "minecraft.start"
STOP: Final = "minecraft.stop"
LONGEST_START: Final = timedelta(minutes=15)
LONGEST_STOP: Final = timedelta(minutes=10)
_FAREWELL: Final = "This server stops now."

log = structlog.get_logger(__name__)


class _Scaling:
    """What starting and stopping have in common."""

    replicas: int

    def __init__(self, database: Database, cluster: MinecraftCluster, polling: Polling, clock: Clock) -> None:
        """Take the leading database, the cluster and who asks the servers."""
        self._database = database
        self._cluster = cluster
        self._polling = polling
        self._clock = clock

    async def has_begun(self, operation: Operation) -> bool:
        """Look whether the workload carries the operation's id."""
        return (await self._workload(operation)).operation == operation.id

    async def act(self, operation: Operation, what: str, *, by: Actor) -> None:
        """Refuse: what was begun goes on."""
        del operation, what, by
        raise InvalidError("It cannot be ended early.")

    async def _workload(self, operation: Operation) -> Workload:
        request = operation.plan.request
        return await self._cluster.read_workload(request["kind"], request["namespace"], request["name"])

    async def _scale(self, operation: Operation, workload: Workload) -> None:
        refuse_if_undone(await self._cluster.find_manager(workload))
        await self._cluster.scale(workload, self.replicas, operation=operation.id)

    async def _note(self, operation: Operation, stop: Stop | None) -> None:
        async with self._database.transaction() as tx:
            await self._polling.note_stop(tx, operation.plan.request["server"], stop)

    def _age(self, operation: Operation) -> timedelta:
        return self._clock.now() - (operation.started_at or operation.asked_at)


class Starting(_Scaling):
    """Starts a server; done when it answers pings."""

    replicas = 1

    async def start(self, operation: Operation) -> None:
        """Have one replica run."""
        workload = await self._workload(operation)
        if workload.operation == operation.id:
            return
        await self._scale(operation, workload)
        self._polling.note_start(operation.plan.request["server"], goes_on=True)
        await self._note(operation, None)

    async def observe(self, operation: Operation) -> Progress:
        """Look at the workload, and whether the server answers."""
        progress = await self._look(operation)
        goes_on = not progress.state.is_final
        self._polling.note_start(operation.plan.request["server"], goes_on=goes_on)
        return progress

    async def _look(self, operation: Operation) -> Progress:
        workload, age = await self._workload(operation), self._age(operation)
        if workload.operation != operation.id:
            return Progress(state=State.SUPERSEDED, outcome="Somebody else has scaled it meanwhile.")
        standing = self._polling.standings.get(operation.plan.request["server"])
        begun = operation.accepted_at or operation.started_at
        if standing is not None and standing.is_up and _is_fresh(standing.checked_at, begun):
            return Progress(
                state=State.SUCCEEDED, fraction=1, outcome=f"It answers after {spoken_duration(age)}."
            )
        if age > LONGEST_START:
            why = standing.trouble.sentence if standing is not None and standing.trouble is not None else ""
            outcome = f"It does not answer after {spoken_duration(age)}. {why}".strip()
            return Progress(state=State.FAILED, outcome=outcome)
        if workload.wanted == 0:
            return Progress(state=State.FAILED, outcome="Its replicas were set back to 0.")
        ready = workload.ready >= workload.wanted
        if ready and not self._polling.can_be_asked(operation.plan.request["server"]):
            outcome = f"Its pod is ready after {spoken_duration(age)}. Whether it answers cannot be asked."
            return Progress(state=State.SUCCEEDED, fraction=1, outcome=outcome)
        return Progress(
            state=State.PROGRESSING,
            fraction=0.66 if ready else 0.33,
            step="waiting for an answer" if ready else "waiting for the pod",
            counts=f"{workload.ready} of {workload.wanted} pods ready",
        )


class Stopping(_Scaling):
    """Stops a server: a word in the game and a save first; done when no pod is left.

    A Deployment does not count pods that end, and a world may be saved for a minute then.
    """

    replicas = 0

    def __init__(
        self,
        database: Database,
        cluster: MinecraftCluster,
        polling: Polling,
        clock: Clock,
        *,
        consoles: Callable[[], Consoles],
    ) -> None:
        """Take what starting takes, and the consoles."""
        super().__init__(database, cluster, polling, clock)
        self._consoles = consoles
        self._unsaved: dict[OperationId, str] = {}
        """Why something was stopped without a word and a save, until the first look remembers it."""

    async def start(self, operation: Operation) -> None:
        """Say it in the game, save, and have no replica run.

        Raises:
            ConflictError: Somebody plays whom the asker did not know of.
        """
        workload, request = await self._workload(operation), operation.plan.request
        if workload.operation == operation.id:
            return
        standing = self._polling.standings.get(request["server"])
        if standing is not None and standing.players and not request["force"]:
            raise ConflictError("Somebody has joined meanwhile. Ask again to stop it all the same.")
        refuse_if_undone(await self._cluster.find_manager(workload))
        # Noted before: nobody is to be called because of what was wanted.
        await self._note(operation, Stop(by_id=operation.asked_by.id, at=self._clock.now()))
        if problem := await self._say_farewell(request["server"]):
            self._unsaved[operation.id] = f"It was not saved before it was stopped: {problem}"
        await self._scale(operation, workload)

    async def observe(self, operation: Operation) -> Progress:
        """Look whether anything is left of it."""
        progress = await self._look(operation)
        unsaved = self._unsaved.pop(operation.id, operation.memory.get("unsaved", ""))
        if not unsaved:
            return progress
        if progress.state.is_final:
            return replace(progress, outcome=f"{progress.outcome} {unsaved}")
        return replace(progress, body=(unsaved,), memory={"unsaved": unsaved})

    async def _look(self, operation: Operation) -> Progress:
        workload, age = await self._workload(operation), self._age(operation)
        if workload.operation != operation.id:
            return Progress(state=State.SUPERSEDED, outcome="Somebody else has scaled it meanwhile.")
        if workload.wanted:
            await self._note(operation, None)
            return Progress(state=State.FAILED, outcome="Its replicas were set back.")
        pods = self._cluster.list_pods(workload)
        if workload.current == 0 and not pods:
            return Progress(
                state=State.SUCCEEDED, fraction=1, outcome=f"It is off after {spoken_duration(age)}."
            )
        if age > LONGEST_STOP:
            return Progress(state=State.FAILED, outcome=f"Its pod is there after {spoken_duration(age)}.")
        return Progress(state=State.PROGRESSING, fraction=0.5, step="waiting for the pod to end")

    async def _say_farewell(self, server: str) -> str:
        """Say it and save; return why that did not work where it should have."""
        console = self._consoles().find(server)
        if console is None:
            return ""
        try:
            await console.run(say_command(_FAREWELL))
            await console.run(SAVE)
        except MachineError as error:
            # A server that hangs is stopped because it hangs; it saves by itself as it ends, if it can.
            log.warning("minecraft_farewell_failed", server=server, why=str(error))
            return str(error)
        return ""


def refuse_if_undone(manager: Manager | None) -> None:
    """Refuse what would be in vain.

    Raises:
        ConflictError: Argo CD would undo it; the text says what to do about that.
    """
    if manager is not None and manager.undoes:
        raise ConflictError(
            f"Argo CD would undo it: `{manager.name}` heals itself and does not ignore `/spec/replicas`. "
            "Change the number of replicas in Git, or add it to `ignoreDifferences`."
        )


def _is_fresh(checked_at: datetime, begun: datetime | None) -> bool:
    return begun is None or checked_at > begun
