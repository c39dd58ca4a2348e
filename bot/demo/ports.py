"""Which ports the demo listens on: the usual ones, unless another program has them."""

import socket
from dataclasses import dataclass

from bot.core.errors import UnavailableError
from bot.demo.configuration import HOST

USUAL_WEBHOOK_PORT = 8080
USUAL_PAGE_PORT = 8765
USUAL_GAMES_PORT = 8766


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo listens, on loopback."""

    webhook: int
    page: int
    games: int
    """Of the page of the channel of Minecraft."""


def choose_ports(*, webhook: int | None, page: int | None) -> Ports:
    """Return free ports: those that were asked for, else the usual ones, else any.

    Raises:
        UnavailableError: Another program listens where was asked for.
    """
    return Ports(
        _choose(webhook, USUAL_WEBHOOK_PORT, "--port"),
        _choose(page, USUAL_PAGE_PORT, "--page-port"),
        _any() if page == 0 else _choose(None, USUAL_GAMES_PORT, ""),
    )


def _choose(asked: int | None, usual: int, option: str) -> int:
    if asked is None:
        return _free(usual) or _any()
    if asked == 0:
        return _any()
    if free := _free(asked):
        return free
    raise UnavailableError(
        f"Port {asked} is taken or not allowed. Name another with {option}; 0 takes a free one."
    )


def _free(port: int) -> int | None:
    """Return the port if it can be listened on, or None."""
    with socket.socket() as tried:
        # As the servers do it: a port whose last connections are still being closed is free.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return None
        return int(tried.getsockname()[1])


def _any() -> int:
    free = _free(0)
    if free is None:
        raise UnavailableError(f"No port of {HOST} can be listened on.")
    return free
