"""Makes Discord agree with the cards: the latest version only, the most urgent first.

One loop a channel, one request in flight in each, rendered when its slot is
free. A restart, a 429, an outage and a deleted message are all the same case:
not yet in agreement. The cards that stand in threads share one loop: there are many
threads, and what stands in them can wait.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bot.cards import store
from bot.cards.model import Card, CardState, Need, Pressure, backoff, need_of
from bot.cards.source import CardSource
from bot.cards.threads.service import REFUSED_FOR, ThreadKeeper
from bot.chat.errors import (
    ChannelForbiddenError,
    ChannelGoneError,
    DiscordUnavailableError,
    EditLimitedError,
    MessageGoneError,
    MessageRejectedError,
    ThreadArchivedError,
    ThreadLockedError,
)
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing, Verb
from bot.chat.rendered import Rendered
from bot.core.clock import Clock
from bot.core.errors import LostLeadershipError, MachineError, UnavailableError
from bot.core.loops import AT_ONCE, Bug, Loop, survive
from bot.database.engine import Database, Transaction
from bot.telemetry import metrics, tracing

log = structlog.get_logger(__name__)

LONGEST_OUTAGE_WAIT = timedelta(seconds=5)
"""How long after an outage the first try may come: cards must be shown within 15 s of its end."""

_DISPATCH_EVERY = timedelta(milliseconds=25)
"""In a storm each commit wakes the dispatcher, and one look finds what many brought."""

_LONGEST_WAIT = timedelta(hours=1)
"""How long what was refused waits for another try at most."""

_LOOKED_AT = 50
"""Of the cards in threads, which wait for limits of their own each."""

_VERBS = {Need.CREATE: Verb.CREATE, Need.FIND: Verb.CREATE, Need.EDIT: Verb.EDIT}
_STATES = {
    Verb.CREATE: (CardState.ABSENT, CardState.GONE, CardState.CREATING),
    Verb.EDIT: (CardState.LIVE,),
}

Refusal = Callable[[Card, str, int | None], object]


class PressureListener(Protocol):
    """Whoever has fewer cards shown when a channel cannot take them all."""

    async def feel(self, pressures: Mapping[int, Pressure]) -> timedelta | None:
        """Hear what waits for channels; returns when to be told again although nothing changed."""
        ...


class Courier:
    """Delivers cards."""

    def __init__(
        self,
        database: Database,
        messages: DiscordMessages,
        pacing: Pacing,
        sources: Mapping[str, CardSource],
        *,
        clock: Clock,
        fallback_channel: Callable[[], int | None],
        on_refusal: Refusal = lambda *_: None,
        listener: PressureListener | None = None,
        threads: ThreadKeeper | None = None,
        in_threads: frozenset[str] = frozenset(),
    ) -> None:
        """Take the leading database, the way to Discord and a source for each kind of card.

        `fallback_channel` gives where a card goes whose channel refuses us;
        `on_refusal(card, why, moved_to)` hears of each such case. `listener`
        hears how much waits before any of it goes out. `threads` keeps the threads
        of cards, and `in_threads` are the kinds of cards that stand in them.
        """
        self._database = database
        self._messages = messages
        self._pacing = pacing
        self._sources = sources
        self._clock = clock
        self._fallback_channel = fallback_channel
        self._on_refusal = on_refusal
        self._listener = listener
        self._threads = threads
        self._in_threads = in_threads
        self._in_threads_loop = Loop(
            "courier-threads", self.step_in_threads, longest_backoff=LONGEST_OUTAGE_WAIT
        )
        self._dispatcher = Loop("courier", self.dispatch, shortest_wait=_DISPATCH_EVERY)
        self._channels: dict[int, Loop] = {}
        self._started: asyncio.TaskGroup | None = None
        self._outages: dict[int, int] = {}
        self._in_flight = 0
        self._finishing = False
        self._idle = asyncio.Event()
        self._idle.set()

    def wake(self) -> None:
        """Look for cards that wait, soon."""
        self._dispatcher.wake()

    async def run(self) -> None:
        """Deliver until cancelled; raises `LostLeadershipError` in a group."""
        async with self._database.transaction() as tx:
            await store.send_again(tx, touched_since=self._clock.now() - store.JUST_NOW)
        try:
            async with asyncio.TaskGroup() as group:
                self._started = group
                group.create_task(self._dispatcher.run(), name="courier")
                if self._threads is not None:
                    group.create_task(self._in_threads_loop.run(), name="courier-threads")
                    group.create_task(self._threads.loop.run(), name="threads")
        finally:
            self._started = None
            self._channels.clear()

    async def dispatch(self) -> timedelta | None:
        """Wake the loop of each channel for which something waits, and say how much that is."""
        async with self._database.reading() as tx:
            due = await store.count_due(tx, but=self._in_threads)
            waiting = await store.count_waiting(tx, now=self._clock.now(), but=self._in_threads)
            in_threads = await store.count_due_of(tx, self._in_threads) if self._in_threads else 0
        metrics.INBOX_PENDING.labels("courier").set(sum(due.values()) + in_threads)
        if in_threads:
            self._in_threads_loop.wake()
        wait = await self._tell_pressure(waiting)
        for channel in due:
            self._loop_of(channel).wake()
        return wait

    async def _tell_pressure(self, waiting: Mapping[int, int]) -> timedelta | None:
        if self._listener is None:
            return None
        pressures = {
            channel: Pressure(channel, waiting.get(channel, 0), self._pacing.rate(channel, Verb.CREATE))
            for channel in {*waiting, *self._channels}
        }
        told = await survive(
            self._listener.feel(pressures), name="pressure", but=(UnavailableError, LostLeadershipError)
        )
        return None if isinstance(told, Bug) else told

    def _loop_of(self, channel: int) -> Loop:
        loop = self._channels.get(channel)
        if loop is None:
            loop = Loop(f"courier-{channel}", lambda: self.step(channel), longest_backoff=LONGEST_OUTAGE_WAIT)
            self._channels[channel] = loop
            if self._started is not None:
                self._started.create_task(loop.run(), name=loop.name)
        return loop

    async def settle(self) -> None:
        """Deliver everything that can be delivered without waiting; for tests and a last effort."""
        async with self._database.reading() as tx:
            due = await store.count_due(tx, but=self._in_threads)
        for channel in due:
            while await self.step(channel) == AT_ONCE:
                pass
        if self._threads is not None:
            while AT_ONCE in {await self.step_in_threads(), await self._threads.step()}:
                pass

    async def step(self, channel: int) -> timedelta | None:
        """Bring the next card of a channel into agreement."""
        now = self._clock.now()
        waits = {verb: self._pacing.ready_in(channel, verb) for verb in _STATES}
        # Edits have slots of their own: they do not wait for the creations of a storm.
        states = [state for verb, wait in waits.items() if wait <= 0 for state in _STATES[verb]]
        async with self._database.reading() as tx:
            due = await store.list_due(tx, channel, now=now, limit=1, states=states)
            if not due:
                return await self._wait_in(tx, channel, now, waits.values())
        if self._finishing:
            return None
        await self._see_to(due[0])
        return AT_ONCE

    async def step_in_threads(self) -> timedelta | None:
        """Bring the next card that stands in a thread into agreement."""
        async with self._database.reading() as tx:
            due = await store.list_due_of(tx, self._in_threads, now=self._clock.now(), limit=_LOOKED_AT)
        if self._finishing or not due:
            return None
        waits = {card.id: self._pacing.ready_in(card.posted_in, _VERBS[need_of(card)]) for card in due}
        ready = next((card for card in due if waits[card.id] <= 0), None)
        if ready is None:
            return timedelta(seconds=min(waits.values()))
        await self._see_to(ready)
        # An outage is everywhere: the next thread would meet it as well.
        is_out = ready.posted_in in self._outages
        return timedelta(seconds=self._pacing.ready_in(ready.posted_in, Verb.EDIT)) if is_out else AT_ONCE

    async def _see_to(self, card: Card) -> None:
        with (
            self._delivery(),
            tracing.following(card.trace),
            tracing.span("deliver card", tracing.Kind.CONSUMER, kind=card.kind, key=card.key) as span,
        ):
            span.set(need=need_of(card).value)
            outcome = await survive(
                self._deliver(card),
                name="courier",
                but=(UnavailableError, LostLeadershipError),
                card=f"{card.kind} {card.key}",
            )
            if isinstance(outcome, Bug):
                span.fail(outcome.kind)
        if isinstance(outcome, Bug):
            await self._put_aside(card)

    async def _wait_in(
        self, tx: Transaction, channel: int, now: datetime, waits: Iterable[float]
    ) -> timedelta | None:
        """Say when a channel for which nothing can be done now is to be looked at again."""
        if await store.list_due(tx, channel, now=now, limit=1):
            # What became due while we looked needs no wait: its slot is free.
            return timedelta(seconds=min((wait for wait in waits if wait > 0), default=0.0))
        retry_at = await store.find_next_retry(tx, channel)
        return max(retry_at - now, timedelta(milliseconds=50)) if retry_at else None

    async def finish(self) -> None:
        """Begin no more deliveries and wait for those in flight; the caller bounds the time."""
        self._finishing = True
        await self._idle.wait()

    @contextmanager
    def _delivery(self) -> Iterator[None]:
        self._in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()

    async def _deliver(self, card: Card) -> None:
        try:
            await self._agree_in_thread(card)
        except DiscordUnavailableError as error:
            self._wait_out(card, error)
            return
        except EditLimitedError as error:
            self._pacing.hold(card.posted_in, _VERBS[need_of(card)], error.retry_after)
            return
        except MessageGoneError:
            async with self._database.transaction() as tx:
                await store.mark_lost(tx, card.id)
            return
        except (ChannelForbiddenError, ChannelGoneError, ThreadArchivedError, ThreadLockedError) as error:
            if self._is_in_thread(card):
                await self._stay_out(card, error)
            else:
                await self._fall_back(card, str(error))
            return
        except MessageRejectedError as error:
            log.error("card_rejected", kind=card.kind, key=card.key, why=str(error))  # noqa: TRY400 — no bug of ours below
            self._on_refusal(card, str(error), None)
            await self._put_aside(card)
            return
        if self._outages.pop(card.posted_in, 0):
            log.info("discord_answers_again", channel=card.posted_in)

    async def _agree_in_thread(self, card: Card) -> None:
        try:
            await self._agree(card)
        except ThreadArchivedError:
            if self._threads is not None and self._is_in_thread(card):
                await self._threads.open(card.posted_in)
            else:
                await self._messages.unarchive(card.posted_in)
            await self._agree(card)

    def _is_in_thread(self, card: Card) -> bool:
        return card.kind in self._in_threads

    async def _agree(self, card: Card) -> None:
        rendered = await self._sources[card.kind].render(card.key, card.channel_id)
        if rendered is None:
            await self._remove(card)
            return
        match need_of(card):
            case Need.EDIT:
                assert card.message_id is not None  # noqa: S101 — a live card has a message
                await self._messages.edit(card.posted_in, card.message_id, rendered)
                await self._mark_live(card, card.message_id, version=card.wanted)
            case Need.FIND:
                found = await self._find(card)
                if found is None:
                    await self._create(card, rendered)
                else:
                    # It is there, in the version of then: the next step edits it.
                    await self._mark_live(card, found, version=card.delivered)
            case Need.CREATE:
                await self._create(card, rendered)

    async def _create(self, card: Card, rendered: Rendered) -> None:
        began = card.creating_since or self._clock.now()
        async with self._database.transaction() as tx:
            announced = await store.mark_creating(tx, card.id, marker=rendered.marker, now=began)
        if announced is None:
            return
        if announced:
            # It was said once: posting it again wakes nobody.
            rendered = replace(rendered, ping_roles=(), ping_users=(), silent=True)
        message = await self._messages.create(card.posted_in, rendered, nonce=card.nonce(began))
        await self._mark_live(card, message, version=card.wanted)

    async def _remove(self, card: Card) -> None:
        message = await self._find(card) if need_of(card) is Need.FIND else card.message_id
        if message is not None:
            await self._messages.delete(card.posted_in, message)
        async with self._database.transaction() as tx:
            await store.mark_gone(tx, card.id, version=card.wanted)

    async def _find(self, card: Card) -> int | None:
        assert card.marker is not None  # noqa: S101 — noted before the creation went out
        assert card.creating_since is not None  # noqa: S101 — likewise
        return await self._messages.find(card.posted_in, card.marker, since=card.creating_since)

    async def _mark_live(self, card: Card, message: int, *, version: int) -> None:
        async with self._database.transaction() as tx:
            await store.mark_live(tx, card.id, message_id=message, version=version)
            if self._threads is not None and self._is_in_thread(card) and card.failures:
                await self._threads.touch(tx, card.posted_in)
        if self._threads is not None and (card.state is not CardState.LIVE or self._is_in_thread(card)):
            self._threads.wake()

    async def _put_aside(self, card: Card, first: timedelta = timedelta(minutes=1)) -> None:
        wait = backoff(card.failures + 1, first=first, longest=_LONGEST_WAIT)
        async with self._database.transaction() as tx:
            await store.mark_failed(tx, card.id, retry_at=self._clock.now() + wait)

    async def _fall_back(self, card: Card, why: str) -> None:
        fallback = self._fallback_channel()
        if fallback is None or card.posted_in == fallback:
            log.warning("channel_refuses", channel=card.posted_in, why=why)
            self._on_refusal(card, why, None)
            await self._put_aside(card)
            return
        log.warning("card_moved", kind=card.kind, key=card.key, channel=card.posted_in, to=fallback, why=why)
        async with self._database.transaction() as tx:
            await store.move(tx, card.id, to=fallback)
            tx.after_commit(self.wake)
        self._on_refusal(card, why, fallback)

    async def _stay_out(self, card: Card, error: MachineError) -> None:
        """Leave a thread that takes no card: what it would have said stands nowhere else."""
        assert self._threads is not None  # noqa: S101 — somebody put a card into a thread
        log.info("thread_takes_no_card", kind=card.kind, key=card.key, why=str(error))
        if isinstance(error, ChannelGoneError):
            await self._threads.lose(card.posted_in)
            async with self._database.transaction() as tx:
                await store.mark_gone(tx, card.id, version=card.wanted)
            return
        wait = backoff(card.failures + 1, first=REFUSED_FOR, longest=_LONGEST_WAIT)
        async with self._database.transaction() as tx:
            await store.mark_failed(tx, card.id, retry_at=self._clock.now() + wait)
            if not card.failures:
                await self._threads.touch(tx, card.posted_in)
        self._threads.note_refusal(card.posted_in)
        if isinstance(error, ChannelForbiddenError):
            await self._threads.refuse(card.posted_in, str(error))

    def _wait_out(self, card: Card, error: DiscordUnavailableError) -> None:
        failures = self._outages.get(card.posted_in, 0) + 1
        self._outages[card.posted_in] = failures
        if failures == 1:
            log.warning("discord_unavailable", channel=card.posted_in, why=str(error))
        wait = backoff(
            failures, first=timedelta(milliseconds=500), longest=LONGEST_OUTAGE_WAIT
        ).total_seconds()
        for verb in (Verb.CREATE, Verb.EDIT):
            self._pacing.hold(card.posted_in, verb, max(wait, error.retry_after or 0))
