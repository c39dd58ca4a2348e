"""Sees what happens to Applications without us: notes it in the journal, and tells it as stories.

Everything is decided by comparing an Application with what was written down of it, in
one transaction with what is written now: so each sync is noted once, whoever leads and
however often a process begins anew.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.argocd import store
from bot.argocd.card.stories import render_story
from bot.argocd.changes import Initiator, initiator_of
from bot.argocd.cluster import ArgoCluster
from bot.argocd.links import Links
from bot.argocd.model import Application, HealthStatus, SyncPhase, SyncSummary
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
    finished_sync,
    go_on,
    is_quiet_deployment,
    labels_of,
    name_of_initiator,
    sync_name,
    words_about,
    wrong_with,
)
from bot.cards.store import Cards
from bot.chat.rendered import Rendered
from bot.core.actor import THE_MACHINE
from bot.core.clock import Clock
from bot.core.errors import MachineError, NotFoundError
from bot.core.loops import AT_ONCE, survive
from bot.database.engine import Database, Transaction
from bot.journal.model import Entry, Outcome
from bot.journal.service import Journal
from bot.kube.model import ObjectKey
from bot.operations import store as operations
from bot.operations.model import OperationId

log = structlog.get_logger(__name__)

CARD: Final = "argocd-news"
"""The kind of the cards; their keys are the numbers of stories."""
SYNCED: Final = "argocd:synced"
"""What the journal calls a sync that was not ours."""

_NAME: Final = "argocd-news"
_AT_A_TIME: Final = 100
_AGAIN_AFTER_BUG: Final = timedelta(minutes=5)
_LONGEST_REASON: Final = 300
_FIRST: Final = (News.SYNC_FAILED, News.DEGRADED, News.ERROR, News.DRIFTED, News.DEPLOYED)
"""By which of several a story is routed."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One Application that is looked at."""

    key: ObjectKey
    application: Application
    seen: Seen | None
    is_new: bool
    """It came to be while we watched."""


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
        self._journal = journal
        self._argo = argo
        self._clock = clock
        self._policy = policy
        self._changed: dict[ObjectKey, None] = {}
        self._new: set[ObjectKey] = set()
        self._first: dict[ObjectKey, Application] = {}
        self._since: dict[tuple[ObjectKey, News], datetime] = {}
        self._due: dict[ObjectKey, datetime] = {}
        self._is_prepared = False
        self._noted_until: datetime | None = None
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
        async with self._database.transaction() as tx:
            await self._look_at(tx, keys)

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
            self._noted_until = await store.newest_finish(tx)
            for key in await store.list_seen_keys(tx):
                if self._argo.applications.find(key) is None and self._is_watched(key):
                    self._changed[key] = None
        self._changed |= dict.fromkeys(self._argo.applications.keys())
        self._is_prepared = True

    def _is_watched(self, key: ObjectKey) -> bool:
        return not self._argo.namespaces or key.namespace in self._argo.namespaces

    async def _look_at(self, tx: Transaction, keys: Mapping[ObjectKey, bool]) -> None:
        """Look at some Applications; with each key stands whether it came to be while we watched."""
        known = await store.find_seen(tx, keys)
        for key, is_new in keys.items():
            application, seen = self._argo.applications.find(key), known.get(key)
            if application is not None:
                first = self._first.get(key)
                if seen is None and first is not None and not is_new:
                    seen = await self._look(tx, _Look(key, first, None, is_new))
                await self._look(tx, _Look(key, application, seen, is_new))
            elif seen is not None:
                await self._part(tx, key, seen)

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

    async def _look(self, tx: Transaction, look: _Look) -> Seen:
        application, before = look.application, look.seen or Seen()
        is_first = look.seen is None and not look.is_new
        sync = finished_sync(application)
        if sync is not None and sync_name(sync) != before.sync and self._is_noted(sync, is_first=is_first):
            await self._note(tx, application, sync, before)
        wrong = wrong_with(application) | (before.told if application.is_syncing else frozenset())
        settled = self._settled(look.key, application, wrong, before.told)
        now_told = wrong if is_first else (before.told & wrong) | settled
        after = Seen(
            sync=sync_name(sync) if sync is not None else before.sync,
            # It is in the history before the sync that brought it is over.
            deployed=_deployed(application, before),
            told=now_told,
            story=before.story,
        )
        fresh = set() if is_first else set(now_told - before.told)
        if not is_first and self._is_deployment(application, before, after):
            fresh.add(News.DEPLOYED)
        after = await self._tell(tx, application, after, fresh, wrong)
        if after != look.seen:
            await store.save_seen(
                tx,
                look.key,
                after,
                finished_at=sync.finished_at if sync is not None else None,
                is_known=look.seen is not None,
            )
        return after

    def _is_noted(self, sync: SyncSummary, *, is_first: bool) -> bool:
        """Tell whether a sync is to be noted: of what is met for the first time only what is surely new."""
        if not is_first:
            return True
        ended = sync.finished_at
        return self._noted_until is not None and ended is not None and ended > self._noted_until

    async def _note(self, tx: Transaction, application: Application, sync: SyncSummary, before: Seen) -> None:
        if initiator_of(sync) is Initiator.OURS and await self._is_kept(tx, sync.operation):
            return
        succeeded = sync.phase is SyncPhase.SUCCEEDED
        entry = Entry(
            actor=THE_MACHINE,
            action=SYNCED,
            target=f"app:{application.key}",
            outcome=Outcome.DONE if succeeded else Outcome.FAILED,
            reason="" if succeeded else sync.message[:_LONGEST_REASON],
            detail=_detail(sync, before),
            namespace=application.destination.namespace or None,
            app=str(application.key),
            change=succeeded,
        )
        await self._journal.append(tx, entry)

    async def _is_kept(self, tx: Transaction, operation: str) -> bool:
        return await operations.find(tx, OperationId(operation)) is not None

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
        happened = [
            Happening(news=each, at=now, words=words_about(each, application)[:_LONGEST_REASON])
            for each in _FIRST
            if each in fresh
        ]
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
        first = next(each for each in _FIRST if each in fresh)
        channel = channel_for(self._policy().routes, labels_of(application, first))
        if channel is None:
            return None
        now, key = self._clock.now(), application.key
        last = await store.find_last_story(tx, key, channel)
        if last is not None and (last.closed_at is None or now - last.closed_at < REOPENS_WITHIN):
            return replace(last, closed_at=None)
        return await store.insert_story(tx, key=key, channel_id=channel, opened_at=now)

    async def _find(self, tx: Transaction, number: int | None) -> Story | None:
        return await store.find_story(tx, number) if number is not None else None

    async def _save(self, tx: Transaction, story: Story) -> None:
        await store.save_story(tx, story)
        await self._cards.want(tx, CARD, str(story.id), story.channel_id)
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


def _detail(sync: SyncSummary, before: Seen) -> Mapping[str, str]:
    """Return what the words of a change are made of: see `bot.journal.words`."""
    who = initiator_of(sync)
    name = name_of_initiator(sync)
    after = next((each for each in sync.revisions if each), "")
    known = before.deployed.split(" ")[0]
    return {
        **({"by": name} if who in {Initiator.SOMEBODY, Initiator.KARGO, Initiator.OURS} and name else {}),
        **({"how": name} if who in {Initiator.AUTO_SYNC, Initiator.APPLICATION_SET} else {}),
        **({"from": known} if known else {}),
        **({"to": after} if after else {}),
    }


def _nobody() -> None:
    """Wake nobody."""
