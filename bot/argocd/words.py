"""How far a sync is, in words: what its operation's card says at each stage. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from bot.argocd.detail import ResourceResult
from bot.argocd.model import Application, HealthStatus, ResourceKey
from bot.argocd.progress import Stage, SyncView, Wait, WaitsFor
from bot.argocd.views import ResourceHealth
from bot.chat.text import code, cut, escape
from bot.operations.model import Progress, State

DISCARD: Final = "discard"
"""The offer to take a sync away that cannot be ended otherwise."""
APPROVE_PRUNING: Final = "approve-pruning"
"""The offer to let it delete what must not be deleted without somebody's word."""

SHORT_COMMIT: Final = 7

_COMMIT: Final = re.compile(r"(?:sha256:)?[0-9a-f]{40,64}")
_MESSAGE: Final = 300
_MOST_FAILURES: Final = 5
_STATES: Final[Mapping[Stage, State]] = {
    Stage.ACCEPTED: State.STARTED,
    Stage.NOT_PICKED_UP: State.STARTED,
    Stage.SUCCEEDED: State.SUCCEEDED,
    Stage.DEGRADED: State.FAILED,
    Stage.NOT_HEALTHY_IN_TIME: State.FAILED,
    Stage.FAILED: State.FAILED,
    Stage.ERROR: State.FAILED,
    Stage.TERMINATED: State.CANCELLED,
    Stage.SUPERSEDED: State.SUPERSEDED,
}
_WAITS: Final[Mapping[WaitsFor, tuple[str, str]]] = {
    WaitsFor.HOOK: ("waiting for the hook ", " to complete"),
    WaitsFor.HEALTH: ("waiting for ", " to become healthy"),
    WaitsFor.DELETION: ("waiting for ", " to be gone"),
    WaitsFor.CONFIRMATION: ("waiting for somebody to confirm that ", " may be deleted"),
}
_STEPS: Final[Mapping[Stage, str]] = {
    Stage.ACCEPTED: "waiting for Argo CD to begin",
    Stage.NOT_PICKED_UP: "not begun",
    Stage.WAITING_FOR_RETRY: "waiting for the next attempt",
    Stage.BLOCKED_BY_WINDOW: "blocked by a sync window",
    Stage.TERMINATING: "terminating",
    Stage.TERMINATING_BLOCKED: "terminating",
    Stage.ORPHANED: "stuck",
}
_EXPLANATIONS: Final[Mapping[Stage, str]] = {
    Stage.NOT_PICKED_UP: (
        "Argo CD has not begun with it for over a minute: its controller may be down, or does not look after "
        "this Application. It begins by itself once the controller does; {way_out} takes it away."
    ),
    Stage.BLOCKED_BY_WINDOW: (
        "A sync window blocks it. It begins **by itself as soon as the window lets it**, be it at night; "
        "{way_out} takes it away."
    ),
    Stage.TERMINATING_BLOCKED: (
        "A sync window keeps even the termination waiting, and nothing else can run until then. "
        "{way_out} takes it away."
    ),
    Stage.ORPHANED: (
        "It says that it runs, but nobody asks for it any more: it would stay so for ever. "
        "{way_out} takes it away."
    ),
}
"""Why it does not go on; `way_out` is the button that ends that."""


def short(revision: str) -> str:
    """Return a revision as people say it: seven characters of a commit, all of a version."""
    if not _COMMIT.fullmatch(revision):
        return revision or "HEAD"
    return revision.removeprefix("sha256:")[:SHORT_COMMIT]


def describe_progress(
    view: SyncView,
    application: Application,
    *,
    dry_run: bool = False,
    ended_by: str = "",
    in_a_tree: bool = False,
    live: Mapping[ResourceKey, ResourceHealth] | None = None,
) -> Progress:
    """Return what a view of a sync means for its operation.

    `live` is how resources are, where Argo CD's server told; `ended_by` is who had
    it ended or taken away through us, as markup. The card of a tree has one button
    for all.
    """
    state = _STATES.get(view.stage, State.PROGRESSING)
    if view.stage is Stage.SUPERSEDED and ended_by:
        state = State.CANCELLED
    return Progress(
        state=state,
        fraction=view.fraction if view.began or state.is_final else None,
        step=_step(view, application),
        body=tuple(_body(view, application, live or {}, in_a_tree=in_a_tree)),
        counts=_counts(view),
        outcome=_outcome(view, application, dry_run=dry_run, ended_by=ended_by) if state.is_final else "",
        offers=_offers(view),
        memory=view.memory,
    )


def name_of(key: ResourceKey) -> str:
    """Return a resource as it is named in sentences."""
    return f"**{escape(key.kind)}/{escape(key.name)}**"


def _step(view: SyncView, application: Application) -> str:
    if view.stage is Stage.AWAITING_HEALTH:
        return f"applied · {application.health.value}"
    if view.stage in _STEPS:
        return _STEPS[view.stage]
    if view.wave_count > 1 and view.wave_number:
        return f"wave {view.wave_number} of {view.wave_count}"
    return ""


def _body(
    view: SyncView,
    application: Application,
    live: Mapping[ResourceKey, ResourceHealth],
    *,
    in_a_tree: bool,
) -> list[str]:
    if view.stage.is_final:
        return []
    return [*_explanation(view, application, live, in_a_tree=in_a_tree), *describe_failures(view.failures)]


def _explanation(
    view: SyncView,
    application: Application,
    live: Mapping[ResourceKey, ResourceHealth],
    *,
    in_a_tree: bool,
) -> list[str]:
    waiting = [_waiting(view.wait, live)] if view.wait is not None else []
    match view.stage:
        case Stage.WAITING_FOR_RETRY:
            return [_retry(view)]
        case Stage.WAITING_FOR_CONFIRMATION:
            return _confirmation(waiting, in_a_tree=in_a_tree)
        case Stage.AWAITING_HEALTH:
            return [_awaiting(application, live)]
        case Stage.RUNNING:
            return [*([f"attempt {view.retry_count + 1}"] if view.retry_count else []), *waiting]
        case _ if view.stage in _EXPLANATIONS:
            return [_EXPLANATIONS[view.stage].format(way_out="Terminate" if in_a_tree else "Discard")]
        case _:
            return []


def _confirmation(waiting: list[str], *, in_a_tree: bool) -> list[str]:
    if in_a_tree:
        return [f"{' '.join(waiting)}: that is asked for when it is synced alone. Terminate ends this."]
    return [*waiting, "Approve pruning lets it go on, Terminate ends it."]


def _retry(view: SyncView) -> str:
    limit = f" of {view.retry_limit + 1}" if view.retry_limit > 0 else ""
    return f"Attempt {view.retry_count + 1}{limit} failed: {_said(view.message)}"


def _waiting(wait: Wait | None, live: Mapping[ResourceKey, ResourceHealth]) -> str:
    if wait is None:
        return ""
    before, after = _WAITS[wait.why]
    more = f" and {wait.more} more" if wait.more else ""
    kind, _, name = wait.what.rpartition("/")
    kind = kind.rpartition("/")[2]
    message = next(
        (how.message for key, how in live.items() if (key.kind, key.name) == (kind, name) and how.message), ""
    )
    told = f" ({_said(message)})" if message else ""
    shown = escape(f"{kind}/{name}" if kind else name)
    return f"{before}**{shown}**{more}{after}{told}"


def _awaiting(application: Application, live: Mapping[ResourceKey, ResourceHealth]) -> str:
    unhealthy = [
        (key, how)
        for key, how in live.items()
        if how.status in {HealthStatus.PROGRESSING, HealthStatus.DEGRADED, HealthStatus.MISSING}
    ]
    # What was made by others, such as pods, says less than what made it; it comes later in the tree.
    if application.health is HealthStatus.HEALTHY:
        return "Everything is applied; waiting for Argo CD to look once more whether it is healthy."
    if not unhealthy:
        return f"Everything is applied; waiting for it to become healthy: it is {application.health.value}."
    key, how = unhealthy[0]
    more = f" and {len(unhealthy) - 1} more" if len(unhealthy) > 1 else ""
    told = f" ({_said(how.message)})" if how.message else ""
    return f"Everything is applied; waiting for {name_of(key)}{more} to become healthy{told}"


def describe_failures(failures: tuple[ResourceResult, ...]) -> list[str]:
    """Return what failed with its own messages, a line each, and how many more there are."""
    lines = [
        f"{name_of(each.key)} failed{f': {_said(each.message)}' if each.message else ''}"
        for each in failures[:_MOST_FAILURES]
    ]
    if len(failures) > _MOST_FAILURES:
        lines.append(f"and {len(failures) - _MOST_FAILURES} more")
    return lines


def _counts(view: SyncView) -> str:
    if not view.began:
        return ""
    counts = view.counts
    parts = [f"{counts.done} of {counts.total} resources done", f"{counts.failed} failed"]
    if counts.kept:
        parts.append(f"{counts.kept} kept that pruning would delete")
    return " · ".join(parts)


def _offers(view: SyncView) -> tuple[str, ...]:
    if view.stage.can_discard:
        return (DISCARD,)
    return (APPROVE_PRUNING,) if view.stage is Stage.WAITING_FOR_CONFIRMATION else ()


def _outcome(  # noqa: PLR0911 - one return for each stage reads best
    view: SyncView, application: Application, *, dry_run: bool, ended_by: str
) -> str:
    failed = "".join(f"\n{line}" for line in describe_failures(view.failures))
    match view.stage:
        case Stage.SUCCEEDED if dry_run:
            return f"The dry run went through{_revisions(view)}: nothing was changed."
        case Stage.SUCCEEDED:
            return (
                f"{_what(view)} is applied{_revisions(view)}, and {_health(view, application)}.{_kept(view)}"
            )
        case Stage.DEGRADED:
            return (
                f"{_what(view)} was applied{_revisions(view)}, but {_health(view, application)}.{_kept(view)}"
            )
        case Stage.NOT_HEALTHY_IN_TIME:
            return (
                f"{_what(view)} was applied{_revisions(view)}, but it is still "
                f"**{application.health.value}**. Nobody looks any longer.{_kept(view)}"
            )
        case Stage.FAILED | Stage.ERROR:
            what = "failed" if view.stage is Stage.FAILED else "could not be tried"
            return f"The sync {what}: {_said(view.message)}{failed}"
        case Stage.TERMINATED:
            counts = view.counts
            where = f"by {ended_by}" if ended_by else "in Argo CD, not through the bot"
            return (
                f"It was terminated {where}: {counts.applied} of {counts.total} resources were applied, and "
                "stay so."
            )
        case _:
            return _vanished(view, ended_by)


def _vanished(view: SyncView, ended_by: str) -> str:
    if not ended_by:
        begun = "after it had begun" if view.began else "before it began"
        return f"Another sync took its place in Argo CD {begun}, or somebody removed it there."
    if view.began:
        return (
            f"It was taken away half-way by {ended_by}: what it applied stays, and its hooks may not be "
            "cleaned up."
        )
    return f"It was discarded by {ended_by} before it began."


def _what(view: SyncView) -> str:
    return "What was chosen" if view.selective else "Everything"


def _health(view: SyncView, application: Application) -> str:
    which = "the Application" if view.selective else "it"
    return f"{which} is **{application.health.value}**"


def _revisions(view: SyncView) -> str:
    shown = " ".join(code(short(each)) for each in dict.fromkeys(view.revisions) if each)
    return f" at {shown}" if shown else ""


def _kept(view: SyncView) -> str:
    if not view.counts.kept:
        return ""
    return f" {view.counts.kept} that no source has any more were kept: prune was off."


def _said(message: str) -> str:
    return cut(escape(message), _MESSAGE)
