"""`machine migrate`: brings the tables up to date; the bot does the same when it starts."""

import asyncio
from argparse import ArgumentParser, Namespace

from bot.cli.configuration import add_config_argument, load_configuration
from bot.database.engine import Database
from bot.database.migrate import Revisions, revisions, upgrade


def add_arguments(parser: ArgumentParser) -> None:
    """Take the configuration's file."""
    add_config_argument(parser)


def run(arguments: Namespace) -> int:
    """Run the migrations that are missing and say from where to where."""
    url = load_configuration(arguments).settings.database.url.get_secret_value()
    before, after = asyncio.run(_migrate(url))
    if before.is_of_a_newer_program:
        print(f"The tables are of a newer version, {before.present}: they are left as they are.")
    elif before.agree:
        print(f"The tables are those of {after.present} already.")
    else:
        print(f"The tables were brought from {before.present or 'nothing'} to {after.present}.")
    return 0


async def _migrate(url: str) -> tuple[Revisions, Revisions]:
    async with Database(url) as database:
        before = await revisions(database)
        await upgrade(database)
        return before, await revisions(database)
