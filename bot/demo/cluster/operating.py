"""Operations: picking one up, carrying it on pass by pass, trying again, ending it."""

from datetime import datetime, timedelta

from bot.core.durations import parse_duration
from bot.demo.cluster.applications import DELETION_APPROVED
from bot.demo.cluster.comparing import Target, find_target
from bot.demo.cluster.failures import Json
from bot.demo.cluster.live import Running
from bot.demo.cluster.refreshing import Refresher
from bot.demo.cluster.repositories import UnreachableError
from bot.demo.cluster.store import Key
from bot.demo.cluster.syncing import ERROR, FAILED, OVER, RUNNING, SUCCEEDED, TERMINATING, SyncPass
from bot.demo.cluster.tasks import Task, plan, read_options
from bot.demo.cluster.windows import sync_is_blocked
from bot.demo.cluster.world import World


class Operator:
    """Carries operations on."""

    def __init__(self, world: World, refresher: Refresher) -> None:
        """Take what the controller knows, and who compares after a sync."""
        self._world = world
        self._refresher = refresher

    def advance(self, key: Key, app: Json) -> None:
        """Make one pass of the operation of an Application."""
        self.end(key, app, self.begin(key, app), reads_again=True)

    def end(self, key: Key, app: Json, state: Json, *, reads_again: bool) -> None:
        """Write what a pass came to; only who reads again notices a termination meanwhile."""
        if reads_again and state["phase"] == RUNNING and self._is_terminating(key):
            # The next pass cleans up.
            state |= {"phase": TERMINATING, "message": "operation is terminating"}
        self._world.write_state(key, app, state)
        if state["phase"] in OVER:
            self._refresher.request(key)

    def begin(self, key: Key, app: Json) -> Json:
        """Return what the state is after one pass; what is applied and pruned by then, is."""
        state = self._resume_or_start(key, app)
        if "finishedAt" in state:
            # It waits for its next try.
            return state
        self._pass(key, app, state)
        if state["phase"] in {FAILED, ERROR}:
            self._retry_or_end(state)
        if state["phase"] in OVER:
            state["finishedAt"] = self._world.timestamp()
        return state

    def _resume_or_start(self, key: Key, app: Json) -> Json:
        """Return the state to go on with: one that did not end is resumed, whatever is asked for now."""
        state: Json = dict((app.get("status") or {}).get("operationState") or {})
        if not state or state["phase"] in OVER:
            started = {
                "operation": app["operation"],
                "phase": RUNNING,
                "startedAt": self._world.timestamp(),
            }
            # From the next pass on it is read again, and with it what the last operation left behind.
            self._world.write_state(key, app, started)
            return started
        if "finishedAt" in state and (state["phase"] == TERMINATING or self._world.now() >= _retry_at(state)):
            self._world.begin_again(key)
            del state["finishedAt"]
            state.pop("syncResult", None)
        return state

    def _pass(self, key: Key, app: Json, state: Json) -> None:
        sync = state["operation"].get("sync")
        if sync is None:
            state |= {"phase": ERROR, "message": "Invalid operation request: no operation specified"}
            return
        old = (app.get("status") or {}).get("operationState")
        manual = old is not None and not old["operation"].get("initiatedBy", {}).get("automated")
        if sync_is_blocked(self._world.windows(app), app, manual=manual, now=self._world.now()):
            # Terminating is not looked at: such an operation can only be waited for or discarded.
            if state["phase"] == RUNNING:
                state["message"] = "Sync operation blocked by sync window"
            return
        target = self._target(app, state)
        if target.error:
            state |= {"phase": ERROR, "message": f"ComparisonError: {target.error}"}
            return
        self._sync(key, app, state, target)

    def _target(self, app: Json, state: Json) -> Target:
        """Return what to sync to: what was resolved on the first pass, unless the retry is to look again."""
        result = state.get("syncResult") or {}
        pinned = result.get("revisions") or [one for one in [result.get("revision")] if one]
        try:
            return find_target(self._world.repositories, app, state["operation"]["sync"], pinned=pinned)
        except UnreachableError as error:
            return Target((), (), {}, is_multi=False, error=f"repository {error} is not reachable")

    def _sync(self, key: Key, app: Json, state: Json, target: Target) -> None:
        sync, running = state["operation"]["sync"], self._world.running(key)
        options = read_options(sync, app["spec"]["destination"].get("namespace", ""))
        made = SyncPass(
            plan(target.pieces, running, options),
            running,
            options,
            (state.get("syncResult") or {}).get("resources", ()),
            confirmed=_is_confirmed(app, state),
            apply=lambda task: self._apply(key, running, task),
        )
        if state["phase"] == TERMINATING:
            made.terminate()
        else:
            made.run()
        state |= {
            "phase": made.phase,
            "message": made.message,
            "syncResult": {
                **target.revision_fields(),
                **target.source_fields(),
                "resources": made.results,
            },
        }
        if made.phase == SUCCEEDED and not options.dry_run and options.only is None:
            self._remember(key, app, state, target)
        if made.phase in OVER:
            running.hooks.clear()

    def _apply(self, key: Key, running: Running, task: Task) -> str:
        if task.piece.application is not None:
            self._world.add_child(key, task.piece.application)
        return running.apply(task.key, task.piece)

    def _remember(self, key: Key, app: Json, state: Json, target: Target) -> None:
        revisions = target.revision_fields()
        entry = {
            "deployStartedAt": state["startedAt"],
            "deployedAt": self._world.timestamp(),
            **{name: value for name, value in revisions.items() if value},
            **target.source_fields(),
            "initiatedBy": state["operation"].get("initiatedBy", {}),
        }
        self._world.append_history(key, app, entry)

    def _retry_or_end(self, state: Json) -> None:
        limit = (state["operation"].get("retry") or {}).get("limit", 0)
        count = state.get("retryCount", 0)
        if state["message"] == "Operation terminated":
            return
        if count < limit or limit < 0:
            state |= {"phase": RUNNING, "finishedAt": self._world.timestamp(), "retryCount": count + 1}
            at = _retry_at(state).strftime("%I:%M%p").lstrip("0")
            state["message"] += f". Retrying attempt #{count + 1} at {at}."
        elif count:
            state["message"] += f" (retried {count} times)."

    def _is_terminating(self, key: Key) -> bool:
        app = self._world.cluster.find("Application", *key) or {}
        state = (app.get("status") or {}).get("operationState") or {}
        return state.get("phase") == TERMINATING


def _retry_at(state: Json) -> datetime:
    """Return when the next try begins: by default the wait doubles from 5 s up to 3 min."""
    backoff = (state["operation"].get("retry") or {}).get("backoff") or {}
    first = parse_duration(backoff.get("duration", "5s"))
    longest = parse_duration(backoff.get("maxDuration", "3m"))
    factor = backoff.get("factor", 2)
    wait: timedelta = min(first * factor ** (state["retryCount"] - 1), longest)
    return datetime.fromisoformat(state["finishedAt"]) + wait


def _is_confirmed(app: Json, state: Json) -> bool:
    approved = app["metadata"].get("annotations", {}).get(DELETION_APPROVED, "")
    return bool(approved) and datetime.fromisoformat(approved) >= datetime.fromisoformat(state["startedAt"])
