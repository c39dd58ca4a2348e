"""The table of due times and its queries."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    Column,
    Executable,
    Index,
    Integer,
    Table,
    Text,
    bindparam,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from bot.database.engine import Transaction
from bot.database.schema import BigId, UtcDateTime, metadata
from bot.timers.model import Claim, TimerState, retry_after

timer = Table(
    "timer",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("claimed_until", UtcDateTime),
)

_IS_PENDING = timer.c.state == TimerState.PENDING.value
_PENDING_TEXT = "state = 'pending'"

Index(
    "uq_timer_pending",
    timer.c.kind,
    timer.c.subject,
    unique=True,
    sqlite_where=text(_PENDING_TEXT),
    postgresql_where=text(_PENDING_TEXT),
)
Index(
    "ix_timer_pending_due_at",
    timer.c.due_at,
    sqlite_where=text(_PENDING_TEXT),
    postgresql_where=text(_PENDING_TEXT),
)


async def put_timer(tx: Transaction, kind: str, subject: str, due_at: datetime) -> None:
    """Save a pending timer in place of the pending one of the same kind and subject."""
    fresh = {"due_at": due_at, "attempt": 0, "claimed_until": None}
    values = {"kind": kind, "subject": subject, "state": TimerState.PENDING.value, **fresh}
    await tx.execute(_PUT[tx.dialect], values)


def _put(fresh: postgresql.Insert | sqlite.Insert) -> Executable:
    new = fresh.excluded
    return fresh.on_conflict_do_update(
        index_elements=[timer.c.kind, timer.c.subject],
        index_where=text(_PENDING_TEXT),
        set_={"due_at": new.due_at, "attempt": new.attempt, "claimed_until": new.claimed_until},
    )


# What every alert needs is put together once: that takes SQLAlchemy longer than running it.
_PUT = {"postgresql": _put(postgresql.insert(timer)), "sqlite": _put(sqlite.insert(timer))}


async def delete_pending(tx: Transaction, kind: str, subject: str) -> bool:
    """Delete the pending timer of a kind and subject; tell whether there was one."""
    deleted = await tx.execute(_delete_pending, {"_kind": kind, "_subject": subject})
    return deleted.rowcount > 0


_delete_pending = delete(timer).where(
    timer.c.kind == bindparam("_kind"), timer.c.subject == bindparam("_subject"), _IS_PENDING
)


async def find_due_at(tx: Transaction, kind: str, subject: str) -> datetime | None:
    """Return when the pending timer of a kind and subject is due."""
    due_at: datetime | None = (
        await tx.execute(
            select(timer.c.due_at).where(timer.c.kind == kind, timer.c.subject == subject, _IS_PENDING)
        )
    ).scalar()
    return due_at


async def claim_due(tx: Transaction, kinds: Collection[str], *, now: datetime, limit: int) -> list[Claim]:
    """Claim what is due, what was tried least first, and count the try."""
    due = (
        select(timer)
        .where(
            _IS_PENDING,
            timer.c.due_at <= now,
            timer.c.kind.in_(kinds),
            or_(timer.c.claimed_until.is_(None), timer.c.claimed_until <= now),
        )
        .order_by(timer.c.attempt, timer.c.due_at, timer.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claims = [
        Claim(row.id, row.kind, row.subject, row.due_at, row.attempt + 1, now + retry_after(row.attempt + 1))
        for row in (await tx.execute(due)).all()
    ]
    if claims:
        counted = update(timer).where(timer.c.id == bindparam("of"))
        await tx.execute(
            counted.values(attempt=bindparam("n"), claimed_until=bindparam("until", type_=UtcDateTime())),
            [{"of": claim.id, "n": claim.attempt, "until": claim.claimed_until} for claim in claims],
        )
    return claims


async def finish(tx: Transaction, claim: Claim) -> bool:
    """Mark a claimed timer as done; False when it was cancelled, replaced or claimed again meanwhile."""
    finished = await tx.execute(
        update(timer)
        .where(
            timer.c.id == claim.id,
            _IS_PENDING,
            timer.c.attempt == claim.attempt,
            timer.c.claimed_until == claim.claimed_until,
        )
        .values(state=TimerState.DONE.value)
    )
    return finished.rowcount == 1


async def find_next(tx: Transaction, kinds: Collection[str]) -> datetime | None:
    """Return when the next timer can be claimed."""
    pending = (_IS_PENDING, timer.c.kind.in_(kinds))
    # Two plain questions, as each uses an index; few timers are ever claimed.
    free = select(func.min(timer.c.due_at)).where(*pending, timer.c.claimed_until.is_(None))
    claimed = select(func.min(timer.c.claimed_until)).where(*pending, timer.c.claimed_until.is_not(None))
    moments = [(await tx.execute(question)).scalar() for question in (free, claimed)]
    return min((moment for moment in moments if moment is not None), default=None)


async def delete_done(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Delete timers that are done and were due before a moment; return how many."""
    old = (
        select(timer.c.id).where(timer.c.state == TimerState.DONE.value, timer.c.due_at < before).limit(limit)
    )
    return (await tx.execute(delete(timer).where(timer.c.id.in_(old)))).rowcount
