"""Whether a sync may begin now: the state of the Application, and the sync windows of its project."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.argocd.asked import Asked
from bot.argocd.cluster import ArgoCluster
from bot.argocd.detail import ApplicationDetail
from bot.argocd.model import Application
from bot.argocd.patches import SyncOrder
from bot.argocd.permission import look_at_windows, windows_of
from bot.argocd.plans import name_initiator
from bot.argocd.preconditions import Refused, moved_refusal, rollback_refusal, sync_refusal
from bot.argocd.projects import AppProject, GlobalProject, SyncWindow
from bot.argocd.views import Windows
from bot.argocd.windows import decide_window, opens_at
from bot.chat.text import cut, escape, timestamp
from bot.core.clock import Clock
from bot.kube.model import WatchPhase

_LONGEST_DETAIL: Final = 300
_MOST_DETAILS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known of projects at a moment."""

    projects: Mapping[str, AppProject]
    global_projects: tuple[GlobalProject, ...] = ()
    unsure: str = ""
    """Plain: why more windows may hold than are known."""


class Permits:
    """Asks what is known of the cluster, and decides."""

    def __init__(self, argo: ArgoCluster, clock: Clock) -> None:
        """Take the cluster."""
        self._argo = argo
        self._clock = clock

    async def know(self) -> Knowledge:
        """Return what is known of projects now."""
        config = await self._argo.config()
        health = self._argo.projects.health
        unsure = config.problem
        if health.phase is not WatchPhase.SYNCED:
            unsure = health.problem or "The projects have not been read yet."
        return Knowledge(
            projects={project.key.name: project for project in self._argo.projects.values()},
            global_projects=config.global_projects,
            unsure=unsure,
        )

    def windows(self, application: Application, knowledge: Knowledge) -> Windows:
        """Say whether sync windows let a person sync an Application now."""
        windows = self._windows(application, knowledge)
        now = self._clock.now()
        decision = decide_window(windows, manual=True, now=now)
        unsure = knowledge.unsure
        if application.project not in knowledge.projects:
            unsure = unsure or "Its project is not known."
        return look_at_windows(windows, decision, now=now, unsure=unsure)

    def check(self, detail: ApplicationDetail, asked: Asked, knowledge: Knowledge) -> None:
        """Refuse what must not begin as things are.

        Raises:
            RefusedError: The text says why, and what to do.
        """
        refused = self.refusal(detail, asked, knowledge)
        if refused is not None:
            raise refused.error(more_about(refused))

    def refusal(self, detail: ApplicationDetail, asked: Asked, knowledge: Knowledge) -> Refused | None:
        """Say why something must not begin as things are, or None: it may."""
        windows = self._windows(detail.application, knowledge)
        now = self._clock.now()
        decision = decide_window(windows, manual=True, now=now)
        later = None if decision.permits else opens_at(windows, manual=True, now=now)
        if asked.history_id is not None:
            return rollback_refusal(detail, asked.history_id, window=decision, opens_at=later)
        order = SyncOrder(
            operation="", by="", dry_run=asked.dry_run, revisions=asked.revisions, selected=asked.selected
        )
        moved = None if asked.dry_run else moved_refusal(detail.application, asked.deployed)
        return sync_refusal(detail, order, window=decision, opens_at=later) or moved

    def _windows(self, application: Application, knowledge: Knowledge) -> tuple[SyncWindow, ...]:
        return windows_of(application, knowledge.projects, knowledge.global_projects)


def more_about(refused: Refused) -> str:
    """Return what the refusal itself leaves out, made safe to show: whose sync it is, what Argo CD says."""
    parts = []
    if refused.by:
        parts.append(f"It was begun by {name_initiator(refused.by, automated=False)}.")
    if refused.until is not None:
        parts.append(f"That is {timestamp(refused.until, 'f')}, {timestamp(refused.until)}.")
    if refused.details:
        said = "; ".join(cut(escape(each), _LONGEST_DETAIL) for each in refused.details[:_MOST_DETAILS])
        parts.append(f"It says: {said}")
    return " ".join(parts)
