"""`machine check-config [FILE] [--online]`."""

import asyncio
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from bot.settings.load import Loaded, default_file, load_settings
from bot.settings.problems import ConfigurationError
from bot.settings.tree import Settings


def add_arguments(parser: ArgumentParser) -> None:
    """Take the file, and whether to ask the systems that it names."""
    parser.add_argument("file", nargs="?", type=Path, help="default: $MACHINE_CONFIG, else ./machine.yaml")
    parser.add_argument("--config", dest="file_option", type=Path, metavar="FILE", help="the same")
    parser.add_argument(
        "--online", action="store_true", help="also ask Discord and Alertmanager whether they agree"
    )


def run(arguments: Namespace) -> int:
    """Print one line for each problem; 2 if there is one, 1 if a system outside disagrees."""
    path = arguments.file or arguments.file_option or default_file(os.environ)
    try:
        loaded = load_settings(path, os.environ)
    except ConfigurationError as error:
        print(error)
        return 2
    for warning in loaded.warnings:
        print(f"warning: {warning}")
    print(_summary(path, loaded))
    return _check_online(loaded.settings) if arguments.online else 0


def _summary(path: Path, loaded: Loaded) -> str:
    settings = loaded.settings
    counts = (
        (len(settings.discord.channels), "channel"),
        (len(settings.alerts.routes), "route"),
        (len(settings.alertmanagers), "Alertmanager"),
        (len(settings.access.grants) if settings.access else 0, "grant"),
        (len(loaded.warnings), "warning"),
    )
    return f"{path}: OK, " + ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def _check_online(settings: Settings) -> int:
    # aiohttp is a heavy import that the plain check does without.
    from bot.examination.online import check_online  # noqa: PLC0415

    findings = asyncio.run(check_online(settings))
    for finding in findings:
        print(finding)
    return 0 if all(finding.is_fine for finding in findings) else 1
