"""The watching of servers over a real database, with the room of alerts below it."""

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from bot.alerts.model.incident import Incident
from bot.alerts.store.lists import IncidentFilter, list_numbers
from bot.alerts.store.reading import get_incidents
from bot.minecraft import store
from bot.minecraft.alerting import Alarms
from bot.minecraft.history import Sample
from bot.minecraft.model import Address, Server, Standing
from bot.minecraft.ping import Pinger
from bot.minecraft.polling import Polling
from bot.minecraft.settings import MinecraftSettings
from tests.support.alerting import Rooms, open_rooms
from tests.support.minecraft import JavaServer

STEP = timedelta(seconds=15)
CLOSED_PORT = 1
"""Nothing listens there."""


class Watch:
    def __init__(self, rooms: Rooms, stack: AsyncExitStack) -> None:
        self.rooms = rooms
        self.clock = rooms.clock
        self.settings = MinecraftSettings()
        self.servers: dict[str, Server] = {}
        self.knows_all = True
        """Whether it is known which servers there are."""
        self._stack = stack
        self._pinger = Pinger()
        stack.callback(self._pinger.close)
        self.polling = self._polling()

    def _polling(self) -> Polling:
        return Polling(
            self.rooms.database,
            self._pinger,
            Alarms(self.rooms.intake, lambda: self.settings.down.severity if self.settings.down else ""),
            servers=lambda: tuple(self.servers.values()),
            settings=lambda: self.settings,
            clock=self.clock,
            knows_all=lambda: self.knows_all,
        )

    async def serve(self, name: str, status: Any = None, **more: Any) -> JavaServer:
        """Start a server and watch it."""
        server = JavaServer(status)
        await server.open()
        self._stack.push_async_callback(server.close)
        self.servers[name] = Server(name=name, address=Address("127.0.0.1", server.port), **more)
        return server

    def stop_of(self, name: str, **more: Any) -> None:
        """Watch a server that is off."""
        self.servers[name] = Server(name=name, address=Address("127.0.0.1", CLOSED_PORT), **more)

    async def step(self) -> timedelta:
        """Ask all servers once, the usual time after the last time."""
        self.clock.advance(STEP)
        return await self.polling.step()

    async def pass_by(self, time: timedelta) -> None:
        for _ in range(time // STEP):
            await self.step()

    async def restart(self) -> None:
        self.polling = self._polling()
        await self.polling.load()

    def standing(self, name: str) -> Standing:
        return self.polling.standings[name]

    async def samples(self, name: str) -> list[Sample]:
        now = self.clock.now()
        async with self.rooms.database.reading() as tx:
            return await store.list_samples(tx, name, since=now - timedelta(days=8), until=now + STEP)

    async def incidents(self) -> list[Incident]:
        async with self.rooms.database.reading() as tx:
            numbers = await list_numbers(tx, IncidentFilter(), limit=50)
            every = range(1, 10)
            found = await get_incidents(tx, [*numbers, *(n for n in every if n not in numbers)])
        return sorted(found, key=lambda incident: incident.number)


async def open_watch(database: Any, stack: AsyncExitStack) -> Watch:
    return Watch(await open_rooms(database), stack)
