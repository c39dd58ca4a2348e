"""What somebody is shown before they confirm, and what is kept of it: plans of operations. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from bot.argocd.asked import ROLLBACK, SYNC, TERMINATE, TREE, Asked, AskedEnd, AskedTree
from bot.argocd.detail import ApplicationDetail, HistoryEntry, ResourceState
from bot.argocd.model import Application, HealthStatus, Source, SyncStatus, access_targets
from bot.argocd.patches import USER_PREFIX
from bot.argocd.views import Branch, Commit, Windows
from bot.argocd.words import name_of, short
from bot.chat.text import code, cut, escape, timestamp
from bot.kube.model import ObjectKey
from bot.operations.model import Plan

SYNC_ACTION: Final = "argocd:sync"
ROLLBACK_ACTION: Final = "argocd:rollback"
TERMINATE_ACTION: Final = "argocd:terminate"
STATUS_ACTION: Final = "argocd:status"

_MOST_NAMED: Final = 6
_MOST_WAVES: Final = 8
_SUBJECT: Final = 100
_MESSAGE: Final = 200
_MOST_CONDITIONS: Final = 2
_HARSH_OPTIONS: Final = ("Replace=true", "Force=true")

Commits = Sequence[Commit | None]


def subject_of(key: ObjectKey) -> str:
    """Return what only one operation at a time may have to do with."""
    return f"app:{key}"


def place_of(application: Application, home: str) -> str:
    """Return where an Application is, for the facts line: its project and name."""
    key = application.key
    return f"{application.project} / {key.name if key.namespace == home else key}"


def plan_sync(
    detail: ApplicationDetail,
    asked: Asked,
    *,
    is_current: bool = True,
    commits: Commits,
    windows: Windows,
    home: str,
    url: str | None,
    min_approvals: int = 0,
) -> Plan:
    """Return the plan of a sync. The commits are those of the new revisions, one for each source.

    It is current if Argo CD has compared the Application since somebody asked.
    """
    application = detail.application
    wanted = asked.wanted or application.revisions
    moves = _moves(_running(application), wanted, application.sources, commits)
    body = [
        *moves,
        *_comparison_lines(application, asked, is_current=is_current),
        *_difference_lines(detail, asked),
        *_pruning_lines(detail, asked),
        *_selection_lines(asked),
        *_window_lines(windows),
        *_warnings(detail, asked),
    ]
    words = ("Dry run of {}",) * 3 if asked.dry_run else ("Sync {}", "Syncing {}", "Synced {}")
    return replace(
        _plan(detail, SYNC, SYNC_ACTION, words, asked, body=body, home=home, url=url),
        brief=(*moves, *_scope_lines(detail, asked)),
        min_approvals=min_approvals,
        changes=not asked.dry_run,
        noted=noted_move(_running(application), wanted),
    )


def plan_rollback(
    detail: ApplicationDetail,
    entry: HistoryEntry,
    asked: Asked,
    *,
    commits: Commits,
    windows: Windows,
    home: str,
    url: str | None,
    min_approvals: int = 0,
) -> Plan:
    """Return the plan of a rollback to an entry of the history."""
    application = detail.application
    deployed = f" deployed {timestamp(entry.deployed_at)}" if entry.deployed_at else ""
    moves = _moves(_running(application), entry.revisions, entry.sources, commits)
    body = [
        *moves,
        f"Entry {entry.id} of the history,{deployed}{_by(entry.by)}.",
        *_pruning_lines(detail, asked),
        *_window_lines(windows),
        "**Hooks do not run**, so neither do migrations of a database, forwards or back.",
        "Afterwards it is OutOfSync: it does not run what its source says, and the next sync undoes this.",
        *_kargo_warning(application),
        *_condition_lines(detail),
    ]
    words = ("Roll {} back", "Rolling {} back", "Rolled {} back")
    return replace(
        _plan(detail, ROLLBACK, ROLLBACK_ACTION, words, asked, body=body, home=home, url=url),
        brief=(*moves, *_scope_lines(detail, asked)),
        min_approvals=min_approvals,
        noted=noted_move(_running(application), entry.revisions),
    )


def plan_tree(
    detail: ApplicationDetail,
    branches: Sequence[Branch],
    asked: AskedTree,
    *,
    notes: Sequence[str],
    home: str,
    url: str | None,
) -> Plan:
    """Return the plan of the sync of an Application and of all below it; `notes` are safe markup."""
    application = detail.application
    name = application.key.name
    below = [each for each in branches if each.depth and not each.is_again]
    body = [
        _order(name, len(below)),
        *_wave_lines(below),
        *_pruning_lines(detail, Asked(key=asked.root, prune=asked.prune), in_a_tree=True),
        *([f"Prune holds for {code(name)} alone; below it nothing is deleted."] if asked.prune else []),
        *notes,
    ]
    words = ("Sync {} and all below", "Syncing {} and all below", "Synced {} and all below")
    return replace(
        _plan(detail, TREE, SYNC_ACTION, words, asked, body=body, home=home, url=url),
        brief=(f"{code(name)} and {f'the {len(below)}' if below else 'what is'} below it, wave by wave",),
        # Each Application that was synced is noted as a change of its own.
        changes=False,
    )


def _order(name: str, below: int) -> str:
    if not below:
        return (
            f"Nothing is known to be below {code(name)}. What its sync brings follows, wave by wave, each "
            "once all of the one before it are synced and healthy."
        )
    return (
        f"First {code(name)}, then the {below} below it, wave by wave; each wave waits until all of the "
        "one before it are synced and healthy. Those that are in sync already are left alone."
    )


def plan_termination(
    detail: ApplicationDetail,
    asked: AskedEnd,
    *,
    is_discard: bool,
    home: str,
    url: str | None,
    min_approvals: int = 0,
) -> Plan:
    """Return the plan of ending a sync that somebody else began; a discard takes away what cannot end."""
    words = (
        ("Discard the sync of {}", "Discarding the sync of {}", "Discarded the sync of {}")
        if is_discard
        else ("Terminate the sync of {}", "Terminating the sync of {}", "Terminated the sync of {}")
    )
    body = _termination_lines(detail, is_discard=is_discard)
    return replace(
        _plan(detail, TERMINATE, TERMINATE_ACTION, words, asked, body=body, home=home, url=url),
        subject=f"{subject_of(detail.key)}/terminate",
        cancel_label="",
        cancel_action="",
        min_approvals=min_approvals,
    )


def _plan(
    detail: ApplicationDetail,
    kind: str,
    action: str,
    words: tuple[str, str, str],
    asked: Asked | AskedTree | AskedEnd,
    *,
    body: Sequence[str],
    home: str,
    url: str | None,
) -> Plan:
    """Return what all plans about an Application have; the words are for before, while it runs, after."""
    application = detail.application
    title, doing, done = (each.format(application.key.name) for each in words)
    return Plan(
        kind=kind,
        action=action,
        targets=access_targets(application, detail.labels),
        subject=subject_of(application.key),
        title=title,
        doing=doing,
        done=done,
        system="Argo CD",
        place=place_of(application, home),
        body=tuple(body),
        request=asked.to_json(),
        namespace=application.destination.namespace or None,
        app=str(application.key),
        url=url,
        cancel_label="Terminate",
        cancel_action=TERMINATE_ACTION,
        details_action=STATUS_ACTION,
    )


def name_initiator(by: str, *, automated: bool) -> str:
    """Return who began a sync, in safe markup."""
    if automated or not by:
        return "Argo CD by itself"
    if by.startswith(USER_PREFIX):
        return f"{escape(by.removeprefix(USER_PREFIX))} through The Machine"
    return escape(by)


def describe_commit(revision: str, commit: Commit | None) -> str:
    """Return a revision with its subject, in safe markup."""
    subject = f" {cut(escape(commit.subject), _SUBJECT)}" if commit is not None and commit.subject else ""
    return f"{code(short(revision))}{subject}"


def _running(application: Application) -> tuple[str, ...]:
    return application.deployed.revisions if application.deployed is not None else ()


def noted_move(before: Sequence[str], after: Sequence[str]) -> dict[str, str]:
    """Return the first revision that moves, or the first one, for the journal."""
    moves = [(old, new) for old, new in _side_by_side(before, after, default="") if new]
    old, new = next((move for move in moves if move[0] != move[1]), moves[0] if moves else ("", ""))
    return {name: revision for name, revision in (("from", old), ("to", new)) if revision}


def _comparison_lines(application: Application, asked: Asked, *, is_current: bool) -> list[str]:
    if application.reconciled_at is None or any(asked.revisions):
        return []
    compared = f"-# compared {timestamp(application.reconciled_at)}"
    if is_current:
        return [compared]
    left = ", and not synced" if asked.shown else ""
    return [compared, f"Argo CD has not compared it since you asked: what is newer is not shown{left}."]


def _moves(
    before: Sequence[str],
    after: Sequence[str],
    sources: Sequence[Source],
    commits: Commits,
) -> list[str]:
    """Return a line for each source: what runs, and what will."""
    lines = []
    for place, (old, new) in enumerate(_side_by_side(before, after, default="")):
        commit = commits[place] if place < len(commits) else None
        source = sources[place] if place < len(sources) else None
        named = f"{code(source.what)} " if source is not None and len(after) > 1 else ""
        lines.append(f"{named}{_move(old, new, commit)}")
    return lines


def _move(old: str, new: str, commit: Commit | None) -> str:
    target = describe_commit(new, commit)
    if not old:
        return f"→ {target}"
    if old == new:
        return f"{target} again"
    return f"{code(short(old))} → {target}"


def _side_by_side(left: Sequence[str], right: Sequence[str], *, default: str) -> list[tuple[str, str]]:
    length = max(len(left), len(right), 1)
    return [
        (left[i] if i < len(left) else default, right[i] if i < len(right) else default)
        for i in range(length)
    ]


def _difference_lines(detail: ApplicationDetail, asked: Asked) -> list[str]:
    compared = [each for each in detail.resources if not each.hook]
    differing = [
        each for each in compared if each.sync is SyncStatus.OUT_OF_SYNC and not each.requires_pruning
    ]
    if any(asked.revisions):
        return ["What differs there is known once Argo CD has looked at it."]
    if asked.selected:
        return []
    if not differing:
        return [f"Nothing differs in its {len(compared)} resources: they are applied again."]
    return [f"{len(differing)} of {len(compared)} resources differ: {_named(differing)}"]


def _pruning_lines(detail: ApplicationDetail, asked: Asked, *, in_a_tree: bool = False) -> list[str]:
    if asked.goes_elsewhere:
        return [_pruning_elsewhere(asked)]
    extra = _extra(detail, asked)
    if not extra:
        return ["Prune is on; as it was compared there is nothing to delete."] if asked.prune else []
    if not asked.prune:
        stay = "1 resource that no source has any more stays"
        if len(extra) > 1:
            stay = f"{len(extra)} resources that no source has any more stay"
        return [f"Prune is off: {stay}."]
    lines = [f"**Deletes {len(extra)}**: {_named(extra)}"]
    asking = [each for each in extra if each.requires_confirmation]
    if asking and in_a_tree:
        lines.append(f"{_named(asking)}: to be deleted only with somebody's word, so sync it alone.")
    elif asking:
        lines.append(f"{_named(asking)}: deleted only once somebody approves that on the card.")
    return lines


def _pruning_elsewhere(asked: Asked) -> str:
    where = "it" if asked.history_id is None else "that entry"
    if asked.prune:
        return (
            f"**Prune is on: what {where} does not have is deleted.** What that is, nobody knows before Argo "
            "CD has looked at it."
        )
    return f"Prune is off: what {where} does not have stays."


def _extra(detail: ApplicationDetail, asked: Asked) -> list[ResourceState]:
    """Return what would be deleted, as far as it was compared with where the sync goes."""
    extra = [each for each in detail.resources if each.requires_pruning]
    return [each for each in extra if not asked.selected or each.key in asked.selected]


def _named(resources: Sequence[ResourceState]) -> str:
    names = ", ".join(name_of(each.key) for each in resources[:_MOST_NAMED])
    left = len(resources) - _MOST_NAMED
    return f"{names} and {left} more" if left > 0 else names


def _selection_lines(asked: Asked) -> list[str]:
    if not asked.selected:
        return []
    return [f"Only {_selected(asked)}. **Hooks do not run**, and the history does not record it."]


def _scope_lines(detail: ApplicationDetail, asked: Asked) -> list[str]:
    """Return what is special about it, in words that are as true before it as afterwards."""
    lines = [f"only {_selected(asked)}"] if asked.selected else []
    if not asked.prune:
        return lines
    pruned = "what is not there" if asked.goes_elsewhere else _named(_extra(detail, asked))
    return [*lines, f"with pruning of {pruned}"] if pruned else lines


def _selected(asked: Asked) -> str:
    names = ", ".join(name_of(key) for key in asked.selected[:_MOST_NAMED])
    left = len(asked.selected) - _MOST_NAMED
    return f"{names} and {left} more" if left > 0 else names


def _window_lines(windows: Windows) -> list[str]:
    shown = "by hand" in windows.reason
    lines = [escape(windows.reason)] if shown else []
    if windows.unsure:
        lines.append(f"Sync windows may hold that are not known: {escape(windows.unsure)}")
    return lines


def _warnings(detail: ApplicationDetail, asked: Asked) -> Iterable[str]:
    application = detail.application
    if asked.dry_run:
        yield (
            "**Dry run**: nothing is changed. Only Argo CD itself looks at it; what the cluster would refuse "
            "does not show."
        )
        return
    harsh = [option for option in detail.sync_options if option in _HARSH_OPTIONS]
    if harsh:
        yield (
            f"Its options have {' and '.join(map(code, harsh))}: resources may be deleted and created anew."
        )
    if application.auto_sync.enabled:
        yield "Auto-sync is on: Argo CD would do this by itself."
    yield from _kargo_warning(application)
    yield from _condition_lines(detail)
    if application.health in {HealthStatus.DEGRADED, HealthStatus.MISSING}:
        yield f"It is **{application.health.value}** now."


def _kargo_warning(application: Application) -> list[str]:
    if not application.kargo_stage:
        return []
    return [f"Kargo's stage {code(application.kargo_stage)} promotes to it: better promote there."]


def _condition_lines(detail: ApplicationDetail) -> list[str]:
    return [
        f"{escape(each.type)}: {cut(escape(each.message), _MESSAGE)}"
        for each in detail.conditions[:_MOST_CONDITIONS]
    ]


def _wave_lines(below: Sequence[Branch]) -> list[str]:
    lines = []
    for depth in sorted({each.depth for each in below}):
        level = [each for each in below if each.depth == depth]
        for wave in sorted({each.wave for each in level}):
            names = [each.key.name for each in level if each.wave == wave]
            shown = ", ".join(f"**{escape(name)}**" for name in names[:_MOST_NAMED])
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            level_name = f"level {depth}, " if depth > 1 else ""
            lines.append(f"{level_name}wave {wave}: {shown}{more}")
    hidden = len(lines) - _MOST_WAVES
    return [*lines[:_MOST_WAVES], f"and {hidden} more waves"] if hidden > 0 else lines


def _termination_lines(detail: ApplicationDetail, *, is_discard: bool) -> list[str]:
    run = detail.run if detail.run is not None and not detail.run.phase.is_final else None
    request = detail.request or (run.request if run is not None else None)
    by, automated = (request.by, request.automated) if request is not None else ("", False)
    began = f" {timestamp(run.started_at)}" if run is not None and run.started_at is not None else ""
    lines = [f"Begun by {name_initiator(by, automated=automated)}{began}."]
    if run is not None and run.message:
        lines.append(f"Argo CD says: {cut(escape(run.message), _MESSAGE)}")
    if not is_discard:
        lines.append("What it has applied stays; hooks that run are deleted, and it is not tried again.")
    elif run is None:
        lines.append("It has not begun: it is taken away, and nothing else happens.")
    else:
        lines.append(
            "It cannot be ended as usual, so it is taken away: what it has applied stays, and its hooks are "
            "not cleaned up."
        )
    if detail.application.auto_sync.enabled:
        lines.append("Auto-sync is on: Argo CD may sync by itself right after.")
    return lines


def _by(by: str) -> str:
    return f" by {name_initiator(by, automated=False)}" if by else ""
