"""Minecraft, put together where it is configured: what watches the servers, and what serves people."""

import random
from collections.abc import Callable, Sequence
from typing import Self

from bot.alerts.intake import Intake
from bot.core.clock import Clock
from bot.core.loops import Loop
from bot.core.status import StatusLine
from bot.database.engine import Database
from bot.minecraft.alerting import Alarms
from bot.minecraft.model import Server
from bot.minecraft.ping import Pinger
from bot.minecraft.polling import Polling
from bot.minecraft.settings import MinecraftSettings, compile_servers
from bot.minecraft.thinning import Thinning


class Playground:
    """The servers that are watched, as long as this process leads."""

    def __init__(
        self,
        settings: Callable[[], MinecraftSettings],
        *,
        database: Database,
        intake: Intake,
        clock: Clock,
    ) -> None:
        """Take what is configured at the moment of asking, the leading database and the rooms below."""
        self._settings = settings
        self._pinger = Pinger()
        self._polling = Polling(
            database,
            self._pinger,
            Alarms(intake, self._severity),
            servers=self._servers,
            settings=settings,
            clock=clock,
            chance=random.random,
        )
        self.thinning = Thinning(database, clock, settings)
        self.loops = (Loop("minecraft", self._polling.step),)

    async def __aenter__(self) -> Self:
        await self._polling.load()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._pinger.close()

    def status(self) -> list[StatusLine]:
        """How the servers are, in a line."""
        standings = self._polling.standings.values()
        up = sum(standing.is_up for standing in standings)
        expected = sum(standing.is_up or standing.stop is None for standing in standings)
        text = f"{up} of {len(standings)} servers are up"
        return [StatusLine("Minecraft", ok=up == expected, text=text)]

    def _servers(self) -> Sequence[Server]:
        return compile_servers(self._settings())

    def _severity(self) -> str:
        down = self._settings().down
        return down.severity if down is not None else ""
