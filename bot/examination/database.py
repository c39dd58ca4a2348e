"""Looks at the database: whether it answers, has its tables, is led, and has all deliveries applied."""

import os
from pathlib import Path

from bot.alerts.inbox import store as inbox_store
from bot.alerts.inbox.model import DeliveryState
from bot.core.errors import MachineError
from bot.core.findings import Finding
from bot.database.engine import Database
from bot.database.leadership import Leader, Leadership
from bot.database.migrate import revisions
from bot.database.postgresql import DOWN

_NO_ANSWER = "Look whether it runs, at its address in database.url, and at what is between."
_SQLITE_FILE = "sqlite+aiosqlite:///"


async def check_database(url: str) -> list[Finding]:
    """Say whether the database answers, has its tables, is led, and has all deliveries applied."""
    if url.startswith(_SQLITE_FILE) and not (file := Path(url.removeprefix(_SQLITE_FILE))).exists():
        return [_missing_file(file)]
    async with Database(url) as database:
        try:
            tables = await _tables(database)
            return [tables, *(await _contents(database) if tables.is_fine else ())]
        except MachineError as error:
            advice = f" {_NO_ANSWER}" if str(error) == DOWN else ""
            return [Finding("database", is_fine=False, text=f"{error}{advice}")]


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
    if found.is_of_a_newer_program:
        text = f"{kind}, tables are of a newer version ({found.present}), with which the one before it works"
        return Finding("database", is_fine=True, text=text)
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
