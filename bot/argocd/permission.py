"""Whether sync windows let a person sync an Application now, as far as we can see. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from bot.argocd.model import Application
from bot.argocd.projects import AppProject, GlobalProject, SyncWindow, WindowKind
from bot.argocd.views import Windows, WindowState
from bot.argocd.windows import (
    WindowDecision,
    WindowReason,
    changes_at,
    describe_window,
    is_open,
    matching_windows,
    merged_windows,
    opens_at,
    problem_of,
)

_SENTENCES: Final[Mapping[WindowReason, str]] = {
    WindowReason.NO_WINDOW: "",
    WindowReason.ALLOWED: "A sync window allows it now.",
    WindowReason.NOT_DENIED: "No sync window denies it now.",
    WindowReason.MANUAL_THOUGH_DENIED: "A sync window denies it now, but lets people sync by hand.",
    WindowReason.MANUAL_OUTSIDE: "No sync window is open, but people may sync by hand.",
    WindowReason.OVERRUN: "A sync window denies it now, but lets it go on.",
    WindowReason.DENIED: "A sync window denies it now.",
    WindowReason.OUTSIDE: "It may be synced only in sync windows, and none is open now.",
    WindowReason.UNREADABLE: "A sync window cannot be read: Argo CD syncs nothing then.",
}


def windows_of(
    application: Application, projects: Mapping[str, AppProject], global_projects: Iterable[GlobalProject]
) -> tuple[SyncWindow, ...]:
    """Return the sync windows that hold for an Application; `projects` are all by name."""
    project = projects.get(application.project)
    if project is None:
        return ()
    return matching_windows(merged_windows(project, projects, global_projects), application)


def look_at_windows(
    windows: Sequence[SyncWindow], decision: WindowDecision, *, now: datetime, unsure: str = ""
) -> Windows:
    """Say whether a person may sync now, and why; `unsure` is why more windows may hold than are known."""
    return Windows(
        may_sync=decision.permits,
        reason=_reason(decision),
        states=tuple(_state(window, now) for window in windows),
        opens_at=None if decision.permits else opens_at(windows, manual=True, now=now),
        unsure=unsure,
    )


def _reason(decision: WindowDecision) -> str:
    sentence = _SENTENCES[decision.reason]
    described = _described(decision.windows) if not decision.permits else ""
    return f"{sentence} ({described})" if described else sentence


def _described(windows: Sequence[SyncWindow]) -> str:
    return "; ".join(describe_window(window) for window in windows[:2])


def _state(window: SyncWindow, now: datetime) -> WindowState:
    problem = problem_of(window)
    return WindowState(
        name=describe_window(window),
        denies=window.kind is WindowKind.DENY,
        is_open=not problem and is_open(window, now),
        changes_at=changes_at(window, now=now),
        allows_manual=window.manual_sync,
        problem=problem,
    )
