"""`machine demo`: the bot in a simulated Discord, to look at in a browser."""

from argparse import ArgumentParser, Namespace

from bot.core.errors import UnavailableError

try:
    from bot.demo.ports import choose_ports
    from bot.demo.run import run_demo
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] != "simcord":
        raise
    raise UnavailableError(
        "The demo needs the extra `demo`, with the simulated Discord: "
        "`make setup` in the project's folder installs it, or pip install 'the-machine[demo]'."
    ) from None


def add_arguments(parser: ArgumentParser) -> None:
    """Take the ports."""
    parser.add_argument(
        "--port", type=_port, metavar="N", help="of the webhook (default: 8080 if it is free; 0: any)"
    )
    parser.add_argument(
        "--page-port", type=_port, metavar="N", help="of the page (default: 8765 if it is free; 0: any)"
    )


def run(arguments: Namespace) -> int:
    """Run until Ctrl-C."""
    run_demo(choose_ports(webhook=arguments.port, page=arguments.page_port))
    return 0


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:  # noqa: PLR2004
        raise ValueError
    return port
