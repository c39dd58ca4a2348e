"""Minecraft, put together where it is configured: what watches the servers, and what serves people."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from bot.access.service import Access
from bot.alerts.intake import Intake
from bot.cards.source import CardSource
from bot.cards.store import Cards
from bot.chat.client import MachineBot
from bot.chat.presence import Presence
from bot.core.clock import Clock
from bot.core.loops import Loop
from bot.core.status import StatusLine
from bot.database.engine import Database
from bot.journal.service import Journal
from bot.minecraft.alerting import Alarms
from bot.minecraft.boards import BOARD, SETTLE, Boards
from bot.minecraft.model import Server, View
from bot.minecraft.pictures import Pictures
from bot.minecraft.ping import Pinger
from bot.minecraft.places import Places, compile_places
from bot.minecraft.polling import Polling
from bot.minecraft.rcon import Consoles, RconTarget
from bot.minecraft.service import Door, Minecraft
from bot.minecraft.settings import MinecraftSettings, compile_console, compile_servers
from bot.minecraft.thinning import Thinning
from bot.minecraft.whitelists import ANSWERED, ASKED, AnswerCards, RequestCards, Whitelists


class Playground:
    """The servers that are watched, as long as this process leads."""

    def __init__(
        self,
        settings: Callable[[], MinecraftSettings],
        channels: Callable[[], Mapping[str, str]],
        *,
        database: Database,
        access: Access,
        journal: Journal,
        cards: Cards,
        intake: Intake,
        client: Callable[[], MachineBot],
        clock: Clock,
    ) -> None:
        """Take what is configured at the moment of asking, the leading database and the rooms below."""
        self._settings = settings
        self._channels = channels
        self._pinger = Pinger()
        self._consoles = Consoles(self._console)
        self._polling = Polling(
            database,
            self._pinger,
            Alarms(intake, self._severity),
            servers=self._servers,
            settings=settings,
            clock=clock,
            chance=random.random,
        )
        presence = Presence(client)
        self._boards = Boards(
            database,
            cards,
            views=self._views,
            channels=lambda: self._places().boards,
            presence=lambda text: presence.want(text if settings().presence else ""),
            clock=clock,
        )
        door = Door(database, access, journal, self._views)
        self.minecraft = Minecraft(database, door, self._consoles, Pictures(), clock)
        self.whitelists = Whitelists(
            database,
            door,
            self._consoles,
            journal,
            cards,
            clock=clock,
            channel=lambda: self._places().requests,
        )
        self.thinning = Thinning(database, clock, settings)
        self._requests, self._answers = RequestCards(database), AnswerCards(database)
        self._showing = Loop("minecraft boards", self._boards.step, shortest_wait=SETTLE)
        presenting = Loop("presence", presence.step)
        presence.wake = presenting.wake
        self._polling.on_change(self._showing.wake)
        self.loops = (Loop("minecraft", self._polling.step), self._showing, presenting)

    async def __aenter__(self) -> Self:
        await self._polling.load()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._consoles.close()
        self._pinger.close()

    @property
    def sources(self) -> Mapping[str, CardSource]:
        """What renders the cards, by their kind."""
        return {BOARD: self._boards, ASKED: self._requests, ANSWERED: self._answers}

    def reconfigured(self) -> None:
        """Take up a changed configuration."""
        self._showing.wake()

    def status(self) -> list[StatusLine]:
        """How the servers are, in a line."""
        standings = self._polling.standings.values()
        up = sum(standing.is_up for standing in standings)
        expected = sum(standing.is_up or standing.stop is None for standing in standings)
        text = f"{up} of {len(standings)} servers are up"
        return [StatusLine("Minecraft", ok=up == expected, text=text)]

    def _servers(self) -> Sequence[Server]:
        return compile_servers(self._settings())

    def _views(self) -> list[View]:
        standings = self._polling.standings
        return [View(server=server, standing=standings.get(server.name)) for server in self._servers()]

    def _places(self) -> Places:
        return compile_places(self._settings(), self._channels())

    def _console(self, server: str) -> RconTarget | None:
        return compile_console(self._settings(), server)

    def _severity(self) -> str:
        down = self._settings().down
        return down.severity if down is not None else ""
