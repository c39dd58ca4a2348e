"""What people do with operations. Each click is decided anew; what follows from it, the loop does."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from bot.access.model import Decision
from bot.access.service import Access
from bot.cards.store import Cards, find_card
from bot.chat.text import code, cut, escape, timestamp
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import ConflictError, NotAllowedError, NotFoundError
from bot.database.engine import Database, Transaction
from bot.journal.model import Filter, Recorded
from bot.journal.service import Journal
from bot.operations import life, store
from bot.operations.agenda import Agenda
from bot.operations.conductor import Conductor
from bot.operations.following import Following
from bot.operations.life import mention
from bot.operations.model import (
    CANCEL,
    Approval,
    Operation,
    OperationId,
    OperationPolicy,
    Plan,
    State,
    wish_action,
    wish_label,
)
from bot.operations.record import Recorder, an_entry
from bot.operations.rights import LookUp, Rights, as_clicked
from bot.operations.sources import OPERATION
from bot.telemetry import tracing

_MOST_ENTRIES: Final = 100
_LONGEST_WHY: Final = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """An operation with all that the journal says of it."""

    operation: Operation
    entries: tuple[Recorded, ...]
    """The oldest first."""


def new_id() -> OperationId:
    """Return an id that nothing else has."""
    return OperationId(str(uuid.uuid4()))


class Operations:
    """The use cases of people, and the loop that follows."""

    def __init__(
        self,
        database: Database,
        access: Access,
        cards: Cards,
        journal: Journal,
        *,
        clock: Clock,
        policy: Callable[[], OperationPolicy],
        guild: Callable[[], int],
        look_up: LookUp = as_clicked,
        make_id: Callable[[], OperationId] = new_id,
    ) -> None:
        """Take the leading database, the rooms below, and who knows what roles people hold now."""
        self._database = database
        self._access = access
        self._journal = journal
        self._clock = clock
        self._policy = policy
        self._guild = guild
        self._make_id = make_id
        self._rights = Rights(access, look_up)
        self._conductors: dict[str, Conductor] = {}
        self._agenda = Agenda(clock)
        self._recorder = Recorder(cards, journal, self._agenda.put)
        self._following = Following(
            database,
            Recorder(cards, journal, self._agenda.keep),
            self._rights,
            self._conductors,
            self._agenda,
            clock=clock,
            policy=policy,
        )

    def register(self, kind: str, conductor: Conductor) -> None:
        """Say who does the operations of a kind."""
        self._conductors[kind] = conductor

    def on_due(self, wake: Callable[[], None]) -> None:
        """Have the loop of `step` woken when something is due earlier than it thinks."""
        self._agenda.on_due(wake)

    def wake(self, id_or_subject: str | None = None) -> None:
        """Look soon at what is named, or at everything; costs nothing where nothing is active."""
        self._agenda.wake(id_or_subject)

    async def step(self) -> timedelta | None:
        """Start what is to start, look at what runs; returns when the next look is due."""
        return await self._following.step()

    async def propose(self, plan: Plan, *, by: Actor, channel_id: int) -> Operation:
        """Keep a plan until the asker confirms its preview, 15 minutes at most.

        Raises:
            NotAllowedError: The asker may not.
        """
        proposed = life.propose(
            plan, operation_id=self._make_id(), by=by, channel_id=channel_id, now=self._clock.now()
        )
        decision = await self._allow(proposed, by)
        proposed = replace(proposed, approvals_needed=max(plan.min_approvals, decision.approvals))
        async with self._database.transaction() as tx:
            await store.save(tx, proposed)
        return proposed

    async def confirm(self, operation_id: OperationId, *, by: Actor) -> Operation:
        """Have it start, or wait for approvals; pressed again it changes nothing.

        Raises:
            NotAllowedError: Somebody else asked for it, or the asker may not (any more).
            ConflictError: The preview is too old, or something else goes on with the same thing.
        """
        operation = await self.get(operation_id)
        if by.id != operation.asked_by.id:
            raise await self._refusal(operation, by, "Only the one who asked for it can confirm it.")
        decision = await self._allow(operation, by)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            current = await self._get(tx, operation_id)
            if current.state is not State.REQUESTED:
                return current
            if life.is_expired(current, now):
                raise ConflictError("This preview is too old: ask again, and see what would happen now.")
            holder = await store.find_active(tx, current.plan.subject)
            if holder is not None:
                raise ConflictError(await self._held_by(tx, holder))
            confirmed = life.confirm(
                current, by=by, approvals=decision.approvals, policy=self._policy(), now=now
            )
            confirmed = replace(confirmed, trace=tracing.traceparent())
            return await self._recorder.save(tx, current, confirmed, by=by)

    async def approve(self, operation_id: OperationId, *, by: Actor) -> Operation:
        """Note that somebody else agrees; with the last approval it starts. Once more changes nothing.

        Raises:
            NotAllowedError: The asker, or somebody who may not do it.
            ConflictError: It does not wait for approvals.
        """
        operation = await self.get(operation_id)
        await self._allow(operation, by, approving=True)
        now = self._clock.now()
        given = Approval(by, now)
        standing = await self._rights.of(replace(operation, approvals=_with(operation, given)), but=by)
        async with self._database.transaction() as tx:
            current = await self._get(tx, operation_id)
            if any(each.by.id == by.id for each in current.approvals):
                return current
            self._check_waiting(current)
            if standing.refusal:
                asker = mention(current.asked_by)
                outcome = f"Nothing was begun: {asker} may not do this any more. {standing.refusal}"
                return await self._recorder.save(
                    tx, current, life.end(current, State.CANCELLED, outcome, now=now)
                )
            counted = {each.by.id for each in standing.approvals}
            unknown = {each.by.id for each in operation.approvals}
            approvals = tuple(
                each
                for each in _with(current, given)
                # Who pressed it a moment ago was asked for then.
                if each.by.id in counted or each.by.id not in unknown
            )
            approved = life.approve(current, approvals, needed=standing.needed, now=now)
            note = an_entry(
                current,
                by=by,
                action=current.plan.action,
                step=f"approved, {len(approvals)} of {standing.needed}",
                title=current.plan.title,
            )
            return await self._recorder.save(tx, current, approved, note=note)

    async def decline(self, operation_id: OperationId, *, by: Actor, why: str = "") -> Operation:
        """End it before it starts; the asker withdraws it by this. Once more changes nothing.

        Raises:
            NotAllowedError: Neither the asker nor somebody who may do it.
            ConflictError: It has begun.
        """
        operation = await self.get(operation_id)
        is_asker = by.id == operation.asked_by.id
        if not is_asker:
            if operation.state is State.REQUESTED:
                raise await self._refusal(operation, by, "Only the one who asked for it can drop it.")
            await self._allow(operation, by, at_any_time=True)
        reason = f": {cut(escape(why), _LONGEST_WHY)}" if why.strip() else ""
        outcome = f"{'Withdrawn' if is_asker else 'Declined'} by {mention(by)}{reason}."
        now = self._clock.now()
        async with self._database.transaction() as tx:
            current = await self._get(tx, operation_id)
            if current.state is State.CANCELLED:
                return current
            if current.state is not State.REQUESTED:
                self._check_waiting(current)
            ended = life.end(current, State.CANCELLED, outcome, now=now)
            return await self._recorder.save(tx, current, ended, by=by)

    async def act(self, operation_id: OperationId, what: str, *, by: Actor) -> Operation:
        """Have it cancelled, or have one of its offers done; its card says what becomes of that.

        Raises:
            NotAllowedError: The policy does not let them; windows of time do not matter for cancelling.
            ConflictError: It is over, does not offer that, or is being asked for something else.
        """
        operation = await self.get(operation_id)
        if what == CANCEL and operation.state is State.WAITING:
            return await self.decline(operation_id, by=by)
        action = wish_action(operation.plan, what)
        await self._allow(operation, by, action=action, at_any_time=what == CANCEL)
        async with self._database.transaction() as tx:
            current = await self._get(tx, operation_id)
            if current.abandoned is not None and what == CANCEL:
                return current
            if current.wish is not None and current.wish.what == what:
                return current
            _check_offered(current, what)
            wished = life.wish(current, what, by=by, now=self._clock.now())
            return await self._recorder.save(tx, current, wished, by=by)

    async def show(self, operation_id: OperationId, *, by: Actor) -> Shown:
        """Return all of an operation, to whoever may read it."""
        operation = await self.get(operation_id)
        if operation.plan.details_action:
            await self._allow(operation, by, action=operation.plan.details_action)
        async with self._database.reading() as tx:
            entries = await self._journal.list_entries(
                tx, Filter(operation=operation_id), limit=_MOST_ENTRIES
            )
        return Shown(operation, tuple(reversed(entries)))

    async def get(self, operation_id: OperationId) -> Operation:
        """Return an operation.

        Raises:
            NotFoundError: It is no longer kept.
        """
        async with self._database.reading() as tx:
            return await self._get(tx, operation_id)

    async def find_active(self, subject: str) -> Operation | None:
        """Return the operation that waits or runs on a subject."""
        async with self._database.reading() as tx:
            return await store.find_active(tx, subject)

    async def list_active(self) -> list[Operation]:
        """Return what waits or runs, the oldest first."""
        async with self._database.reading() as tx:
            return await store.list_active(tx)

    async def list_recent(self, *, limit: int = 25) -> list[Operation]:
        """Return what was confirmed last, the newest first."""
        async with self._database.reading() as tx:
            return await store.list_recent(tx, limit=limit)

    async def _get(self, tx: Transaction, operation_id: OperationId) -> Operation:
        found = await store.find(tx, operation_id)
        if found is None:
            raise NotFoundError("This is no longer kept: ask again.")
        return found

    def _check_waiting(self, operation: Operation) -> None:
        state = operation.state
        if state is State.REQUESTED:
            raise ConflictError(f"{mention(operation.asked_by)} has not confirmed it yet.")
        if state is not State.WAITING:
            now_is = "It is over" if state.is_final else "It has begun already"
            raise ConflictError(f"{now_is}: {operation.outcome or state.value}")
        if life.is_expired(operation, self._clock.now()):
            raise ConflictError("It waited too long for approvals, and is not begun any more.")

    async def _held_by(self, tx: Transaction, holder: Operation) -> str:
        since = timestamp(holder.confirmed_at or holder.asked_at, "R")
        where = f"<#{holder.channel_id}>"
        card = await find_card(tx, OPERATION, holder.id, holder.channel_id)
        if card is not None and card.message_id is not None:
            where = f"https://discord.com/channels/{self._guild()}/{card.posted_in}/{card.message_id}"
        doing = "waits for approval" if holder.state is State.WAITING else "goes on"
        return (
            f"**{escape(holder.plan.title)}** {doing} already, asked for by {mention(holder.asked_by)} "
            f"{since}: {where}"
        )

    async def _allow(
        self,
        operation: Operation,
        by: Actor,
        *,
        action: str = "",
        approving: bool = False,
        at_any_time: bool = False,
    ) -> Decision:
        plan = operation.plan
        wanted = action or plan.action
        try:
            if approving:
                return self._access.check_approval(
                    by, wanted, plan.targets, requested_by=operation.asked_by.id
                )
            return self._access.check(by, wanted, plan.targets, at_any_time=at_any_time)
        except NotAllowedError as refusal:
            raise await self._refusal(operation, by, str(refusal), action=wanted) from refusal

    async def _refusal(
        self, operation: Operation, by: Actor, reason: str, *, action: str = ""
    ) -> NotAllowedError:
        """Record that somebody may not, and return what tells them."""
        async with self._database.transaction() as tx:
            await self._recorder.refuse(
                tx, operation, by=by, action=action or operation.plan.action, reason=reason
            )
        return NotAllowedError(reason)


def _with(operation: Operation, given: Approval) -> tuple[Approval, ...]:
    others = (each for each in operation.approvals if each.by.id != given.by.id)
    return (*others, given)


def _check_offered(operation: Operation, what: str) -> None:
    if operation.state.is_final:
        raise ConflictError(f"It is over: {operation.outcome or operation.state.value}")
    if not operation.state.is_running:
        raise ConflictError("It has not begun.")
    if operation.wish is not None:
        label = wish_label(operation.plan, operation.wish.what)
        raise ConflictError(f"{escape(label)} was asked for by {mention(operation.wish.by)} a moment ago.")
    offers = operation.progress.offers if operation.progress is not None else ()
    may_be_cancelled = what == CANCEL and operation.plan.cancel_label
    if not may_be_cancelled and what not in offers:
        raise ConflictError(f"{code(what)} is not offered any more.")
