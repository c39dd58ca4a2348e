"""Brings the schema to the version that this program was written for."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import structlog
from sqlalchemy import Connection, inspect, text

from bot.core.errors import UnavailableError
from bot.database.engine import Database
from bot.database.postgresql import is_kept_waiting

_LOCK = 7_420_418
_WAITS_FOR_A_TABLE = timedelta(seconds=2)
_PAUSE = timedelta(seconds=1)
_WAIT_NO_LONGER = text("SELECT set_config('lock_timeout', :time, true)")
_FOLDER = Path(__file__).parent / "migrations"

log = structlog.get_logger(__name__)


async def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations that are missing; several processes may ask at once.

    Neither a migration nor waiting for the process that runs it is bounded by the
    limit for a statement: a large table takes as long as it takes. Tables of a
    newer program are left alone: whoever goes back to the release before must
    be able to start it, and each migration lets that one go on. A table that
    somebody uses for long is waited for in small bits, so that others get past.
    """
    waits = False
    async with database.unhurried() as patient:
        while True:
            try:
                await _upgrade(patient, revision)
            except UnavailableError as error:
                if not is_kept_waiting(error):
                    raise
                if not waits:
                    log.warning("migration_waits", why="somebody reads or writes a table that it changes")
                waits = True
                await asyncio.sleep(_PAUSE.total_seconds())
            else:
                return


async def _upgrade(database: Database, revision: str) -> None:
    async with database.transaction() as tx:
        if not database.is_sqlite:
            await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            # Whoever waits for a table has all others wait behind him: a dump would stop every webhook.
            await tx.execute(
                _WAIT_NO_LONGER, {"time": f"{round(_WAITS_FOR_A_TABLE.total_seconds() * 1000)}ms"}
            )
        found = Revisions(*await tx.run_sync(_revisions))
        if found.is_of_a_newer_program:
            log.warning("tables_are_newer", present=found.present, known=found.newest)
            return
        if revision != "head" or not found.agree:
            await tx.run_sync(_migrate, "upgrade", revision)


async def downgrade(database: Database, revision: str) -> None:
    """Go back to an older version; for tests and for a release that is taken back."""
    async with database.transaction() as tx:
        await tx.run_sync(_migrate, "downgrade", revision)


@dataclass(frozen=True, slots=True)
class Revisions:
    """How old the tables are, and how old this program wants them."""

    present: str | None
    """None: there are no tables yet."""
    newest: str | None
    is_of_a_newer_program: bool
    """Whether this program does not know them."""

    @property
    def agree(self) -> bool:
        """Whether nothing is left to be migrated."""
        return self.present == self.newest


async def revisions(database: Database) -> Revisions:
    """Look how far the schema is; nothing is changed."""
    async with database.reading() as tx:
        return Revisions(*await tx.run_sync(_revisions))


def _revisions(connection: Connection) -> tuple[str | None, str | None, bool]:
    present = None
    if inspect(connection).has_table("alembic_version"):
        present = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    known = known_revisions()
    return present, known[-1], present is not None and present not in known


def known_revisions() -> list[str]:
    """Return the revisions that this program can make, the oldest first, by the names of their files."""
    return sorted(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def _migrate(connection: Connection, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    # Only here: most starts find the tables as they should be, and it is five megabytes and a moment.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    configuration = Config()
    configuration.set_main_option("script_location", str(_FOLDER))
    configuration.attributes["connection"] = connection
    run = command.upgrade if direction == "upgrade" else command.downgrade
    run(configuration, revision)
