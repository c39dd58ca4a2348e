"""An operation and all that is known of it: values.

What may become of it is decided in `bot.operations.life`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NewType

from bot.core.actor import Actor

OperationId = NewType("OperationId", str)
"""A random UUID as text; the conductor puts it into what it changes."""

CANCEL: Final = "cancel"
"""What every operation can be asked for once it runs."""


class State(StrEnum):
    """How far an operation is."""

    REQUESTED = "requested"
    """Its preview is shown to the one who asks, who has not confirmed it."""
    WAITING = "waiting"
    """Confirmed; others must approve."""
    STARTED = "started"
    """It is to begin now, or the other system has it and has not begun."""
    PROGRESSING = "progressing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Declined, withdrawn, not approved in time, or ended by somebody."""
    SUPERSEDED = "superseded"
    """Another one took its place in the other system."""
    LOST = "lost"
    """The other system says nothing of it any more, so nobody knows how it ended."""

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in _FINAL

    @property
    def is_active(self) -> bool:
        """Whether it keeps others away from its subject."""
        return self in _ACTIVE

    @property
    def is_running(self) -> bool:
        """Whether the conductor has to do with it."""
        return self in _RUNNING


_FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SUPERSEDED, State.LOST})
_RUNNING = frozenset({State.STARTED, State.PROGRESSING})
_ACTIVE = _RUNNING | {State.WAITING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the asker sees and confirms; made by the room that offers the operation, stored as JSON."""

    kind: str
    """Which conductor does it: `argocd.sync`."""
    action: str
    """What access decides: `argocd:sync`."""
    targets: tuple[str, ...]
    """The names of the thing in the access policy; the first one stands in the journal."""
    subject: str
    """The thing of which only one operation runs at a time: `app:argocd/shop`."""
    title: str
    """Plain: `Sync shop`."""
    doing: str
    """Plain, while it runs: `Syncing shop`."""
    done: str
    """Plain, once it succeeded: `Synced shop`."""
    system: str
    """Plain, the other system: `Argo CD`."""
    place: str = ""
    """Plain, where the thing is: `default / shop`."""
    body: tuple[str, ...] = ()
    """Lines of safe markup: from → to, what pruning deletes, windows, warnings."""
    brief: tuple[str, ...] = ()
    """Lines of safe markup, what of the body matters still once it runs: from → to. Empty: all of it."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What the conductor needs to start it: JSON."""
    namespace: str | None = None
    """For the journal: where it changes something."""
    app: str | None = None
    """For the journal: `<namespace>/<name>` of the Application."""
    noted: Mapping[str, str] = field(default_factory=dict)
    """For the journal, plain: `from` and `to`, which the words of a change are made of."""
    url: str | None = None
    """Opens it in the other system."""
    cancel_label: str = "Cancel"
    """What ending it early is called: `Terminate`; empty: it cannot be ended."""
    cancel_action: str = ""
    """What access decides for ending it early once it runs; empty: the same as for the operation."""
    details_action: str = ""
    """What access decides for reading all of it; empty: whoever sees the card may."""
    min_approvals: int = 0
    """How many others must approve whatever the grants say."""
    changes: bool = True
    """Whether it changes something when it succeeds; a dry run does not."""
    stays_here: bool = False
    """Whether it is shown where it was asked for, whatever the policy says: it is news for those there."""


def wish_label(plan: Plan, what: str) -> str:
    """Return what the button is called by which somebody asks for this."""
    return plan.cancel_label or "Cancel" if what == CANCEL else what.replace("-", " ").capitalize()


def wish_action(plan: Plan, what: str) -> str:
    """Return what access decides for asking for this."""
    return (plan.cancel_action if what == CANCEL else "") or plan.action


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a conductor saw."""

    state: State
    """STARTED: the other system has it and has not begun; PROGRESSING; or a final one."""
    fraction: float | None = None
    """From 0 to 1; None: nobody can say."""
    step: str = ""
    """Plain: `wave 2 of 3`."""
    body: tuple[str, ...] = ()
    """Lines of safe markup under the plan's: what it waits for, what failed with its own message."""
    counts: str = ""
    """Plain: `9 of 14 resources done · 0 failed`."""
    outcome: str = ""
    """Safe markup, a sentence for the end and the journal."""
    offers: tuple[str, ...] = ()
    """Words of [a-z-] for further buttons, which the conductor's `act` understands: `discard`."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """Small JSON that the next look is given: the fraction before, the number of retries."""

    def __post_init__(self) -> None:
        """Refuse what nobody can see in another system."""
        if not (self.state.is_running or self.state.is_final):
            raise ValueError(f"an operation that was begun is not {self.state.value}")


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody approved."""

    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody asked a running operation for something: to be cancelled, or one of its offers."""

    what: str
    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation is to end that may have begun already without our knowing."""

    state: State
    outcome: str
    """Safe markup."""
    by: Actor | None = None
    """Who wants it; None: it follows from something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What somebody asked of another system, and what is known of it."""

    id: OperationId
    plan: Plan
    state: State
    asked_by: Actor
    """With the roles held at the last click."""
    asked_at: datetime
    channel_id: int
    """Where its card belongs."""
    confirmed_at: datetime | None = None
    expires_at: datetime | None = None
    """When the preview, or the wait for approvals, is over."""
    approvals_needed: int = 0
    approvals: tuple[Approval, ...] = ()
    started_at: datetime | None = None
    """When everybody had agreed to it."""
    attempts: int = 0
    """How often the conductor was asked to start it; counted before it is asked."""
    tried_at: datetime | None = None
    """When the conductor was last asked to start it."""
    accepted_at: datetime | None = None
    """When it was first known that the other system has it."""
    abandoned: Ending | None = None
    """It is not to be started after all, and ends so unless the other system has it already."""
    wish: Wish | None = None
    """What it was asked for and has not been told yet."""
    granted: Wish | None = None
    """The last of what it was asked for that was done; a conductor may need to know who ended it."""
    note: str = ""
    """Safe markup: what became of the last wish."""
    progress: Progress | None = None
    """What was seen last."""
    unseen_since: datetime | None = None
    """Since when the other system cannot be seen."""
    problem: str = ""
    """Safe markup: why it cannot be seen."""
    outcome: str = ""
    """Safe markup: how it ended, a sentence."""
    ended_at: datetime | None = None
    trace: str | None = None
    """The click that had it begin, as a W3C traceparent; None where nobody traces."""

    @property
    def memory(self) -> Mapping[str, Any]:
        """What the conductor wanted to be reminded of."""
        return self.progress.memory if self.progress is not None else {}

    @property
    def was_begun(self) -> bool:
        """Whether the other system may have been told of it."""
        return self.attempts > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationPolicy:
    """What the configuration says about operations."""

    channel_id: int | None = None
    """Where cards go; None: where it was asked."""
    approvals_expire: timedelta = timedelta(minutes=30)
    start_within: timedelta = timedelta(minutes=10)
    """What could not be started for so long is not started any more."""
