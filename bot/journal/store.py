"""The tables of the journal and their queries."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    Index,
    Integer,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    false,
    func,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from bot.core.actor import Actor, ActorKind
from bot.database.engine import Transaction
from bot.database.schema import BigId, Json, UtcDateTime, metadata
from bot.journal.model import (
    EMPTY,
    ChainReader,
    Entry,
    Filter,
    Head,
    Outcome,
    PostedHead,
    Recorded,
    canonical_json,
)

journal = Table(
    "journal",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Column("namespace", Text),
    Column("app", Text),
    Column("incident", Integer, index=True),
    Column("operation", Text, index=True),
    Column("seq", BigInteger, unique=True),
    Column("hash", Text),
    Column("change", Boolean, nullable=False, server_default=false()),
    # Questions are about the newest of one namespace, app or person.
    Index("ix_journal_namespace_at", "namespace", "at"),
    Index("ix_journal_app_at", "app", "at"),
    Index("ix_journal_actor_id_at", "actor_id", "at"),
)
# Changes are few among the entries, and asked for whenever a card is rendered.
for _name, *_columns in (
    ("ix_journal_change_namespace", journal.c.namespace, journal.c.at, journal.c.id),
    ("ix_journal_change_app", journal.c.app, journal.c.at, journal.c.id),
    ("ix_journal_change_at", journal.c.at, journal.c.id),
):
    Index(_name, *_columns, sqlite_where=journal.c.change, postgresql_where=journal.c.change)

journal_head = Table(
    "journal_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

journal_post = Table(
    "journal_post",
    metadata,
    Column("day", Date, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("message_id", Text),
)

_ONLY_ROW = 1


async def insert_entry(tx: Transaction, at: datetime, entry: Entry, head: Head | None) -> Recorded:
    """Save an entry, as the chain's newest where a head is given."""
    seq, chained = (head.seq, head.hash) if head else (None, None)
    values = {
        "at": at,
        "actor_kind": entry.actor.kind.value,
        "actor_id": entry.actor.id,
        "actor_name": entry.actor.name,
        "action": entry.action,
        "target": entry.target,
        "outcome": entry.outcome.value,
        "reason": entry.reason,
        "detail": dict(entry.detail),
        "namespace": entry.namespace,
        "app": entry.app,
        "incident": entry.incident,
        "operation": entry.operation,
        "change": entry.change,
        "seq": seq,
        "hash": chained,
    }
    number = (await tx.execute(_insert, values)).scalar_one()
    return Recorded(number, at, entry, seq, chained)


# What every alert needs is put together once: that takes SQLAlchemy longer than running it.
_insert = journal.insert().returning(journal.c.id)


async def lock_head(tx: Transaction) -> Head:
    """Return the end of the chain; nobody else can move it until this transaction ends."""
    locked = select(journal_head).where(journal_head.c.id == _ONLY_ROW).with_for_update()
    row = (await tx.execute(locked)).first()
    if row is None:
        await _insert_head(tx)
        row = (await tx.execute(locked)).one()
    return Head(row.seq, row.hash)


async def move_head(tx: Transaction, head: Head) -> None:
    """Record the new end of the chain; `lock_head` comes first."""
    await tx.execute(
        update(journal_head).where(journal_head.c.id == _ONLY_ROW).values(seq=head.seq, hash=head.hash)
    )


async def find_head(tx: Transaction) -> Head:
    """Return the end of the chain as recorded; the empty head where none is."""
    row = (await tx.execute(select(journal_head).where(journal_head.c.id == _ONLY_ROW))).first()
    return Head(row.seq, row.hash) if row else EMPTY


async def list_entries(tx: Transaction, wanted: Filter, *, before: int | None, limit: int) -> list[Recorded]:
    """Return the entries that match, what was written last first."""
    statement = select(journal).where(*_conditions(wanted)).order_by(journal.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(journal.c.id < before)
    return [_recorded(row) for row in (await tx.execute(statement)).all()]


async def list_changes(
    tx: Transaction,
    *,
    namespaces: Collection[str],
    apps: Collection[str],
    since: datetime,
    until: datetime | None,
    limit: int,
) -> list[Recorded]:
    """Return the newest changes in any of the namespaces or apps, of all where none is given."""
    statement = _changes(len(namespaces), len(apps), is_over=until is not None)
    places = {f"_namespace{i}": name for i, name in enumerate(namespaces)}
    places |= {f"_app{i}": name for i, name in enumerate(apps)}
    window = {"_since": since, "_until": until, "_limit": limit}
    return [_recorded(row) for row in (await tx.execute(statement, {**places, **window})).all()]


@lru_cache(maxsize=64)
def _changes(namespaces: int, apps: int, *, is_over: bool) -> Select[Any]:
    c = journal.c
    most = bindparam("_limit", type_=Integer)
    window = [c.change, c.at >= bindparam("_since")]
    if is_over:
        window.append(c.at < bindparam("_until"))
    newest = (c.at.desc(), c.id.desc())
    places = [c.namespace == bindparam(f"_namespace{i}") for i in range(namespaces)]
    places += [c.app == bindparam(f"_app{i}") for i in range(apps)]
    # One search of an index for each place, cut to what can be shown: an OR would read all of them.
    found = [select(c.id).where(place, *window).order_by(*newest).limit(most).subquery() for place in places]
    which = [c.id.in_(union(*(select(each.c.id) for each in found)))] if found else window
    return select(journal).where(*which).order_by(*newest).limit(most)


async def list_steps(tx: Transaction, operations: Collection[str]) -> list[Recorded]:
    """Return every entry of these operations, oldest first."""
    statement = select(journal).where(journal.c.operation.in_(operations)).order_by(journal.c.id)
    return [_recorded(row) for row in (await tx.execute(statement)).all()]


async def count_entries(tx: Transaction, wanted: Filter) -> int:
    """Return how many entries match."""
    statement = select(func.count()).select_from(journal).where(*_conditions(wanted))
    return int((await tx.execute(statement)).scalar_one())


async def read_chain(tx: Transaction, reader: ChainReader, *, limit: int) -> Sequence[Recorded | int]:
    """Return the entries of the chain after what was read; of one that cannot be understood, its number."""
    statement = select(journal).where(journal.c.seq > reader.head.seq).order_by(journal.c.seq).limit(limit)
    try:
        return [_recorded(row) for row in (await tx.execute(statement)).all()]
    except (ValueError, TypeError):
        return await _read_one_by_one(tx, reader.head.seq, limit)


async def find_unchained(tx: Transaction) -> int | None:
    """Return the id of the first entry of a person that stands outside the chain."""
    statement = select(func.min(journal.c.id)).where(
        journal.c.actor_kind == ActorKind.PERSON.value,
        or_(journal.c.seq.is_(None), journal.c.seq < 1),
    )
    number: int | None = (await tx.execute(statement)).scalar_one()
    return number


async def delete_unchained(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Delete the oldest entries outside the chain; return how many."""
    oldest = (
        select(journal.c.id)
        .where(journal.c.seq.is_(None), journal.c.at < before)
        .order_by(journal.c.at)
        .limit(limit)
    )
    return (await tx.execute(delete(journal).where(journal.c.id.in_(oldest)))).rowcount


async def find_last_post(tx: Transaction) -> PostedHead | None:
    """Return the newest head that was made ready for posting."""
    row = (await tx.execute(select(journal_post).order_by(journal_post.c.day.desc()).limit(1))).first()
    return PostedHead(row.day, row.seq, row.hash) if row else None


async def insert_post(tx: Transaction, post: PostedHead) -> None:
    """Make a head ready for posting."""
    await tx.execute(journal_post.insert().values(day=post.day, seq=post.seq, hash=post.hash))


async def list_unposted(tx: Transaction) -> list[PostedHead]:
    """Return the heads that are not in the audit channel yet, oldest first."""
    statement = select(journal_post).where(journal_post.c.message_id.is_(None)).order_by(journal_post.c.day)
    return [PostedHead(row.day, row.seq, row.hash) for row in (await tx.execute(statement)).all()]


async def list_posted(tx: Transaction) -> list[PostedHead]:
    """Return the heads that were posted to the audit channel, oldest first."""
    statement = (
        select(journal_post).where(journal_post.c.message_id.is_not(None)).order_by(journal_post.c.day)
    )
    return [PostedHead(row.day, row.seq, row.hash) for row in (await tx.execute(statement)).all()]


async def set_posted(tx: Transaction, day: date, message_id: str) -> None:
    """Remember the message that holds the head of a day."""
    await tx.execute(update(journal_post).where(journal_post.c.day == day).values(message_id=message_id))


async def _insert_head(tx: Transaction) -> None:
    # Without the row the chain goes on where it stands: starting anew would collide with its numbers.
    newest = select(journal.c.seq, journal.c.hash).where(journal.c.seq.is_not(None))
    row = (await tx.execute(newest.order_by(journal.c.seq.desc()).limit(1))).first()
    head = Head(row.seq, row.hash) if row else EMPTY
    values = {"id": _ONLY_ROW, "seq": head.seq, "hash": head.hash}
    if tx.dialect == "postgresql":
        await tx.execute(postgresql.insert(journal_head).values(values).on_conflict_do_nothing())
    else:
        await tx.execute(sqlite.insert(journal_head).values(values).on_conflict_do_nothing())


async def _read_one_by_one(tx: Transaction, after: int, limit: int) -> list[Recorded | int]:
    numbers = select(journal.c.seq).where(journal.c.seq > after).order_by(journal.c.seq).limit(limit)
    found: list[Recorded | int] = []
    for seq in (await tx.execute(numbers)).scalars().all():
        try:
            row = (await tx.execute(select(journal).where(journal.c.seq == seq))).one()
            found.append(_recorded(row))
        except (ValueError, TypeError):
            found.append(seq)
            break
    return found


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    c = journal.c
    exact = [
        (c.namespace, wanted.namespace),
        (c.app, wanted.app),
        (c.incident, wanted.incident),
        (c.operation, wanted.operation),
        (c.actor_id, wanted.actor),
    ]
    conditions: list[ColumnElement[bool]] = [column == value for column, value in exact if value is not None]
    if wanted.action is not None:
        conditions.append(c.action.like(_like(wanted.action), escape="\\"))
    if wanted.since is not None:
        conditions.append(c.at >= wanted.since.astimezone(UTC))
    if wanted.until is not None:
        conditions.append(c.at < wanted.until.astimezone(UTC))
    if wanted.people_only:
        conditions.append(c.actor_kind == ActorKind.PERSON.value)
    return conditions


def _like(glob: str) -> str:
    escaped = glob.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return escaped.replace("*", "%").replace("?", "_")


def _recorded(row: Row[Any]) -> Recorded:
    if not isinstance(row.detail, dict):
        raise TypeError("the detail of a journal entry is not an object")
    canonical_json(row.detail)
    entry = Entry(
        actor=Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name),
        action=row.action,
        target=row.target,
        outcome=Outcome(row.outcome),
        reason=row.reason,
        detail=row.detail,
        namespace=row.namespace,
        app=row.app,
        incident=row.incident,
        operation=row.operation,
        change=row.change,
    )
    return Recorded(row.id, row.at, entry, row.seq, row.hash)
