"""Looks at everything: the program, its database, and the systems outside."""

import platform
from importlib.metadata import version

from bot.core.findings import Finding
from bot.examination.database import check_database
from bot.examination.online import check_online
from bot.settings.tree import Settings
from bot.version import VERSION


async def examine(settings: Settings, *, online: bool = True) -> list[Finding]:
    """Return what was found of the database and of the systems outside; raises nothing."""
    return [
        check_program(),
        *await check_database(settings.database.url.get_secret_value()),
        *(await check_online(settings) if online else ()),
    ]


def check_program() -> Finding:
    """Say which versions run."""
    text = f"The Machine {VERSION}, Python {platform.python_version()}, discord.py {version('discord.py')}"
    return Finding("program", is_fine=True, text=text)
