"""What cards show of operations: a read, then the pure card."""

from typing import Final

from bot.chat.rendered import Rendered
from bot.database.engine import Database
from bot.operations import store
from bot.operations.card import render_operation
from bot.operations.model import OperationId

OPERATION: Final = "operation"
"""The kind of their cards; the key is the id."""


class OperationCards:
    """Renders operations that were confirmed; what is no longer kept has no card."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render the operation of this id."""
        del channel_id
        async with self._database.reading() as tx:
            operation = await store.find(tx, OperationId(key))
        return render_operation(operation) if operation is not None else None
