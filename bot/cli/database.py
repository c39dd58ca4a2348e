"""`machine database copy --from URL --to URL`."""

import asyncio
import sqlite3
from argparse import ArgumentParser, Namespace
from pathlib import Path

import bot.app  # noqa: F401 (with it come the tables of every room)
from bot.core.errors import BrokenError, ConflictError, InvalidError, NotFoundError
from bot.database.copying import copy_everything
from bot.database.engine import Database
from bot.database.sqlite import is_open_elsewhere
from bot.journal.model import Verdict
from bot.journal.service import verify_journal

_SQLITE = "sqlite+aiosqlite:///"
_POSTGRESQL = "postgresql+asyncpg://"


def add_arguments(parser: ArgumentParser) -> None:
    """Take `copy`, from where and to where."""
    copy = parser.add_subparsers(required=True, metavar="copy").add_parser(
        "copy",
        help="Move everything from SQLite to PostgreSQL.",
        description="Copies every table into an empty PostgreSQL and verifies the record of what people did. "
        "Stop the bot before, and start it with the new database.url afterwards; the file stays as it is.",
    )
    copy.add_argument("--from", dest="source", required=True, metavar="URL", help=f"{_SQLITE}FILE")
    target = copy.add_mutually_exclusive_group(required=True)
    target.add_argument("--to", dest="target", metavar="URL", help=f"{_POSTGRESQL}USER:PASSWORD@HOST/NAME")
    target.add_argument(
        "--to-file",
        dest="target_file",
        type=Path,
        metavar="FILE",
        help="the name of a file that holds that address, so that no list of processes shows its password",
    )


def run(arguments: Namespace) -> int:
    """Copy, verify, and say what was copied: 0 if all is there and the record is whole."""
    target = arguments.target or _read(arguments.target_file)
    copied, verdict = asyncio.run(copy(arguments.source, target))
    for table, rows in copied.items():
        if rows:
            print(f"{rows:>9,}  {table}")
    print(f"Everything was copied: {sum(copied.values()):,} rows.")
    if not verdict.intact:
        for fault in verdict.faults:
            print(f"TAMPERED: {fault.text}")
        print("The record of what people did is not whole, there as here: machine audit verify says more.")
        return 1
    print(f"The record is whole: its head is entry {verdict.head.seq}, as it was.")
    return 0


async def copy(source_url: str, target_url: str) -> tuple[dict[str, int], Verdict]:
    """Copy a database that nobody uses into an empty one; returns what was copied and how the record is.

    Raises:
        InvalidError: One of the addresses is of another kind.
        NotFoundError: There is no such file.
        ConflictError: The bot runs with the file, or the other one is not empty.
        BrokenError: What is there now is not what was here; the file is as it was.
    """
    _check_kinds(source_url, target_url)
    _check_unused(Path(source_url.removeprefix(_SQLITE)))
    async with Database(source_url) as source, Database(target_url) as target:
        copied = await copy_everything(source, target)
        before, after = await verify_journal(source), await verify_journal(target)
    if before != after:
        raise BrokenError(
            f"The record's head was entry {before.head.seq} and is {after.head.seq} now: do not use the copy."
        )
    return copied, after


def _check_kinds(source: str, target: str) -> None:
    if not source.startswith(_SQLITE):
        raise InvalidError(f"--from: expected {_SQLITE}FILE; from PostgreSQL copy with pg_dump")
    if not target.startswith(_POSTGRESQL):
        raise InvalidError(f"--to: expected {_POSTGRESQL}USER:PASSWORD@HOST/NAME")


def _check_unused(file: Path) -> None:
    if not file.exists():
        raise NotFoundError(f"There is no file {file}.")
    try:
        is_used = is_open_elsewhere(file)
    except sqlite3.Error as error:
        raise BrokenError(f"{file} cannot be read as an SQLite database, or not be locked.") from error
    if is_used:
        raise ConflictError(
            f"Another process has {file} open: stop the bot first, so that nothing is missed."
        )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"--to-file: {file} cannot be read") from error
