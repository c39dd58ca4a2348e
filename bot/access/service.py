"""The door that every action passes at the moment of acting."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from bot.access.model import Decision, Grant, Policy, decide, decide_approval
from bot.access.windows import Window
from bot.core.actor import Actor
from bot.core.clock import Clock, SystemClock
from bot.core.errors import InvalidError, NotAllowedError
from bot.telemetry.metrics import AUTHORIZATION_DENIED

if TYPE_CHECKING:
    from bot.access.settings import AccessSettings, GrantSettings

_log = structlog.get_logger(__name__)


class Access:
    """The policy in force."""

    def __init__(self, policy: Policy, clock: Clock | None = None) -> None:
        """Start with a policy, and the clock by which its windows open."""
        self._policy = policy
        self._clock = clock or SystemClock()

    @property
    def policy(self) -> Policy:
        """The policy in force, for showing who may do what."""
        return self._policy

    def use(self, policy: Policy) -> None:
        """Put another policy in force; what is asked from now on is decided by it."""
        self._policy = policy

    def decide(
        self, actor: Actor, action: str, targets: Sequence[str] = (), *, at_any_time: bool = False
    ) -> Decision:
        """Say what would be decided; nothing is refused or counted."""
        now = self._clock.now()
        return decide(self._policy, actor, action, targets, now=now, at_any_time=at_any_time)

    def decide_approval(
        self, actor: Actor, action: str, targets: Sequence[str] = (), *, requested_by: str
    ) -> Decision:
        """Say what would be decided about an approval; nothing is refused or counted."""
        now = self._clock.now()
        return decide_approval(self._policy, actor, action, targets, requested_by=requested_by, now=now)

    def check(
        self, actor: Actor, action: str, targets: Sequence[str] = (), *, at_any_time: bool = False
    ) -> Decision:
        """Return the decision that lets the actor act, with the approvals it asks for.

        With `at_any_time` windows do not matter.

        Raises:
            NotAllowedError: with the text that names the missing grant.
        """
        decision = self.decide(actor, action, targets, at_any_time=at_any_time)
        return _let_pass(decision, actor, action, targets)

    def check_approval(
        self, actor: Actor, action: str, targets: Sequence[str] = (), *, requested_by: str
    ) -> Decision:
        """Return the decision that lets the actor approve what `requested_by` asked for.

        Raises:
            NotAllowedError: with the text that says why not.
        """
        decision = self.decide_approval(actor, action, targets, requested_by=requested_by)
        return _let_pass(decision, actor, action, targets)


def compile_policy(settings: "AccessSettings | None", roles: Mapping[str, str]) -> Policy:
    """Build the policy of a configuration; `roles` are our role names with their Discord ids.

    Raises:
        InvalidError: when a grant names a role that the configuration does not know.
    """
    if settings is None:
        return Policy(None)
    return Policy(tuple(_compile_grant(i, grant, roles) for i, grant in enumerate(settings.grants)))


def _compile_grant(index: int, grant: "GrantSettings", roles: Mapping[str, str]) -> Grant:
    name = f"access.grants[{index}]"
    unknown = [role for role in grant.roles if role not in roles]
    if unknown:
        known = ", ".join(sorted(roles)) or "none"
        raise InvalidError(f"{name}: there is no role {unknown[0]} in discord.roles (known: {known})")
    return Grant(
        name=name,
        roles=frozenset(str(roles[role]) for role in grant.roles),
        users=frozenset(str(user) for user in grant.users),
        may=tuple(grant.may),
        on=tuple(grant.on),
        approvals=grant.approvals,
        during=tuple(Window(each.schedule, each.duration, each.timezone) for each in grant.during),
    )


def _let_pass(decision: Decision, actor: Actor, action: str, targets: Sequence[str]) -> Decision:
    if not decision.allowed:
        AUTHORIZATION_DENIED.labels(action=action).inc()
        _log.info(
            "authorization_denied",
            actor=actor.id,
            action=action,
            targets=list(targets),
            reason=decision.reason.value,
        )
        raise NotAllowedError(decision.missing)
    return decision
