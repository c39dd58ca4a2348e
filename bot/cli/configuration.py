"""What the subcommands that need the configuration share."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from bot.settings.load import Loaded, default_file, load_settings


def add_config_argument(parser: ArgumentParser) -> None:
    """Take `--config FILE`."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="default: $MACHINE_CONFIG, else ./machine.yaml"
    )


def load_configuration(arguments: Namespace) -> Loaded:
    """Return the configuration that the call means; raises `ConfigurationError`."""
    return load_settings(arguments.config or default_file(os.environ), os.environ)
