"""What may become of an operation: pure decisions, each giving the operation as it is afterwards."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from bot.core.actor import Actor
from bot.operations.model import (
    CANCEL,
    Approval,
    Ending,
    Operation,
    OperationId,
    OperationPolicy,
    Plan,
    Progress,
    State,
    Wish,
)

PREVIEW_LASTS: Final = timedelta(minutes=15)
"""As long as a private answer can be pressed."""
SETTLED_AFTER: Final = timedelta(seconds=15)
"""A start whose answer did not arrive may still get through for so long."""


class Need(Enum):
    """What an operation needs from whoever follows it."""

    NOTHING = "nothing"
    EXPIRE = "expire"
    START = "start"
    LOOK = "look"
    """It is not wanted any more, but perhaps it has begun."""
    ACT = "act"
    OBSERVE = "observe"


def need_of(operation: Operation, *, now: datetime) -> Need:
    """Say what comes next."""
    if operation.state is State.WAITING:
        return Need.EXPIRE if is_expired(operation, now) else Need.NOTHING
    if not operation.state.is_running:
        return Need.NOTHING
    if operation.accepted_at is None:
        return Need.LOOK if operation.abandoned is not None else Need.START
    return Need.ACT if operation.wish is not None else Need.OBSERVE


def is_expired(operation: Operation, now: datetime) -> bool:
    """Whether a preview, or the wait for approvals, is over."""
    return operation.expires_at is not None and now >= operation.expires_at


def propose(plan: Plan, *, operation_id: OperationId, by: Actor, channel_id: int, now: datetime) -> Operation:
    """Return an operation whose preview is shown."""
    return Operation(
        id=operation_id,
        plan=plan,
        state=State.REQUESTED,
        asked_by=by,
        asked_at=now,
        channel_id=channel_id,
        expires_at=now + PREVIEW_LASTS,
    )


def confirm(
    operation: Operation, *, by: Actor, approvals: int, policy: OperationPolicy, now: datetime
) -> Operation:
    """Have it wait for as many approvals as the grants or the plan ask for, or start."""
    needed = max(approvals, operation.plan.min_approvals)
    confirmed = replace(
        operation,
        asked_by=by,
        confirmed_at=now,
        approvals_needed=needed,
        channel_id=_channel_of(operation, policy),
    )
    if not needed:
        return _agreed(confirmed, now)
    return replace(confirmed, state=State.WAITING, expires_at=now + policy.approvals_expire)


def _channel_of(operation: Operation, policy: OperationPolicy) -> int:
    named = None if operation.plan.stays_here else policy.channel_id
    return operation.channel_id if named is None else named


def approve(
    operation: Operation, approvals: tuple[Approval, ...], *, needed: int, now: datetime
) -> Operation:
    """Return what waits with the approvals that count now; with enough of them it starts."""
    approved = replace(operation, approvals=approvals, approvals_needed=needed)
    return _agreed(approved, now) if len(approvals) >= needed else approved


def try_start(operation: Operation, *, now: datetime) -> Operation:
    """Count a try before it is made."""
    return replace(operation, attempts=operation.attempts + 1, tried_at=now)


def accept(operation: Operation, *, now: datetime) -> Operation:
    """Note that the other system has it; who wanted it away before that was known has it cancelled."""
    ending = operation.abandoned
    wish = Wish(CANCEL, ending.by, now) if ending is not None and ending.by is not None else operation.wish
    return _seen(replace(operation, accepted_at=operation.accepted_at or now, abandoned=None, wish=wish))


def abandon(operation: Operation, ending: Ending, *, now: datetime) -> Operation:
    """End what the other system was never told of; else have it looked for first."""
    if operation.was_begun:
        return replace(operation, abandoned=operation.abandoned or ending)
    return end(operation, ending.state, ending.outcome, now=now)


def look_again_at(operation: Operation) -> datetime | None:
    """Return from when on a start that is not found never got through; None: none was tried."""
    return None if operation.tried_at is None else operation.tried_at + SETTLED_AFTER


def wish(operation: Operation, what: str, *, by: Actor, now: datetime) -> Operation:
    """Note what a running operation is asked for."""
    if operation.accepted_at is None:
        ending = Ending(State.CANCELLED, f"Cancelled by {mention(by)} before it began.", by)
        return abandon(operation, ending, now=now)
    return replace(operation, wish=Wish(what, by, now), note="")


def fulfil(operation: Operation, fulfilled: Wish, note: str, *, granted: bool) -> Operation:
    """Note what became of a wish."""
    left = None if operation.wish == fulfilled else operation.wish
    if granted:
        operation = replace(operation, granted=fulfilled)
    return _seen(replace(operation, wish=left, note=note))


def observe(operation: Operation, progress: Progress, *, now: datetime) -> Operation:
    """Note what was seen; what runs does not go back to not having begun."""
    seen = _seen(replace(operation, progress=progress))
    if progress.state.is_final:
        return end(seen, progress.state, progress.outcome or _OUTCOMES[progress.state], now=now)
    return replace(seen, state=State.PROGRESSING) if progress.state is State.PROGRESSING else seen


def lose_sight(operation: Operation, problem: str, *, now: datetime) -> Operation:
    """Note that the other system cannot be seen, and since when."""
    return replace(operation, unseen_since=operation.unseen_since or now, problem=problem)


def end(operation: Operation, state: State, outcome: str, *, now: datetime) -> Operation:
    """Return what is over."""
    return replace(
        _seen(operation),
        state=state,
        outcome=outcome,
        ended_at=now,
        expires_at=None,
        wish=None,
        abandoned=None,
    )


def mention(actor: Actor) -> str:
    """Return how a person is named on a card; nobody is pinged by it."""
    return f"<@{actor.id}>" if actor.is_person else "The Machine"


_OUTCOMES: Final = {
    State.SUCCEEDED: "It succeeded.",
    State.FAILED: "It failed.",
    State.CANCELLED: "It was cancelled.",
    State.SUPERSEDED: "Another operation took its place.",
    State.LOST: "The other system says nothing of it any more: look there how it ended.",
}


def _agreed(operation: Operation, now: datetime) -> Operation:
    return replace(operation, state=State.STARTED, started_at=now, expires_at=None)


def _seen(operation: Operation) -> Operation:
    return replace(operation, unseen_since=None, problem="")
