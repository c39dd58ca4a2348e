"""Who is on each whitelist, remembered for a moment, so that names can be offered while somebody types."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.core.clock import Clock
from bot.core.errors import MachineError
from bot.minecraft.console import WHITELIST, read_whitelist
from bot.minecraft.rcon import Rcon

REMEMBERED_FOR: Final = timedelta(seconds=30)
_WITHIN: Final = timedelta(seconds=1.5)
"""Discord waits for three seconds, and the way there takes some of it."""


class Listings:
    """What the consoles said last. Only they know who is let in, so this completion leaves the process."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock that says when to ask again."""
        self._clock = clock
        self._known: dict[str, tuple[datetime, Sequence[str]]] = {}
        self._asking: set[str] = set()

    def learn(self, server: str, names: Sequence[str]) -> None:
        """Remember who is on a whitelist."""
        self._known[server] = (self._clock.now() + REMEMBERED_FOR, names)

    def forget(self, server: str) -> None:
        """Have the console asked again: its whitelist was changed."""
        self._known.pop(server, None)

    async def names(self, server: str, console: Rcon) -> Sequence[str]:
        """Return who is on a whitelist, as far as that is known in time; a silent console has a rest."""
        until, names = self._known.get(server, (None, ()))
        if until is not None and until > self._clock.now():
            return names
        if server in self._asking:
            return names
        self._asking.add(server)
        try:
            async with asyncio.timeout(_WITHIN.total_seconds()):
                names = read_whitelist(await console.run(WHITELIST)) or ()
        except (MachineError, TimeoutError):
            names = ()
        finally:
            self._asking.discard(server)
        self.learn(server, names)
        return names
