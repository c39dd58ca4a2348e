"""Questions of operators and their answers: values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.access.model import Decision, Grant, Policy, decide
from bot.core.actor import Actor
from bot.core.durations import parse_duration
from bot.core.errors import InvalidError
from bot.core.findings import Finding
from bot.core.status import StatusLine
from bot.journal.changes import Changed
from bot.journal.model import Recorded


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Which of the things that people did are asked for; empty: no matter."""

    who: str = ""
    """The id of a person."""
    action: str = ""
    """A glob over actions."""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some of the record, newest first."""

    question: AuditQuestion
    entries: tuple[Recorded, ...]
    total: int
    """How many entries match, on all pages."""
    is_newest: bool
    """Whether nothing newer matches than what is on this page."""
    older_than: int | None
    """The id from which the next page goes on; None where nothing is older."""


@dataclass(frozen=True, slots=True)
class ChangesQuestion:
    """Which changes are asked for."""

    where: str
    """`namespace:shop`, `app:argocd/shop`, the name of either, or empty: everywhere."""
    since: datetime


@dataclass(frozen=True, slots=True)
class Places:
    """The namespaces and Applications that a word stands for; none: everywhere."""

    namespaces: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Their names in the access policy."""
        return (*(f"namespace:{name}" for name in self.namespaces), *(f"app:{name}" for name in self.apps))


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """Some of what changed, newest first."""

    question: ChangesQuestion
    changes: tuple[tuple[Changed, str], ...]
    """Each with the address of its card, or an empty one."""
    total: int
    """How many there are, on all pages."""
    is_all: bool
    """Whether none were left out because they are too many."""
    page: int
    """From 0."""
    pages: int


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """Who may do an action to a thing, and whether one of them, or one who asks, may."""

    action: str
    target: str
    """Empty: no thing in particular."""
    grants: tuple[Grant, ...] | None
    """Those that cover the action on the thing; None where no policy is configured."""
    decision: Decision
    """What would be decided for the one who was asked about."""


@dataclass(frozen=True, slots=True)
class About:
    """What this is, and since when it runs."""

    version: str
    started_at: datetime
    links: tuple[tuple[str, str], ...]
    """Names and addresses."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the bot is, part by part."""

    lines: tuple[StatusLine, ...]

    @property
    def ok(self) -> bool:
        """Whether every part is well."""
        return all(line.ok for line in self.lines)


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found of everything that could keep the bot from working."""

    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """What needs a look."""
        return tuple(finding for finding in self.findings if not finding.is_fine)


def parse_since(text: str, *, now: datetime) -> datetime:
    """Return the moment that `2h` (so long ago) or `2026-11-20` (that day's beginning, in UTC) stands for.

    Raises:
        InvalidError: It is neither.
    """
    written = text.strip()
    try:
        return datetime.strptime(written, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        return now - parse_duration(written)
    except (InvalidError, OverflowError) as error:
        raise InvalidError("Expected a time such as 2h, 7d or 2026-11-20.") from error


def places_named(text: str, known: Iterable[str]) -> Places:
    """Return what somebody means: a name alone is a namespace, and any Application of that name.

    `known` are the names of places in the access policy.
    """
    written = text.strip()
    kind, colon, name = written.partition(":")
    if not written:
        return Places()
    if colon and kind == "namespace":
        return Places((name,))
    if colon and kind == "app":
        return Places(apps=(name,))
    if "/" in written:
        return Places(apps=(written,))
    apps = tuple(each[4:] for each in known if each.startswith("app:") and each.endswith(f"/{written}"))
    return Places((written,), apps)


def answer_access(
    policy: Policy, action: str, targets: Sequence[str], subject: Actor, *, now: datetime
) -> AccessAnswer:
    """Say which grants let people do an action to a thing, and what holds for one of them."""
    grants = policy.grants
    covering = None if grants is None else tuple(grant for grant in grants if _covers(grant, action, targets))
    decision = decide(policy, subject, action, targets, now=now)
    return AccessAnswer(action, targets[0] if targets else "", covering, decision)


def _covers(grant: Grant, action: str, targets: Sequence[str]) -> bool:
    return grant.covers_action(action) and grant.covers_target(targets)
