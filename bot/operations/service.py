"""What people do with operations, and the loop that follows them."""

from collections.abc import Callable
from datetime import timedelta

from bot.access.service import Access
from bot.cards.store import Cards
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.database.engine import Database
from bot.journal.service import Journal
from bot.operations.conductor import Conductor
from bot.operations.model import Operation, OperationId, Plan


class Operations:
    """The use cases of people, and what is done by and by."""

    def __init__(
        self,
        database: Database,
        access: Access,
        cards: Cards,
        journal: Journal,
        *,
        clock: Clock,
        make_id: Callable[[], OperationId],
    ) -> None:
        """Take the leading database and the rooms below."""

    def register(self, kind: str, conductor: Conductor) -> None:
        """Say who does the operations of a kind."""
        raise NotImplementedError

    async def propose(self, plan: Plan, *, by: Actor, channel_id: int) -> Operation:
        """Keep a plan until the asker confirms its preview, at most 15 minutes."""
        raise NotImplementedError

    async def confirm(self, operation_id: OperationId, *, by: Actor) -> Operation:
        """Have it start, or wait for approvals; pressed again it changes nothing."""
        raise NotImplementedError

    async def approve(self, operation_id: OperationId, *, by: Actor) -> Operation:
        """Note that somebody else agrees; with the last approval it starts."""
        raise NotImplementedError

    async def decline(self, operation_id: OperationId, *, by: Actor, why: str = "") -> Operation:
        """End it before it starts; the asker withdraws it by this."""
        raise NotImplementedError

    async def act(self, operation_id: OperationId, what: str, *, by: Actor) -> Operation:
        """Have it cancelled, or have one of its offers done."""
        raise NotImplementedError

    async def get(self, operation_id: OperationId) -> Operation:
        """Return an operation; raises `NotFoundError`."""
        raise NotImplementedError

    async def find_active(self, subject: str) -> Operation | None:
        """Return the operation that is active on a subject."""
        raise NotImplementedError

    async def list_active(self) -> list[Operation]:
        """Return what waits or runs, the oldest first."""
        raise NotImplementedError

    async def list_recent(self, *, limit: int = 25) -> list[Operation]:
        """Return the newest that were confirmed, newest first."""
        raise NotImplementedError

    async def step(self) -> timedelta | None:
        """Start what is to start, look at what runs; returns when the next look is due."""
        raise NotImplementedError

    def wake(self, id_or_subject: str | None = None) -> None:
        """Look soon at what is named, or at everything; others are passed over at no cost."""
        raise NotImplementedError
