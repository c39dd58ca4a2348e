"""How answers about Applications look: values in, components out. All names and messages are from outside."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import discord

from bot.argocd.model import (
    Application,
    ApplicationSet,
    Condition,
    HealthStatus,
    HistoryEntry,
    Source,
    SyncPhase,
    SyncStatus,
    SyncSummary,
)
from bot.argocd.views import (
    Branch,
    Change,
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
    Wanted,
    Windows,
    WindowState,
)
from bot.chat import layout
from bot.chat.action import button, select
from bot.chat.keys import pack, unpack
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import code, code_block, cut, escape, link, safe_url, timestamp, units
from bot.core.errors import InvalidError
from bot.kube.model import ObjectKey, WatchHealth, WatchPhase
from bot.operations.life import mention
from bot.operations.model import Operation

OPEN: Final = "argo-open"
"""The action of selects that show one of the Applications that were listed."""
SYNC: Final = "argo-sync"
DIFF: Final = "argo-diff"
TREE: Final = "argo-tree"
HISTORY: Final = "argo-history"
REFRESH: Final = "argo-refresh"
ROLL_BACK: Final = "argo-rollback"
SET: Final = "argo-set"

_BUDGET: Final = 2900
_BODY: Final = 1700
_AROUND: Final = 1200
_LINE: Final = 240
_MESSAGE: Final = 200
_MOST_CONDITIONS: Final = 4
_MOST_NAMED: Final = 6
_MOST_WINDOWS: Final = 4
_MOST_IMAGES: Final = 4
_MOST_URLS: Final = 4
_MOST_LISTED: Final = 25
_SHORT_REVISION: Final = 7
_FULL_REVISION: Final = 40
_SUBJECT: Final = 72

_COLOURS: Final = {
    HealthStatus.HEALTHY: layout.GOOD,
    HealthStatus.SUSPENDED: layout.QUIET,
    HealthStatus.PROGRESSING: layout.RUNNING,
    HealthStatus.MISSING: layout.WARNING,
    HealthStatus.DEGRADED: layout.CRITICAL,
    HealthStatus.UNKNOWN: layout.QUIET,
}
_PHASES: Final = {
    SyncPhase.RUNNING: "is running",
    SyncPhase.TERMINATING: "is being ended",
    SyncPhase.SUCCEEDED: "succeeded",
    SyncPhase.FAILED: "failed",
    SyncPhase.ERROR: "could not be tried",
    SyncPhase.UNKNOWN: "is in a phase that this version does not know",
}
_CHANGES: Final = {Change.CREATED: "new", Change.CHANGED: "changed", Change.DELETED: "deleted by pruning"}


def short(revision: str) -> str:
    """Return a revision as people say it: a commit's first letters, anything else as it is."""
    is_commit = len(revision) == _FULL_REVISION and all(letter in "0123456789abcdef" for letter in revision)
    return revision[:_SHORT_REVISION] if is_commit else revision


def render_list(listing: Listing) -> Rendered:
    """Render Applications, the worst first; those that find no room are in the attached list."""
    facts = [*_asked(listing.wanted), _stale(listing.watch)]
    found = len(listing.applications)
    headline = (
        f"### {found:,} of {listing.total:,} Applications"
        if found != listing.total
        else (f"### {found:,} Application{_s(found)}")
    )
    troubled = f"{listing.troubled:,} need{'s' if listing.troubled == 1 else ''} a look"
    lines = [_list_line(each) for each in listing.applications]
    shown = layout.fitting(lines[:_MOST_LISTED], _BUDGET)
    more = found - len(shown)
    view = layout.view(
        layout.container(
            layout.text(headline, _subtext([troubled, *facts])),
            layout.gap(),
            layout.text(*(shown or ["None fits."])),
            *([layout.text(layout.subtext(f"and {more:,} more in the attached list"))] if more else []),
            *_chooser(OPEN, "list", listing.applications[: len(shown)], "Look at one…"),
            colour=layout.WARNING if listing.troubled else layout.GOOD,
        )
    )
    files = (TextFile("applications.txt", _as_table(listing.applications)),) if more else ()
    return Rendered(view=view, marker="", files=files)


def render_status(standing: Standing) -> Rendered:
    """Render everything about one Application that one wants to know at a glance."""
    application = standing.detail.application
    body = layout.fitting(
        [
            *_source_lines(application, standing.commits),
            *_drift_lines(standing),
            *_condition_lines(standing.detail.conditions),
            *_sync_lines(application.last_sync),
            *_operation_lines(standing.operation),
        ],
        _BODY,
    )
    around = layout.fitting([*_rule_lines(standing), *_window_lines(standing.windows)], _AROUND)
    view = layout.view(
        layout.container(
            layout.text(_headline(application), _subtext(_facts(application))),
            layout.gap(),
            layout.text(*body),
            layout.divider(),
            layout.text(*around),
            *_buttons(application, standing.url),
            colour=_colour(application),
        )
    )
    return Rendered(view=view, marker="")


def render_tree(grown: Grown) -> Rendered:
    """Render an Application with all below it, by wave, each with its state."""
    lines = [_branch_line(branch) for branch in grown.branches]
    shown = layout.fitting(lines, _BUDGET)
    more = len(lines) - len(shown)
    troubled = sum(
        1 for branch in grown.branches if branch.application is None or _is_troubled(branch.application)
    )
    above = " › ".join(code(str(key)) for key in reversed(grown.above))
    facts = [
        f"{len(grown.branches) - 1} below it",
        f"{troubled} not synced or not healthy" if troubled else "all synced and healthy",
        f"below {above}" if above else "",
        _stale(grown.watch),
    ]
    view = layout.view(
        layout.container(
            layout.text(f"### Tree of {escape(grown.root.key.name)}", _subtext(facts)),
            layout.gap(),
            layout.text(*shown),
            *([layout.text(layout.subtext(f"and {more:,} more in the attached list"))] if more else []),
            *_chooser(OPEN, "tree", [b.application for b in grown.branches if b.application], "Look at one…"),
            colour=layout.WARNING if troubled else layout.GOOD,
        )
    )
    files = (TextFile("tree.txt", _as_text(grown.branches)),) if more else ()
    return Rendered(view=view, marker="", files=files)


def render_history(past: Past) -> Rendered:
    """Render what was deployed, newest first, with a way back to each."""
    entries = [
        _history_line(entry, commits, is_current=index == 0)
        for index, (entry, commits) in enumerate(zip(past.entries, past.commits, strict=True))
    ]
    shown = layout.fitting(entries, _BUDGET)
    view = layout.view(
        layout.container(
            layout.text(
                f"### What was deployed of {escape(past.application.key.name)}",
                _subtext([f"{len(entries)} deployment{_s(len(entries))}", "newest first"]),
            ),
            layout.gap(),
            layout.text(*(shown or ["Nothing that Argo CD remembers."])),
            *_rollback_chooser(past),
            *_link_row(past.url),
        )
    )
    return Rendered(view=view, marker="")


def render_differences(found: Differences, page: int = 0) -> Rendered:
    """Render what a sync would change: one resource a page, all of it attached."""
    application = found.application
    total = len(found.differences) or len(found.named)
    facts = [
        f"{total} resource{_s(total)}" if total else "",
        f"compared {timestamp(found.compared_at)}" if found.compared_at else "",
        found.why_only_named and escape(found.why_only_named),
    ]
    parts: list[layout.Item] = [
        layout.text(f"### What a sync of {escape(application.key.name)} would change", _subtext(facts)),
        layout.gap(),
    ]
    if not total:
        parts.append(layout.text("Nothing: what runs is what the sources say."))
    elif found.differences:
        page = min(max(page, 0), len(found.differences) - 1)
        parts.append(layout.text(*_difference(found.differences[page])))
        parts.extend(_turning(application.key, page, len(found.differences)))
    else:
        named = layout.fitting(
            [f"- {code(str(state.key))} {_namespace(state.key.namespace)}" for state in found.named], _BUDGET
        )
        more = len(found.named) - len(named)
        parts.append(layout.text(*named, f"and {more} more" if more else ""))
    parts.extend(_link_row(found.url))
    view = layout.view(layout.container(*parts, colour=layout.WARNING if total else layout.GOOD))
    return Rendered(view=view, marker="", files=_patch(found.differences))


def render_refreshed(refreshed: Refreshed) -> Rendered:
    """Render what a refresh found, and what is different now."""
    before, after = refreshed.before, refreshed.after
    how = "without its cache of manifests " if refreshed.hard else ""
    words = (
        f"Argo CD compared it anew {how}in {refreshed.took_seconds:.0f} s."
        if refreshed.is_done
        else "Argo CD has not answered within a minute. It may still do so; the next look shows it."
    )
    changes = [
        _changed("sync", before.sync.value, after.sync.value),
        _changed("health", before.health.value, after.health.value),
        _changed("revision", short(before.revision), short(after.revision)),
        _changed("out of sync", str(before.out_of_sync), str(after.out_of_sync)),
    ]
    told = [change for change in changes if change]
    nothing = "Nothing is different now." if refreshed.is_done else ""
    view = layout.view(
        layout.container(
            layout.text(_headline(after), _subtext(_facts(after))),
            layout.gap(),
            layout.text(words, *(told or [nothing])),
            *_condition_part(after.conditions),
            *_buttons(after, refreshed.url),
            colour=_colour(after),
        )
    )
    return Rendered(view=view, marker="")


def render_sets(listing: SetListing) -> Rendered:
    """Render ApplicationSets, those with errors first."""
    lines = [_set_line(each) for each in listing.sets]
    shown = layout.fitting(lines, _BUDGET)
    wrong = sum(1 for each in listing.sets if each.errors)
    view = layout.view(
        layout.container(
            layout.text(
                f"### {len(lines)} ApplicationSet{_s(len(lines))}",
                _subtext([f"{wrong} with errors" if wrong else "none with errors", _stale(listing.watch)]),
            ),
            layout.gap(),
            layout.text(*(shown or ["None is there."])),
            colour=layout.WARNING if wrong else layout.GOOD,
        )
    )
    return Rendered(view=view, marker="")


def render_set(standing: SetStanding) -> Rendered:
    """Render one ApplicationSet with what it made and where its rolling sync is."""
    found = standing.set
    wrong = [_condition_line(each.type, each.message) for each in found.errors]
    rollout = [
        f"- {code(each.application)} **{escape(each.status)}** step {escape(each.step)}"
        for each in found.rollout
    ]
    owned = [_list_line(each) for each in standing.applications]
    view = layout.view(
        layout.container(
            layout.text(
                f"### {'FAILING' if wrong else 'WORKING'} · {escape(found.key.name)}",
                _subtext(
                    [
                        "ApplicationSet",
                        code(found.key.namespace),
                        f"generators {escape(', '.join(found.generators))}" if found.generators else "",
                        f"policy {code(found.policy)}",
                        f"rolls out in {found.rolling_steps} steps" if found.rolling_steps else "",
                    ]
                ),
            ),
            layout.gap(),
            layout.text(
                *(layout.fitting([*wrong, *rollout, *owned], _BUDGET) or ["It has made no Applications."])
            ),
            *_chooser(OPEN, "set", standing.applications, "Look at one…"),
            *_link_row(standing.url),
            colour=layout.CRITICAL if wrong else layout.GOOD,
        )
    )
    return Rendered(view=view, marker="")


def render_set_refreshed(refreshed: SetRefreshed) -> Rendered:
    """Render what became of the refresh of an ApplicationSet."""
    words = (
        f"It made its Applications anew in {refreshed.took_seconds:.0f} s."
        if refreshed.is_done
        else "Its controller has not answered within a minute. It may still do so."
    )
    view = layout.view(
        layout.container(layout.text(_set_line(refreshed.after), words, *_set_errors(refreshed.after)))
    )
    return Rendered(view=view, marker="")


def key_of(application: ObjectKey) -> str | None:
    """Return the key of buttons about an Application; None where its name is too long for one."""
    try:
        return pack(application.namespace, application.name, keep_back=4)
    except InvalidError:
        return None


def name_in(key: str) -> str:
    """Return the Application that a button's key names, as `<namespace>/<name>`."""
    return "/".join(unpack(key, 2))


def page_in(key: str) -> tuple[str, int]:
    """Return the Application and the page that a button below a difference asks for."""
    namespace, name, page = unpack(key, 3)
    return f"{namespace}/{name}", int(page)


def _headline(application: Application) -> str:
    states = [application.health.value.upper()]
    if application.sync is not SyncStatus.SYNCED:
        states.append("OUT OF SYNC" if application.sync is SyncStatus.OUT_OF_SYNC else "SYNC UNKNOWN")
    return cut(f"### {' · '.join(states)} · {escape(application.key.name)}", _LINE)


def _facts(application: Application) -> list[str]:
    destination = application.destination
    place = f"{code(destination.namespace)} on {code(destination.cluster)}"
    since = f"since {timestamp(application.health_since)}" if application.health_since else ""
    return [since, f"project {code(application.project)}", place, code(str(application.key))]


def _source_lines(application: Application, commits: Sequence[Commit | None]) -> Iterator[str]:
    known = [*commits, *([None] * len(application.sources))]
    revisions = [*application.revisions, *([""] * len(application.sources))]
    for source, revision, commit in zip(application.sources, revisions, known, strict=False):
        yield cut(_source_line(source, revision, commit), _LINE)


def _source_line(source: Source, revision: str, commit: Commit | None) -> str:
    follows = f" ({escape(source.target_revision)})" if source.target_revision else ""
    at = f" at {code(short(revision))}" if revision else ""
    subject = f" {cut(escape(commit.subject), _SUBJECT)}" if commit and commit.subject else ""
    return f"{code(source.what)}{follows}{at}{subject}"


def _drift_lines(standing: Standing) -> Iterator[str]:
    application = standing.detail.application
    if not application.out_of_sync:
        return
    named = [state.key for state in standing.detail.resources if state.sync is SyncStatus.OUT_OF_SYNC]
    shown = ", ".join(code(str(key)) for key in named[:_MOST_NAMED])
    rest = _more(application.out_of_sync - len(named[:_MOST_NAMED]))
    yield f"{application.out_of_sync} of {application.resources} resources out of sync: {shown}{rest}"
    if application.to_prune:
        yield f"{application.to_prune} of them only pruning would remove."


def _condition_lines(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in list(conditions)[:_MOST_CONDITIONS]:
        yield _condition_line(condition.type, condition.message)


def _condition_line(kind: str, message: str) -> str:
    return f"**{escape(kind)}** {cut(escape(message), _MESSAGE)}".rstrip()


def _condition_part(conditions: Sequence[Condition]) -> Iterator[layout.Item]:
    lines = layout.fitting(list(_condition_lines(conditions)), _BUDGET)
    if lines:
        yield layout.text(*lines)


def _sync_lines(last: SyncSummary | None) -> Iterator[str]:
    if last is None:
        yield "It was never synced."
        return
    when = last.finished_at or last.started_at
    who = f" by {code(last.by)}" if last.by else " by Argo CD itself" if last.automated else ""
    what = "The last dry run" if last.dry_run else "The last sync"
    at = f" {timestamp(when)}" if when else ""
    revision = f" to {code(short(last.revisions[0]))}" if last.revisions else ""
    yield f"{what}{revision}{who} **{_PHASES[last.phase]}**{at}"
    if last.message and last.phase is not SyncPhase.SUCCEEDED:
        yield f"> {cut(escape(last.message), _MESSAGE)}"


def _operation_lines(operation: Operation | None) -> Iterator[str]:
    if operation is not None:
        asked = mention(operation.asked_by)
        yield f"{escape(operation.plan.doing)}: asked by {asked} in <#{operation.channel_id}>"


def _rule_lines(standing: Standing) -> Iterator[str]:
    application = standing.detail.application
    yield _auto_sync_line(application)
    yield from _owner_lines(standing)
    warnings = (
        ("This Application deploys The Machine itself.", standing.is_itself),
        ("Argo CD is told to leave it alone (skip-reconcile).", application.skips_reconcile),
        ("It is being deleted.", application.deleting),
    )
    yield from (f"**{words}**" for words, holds in warnings if holds)
    if standing.detail.images:
        shown = ", ".join(code(image) for image in standing.detail.images[:_MOST_IMAGES])
        yield cut(f"Runs {shown}{_more(len(standing.detail.images) - _MOST_IMAGES)}", _LINE)
    urls = [made for url in standing.detail.urls[:_MOST_URLS] if (made := link(_host(url), url))]
    if urls:
        yield " · ".join(urls)


def _auto_sync_line(application: Application) -> str:
    automatic = application.auto_sync
    if not automatic.enabled:
        return "Syncs only when asked"
    extras = (("prunes", automatic.prune), ("heals itself", automatic.self_heal))
    return " · ".join(["Syncs by itself", *(word for word, given in extras if given)])


def _owner_lines(standing: Standing) -> Iterator[str]:
    application = standing.detail.application
    if application.application_set:
        yield f"Made by the ApplicationSet {code(application.application_set)}"
    if application.parent is not None:
        unseen = "" if standing.parent_is_known else " (not watched)"
        yield f"Applied by {code(str(application.parent))}{unseen}, wave {application.wave}"
    if application.children:
        yield f"Applies {len(application.children)} Application{_s(len(application.children))}"
    if application.kargo_stage:
        yield f"Promoted by the Kargo stage {code(application.kargo_stage)}"


def _window_lines(windows: Windows) -> Iterator[str]:
    if not windows.states:
        return
    verdict = "A sync is allowed now" if windows.may_sync else "**No sync is allowed now**"
    opens = f", next {timestamp(windows.opens_at, 'f')}" if windows.opens_at and not windows.may_sync else ""
    yield cut(f"{verdict}: {escape(windows.reason)}{opens}", _LINE)
    for state in windows.states[:_MOST_WINDOWS]:
        yield layout.subtext(cut(_window_line(state), _LINE))
    if windows.unsure:
        yield layout.subtext(escape(windows.unsure))


def _window_line(state: WindowState) -> str:
    kind = "deny" if state.denies else "allow"
    if state.problem:
        return f"{kind} {escape(state.name)}: {escape(state.problem)}"
    now = "open" if state.is_open else "closed"
    until = f" until {timestamp(state.changes_at, 'f')}" if state.changes_at else ""
    manual = ", lets people through" if state.allows_manual else ""
    return f"{kind} {escape(state.name)} is {now}{until}{manual}"


def _buttons(application: Application, url: str | None) -> Iterator[layout.Item]:
    key = key_of(application.key)
    buttons: list[layout.Item] = []
    if key is not None:
        needs = application.sync is not SyncStatus.SYNCED
        style = discord.ButtonStyle.success if needs else discord.ButtonStyle.secondary
        buttons = [
            button(SYNC, key, "Sync…", style),
            button(DIFF, key, "Diff"),
            button(TREE, key, "Tree") if application.children else button(HISTORY, key, "History"),
        ]
    buttons.extend(_link_buttons(url))
    if buttons:
        yield layout.row(*buttons)


def _link_buttons(url: str | None) -> Iterator[layout.Item]:
    usable = safe_url(url) if url else None
    if usable:
        made: discord.ui.Button[Any] = discord.ui.Button(label="Open in Argo CD", url=usable)
        yield made


def _link_row(url: str | None) -> Iterator[layout.Item]:
    buttons = list(_link_buttons(url))
    if buttons:
        yield layout.row(*buttons)


def _list_line(application: Application) -> str:
    state = application.health.value.upper() if application.health is not HealthStatus.HEALTHY else ""
    drift = "out of sync" if application.sync is SyncStatus.OUT_OF_SYNC else ""
    unknown = "sync unknown" if application.sync is SyncStatus.UNKNOWN else ""
    syncing = "syncing" if application.is_syncing else ""
    said = " · ".join(word for word in (state, drift or unknown, syncing) if word) or "ok"
    where = escape(application.destination.namespace or application.project)
    revision = f" {code(short(application.revision))}" if application.revision else ""
    return cut(f"{said} · **{escape(application.key.name)}** {where}{revision}", _LINE)


def _branch_line(branch: Branch) -> str:
    indent = "\u2003" * min(branch.depth, 6)
    if branch.application is None:
        return f"{indent}{branch.wave} · MISSING · **{escape(branch.key.name)}**"
    again = " (again: see above)" if branch.is_again else ""
    wave = f"wave {branch.wave} · " if branch.depth else ""
    return f"{indent}{wave}{_list_line(branch.application)}{again}"


def _history_line(entry: HistoryEntry, commits: Sequence[Commit | None], *, is_current: bool) -> str:
    revisions = " ".join(code(short(revision)) for revision in entry.revisions if revision)
    subject = next((commit.subject for commit in commits if commit and commit.subject), "")
    when = timestamp(entry.deployed_at, "f") if entry.deployed_at else "at a time that is not known"
    who = f" by {code(entry.by)}" if entry.by else " by Argo CD itself" if entry.automated else ""
    now = " **runs now**" if is_current else ""
    return cut(
        f"`{entry.id}` {when} {revisions} {cut(escape(subject), _SUBJECT)}".rstrip() + f"{who}{now}", _LINE
    )


def _rollback_chooser(past: Past) -> Iterator[layout.Item]:
    key = key_of(past.application.key)
    options = [
        discord.SelectOption(
            label=f"{entry.id} · {', '.join(short(revision) for revision in entry.revisions if revision)}",
            value=str(entry.id),
            description=next((commit.subject for commit in commits if commit), None) or None,
        )
        for entry, commits in zip(past.entries[1:], past.commits[1:], strict=True)
        if entry.raw_sources
    ]
    if key is not None and options:
        yield layout.row(select(ROLL_BACK, key, options, "Roll back to…"))


def _chooser(
    action: str, place: str, applications: Sequence[Application], prompt: str
) -> Iterator[layout.Item]:
    seen = {str(application.key): application for application in applications}
    options = [
        discord.SelectOption(
            label=each.key.name, value=name, description=f"{each.project} · {each.key.namespace}"
        )
        for name, each in seen.items()
        if units(name) <= layout.LONGEST_OPTION
    ]
    if options:
        yield layout.row(select(action, place, options, prompt))


def _difference(difference: ResourceDifference) -> Iterator[str]:
    counted = f" +{difference.added} −{difference.removed}" if difference.text else ""
    yield f"**{escape(str(difference.key))}** {_CHANGES[difference.change]}{counted}"
    yield layout.subtext(_namespace(difference.key.namespace)) if difference.key.namespace else ""
    if difference.text:
        yield code_block(difference.text, language="diff", budget=_BUDGET - _LINE)
    else:
        yield escape(difference.problem)


def _turning(key: ObjectKey, page: int, pages: int) -> Iterator[layout.Item]:
    if pages == 1:
        return
    try:
        before, after = (pack(key.namespace, key.name, str(number)) for number in (page - 1, page + 1))
    except InvalidError:
        return  # The name does not fit into a button: the attached file has everything.
    yield layout.row(
        button(DIFF, before, "Previous", disabled=page == 0),
        button(DIFF, after, f"Next ({page + 1} of {pages})", disabled=page == pages - 1),
    )


def _patch(differences: Sequence[ResourceDifference]) -> tuple[TextFile, ...]:
    texts = [f"# {each.key} {each.key.namespace}\n{each.text}" for each in differences if each.text]
    return (TextFile("changes.diff", "\n".join(texts).encode()),) if texts else ()


def _set_line(found: ApplicationSet) -> str:
    state = "FAILING" if found.errors else "refreshing" if found.refreshing else "ok"
    made = f"{found.applications} Application{_s(found.applications)}"
    return cut(f"{state} · **{escape(found.key.name)}** {escape(found.key.namespace)} · {made}", _LINE)


def _set_errors(found: ApplicationSet) -> Iterator[str]:
    yield from (_condition_line(each.type, each.message) for each in found.errors)


def _asked(wanted: Wanted) -> Iterator[str]:
    if wanted.project:
        yield f"project {code(wanted.project)}"
    if wanted.health is not None:
        yield wanted.health.value
    if wanted.sync is not None:
        yield wanted.sync.value
    if wanted.text:
        yield f"with {code(wanted.text)}"


def _stale(watch: WatchHealth) -> str:
    if watch.phase is WatchPhase.SYNCED:
        return ""
    since = f", last seen {timestamp(watch.last_contact)}" if watch.last_contact else ""
    return f"**may be old**: {escape(watch.problem or 'the cluster is still being read')}{since}"


def _as_table(applications: Iterable[Application]) -> bytes:
    lines = (
        f"{each.health.value:<12} {each.sync.value:<10} {each.key!s:<60} {each.project:<24} "
        f"{short(each.revision)}".rstrip()
        for each in applications
    )
    return ("\n".join(lines) + "\n").encode()


def _as_text(branches: Iterable[Branch]) -> bytes:
    lines = []
    for branch in branches:
        found = branch.application
        state = f"{found.health.value}, {found.sync.value}" if found else "missing"
        lines.append(f"{'  ' * branch.depth}wave {branch.wave} {branch.key} {state}")
    return ("\n".join(lines) + "\n").encode()


def _changed(what: str, before: str, after: str) -> str:
    return "" if before == after else f"{what}: {code(before)} → {code(after)}"


def _colour(application: Application) -> discord.Colour:
    if application.health is HealthStatus.HEALTHY and application.sync is not SyncStatus.SYNCED:
        return layout.WARNING
    return _COLOURS[application.health]


def _is_troubled(application: Application) -> bool:
    return application.sync is not SyncStatus.SYNCED or application.health is not HealthStatus.HEALTHY


def _namespace(namespace: str) -> str:
    return f"in {code(namespace)}" if namespace else ""


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0] or url


def _more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _subtext(facts: Iterable[str | None]) -> str:
    return layout.subtext(cut(" · ".join(fact for fact in facts if fact), 2 * _LINE))
