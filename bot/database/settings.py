"""What can be configured about the database."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from bot.configurable import Duration, FileTwin, Section
from bot.database.limits import Limits

_DRIVERS = ("sqlite+aiosqlite:///", "postgresql+asyncpg://")


def _known_driver(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(_DRIVERS):
        raise ValueError("expected sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME")
    return url


class DatabaseSettings(Section):
    """Where everything is kept."""

    url: Annotated[SecretStr, AfterValidator(_known_driver), FileTwin()] = SecretStr(
        "sqlite+aiosqlite:///machine.db"
    )
    """The address of the database: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`.
    In a password `@`, `/`, `%` and `:` are written as `%40`, `%2F`, `%25` and `%3A`. What is left out is
    taken from PostgreSQL's own variables: `postgresql+asyncpg://` with `PGHOST`, `PGUSER`, `PGPASSWORD`,
    `PGDATABASE`.
    """
    pool_size: int = Field(default=8, ge=2, le=200)
    """Connections to PostgreSQL that a replica keeps; one more listens to the other replicas."""
    pool_overflow: int = Field(default=4, ge=0, le=200)
    """Further connections to PostgreSQL for a moment in which all are in use."""
    pool_timeout: Duration = timedelta(seconds=5)
    """How long to wait for a free connection to PostgreSQL, and for a new one."""
    statement_timeout: Duration = timedelta(seconds=10)
    """How long a statement may take in PostgreSQL; migrations take as long as they need."""

    @property
    def limits(self) -> Limits:
        """How much of a PostgreSQL one process takes."""
        return Limits(
            pool_size=self.pool_size,
            pool_overflow=self.pool_overflow,
            pool_timeout=self.pool_timeout,
            statement_timeout=self.statement_timeout,
        )
