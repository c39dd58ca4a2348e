"""Notes in the journal what a sync of ours changed, where whoever follows operations does not.

An operation that succeeds is noted as a change by those. One that fails half-way or
leaves its Application degraded changed something as well, and so does each part of
the sync of a whole tree: that is what people look for when an alert begins.
"""

from bot.argocd.detail import SyncRun
from bot.argocd.model import Application, ResultStatus
from bot.database.engine import Database
from bot.journal.model import Entry, Filter
from bot.journal.service import Journal
from bot.operations.model import Operation

_MOST_ENTRIES = 100
_APPLIED = frozenset({ResultStatus.SYNCED, ResultStatus.PRUNED})


class Applied:
    """Writes that down, once for each operation and Application."""

    def __init__(self, database: Database, journal: Journal) -> None:
        """Take the leading database and the journal."""
        self._database = database
        self._journal = journal

    async def note(
        self, operation: Operation, application: Application, run: SyncRun | None, *, words: str
    ) -> None:
        """Note that a sync applied something, if it did; `words` say how it ended."""
        if run is None or run.request.dry_run or not any(each.status in _APPLIED for each in run.results):
            return
        app = str(application.key)
        entry = Entry(
            actor=operation.asked_by,
            action=operation.plan.action,
            target=f"app:{app}",
            reason=words,
            detail={"title": operation.plan.title},
            namespace=application.destination.namespace or None,
            app=app,
            operation=operation.id,
            change=True,
        )
        wanted = Filter(operation=operation.id, app=app)
        async with self._database.transaction() as tx:
            known = await self._journal.list_entries(tx, wanted, limit=_MOST_ENTRIES)
            if not any(each.entry.change for each in known):
                await self._journal.append(tx, entry)
