"""The subcommands, one file each.

A command's module has `add_arguments(parser)` and `run(arguments) -> int`. It
is imported only when it is called, so that `machine version` is quick.
"""

import importlib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast


class CommandModule(Protocol):
    """What a subcommand's module has to offer."""

    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand, as it is listed."""

    name: str
    help: str

    def load(self) -> CommandModule:
        """Import the command's module."""
        module = importlib.import_module(f"bot.cli.{self.name.replace('-', '_')}")
        return cast("CommandModule", module)


COMMANDS = (
    Command("run", "Run the bot."),
    Command("demo", "Run the bot against a simulated Discord, to look at."),
    Command("check-config", "Say everything that is wrong with a configuration."),
    Command("schema", "Print the JSON Schema of the configuration."),
    Command("explain-route", "Say which route an alert takes, and why not the others."),
    Command("inbox", "List, show or retry deliveries that could not be handled."),
    Command("audit", "Verify that the record of what people did is whole."),
    Command("migrate", "Bring the database's tables up to date."),
    Command("database", "Move everything from SQLite to PostgreSQL."),
    Command("doctor", "Look for what could keep the bot from working."),
    Command("version", "Print the version."),
)
