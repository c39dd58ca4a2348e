"""What a member asks for who may not change a whitelist: an operator decides. Values and pure decisions."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.core.errors import ConflictError

MOST_WAITING: Final = 3
"""Requests of one person that may wait at the same time."""


class RequestState(StrEnum):
    """How far a request is."""

    WAITING = "waiting"
    ADDED = "added"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Somebody wants a player on the whitelist of a server."""

    server: str
    player: str
    asked_by: str
    """Discord's id."""
    asked_at: datetime
    asked_in: int
    """The channel in which the one who asks is told how it ended."""
    note: str = ""
    """Plain text of the one who asks."""
    number: int = 0
    state: RequestState = RequestState.WAITING
    settled_by: str | None = None
    settled_at: datetime | None = None
    outcome: str = ""
    """Plain: what the server said, or why not."""

    def numbered(self, number: int) -> "Request":
        """Return it with its number."""
        return replace(self, number=number)

    def settle(self, state: RequestState, *, by: str, outcome: str, now: datetime) -> "Request":
        """Return it settled.

        Raises:
            ConflictError: It is settled already; the text says by whom.
        """
        if self.state is not RequestState.WAITING:
            raise ConflictError(
                f"This request is settled already: {self.state.value} by <@{self.settled_by}>."
            )
        return replace(self, state=state, settled_by=by, settled_at=now, outcome=outcome)

    def refuse_if_settled(self) -> None:
        """Refuse to settle it a second time.

        Raises:
            ConflictError: It is settled already; the text says by whom.
        """
        if self.state is not RequestState.WAITING:
            raise ConflictError(
                f"This request is settled already: {self.state.value} by <@{self.settled_by}>."
            )
