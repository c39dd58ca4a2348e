"""Single remembered facts, by name: small things that must survive a restart."""

from sqlalchemy import Column, Table, Text, delete, select

from bot.database.engine import Database, Transaction
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


async def forget_fact(tx: Transaction, name: str) -> None:
    """Forget what was remembered under a name."""
    await tx.execute(delete(fact).where(fact.c.name == name))


class FactMemory:
    """One remembered fact, for those who know nothing of the database."""

    def __init__(self, database: Database, name: str) -> None:
        """Take the database and the name of the fact."""
        self._database = database
        self._name = name

    async def get(self) -> str | None:
        """Return what was remembered."""
        async with self._database.reading() as tx:
            return await find_fact(tx, self._name)

    async def set(self, value: str, /) -> None:
        """Remember it."""
        async with self._database.transaction() as tx:
            await set_fact(tx, self._name, value)
