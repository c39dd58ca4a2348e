"""One Application at a glance: what is wrong with it, what it runs, what can be done."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

import discord

from bot.argocd.card.parts import (
    DIFF,
    HISTORY,
    LINE,
    REFRESH,
    SYNC,
    TERMINATE,
    TREE,
    colour_of,
    destination_of,
    headline,
    key_of,
    message_of,
    more,
    opening,
    place_facts,
    resource_name,
    revisions_of,
    s,
    subject_of,
    subtext,
    text_if,
)
from bot.argocd.model import (
    Application,
    Condition,
    HealthStatus,
    ResourceKey,
    Source,
    SyncPhase,
    SyncStatus,
    SyncSummary,
)
from bot.argocd.plans import name_initiator
from bot.argocd.views import Commit, Refreshed, ResourceHealth, Standing, Windows, WindowState
from bot.argocd.words import short
from bot.chat import layout
from bot.chat.action import ActionButton, button
from bot.chat.rendered import Rendered
from bot.chat.text import code, cut, escape, link, timestamp
from bot.operations.life import mention
from bot.operations.model import Operation

_WRONG: Final = 1500
_ABOUT: Final = 900
_WHAT: Final = 60
_DIGEST: Final = len("sha256:") + 7
_MOST_UNHEALTHY: Final = 3
_MOST_CONDITIONS: Final = 3
_MOST_NAMED: Final = 4
_MOST_SOURCES: Final = 4
_MOST_WINDOWS: Final = 4
_MOST_IMAGES: Final = 3
_MOST_URLS: Final = 4

_ILL: Final = frozenset(
    {HealthStatus.PROGRESSING, HealthStatus.MISSING, HealthStatus.DEGRADED, HealthStatus.UNKNOWN}
)
_PHASES: Final = {
    SyncPhase.RUNNING: "is running",
    SyncPhase.TERMINATING: "is being terminated",
    SyncPhase.SUCCEEDED: "succeeded",
    SyncPhase.FAILED: "failed",
    SyncPhase.ERROR: "could not be tried",
    SyncPhase.UNKNOWN: "is in a phase that is not known",
}


def render_status(standing: Standing) -> Rendered:
    """Render everything about one Application that one wants to know at a glance."""
    detail, application = standing.detail, standing.detail.application
    syncs = _our_lines(standing.operation, application) or list(_sync_lines(application))
    wrong = [
        *_source_lines(application, standing.commits),
        *(syncs if application.is_syncing else ()),
        *_unhealthy_lines(standing),
        *_condition_lines(detail.conditions),
        *_drift_lines(standing),
        *(() if application.is_syncing else syncs),
    ]
    about = [*_rule_lines(standing), *_window_lines(standing.windows), *_link_lines(standing)]
    view = layout.view(
        layout.container(
            layout.text(headline(application), subtext([_since(application), *place_facts(application)])),
            layout.gap(),
            layout.text(*layout.fitting(wrong, _WRONG)),
            layout.divider(),
            layout.text(*layout.fitting(about, _ABOUT), opening(standing.url)),
            *_buttons(application),
            colour=colour_of(application),
        )
    )
    return Rendered(view=view, marker="")


def render_refreshed(refreshed: Refreshed) -> Rendered:
    """Render what a refresh found, and what is different now."""
    before, after = refreshed.before, refreshed.after
    how = "Argo CD made its manifests anew and compared" if refreshed.hard else "Argo CD compared it again"
    words = (
        f"{how}, in {refreshed.took_seconds:.1f} s."
        if refreshed.is_done
        else "Argo CD has not answered within a minute. It may still do so: look again with `/argocd status`."
    )
    changes = [
        _changed("Health", before.health.value, after.health.value),
        _changed("Sync", before.sync.value, after.sync.value),
        _changed("Revision", short(before.revision), short(after.revision)),
        _changed("Resources out of sync", str(before.out_of_sync), str(after.out_of_sync)),
    ]
    found = [change for change in changes if change]
    nothing = "Nothing is different now." if refreshed.is_done else ""
    view = layout.view(
        layout.container(
            layout.text(headline(after), subtext([_since(after), *place_facts(after)])),
            layout.gap(),
            layout.text(words, *(found or [nothing])),
            *text_if(*_condition_lines(after.conditions), opening(refreshed.url)),
            *_buttons(after),
            colour=colour_of(after),
        )
    )
    return Rendered(view=view, marker="")


def _since(application: Application) -> str:
    since = f" since {timestamp(application.health_since)}" if application.health_since else ""
    word = (
        "health unknown" if application.health is HealthStatus.UNKNOWN else application.health.value.lower()
    )
    return f"{word}{since}"


def _source_lines(application: Application, commits: Sequence[Commit | None]) -> Iterator[str]:
    """Yield what runs and what the source says, a line for each source."""
    running = application.deployed.revisions if application.deployed else ()
    # In a repository of many Applications a commit may change nothing of this one.
    is_synced = application.sync is SyncStatus.SYNCED
    sides = zip_longest(application.sources[:_MOST_SOURCES], running, application.revisions, commits)
    for source, runs, wanted, commit in sides:
        if source is not None:
            yield _source_line(source, runs or "", wanted or "", commit, is_synced=is_synced)
    if left := len(application.sources) - _MOST_SOURCES:
        yield from [f"and {left} more sources"] if left > 0 else []


def _source_line(source: Source, runs: str, wanted: str, commit: Commit | None, *, is_synced: bool) -> str:
    what, follows = code(source.what, budget=_WHAT), cut(escape(source.target_revision or "HEAD"), _WHAT)
    subject = f": {subject_of(commit.subject)}" if commit is not None and commit.subject else ""
    if not wanted:
        return f"{what} at {follows}" + (f" runs {code(short(runs))}" if runs else "")
    if not runs:
        return f"{what} at {follows} is {code(short(wanted))}{subject}"
    if runs != wanted and is_synced:
        return f"{what} runs what {follows} has at {code(short(wanted))}{subject}"
    if runs != wanted and wanted == source.target_revision:
        # A version, or a branch that could not be read.
        return f"{what} runs {code(short(runs))}; its source says {code(short(wanted))}"
    if runs != wanted:
        return f"{what} runs {code(short(runs))}; {follows} is at {code(short(wanted))}{subject}"
    named = "" if source.target_revision in {wanted, short(wanted)} else f" of {follows}"
    return f"{what} runs {code(short(wanted))}{named}{subject}"


def _our_lines(operation: Operation | None, application: Application) -> list[str]:
    """Return what is being done because somebody asked The Machine, if anything is."""
    if operation is None:
        return []
    asked, last = mention(operation.asked_by), application.last_sync
    doing = cut(escape(operation.plan.doing), LINE)
    line = f"{doing}: asked by {asked} {timestamp(operation.asked_at)}, see <#{operation.channel_id}>"
    runs = last is not None and last.operation == operation.id and not last.is_over
    return [line, message_of(last.message)] if runs and last is not None and last.message else [line]


def _sync_lines(application: Application) -> Iterator[str]:
    waiting, last = application.waiting, application.last_sync
    if waiting is not None and (last is None or last.is_over):
        by = name_initiator(waiting.by, automated=waiting.automated)
        yield f"A sync was asked for by {cut(by, _WHAT)}; Argo CD has **not begun** with it."
    elif last is None:
        yield "It was never synced, as far as Argo CD remembers."
    if last is not None:
        yield from _last_sync_lines(last)


def _last_sync_lines(last: SyncSummary) -> Iterator[str]:
    what = "dry run" if last.dry_run else "sync of some resources" if last.selective else "sync"
    which = f"The last {what}" if last.is_over else f"A {what}"
    revision = f" to {revisions_of(last.revisions)}" if any(last.revisions) else ""
    when = last.finished_at if last.is_over else last.started_at
    at = f" {timestamp(when)}" if when and last.is_over else f", begun {timestamp(when)}" if when else ""
    by = cut(name_initiator(last.by, automated=last.automated), _WHAT)
    said = f": {message_of(last.message)}" if last.message and last.phase is not SyncPhase.SUCCEEDED else ""
    yield f"{which}{revision} by {by} **{_PHASES[last.phase]}**{at}{said}"


def _unhealthy_lines(standing: Standing) -> Iterator[str]:
    """Yield what is ill, the worst first, with what it says itself."""
    known = standing.resource_health or {
        state.key: ResourceHealth(status=state.health, message=state.health_message)
        for state in standing.detail.resources
        if state.health is not None
    }
    own = {state.key for state in standing.detail.resources}
    # What others made, such as pods, is worth a line only if it says why.
    ill = [
        (key, how)
        for key, how in known.items()
        if how.status in _ILL and (how.message or key in own or not standing.resource_health)
    ]
    ill.sort(key=lambda each: (-each[1].status.badness, not each[1].message))
    for key, how in ill[:_MOST_UNHEALTHY]:
        yield _unhealthy_line(key, how)
    if len(ill) > _MOST_UNHEALTHY:
        yield layout.subtext(f"and {len(ill) - _MOST_UNHEALTHY:,} more that are not healthy")


def _unhealthy_line(key: ResourceKey, how: ResourceHealth) -> str:
    message = f": {message_of(how.message)}" if how.message else ""
    return f"{resource_name(key)} is {how.status.value}{message}"


def _condition_lines(conditions: Sequence[Condition]) -> Iterator[str]:
    for condition in conditions[:_MOST_CONDITIONS]:
        yield f"**{cut(escape(condition.type), _WHAT)}** {message_of(condition.message)}".rstrip()
    if len(conditions) > _MOST_CONDITIONS:
        yield layout.subtext(f"and {len(conditions) - _MOST_CONDITIONS:,} more conditions")


def _drift_lines(standing: Standing) -> Iterator[str]:
    application = standing.detail.application
    if not application.out_of_sync:
        return
    named = [state.key for state in standing.detail.resources if state.sync is SyncStatus.OUT_OF_SYNC]
    shown = ", ".join(resource_name(key) for key in named[:_MOST_NAMED])
    rest = more(application.out_of_sync - len(named[:_MOST_NAMED]))
    yield f"{application.out_of_sync:,} of {application.resources:,} resources differ: {shown}{rest}"
    if application.to_prune:
        those = "1 of them is" if application.to_prune == 1 else f"{application.to_prune:,} of them are"
        yield f"{those} in no source any more: only pruning deletes that"


def _rule_lines(standing: Standing) -> Iterator[str]:
    application = standing.detail.application
    warnings = (
        ("It deploys The Machine itself.", standing.is_itself),
        ("Argo CD is told to leave it alone (skip-reconcile).", application.skips_reconcile),
        ("It is being deleted.", application.deleting),
    )
    yield from (f"**{words}**" for words, holds in warnings if holds)
    where = destination_of(application)
    yield f"Deployed to {where}" if where else ""
    yield _auto_sync_line(application)
    yield from _owner_lines(standing)
    images = standing.detail.images
    if images:
        shown = ", ".join(code(_image_name(image), budget=_WHAT) for image in images[:_MOST_IMAGES])
        yield f"Images {shown}{more(len(images) - _MOST_IMAGES)}"


def _image_name(image: str) -> str:
    """Return an image without its registry, and only the beginning of a digest."""
    name, at, digest = image.rpartition("/")[2].partition("@")
    return f"{name}{at}{digest[:_DIGEST]}"


def _auto_sync_line(application: Application) -> str:
    automatic = application.auto_sync
    if not automatic.enabled:
        return "Auto-sync is off: it is synced only when somebody asks"
    extras = (("prunes", automatic.prune), ("heals itself", automatic.self_heal))
    return " · ".join(["Auto-sync is on", *(word for word, given in extras if given)])


def _owner_lines(standing: Standing) -> Iterator[str]:
    application = standing.detail.application
    if application.application_set:
        yield f"Made by the ApplicationSet {code(application.application_set)}"
    if application.parent is not None:
        unseen = "" if standing.parent_is_known else " (not watched)"
        yield f"Applied by {code(str(application.parent))}{unseen}, wave {application.wave}"
    if application.children:
        yield f"Applies {len(application.children):,} Application{s(len(application.children))}"
    if application.kargo_stage:
        yield f"Promoted to by the Kargo stage {code(application.kargo_stage)}"


def _window_lines(windows: Windows) -> Iterator[str]:
    if windows.states or windows.reason:
        reason = cut(escape(windows.reason), LINE)
        yield reason if windows.may_sync else f"**No sync now**: {reason}"
    if windows.opens_at is not None and not windows.may_sync:
        yield f"A sync may begin {timestamp(windows.opens_at, 'f')}, {timestamp(windows.opens_at)}"
    for state in windows.states[:_MOST_WINDOWS]:
        yield layout.subtext(cut(_window_line(state), LINE))
    if windows.unsure:
        yield layout.subtext(f"Other sync windows may hold: {cut(escape(windows.unsure), LINE)}")


def _window_line(state: WindowState) -> str:
    if state.problem:
        return f"cannot be read, so it blocks · {escape(state.name)}: {escape(state.problem)}"
    now = "open" if state.is_open else "closed"
    until = f" until {timestamp(state.changes_at, 'f')}" if state.changes_at else ""
    return f"{now}{until} · {escape(state.name)}"


def _link_lines(standing: Standing) -> Iterator[str]:
    made = (link(_host(url), url) for url in standing.detail.urls[:_MOST_URLS])
    shown = " · ".join(each for each in made if each)
    if shown:
        yield layout.subtext(f"runs at {shown}")


def _host(url: str) -> str:
    return cut(url.partition("://")[2].partition("/")[0] or url, _WHAT)


def _changed(what: str, before: str, after: str) -> str:
    return "" if before == after else f"{what}: {code(before)} → {code(after)}"


def _buttons(application: Application) -> Iterator[layout.Item]:
    key = key_of(application.key)
    if key is not None:
        yield layout.row(*_four(application, key))


def _four(application: Application, key: str) -> Iterable[ActionButton]:
    if application.is_syncing:
        yield button(TERMINATE, key, "Terminate", discord.ButtonStyle.danger)
    else:
        needs = application.sync is not SyncStatus.SYNCED
        style = discord.ButtonStyle.success if needs else discord.ButtonStyle.secondary
        yield button(SYNC, key, "Sync…", style)
    yield button(DIFF, key, "Diff")
    yield button(HISTORY, key, "History")
    yield button(TREE, key, "Tree") if application.children else button(REFRESH, key, "Refresh")
