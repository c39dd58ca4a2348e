"""How much of a PostgreSQL one process takes."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a PostgreSQL one process takes."""

    pool_size: int = 8
    """Connections that are kept."""
    pool_overflow: int = 4
    """More of them for a moment."""
    pool_timeout: timedelta = timedelta(seconds=5)
    """How long to wait for a free one, and for a new one to be made."""
    statement_timeout: timedelta | None = timedelta(seconds=10)
    """How long a statement may take; None: as long as it needs."""
