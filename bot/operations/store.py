"""The table of operations and its queries."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Index, Table, Text, select, update

from bot.core.actor import Actor, ActorKind
from bot.database.engine import Transaction
from bot.database.schema import Json, UtcDateTime, metadata
from bot.operations.model import (
    Approval,
    Ending,
    Operation,
    OperationId,
    Plan,
    Progress,
    State,
    Wish,
)

operation = Table(
    "operation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # The subject while it is active: the database itself lets no second one in.
    Column("holds", Text, unique=True),
    Column("state", Text, nullable=False, index=True),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("confirmed_at", UtcDateTime, index=True),
    Column("ended_at", UtcDateTime),
    Column("body", Json, nullable=False),
    Index("ix_operation_ended_at", "ended_at"),
)

_ACTIVE = tuple(state.value for state in State if state.is_active)


async def save(tx: Transaction, what: Operation) -> None:
    """Save an operation, in place of what was kept under its id."""
    values = {
        "kind": what.plan.kind,
        "subject": what.plan.subject,
        "holds": what.plan.subject if what.state.is_active else None,
        "state": what.state.value,
        "asked_at": what.asked_at,
        "confirmed_at": what.confirmed_at,
        "ended_at": what.ended_at,
        "body": _body(what),
    }
    changed = await tx.execute(update(operation).where(operation.c.id == what.id).values(values))
    if changed.rowcount == 0:
        await tx.execute(operation.insert().values(id=what.id, **values))


async def find(tx: Transaction, operation_id: OperationId) -> Operation | None:
    """Return an operation by its id."""
    row = (await tx.execute(select(operation.c.body).where(operation.c.id == operation_id))).first()
    return _operation(row.body) if row is not None else None


async def find_active(tx: Transaction, subject: str) -> Operation | None:
    """Return the operation that waits or runs on a subject."""
    row = (await tx.execute(select(operation.c.body).where(operation.c.holds == subject))).first()
    return _operation(row.body) if row is not None else None


async def list_active(tx: Transaction) -> list[Operation]:
    """Return what waits or runs, the oldest first."""
    active = select(operation.c.body).where(operation.c.state.in_(_ACTIVE))
    rows = await tx.execute(active.order_by(operation.c.confirmed_at, operation.c.id))
    return [_operation(row.body) for row in rows]


async def list_recent(tx: Transaction, *, limit: int) -> list[Operation]:
    """Return what was confirmed last, the newest first."""
    confirmed = select(operation.c.body).where(operation.c.confirmed_at.is_not(None))
    newest = confirmed.order_by(operation.c.confirmed_at.desc(), operation.c.id).limit(limit)
    return [_operation(row.body) for row in await tx.execute(newest)]


async def purge_previews(tx: Transaction, *, before: datetime) -> int:
    """Forget what was asked before a moment and never confirmed; it has no card."""
    stale = operation.c.confirmed_at.is_(None) & (operation.c.asked_at < before)
    return (await tx.execute(operation.delete().where(stale))).rowcount


async def purge(tx: Transaction, *, ended_before: datetime, limit: int) -> list[OperationId]:
    """Forget operations that ended long ago; return their ids, for their cards."""
    old = operation.c.confirmed_at.is_not(None) & (operation.c.ended_at < ended_before)
    rows = await tx.execute(select(operation.c.id).where(old).order_by(operation.c.ended_at).limit(limit))
    ids = [OperationId(row.id) for row in rows]
    if ids:
        await tx.execute(operation.delete().where(operation.c.id.in_(ids)))
    return ids


def _body(what: Operation) -> dict[str, Any]:
    return {
        **_plain(what, but={"plan", "asked_by", "approvals", "abandoned", "wish", "granted", "progress"}),
        "plan": _plain(what.plan),
        "asked_by": _of_actor(what.asked_by),
        "approvals": [{"by": _of_actor(each.by), "at": each.at.isoformat()} for each in what.approvals],
        "abandoned": what.abandoned
        and {
            "state": what.abandoned.state.value,
            "outcome": what.abandoned.outcome,
            "by": what.abandoned.by and _of_actor(what.abandoned.by),
        },
        "wish": _of_wish(what.wish),
        "granted": _of_wish(what.granted),
        "progress": what.progress and _plain(what.progress),
    }


def _of_wish(wish: Wish | None) -> dict[str, Any] | None:
    if wish is None:
        return None
    return {"what": wish.what, "by": _of_actor(wish.by), "at": wish.at.isoformat()}


def _plain(value: Any, *, but: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    return {each.name: _json(getattr(value, each.name)) for each in fields(value) if each.name not in but}


def _json(value: Any) -> Any:
    match value:
        case State():
            return value.value
        case datetime():
            return value.astimezone(UTC).isoformat()
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case _:
            return value


def _of_actor(actor: Actor) -> dict[str, Any]:
    return {
        "kind": actor.kind.value,
        "id": actor.id,
        "name": actor.name,
        "roles": sorted(actor.roles),
        "administrator": actor.administrator,
    }


def _operation(body: Mapping[str, Any]) -> Operation:
    values = _known(Operation, body)
    for name, value in values.items():
        if name.endswith("_at") or name == "unseen_since":
            values[name] = _moment(value)
    return Operation(
        **{
            **values,
            "plan": Plan(**_with_tuples(_known(Plan, body["plan"]), "targets", "body", "brief")),
            "state": State(body["state"]),
            "asked_by": _actor(body["asked_by"]),
            "approvals": tuple(
                Approval(_actor(each["by"]), datetime.fromisoformat(each["at"])) for each in body["approvals"]
            ),
            "abandoned": _ending(body["abandoned"]),
            "wish": _wish(body["wish"]),
            "granted": _wish(body.get("granted")),
            "progress": _progress(body["progress"]),
        }
    )


def _known(kind: type[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this version knows of a body: a newer one may have written more."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in body.items() if name in names}


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _with_tuples(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**values, **{name: tuple(values[name]) for name in names if name in values}}


def _actor(body: Mapping[str, Any]) -> Actor:
    return Actor(
        ActorKind(body["kind"]), body["id"], body["name"], frozenset(body["roles"]), body["administrator"]
    )


def _ending(body: Mapping[str, Any] | None) -> Ending | None:
    if body is None:
        return None
    return Ending(State(body["state"]), body["outcome"], body["by"] and _actor(body["by"]))


def _wish(body: Mapping[str, Any] | None) -> Wish | None:
    if body is None:
        return None
    return Wish(body["what"], _actor(body["by"]), datetime.fromisoformat(body["at"]))


def _progress(body: Mapping[str, Any] | None) -> Progress | None:
    if body is None:
        return None
    values = _with_tuples(_known(Progress, body), "body", "offers")
    return Progress(**{**values, "state": State(body["state"])})
