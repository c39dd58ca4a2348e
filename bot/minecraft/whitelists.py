"""Whitelists: who changes them, who asks for it, and who decides that."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from bot.cards.model import Priority
from bot.cards.store import Cards
from bot.chat.rendered import Rendered
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import ConflictError, InvalidError, MachineError, NotFoundError
from bot.core.ranking import rank
from bot.database.engine import Database, Transaction
from bot.journal.model import Entry, Outcome
from bot.journal.service import Journal
from bot.minecraft import store
from bot.minecraft.card.whitelist import render_answer, render_request
from bot.minecraft.console import (
    WHITELIST as LIST_COMMAND,
)
from bot.minecraft.console import (
    Change,
    Changed,
    add_command,
    read_change,
    read_whitelist,
    read_words,
    remove_command,
)
from bot.minecraft.listings import Listings
from bot.minecraft.model import View, parse_player
from bot.minecraft.rcon import Consoles, Rcon
from bot.minecraft.requests import MOST_WAITING, Request, RequestState
from bot.minecraft.service import REQUEST, WHITELIST, Door

ASKED: Final = "minecraft-request"
"""The kind of cards of requests; the key is the number."""
ANSWERED: Final = "minecraft-answer"
"""The kind of messages that say how a request ended, in the channel where it was made."""
LONGEST_NOTE: Final = 200


@dataclass(frozen=True, slots=True)
class Listed:
    """Whom a server lets in."""

    server: str
    names: tuple[str, ...] | None
    """None: the console said something unknown."""
    said: str


class Whitelists:
    """The use cases."""

    def __init__(
        self,
        database: Database,
        door: Door,
        consoles: Consoles,
        journal: Journal,
        cards: Cards,
        *,
        clock: Clock,
        channel: Callable[[], int | None],
    ) -> None:
        """Take the leading database, the rooms below, and where requests go at the moment of asking."""
        self._database = database
        self._door = door
        self._consoles = consoles
        self._journal = journal
        self._cards = cards
        self._clock = clock
        self._channel = channel
        self._listings = Listings(clock)
        self._deciding: dict[int, Actor] = {}
        """Who decides on which requests at this moment: a console may take seconds."""

    async def list_names(self, server: str, *, by: Actor) -> Listed:
        """Return whom a server lets in."""
        view = await self._door.enter(server, WHITELIST, by=by)
        said = await self._console(view).run(LIST_COMMAND)
        names = read_whitelist(said)
        if names is not None:
            self._listings.learn(view.server.name, names)
        return Listed(view.server.name, names, read_words(said))

    async def offer(self, server: str, typed: str, *, by: Actor) -> Sequence[str]:
        """Return names on a whitelist that fit what somebody typed, if they may change it; the best first."""
        name = server.strip().lower()
        console = self._consoles.find(name) if name in self._door.names(by=by, action=WHITELIST) else None
        if console is None:
            return ()
        return rank(typed, await self._listings.names(name, console), text=str)

    async def add(self, server: str, player: str, *, by: Actor) -> Changed:
        """Have a server let a player in.

        Raises:
            InvalidError: That is no name, or the server has no console.
        """
        return await self._change(server, player, add_command, "added", by=by)

    async def remove(self, server: str, player: str, *, by: Actor) -> Changed:
        """Have a server let a player in no more."""
        return await self._change(server, player, remove_command, "removed", by=by)

    async def request(self, server: str, player: str, note: str, *, channel_id: int, by: Actor) -> Request:
        """Ask the operators to let a player in.

        Raises:
            ConflictError: It waits already, or too much of the same person does.
        """
        view = await self._door.enter(server, REQUEST, by=by)
        name, channel = parse_player(player), self._channel()
        self._console(view)
        if channel is None:
            raise InvalidError("There is no channel in which operators would see it (`minecraft.requests`).")
        asked = Request(
            server=view.server.name,
            player=name,
            note=note.strip()[:LONGEST_NOTE],
            asked_by=by.id,
            asked_at=self._clock.now(),
            asked_in=channel_id,
        )
        async with self._database.transaction() as tx:
            await _refuse_repeats(tx, asked)
            asked = await store.insert_request(tx, asked)
            await self._cards.want(tx, ASKED, str(asked.number), channel, priority=Priority.HIGH)
            entry = Entry(actor=by, action=REQUEST, target=view.server.target, detail={"player": name})
            await self._journal.append(tx, entry)
        return asked

    async def approve(self, number: int, *, by: Actor) -> Request:
        """Do what a member asked for.

        Raises:
            ConflictError: It is settled, or somebody else decides on it at this moment.
        """
        async with self._deciding_on(number, by=by) as (asked, view):
            if view is None:
                raise NotFoundError(f"{asked.server} is not watched any more, so nobody can be let in there.")
            changed = await self._change(asked.server, asked.player, add_command, "added", by=by)
            if changed.change is Change.REFUSED:
                raise InvalidError(f"The server did not take the name: {changed.said or 'it said nothing'}")
            return await self._settle(number, RequestState.ADDED, changed.said, by=by)

    async def decline(self, number: int, why: str, *, by: Actor) -> Request:
        """Say no to what a member asked for; also where the server is not watched any more.

        Raises:
            ConflictError: It is settled, or somebody else decides on it at this moment.
        """
        async with self._deciding_on(number, by=by):
            return await self._settle(number, RequestState.DECLINED, why.strip()[:LONGEST_NOTE], by=by)

    @asynccontextmanager
    async def _deciding_on(self, number: int, *, by: Actor) -> AsyncIterator[tuple[Request, View | None]]:
        async with self._database.reading() as tx:
            asked = await _get(tx, number)
        view = await self._door.check(asked.server, WHITELIST, by=by)
        asked.refuse_if_settled()
        if (other := self._deciding.get(number)) is not None:
            raise ConflictError(f"<@{other.id}> decides on it at this moment.")
        self._deciding[number] = by
        try:
            yield asked, view
        finally:
            del self._deciding[number]

    async def _settle(self, number: int, state: RequestState, outcome: str, *, by: Actor) -> Request:
        async with self._database.transaction() as tx:
            asked = await _get(tx, number)
            settled = asked.settle(state, by=by.id, outcome=outcome, now=self._clock.now())
            await store.update_request(tx, settled)
            await self._cards.touch(tx, ASKED, str(number))
            await self._cards.want(tx, ANSWERED, str(number), settled.asked_in)
            if state is RequestState.DECLINED:
                entry = Entry(
                    actor=by,
                    action=REQUEST,
                    target=f"server:{asked.server}",
                    outcome=Outcome.REFUSED,
                    reason=outcome or "declined",
                    detail={"player": asked.player},
                )
                await self._journal.append(tx, entry)
        return settled

    async def _change(
        self, server: str, player: str, command: Callable[[str], str], word: str, *, by: Actor
    ) -> Changed:
        view = await self._door.enter(server, WHITELIST, by=by)
        name, console = parse_player(player), self._console(view)
        detail = {"player": name, "what": word}
        entry = Entry(actor=by, action=WHITELIST, target=view.server.target, detail=detail)
        try:
            said = await console.run(command(name))
        except MachineError as error:
            await self._write_down(replace(entry, outcome=Outcome.FAILED, reason=str(error)))
            raise
        change, words = read_change(said), read_words(said)
        if change is Change.REFUSED:
            entry = replace(entry, outcome=Outcome.FAILED, reason=words)
        self._listings.forget(view.server.name)
        await self._write_down(replace(entry, change=change is Change.DONE))
        return Changed(view.server.name, name, change, words)

    async def _write_down(self, entry: Entry) -> None:
        async with self._database.transaction() as tx:
            await self._journal.append(tx, entry)

    def _console(self, view: View) -> Rcon:
        console = self._consoles.find(view.server.name)
        if console is None:
            raise InvalidError(f"The console of {view.server.name} is not configured (`rcon`).")
        return console


class RequestCards:
    """Renders requests for those who decide."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render the request of this number; one that is no longer kept has no card."""
        del channel_id
        async with self._database.reading() as tx:
            asked = await store.find_request(tx, int(key))
        return render_request(asked) if asked is not None else None


class AnswerCards:
    """Renders how requests ended for those who asked."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render how the request of this number ended."""
        del channel_id
        async with self._database.reading() as tx:
            asked = await store.find_request(tx, int(key))
        return render_answer(asked) if asked is not None and asked.settled_at is not None else None


async def _get(tx: Transaction, number: int) -> Request:
    asked = await store.find_request(tx, number)
    if asked is None:
        raise NotFoundError("This request is no longer kept.")
    return asked


async def _refuse_repeats(tx: Transaction, asked: Request) -> None:
    waiting = await store.list_waiting(tx, asked.server)
    if any(each.player.lower() == asked.player.lower() for each in waiting):
        raise ConflictError(f"Somebody asked for {asked.player} on {asked.server} already; it waits.")
    if len(await store.list_waiting(tx, by=asked.asked_by)) >= MOST_WAITING:
        raise ConflictError(f"{MOST_WAITING} of your requests wait already.")
