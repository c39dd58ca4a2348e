"""The table of threads."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    Row,
    Table,
    Text,
    and_,
    bindparam,
    exists,
    or_,
    select,
    update,
)

from bot.cards.model import CardState
from bot.cards.store import card
from bot.cards.threads.model import Thread, ThreadState
from bot.database.engine import Transaction
from bot.database.schema import BigId, UtcDateTime, metadata

thread = Table(
    "thread",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("channel_id", BigId, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("over", Boolean, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("thread_id", BigId, unique=True),
    Column("told_name", Text),
    Column("told_archived", Boolean, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("delivered", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at", UtcDateTime),
)
_is_due = thread.c.wanted > thread.c.delivered
Index("ix_thread_due", thread.c.retry_at, sqlite_where=_is_due, postgresql_where=_is_due)

_waiting = card.alias()
_is_its_card = and_(
    card.c.kind == thread.c.kind, card.c.key == thread.c.key, card.c.channel_id == thread.c.channel_id
)
_PAUSED = (
    select(thread.c.thread_id)
    .join(card, card.c.posted_in == thread.c.thread_id)
    .where(thread.c.state == ThreadState.LIVE, card.c.wanted > card.c.delivered, card.c.failures > 0)
)


@dataclass(frozen=True, slots=True)
class Due:
    """A thread that does not agree, and where its card is."""

    thread: Thread
    posted_in: int
    message_id: int


async def find_thread(tx: Transaction, kind: str, key: str, channel_id: int) -> Thread | None:
    """Return the thread of a card."""
    row = (await tx.execute(select(thread).where(*_of(kind, key, channel_id)))).first()
    return _thread(row) if row is not None else None


async def find_by_id(tx: Transaction, thread_id: int) -> Thread | None:
    """Return a thread by its id at Discord."""
    row = (await tx.execute(select(thread).where(thread.c.thread_id == thread_id))).first()
    return _thread(row) if row is not None else None


async def list_live(tx: Transaction, kind: str, key: str) -> list[Thread]:
    """Return the threads of a card, in whichever channel, that are there."""
    rows = await tx.execute(
        select(thread).where(thread.c.kind == kind, thread.c.key == key, thread.c.state == ThreadState.LIVE)
    )
    return [_thread(row) for row in rows]


async def is_any(tx: Transaction) -> bool:
    """Return whether there ever was a thread, as far as they are kept."""
    return (await tx.execute(select(thread.c.key).limit(1))).first() is not None


async def list_due(tx: Transaction, *, now: datetime, limit: int) -> list[Due]:
    """Return the threads that do not agree and about which something can be done now.

    A thread is started when nothing else waits to be posted in its channel, and is
    archived when nothing waits to be shown in it.
    """
    rows = await tx.execute(_list_due, {"_now": now, "_limit": limit})
    return [Due(_thread(row), int(row.posted_in), int(row.message_id)) for row in rows]


def _somebody_waits(place: ColumnElement[int], *which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a card is to be shown in a place, put aside ones left out."""
    return exists().where(
        _waiting.c.posted_in == place,
        _waiting.c.wanted > _waiting.c.delivered,
        or_(_waiting.c.retry_at.is_(None), _waiting.c.retry_at <= bindparam("_now")),
        *which,
    )


_may_start = ~_somebody_waits(card.c.posted_in, _waiting.c.state != CardState.LIVE)
_may_change = ~_somebody_waits(thread.c.thread_id)
# What is asked after every card is put together once: that takes SQLAlchemy longer than running it.
_list_due = (
    select(thread, card.c.posted_in, card.c.message_id)
    .join(card, _is_its_card)
    .where(
        _is_due,
        thread.c.state != ThreadState.GONE,
        card.c.state == CardState.LIVE,
        or_(thread.c.retry_at.is_(None), thread.c.retry_at <= bindparam("_now")),
        or_(
            and_(thread.c.state == ThreadState.ABSENT, or_(thread.c.over, _may_start)),
            and_(thread.c.state == ThreadState.LIVE, or_(~thread.c.archived, _may_change)),
        ),
    )
    .order_by(card.c.priority.desc(), card.c.id)
    .limit(bindparam("_limit"))
)


async def find_next_retry(tx: Transaction) -> datetime | None:
    """Return when the next thread may be tried again."""
    moment: datetime | None = (await tx.execute(_next_retry)).scalar()
    return moment


_next_retry = (
    select(thread.c.retry_at)
    .where(_is_due, thread.c.state != ThreadState.GONE, thread.c.retry_at.is_not(None))
    .order_by(thread.c.retry_at)
    .limit(1)
)


async def is_paused(tx: Transaction, kind: str, key: str, channel_id: int) -> bool:
    """Say whether something that belongs into the thread of a card cannot be shown there."""
    return (await tx.execute(_PAUSED.where(*_of(kind, key, channel_id)).limit(1))).first() is not None


async def list_stuck(tx: Transaction) -> set[int]:
    """Return the threads about which, or in which, something was refused and is to be tried again later."""
    about = select(thread.c.thread_id).where(
        thread.c.state == ThreadState.LIVE, _is_due, thread.c.retry_at.is_not(None)
    )
    rows = [*(await tx.execute(_PAUSED)), *(await tx.execute(about))]
    return {int(row.thread_id) for row in rows}


async def try_again(tx: Transaction, thread_ids: Sequence[int]) -> None:
    """Have what was refused in these threads, or about them, tried again now."""
    await tx.execute(update(thread).where(thread.c.thread_id.in_(thread_ids)).values(retry_at=None))
    waits = card.c.wanted > card.c.delivered
    await tx.execute(update(card).where(card.c.posted_in.in_(thread_ids), waits).values(retry_at=None))


async def insert_thread(tx: Transaction, kind: str, key: str, channel_id: int, *, name: str) -> None:
    """Want a thread for a card."""
    await tx.execute(
        thread.insert().values(
            kind=kind,
            key=key,
            channel_id=channel_id,
            name=name,
            over=False,
            archived=False,
            state=ThreadState.ABSENT,
            told_archived=False,
            wanted=1,
            delivered=0,
            failures=0,
        )
    )


async def want(tx: Transaction, known: Thread, **values: object) -> None:
    """Have a thread looked at again that should be otherwise."""
    await tx.execute(
        update(thread)
        .where(*_which(known))
        .values(**values, wanted=thread.c.wanted + 1, failures=0, retry_at=None)
    )


async def mark_begun(tx: Transaction, known: Thread, *, begun: bool = True) -> None:
    """Note that a thread is being started, so that it is looked for then; or that none came of it."""
    await tx.execute(update(thread).where(*_which(known)).values(told_name=known.name if begun else None))


async def mark_live(tx: Transaction, known: Thread, *, thread_id: int) -> None:
    """Note that a thread was started, open and under the name that was wanted then.

    One that is to be in the archive does not agree yet.
    """
    await _agree(
        tx,
        known,
        state=ThreadState.LIVE,
        thread_id=thread_id,
        told_name=known.name,
        told_archived=False,
        delivered=known.delivered if known.archived else known.wanted,
    )


async def mark_told(
    tx: Transaction, known: Thread, *, archived: bool | None = None, name: str | None = None
) -> None:
    """Note what Discord was told of a thread, unless it was opened meanwhile: then it is told again."""
    told: dict[str, object] = {}
    if archived is not None:
        told["told_archived"] = archived
    if name is not None:
        told["told_name"] = name
    await tx.execute(
        update(thread)
        .where(*_which(known), thread.c.wanted == known.wanted)
        .values(**told, failures=0, retry_at=None)
    )


async def mark_agreed(tx: Transaction, known: Thread) -> None:
    """Note that there was nothing to tell of this version."""
    await _agree(tx, known, delivered=known.wanted)


async def mark_gone(tx: Transaction, known: Thread) -> None:
    """Note that somebody deleted a thread."""
    await _agree(tx, known, state=ThreadState.GONE, delivered=known.wanted)


async def mark_failed(tx: Transaction, known: Thread, *, retry_at: datetime) -> None:
    """Note that nothing can be done about a thread now, so that others go before it."""
    await tx.execute(
        update(thread).where(*_which(known)).values(failures=thread.c.failures + 1, retry_at=retry_at)
    )


async def forget(tx: Transaction, kind: str, keys: Sequence[str]) -> list[int]:
    """Forget the threads of these cards; they stay in Discord. Returns their ids there."""
    rows = await tx.execute(
        thread.delete().where(thread.c.kind == kind, thread.c.key.in_(keys)).returning(thread.c.thread_id)
    )
    return [int(row.thread_id) for row in rows if row.thread_id is not None]


async def forget_cards(tx: Transaction, thread_ids: Collection[int]) -> None:
    """Forget the cards that stand in threads; the messages stay."""
    if thread_ids:
        await tx.execute(card.delete().where(card.c.channel_id.in_(thread_ids)))


async def _agree(tx: Transaction, known: Thread, **values: object) -> None:
    await tx.execute(update(thread).where(*_which(known)).values(**values, failures=0, retry_at=None))


def _which(known: Thread) -> tuple[ColumnElement[bool], ...]:
    return _of(known.kind, known.key, known.channel_id)


def _of(kind: str, key: str, channel_id: int) -> tuple[ColumnElement[bool], ...]:
    return thread.c.kind == kind, thread.c.key == key, thread.c.channel_id == channel_id


def _thread(row: Row[Any]) -> Thread:
    values = {column.name: row._mapping[column] for column in thread.c}  # noqa: SLF001 — the documented way to columns
    values["state"] = ThreadState(values["state"])
    return Thread(**values)
