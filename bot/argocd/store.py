"""The tables of news: what was seen of each Application, and the stories that are told."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Row, Table, Text, func, select, tuple_, update

from bot.argocd.episodes import Episode, Happening, News, Seen
from bot.database.engine import Transaction
from bot.database.schema import BigId, Json, UtcDateTime, metadata
from bot.kube.model import ObjectKey

seen = Table(
    "argocd_seen",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sync", Text, nullable=False),
    Column("finished_at", UtcDateTime, index=True),
    Column("deployed", Text, nullable=False),
    Column("told", Json, nullable=False),
    Column("episode", BigId),
)
episode = Table(
    "argocd_episode",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("channel_id", BigId, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, index=True),
    Column("body", Json, nullable=False),
    Index("ix_argocd_episode_app", "namespace", "name", "id"),
)


async def find_seen(tx: Transaction, keys: Collection[ObjectKey]) -> dict[ObjectKey, Seen]:
    """Return what was seen of some Applications."""
    wanted = select(seen).where(tuple_(seen.c.namespace, seen.c.name).in_([tuple(key) for key in keys]))
    rows = await tx.execute(wanted)
    return {ObjectKey(row.namespace, row.name): _seen(row) for row in rows}


async def list_seen_keys(tx: Transaction) -> list[ObjectKey]:
    """Return all Applications of which something was seen."""
    rows = await tx.execute(select(seen.c.namespace, seen.c.name))
    return [ObjectKey(row.namespace, row.name) for row in rows]


async def newest_finish(tx: Transaction) -> datetime | None:
    """Return when the last sync that was noted was over, of all Applications."""
    found: datetime | None = (await tx.execute(select(func.max(seen.c.finished_at)))).scalar_one()
    return found


async def save_seen(
    tx: Transaction, key: ObjectKey, what: Seen, *, finished_at: datetime | None, is_known: bool
) -> None:
    """Note what was seen of an Application."""
    values = {
        "sync": what.sync,
        "finished_at": finished_at,
        "deployed": what.deployed,
        "told": sorted(each.value for each in what.told),
        "episode": what.episode,
    }
    if is_known:
        which = (seen.c.namespace == key.namespace, seen.c.name == key.name)
        await tx.execute(update(seen).where(*which).values(values))
    else:
        await tx.execute(seen.insert().values(namespace=key.namespace, name=key.name, **values))


async def forget_seen(tx: Transaction, key: ObjectKey) -> None:
    """Forget an Application that is gone."""
    await tx.execute(seen.delete().where(seen.c.namespace == key.namespace, seen.c.name == key.name))


async def insert_episode(tx: Transaction, *, key: ObjectKey, channel_id: int, opened_at: datetime) -> Episode:
    """Begin a story."""
    values = {
        "namespace": key.namespace,
        "name": key.name,
        "channel_id": channel_id,
        "opened_at": opened_at,
        "body": {},
    }
    number = (await tx.execute(episode.insert().values(values).returning(episode.c.id))).scalar_one()
    return Episode(id=int(number), key=key, channel_id=channel_id, opened_at=opened_at)


async def save_episode(tx: Transaction, what: Episode) -> None:
    """Save a story in place of what was kept of it."""
    values = {"closed_at": what.closed_at, "body": _body(what)}
    await tx.execute(update(episode).where(episode.c.id == what.id).values(values))


async def find_episode(tx: Transaction, number: int) -> Episode | None:
    """Return a story."""
    row = (await tx.execute(select(episode).where(episode.c.id == number))).first()
    return _episode(row) if row is not None else None


async def find_last_episode(tx: Transaction, key: ObjectKey, channel_id: int) -> Episode | None:
    """Return the newest story of an Application in a channel."""
    wanted = (
        select(episode)
        .where(
            episode.c.namespace == key.namespace,
            episode.c.name == key.name,
            episode.c.channel_id == channel_id,
        )
        .order_by(episode.c.id.desc())
        .limit(1)
    )
    row = (await tx.execute(wanted)).first()
    return _episode(row) if row is not None else None


async def purge_episodes(tx: Transaction, *, closed_before: datetime, limit: int) -> list[int]:
    """Forget stories that ended long ago; return their numbers, for their cards."""
    old = select(episode.c.id).where(episode.c.closed_at < closed_before)
    rows = await tx.execute(old.order_by(episode.c.closed_at).limit(limit))
    numbers = [int(row.id) for row in rows]
    if numbers:
        await tx.execute(episode.delete().where(episode.c.id.in_(numbers)))
    return numbers


def _seen(row: Row[Any]) -> Seen:
    known = {news.value for news in News}
    return Seen(
        sync=row.sync,
        deployed=row.deployed,
        told=frozenset(News(each) for each in row.told if each in known),
        episode=row.episode,
    )


def _body(what: Episode) -> dict[str, Any]:
    return {
        "happenings": [
            {"news": each.news.value, "at": each.at.isoformat(), "words": each.words}
            for each in what.happenings
        ],
        "wrong": sorted(each.value for each in what.wrong),
        "facts": dict(what.facts),
    }


def _episode(row: Row[Any]) -> Episode:
    body: Mapping[str, Any] = row.body
    return Episode(
        id=int(row.id),
        key=ObjectKey(row.namespace, row.name),
        channel_id=int(row.channel_id),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        happenings=tuple(
            Happening(news=News(each["news"]), at=datetime.fromisoformat(each["at"]), words=each["words"])
            for each in body.get("happenings", ())
        ),
        wrong=frozenset(News(each) for each in body.get("wrong", ())),
        facts=body.get("facts", {}),
    )
