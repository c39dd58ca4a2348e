"""The command line: finds the subcommand, runs it, turns errors into exit codes.

0: fine. 1: it failed. 2: the configuration or the call is wrong.
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from difflib import get_close_matches

from bot.cli.registry import COMMANDS, Command
from bot.core.errors import InvalidError, MachineError
from bot.core.garbage import uncollected

FINE = 0
FAILED = 1
WRONG_CALL = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the arguments name; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in {"-h", "--help", "help"}:
        _overview().print_help(sys.stdout if given else sys.stderr)
        return FINE if given else WRONG_CALL
    name = "version" if given[0] == "--version" else given[0]
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None:
        return _unknown(name)
    try:
        return _run(command, given[1:])
    except InvalidError as error:
        print(error, file=sys.stderr)
        return WRONG_CALL
    except MachineError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def _run(command: Command, arguments: list[str]) -> int:
    with uncollected():
        module = command.load()
    parser = ArgumentParser(prog=f"machine {command.name}", description=command.help, allow_abbrev=False)
    module.add_arguments(parser)
    return module.run(parser.parse_args(arguments))


def _overview() -> ArgumentParser:
    width = max(len(command.name) for command in COMMANDS)
    listed = "\n".join(f"  {command.name:<{width}}  {command.help}" for command in COMMANDS)
    return ArgumentParser(
        prog="machine",
        usage="machine COMMAND …",
        description="A Discord ChatOps bot that watches over a platform run by GitOps.",
        epilog=f"commands:\n{listed}\n\nmachine COMMAND --help says more about one.",
        formatter_class=RawDescriptionHelpFormatter,
    )


def _unknown(name: str) -> int:
    close = get_close_matches(name, [command.name for command in COMMANDS], n=1)
    nearest = f"; did you mean {close[0]}?" if close else "; machine --help lists them"
    print(f"machine: unknown command {name!r}{nearest}", file=sys.stderr)
    return WRONG_CALL
