"""The table of notices."""

from datetime import datetime

from sqlalchemy import Column, Integer, Table, Text, select, update

from bot.cards.notices.model import Notice
from bot.database.engine import Transaction
from bot.database.schema import BigId, UtcDateTime, metadata

notice = Table(
    "notice",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)


async def find_notice(tx: Transaction, number: int) -> Notice | None:
    """Return a notice by its number."""
    row = (await tx.execute(select(notice).where(notice.c.id == number))).first()
    return Notice(**row._mapping) if row is not None else None  # noqa: SLF001 — the documented way to columns


async def find_latest(tx: Transaction, key: str) -> Notice | None:
    """Return the newest notice of a key."""
    newest = select(notice).where(notice.c.key == key).order_by(notice.c.id.desc()).limit(1)
    row = (await tx.execute(newest)).first()
    return Notice(**row._mapping) if row is not None else None  # noqa: SLF001 — the documented way to columns


async def insert_notice(tx: Transaction, *, key: str, title: str, text: str, now: datetime) -> int:
    """Store a notice; return its number."""
    values = {"key": key, "title": title, "text": text, "count": 1, "first_at": now, "last_at": now}
    return int((await tx.execute(notice.insert().values(values).returning(notice.c.id))).scalar_one())


async def count_up(tx: Transaction, number: int, *, text: str, now: datetime) -> None:
    """Note that it happened again, and what is to be said now."""
    again = {"count": notice.c.count + 1, "text": text, "last_at": now}
    await tx.execute(update(notice).where(notice.c.id == number).values(again))


async def purge(tx: Transaction, *, before: datetime) -> int:
    """Forget notices of things that happened last before a moment; the messages stay."""
    return (await tx.execute(notice.delete().where(notice.c.last_at < before))).rowcount
