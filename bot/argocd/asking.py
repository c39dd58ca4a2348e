"""Turns what people ask into operations that they confirm: everything is checked before anything is shown."""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from typing import Final

from bot.argocd.asked import Asked, AskedEnd, AskedTree
from bot.argocd.cluster import ArgoCluster, Fresh
from bot.argocd.detail import ApplicationDetail
from bot.argocd.door import Door
from bot.argocd.guard import Guard, rollback_by_hand, sync_by_hand, terminate_by_hand
from bot.argocd.links import Links
from bot.argocd.model import Application, ResourceKey, access_targets
from bot.argocd.permits import Knowledge, Permits, more_about
from bot.argocd.plans import (
    ROLLBACK_ACTION,
    SYNC_ACTION,
    TERMINATE_ACTION,
    plan_rollback,
    plan_sync,
    plan_termination,
    plan_tree,
    subject_of,
)
from bot.argocd.preconditions import (
    Refusal,
    discard_refusal,
    find_entry,
    read_revisions,
    terminate_refusal,
)
from bot.argocd.reading import APPLICATION
from bot.argocd.refreshing import Refresher
from bot.argocd.server import ArgoServer
from bot.argocd.tree import Family
from bot.argocd.views import Branch
from bot.chat.text import code
from bot.core.actor import Actor
from bot.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from bot.kube.model import ObjectKey
from bot.operations.model import CANCEL, Operation
from bot.operations.service import Operations

_MOST_NAMED: Final = 5
_MOST_DIGITS: Final = 18
_KIND_AND_NAME: Final = 2
_WITH_GROUP: Final = 3
_WHOLE: Final = 4
_MAY_BE_MENDED: Final = frozenset({Refusal.CANNOT_COMPARE, Refusal.INVALID_SPECIFICATION})
_COMPARES_WITHIN: Final = timedelta(seconds=10)
"""So long somebody waits for a preview at most."""


class Asking:
    """Proposes operations, and ends those that run."""

    def __init__(
        self,
        *,
        argo: ArgoCluster,
        server: ArgoServer,
        door: Door,
        guard: Guard,
        permits: Permits,
        operations: Operations,
        links: Links,
        refresher: Refresher,
    ) -> None:
        """Take the adapters, what is refused, and who keeps what was asked."""
        self._argo = argo
        self._server = server
        self._door = door
        self._guard = guard
        self._permits = permits
        self._operations = operations
        self._links = links
        self._refresher = refresher

    async def sync(
        self,
        name: str,
        *,
        by: Actor,
        channel_id: int,
        revision: str,
        prune: bool,
        dry_run: bool,
        resources: str,
    ) -> Operation:
        """Propose the sync of an Application."""
        fresh = await self._door.read(name, by=by, action=SYNC_ACTION)
        key = fresh.detail.key
        needed = await self._guarded(fresh.detail, by, SYNC_ACTION, instead=sync_by_hand(fresh.detail))
        knowledge = await self._permits.know()
        detail, is_current = await self._compare(fresh, knowledge)
        application = detail.application
        asked = Asked(
            key=key,
            revisions=read_revisions(application, revision),
            shown=_shown(detail),
            deployed=_deployed(application),
            prune=prune,
            dry_run=dry_run,
            selected=read_resources(detail, resources),
        )
        await self._keep_itself(detail, asked, by, SYNC_ACTION)
        self._permits.check(detail, asked, knowledge)
        plan = plan_sync(
            detail,
            asked,
            is_current=is_current,
            commits=await self._server.find_commits(application, asked.wanted or application.revisions),
            windows=self._permits.windows(application, knowledge),
            home=self._argo.home,
            url=await self._links.to_application(application.key),
            min_approvals=needed,
        )
        return await self._operations.propose(plan, by=by, channel_id=channel_id)

    async def rollback(
        self, name: str, history_id: str, *, by: Actor, channel_id: int, prune: bool
    ) -> Operation:
        """Propose that an entry of the history is deployed again."""
        fresh = await self._door.read(name, by=by, action=ROLLBACK_ACTION)
        detail, application = fresh.detail, fresh.detail.application
        instead = rollback_by_hand(application)
        needed = await self._guarded(detail, by, ROLLBACK_ACTION, instead=instead)
        asked = Asked(key=application.key, prune=prune, history_id=_number(history_id))
        await self._keep_itself(detail, asked, by, ROLLBACK_ACTION)
        knowledge = await self._permits.know()
        self._permits.check(detail, asked, knowledge)
        entry = find_entry(detail, _number(history_id))
        if entry is None:
            raise NotFoundError("The history has no such entry (any more).")
        plan = plan_rollback(
            detail,
            entry,
            asked,
            commits=await self._server.find_commits(application, entry.revisions),
            windows=self._permits.windows(application, knowledge),
            home=self._argo.home,
            url=await self._links.to_application(application.key),
            min_approvals=needed,
        )
        return await self._operations.propose(plan, by=by, channel_id=channel_id)

    async def tree(self, name: str, *, by: Actor, channel_id: int, prune: bool) -> Operation:
        """Propose the sync of an Application and of all below it."""
        fresh = await self._door.read(name, by=by, action=SYNC_ACTION)
        key = fresh.detail.key
        await self._guarded(fresh.detail, by, SYNC_ACTION, instead=sync_by_hand(fresh.detail))
        knowledge = await self._permits.know()
        # Only what is deleted is said before; what else is new follows by itself.
        detail = (await self._compare(fresh, knowledge))[0] if prune else fresh.detail
        application, asked = detail.application, Asked(key=key, prune=prune)
        await self._keep_itself(detail, asked, by, SYNC_ACTION)
        self._permits.check(detail, asked, knowledge)
        branches = Family(dict(self._argo.applications.items())).grow(application.key)
        if prune:
            branches = tuple(_without(branches, _pruned_applications(detail, or_any=False)))
        itself = self._guard.find_itself()
        left_out = tuple(each.key for each in branches if each.key == itself)
        await self._may_sync_all(branches, application, by, left_out)
        notes = [f"{code(str(key))} is left alone: it deploys this bot." for key in left_out]
        plan = plan_tree(
            detail,
            branches,
            AskedTree(
                root=key,
                prune=prune,
                shown=_shown(detail) if prune else (),
                deployed=_deployed(application) if prune else (),
                left_out=left_out,
            ),
            notes=notes,
            home=self._argo.home,
            url=await self._links.to_application(application.key),
        )
        return await self._operations.propose(plan, by=by, channel_id=channel_id)

    async def _may_sync_all(
        self, branches: Iterable[Branch], root: Application, by: Actor, left_out: Collection[ObjectKey]
    ) -> None:
        """Refuse a tree with a part that may not be synced so: approvals are given for all of it."""
        enough = self._door.approvals(by, SYNC_ACTION, root)
        for branch in branches:
            application = branch.application
            if application is None or branch.is_again or branch.key in left_out or not branch.depth:
                continue
            await self._door.allow(by, SYNC_ACTION, access_targets(application), about=application)
            needed = self._door.approvals(by, SYNC_ACTION, application)
            if needed > enough:
                raise ConflictError(
                    f"{code(str(branch.key))} needs more approvals ({needed}): sync it by itself."
                )

    async def terminate(self, name: str, *, by: Actor, channel_id: int) -> Operation:
        """End what runs: ours at once, somebody else's once that is confirmed."""
        fresh = await self._door.read(name, by=by, action=TERMINATE_ACTION)
        detail, application = fresh.detail, fresh.detail.application
        needed = await self._guarded(detail, by, TERMINATE_ACTION, instead=terminate_by_hand(application.key))
        ours = await self._operations.find_active(subject_of(application.key))
        if ours is not None:
            return await self._operations.act(ours.id, CANCEL, by=by)
        refused = terminate_refusal(detail)
        if refused is not None and refused.reason is Refusal.TERMINATING_ALREADY:
            raise refused.error()
        if refused is not None and discard_refusal(detail) is not None:
            raise refused.error(more_about(refused))
        began = detail.run.started_at if _runs(detail) and detail.run is not None else None
        asked = AskedEnd(key=application.key, started_at=began.isoformat() if began is not None else "")
        plan = plan_termination(
            detail,
            asked,
            is_discard=refused is not None,
            home=self._argo.home,
            url=await self._links.to_application(application.key),
            min_approvals=needed,
        )
        return await self._operations.propose(plan, by=by, channel_id=channel_id)

    async def _guarded(self, detail: ApplicationDetail, by: Actor, action: str, *, instead: str) -> int:
        """Return how many others must approve at least; whatever is refused here is written down."""
        try:
            self._guard.check_write()
            return self._guard.check_itself(detail, instead)
        except NotAllowedError as refusal:
            await self._door.refuse(by, action, str(refusal), about=detail.application)
            raise

    async def _compare(self, fresh: Fresh, knowledge: Knowledge) -> tuple[ApplicationDetail, bool]:
        """Have Argo CD look at what the sources say by now; returns whether it did so soon.

        Raises:
            RefusedError: However it compares, nothing can begin.
        """
        detail = fresh.detail
        refused = self._permits.refusal(detail, Asked(key=detail.key), knowledge)
        if refused is not None and refused.reason not in _MAY_BE_MENDED:
            raise refused.error(more_about(refused))
        refreshed = await self._refresher.refresh(fresh, within=_COMPARES_WITHIN)
        return (await self._argo.read(detail.key)).detail, refreshed.is_done

    async def _keep_itself(self, detail: ApplicationDetail, asked: Asked, by: Actor, action: str) -> None:
        """Refuse to prune the Application that deploys the bot, or one that it is below."""
        itself = self._guard.find_itself() if asked.prune else None
        if itself is None:
            return
        above = Family(dict(self._argo.applications.items())).above(itself)
        pruned = _pruned_applications(detail, or_any=asked.goes_elsewhere)
        doomed = next((key for key in (itself, *above) if key in pruned), None)
        if doomed is None:
            return
        what = ", which deploys this bot" if doomed == itself else ", and with it what deploys this bot"
        refusal = NotAllowedError(
            f"Pruning {'could' if asked.goes_elsewhere else 'would'} delete {code(str(doomed))}{what}. Leave "
            "prune out, and delete by hand what is to go."
        )
        await self._door.refuse(by, action, str(refusal), about=detail.application)
        raise refusal


def read_resources(detail: ApplicationDetail, typed: str) -> tuple[ResourceKey, ...]:
    """Return the resources that somebody names, `Kind/name` or longer, with commas between.

    Raises:
        NotFoundError: The Application has no such resource, or it is a hook.
        InvalidError: Several are called so.
    """
    names = [part.strip() for part in typed.split(",") if part.strip()]
    known = [each.key for each in detail.resources if not each.hook]
    return tuple(dict.fromkeys(_read_resource(known, name) for name in names))


def _read_resource(known: Iterable[ResourceKey], name: str) -> ResourceKey:
    found = [key for key in known if _is_called(key, name.split("/"))]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFoundError(
            f"The Application has no resource {code(name)}: choose from what completes as you type. "
            "Hooks cannot be chosen."
        )
    longer = ", ".join(
        code(f"{key.group}/{key.kind}/{key.namespace}/{key.name}") for key in found[:_MOST_NAMED]
    )
    raise InvalidError(f"Several resources are called {code(name)}: say which, {longer}.")


def _is_called(key: ResourceKey, parts: list[str]) -> bool:
    match len(parts):
        case n if n == _KIND_AND_NAME:
            return [key.kind, key.name] == parts
        case n if n == _WITH_GROUP:
            return parts in ([key.group, key.kind, key.name], [key.kind, key.namespace, key.name])
        case n if n == _WHOLE:
            return list(key) == parts
        case _:
            return False


def _pruned_applications(detail: ApplicationDetail, *, or_any: bool) -> set[ObjectKey]:
    return {
        ObjectKey(each.key.namespace or detail.key.namespace, each.key.name)
        for each in detail.resources
        if (or_any or each.requires_pruning) and (each.key.group, each.key.kind) == APPLICATION
    }


def _without(branches: Iterable[Branch], pruned: Collection[ObjectKey]) -> Iterator[Branch]:
    """Go through a tree but for what is pruned out of it, and what is below that."""
    depth: int | None = None
    for branch in branches:
        if depth is not None and branch.depth > depth:
            continue
        depth = branch.depth if branch.key in pruned else None
        if depth is None:
            yield branch


def _shown(detail: ApplicationDetail) -> tuple[str, ...]:
    """Return what the sources of an Application came to, where a sync can be told to go exactly there."""
    revisions, sources = detail.application.revisions, detail.application.sources
    # The commits of a hydrated one are Argo CD's own.
    return revisions if len(revisions) == len(sources) and not detail.hydrated else ()


def _deployed(application: Application) -> tuple[str, ...]:
    return application.deployed.revisions if application.deployed is not None else ()


def _number(history_id: str) -> int:
    text = history_id.strip().partition(" ")[0]
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidError("Expected a number of the history, as `/argocd history` shows them.")
    return int(text)


def _runs(detail: ApplicationDetail) -> bool:
    return detail.run is not None and not detail.run.phase.is_final
