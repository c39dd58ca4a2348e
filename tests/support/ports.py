"""Ports for servers that a test starts later, or again."""

import random
import socket

# Below what Linux gives to outgoing connections (`net.ipv4.ip_local_port_range`), so that none takes it meanwhile.
LOWEST, HIGHEST = 20_000, 32_000

# Not the common generator: pytest-randomly seeds it, and every worker would choose the same.
_chance = random.SystemRandom()


def free_port() -> int:
    """A port of loopback where nothing listens, and where soon nothing but the caller will."""
    while True:
        port = _chance.randrange(LOWEST, HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
