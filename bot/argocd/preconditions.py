"""Whether Argo CD would do what somebody asks for, decided on a fresh read before anything is written.

Whoever writes an operation into an Application passes every check that
argocd-server makes; the controller then fails late, silently drops it or keeps it
for hours. So each case is refused here, with what to do instead.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.argocd.detail import ApplicationDetail, HistoryEntry
from bot.argocd.model import Application, ResourceKey, SyncPhase
from bot.argocd.patches import SyncOrder
from bot.argocd.progress import WaitsFor, parse_wait
from bot.argocd.sets import ApplicationSet
from bot.argocd.windows import WindowDecision, WindowReason
from bot.core.errors import ConflictError, InvalidError, NotFoundError, RefusedError

_BLOCKED: Final = "blocked by sync window"
_REVISION: Final = re.compile(r"[^-\x00-\x20\x7f][^\x00-\x1f\x7f]{0,249}")


class Refusal(StrEnum):
    """Why something is not even tried."""

    DELETING = "deleting"
    NOT_LOOKED_AFTER = "not-looked-after"
    SKIPS_RECONCILE = "skips-reconcile"
    ASKED_FOR_ALREADY = "asked-for-already"
    RUNNING_ALREADY = "running-already"
    ORPHANED = "orphaned"
    CANNOT_COMPARE = "cannot-compare"
    INVALID_SPECIFICATION = "invalid-specification"
    WINDOW_DENIES = "window-denies"
    WINDOW_NOT_OPEN = "window-not-open"
    WINDOW_UNREADABLE = "window-unreadable"
    MOVED_ON = "moved-on"
    OTHER_REVISION = "other-revision"
    REVISIONS_DO_NOT_FIT = "revisions-do-not-fit"
    ODD_REVISION = "odd-revision"
    UNKNOWN_RESOURCE = "unknown-resource"
    AUTO_SYNC_ON = "auto-sync-on"
    AUTO_SYNC_ON_BY_SET = "auto-sync-on-by-set"
    UNKNOWN_ENTRY = "unknown-entry"
    ENTRY_WITHOUT_SOURCE = "entry-without-source"
    NOTHING_RUNS = "nothing-runs"
    NOT_BEGUN = "not-begun"
    BLOCKED_BY_WINDOW = "blocked-by-window"
    TERMINATING_ALREADY = "terminating-already"
    CAN_TERMINATE = "can-terminate"
    NOTHING_TO_CONFIRM = "nothing-to-confirm"
    SET_DELETING = "set-deleting"


_TEXTS: Final[Mapping[Refusal, str]] = {
    Refusal.DELETING: (
        "This Application is being deleted. If it should stay, create it again once it is gone; "
        "if it hangs, look at its finalizers."
    ),
    Refusal.NOT_LOOKED_AFTER: (
        "No Argo CD controller has looked at this Application yet, so nothing would come of it. "
        "Check that one runs and that it serves this namespace (`application.namespaces`)."
    ),
    Refusal.SKIPS_RECONCILE: (
        "Argo CD leaves this Application alone because of its annotation "
        "`argocd.argoproj.io/skip-reconcile`. Remove that first."
    ),
    Refusal.ASKED_FOR_ALREADY: (
        "Another sync of this Application was asked for already. "
        "Wait until it is over, or stop it with `/argocd terminate`."
    ),
    Refusal.RUNNING_ALREADY: (
        "Another sync of this Application is running. "
        "Wait until it is over, or stop it with `/argocd terminate`."
    ),
    Refusal.ORPHANED: (
        "A former sync of this Application says that it runs, but nobody asks for it any more: a new one "
        "would go on with it. Use `/argocd terminate` to discard it, then ask again."
    ),
    Refusal.CANNOT_COMPARE: (
        "Argo CD cannot work out what this Application should be, so a sync would only fail. "
        "Mend what it says, then `/argocd refresh` it; or give a revision that is better, "
        "or go back with `/argocd rollback`."
    ),
    Refusal.INVALID_SPECIFICATION: (
        "Argo CD says that the specification of this Application is wrong, so a sync would only fail. "
        "Mend what it says, then `/argocd refresh` it."
    ),
    Refusal.WINDOW_DENIES: (
        "A sync window forbids syncing this Application now. Ask again when it has closed, "
        "or have the window changed in its project."
    ),
    Refusal.WINDOW_NOT_OPEN: (
        "This Application may be synced only while one of its sync windows is open, and none is. "
        "Ask again then, or have the windows changed in its project."
    ),
    Refusal.WINDOW_UNREADABLE: (
        "A sync window of this Application has a schedule or duration that cannot be read; "
        "Argo CD syncs nothing until that is mended in its project."
    ),
    Refusal.MOVED_ON: (
        "Something else was deployed since this was shown. Ask again to see what a sync would do now."
    ),
    Refusal.OTHER_REVISION: (
        "Auto-sync is on: it would put back what the Application follows at once. Change the target "
        "revision in Git, or leave the revision out. A dry run may have any."
    ),
    Refusal.REVISIONS_DO_NOT_FIT: (
        "This Application has several sources: give one revision for each, separated by commas, and "
        "nothing where it should stay at what the source follows, such as `,1.4.2`."
    ),
    Refusal.ODD_REVISION: (
        "That is no revision: give a branch, a tag, a commit or a chart's version, "
        "which does not begin with a hyphen."
    ),
    Refusal.UNKNOWN_RESOURCE: (
        "The Application has no such resource. Choose from what completes as you type; "
        "hooks cannot be chosen."
    ),
    Refusal.AUTO_SYNC_ON: (
        "Auto-sync is on: it would undo a rollback at once. Revert the commit in Git, "
        "or switch auto-sync off there first (`syncPolicy.automated.enabled: false`)."
    ),
    Refusal.AUTO_SYNC_ON_BY_SET: (
        "Auto-sync is on and comes from an ApplicationSet: it would undo a rollback at once. Revert the "
        "commit in Git, or switch auto-sync off in the template of the ApplicationSet first."
    ),
    Refusal.UNKNOWN_ENTRY: (
        "The history of this Application has no such entry (any more). See `/argocd history`."
    ),
    Refusal.ENTRY_WITHOUT_SOURCE: (
        "This entry of the history does not say what it was deployed from, so it cannot be deployed "
        "again. Choose another one from `/argocd history`, or revert the commit in Git."
    ),
    Refusal.NOTHING_RUNS: "No sync of this Application is running: there is nothing to stop.",
    Refusal.NOT_BEGUN: "This sync has not begun: it cannot be stopped, only discarded.",
    Refusal.BLOCKED_BY_WINDOW: (
        "A sync window keeps this sync waiting, and would keep its termination waiting, too: "
        "discard it instead."
    ),
    Refusal.TERMINATING_ALREADY: "This sync is being stopped already. Wait for its end.",
    Refusal.CAN_TERMINATE: (
        "This sync is at work: to discard it could leave the Application half applied. "
        "Stop it with `/argocd terminate` instead."
    ),
    Refusal.NOTHING_TO_CONFIRM: "This sync does not wait for anybody to confirm a deletion.",
    Refusal.SET_DELETING: "This ApplicationSet is being deleted. Look at its finalizers if it hangs.",
}

_CONFLICTS: Final = frozenset(
    {
        Refusal.ASKED_FOR_ALREADY,
        Refusal.RUNNING_ALREADY,
        Refusal.ORPHANED,
        Refusal.TERMINATING_ALREADY,
        Refusal.DELETING,
        Refusal.MOVED_ON,
        Refusal.SET_DELETING,
        Refusal.NOTHING_RUNS,
        Refusal.NOTHING_TO_CONFIRM,
    }
)
_UNKNOWN: Final = frozenset({Refusal.UNKNOWN_ENTRY, Refusal.UNKNOWN_RESOURCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What is not tried, why, and what to do instead."""

    reason: Refusal
    by: str = ""
    """Whose sync is in the way: raw text from outside."""
    details: tuple[str, ...] = ()
    """What Argo CD says about it, or what was not found: raw text from outside."""
    until: datetime | None = None
    """When to ask again, where that is known."""

    @property
    def text(self) -> str:
        """Sentences that are safe to show; nothing from outside is in them."""
        return _TEXTS[self.reason]

    def error(self, more: str = "") -> RefusedError:
        """Return what a service raises; `more` is safe text that is put behind."""
        text = f"{self.text} {more}".strip()
        if self.reason in _UNKNOWN:
            return NotFoundError(text)
        return ConflictError(text) if self.reason in _CONFLICTS else InvalidError(text)


def read_revisions(application: Application, typed: str) -> tuple[str, ...]:
    """Return what somebody typed as revisions, one per source: `main`, or `main,1.4.2` for several."""
    if not typed.strip():
        return ()
    if not application.multi_source:
        return (typed.strip(),)
    return tuple(part.strip() for part in typed.split(","))


def sync_refusal(
    detail: ApplicationDetail, order: SyncOrder, *, window: WindowDecision, opens_at: datetime | None = None
) -> Refused | None:
    """Say why a sync is not begun, or None if it can be."""
    return (
        _not_free(detail)
        or _not_comparable(detail, elsewhere=any(order.revisions))
        or _odd_revisions(detail.application, order)
        or _unknown_resources(detail, order.selected)
        or _closed(window, opens_at)
    )


def moved_refusal(application: Application, deployed: Sequence[str]) -> Refused | None:
    """Say why what was shown does not hold any more, or None: the same runs as did then."""
    runs = application.deployed.revisions if application.deployed is not None else ()
    return Refused(reason=Refusal.MOVED_ON) if deployed and tuple(deployed) != tuple(runs) else None


def rollback_refusal(
    detail: ApplicationDetail, entry_id: int, *, window: WindowDecision, opens_at: datetime | None = None
) -> Refused | None:
    """Say why an entry of the history is not deployed again, or None if it can be."""
    return (
        _not_free(detail)
        or _undone_at_once(detail.application)
        or _odd_entry(detail, entry_id)
        or _not_comparable(detail, elsewhere=True)
        or _closed(window, opens_at)
    )


def find_entry(detail: ApplicationDetail, entry_id: int) -> HistoryEntry | None:
    """Return an entry of the history."""
    return next((entry for entry in detail.history if entry.id == entry_id), None)


def terminate_refusal(detail: ApplicationDetail) -> Refused | None:
    """Say why the running sync is not stopped, or None if it can be."""
    run = detail.run
    if run is None or run.phase.is_final:
        waits = detail.request is not None
        return Refused(reason=Refusal.NOT_BEGUN if waits else Refusal.NOTHING_RUNS)
    if detail.request is None:
        return Refused(reason=Refusal.ORPHANED)
    if _BLOCKED in run.message:
        return Refused(reason=Refusal.BLOCKED_BY_WINDOW)
    if run.phase is SyncPhase.TERMINATING:
        return Refused(reason=Refusal.TERMINATING_ALREADY)
    return None


def discard_refusal(detail: ApplicationDetail) -> Refused | None:
    """Say why a sync is not taken away, or None if it has not begun or can neither end nor be stopped."""
    refused = terminate_refusal(detail)
    if refused is None:
        return Refused(reason=Refusal.CAN_TERMINATE)
    if refused.reason in {Refusal.NOT_BEGUN, Refusal.ORPHANED, Refusal.BLOCKED_BY_WINDOW}:
        return None
    return refused


def confirm_refusal(detail: ApplicationDetail) -> Refused | None:
    """Say why there is nothing to confirm, or None if a deletion waits for it."""
    run = detail.run
    wait = parse_wait(run.message) if run and not run.phase.is_final else None
    if wait is None or wait.why is not WaitsFor.CONFIRMATION:
        return Refused(reason=Refusal.NOTHING_TO_CONFIRM)
    return None


def refresh_refusal(detail: ApplicationDetail) -> Refused | None:
    """Say why comparing again would lead to nothing, or None."""
    if detail.application.skips_reconcile:
        return Refused(reason=Refusal.SKIPS_RECONCILE)
    return None


def refresh_set_refusal(application_set: ApplicationSet) -> Refused | None:
    """Say why an ApplicationSet does not generate again, or None."""
    return Refused(reason=Refusal.SET_DELETING) if application_set.deleting else None


def _not_free(detail: ApplicationDetail) -> Refused | None:
    """Say what keeps any operation from being begun."""
    application, run = detail.application, detail.run
    if application.deleting:
        return Refused(reason=Refusal.DELETING)
    if application.skips_reconcile:
        return Refused(reason=Refusal.SKIPS_RECONCILE)
    if run is not None and not run.phase.is_final:
        reason = Refusal.ORPHANED if detail.request is None else Refusal.RUNNING_ALREADY
        return Refused(reason=reason, by=run.request.by)
    if detail.request is not None:
        return Refused(reason=Refusal.ASKED_FOR_ALREADY, by=detail.request.by)
    if application.reconciled_at is None:
        return Refused(reason=Refusal.NOT_LOOKED_AFTER)
    return None


def _not_comparable(detail: ApplicationDetail, *, elsewhere: bool) -> Refused | None:
    """Say what keeps Argo CD from trying; it compares anew with where a sync goes, if that is elsewhere."""
    for type_, reason in (
        ("InvalidSpecError", Refusal.INVALID_SPECIFICATION),
        ("ComparisonError", Refusal.CANNOT_COMPARE),
    ):
        said = tuple(each.message for each in detail.conditions if each.type == type_)
        if said and not (elsewhere and reason is Refusal.CANNOT_COMPARE):
            return Refused(reason=reason, details=said)
    return None


def _odd_revisions(application: Application, order: SyncOrder) -> Refused | None:
    asked = order.revisions
    if not any(asked):
        return None
    followed = tuple(source.target_revision or "HEAD" for source in application.sources)
    expected = len(followed) if application.multi_source else 1
    if len(asked) != expected:
        return Refused(reason=Refusal.REVISIONS_DO_NOT_FIT)
    odd = tuple(revision for revision in asked if revision and _REVISION.fullmatch(revision) is None)
    if odd:
        return Refused(reason=Refusal.ODD_REVISION, details=odd)
    others = any(revision and revision != follows for revision, follows in zip(asked, followed, strict=False))
    if application.auto_sync.enabled and others and not order.dry_run:
        return Refused(reason=Refusal.OTHER_REVISION)
    return None


def _unknown_resources(detail: ApplicationDetail, selected: Sequence[ResourceKey]) -> Refused | None:
    known = {resource.key for resource in detail.resources if not resource.hook}
    known |= {key._replace(namespace="") for key in known}
    unknown = tuple(str(key) for key in selected if key not in known)
    return Refused(reason=Refusal.UNKNOWN_RESOURCE, details=unknown) if unknown else None


def _undone_at_once(application: Application) -> Refused | None:
    if not application.auto_sync.enabled:
        return None
    by_set = bool(application.application_set)
    return Refused(reason=Refusal.AUTO_SYNC_ON_BY_SET if by_set else Refusal.AUTO_SYNC_ON)


def _odd_entry(detail: ApplicationDetail, entry_id: int) -> Refused | None:
    entry = find_entry(detail, entry_id)
    if entry is None:
        return Refused(reason=Refusal.UNKNOWN_ENTRY)
    if not entry.raw_sources and not (detail.hydrated and entry.revisions):
        return Refused(reason=Refusal.ENTRY_WITHOUT_SOURCE)
    return None


def _closed(window: WindowDecision, opens_at: datetime | None) -> Refused | None:
    match window.reason:
        case WindowReason.DENIED:
            return Refused(reason=Refusal.WINDOW_DENIES, until=opens_at)
        case WindowReason.OUTSIDE:
            return Refused(reason=Refusal.WINDOW_NOT_OPEN, until=opens_at)
        case WindowReason.UNREADABLE:
            return Refused(reason=Refusal.WINDOW_UNREADABLE)
    return None
