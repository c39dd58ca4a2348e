"""Single remembered facts, by name: small things that must survive a restart."""

from sqlalchemy import Column, Table, Text, delete, select

from bot.database.engine import Transaction
from bot.database.schema import metadata

fact = Table("fact", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))


async def find_fact(tx: Transaction, name: str) -> str | None:
    """Return what was last remembered under a name."""
    value: str | None = (await tx.execute(select(fact.c.value).where(fact.c.name == name))).scalar()
    return value


async def set_fact(tx: Transaction, name: str, value: str) -> None:
    """Remember a value under a name in place of the one before."""
    await tx.execute(delete(fact).where(fact.c.name == name))
    await tx.execute(fact.insert().values(name=name, value=value))
