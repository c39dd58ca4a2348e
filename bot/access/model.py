"""The access policy as a value, and the one pure decision over it.

An action is `<group>:<command>` of the slash commands. A thing is given by all of
its names (`app:argocd/shop`, `namespace:shop`, `project:default` …); a grant covers
the thing when any of its globs matches any of those names. In a glob `*` stands for
any run of characters, `/` and `:` included, `?` for one, `[ab]` for one of several;
case counts. What is not granted is denied. Among the grants that match, the strictest
counts: the highest number of approvals, and where any of them is limited to windows of
time, one of those windows must be open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from bot.access.windows import Window, next_opening
from bot.core.actor import Actor

KNOWN_ACTIONS: tuple[str, ...] = (
    "alerts:list",
    "alerts:show",
    "alerts:ack",
    "alerts:unack",
    "alerts:silence",
    "alerts:unsilence",
    "alerts:resolve",
    "alerts:graph",
    "alerts:stats",
    "alerts:explain-route",
    "alerts:test",
    "oncall:who",
    "oncall:schedule",
    "oncall:override",
    "oncall:swap",
    "oncall:page",
    "oncall:handover",
    "argocd:list",
    "argocd:status",
    "argocd:tree",
    "argocd:sync",
    "argocd:refresh",
    "argocd:diff",
    "argocd:history",
    "argocd:rollback",
    "argocd:terminate",
    "kargo:pipeline",
    "kargo:freight",
    "kargo:promote",
    "kargo:approve",
    "kargo:abort",
    "kargo:verify",
    "kargo:refresh",
    "secrets:list",
    "secrets:status",
    "secrets:sync",
    "secrets:rotate",
    "secrets:schedule",
    "minecraft:status",
    "minecraft:players",
    "minecraft:history",
    "minecraft:whitelist",
    "minecraft:request",
    "minecraft:start",
    "minecraft:stop",
    "machine:status",
    "machine:doctor",
    "machine:audit",
    "machine:changes",
    "machine:access",
    "machine:about",
)
"""Every action that a grant can speak of, in the order of the commands."""

_MAX_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Lets some people do some things to some things."""

    name: str
    """Where it stands in the configuration, for the person who looks for it."""
    roles: frozenset[str] = frozenset()
    """Ids of Discord roles; holding one of them is enough."""
    users: frozenset[str] = frozenset()
    """Ids of Discord users."""
    may: tuple[str, ...]
    """Globs over actions."""
    on: tuple[str, ...] = ("*",)
    """Globs over the names of the thing."""
    approvals: int = 0
    """How many other people must approve."""
    during: tuple[Window, ...] = ()
    """When it holds: while any of these is open; none: always."""

    def is_for(self, actor: Actor) -> bool:
        """Tell whether the actor is named by this grant."""
        return actor.id in self.users or not self.roles.isdisjoint(actor.roles)

    def covers_action(self, action: str) -> bool:
        """Tell whether the action is among those granted."""
        return _matches_any([action], self.may)

    def covers_target(self, targets: Sequence[str]) -> bool:
        """Tell whether any of the names is covered; an action that needs no thing always is."""
        return not targets or _matches_any(targets, self.on)


@dataclass(frozen=True, slots=True)
class Policy:
    """All the grants; None where the configuration has no `access` section."""

    grants: tuple[Grant, ...] | None = None


class Reason(StrEnum):
    """Why a decision came out as it did."""

    GRANTED = "granted"
    SYSTEM = "system"
    """The bot itself acts."""
    ADMINISTRATOR = "administrator"
    """There is no policy, and the actor is an administrator of the guild."""
    NO_POLICY = "no_policy"
    """There is no policy, and the actor is no administrator."""
    NO_GRANT = "no_grant"
    """No grant of the actor covers the action."""
    OTHER_TARGET = "other_target"
    """A grant of the actor covers the action, but on other things."""
    CLOSED = "closed"
    """What the actor is granted is limited to windows of time, and none of them is open."""
    OWN_REQUEST = "own_request"
    """The one who asked cannot approve."""
    NOT_A_PERSON = "not_a_person"
    """Only people approve."""

    @property
    def allows(self) -> bool:
        """Tell the reasons to let somebody act from the reasons to refuse."""
        return self in {Reason.GRANTED, Reason.SYSTEM, Reason.ADMINISTRATOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether somebody may act, and why."""

    reason: Reason
    approvals: int = 0
    """How many other people must approve before it happens."""
    grant: Grant | None = None
    """The grant that decided: among those that match, the one that asks for most approvals."""
    missing: str = ""
    """For a refusal: what is missing, as a sentence for the one who asked."""

    @property
    def allowed(self) -> bool:
        """Whether the actor may."""
        return self.reason.allows


def decide(
    policy: Policy,
    actor: Actor,
    action: str,
    targets: Sequence[str] = (),
    *,
    now: datetime,
    at_any_time: bool = False,
) -> Decision:
    """Decide whether the actor may do the action to the thing that has these names.

    Among the grants that match, the highest number of approvals counts. With `at_any_time`
    windows do not matter, as for ending what was begun in one.
    """
    if not actor.is_person:
        return Decision(reason=Reason.SYSTEM)
    if policy.grants is None:
        return _decide_without_policy(actor, action, targets)
    for_action = [grant for grant in policy.grants if grant.is_for(actor) and grant.covers_action(action)]
    matching = [grant for grant in for_action if grant.covers_target(targets)]
    if not matching:
        reason = Reason.OTHER_TARGET if for_action else Reason.NO_GRANT
        return _refusal(reason, action, targets)
    holding = matching if at_any_time else _holding(matching, now)
    if not holding:
        return _closed([window for grant in matching for window in grant.during], action, targets, now)
    strictest = max(holding, key=lambda grant: grant.approvals)
    return Decision(reason=Reason.GRANTED, approvals=strictest.approvals, grant=strictest)


def decide_approval(
    policy: Policy,
    actor: Actor,
    action: str,
    targets: Sequence[str] = (),
    *,
    requested_by: str,
    now: datetime,
) -> Decision:
    """Decide whether the actor may approve what the person with id `requested_by` asked for.

    Whoever may do a thing may approve it, except the one who asked.
    """
    if not actor.is_person:
        return Decision(reason=Reason.NOT_A_PERSON, missing="only a person can approve")
    if actor.id == requested_by:
        return Decision(reason=Reason.OWN_REQUEST, missing="somebody else must approve what you asked for")
    return decide(policy, actor, action, targets, now=now)


def may_approve(
    policy: Policy,
    actor: Actor,
    action: str,
    targets: Sequence[str] = (),
    *,
    requested_by: str,
    now: datetime,
) -> bool:
    """Tell whether the actor may approve what the person with id `requested_by` asked for."""
    return decide_approval(policy, actor, action, targets, requested_by=requested_by, now=now).allowed


def _holding(matching: Sequence[Grant], now: datetime) -> list[Grant]:
    """Return the grants that hold now; none, where some are limited and all of those are closed."""
    limited = [grant for grant in matching if grant.during]
    open_now = [grant for grant in limited if any(window.is_open(now) for window in grant.during)]
    if limited and not open_now:
        return []
    return [grant for grant in matching if not grant.during or grant in open_now]


def _closed(windows: Sequence[Window], action: str, targets: Sequence[str], now: datetime) -> Decision:
    opening = next_opening(windows, now)
    when = f"it opens on {opening:%A %d %B %Y at %H:%M} ({opening.tzinfo})" if opening else "never again"
    on = f" on {' / '.join(_code(target) for target in targets)}" if targets else ""
    return Decision(
        reason=Reason.CLOSED,
        missing=f"{_code(action)}{on} is granted to you only at certain times: {when}",
    )


def _decide_without_policy(actor: Actor, action: str, targets: Sequence[str]) -> Decision:
    if actor.administrator:
        return Decision(reason=Reason.ADMINISTRATOR)
    return _refusal(Reason.NO_POLICY, action, targets)


def _refusal(reason: Reason, action: str, targets: Sequence[str]) -> Decision:
    on = f" on {' / '.join(_code(target) for target in targets)}" if targets else ""
    wanted = f'may: ["{_plain(action)}"]'
    if reason is Reason.NO_POLICY:
        missing = (
            f"Only administrators may do {_code(action)}{on} while no access policy is configured; "
            f"ask for a grant with {wanted}"
        )
    elif reason is Reason.OTHER_TARGET:
        missing = (
            f"You are granted {_code(action)}, but not{on}; "
            f'ask for a grant with {wanted} and on: ["{_plain(targets[0])}"]'
        )
    else:
        missing = f"Nobody granted you {_code(action)}{on}; ask for a grant with {wanted}"
    return Decision(reason=reason, missing=missing)


def _matches_any(names: Iterable[str], globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for name in names for glob in globs)


def _code(name: str) -> str:
    return f"`{_plain(name)}`"


def _plain(name: str) -> str:
    # A name may come from outside; it must not leave the code span that it is shown in.
    kept = "".join(char for char in name if char.isprintable() and char not in '`"')
    return kept if len(kept) <= _MAX_NAME else kept[: _MAX_NAME - 1] + "…"
