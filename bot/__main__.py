"""The `machine` command, and `python -m bot`."""

import signal
import sys
from types import FrameType
from typing import NoReturn

from bot.cli.main import main as run_command

_TERMINATED = 128 + signal.SIGTERM


def main() -> int:
    """Run the command that the arguments name.

    The first process of a container is not ended by a signal that it does not handle. Without this,
    one that is told to stop while it still starts, or migrates, lives until it is killed.
    """
    signal.signal(signal.SIGTERM, _end)
    return run_command()


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
