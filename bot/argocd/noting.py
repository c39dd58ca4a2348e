"""Notes in the journal what was deployed without us: each sync once, at the time when it was over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from bot.argocd import store
from bot.argocd.cluster import ArgoCluster
from bot.argocd.deployments import (
    FROM_THE_BEGINNING,
    Mark,
    as_sync,
    has_missed,
    is_ours,
    mark_after,
    missed,
)
from bot.argocd.detail import HistoryEntry
from bot.argocd.initiators import Initiator, initiator_of
from bot.argocd.model import Application, SyncPhase, SyncSummary
from bot.argocd.plans import noted_move
from bot.argocd.stories import Seen, finished_sync, name_of_initiator, sync_name
from bot.core.actor import THE_MACHINE
from bot.core.errors import BrokenError, NotFoundError
from bot.database.engine import Transaction
from bot.journal.changes import STATE
from bot.journal.model import Entry, Outcome
from bot.journal.service import Journal
from bot.operations import store as operations
from bot.operations.model import OperationId, State

log = structlog.get_logger(__name__)

SYNCED: Final = "argocd:synced"
"""What the journal calls a sync that was not ours."""

_LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One Application that is looked at."""

    application: Application
    seen: Seen | None
    is_new: bool
    """It came to be while we watched."""
    history: Sequence[HistoryEntry] = ()
    """Read only where it tells of something that was missed."""

    @property
    def is_first(self) -> bool:
        """Whether it was there before, but nobody looked at it yet."""
        return self.seen is None and not self.is_new


class SyncNotes:
    """Writes down what others deployed."""

    def __init__(self, journal: Journal, argo: ArgoCluster) -> None:
        """Take the journal, and where the histories are."""
        self._journal = journal
        self._argo = argo
        self._first_mark = Mark()

    async def prepare(self, tx: Transaction) -> None:
        """Learn how far everything was noted before this process began."""
        self._first_mark = Mark(None, await store.newest_finish(tx))

    async def read_history(
        self, application: Application, seen: Seen | None, *, first: Application | None, is_new: bool
    ) -> Sequence[HistoryEntry]:
        """Return the history if it tells of something that was missed; `first` is what the watch gave first.

        It is too large to be kept of thousands of Applications.

        Raises:
            UnavailableError: There was no answer; nothing may be noted until there is one.
        """
        marks = [self._mark(seen, is_new=is_new)]
        if first is not None and seen is None:
            marks.append(mark_after(first, None))
        if not any(has_missed(application, mark) for mark in marks):
            return ()
        try:
            return (await self._argo.read(application.key)).detail.history
        except NotFoundError:
            return ()
        except BrokenError as error:
            # Waiting for it would hold up the news of all.
            log.error("argocd_history_unread", app=str(application.key), why=str(error))  # noqa: TRY400 (a system outside)
            return ()

    async def note(self, tx: Transaction, look: Look) -> Seen:
        """Note what was deployed since the last look, oldest first; return what is remembered then."""
        application, before = look.application, look.seen or Seen()
        mark, deployed = self._mark(look.seen, is_new=look.is_new), before.deployed
        for entry in missed(application, look.history, mark):
            if not is_ours(entry):
                await self._append(tx, application, as_sync(entry), deployed)
            deployed = " ".join(entry.revisions)
        sync = finished_sync(application)
        if sync is not None and sync_name(sync) != before.sync and _is_noted(sync, look, mark):
            await self._note_last(tx, application, sync, deployed)
        after = mark_after(application, before.finished_at)
        name = sync_name(sync) if sync is not None else before.sync
        return replace(before, sync=name, history=after.number, finished_at=after.at)

    def _mark(self, seen: Seen | None, *, is_new: bool) -> Mark:
        """Return how far an Application is noted: of what is met for the first time, as far as all are."""
        if seen is not None:
            return Mark(seen.history, seen.finished_at)
        return FROM_THE_BEGINNING if is_new else self._first_mark

    async def _note_last(
        self, tx: Transaction, application: Application, sync: SyncSummary, deployed: str
    ) -> None:
        if initiator_of(sync) is Initiator.OURS and await self._is_kept(tx, sync.operation):
            return
        await self._append(tx, application, sync, deployed)

    async def _is_kept(self, tx: Transaction, operation: str) -> bool:
        return await operations.find(tx, OperationId(operation)) is not None

    async def _append(
        self, tx: Transaction, application: Application, sync: SyncSummary, deployed: str
    ) -> None:
        succeeded = sync.phase is SyncPhase.SUCCEEDED
        entry = Entry(
            actor=THE_MACHINE,
            action=SYNCED,
            target=f"app:{application.key}",
            outcome=Outcome.DONE if succeeded else Outcome.FAILED,
            reason="" if succeeded else sync.message[:_LONGEST_REASON],
            detail=_detail(sync, deployed.split()),
            namespace=application.destination.namespace or None,
            app=str(application.key),
            change=succeeded,
        )
        await self._journal.append(tx, entry, at=sync.finished_at)
        if sync.applied_in_part:
            # What failed is no change in the journal's eyes; what it applied all the same is one.
            detail = {**entry.detail, STATE: State.FAILED.value}
            part = replace(entry, outcome=Outcome.DONE, reason="applied in part", detail=detail, change=True)
            await self._journal.append(tx, part, at=sync.finished_at)


def _is_noted(sync: SyncSummary, look: Look, mark: Mark) -> bool:
    """Tell whether a sync is to be noted: of what is met for the first time only what is surely new."""
    if not look.is_first:
        return True
    ended = sync.finished_at
    return mark.at is not None and ended is not None and ended > mark.at


def _detail(sync: SyncSummary, deployed: Sequence[str]) -> Mapping[str, str]:
    """Return what the words of a change are made of: see `bot.journal.words`."""
    who = initiator_of(sync)
    name = name_of_initiator(sync)
    return {
        **({"by": name} if who in {Initiator.SOMEBODY, Initiator.KARGO, Initiator.OURS} and name else {}),
        **({"how": name} if who in {Initiator.AUTO_SYNC, Initiator.APPLICATION_SET} else {}),
        **noted_move(deployed, sync.revisions),
    }
