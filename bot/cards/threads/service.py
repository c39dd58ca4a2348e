"""Makes Discord agree with the threads: started, named, archived when it is over, opened when it goes on.

They come after cards: a thread is started when nothing else waits for its channel,
one request at a time. A message has at most one thread, under the message's own id, so
that starting it twice is starting it once.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from bot.cards.model import backoff
from bot.cards.store import Cards
from bot.cards.threads import store
from bot.cards.threads.model import LONGEST_NAME, Step, Thread, ThreadState, next_step
from bot.chat.errors import (
    ChannelForbiddenError,
    ChannelGoneError,
    DiscordUnavailableError,
    EditLimitedError,
    MessageGoneError,
    MessageRejectedError,
    ThreadArchivedError,
    ThreadExistsError,
    ThreadLockedError,
)
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing, Verb
from bot.chat.text import cut_plain, plain
from bot.core.clock import Clock
from bot.core.errors import LostLeadershipError, MachineError, UnavailableError
from bot.core.loops import AT_ONCE, Bug, Loop, survive
from bot.database.engine import Database, Transaction

log = structlog.get_logger(__name__)

REFUSED_FOR = timedelta(minutes=10)
"""How long a channel that refuses threads is left alone; 10,000 refusals in that time are a ban."""
_LONGEST_WAIT = timedelta(hours=1)
_LONGEST_OUTAGE_WAIT = timedelta(seconds=5)
_LOOKED_AT = 50
"""Of those that could be next: most wait for the same limit, and one that waits for another is found."""

_FREED_AT_ONCE = 200
"""So many fit into one statement."""

_VERBS = {
    Step.START: Verb.THREAD,
    Step.OPEN: Verb.CHANGE,
    Step.ARCHIVE: Verb.CHANGE,
    Step.RENAME: Verb.CHANGE,
}

OnStart = Callable[[Transaction, Thread, int], Awaitable[None]]
"""Is told of each thread that was started and its id, inside the transaction that notes it."""
Refusal = Callable[[Thread, str], object]


class Threads:
    """Says which cards have a thread; whoever keeps them hears of it after the commit."""

    def __init__(self) -> None:
        """Start unheard; `on_change` is set by whoever keeps them."""
        self._on_change: Callable[[], None] = lambda: None
        self._is_any: bool = False

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have the keeper woken after each commit that changes a thread."""
        self._on_change = callback

    async def want(
        self, tx: Transaction, kind: str, key: str, channel_id: int, *, name: str, over: bool
    ) -> None:
        """Have a card carry a thread of this name, archived when it is over.

        What is over before one was begun gets none.
        """
        name = cut_plain(plain(name), LONGEST_NAME)
        known = await store.find_thread(tx, kind, key, channel_id)
        if known is None:
            if over:
                return
            await store.insert_thread(tx, kind, key, channel_id, name=name)
            self._is_any = True
        elif known.over != over:
            await store.want(tx, known, name=name, over=over, archived=over)
        elif known.name != name:
            await store.want(tx, known, name=name)
        else:
            return
        tx.after_commit(self._on_change)

    async def list_live(self, tx: Transaction, kind: str, key: str) -> list[Thread]:
        """Return the threads of a card that are there, in whichever channel; at once where there are none."""
        if not self._is_any:
            self._is_any = await store.is_any(tx)
        return await store.list_live(tx, kind, key) if self._is_any else []


class ThreadKeeper:
    """Tells Discord of threads."""

    def __init__(
        self,
        database: Database,
        messages: DiscordMessages,
        pacing: Pacing,
        cards: Cards,
        *,
        clock: Clock,
        on_start: OnStart,
        on_refusal: Refusal = lambda *_: None,
    ) -> None:
        """Take the leading database and the way to Discord; `on_refusal(thread, why)` hears of refusals."""
        self._database = database
        self._messages = messages
        self._pacing = pacing
        self._cards = cards
        self._clock = clock
        self._on_start = on_start
        self._on_refusal = on_refusal
        self._outages = 0
        self._stuck: set[int] | None = None
        """The threads that refused us; None: not read yet."""
        self._unlocked: set[int] = set()
        self.loop = Loop("threads", self.step, longest_backoff=_LONGEST_OUTAGE_WAIT)

    def wake(self) -> None:
        """Look for threads that do not agree, soon."""
        self.loop.wake()

    def hear_unlocked(self, thread_id: int) -> None:
        """Hear from Discord that a thread is not locked: what was refused in it is tried again."""
        self._unlocked.add(thread_id)
        self.loop.wake()

    async def step(self) -> timedelta | None:
        """Bring the next thread into agreement."""
        if self._unlocked:
            await self._go_on()
        now = self._clock.now()
        async with self._database.reading() as tx:
            due = await store.list_due(tx, now=now, limit=_LOOKED_AT)
            retry_at = await store.find_next_retry(tx)
        waits = [retry_at - now] if retry_at is not None and retry_at > now else []
        for one in due:
            wait = self._ready_in(one)
            if wait <= 0:
                return await self._keep(one)
            waits.append(timedelta(seconds=wait))
        return max(min(waits), timedelta(milliseconds=50)) if waits else None

    async def _go_on(self) -> None:
        """Try again what was refused where Discord tells of a change.

        Once a refusal: it tells of our own changes as well, and something else may be wrong.
        """
        if self._stuck is None:
            async with self._database.reading() as tx:
                self._stuck = await store.list_stuck(tx)
        freed = sorted(self._unlocked & self._stuck)[:_FREED_AT_ONCE]
        if freed:
            async with self._database.transaction() as tx:
                await store.try_again(tx, freed)
                tx.after_commit(self._cards.wake)
            log.info("threads_tried_again", threads=freed)
        self._stuck.difference_update(freed)
        self._unlocked.intersection_update(self._stuck)
        if self._unlocked:
            self.loop.wake()

    def _ready_in(self, due: store.Due) -> float:
        step = next_step(due.thread)
        if step is Step.NOTHING:
            return 0.0
        refused = self._pacing.ready_in(due.thread.channel_id, Verb.THREAD)
        place = due.posted_in if step is Step.START else due.thread.thread_id
        return max(refused, self._pacing.ready_in(place or 0, _VERBS[step]))

    async def _keep(self, due: store.Due) -> timedelta:
        outcome = await survive(
            self._try(due),
            name="threads",
            but=(UnavailableError, LostLeadershipError),
            card=f"{due.thread.kind} {due.thread.key}",
        )
        if isinstance(outcome, Bug):
            await self._put_aside(due.thread)
            return AT_ONCE
        return outcome

    async def _try(self, due: store.Due) -> timedelta:
        thread, step = due.thread, next_step(due.thread)
        try:
            await self._do(step, due)
        except DiscordUnavailableError as error:
            self._outages += 1
            wait = backoff(self._outages, first=timedelta(seconds=0.5), longest=_LONGEST_OUTAGE_WAIT)
            return max(wait, timedelta(seconds=error.retry_after or 0))
        except EditLimitedError as error:
            place = due.posted_in if step is Step.START else thread.thread_id or 0
            self._pacing.hold(place, _VERBS[step], error.retry_after)
        except MessageGoneError:
            # The courier finds that out as well, and posts the card again: its new message can have a thread.
            await self._see_none(thread)
            await self._put_aside(thread)
        except (
            ChannelGoneError,
            ChannelForbiddenError,
            MessageRejectedError,
            ThreadArchivedError,
            ThreadLockedError,
        ) as error:
            await self._see_refused(step, thread, error)
        self._outages = 0
        return AT_ONCE

    async def _see_refused(self, step: Step, thread: Thread, error: MachineError) -> None:
        if step is Step.START:
            await self._refuse(thread, error)
        elif isinstance(error, ChannelGoneError):
            await self._lose(thread)
        else:
            await self._leave_alone(thread, error)

    async def _do(self, step: Step, due: store.Due) -> None:
        match step:
            case Step.START:
                await self._start(due)
            case Step.OPEN | Step.ARCHIVE:
                await self._archive(due.thread, archived=step is Step.ARCHIVE)
            case Step.RENAME:
                await self._rename(due.thread)
            case Step.NOTHING:
                async with self._database.transaction() as tx:
                    await store.mark_agreed(tx, due.thread)

    async def _start(self, due: store.Due) -> None:
        if due.thread.told_name is None:
            async with self._database.transaction() as tx:
                await store.mark_begun(tx, due.thread)
        try:
            thread_id = await self._messages.start_thread(due.posted_in, due.message_id, due.thread.name)
        except ThreadExistsError:
            # Ours, from before a crash; or a person was faster, and it serves as well.
            thread_id = due.message_id
        async with self._database.transaction() as tx:
            await store.mark_live(tx, due.thread, thread_id=thread_id)
            await self._on_start(tx, due.thread, thread_id)
        log.info("thread_started", kind=due.thread.kind, key=due.thread.key, thread=thread_id)

    async def _archive(self, thread: Thread, *, archived: bool) -> None:
        assert thread.thread_id is not None  # noqa: S101 — it is live
        try:
            await self._messages.change_thread(thread.thread_id, archived=archived)
        except ThreadArchivedError:
            if not archived:
                raise
        async with self._database.transaction() as tx:
            await store.mark_told(tx, thread, archived=archived)

    async def _rename(self, thread: Thread) -> None:
        assert thread.thread_id is not None  # noqa: S101 — it is live
        try:
            await self._messages.change_thread(thread.thread_id, name=thread.name)
        except ThreadArchivedError as error:
            log.info("thread_keeps_its_name", thread=thread.thread_id, why=str(error))
        async with self._database.transaction() as tx:
            await store.mark_told(tx, thread, name=thread.name)

    async def _refuse(self, thread: Thread, error: MachineError) -> None:
        log.warning("thread_refused", kind=thread.kind, key=thread.key, why=str(error))
        self._pacing.hold(thread.channel_id, Verb.THREAD, REFUSED_FOR.total_seconds())
        await self._see_none(thread)
        await self._put_aside(thread, first=REFUSED_FOR)
        self._on_refusal(thread, str(error))

    async def _see_none(self, thread: Thread) -> None:
        """Note that nothing came of a start; of an earlier one something may have."""
        if thread.state is ThreadState.ABSENT and thread.told_name is None:
            async with self._database.transaction() as tx:
                await store.mark_begun(tx, thread, begun=False)

    async def _leave_alone(self, thread: Thread, error: MachineError) -> None:
        """Try again when it is unlocked, or later: what a moderator did to one thread is about no other."""
        log.info("thread_stays_as_it_is", thread=thread.thread_id, why=str(error))
        await self._put_aside(thread, first=REFUSED_FOR)
        self.note_refusal(thread.thread_id)

    async def _lose(self, thread: Thread) -> None:
        async with self._database.transaction() as tx:
            await store.mark_gone(tx, thread)
        log.info("thread_gone", thread=thread.thread_id)

    async def _put_aside(self, thread: Thread, first: timedelta = timedelta(minutes=1)) -> None:
        wait = backoff(thread.failures + 1, first=first, longest=_LONGEST_WAIT)
        async with self._database.transaction() as tx:
            await store.mark_failed(tx, thread, retry_at=self._clock.now() + wait)

    # What the courier finds out about threads in which cards stand.

    async def open(self, thread_id: int) -> None:
        """Take a thread out of the archive for a card; it goes back when the card is shown.

        That it goes back is noted before, so that no crash leaves it open. One that was archived because
        it was over, and goes on, stays open.
        """
        async with self._database.transaction() as tx:
            known = await store.find_by_id(tx, thread_id)
            if known is not None:
                goes_on = known.told_archived and not known.archived
                await store.want(tx, known, archived=not goes_on, told_archived=False)
        try:
            await self._messages.unarchive(thread_id)
        except ChannelForbiddenError as error:
            # Whoever started a thread may open it, unless a moderator locked it.
            raise ThreadLockedError(thread_id) from error

    async def lose(self, thread_id: int) -> None:
        """Note that a thread is not there any more: its card goes on without one."""
        async with self._database.transaction() as tx:
            known = await store.find_by_id(tx, thread_id)
        if known is not None:
            await self._lose(known)

    async def touch(self, tx: Transaction, thread_id: int) -> None:
        """Have the card whose thread this is say whether what belongs into the thread is shown there."""
        known = await store.find_by_id(tx, thread_id)
        if known is not None:
            await self._cards.touch(tx, known.kind, known.key)

    def note_refusal(self, thread_id: int | None) -> None:
        """Note that a thread refuses us, so that it is tried again when Discord tells of a change there."""
        if self._stuck is not None and thread_id is not None:
            self._stuck.add(thread_id)

    async def refuse(self, thread_id: int, why: str) -> None:
        """Tell that a card may not be shown in a thread."""
        async with self._database.reading() as tx:
            known = await store.find_by_id(tx, thread_id)
        if known is not None:
            self._on_refusal(known, why)
