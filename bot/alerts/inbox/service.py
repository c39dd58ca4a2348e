"""Accepting deliveries: committed together, answered one by one.

About a millisecond of each transaction is spent outside the disk, so that
deliveries which arrive together share one. Nobody waits for company: the writer
takes what is there.
"""

import asyncio
from asyncio import Future, Task
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, Self

import structlog

from bot.alerts.inbox import store
from bot.alerts.inbox.model import Arrival, DeliveryId, Kind
from bot.core.clock import Clock
from bot.core.errors import InvalidError, MachineError, UnavailableError
from bot.core.loops import AT_ONCE, NOTHING_TRIED, Loop
from bot.database.engine import Database
from bot.telemetry import tracing

log = structlog.get_logger(__name__)

_ROOM = 2_000
_ROOM_BYTES = 128 * 2**20
_BATCH = 200
_BATCH_BYTES = 16 * 2**20
_WITHIN = timedelta(seconds=5)
"""Alertmanager waits as long as its group interval; a wedge must become a retry long before."""
_BACKOFF = timedelta(milliseconds=200)
"""Short, because senders wait for their answers meanwhile."""
_CLOSED = "the inbox is closed"


@dataclass(frozen=True, slots=True)
class _Waiting:
    arrival: Arrival
    committed: Future[DeliveryId]


class Inbox:
    """Commits deliveries while it is entered; its writer is a task of its own."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        wake: Callable[[], None],
        within: timedelta = _WITHIN,
        room: int = _ROOM,
    ) -> None:
        """Take the database without an epoch (every process accepts) and whom to wake after a commit.

        `within` bounds how long a delivery waits for its commit, `room` how many wait.
        """
        self._database = database
        self._clock = clock
        self._wake = wake
        self._within = within.total_seconds()
        self._room = room
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._undecided: set[Future[DeliveryId]] = set()
        self._is_open = False
        self._loop = Loop("inbox-writer", self.step, longest_backoff=_BACKOFF)
        self._writer: Task[NoReturn] | None = None

    async def __aenter__(self) -> Self:
        """Start the writer."""
        self._is_open = True
        self._writer = asyncio.create_task(self._loop.run(), name=self._loop.name)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, within the time that a delivery may wait anyway, and stop the writer."""
        self._is_open = False
        if self._undecided:
            await asyncio.wait(set(self._undecided), timeout=self._within)
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
        _refuse(self._waiting, UnavailableError(_CLOSED))

    async def accept(
        self, source: str, kind: Kind, body: bytes, *, content_type: str = "", user_agent: str = ""
    ) -> DeliveryId:
        """Return once the delivery is committed.

        Raises:
            UnavailableError: It is not committed as far as we know; the sender should repeat it.
                Should it be there after all, the repeat is recognised when it is applied.
        """
        self._check_room(len(body))
        arrival = Arrival(
            source=source,
            kind=kind,
            received_at=self._clock.now(),
            body=body,
            content_type=content_type,
            user_agent=user_agent,
            trace=tracing.traceparent(),
        )
        committed: Future[DeliveryId] = asyncio.get_running_loop().create_future()
        self._undecided.add(committed)
        self._waiting.append(_Waiting(arrival, committed))
        self._waiting_bytes += len(body)
        self._loop.wake()
        try:
            async with asyncio.timeout(self._within):
                with tracing.span("commit delivery"):
                    return await committed
        except TimeoutError as error:
            raise UnavailableError(f"the database took longer than {self._within:g} s") from error
        finally:
            self._undecided.discard(committed)

    async def check(self) -> None:
        """Return if a delivery would be taken in now.

        Raises:
            UnavailableError: It would not; the text says why.
        """
        # Not whether the last commit failed: unready, we would be sent nothing, and never know better.
        self._check_room(0)

    def _check_room(self, size: int) -> None:
        if not self._is_open:
            raise UnavailableError(_CLOSED)
        # A single delivery may be as large as the server lets through.
        is_full = len(self._waiting) >= self._room
        if is_full or (self._waiting and self._waiting_bytes + size > _ROOM_BYTES):
            raise UnavailableError("too many deliveries wait for the database")

    async def step(self) -> timedelta | None:
        """Commit what waits, up to one batch."""
        batch = self._take()
        if not batch:
            return NOTHING_TRIED
        try:
            await self._commit_together(batch)
        finally:
            # After a bug, or at the end of the writer: nobody must wait in vain.
            _refuse(batch, UnavailableError("the delivery could not be committed"))
        return AT_ONCE if self._waiting else None

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < _BATCH:
            size += len(self._waiting[0].arrival.body)
            if batch and size > _BATCH_BYTES:
                break
            waiting = self._waiting.popleft()
            self._waiting_bytes -= len(waiting.arrival.body)
            # Whose sender gave up has been told to repeat it.
            if not waiting.committed.done():
                batch.append(waiting)
        return batch

    async def _commit_together(self, batch: Sequence[_Waiting]) -> None:
        if len(batch) == 1:
            await self._commit_apart(batch)
            return
        try:
            await self._commit(batch)
        except (InvalidError, UnavailableError) as error:
            if isinstance(error, UnavailableError) and all(waiting.committed.done() for waiting in batch):
                raise  # It took so long that nobody waits any more.
            # Perhaps because of a single one: alone, each is answered for itself.
            await self._commit_apart(batch)

    async def _commit_apart(self, batch: Sequence[_Waiting]) -> None:
        failure: UnavailableError | None = None
        for waiting in batch:
            if waiting.committed.done():
                continue  # It took too long meanwhile, as all will if the database hangs.
            try:
                await self._commit([waiting])
            except InvalidError as error:
                log.exception("delivery_refused", source=waiting.arrival.source)
                _refuse([waiting], error)
            except UnavailableError as error:
                failure = error
                _refuse([waiting], error)
        if failure is not None:
            raise failure

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        async with self._database.transaction() as tx:
            ids = await store.insert_many(tx, [waiting.arrival for waiting in batch])
            tx.after_commit(self._wake)
        for waiting, number in zip(batch, ids, strict=True):
            if not waiting.committed.done():
                waiting.committed.set_result(number)


def _refuse(batch: Iterable[_Waiting], error: MachineError) -> None:
    for waiting in batch:
        if not waiting.committed.done():
            waiting.committed.set_exception(UnavailableError(str(error)))
