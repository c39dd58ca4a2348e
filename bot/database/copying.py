"""Moves everything from one database into another one that is empty, as from SQLite to PostgreSQL.

All of it is one transaction there: either the whole record has moved, or nothing has.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Executable,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    exists,
    func,
    insert,
    inspect,
    literal,
    literal_column,
    select,
    text,
    tuple_,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError

from bot.core.errors import BrokenError, ConflictError
from bot.database.engine import Database, Transaction
from bot.database.leadership import leadership
from bot.database.migrate import revisions, upgrade
from bot.database.schema import metadata

_BATCH = 100
"""Rows that are held at once; a delivery's body may be large."""


async def copy_everything(source: Database, target: Database) -> dict[str, int]:
    """Copy every row and say how many of which table; the target's tables are made.

    Raises:
        ConflictError: The source has tables of another version, or the target holds something.
        BrokenError: The target refuses a row, or there are tables that nobody declared; nothing is copied.
        UnavailableError: A database does not answer; nothing is copied.
    """
    await _check_version(source)
    await upgrade(target)
    async with source.reading() as old, target.unhurried() as patient, patient.transaction() as new:
        await _check_empty(new)
        copied = {table.name: await _copy_table(old, new, table) for table in metadata.sorted_tables}
        # Whoever led there does not lead here; the epochs go on from his.
        await new.execute(leadership.update().values(expires_at=None))
        for table in metadata.sorted_tables:
            await _continue_counting(old, new, table)
    return copied


async def _check_version(source: Database) -> None:
    found = await revisions(source)
    if not found.agree:
        raise ConflictError(
            f"The tables to copy are of {found.present or 'no version'}, not {found.newest}: "
            "run machine migrate there first."
        )
    async with source.reading() as tx:
        there = set(await tx.run_sync(lambda connection: inspect(connection).get_table_names()))
    if left_out := there - {*metadata.tables, "alembic_version"}:
        raise BrokenError(f"Tables that this program does not know would be left out: {', '.join(left_out)}.")


async def _check_empty(tx: Transaction) -> None:
    for table in metadata.sorted_tables:
        if (await tx.execute(select(exists().select_from(table)))).scalar_one():
            raise ConflictError(
                f"The database to copy to is not empty: {table.name} has rows. Name another one."
            )


async def _copy_table(old: Transaction, new: Transaction, table: Table) -> int:
    copied = 0
    put = insert(table).values({column.name: _given(column) for column in table.c})
    async for rows in _batches(old, table):
        try:
            await new.execute(put, rows)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            raise BrokenError(f"The database to copy to refuses a row of {table.name}.") from error
        copied += len(rows)
    if (there := (await new.execute(select(func.count()).select_from(table))).scalar_one()) != copied:
        raise BrokenError(f"{copied} rows of {table.name} were copied, but {there} are there.")
    return copied


async def _batches(tx: Transaction, table: Table) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    key = tuple_(*table.primary_key.columns)
    wanted: Select[Any] = select(*map(_taken, table.c)).order_by(*table.primary_key.columns).limit(_BATCH)
    page = wanted
    while rows := (await tx.execute(page)).mappings().all():
        yield [dict(row) for row in rows]
        last = [literal(rows[-1][column.name], column.type) for column in table.primary_key.columns]
        page = wanted.where(key > tuple_(*last))


def _taken(column: "Column[Any]") -> Any:
    """Take a JSON document as the text that it is: read and written again it could be another one."""
    return type_coerce(column, Text).label(column.name) if isinstance(column.type, JSON) else column


def _given(column: "Column[Any]") -> Any:
    if isinstance(column.type, JSON):
        return cast(bindparam(column.name, type_=Text), JSON)
    return bindparam(column.name, type_=column.type)


async def _continue_counting(old: Transaction, new: Transaction, table: Table) -> None:
    """Have the next row take a number that no row ever had."""
    column = table.autoincrement_column
    if column is None or new.dialect != "postgresql":
        return
    last = (await new.execute(select(func.coalesce(func.max(column), 0)))).scalar_one()
    if table.dialect_options["sqlite"]["autoincrement"] and old.dialect == "sqlite":
        # It remembers rows that are gone.
        ever = (await old.execute(_EVER, {"name": table.name})).scalar()
        last = max(last, ever or 0)
    if last:
        await new.execute(_set_sequence(table.name, column.name), {"last": last})


_EVER = text("SELECT seq FROM sqlite_sequence WHERE name = :name")


def _set_sequence(table: str, column: str) -> Executable:
    sequence = func.pg_get_serial_sequence(table, column)
    return select(func.setval(sequence, bindparam("last"), literal_column("true")))
