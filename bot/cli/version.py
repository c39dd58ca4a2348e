"""`machine version`."""

from argparse import ArgumentParser, Namespace
from importlib.metadata import version


def add_arguments(_parser: ArgumentParser) -> None:
    """Take none."""


def run(_arguments: Namespace) -> int:
    """Print the version of the installed package."""
    print(version("the-machine"))
    return 0
