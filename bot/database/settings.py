"""What can be configured about the database."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr

from bot.configurable import FileTwin, Section

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
    """The address of the database: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`."""
