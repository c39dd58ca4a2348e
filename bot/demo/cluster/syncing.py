"""One pass of a sync, as Argo CD's engine makes it: it does what it can, and says what it waits for."""

from collections.abc import Callable, Sequence

from bot.demo.cluster.failures import Json
from bot.demo.cluster.live import DEGRADED, HEALTHY, Live, Running
from bot.demo.cluster.repositories import ResourceKey
from bot.demo.cluster.tasks import SyncOptions, Task, differs

RUNNING, TERMINATING = "Running", "Terminating"
SUCCEEDED, FAILED, ERROR = "Succeeded", "Failed", "Error"
OVER = frozenset({SUCCEEDED, FAILED, ERROR})


class SyncPass:
    """One pass over the tasks of a sync; its outcome is in `phase`, `message` and `results`."""

    def __init__(
        self,
        tasks: Sequence[Task],
        running: Running,
        options: SyncOptions,
        results: Sequence[Json],
        *,
        confirmed: bool,
        apply: Callable[[Task], str],
    ) -> None:
        """Take what there is to do and the results of the passes before.

        `confirmed` says that somebody allowed the pruning that needs it; `apply`
        does a task that is neither refused nor a pruning, and tells what it did.
        """
        self.phase = RUNNING
        self.message = "one or more tasks are running"
        self._tasks = list(tasks)
        self._running = running
        self._options = options
        self._confirmed = confirmed
        self._apply = apply
        self._results = {
            (_key_of(result), result.get("syncPhase", "Sync")): dict(result) for result in results
        }

    @property
    def results(self) -> list[Json]:
        """What became of each resource whose turn has come."""
        return list(self._results.values())

    def run(self) -> None:
        """Make the pass."""
        if not self._results and self._refused_in_dry_run():
            return
        if self._options.dry_run:
            self._try_everything()
            return
        self._look_after_those_under_way()
        ordinary = [task for task in self._tasks if task.phase != "SyncFail"]
        several_steps = len({task.step for task in ordinary}) > 1
        waited = [task for task in self._tasks if self._is_running(task) and (several_steps or task.is_hook)]
        if waited:
            self._wait_for(waited)
        elif any(self._phase_of(task) in {FAILED, ERROR} for task in ordinary):
            self._fail("one or more synchronization tasks completed unsuccessfully")
        else:
            self._take_next_step([task for task in ordinary if not self._result(task)])

    def terminate(self) -> None:
        """Stop: hooks that run are deleted, what is applied stays."""
        for task in self._tasks:
            if task.is_hook and self._is_running(task):
                self._running.hooks.pop(task.key, None)
                self._note(task, "", FAILED, "Terminated")
        self.phase, self.message = FAILED, "Operation terminated"

    def _refused_in_dry_run(self) -> bool:
        """Every sync begins with a dry run of everything; what can never be applied fails there."""
        refused = [task for task in self._tasks if task.piece.refused and task.piece.refusals is None]
        for task in refused:
            self._note(task, "SyncFailed", FAILED, task.piece.refused)
        if refused:
            self.phase, self.message = FAILED, "one or more objects failed to apply (dry run)"
        return bool(refused)

    def _try_everything(self) -> None:
        for task in self._tasks:
            if task.is_prune and not self._options.prune:
                self._note(task, "PruneSkipped", SUCCEEDED, "ignored (requires pruning)")
            elif task.is_prune:
                self._note(task, "Pruned", SUCCEEDED, "pruned (dry run)")
            elif not task.is_hook:
                self._note(task, "Synced", RUNNING, f"{_spoken(task)} configured (dry run)")
        self.phase, self.message = SUCCEEDED, "successfully synced (all tasks run)"

    def _look_after_those_under_way(self) -> None:
        for task in self._tasks:
            if not self._is_running(task):
                continue
            live = (self._running.hooks if task.is_hook else self._running.resources).get(task.key)
            if live is None:
                continue
            result = self._results[task.key, task.phase]
            phase, message = _phase_of_live(live, task)
            self._note(task, result["status"], phase, message or result["message"])

    def _take_next_step(self, pending: list[Task]) -> None:
        if "ApplyOutOfSyncOnly=true" in self._options.names:
            pending = [task for task in pending if differs(task, self._running)]
        if not pending:
            self.phase, self.message = SUCCEEDED, "successfully synced (no more tasks)"
            return
        step = pending[0].step
        turn = [task for task in pending if task.step == step]
        if unconfirmed := [task for task in turn if self._needs_confirmation(task)]:
            self._wait("pruning confirmation of", unconfirmed, "resources")
            return
        later = [task for task in pending if task.step != step or task.is_hook]
        for task in turn:
            self._do(task)
        if any(self._phase_of(task) == FAILED for task in turn):
            self._fail("one or more objects failed to apply")
        elif later:
            self._wait_for(later)
        else:
            # Even if what was applied is not healthy yet, or never will be.
            self.phase, self.message = SUCCEEDED, "successfully synced (all tasks run)"

    def _needs_confirmation(self, task: Task) -> bool:
        return task.is_prune and self._options.prune and task.piece.needs_confirmation and not self._confirmed

    def _do(self, task: Task) -> None:
        if task.is_prune:
            self._prune(task)
        elif refused := self._running.refuse(task.key, task.piece):
            self._note(task, "" if task.is_hook else "SyncFailed", FAILED, refused)
        else:
            self._note(task, "" if task.is_hook else "Synced", RUNNING, self._apply(task))

    def _prune(self, task: Task) -> None:
        if not self._options.prune:
            self._note(task, "PruneSkipped", SUCCEEDED, "ignored (requires pruning)")
            return
        self._running.resources.pop(task.key, None)
        self._note(task, "Pruned", SUCCEEDED, "pruned")

    def _fail(self, message: str) -> None:
        """End unsuccessfully, once the hooks for that have done their work."""
        hooks = [task for task in self._tasks if task.phase == "SyncFail"]
        for task in hooks:
            if not self._result(task):
                self._do(task)
        if any(self._is_running(task) for task in hooks):
            return
        reasons = [result["message"] for result in self.results if result["status"] == "SyncFailed"]
        self.phase = FAILED
        self.message = f"{message}, reason: {','.join(reasons)}" if reasons else message

    def _wait_for(self, tasks: list[Task]) -> None:
        if tasks[0].is_hook:
            self._wait("completion of hook", tasks, "hooks")
        elif tasks[0].is_prune:
            self._wait("deletion of", tasks, "resources")
        else:
            self._wait("healthy state of", tasks, "resources")

    def _wait(self, what: str, tasks: list[Task], others: str) -> None:
        key, more = tasks[0].key, len(tasks) - 1
        self.message = f"waiting for {what} {key.group}/{key.kind}/{key.name}"
        if more:
            self.message += f" and {more} more {others}"

    def _result(self, task: Task) -> Json | None:
        return self._results.get((task.key, task.phase))

    def _phase_of(self, task: Task) -> str:
        result = self._result(task)
        return str(result["hookPhase"]) if result else ""

    def _is_running(self, task: Task) -> bool:
        return self._phase_of(task) == RUNNING

    def _note(self, task: Task, status: str, phase: str, message: str) -> None:
        self._results[task.key, task.phase] = {
            "group": task.key.group,
            "version": task.piece.version,
            "kind": task.key.kind,
            "namespace": task.key.namespace,
            "name": task.key.name,
            "status": status,
            "message": message,
            **({"hookType": task.piece.hook} if task.is_hook else {}),
            "hookPhase": phase,
            "syncPhase": task.phase,
            **({"images": [task.piece.image]} if task.piece.image else {}),
        }


def _phase_of_live(live: Live, task: Task) -> tuple[str, str]:
    health = live.health
    if health is None or health == HEALTHY:
        return SUCCEEDED, ""
    if health != DEGRADED:
        return RUNNING, ""
    if task.is_hook:
        return FAILED, "Job has reached the specified backoff limit"
    return FAILED, f'{task.key.kind} "{task.key.name}" exceeded its progress deadline'


def _spoken(task: Task) -> str:
    kind = task.key.kind.lower()
    return f"{kind}.{task.key.group}/{task.key.name}" if task.key.group else f"{kind}/{task.key.name}"


def _key_of(result: Json) -> ResourceKey:
    return ResourceKey(result.get("group", ""), result["kind"], result.get("namespace", ""), result["name"])
