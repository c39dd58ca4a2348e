"""Which deployments of an Application nobody saw, and what is to be said of them. Pure.

The last sync stands whole in an Application. Of those before it the history tells, and only
of those that went well, were no dry runs and synced everything: the rest is gone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from bot.argocd.detail import HistoryEntry
from bot.argocd.model import Application, SyncPhase, SyncSummary
from bot.argocd.patches import USER_PREFIX


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the deployments of an Application are noted; an empty one: none is known to be missing."""

    number: int | None = None
    """The last in the history that is noted."""
    at: datetime | None = None
    """When the last sync was over that is noted."""

    def is_before(self, number: int, at: datetime | None) -> bool:
        """Tell whether a deployment came after it.

        The numbers begin anew where an Application was deleted and made again.
        """
        if self.number is not None and number > self.number:
            return True
        return self.at is not None and at is not None and at > self.at


FROM_THE_BEGINNING = Mark(-1)
"""Of an Application that came to be before our eyes."""


def has_missed(application: Application, mark: Mark) -> bool:
    """Tell whether there are deployments that only the whole history can tell of."""
    return any(mark.is_before(number, at) for number, at in _before_the_last_sync(application))


def missed(application: Application, history: Iterable[HistoryEntry], mark: Mark) -> list[HistoryEntry]:
    """Return the deployments to be noted beside the last sync, oldest first."""
    last = last_number(application)
    found = [
        entry
        for entry in history
        if last is not None and entry.id <= last and mark.is_before(entry.id, entry.deployed_at)
    ]
    return sorted(found, key=lambda entry: entry.id)


def last_number(application: Application) -> int | None:
    """Return the last in the history that is not of the last sync; None where there is no history."""
    if application.deployed is None:
        return None
    return application.deployed.id - _is_of_the_last_sync(application)


def mark_after(application: Application, before: datetime | None) -> Mark:
    """Return the mark once all of an Application is noted; what runs is noted when it is over."""
    sync, deployed = application.last_sync, application.deployed
    is_open = sync is not None and not sync.is_over and _is_of_the_last_sync(application)
    ends = [before]
    if sync is not None and sync.is_over:
        ends.append(sync.finished_at)
    if deployed is not None and not is_open:
        ends.append(deployed.at)
    number = deployed.id - is_open if deployed is not None else None
    return Mark(number, max((end for end in ends if end is not None), default=None))


def as_sync(entry: HistoryEntry) -> SyncSummary:
    """Return the sync that a deployment came from, as far as the history knows it."""
    return SyncSummary(
        phase=SyncPhase.SUCCEEDED,
        started_at=entry.started_at,
        finished_at=entry.deployed_at,
        by=entry.by,
        automated=entry.automated,
        revisions=entry.revisions,
    )


def is_ours(entry: HistoryEntry) -> bool:
    """Tell whether it was asked for through the bot, whose operation is noted with more words."""
    return entry.by.startswith(USER_PREFIX)


def _before_the_last_sync(application: Application) -> Iterator[tuple[int, datetime | None]]:
    deployed = application.deployed
    if deployed is None:
        return
    if not _is_of_the_last_sync(application):
        yield deployed.id, deployed.at
    for entry in application.earlier:
        yield entry.id, entry.at


def _is_of_the_last_sync(application: Application) -> bool:
    """Tell whether the last deployment is what the last sync did; it is written down before that is over."""
    sync, deployed = application.last_sync, application.deployed
    if sync is None or deployed is None or sync.dry_run or sync.selective:
        return False
    if sync.is_over:
        return sync.phase is SyncPhase.SUCCEEDED
    return sync.started_at is None or deployed.at is None or deployed.at >= sync.started_at
