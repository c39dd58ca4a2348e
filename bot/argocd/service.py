"""What people ask about Applications and have done with them.

Whatever changes what runs becomes an operation that is confirmed first; a refresh
changes nothing there and happens at once. Access is checked here, at the moment
of acting, and so is what the guard refuses whoever asks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

from bot.access.service import Access
from bot.argocd import store
from bot.argocd.applied import Applied
from bot.argocd.asked import ROLLBACK, SYNC, TERMINATE, TREE
from bot.argocd.asking import Asking
from bot.argocd.cluster import ArgoCluster
from bot.argocd.completion import Completion
from bot.argocd.conduct import SyncConductor, live_health
from bot.argocd.conduct_end import TerminationConductor
from bot.argocd.conduct_tree import TreeConductor
from bot.argocd.door import Door, entry_about, set_targets
from bot.argocd.guard import Guard, Pod
from bot.argocd.links import Links
from bot.argocd.model import Application, SyncStatus, access_targets
from bot.argocd.permits import Permits
from bot.argocd.plans import STATUS_ACTION, subject_of
from bot.argocd.preconditions import Refused, refresh_refusal, refresh_set_refusal
from bot.argocd.refreshing import LOOKS_EVERY, WAITS_FOR, Refresher
from bot.argocd.search import is_troubled, select
from bot.argocd.server import ArgoServer
from bot.argocd.sets import ApplicationSet
from bot.argocd.settings import ArgoSettings
from bot.argocd.tree import Family
from bot.argocd.turning import Turning
from bot.argocd.views import (
    Commit,
    Differences,
    Grown,
    Listing,
    Past,
    Refreshed,
    ResourceDifference,
    SetListing,
    SetRefreshed,
    SetStanding,
    Standing,
    Suggestion,
    Wanted,
)
from bot.chat.text import code, cut, escape
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import MachineError, NotFoundError, RefusedError
from bot.database.engine import Database
from bot.journal.model import Entry, Outcome
from bot.journal.service import Journal
from bot.kube.model import ObjectKey
from bot.operations.model import Operation
from bot.operations.service import Operations

T = TypeVar("T")

LIST: Final = "argocd:list"
TREE_ACTION: Final = "argocd:tree"
REFRESH: Final = "argocd:refresh"
DIFF: Final = "argocd:diff"
HISTORY: Final = "argocd:history"

_ERROR: Final = 300
_AT_A_TIME: Final = 250
"""Applications that are looked at before others may run."""


class ArgoCd:
    """The use cases. `name` is `<namespace>/<name>`, or a name that only one has; access is checked here."""

    def __init__(
        self,
        database: Database,
        access: Access,
        journal: Journal,
        operations: Operations,
        *,
        argo: ArgoCluster,
        server: ArgoServer,
        clock: Clock,
        settings: Callable[[], ArgoSettings],
        pod: Pod | None = None,
        waits_for: timedelta = WAITS_FOR,
        looks_every: timedelta = LOOKS_EVERY,
    ) -> None:
        """Take the leading database, the rooms below, the adapters, and the pod that this process runs in."""
        self._database = database
        self._access = access
        self._operations = operations
        self._argo = argo
        self._clock = clock
        self._turning = Turning(clock)
        self._server = server
        self._door = Door(database, access, journal, argo)
        self._guard = Guard(argo, settings, pod)
        self._permits = Permits(argo, clock)
        self.links = Links(argo, settings)
        self._refresher = Refresher(argo, clock, waits_for=waits_for, looks_every=looks_every)
        self._completion = Completion(argo, self._door, access)
        self._asking = Asking(
            argo=argo,
            server=server,
            door=self._door,
            guard=self._guard,
            permits=self._permits,
            operations=operations,
            links=self.links,
            refresher=self._refresher,
        )
        applied = Applied(database, journal)
        syncs = SyncConductor(
            argo=argo, server=server, guard=self._guard, permits=self._permits, applied=applied, clock=clock
        )
        operations.register(SYNC, syncs)
        operations.register(ROLLBACK, syncs)
        operations.register(
            TREE,
            TreeConductor(
                argo=argo,
                guard=self._guard,
                permits=self._permits,
                access=access,
                applied=applied,
                clock=clock,
            ),
        )
        operations.register(TERMINATE, TerminationConductor(argo, self._guard, clock=clock))
        argo.applications.on_change(self._changed)

    def _changed(self, key: ObjectKey, old: Application | None, new: Application | None) -> None:
        del old
        if new is not None and new.parent is not None:
            # The sync of a tree waits for each of its parts.
            self._operations.wake(subject_of(new.parent))
        subject = subject_of(key)
        self._operations.wake(subject)
        self._operations.wake(f"{subject}/terminate")

    async def list_applications(self, wanted: Wanted, *, by: Actor) -> Listing:
        """Return the Applications that fit and that the asker may see, those that need somebody first."""
        if not self._door.may_at_all(by, LIST):
            await self._door.allow(by, LIST)
        seen = await self._visible(self._argo.applications.values(), by, LIST)
        return Listing(
            wanted=wanted,
            applications=tuple(select(seen, wanted)),
            total=len(seen),
            troubled=sum(map(is_troubled, seen)),
            watch=self._argo.applications.health,
        )

    async def _visible(
        self, applications: Iterable[Application], by: Actor, action: str
    ) -> list[Application]:
        seen = []
        for place, application in enumerate(tuple(applications)):
            if place % _AT_A_TIME == _AT_A_TIME - 1:
                await asyncio.sleep(0)
            if self._door.may(by, action, application):
                seen.append(application)
        return seen

    async def status(self, name: str, *, by: Actor) -> Standing:
        """Return everything about an Application, read at this moment."""
        fresh = await self._door.read(name, by=by, action=STATUS_ACTION)
        detail, application = fresh.detail, fresh.detail.application
        self._completion.remember(detail)
        knowledge = await self._permits.know()
        commits, health = await asyncio.gather(
            self._server.find_commits(application), live_health(self._server, application)
        )
        parent = application.parent
        return Standing(
            detail=detail,
            windows=self._permits.windows(application, knowledge),
            operation=await self._operations.find_active(subject_of(application.key)),
            commits=commits,
            resource_health=health,
            is_itself=self._guard.deploys_us(detail),
            url=await self.links.to_application(application.key),
            parent_is_known=parent is not None and self._argo.applications.find(parent) is not None,
        )

    async def story_status(self, number: int, *, by: Actor) -> Standing:
        """Return everything about the Application of a story that is told as news.

        Raises:
            NotFoundError: The story is no longer kept, or the Application is gone.
        """
        async with self._database.reading() as tx:
            story = await store.find_story(tx, number)
        if story is None:
            raise NotFoundError("This is no longer kept.")
        return await self.status(str(story.key), by=by)

    async def tree(self, name: str, *, by: Actor) -> Grown:
        """Return an Application with all that it applies, by wave."""
        fresh = await self._door.read(name, by=by, action=TREE_ACTION)
        application = fresh.detail.application
        family = Family(dict(self._argo.applications.items()) | {application.key: application})
        return Grown(
            root=application,
            branches=family.grow(application.key),
            above=family.above(application.key),
            watch=self._argo.applications.health,
            url=await self.links.to_application(application.key),
        )

    async def history(self, name: str, *, by: Actor) -> Past:
        """Return what was deployed, newest first."""
        fresh = await self._door.read(name, by=by, action=HISTORY)
        detail, application = fresh.detail, fresh.detail.application
        self._completion.remember(detail)
        commits: list[tuple[Commit | None, ...]] = await asyncio.gather(
            *(
                self._server.find_commits(
                    replace(application, sources=entry.sources or application.sources), entry.revisions
                )
                for entry in detail.history
            )
        )
        return Past(
            application=application,
            entries=detail.history,
            commits=tuple(commits),
            url=await self.links.to_application(application.key),
        )

    async def diff(self, name: str, *, by: Actor) -> Differences:
        """Return what a sync would change: how, where Argo CD's server is configured; else only what."""
        fresh = await self._door.read(name, by=by, action=DIFF)
        detail, application = fresh.detail, fresh.detail.application
        self._completion.remember(detail)
        read_at = self._clock.now()
        why_unknown = _why_unknown(application)
        differences, why = ((), "") if why_unknown else await self._differences(application)
        found = Differences(
            application=application,
            differences=differences,
            named=()
            if why_unknown
            else tuple(each for each in detail.resources if each.sync is SyncStatus.OUT_OF_SYNC),
            compared_at=application.reconciled_at,
            read_at=read_at,
            why_only_named=why,
            why_unknown=why_unknown,
            url=await self.links.to_application(application.key),
        )
        self._turning.keep(found, by=by, targets=access_targets(application, detail.labels))
        return found

    async def turn_diff(self, name: str, *, by: Actor) -> Differences:
        """Return what `diff` told the asker a moment ago, for a further page; anew, if it is out of date."""
        key = self._door.resolve(name)
        kept = self._turning.find(key, by=by, now=self._argo.applications.find(key))
        if kept is None:
            return await self.diff(name, by=by)
        await self._door.allow(by, DIFF, kept.targets, about=kept.found.application)
        return kept.found

    async def _differences(self, application: Application) -> tuple[tuple[ResourceDifference, ...], str]:
        try:
            return await self._server.list_differences(application), ""
        except MachineError as error:
            return (), str(error)

    async def refresh(self, name: str, *, hard: bool = False, by: Actor) -> Refreshed:
        """Have Argo CD compare again, and wait for it, at most a minute.

        Raises:
            RefusedError: Nothing would come of it.
        """
        fresh = await self._door.read(name, by=by, action=REFRESH)
        detail, application = fresh.detail, fresh.detail.application
        entry = entry_about(application, by=by, action=REFRESH, how="hard" if hard else "normal")
        await self._may_write(entry, refresh_refusal(detail))
        refreshed = await self._recorded(entry, self._refresher.refresh(fresh, hard=hard))
        return replace(refreshed, url=await self.links.to_application(application.key))

    async def _may_write(self, entry: Entry, refused: Refused | None) -> None:
        try:
            self._guard.check_write()
            if refused is not None:
                raise refused.error()
        except RefusedError as refusal:
            await self._door.record(replace(entry, outcome=Outcome.REFUSED, reason=str(refusal)))
            raise

    async def _recorded(self, entry: Entry, work: Awaitable[T]) -> T:
        """Do something and write down how it ended."""
        try:
            done = await work
        except MachineError as error:
            await self._door.record(replace(entry, outcome=Outcome.FAILED, reason=str(error)))
            raise
        await self._door.record(entry)
        return done

    async def propose_sync(
        self,
        name: str,
        *,
        by: Actor,
        channel_id: int,
        revision: str = "",
        prune: bool = False,
        dry_run: bool = False,
        resources: str = "",
    ) -> Operation:
        """Return a sync to confirm; `resources` are names as completion gives them, with commas between.

        Raises:
            RefusedError: It cannot be synced now, or not so; the text says why.
        """
        return await self._asking.sync(
            name,
            by=by,
            channel_id=channel_id,
            revision=revision,
            prune=prune,
            dry_run=dry_run,
            resources=resources,
        )

    async def propose_tree_sync(
        self, name: str, *, by: Actor, channel_id: int, prune: bool = False
    ) -> Operation:
        """Return the sync of an Application and of all below it, wave by wave, to confirm."""
        return await self._asking.tree(name, by=by, channel_id=channel_id, prune=prune)

    async def propose_rollback(
        self, name: str, history_id: str, *, by: Actor, channel_id: int, prune: bool = False
    ) -> Operation:
        """Return a rollback to confirm; `history_id` is a number of the history."""
        return await self._asking.rollback(name, history_id, by=by, channel_id=channel_id, prune=prune)

    async def terminate(self, name: str, *, by: Actor, channel_id: int) -> Operation:
        """End the sync that runs: ours at once, which is returned; somebody else's is returned to confirm."""
        return await self._asking.terminate(name, by=by, channel_id=channel_id)

    async def list_sets(self, *, by: Actor) -> SetListing:
        """Return the ApplicationSets that the asker may see, those with errors first."""
        if not self._door.may_at_all(by, LIST):
            await self._door.allow(by, LIST)
        seen = [
            each
            for each in self._argo.sets.values()
            if self._access.decide(by, LIST, set_targets(each)).allowed
        ]
        seen.sort(key=lambda each: (not each.errors, each.key))
        return SetListing(sets=tuple(seen), watch=self._argo.sets.health)

    async def set_status(self, name: str, *, by: Actor) -> SetStanding:
        """Return everything about an ApplicationSet.

        Raises:
            NotFoundError: There is none of this name.
        """
        found = await self._find_set(name, by, STATUS_ACTION)
        key = found.key
        owned = [
            each
            for each in self._argo.applications.values()
            if each.application_set == key.name and each.key.namespace == key.namespace
        ]
        return SetStanding(set=found, applications=tuple(select(owned, Wanted())))

    async def refresh_set(self, name: str, *, by: Actor) -> SetRefreshed:
        """Have an ApplicationSet make its Applications anew, and wait for it, at most a minute."""
        found = await self._find_set(name, by, REFRESH)
        entry = Entry(actor=by, action=REFRESH, target=f"app:{found.key}", detail={"kind": "ApplicationSet"})
        await self._may_write(entry, refresh_set_refusal(found))
        return await self._recorded(entry, self._refresher.refresh_set(found.key))

    async def _find_set(self, name: str, by: Actor, action: str) -> ApplicationSet:
        namespace, _, short = name.strip().rpartition("/")
        key = ObjectKey(namespace or self._argo.home, short)
        found = self._argo.sets.find(key)
        if found is None:
            raise NotFoundError(f"There is no ApplicationSet {code(str(key))}.")
        await self._door.allow(by, action, set_targets(found))
        return found

    def complete(self, typed: str, *, by: Actor, action: str = STATUS_ACTION) -> list[Suggestion]:
        """Return Applications that fit what was typed, the best first; at most 25. Nothing is requested."""
        return self._completion.applications(typed, by=by, action=action)

    def complete_project(self, typed: str, *, by: Actor) -> list[Suggestion]:
        """Return projects."""
        return self._completion.projects(typed, by=by, action=LIST)

    def complete_set(self, typed: str, *, by: Actor) -> list[Suggestion]:
        """Return ApplicationSets."""
        return self._completion.sets(typed, by=by, action=LIST)

    def complete_resources(self, name: str, typed: str, *, by: Actor) -> list[Suggestion]:
        """Return resources of an Application for what comes after the last comma."""
        return self._completion.resources(name, typed, by=by, action=STATUS_ACTION)

    def complete_history(self, name: str, typed: str, *, by: Actor) -> list[Suggestion]:
        """Return entries of the history that one can roll back to, newest first."""
        return self._completion.history(name, typed, by=by, action=HISTORY)


def _why_unknown(application: Application) -> str:
    """Say why nobody knows what a sync would change: what a server tells then is as if all were to go."""
    if application.error is not None:
        said = cut(escape(application.error.message), _ERROR)
        return f"Argo CD cannot work out what it should be, so nobody knows. It says: {said}"
    if application.sync is SyncStatus.UNKNOWN:
        return "Argo CD has not compared it, so nobody knows: `/argocd refresh` has it compared."
    return ""
