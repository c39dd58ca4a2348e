"""Starts what is to start, and follows it to its end.

Everything is decided from the stored row, so that a restart at any moment goes on
from it; what is held in memory says only when to look next. Conductors are asked
while no transaction is open, and each operation waits for its own system alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog

from bot.chat.text import cut
from bot.core.actor import THE_MACHINE, Actor
from bot.core.clock import Clock
from bot.core.durations import spoken_duration
from bot.core.errors import BrokenError, LostLeadershipError, MachineError, RefusedError, UnavailableError
from bot.core.loops import Bug, survive
from bot.database.engine import Database
from bot.journal.model import Entry, Outcome
from bot.operations import life, store
from bot.operations.agenda import Agenda
from bot.operations.conductor import Conductor
from bot.operations.life import Need, mention, need_of
from bot.operations.model import (
    Ending,
    Operation,
    OperationId,
    OperationPolicy,
    Progress,
    State,
    Wish,
    wish_action,
    wish_label,
)
from bot.operations.record import Recorder, an_entry
from bot.operations.rights import Rights, Standing
from bot.telemetry import tracing

ANSWER_WITHIN: Final = timedelta(seconds=10)
_LONGEST_TEXT: Final = 600

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Following:
    """The loop over all that is active."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        rights: Rights,
        conductors: Mapping[str, Conductor],
        agenda: Agenda,
        *,
        clock: Clock,
        policy: Callable[[], OperationPolicy],
    ) -> None:
        """Take the leading database and who does what."""
        self._database = database
        self._recorder = recorder
        self._rights = rights
        self._conductors = conductors
        self._agenda = agenda
        self._clock = clock
        self._policy = policy
        self._is_loaded = False

    async def step(self) -> timedelta | None:
        """Do what is due."""
        if not self._is_loaded:
            await self._load()
        due = self._agenda.due()
        outcomes = await asyncio.gather(*(self._look_after(name) for name in due), return_exceptions=True)
        self._agenda.count()
        failures = [outcome for outcome in outcomes if outcome is not None]
        # Lost leadership ends the process; it must not hide behind an outage of the database.
        for failure in sorted(failures, key=lambda each: not isinstance(each, LostLeadershipError)):
            raise failure
        return self._agenda.next()

    async def _load(self) -> None:
        async with self._database.reading() as tx:
            active = await store.list_active(tx)
        for operation in active:
            self._agenda.put(operation)
        self._is_loaded = True
        if active:
            log.info("operations_resumed", count=len(active))

    async def _look_after(self, name: OperationId) -> None:
        self._agenda.begin(name)
        try:
            # What the database cannot do now stays due, and is tried again with the whole step.
            again_at = await survive(self._work(name), name="operations", but=(MachineError,), operation=name)
        except BaseException:
            self._agenda.release(name)
            raise
        if isinstance(again_at, Bug):
            again_at = self._agenda.failed(name)
        self._agenda.finish(name, again_at=again_at)

    async def _work(self, name: OperationId) -> datetime | None:
        """Do what an operation needs next; return when it needs something again."""
        async with self._database.reading() as tx:
            operation = await store.find(tx, name)
        if operation is None:
            return None
        with tracing.following(operation.trace):
            return await self._do(operation)

    async def _do(self, operation: Operation) -> datetime | None:
        match need_of(operation, now=self._clock.now()):
            case Need.NOTHING:
                again_at = operation.expires_at
            case Need.EXPIRE:
                again_at = await self._expire(operation)
            case Need.START:
                again_at = await self._start(operation)
            case Need.LOOK:
                again_at = await self._look_for(operation)
            case Need.ACT:
                again_at = await self._act(operation)
            case Need.OBSERVE:
                again_at = await self._observe(operation)
        return again_at

    async def _expire(self, operation: Operation) -> datetime | None:
        now = self._clock.now()

        def expired(current: Operation) -> Operation:
            if need_of(current, now=now) is not Need.EXPIRE:
                return current
            missing = current.approvals_needed - len(current.approvals)
            nobody = "Nobody approved in time" if not current.approvals else "Too few approved in time"
            outcome = f"{nobody}: {missing} more {'was' if missing == 1 else 'were'} needed."
            return life.end(current, State.CANCELLED, outcome, now=now)

        await self._change(operation, expired)
        return now

    async def _start(self, operation: Operation) -> datetime | None:
        standing = None if operation.was_begun else await self._rights.of(operation)
        now = self._clock.now()

        def tried(current: Operation) -> Operation:
            if need_of(current, now=now) is not Need.START:
                return current
            ending = self._reason_against(current, standing, now)
            if ending is not None:
                return life.abandon(current, ending, now=now)
            return life.try_start(current, now=now)

        current = await self._change(operation, tried)
        if current.attempts == operation.attempts:
            return now
        with tracing.span("start operation", operation=current.id, kind=current.plan.kind):
            answer = await self._ask(current, lambda conductor: conductor.start(current))
        return await self._started(current, answer)

    def _reason_against(
        self, operation: Operation, standing: Standing | None, now: datetime
    ) -> Ending | None:
        within = self._policy().start_within
        if operation.started_at is not None and now - operation.started_at >= within:
            why = f" {operation.problem}" if operation.problem else ""
            return Ending(
                State.FAILED,
                f"Nothing was begun: it could not be started within {spoken_duration(within)}.{why}",
            )
        if standing is None:
            return None
        if standing.refusal:
            asker = mention(operation.asked_by)
            return Ending(
                State.CANCELLED,
                f"Nothing was begun: {asker} may not do this any more. {standing.refusal}",
            )
        if standing.lacks:
            return Ending(
                State.CANCELLED,
                "Nothing was begun: the approvals are not enough any more, as the policy is now.",
            )
        return None

    async def _started(self, operation: Operation, answer: MachineError | Bug | None) -> datetime | None:
        now = self._clock.now()
        match answer:
            case None:
                await self._change(operation, lambda current: life.accept(current, now=now))
                return now
            case RefusedError() | BrokenError():
                outcome = f"Nothing was begun: {_words(answer)}"
                await self._change(
                    operation, lambda current: life.end(current, State.FAILED, outcome, now=now)
                )
                return now
            case Bug():
                # Whether it began is not known, and trying again would fail again.
                ending = Ending(State.FAILED, f"Nothing was begun: {_words(answer)}")
                await self._change(operation, lambda current: life.abandon(current, ending, now=now))
                return now
            case _:
                return await self._lose_sight(operation, answer)

    async def _look_for(self, operation: Operation) -> datetime | None:
        settled_at = life.look_again_at(operation)
        answer = await self._ask(operation, lambda conductor: conductor.has_begun(operation))
        now = self._clock.now()
        if answer is True:
            await self._change(operation, lambda current: life.accept(current, now=now))
            return now
        if answer is not False and not isinstance(answer, RefusedError):
            return await self._lose_sight(operation, answer)
        if settled_at is not None and now < settled_at:
            return settled_at
        ending = operation.abandoned
        if ending is not None:
            await self._change(
                operation,
                lambda current: life.end(current, ending.state, ending.outcome, now=now),
                by=ending.by or THE_MACHINE,
            )
        return now

    async def _act(self, operation: Operation) -> datetime | None:
        wish = operation.wish
        if wish is None:
            return self._clock.now()
        with tracing.span("act on operation", operation=operation.id, wish=wish.what):
            answer = await self._ask(
                operation, lambda conductor: conductor.act(operation, wish.what, by=wish.by)
            )
        label, person = wish_label(operation.plan, wish.what), mention(wish.by)
        match answer:
            case None:
                note = f"{label}: asked for by {person}."
                entry = _wish_entry(operation, wish, Outcome.DONE, "")
            case RefusedError():
                note = f"{label}, asked for by {person}, was refused: {_words(answer)}"
                entry = _wish_entry(operation, wish, Outcome.REFUSED, _words(answer))
            case BrokenError() | Bug():
                note = f"{label}, asked for by {person}, did not work: {_words(answer)}"
                entry = _wish_entry(operation, wish, Outcome.FAILED, _words(answer))
            case _:
                waits = f"{label}, asked for by {person}, is tried again: {_words(answer)}"
                await self._change(operation, lambda current: replace(current, note=waits))
                # It may end by itself meanwhile.
                await self._observe(operation)
                return self._agenda.failed(operation.id)
        await self._change(
            operation,
            lambda current: life.fulfil(current, wish, note, granted=answer is None),
            note=entry,
            if_wished=wish,
        )
        return self._clock.now()

    async def _observe(self, operation: Operation) -> datetime | None:
        answer = await self._ask(operation, lambda conductor: conductor.observe(operation))
        if not isinstance(answer, Progress):
            return await self._lose_sight(operation, answer)
        now = self._clock.now()
        await self._change(operation, lambda current: life.observe(current, answer, now=now))
        return self._agenda.looked(operation.id)

    async def _lose_sight(self, operation: Operation, answer: MachineError | Bug) -> datetime | None:
        now, problem = self._clock.now(), _words(answer)
        if operation.unseen_since is None:
            log.warning("operation_unseen", operation=operation.id, why=problem)
        await self._change(operation, lambda current: life.lose_sight(current, problem, now=now))
        return self._agenda.failed(operation.id)

    async def _ask(
        self, operation: Operation, question: Callable[[Conductor], Awaitable[T]]
    ) -> T | MachineError | Bug:
        """Ask whoever does it, with a deadline; what goes wrong is an answer too."""
        conductor = self._conductors.get(operation.plan.kind)
        if conductor is None:
            return UnavailableError("This part of the bot is turned off.")
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                return await survive(
                    question(conductor), name="operations", but=(MachineError,), operation=operation.id
                )
        except TimeoutError:
            return UnavailableError(f"There was no answer within {spoken_duration(ANSWER_WITHIN)}.")
        except LostLeadershipError:
            raise
        except MachineError as error:
            return error

    async def _change(
        self,
        operation: Operation,
        decide: Callable[[Operation], Operation],
        *,
        by: Actor = THE_MACHINE,
        note: Entry | None = None,
        if_wished: Wish | None = None,
    ) -> Operation:
        """Decide over what is stored now: somebody may have pressed something meanwhile."""
        async with self._database.transaction() as tx:
            current = await store.find(tx, operation.id)
            if current is None or not current.state.is_active:
                return current or operation
            if if_wished is not None and current.wish != if_wished:
                note = None
            return await self._recorder.save(tx, current, decide(current), by=by, note=note)


def _wish_entry(operation: Operation, wish: Wish, outcome: Outcome, reason: str) -> Entry:
    return an_entry(
        operation,
        by=wish.by,
        action=wish_action(operation.plan, wish.what),
        outcome=outcome,
        reason=reason,
        wish=wish.what,
        title=operation.plan.title,
    )


def _words(answer: MachineError | Bug) -> str:
    if isinstance(answer, Bug):
        return f"Something went wrong on our side. Reference `{answer.reference}`."
    return cut(str(answer), _LONGEST_TEXT) or "No reason was given."
