"""Writing down what became of an operation: row, journal, card and figures, in one transaction."""

from collections.abc import Callable

import structlog

from bot.cards.model import Priority
from bot.cards.store import Cards
from bot.core.actor import THE_MACHINE, Actor
from bot.database.engine import Transaction
from bot.journal.model import Entry, Outcome
from bot.journal.service import Journal
from bot.operations import store
from bot.operations.model import Operation, State
from bot.operations.sources import OPERATION
from bot.telemetry.metrics import OPERATION_SECONDS, OPERATIONS_ENDED

log = structlog.get_logger(__name__)


class Recorder:
    """Saves what changed, and tells everybody whom it concerns."""

    def __init__(self, cards: Cards, journal: Journal, saved: Callable[[Operation], None]) -> None:
        """Take the rooms below; `saved` is called after each commit."""
        self._cards = cards
        self._journal = journal
        self._saved = saved

    async def save(
        self,
        tx: Transaction,
        before: Operation,
        after: Operation,
        *,
        by: Actor = THE_MACHINE,
        note: Entry | None = None,
    ) -> Operation:
        """Save an operation; a change of its state, and whatever is noted beside, goes into the journal."""
        if after == before:
            return after
        await store.save(tx, after)
        if note is not None:
            await self._journal.append(tx, note)
        if after.state is not before.state:
            if after.confirmed_at is not None:
                await self._journal.append(tx, entry_of(before, after, by=by))
            tx.after_commit(lambda: _tell(before, after))
        if after.confirmed_at is not None and _looks_other(before, after):
            await self._cards.want(tx, OPERATION, after.id, after.channel_id, priority=Priority.HIGH)
        tx.after_commit(lambda: self._saved(after))
        return after

    async def refuse(
        self, tx: Transaction, operation: Operation, *, by: Actor, action: str, reason: str
    ) -> None:
        """Record that somebody was refused."""
        await self._journal.append(
            tx, an_entry(operation, by=by, action=action, outcome=Outcome.REFUSED, reason=reason)
        )


def entry_of(before: Operation, after: Operation, *, by: Actor) -> Entry:
    """Return the entry of a change of state; how it ended is said of the one who asked for it."""
    detail = {**after.plan.noted, "state": after.state.value, "title": after.plan.title}
    if after.approvals:
        detail["approved_by"] = ", ".join(each.by.name for each in after.approvals)
    return an_entry(
        after,
        by=after.asked_by if after.state.is_final and by is THE_MACHINE else by,
        action=after.plan.action,
        outcome=_outcome_of(before, after.state),
        reason=after.outcome,
        change=after.state is State.SUCCEEDED and after.plan.changes,
        **detail,
    )


def an_entry(
    operation: Operation,
    *,
    by: Actor,
    action: str,
    outcome: Outcome = Outcome.DONE,
    reason: str = "",
    change: bool = False,
    **detail: str,
) -> Entry:
    """Return an entry about an operation."""
    plan = operation.plan
    return Entry(
        actor=by,
        action=action,
        target=plan.targets[0] if plan.targets else plan.subject,
        outcome=outcome,
        reason=reason,
        detail=detail,
        namespace=plan.namespace,
        app=plan.app,
        operation=operation.id,
        change=change,
    )


def _outcome_of(before: Operation, state: State) -> Outcome:
    if not state.is_final or state is State.SUCCEEDED:
        return Outcome.DONE
    never_begun = state is State.CANCELLED and not before.was_begun
    return Outcome.REFUSED if never_begun else Outcome.FAILED


def _looks_other(before: Operation, after: Operation) -> bool:
    """Whether a card shows the difference: what the conductor keeps for itself shows nowhere."""
    return _shown(before) != _shown(after)


def _shown(operation: Operation) -> tuple[object, ...]:
    seen = operation.progress
    return (
        operation.state,
        operation.approvals,
        operation.approvals_needed,
        operation.abandoned,
        operation.wish,
        operation.note,
        operation.unseen_since,
        operation.problem,
        operation.outcome,
        seen and (seen.fraction, seen.step, seen.body, seen.counts, seen.offers),
    )


def _tell(before: Operation, after: Operation) -> None:
    kind, state = after.plan.kind, after.state
    log.info("operation_changed", operation=after.id, kind=kind, was=before.state.value, state=state.value)
    if state.is_final and after.confirmed_at is not None:
        OPERATIONS_ENDED.labels(kind, state.value).inc()
        if after.started_at is not None and after.ended_at is not None:
            OPERATION_SECONDS.labels(kind).observe((after.ended_at - after.started_at).total_seconds())
