"""`machine doctor`: everything that could keep the bot from working, and what to do about each."""

import asyncio
import os
from argparse import ArgumentParser, Namespace

from bot.cli.configuration import add_config_argument
from bot.core.findings import Finding
from bot.examination.everything import examine
from bot.settings.load import default_file, load_settings
from bot.settings.problems import ConfigurationError


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
