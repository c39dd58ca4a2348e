"""What people do with servers. Each method checks access itself, at the moment of acting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bot.access.service import Access
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import MachineError, NotAllowedError, NotFoundError
from bot.database.engine import Database
from bot.journal.model import Entry, Outcome
from bot.journal.service import Journal
from bot.minecraft import store
from bot.minecraft.console import LIST, read_online
from bot.minecraft.history import HOLDS_FOR, HOUR, Past, Period, past_of, stretch_of, stretches_of
from bot.minecraft.model import Playing, View
from bot.minecraft.pictures import Pictures
from bot.minecraft.rcon import Consoles

STATUS: Final = "minecraft:status"
PLAYERS: Final = "minecraft:players"
HISTORY: Final = "minecraft:history"
WHITELIST: Final = "minecraft:whitelist"
REQUEST: Final = "minecraft:request"


@dataclass(frozen=True, slots=True)
class PastShown:
    """The past of a server, with its picture where one can be drawn."""

    past: Past
    picture: bytes | None


class Door:
    """Lets somebody act on a server, or refuses and writes that down."""

    def __init__(
        self,
        database: Database,
        access: Access,
        journal: Journal,
        views: Callable[[], Sequence[View]],
    ) -> None:
        """Take the leading database, and which servers there are at the moment of asking."""
        self._database = database
        self._access = access
        self._journal = journal
        self._views = views

    def known(self, *, by: Actor, action: str) -> list[View]:
        """Return the servers to which somebody may do this; no request leaves the process."""
        return [
            view
            for view in self._views()
            if self._access.decide(by, action, view.server.targets, at_any_time=True).allowed
        ]

    def names(self, *, by: Actor, action: str) -> list[str]:
        """Return the names of the servers to which somebody may do this."""
        return [view.server.name for view in self.known(by=by, action=action)]

    async def enter(self, name: str, action: str, *, by: Actor) -> View:
        """Return a server to which somebody may do this.

        Raises:
            NotFoundError: There is none of this name that they may know of.
            NotAllowedError: They may not; it is recorded.
        """
        found = await self.check(name, action, by=by)
        if found is None:
            raise NotFoundError("There is no server of this name. Pick one of those that are offered.")
        return found

    async def check(self, name: str, action: str, *, by: Actor) -> View | None:
        """Return a server to which somebody may do this; None: there is none of this name (any more).

        Raises:
            NotAllowedError: They may not; it is recorded.
        """
        found = next((view for view in self._views() if view.server.name == name.strip().lower()), None)
        targets = found.server.targets if found is not None else (f"server:{name.strip()[:60]}",)
        try:
            self._access.check(by, action, targets)
        except NotAllowedError as refusal:
            await self.refuse(action, targets[0], by=by, why=str(refusal))
            raise
        return found

    async def enter_all(self, action: str, *, by: Actor) -> list[View]:
        """Return the servers to which somebody may do this.

        Raises:
            NotAllowedError: There are some, but none that they may see; it is recorded.
        """
        allowed = self.known(by=by, action=action)
        if not allowed:
            first = next(iter(self._views()), None)
            try:
                self._access.check(by, action, first.server.targets if first is not None else ())
            except NotAllowedError as refusal:
                await self.refuse(action, "server:*", by=by, why=str(refusal))
                raise
        return allowed

    async def refuse(self, action: str, target: str, *, by: Actor, why: str) -> None:
        """Write down that somebody was refused."""
        entry = Entry(actor=by, action=action, target=target, outcome=Outcome.REFUSED, reason=why)
        async with self._database.transaction() as tx:
            await self._journal.append(tx, entry)


class Minecraft:
    """Looking: who is on, how servers are, what was."""

    def __init__(
        self, database: Database, door: Door, consoles: Consoles, pictures: Pictures, clock: Clock
    ) -> None:
        """Take the leading database and what the answers come from."""
        self.door = door
        self._database = database
        self._consoles = consoles
        self._pictures = pictures
        self._clock = clock

    async def status(self, name: str, *, by: Actor) -> View:
        """Return how a server is."""
        return await self.door.enter(name, STATUS, by=by)

    async def list_status(self, *, by: Actor) -> list[View]:
        """Return how all servers are that somebody may see."""
        return await self.door.enter_all(STATUS, by=by)

    async def players(self, name: str, *, by: Actor) -> Playing:
        """Return who is on a server."""
        return await self._playing(await self.door.enter(name, PLAYERS, by=by))

    async def list_players(self, *, by: Actor) -> list[Playing]:
        """Return who is on, for all servers that somebody may see; consoles are not asked for all."""
        return [_as_told(view) for view in await self.door.enter_all(PLAYERS, by=by)]

    async def past(self, name: str, period: Period, *, by: Actor) -> PastShown:
        """Return what is known of the past of a server."""
        view = await self.door.enter(name, HISTORY, by=by)
        past = await self._past(view.server.name, period)
        return PastShown(past, await self._pictures.draw(past))

    async def _playing(self, view: View) -> Playing:
        console = self._consoles.find(view.server.name)
        if console is None or not view.is_up:
            return _as_told(view)
        try:
            online = read_online(await console.run(LIST))
        except MachineError as error:
            return _as_told(view, problem=str(error))
        if online is None:
            return _as_told(view, problem="The console named nobody in a way that is known.")
        is_whole = len(online.names) == online.count
        return Playing(view=view, names=online.names, count=online.count, from_console=is_whole)

    async def _past(self, name: str, period: Period) -> Past:
        end = self._clock.now()
        start = end - period.length
        async with self._database.reading() as tx:
            samples = await store.list_samples(tx, name, since=start - HOLDS_FOR, until=end)
            # Samples do not reach back as far as hours do, but say when in an hour something was.
            hours = await store.list_hours(tx, name, since=start, until=samples[0].at if samples else end)
            fresh = hours[-1].start + HOUR if hours else start
        stretches = [stretch_of(hour) for hour in hours]
        stretches += stretches_of(samples, start=fresh, end=end)
        return past_of(name, period, stretches, start=start, end=end)


def _as_told(view: View, *, problem: str = "") -> Playing:
    answer = view.standing.answer if view.standing is not None else None
    return Playing(
        view=view,
        names=answer.names if answer is not None else (),
        count=answer.online if answer is not None else 0,
        from_console=False,
        problem=problem,
    )
