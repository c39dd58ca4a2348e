"""Brings the schema to the version that this program was written for."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from bot.database.engine import Database

_LOCK = 7_420_418


async def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations that are missing; several processes may ask at once."""
    async with database.transaction() as tx:
        if not database.is_sqlite:
            await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await tx.run_sync(lambda connection: command.upgrade(config(connection), revision))


async def downgrade(database: Database, revision: str) -> None:
    """Go back to an older version; for tests and for a release that is taken back."""
    async with database.transaction() as tx:
        await tx.run_sync(lambda connection: command.downgrade(config(connection), revision))


def config(connection: Connection) -> Config:
    """Configure Alembic for a connection that is open."""
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    configuration.attributes["connection"] = connection
    return configuration
