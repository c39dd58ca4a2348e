"""Whether those who agreed to an operation still may: asked at each click and when it starts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from bot.access.service import Access
from bot.core.actor import Actor
from bot.core.errors import UnavailableError
from bot.operations.model import Approval, Operation

LookUp = Callable[[Actor], Awaitable[Actor | None]]
"""Returns a person with the roles held now; None: not here any more. Raises `UnavailableError`."""

log = structlog.get_logger(__name__)


async def as_clicked(actor: Actor) -> Actor | None:
    """Take people as they were when they last pressed something."""
    return actor


@dataclass(frozen=True, slots=True)
class Standing:
    """What the policy says now of those who agreed."""

    refusal: str
    """Why the asker may not any more; empty: they may."""
    needed: int
    """How many must approve."""
    approvals: tuple[Approval, ...]
    """Those that count."""

    @property
    def lacks(self) -> int:
        """How many approvals are missing."""
        return max(0, self.needed - len(self.approvals))


class Rights:
    """Asks the policy, with people as they are now."""

    def __init__(self, access: Access, look_up: LookUp = as_clicked) -> None:
        """Take the policy, and who knows what roles people hold."""
        self.access = access
        self._look_up = look_up

    async def of(self, operation: Operation, *, but: Actor | None = None) -> Standing:
        """Say who may still; `but` is the one who clicks, known as they are already."""
        asker = await self._as_now(operation.asked_by, but)
        people = [await self._as_now(each.by, but) for each in operation.approvals]
        return self._judge(operation, asker, people)

    def _judge(self, operation: Operation, asker: Actor | None, people: Sequence[Actor | None]) -> Standing:
        plan = operation.plan
        if asker is None:
            return Standing("Whoever asked is not a member of the server any more.", 0, ())
        decision = self.access.decide(asker, plan.action, plan.targets)
        counted = tuple(
            given
            for given, who in zip(operation.approvals, people, strict=True)
            if who is not None
            and self.access.decide_approval(who, plan.action, plan.targets, requested_by=asker.id).allowed
        )
        return Standing(
            refusal="" if decision.allowed else f"{decision.missing}.",
            needed=max(plan.min_approvals, decision.approvals),
            approvals=counted,
        )

    async def _as_now(self, actor: Actor, known: Actor | None) -> Actor | None:
        if known is not None and known.id == actor.id:
            return known
        if not actor.is_person:
            return actor
        try:
            return await self._look_up(actor)
        except UnavailableError as error:
            log.warning("roles_unknown", actor=actor.id, why=str(error))
            return actor
