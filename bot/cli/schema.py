"""`machine schema`: the JSON Schema of the configuration, or its reference."""

import json
from argparse import SUPPRESS, ArgumentParser, Namespace

from bot.settings.reference import reference
from bot.settings.schema import json_schema


def add_arguments(parser: ArgumentParser) -> None:
    """Take the switch that writes docs/configuration.md; it is for the project itself."""
    parser.add_argument("--markdown", action="store_true", help=SUPPRESS)


def run(arguments: Namespace) -> int:
    """Print the schema, or the reference."""
    if arguments.markdown:
        print(reference(), end="")
    else:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
