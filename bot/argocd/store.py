"""The tables of news: what was seen of each Application, and the stories that are told."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Row, Table, Text, func, select, tuple_, update

from bot.argocd.stories import Happening, News, Seen, Story
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
    Column("history", BigId),
)
story = Table(
    "argocd_episode",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("channel_id", BigId, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, index=True),
    Column("body", Json, nullable=False),
    Column("told_at", UtcDateTime),
    Column("crowd", BigId, index=True),
    Index("ix_argocd_episode_app", "namespace", "name", "id"),
    Index("ix_argocd_episode_told", "channel_id", "told_at"),
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


async def save_seen(tx: Transaction, key: ObjectKey, what: Seen, *, is_known: bool) -> None:
    """Note what was seen of an Application."""
    values = {
        "sync": what.sync,
        "finished_at": what.finished_at,
        "deployed": what.deployed,
        "told": sorted(each.value for each in what.told),
        "episode": what.story,
        "history": what.history,
    }
    if is_known:
        which = (seen.c.namespace == key.namespace, seen.c.name == key.name)
        await tx.execute(update(seen).where(*which).values(values))
    else:
        await tx.execute(seen.insert().values(namespace=key.namespace, name=key.name, **values))


async def forget_seen(tx: Transaction, key: ObjectKey) -> None:
    """Forget an Application that is gone."""
    await tx.execute(seen.delete().where(seen.c.namespace == key.namespace, seen.c.name == key.name))


async def insert_story(
    tx: Transaction, *, key: ObjectKey, channel_id: int, opened_at: datetime, told_at: datetime
) -> Story:
    """Begin a story."""
    values = {
        "namespace": key.namespace,
        "name": key.name,
        "channel_id": channel_id,
        "opened_at": opened_at,
        "told_at": told_at,
        "body": {},
    }
    number = (await tx.execute(story.insert().values(values).returning(story.c.id))).scalar_one()
    return Story(id=int(number), key=key, channel_id=channel_id, opened_at=opened_at)


async def save_story(tx: Transaction, what: Story) -> None:
    """Save a story in place of what was kept of it."""
    values = {"closed_at": what.closed_at, "body": _body(what), "crowd": what.crowd}
    await tx.execute(update(story).where(story.c.id == what.id).values(values))


async def find_story(tx: Transaction, number: int) -> Story | None:
    """Return a story."""
    row = (await tx.execute(select(story).where(story.c.id == number))).first()
    return _story(row) if row is not None else None


async def find_last_story(tx: Transaction, key: ObjectKey, channel_id: int) -> Story | None:
    """Return the newest story of an Application in a channel."""
    wanted = (
        select(story)
        .where(
            story.c.namespace == key.namespace,
            story.c.name == key.name,
            story.c.channel_id == channel_id,
        )
        .order_by(story.c.id.desc())
        .limit(1)
    )
    row = (await tx.execute(wanted)).first()
    return _story(row) if row is not None else None


async def list_told_at(tx: Transaction, channel_id: int, *, since: datetime, limit: int) -> list[datetime]:
    """Return when stories of a channel that go on were first told."""
    told = select(story.c.told_at).where(
        story.c.channel_id == channel_id, story.c.told_at > since, story.c.closed_at.is_(None)
    )
    return [row.told_at for row in await tx.execute(told.limit(limit))]


async def find_crowd(tx: Transaction, channel_id: int, *, since: datetime) -> int | None:
    """Return the crowd of a channel that a story has joined since then, the last one first."""
    joined = (
        select(story.c.crowd)
        .where(story.c.channel_id == channel_id, story.c.told_at > since, story.c.crowd.is_not(None))
        .order_by(story.c.told_at.desc(), story.c.id.desc())
        .limit(1)
    )
    found: int | None = (await tx.execute(joined)).scalar()
    return found


async def list_crowd(tx: Transaction, number: int) -> list[Story]:
    """Return the stories of a crowd, oldest first."""
    rows = await tx.execute(select(story).where(story.c.crowd == number).order_by(story.c.id))
    return [_story(row) for row in rows]


async def purge_stories(
    tx: Transaction, *, closed_before: datetime, limit: int
) -> tuple[list[int], list[int]]:
    """Forget stories that ended long ago; return their numbers and those of whole crowds, for their cards."""
    old = select(story.c.id, story.c.crowd).where(story.c.closed_at < closed_before)
    rows = (await tx.execute(old.order_by(story.c.closed_at).limit(limit))).all()
    numbers = [int(row.id) for row in rows]
    crowds = {int(row.crowd) for row in rows if row.crowd is not None}
    if numbers:
        await tx.execute(story.delete().where(story.c.id.in_(numbers)))
    left = await tx.execute(select(story.c.crowd).where(story.c.crowd.in_(crowds)).distinct())
    return numbers, sorted(crowds.difference(row.crowd for row in left))


def _seen(row: Row[Any]) -> Seen:
    known = {news.value for news in News}
    return Seen(
        sync=row.sync,
        deployed=row.deployed,
        told=frozenset(News(each) for each in row.told if each in known),
        story=row.episode,
        history=row.history,
        finished_at=row.finished_at,
    )


def _body(what: Story) -> dict[str, Any]:
    return {
        "happenings": [
            {"news": each.news.value, "at": each.at.isoformat(), "words": each.words}
            for each in what.happenings
        ],
        "wrong": sorted(each.value for each in what.wrong),
        "facts": dict(what.facts),
    }


def _story(row: Row[Any]) -> Story:
    body: Mapping[str, Any] = row.body
    return Story(
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
        crowd=row.crowd,
    )
