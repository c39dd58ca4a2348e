"""What changed: entries of the journal, put together for somebody who looks for a cause.

An operation writes several entries; to such a reader they are one change of each thing
that it changed, told by who asked for it, what it did and how it ended. Pure; the
words are in `words.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.core.actor import Actor
from bot.journal.model import Entry, Outcome, Recorded, Scalar

STATE: Final = "state"
"""The detail in which an operation's entry says how far it is."""


class Ending(StrEnum):
    """How a change ended, as far as is known."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    LOST = "lost"
    """Nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One change."""

    at: datetime
    """When it was last said that something changed."""
    actor: Actor
    """Who asked for it; the bot itself where the change was only seen."""
    action: str
    target: str = ""
    detail: Mapping[str, Scalar] = field(default_factory=dict)
    ending: Ending = Ending.DONE
    namespace: str | None = None
    app: str | None = None
    incident: int | None = None
    operation: str | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of what changed in the access policy."""
        names = (
            self.target,
            f"namespace:{self.namespace}" if self.namespace else "",
            f"app:{self.app}" if self.app else "",
        )
        return tuple(dict.fromkeys(name for name in names if name))


_STATES: Final = {
    "started": Ending.RUNNING,
    "progressing": Ending.RUNNING,
    "succeeded": Ending.DONE,
    "failed": Ending.FAILED,
    "cancelled": Ending.CANCELLED,
    "superseded": Ending.SUPERSEDED,
    "lost": Ending.LOST,
}


def is_news(entry: Entry) -> bool:
    """Tell whether an entry tells of a change, or of how one goes on or ended."""
    is_step = entry.operation is not None and entry.detail.get(STATE) in _STATES
    return entry.change or (is_step and entry.outcome is not Outcome.REFUSED)


def card_of(changed: Changed) -> tuple[str, str] | None:
    """Return the kind and the key of the card that shows more of a change, as the rooms above name them."""
    if changed.operation is not None:
        return "operation", changed.operation
    return ("incident", str(changed.incident)) if changed.incident is not None else None


def changes_of(found: Sequence[Recorded], steps: Iterable[Recorded] = ()) -> list[Changed]:
    """Put entries together; `found` are changes, newest first, `steps` all entries of their operations.

    What was found stays in its order; what an operation changed stands where it was last said.
    """
    by_operation: dict[str, list[Recorded]] = {}
    for step in sorted(steps, key=lambda step: step.id):
        if step.entry.operation is not None and step.entry.outcome is not Outcome.REFUSED:
            by_operation.setdefault(step.entry.operation, []).append(step)
    changes: list[Changed] = []
    told: set[tuple[str, str]] = set()
    for recorded in found:
        operation, target = recorded.entry.operation, recorded.entry.target
        if operation is None:
            changes.append(_changed(recorded, [recorded]))
        elif (operation, target) not in told:
            told.add((operation, target))
            changes.append(_changed(recorded, by_operation.get(operation, [recorded])))
    return changes


def _changed(newest: Recorded, steps: Sequence[Recorded]) -> Changed:
    entry = newest.entry
    own = [step for step in steps if step.entry.target == entry.target]
    detail: dict[str, Scalar] = {}
    for step in own:
        detail |= step.entry.detail
    return Changed(
        at=newest.at,
        actor=next((step.entry.actor for step in steps if step.entry.actor.is_person), entry.actor),
        action=next((step.entry.action for step in own if step.entry.change), entry.action),
        target=entry.target,
        detail=detail,
        ending=_ending(own),
        namespace=entry.namespace,
        app=entry.app,
        incident=entry.incident,
        operation=entry.operation,
    )


def _ending(steps: Sequence[Recorded]) -> Ending:
    """Believe the newest step that says something of it: approvals and wishes do not."""
    for step in reversed(steps):
        if (ending := _STATES.get(str(step.entry.detail.get(STATE, "")))) is not None:
            return ending
        if step.entry.outcome is Outcome.FAILED:
            return Ending.FAILED
    return Ending.DONE
