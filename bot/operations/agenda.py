"""When to look at which operation next: held in memory, for a restart looks at everything."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bot.core.clock import Clock
from bot.operations.model import Operation, OperationId, State
from bot.telemetry.metrics import OPERATIONS_ACTIVE, OPERATIONS_UNSEEN

LOOK_EVERY: Final = timedelta(seconds=5)
"""Nobody need say that something changed."""
LOOK_AT_MOST_EVERY: Final = timedelta(seconds=1)
"""However often something changes: nobody reads faster."""
LONGEST_BACKOFF: Final = timedelta(seconds=30)
_MOST_AT_ONCE: Final = 32


class Agenda:
    """What is active, and when each is due."""

    def __init__(self, clock: Clock) -> None:
        """Start empty."""
        self._clock = clock
        self._active: dict[OperationId, Operation] = {}
        self._due: dict[OperationId, datetime] = {}
        self._looked: dict[OperationId, datetime] = {}
        self._failures: Counter[OperationId] = Counter()
        self._busy: set[OperationId] = set()
        self._hurried: dict[OperationId, datetime] = {}
        self._wake_loop: Callable[[], None] = _nobody

    def on_due(self, wake: Callable[[], None]) -> None:
        """Have the loop woken when something is due earlier than it thinks."""
        self._wake_loop = wake

    def keep(self, operation: Operation) -> None:
        """Remember what is active, forget what is over."""
        if operation.state.is_active:
            self._active[operation.id] = operation
        else:
            for memory in (self._active, self._due, self._looked, self._failures, self._hurried):
                memory.pop(operation.id, None)

    def put(self, operation: Operation) -> None:
        """Have an operation looked at now."""
        self.keep(operation)
        if operation.state.is_active:
            self._hurry(operation.id, self._clock.now())
            self._wake_loop()

    def wake(self, id_or_subject: str | None) -> None:
        """Have one looked at soon, or all."""
        now = self._clock.now()
        woken = [
            each.id for each in self._active.values() if id_or_subject in {None, each.id, each.plan.subject}
        ]
        for name in woken:
            looked = self._looked.get(name)
            self._hurry(name, now if looked is None else max(now, looked + LOOK_AT_MOST_EVERY))
        if woken:
            self._wake_loop()

    def due(self) -> list[OperationId]:
        """Return what is due, the longest first."""
        now = self._clock.now()
        names = sorted((name for name, at in self._due.items() if at <= now), key=self._due.__getitem__)
        return names[:_MOST_AT_ONCE]

    def next(self) -> timedelta | None:
        """Return how long until something is due."""
        if not self._due:
            return None
        return max(timedelta(0), min(self._due.values()) - self._clock.now())

    def begin(self, name: OperationId) -> None:
        """Note that an operation is worked on."""
        self._busy.add(name)

    def finish(self, name: OperationId, *, again_at: datetime | None) -> None:
        """Say when it is to be looked at again; whoever hurried it meanwhile is heard."""
        self._busy.discard(name)
        hurried = self._hurried.pop(name, None)
        moments = [moment for moment in (again_at, hurried) if moment is not None]
        if name in self._active and moments:
            self._due[name] = min(moments)
        else:
            self._due.pop(name, None)

    def release(self, name: OperationId) -> None:
        """Leave it due: it could not be worked on."""
        self._busy.discard(name)

    def looked(self, name: OperationId) -> datetime:
        """Note that it was seen; return when to look again of one's own accord."""
        now = self._clock.now()
        self._looked[name] = now
        self._failures.pop(name, None)
        return now + LOOK_EVERY

    def failed(self, name: OperationId) -> datetime:
        """Note that it was not seen; return when to try again."""
        self._failures[name] += 1
        backoff = min(timedelta(seconds=0.5 * 2 ** min(self._failures[name], 10)), LONGEST_BACKOFF)
        now = self._clock.now()
        self._looked[name] = now + backoff - LOOK_AT_MOST_EVERY
        return now + backoff

    def count(self) -> None:
        """Bring the figures up to date."""
        counted = Counter(each.state for each in self._active.values())
        for state in State:
            if state.is_active:
                OPERATIONS_ACTIVE.labels(state.value).set(counted[state])
        OPERATIONS_UNSEEN.set(sum(each.unseen_since is not None for each in self._active.values()))

    def _hurry(self, name: OperationId, at: datetime) -> None:
        waiting = self._hurried if name in self._busy else self._due
        waiting[name] = min(at, waiting.get(name, at))


def _nobody() -> None:
    """Stand in until a loop runs."""
