"""`machine doctor`: everything that could keep the bot from working, and what to do about each."""

import asyncio
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import DeliveryState
from bot.cli.configuration import add_config_argument
from bot.cli.findings import Finding
from bot.cli.online import check_online
from bot.core.errors import MachineError
from bot.database.engine import Database
from bot.database.leadership import Leader, Leadership
from bot.database.migrate import revisions
from bot.settings.load import default_file, load_settings
from bot.settings.problems import ConfigurationError
from bot.settings.tree import Settings

_SQLITE_FILE = "sqlite+aiosqlite:///"


def add_arguments(parser: ArgumentParser) -> None:
    """Take the configuration, and whether to leave the network alone."""
    add_config_argument(parser)
    parser.add_argument(
        "--offline", action="store_true", help="do not ask Discord, Alertmanager and the cluster"
    )


def run(arguments: Namespace) -> int:
    """Print a line for each thing looked at: 0 all fine, 1 something is not, 2 the configuration is wrong."""
    path = arguments.config or default_file(os.environ)
    try:
        loaded = load_settings(path, os.environ)
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"FAIL configuration: {problem}")
        print(f"The rest is looked at once {path} can be read.")
        return 2
    for warning in loaded.warnings:
        print(f"warn configuration: {warning}")
    findings = [Finding("configuration", is_fine=True, text=str(path))]
    findings += asyncio.run(examine(loaded.settings, online=not arguments.offline))
    for finding in findings:
        print(finding)
    wrong = sum(not finding.is_fine for finding in findings)
    print(f"{wrong} of {len(findings)} need a look." if wrong else "All is well.")
    return 1 if wrong else 0


async def examine(settings: Settings, *, online: bool = True) -> list[Finding]:
    """Return what was found of the database and of the systems outside; raises nothing."""
    findings = await check_database(settings.database.url.get_secret_value())
    return [*findings, *(await check_online(settings) if online else ())]


async def check_database(url: str) -> list[Finding]:
    """Say whether the database answers, has its tables, is led, and has all deliveries applied."""
    if url.startswith(_SQLITE_FILE) and not (file := Path(url.removeprefix(_SQLITE_FILE))).exists():
        return [_missing_file(file)]
    async with Database(url) as database:
        try:
            tables = await _tables(database)
            return [tables, *(await _contents(database) if tables.is_fine else ())]
        except MachineError as error:
            text = f"{error}; check that it runs, its address in database.url, and its credentials"
            return [Finding("database", is_fine=False, text=text)]


def _missing_file(file: Path) -> Finding:
    folder = file.resolve().parent
    if os.access(folder, os.W_OK):
        return Finding("database", is_fine=True, text=f"{file} is made when the bot first starts")
    text = f"{file} cannot be made: make the folder {folder} and let the bot's user write there"
    return Finding("database", is_fine=False, text=text)


async def _tables(database: Database) -> Finding:
    found = await revisions(database)
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    if found.agree:
        return Finding("database", is_fine=True, text=f"{kind}, tables are those of this version")
    text = f"{kind}, tables are of {found.present or 'no version'}, not {found.newest}: run machine migrate"
    return Finding("database", is_fine=False, text=text)


async def _contents(database: Database) -> list[Finding]:
    leader = await Leadership(database, "").find_leader()
    async with database.reading() as tx:
        counted = await inbox_store.count_by_state(tx)
    quarantined = counted.get(DeliveryState.QUARANTINED, 0)
    inbox = f"quarantined deliveries: {quarantined}; look at them with machine inbox list"
    return [
        Finding("leader", is_fine=True, text=_who_leads(leader)),
        Finding("inbox", is_fine=not quarantined, text=inbox if quarantined else "nothing is quarantined"),
    ]


def _who_leads(leader: Leader | None) -> str:
    if leader is None:
        return "nobody: the bot does not run"
    return (
        leader.holder if leader.is_current else f"nobody any more, {leader.holder} did: the bot does not run"
    )
