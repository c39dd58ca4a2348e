"""The cards: which live messages should exist, and at which version."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    Row,
    Table,
    Text,
    UniqueConstraint,
    Update,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from bot.cards.model import Card, CardState, Priority
from bot.core.clock import Clock
from bot.database.engine import Transaction
from bot.database.schema import BigId, UtcDateTime, metadata
from bot.telemetry import tracing

card = Table(
    "card",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("channel_id", BigId, nullable=False),
    Column("posted_in", BigId, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("delivered", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("message_id", BigId),
    Column("generation", Integer, nullable=False),
    Column("creating_since", UtcDateTime),
    Column("marker", Text),
    Column("touched_at", UtcDateTime, nullable=False),
    Column("announced", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at", UtcDateTime),
    Column("trace", Text),
    UniqueConstraint("kind", "key", "channel_id"),
)
_is_due = card.c.wanted > card.c.delivered
# The statements of every card are put together once: that takes SQLAlchemy longer than running them.
_bump = (
    update(card)
    .where(
        card.c.kind == bindparam("_kind"),
        card.c.key == bindparam("_key"),
        card.c.channel_id == bindparam("_channel"),
    )
    .values(
        wanted=card.c.wanted + 1,
        announced=or_(card.c.announced, bindparam("_announced", type_=Boolean())),
    )
)
_may_be_tried = or_(card.c.retry_at.is_(None), card.c.retry_at <= bindparam("_now"))
_is_withdrawn = and_(card.c.state == CardState.GONE, ~card.c.announced, ~_is_due)
_touch = (
    update(card)
    .where(card.c.kind == bindparam("_kind"), ~_is_withdrawn)
    .values(wanted=card.c.wanted + 1, retry_at=None)
)
_touch_key = _touch.where(card.c.key == bindparam("_key"))
_touch_channel = _touch.where(
    card.c.channel_id == bindparam("_channel"), ~and_(card.c.state == CardState.GONE, ~_is_due)
)
_is_not_there = or_(card.c.state == CardState.ABSENT, card.c.state == CardState.GONE)
_NEW = {
    "wanted": 1,
    "delivered": 0,
    "state": CardState.ABSENT,
    "generation": 0,
    "announced": False,
    "failures": 0,
}
Index("ix_card_due", card.c.posted_in, card.c.priority, sqlite_where=_is_due, postgresql_where=_is_due)


class Cards:
    """Says which cards should exist; the courier hears of it after the commit."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock; `on_change` is set by whoever delivers."""
        self._clock = clock
        self._on_change: Callable[[], None] = _nobody

    def wake(self) -> None:
        """Have whoever delivers look again."""
        self._on_change()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have the deliverer woken after each commit that changes a card."""
        self._on_change = callback

    async def want(
        self,
        tx: Transaction,
        kind: str,
        key: str,
        channel_id: int,
        *,
        priority: Priority = Priority.NORMAL,
        not_before: datetime | None = None,
        announced: bool = False,
    ) -> None:
        """Have a card in a channel, rendered anew if it is there already.

        With `announced` it calls for nobody when it is created: others did, or do.
        """
        now = self._clock.now()
        which = {"_kind": kind, "_key": key, "_channel": channel_id, "_announced": announced}
        news = {
            "priority": priority,
            "touched_at": now,
            "retry_at": not_before,
            "trace": tracing.traceparent(),
        }
        bumped = await tx.execute(_bump, {**which, **news})
        if bumped.rowcount == 0:
            place = {"kind": kind, "key": key, "channel_id": channel_id, "posted_in": channel_id}
            await tx.execute(card.insert(), {**_NEW, **place, **news, "announced": announced})
        tx.after_commit(self._on_change)

    async def touch(self, tx: Transaction, kind: str, key: str) -> None:
        """Have every card of this key rendered anew, wherever it is; one that was withdrawn stays so."""
        await self._touch(tx, _touch_key, _kind=kind, _key=key)

    async def touch_all(self, tx: Transaction, kind: str, channel_id: int) -> None:
        """Have every card of a kind in a channel rendered anew that is there or should be."""
        await self._touch(tx, _touch_channel, _kind=kind, _channel=channel_id)

    async def _touch(self, tx: Transaction, which: Update, **named: object) -> None:
        news = {"touched_at": self._clock.now(), "trace": tracing.traceparent()}
        touched = await tx.execute(which, {**named, **news})
        if touched.rowcount:
            tx.after_commit(self._on_change)


async def count_due(tx: Transaction, *, but: Collection[str] = ()) -> dict[int, int]:
    """Return how many cards wait, for each channel for which some do; some kinds may be left out."""
    rows = await tx.execute(_count_due, {"_but": but})
    return {int(row.posted_in): int(row.due) for row in rows}


_count_due = (
    select(card.c.posted_in, func.count().label("due"))
    .where(_is_due, card.c.kind.not_in(bindparam("_but")))
    .group_by(card.c.posted_in)
)


async def count_due_of(tx: Transaction, kinds: Collection[str]) -> int:
    """Return how many cards of these kinds wait."""
    return int((await tx.execute(_count_due_of, {"_kinds": kinds})).scalar_one())


_count_due_of = select(func.count()).select_from(card).where(_is_due, card.c.kind.in_(bindparam("_kinds")))


async def count_waiting(tx: Transaction, *, now: datetime, but: Collection[str] = ()) -> dict[int, int]:
    """Return how many cards wait to be created, for each channel they belong into; but those put aside.

    What another channel is to take in place of one that refuses us counts as well: it would be flooded.
    """
    rows = await tx.execute(_count_waiting, {"_but": but, "_now": now})
    return {int(row.channel_id): int(row.waiting) for row in rows}


_count_waiting = (
    select(card.c.channel_id, func.count().label("waiting"))
    .where(_is_due, card.c.state != CardState.LIVE, card.c.kind.not_in(bindparam("_but")), _may_be_tried)
    .group_by(card.c.channel_id)
)


async def list_unshown(tx: Transaction, channel_id: int, kinds: Collection[str]) -> list[Card]:
    """Return the cards of these kinds that belong into a channel and of which nobody has seen any yet."""
    rows = await tx.execute(select(card).where(*_unshown(channel_id, kinds)).order_by(card.c.id))
    return [_card(row) for row in rows]


async def withdraw(tx: Transaction, ids: Collection[int]) -> None:
    """Want cards no more that were never shown, until they are wanted again.

    Their rows stay: SQLite would give their ids to others, while the courier may still hold them.
    """
    if ids:
        await tx.execute(_withdraw, [{"_id": number} for number in ids])


_withdraw = (
    update(card)
    .where(card.c.id == bindparam("_id"), _is_not_there, ~card.c.announced)
    .values(state=CardState.GONE, delivered=card.c.wanted, generation=card.c.generation + 1)
)


async def hush(tx: Transaction, channel_id: int, kinds: Collection[str]) -> None:
    """Have those cards of these kinds in a channel call for nobody that were never shown."""
    await tx.execute(update(card).where(*_unshown(channel_id, kinds)).values(announced=True))


def _unshown(channel_id: int, kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return (
        card.c.channel_id == channel_id,
        card.c.kind.in_(kinds),
        _is_not_there,
        ~card.c.announced,
        _is_due,
    )


async def list_due(
    tx: Transaction,
    channel_id: int,
    *,
    now: datetime,
    limit: int,
    states: Collection[CardState] = tuple(CardState),
) -> list[Card]:
    """Return the cards that a channel should take next, the most urgent first."""
    wanted = {"_channel": channel_id, "_now": now, "_states": states, "_limit": limit}
    return [_card(row) for row in await tx.execute(_list_due, wanted)]


_list_due = (
    select(card)
    .where(
        card.c.posted_in == bindparam("_channel"),
        _is_due,
        _may_be_tried,
        card.c.state.in_(bindparam("_states")),
    )
    .order_by(card.c.priority.desc(), card.c.touched_at, card.c.id)
    .limit(bindparam("_limit"))
)


async def list_due_of(tx: Transaction, kinds: Collection[str], *, now: datetime, limit: int) -> list[Card]:
    """Return the cards of these kinds that are to be brought into agreement next, wherever they are."""
    wanted = {"_kinds": kinds, "_now": now, "_limit": limit}
    return [_card(row) for row in await tx.execute(_list_due_of, wanted)]


_list_due_of = (
    select(card)
    .where(_is_due, _may_be_tried, card.c.kind.in_(bindparam("_kinds")))
    .order_by(card.c.touched_at, card.c.id)
    .limit(bindparam("_limit"))
)


async def find_next_retry(tx: Transaction, channel_id: int) -> datetime | None:
    """Return when the next card of a channel may be tried again."""
    moment: datetime | None = (await tx.execute(_next_retry, {"_channel": channel_id})).scalar()
    return moment


_next_retry = (
    select(card.c.retry_at)
    .where(card.c.posted_in == bindparam("_channel"), _is_due, card.c.retry_at.is_not(None))
    .order_by(card.c.retry_at)
    .limit(1)
)


async def find_card(tx: Transaction, kind: str, key: str, channel_id: int) -> Card | None:
    """Return the card of a key that belongs into a channel."""
    row = (
        await tx.execute(
            select(card).where(card.c.kind == kind, card.c.key == key, card.c.channel_id == channel_id)
        )
    ).first()
    return _card(row) if row else None


async def list_shown(tx: Transaction, names: Collection[tuple[str, str]]) -> list[Card]:
    """Return the cards that Discord shows, of these kinds and keys."""
    wanted = [and_(card.c.kind == kind, card.c.key == key) for kind, key in names]
    if not wanted:
        return []
    rows = await tx.execute(select(card).where(or_(*wanted), card.c.message_id.is_not(None)))
    return [_card(row) for row in rows]


async def mark_creating(tx: Transaction, card_id: int, *, marker: str, now: datetime) -> bool | None:
    """Note that a creation is about to go out.

    Returns whether it was announced already, and so calls for nobody; None: it was withdrawn.
    """
    noted = await tx.execute(_mark_creating, {"_id": card_id, "_now": now, "marker": marker})
    announced: bool | None = noted.scalar()
    return announced


_mark_creating = (
    update(card)
    .where(card.c.id == bindparam("_id"), _is_due)
    .values(
        state=CardState.CREATING,
        creating_since=func.coalesce(card.c.creating_since, bindparam("_now", type_=UtcDateTime())),
    )
    .returning(card.c.announced)
)


async def mark_live(tx: Transaction, card_id: int, *, message_id: int, version: int) -> None:
    """Note that Discord shows a version."""
    await tx.execute(_mark_live, {"_id": card_id, "message_id": message_id, "delivered": version})


_mark_live = (
    update(card)
    .where(card.c.id == bindparam("_id"))
    .values(state=CardState.LIVE, announced=True, creating_since=None, failures=0, retry_at=None)
)


async def mark_gone(tx: Transaction, card_id: int, *, version: int) -> None:
    """Note that a card that should not exist does not."""
    await tx.execute(
        update(card)
        .where(card.c.id == card_id)
        .values(
            state=CardState.GONE,
            message_id=None,
            delivered=version,
            generation=card.c.generation + 1,
            creating_since=None,
            failures=0,
            retry_at=None,
        )
    )


async def mark_lost(tx: Transaction, card_id: int) -> None:
    """Note that the message was deleted by somebody: it is posted again."""
    await tx.execute(
        update(card)
        .where(card.c.id == card_id)
        .values(
            state=CardState.ABSENT,
            message_id=None,
            delivered=0,
            generation=card.c.generation + 1,
            creating_since=None,
        )
    )


async def move(tx: Transaction, card_id: int, *, to: int) -> None:
    """Have the card posted in another channel from now on."""
    await tx.execute(
        update(card)
        .where(card.c.id == card_id)
        .values(
            posted_in=to,
            state=CardState.ABSENT,
            message_id=None,
            delivered=0,
            generation=card.c.generation + 1,
            creating_since=None,
            failures=0,
            retry_at=None,
        )
    )


async def mark_failed(tx: Transaction, card_id: int, *, retry_at: datetime) -> None:
    """Note that a card cannot be shown now, so that others go before it."""
    await tx.execute(
        update(card).where(card.c.id == card_id).values(failures=card.c.failures + 1, retry_at=retry_at)
    )


async def send_again(tx: Transaction, *, touched_since: datetime) -> None:
    """Have cards that a former leader touched lately sent again."""
    await tx.execute(
        update(card)
        .where(card.c.touched_at >= touched_since, card.c.state == CardState.LIVE)
        .values(wanted=card.c.wanted + 1)
    )


async def purge(tx: Transaction, *, untouched_since: datetime, but: Collection[str]) -> int:
    """Forget cards that agree and that nobody touched for long, except of some kinds; the messages stay."""
    old = and_(card.c.touched_at < untouched_since, ~_is_due, card.c.kind.not_in(but))
    return (await tx.execute(card.delete().where(old))).rowcount


async def forget(tx: Transaction, kind: str, keys: Sequence[str]) -> None:
    """Forget the cards of these keys; the messages stay."""
    await tx.execute(card.delete().where(card.c.kind == kind, card.c.key.in_(keys)))


def _card(row: Row[Any]) -> Card:
    values = dict(row._mapping)  # noqa: SLF001 — the documented way to a row's columns
    values["priority"] = Priority(values["priority"])
    values["state"] = CardState(values["state"])
    return Card(**values)


def _nobody() -> None:
    """Stand in until somebody delivers."""


JUST_NOW = timedelta(seconds=30)
"""What a former leader touched within this time may still have been on the wire."""
