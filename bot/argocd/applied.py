"""Notes in the journal what a sync of ours changed although it did not go well.

An operation that succeeded is noted as a change by whoever follows it. One that
failed half-way, or left the Application degraded, changed something as well: it
is what people look for when an alert begins.
"""

from bot.argocd.model import ResultStatus, SyncRun
from bot.database.engine import Database
from bot.journal.model import Entry, Filter
from bot.journal.service import Journal
from bot.operations.model import Operation

_MOST_ENTRIES = 100
_APPLIED = frozenset({ResultStatus.SYNCED, ResultStatus.PRUNED})


class Applied:
    """Writes that down, once for each operation."""

    def __init__(self, database: Database, journal: Journal) -> None:
        """Take the leading database and the journal."""
        self._database = database
        self._journal = journal

    async def note(self, operation: Operation, run: SyncRun | None, *, words: str) -> None:
        """Note that a sync which ended otherwise applied something, if it did."""
        if run is None or run.request.dry_run or not any(each.status in _APPLIED for each in run.results):
            return
        plan = operation.plan
        entry = Entry(
            actor=operation.asked_by,
            action=plan.action,
            target=plan.targets[0] if plan.targets else plan.subject,
            reason=words,
            detail={"title": plan.title},
            namespace=plan.namespace,
            app=plan.app,
            operation=operation.id,
            change=True,
        )
        async with self._database.transaction() as tx:
            known = await self._journal.list_entries(tx, Filter(operation=operation.id), limit=_MOST_ENTRIES)
            if not any(each.entry.change for each in known):
                await self._journal.append(tx, entry)
