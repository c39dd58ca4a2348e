"""What each kind of operation brings along: how it is begun, seen and ended in its system."""

from typing import Protocol

from bot.core.actor import Actor
from bot.operations.model import Operation, Progress


class Conductor(Protocol):
    """Does the operations of one kind.

    It may be asked the same thing again at any time: after a restart, after an
    answer that did not arrive. One thing is asked at a time for one operation.
    """

    async def start(self, operation: Operation) -> None:
        """Begin it, unless it is there already: looks for its id first.

        Raises:
            RefusedError: Nothing was begun, and will not be.
            BrokenError: The same, and somebody must look.
            UnavailableError: Perhaps it was begun; asked again later.
        """
        ...

    async def has_begun(self, operation: Operation) -> bool:
        """Look whether a start got through whose answer did not; changes nothing.

        True as well when it has ended or was superseded meanwhile: `observe` then says so.

        Raises:
            UnavailableError: It cannot be seen now.
        """
        ...

    async def observe(self, operation: Operation) -> Progress:
        """Look how far it is; `operation.memory` is what the last look left. LOST only when that is sure.

        Raises:
            UnavailableError: It cannot be seen now.
        """
        ...

    async def act(self, operation: Operation, what: str, *, by: Actor) -> None:
        """Do what somebody asked for: `cancel`, or one of the offers. Asked again, it does no harm.

        Raises:
            RefusedError: It cannot be done; the text is shown on the card.
            UnavailableError: Perhaps it was done; asked again later.
        """
        ...
