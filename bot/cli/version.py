"""`machine version`."""

from argparse import ArgumentParser, Namespace

from bot.version import VERSION


def add_arguments(_parser: ArgumentParser) -> None:
    """Take none."""


def run(_arguments: Namespace) -> int:
    """Print the version of the installed package."""
    print(VERSION)
    return 0
