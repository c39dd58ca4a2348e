"""Sees what happens to Applications without us: notes it in the journal, and tells it as stories.

Everything is decided by comparing an Application with what was written down of it, in
one transaction with what is written now: so each sync is noted once, whoever leads and
however often a process begins anew.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.argocd import store
from bot.argocd.card.stories import render_story
from bot.argocd.cluster import ArgoCluster
from bot.argocd.crowds import Crowds
from bot.argocd.detail import HistoryEntry
from bot.argocd.links import Links
from bot.argocd.model import Application, HealthStatus
from bot.argocd.noting import Look, SyncNotes
from bot.argocd.stories import (
    REOPENS_WITHIN,
    Happening,
    News,
    NewsPolicy,
    Seen,
    Story,
    channel_for,
    deployed_name,
    facts_of,
    go_on,
    happenings_of,
    is_quiet_deployment,
    labels_of,
    wrong_with,
)
from bot.cards.store import Cards
from bot.chat.rendered import Rendered
from bot.core.clock import Clock
from bot.core.errors import MachineError, NotFoundError
from bot.core.loops import AT_ONCE, survive
from bot.database.engine import Database, Transaction
from bot.journal.service import Journal
from bot.kube.model import ObjectKey

log = structlog.get_logger(__name__)

CARD: Final = "argocd-news"
"""The kind of the cards; their keys are the numbers of stories."""
SYNCED: Final = "argocd:synced"
"""What the journal calls a sync that was not ours."""

_NAME: Final = "argocd-news"
_AT_A_TIME: Final = 100
_AGAIN_AFTER_BUG: Final = timedelta(minutes=5)
_FIRST: Final = (News.SYNC_FAILED, News.DEGRADED, News.ERROR, News.DRIFTED, News.DEPLOYED)
"""By which of several a story is routed."""


class NewsDesk:
    """Watches all Applications; its step writes down what has changed."""

    def __init__(
        self,
        database: Database,
        cards: Cards,
        journal: Journal,
        argo: ArgoCluster,
        *,
        clock: Clock,
        policy: Callable[[], NewsPolicy],
    ) -> None:
        """Take the leading database, the rooms below, and what is watched."""
        self._database = database
        self._cards = cards
        self._crowds = Crowds(cards)
        self._notes = SyncNotes(journal, argo)
        self._argo = argo
        self._clock = clock
        self._policy = policy
        self._changed: dict[ObjectKey, None] = {}
        self._new: set[ObjectKey] = set()
        self._first: dict[ObjectKey, Application] = {}
        self._since: dict[tuple[ObjectKey, News], datetime] = {}
        self._due: dict[ObjectKey, datetime] = {}
        self._is_prepared = False
        self.wake: Callable[[], None] = _nobody
        argo.applications.on_change(self._change)
        # Whoever wakes the loop is known only later.
        argo.applications.on_synced(lambda: self.wake())  # noqa: PLW0108

    def _change(self, key: ObjectKey, old: Application | None, new: Application | None) -> None:
        if old is None and new is not None and self._argo.applications.has_synced:
            self._new.add(key)
        if old is not None and (key in self._changed or not self._is_prepared):
            # What changes before anybody looked at it is compared with what the watch gave first.
            self._first.setdefault(key, old)
        self._changed[key] = None
        if self._argo.applications.has_synced:
            self.wake()

    async def step(self) -> timedelta | None:
        """Write down what has changed; returns when something is due that must last for a while."""
        if not self._argo.applications.has_synced:
            return None
        if not self._is_prepared:
            await self._prepare()
        now = self._clock.now()
        for key in [key for key, at in self._due.items() if at <= now]:
            del self._due[key]
            self._changed[key] = None
        await self._look_at_next()
        if self._changed:
            return AT_ONCE
        return max(min(self._due.values()) - now, AT_ONCE) if self._due else None

    async def _look_at_next(self) -> None:
        # Taken out before: what changes while it is looked at is looked at again.
        keys = {key: key in self._new for key in list(self._changed)[:_AT_A_TIME]}
        for key in keys:
            del self._changed[key]
        self._new -= keys.keys()
        if not keys:
            return
        try:
            bug = await survive(self._look_together(keys), name=_NAME, but=(MachineError,))
            if bug is not None:
                await self._look_one_by_one(keys)
        except MachineError:
            self._changed |= dict.fromkeys(keys)
            self._new |= {key for key, is_new in keys.items() if is_new}
            raise
        for key in keys:
            self._first.pop(key, None)

    async def _look_together(self, keys: Mapping[ObjectKey, bool]) -> None:
        """Look at some Applications; with each key stands whether it came to be while we watched."""
        found = {key: self._argo.applications.find(key) for key in keys}
        histories = await self._read_histories(found, keys)
        async with self._database.transaction() as tx:
            known = await store.find_seen(tx, keys)
            for key, application in found.items():
                seen = known.get(key)
                if application is not None:
                    look = Look(
                        application=application,
                        seen=seen,
                        is_new=keys[key],
                        history=histories.get(key, ()),
                    )
                    await self._look_twice(tx, look)
                elif seen is not None:
                    await self._part(tx, key, seen)

    async def _read_histories(
        self, found: Mapping[ObjectKey, Application | None], is_new: Mapping[ObjectKey, bool]
    ) -> dict[ObjectKey, Sequence[HistoryEntry]]:
        """Return the histories that tell of what was missed; nobody else writes down what was seen."""
        async with self._database.reading() as tx:
            known = await store.find_seen(tx, found)
        return {
            key: await self._notes.read_history(
                application, known.get(key), first=self._first.get(key), is_new=is_new[key]
            )
            for key, application in found.items()
            if application is not None
        }

    async def _look_twice(self, tx: Transaction, look: Look) -> None:
        """Look at an Application, and before at what the watch gave first, if nothing is known of it."""
        first = self._first.get(look.application.key)
        if first is not None and look.is_first:
            look = replace(look, seen=await self._look(tx, replace(look, application=first)))
        await self._look(tx, look)

    async def _look_one_by_one(self, keys: Mapping[ObjectKey, bool]) -> None:
        """Keep a bug that one Application brings to light from holding up the news of its neighbours."""
        for key, is_new in keys.items():
            bug = await survive(
                self._look_together({key: is_new}), name=_NAME, but=(MachineError,), application=str(key)
            )
            if bug is not None:
                self._new |= {key} if is_new else set()
                self._due[key] = self._clock.now() + _AGAIN_AFTER_BUG

    async def get(self, number: int) -> Story:
        """Return a story.

        Raises:
            NotFoundError: It is no longer kept.
        """
        async with self._database.reading() as tx:
            found = await store.find_story(tx, number)
        if found is None:
            raise NotFoundError("This is no longer kept.")
        return found

    async def _prepare(self) -> None:
        """Learn what was known before this process began, and have everything looked at once."""
        async with self._database.reading() as tx:
            await self._notes.prepare(tx)
            for key in await store.list_seen_keys(tx):
                if self._argo.applications.find(key) is None and self._is_watched(key):
                    self._changed[key] = None
        self._changed |= dict.fromkeys(self._argo.applications.keys())
        self._is_prepared = True

    def _is_watched(self, key: ObjectKey) -> bool:
        return not self._argo.namespaces or key.namespace in self._argo.namespaces

    async def _part(self, tx: Transaction, key: ObjectKey, seen: Seen) -> None:
        """End what is told of an Application that is gone."""
        story = await self._find(tx, seen.story)
        if story is not None:
            now = self._clock.now()
            gone = go_on(story, [Happening(news=News.DELETED, at=now)])
            await self._save(tx, replace(gone, closed_at=now, wrong=frozenset()))
        await store.forget_seen(tx, key)
        self._due.pop(key, None)
        self._forget(key, ())

    async def _look(self, tx: Transaction, look: Look) -> Seen:
        application, before = look.application, look.seen or Seen()
        noted = await self._notes.note(tx, look)
        wrong = wrong_with(application) | (before.told if application.is_syncing else frozenset())
        settled = self._settled(application.key, application, wrong, before.told)
        # It is in the history before the sync that brought it is over.
        deployed = _deployed(application, before)
        told = wrong if look.is_first else (before.told & wrong) | settled
        after = replace(noted, deployed=deployed, told=told)
        fresh = set() if look.is_first else set(told - before.told)
        if not look.is_first and self._is_deployment(application, before, after):
            fresh.add(News.DEPLOYED)
        after = await self._tell(tx, application, after, fresh, wrong)
        if after != look.seen:
            await store.save_seen(tx, application.key, after, is_known=look.seen is not None)
        return after

    def _settled(
        self,
        key: ObjectKey,
        application: Application,
        wrong: frozenset[News],
        told: frozenset[News],
    ) -> frozenset[News]:
        """Return what has been wrong for long enough; have the rest looked at again."""
        now, settle = self._clock.now(), self._policy().settle
        self._forget(key, wrong)
        ends = {}
        for news in wrong - told:
            since = self._since.setdefault((key, news), now)
            if news is News.DEGRADED and application.health_since is not None:
                since = min(since, application.health_since)
            ends[news] = since if news is News.SYNC_FAILED else since + settle
        waiting = [end for end in ends.values() if end > now]
        if waiting:
            self._due[key] = min(waiting)
        else:
            self._due.pop(key, None)
        return frozenset(news for news, end in ends.items() if end <= now)

    def _forget(self, key: ObjectKey, but: Iterable[News]) -> None:
        kept = set(but)
        for news in News:
            if news not in kept:
                self._since.pop((key, news), None)

    def _is_deployment(self, application: Application, before: Seen, after: Seen) -> bool:
        is_other = bool(before.deployed) and after.deployed != before.deployed
        return is_other and not is_quiet_deployment(application, self._policy())

    async def _tell(
        self,
        tx: Transaction,
        application: Application,
        seen: Seen,
        fresh: set[News],
        wrong: frozenset[News],
    ) -> Seen:
        """Go on with the story of an Application, or begin one; return what is remembered then."""
        story = await self._find(tx, seen.story)
        if story is None and not fresh:
            return replace(seen, story=None)
        is_begun = story is None
        if story is None:
            story = await self._begin(tx, application, fresh)
        if story is None:
            return replace(seen, story=None)
        now = self._clock.now()
        last = story.happenings[-1].at if story.happenings else None
        happened = happenings_of(_in_order(fresh), application, now=now, not_before=last)
        told = replace(go_on(story, happened), wrong=seen.told, facts=facts_of(application))
        if _is_well(application) and not wrong:
            well = (
                [Happening(news=News.WELL, at=now)] if told.happenings[-1].news is not News.DEPLOYED else []
            )
            told = replace(go_on(told, well), closed_at=now)
        if is_begun or told != story:
            await self._save(tx, told)
        return replace(seen, story=told.id if told.closed_at is None else None)

    async def _begin(self, tx: Transaction, application: Application, fresh: set[News]) -> Story | None:
        channel = channel_for(self._policy().routes, labels_of(application, _in_order(fresh)[0]))
        if channel is None:
            return None
        now, key = self._clock.now(), application.key
        last = await store.find_last_story(tx, key, channel)
        if last is not None and (last.closed_at is None or now - last.closed_at < REOPENS_WITHIN):
            return replace(last, closed_at=None)
        opened_at = happenings_of(_in_order(fresh), application, now=now)[0].at
        return await self._crowds.begin(tx, key=key, channel_id=channel, opened_at=opened_at, now=now)

    async def _find(self, tx: Transaction, number: int | None) -> Story | None:
        return await store.find_story(tx, number) if number is not None else None

    async def _save(self, tx: Transaction, story: Story) -> None:
        await store.save_story(tx, story)
        if story.crowd is None:
            await self._cards.want(tx, CARD, str(story.id), story.channel_id)
        else:
            await self._crowds.want(tx, story.crowd, story.channel_id, now=self._clock.now())
        log.info("argocd_news_told", app=str(story.key), wrong=sorted(each.value for each in story.wrong))


class NewsCards:
    """Renders stories; one that is no longer kept has no card."""

    def __init__(self, database: Database, links: Links) -> None:
        """Take the database, and who knows the address of Argo CD's pages."""
        self._database = database
        self._links = links

    async def render(self, key: str, channel_id: int) -> Rendered | None:
        """Render the story of this number."""
        del channel_id
        async with self._database.reading() as tx:
            story = await store.find_story(tx, int(key))
        if story is None:
            return None
        return render_story(story, url=await self._links.to_application(story.key))


def _deployed(application: Application, before: Seen) -> str:
    if application.is_syncing and before.deployed:
        return before.deployed
    return deployed_name(application) or before.deployed


def _is_well(application: Application) -> bool:
    healthy = application.health in {HealthStatus.HEALTHY, HealthStatus.SUSPENDED}
    return healthy and not application.is_syncing


def _in_order(fresh: Collection[News]) -> list[News]:
    return [each for each in _FIRST if each in fresh]


def _nobody() -> None:
    """Wake nobody."""
