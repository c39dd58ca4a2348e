"""What cards about Applications say."""

from datetime import timedelta

import discord
import pytest

from bot.argocd.card.changes import render_differences
from bot.argocd.card.listing import render_list, render_tree
from bot.argocd.card.past import render_history
from bot.argocd.card.sets import render_set, render_sets
from bot.argocd.card.standing import render_refreshed, render_status
from bot.argocd.detail import ApplicationDetail, HistoryEntry, ResourceState
from bot.argocd.model import (
    Application,
    AutoSync,
    Child,
    Condition,
    Deployed,
    Destination,
    HealthStatus,
    ResourceKey,
    Source,
    SyncPhase,
    SyncStatus,
    SyncSummary,
    Waiting,
)
from bot.argocd.sets import ApplicationSet, SetCondition
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
    ResourceHealth,
    SetListing,
    SetStanding,
    Standing,
    Wanted,
    Windows,
    WindowState,
)
from bot.chat import layout
from bot.kube.model import ObjectKey, WatchHealth, WatchPhase
from bot.operations.model import Operation, OperationId, State
from tests.support.clock import NOON
from tests.support.operating import ADA, CHANNEL, a_plan

OLD, NEW = "4f1c2ab" + "0" * 33, "9be01d7" + "0" * 33
WATCHED = WatchHealth(WatchPhase.SYNCED, "", NOON, 1)
AGO = f"<t:{int(NOON.timestamp())}:R>"
WEB = ResourceKey("apps", "Deployment", "shop", "web")


def an_app(name: str = "shop", **values) -> Application:
    return Application(
        **{
            "key": ObjectKey("argocd", name),
            "project": "default",
            "destination": Destination("https://kubernetes.default.svc", "", name),
            "sources": (
                Source(repository="https://git.example.org/x", path=f"apps/{name}", target_revision="main"),
            ),
            "sync": SyncStatus.SYNCED,
            "health": HealthStatus.HEALTHY,
            "health_since": NOON,
            "revisions": (NEW,),
            "deployed": Deployed(1, (NEW,), NOON),
            "resources": 14,
            **values,
        }
    )


def degraded(name: str = "shop", **values) -> Application:
    return an_app(name, health=HealthStatus.DEGRADED, **values)


def drifted(name: str = "shop", count: int = 3, **values) -> Application:
    return an_app(name, sync=SyncStatus.OUT_OF_SYNC, out_of_sync=count, **values)


def status(application: Application, *, detail=None, **values):
    whole = ApplicationDetail(application=application, labels={}, annotations={}, **(detail or {}))
    return render_status(
        Standing(**{"detail": whole, "windows": Windows(may_sync=True, reason=""), **values})
    )


def words(rendered) -> list[str]:
    texts = (i.content for i in rendered.view.walk_children() if isinstance(i, discord.ui.TextDisplay))
    return "\n".join(texts).splitlines()


def labels(rendered) -> list[str]:
    items = (getattr(item, "item", item) for item in rendered.view.walk_children())
    return [item.label for item in items if isinstance(item, discord.ui.Button)]


def options(rendered) -> list[str]:
    items = (getattr(item, "item", item) for item in rendered.view.walk_children())
    return [option.label for item in items if isinstance(item, discord.ui.Select) for option in item.options]


def colour(rendered):
    return rendered.view.children[0].accent_colour


# One Application


@pytest.mark.parametrize(
    ("application", "head", "accent"),
    [
        (an_app(), "HEALTHY", layout.GOOD),
        (drifted(), "OUT OF SYNC", layout.WARNING),
        (an_app(sync=SyncStatus.UNKNOWN), "SYNC UNKNOWN", layout.WARNING),
        (degraded(), "DEGRADED", layout.CRITICAL),
        (degraded(sync=SyncStatus.OUT_OF_SYNC), "DEGRADED · OUT OF SYNC", layout.CRITICAL),
        (an_app(health=HealthStatus.MISSING), "MISSING", layout.WARNING),
        (an_app(health=HealthStatus.UNKNOWN), "HEALTH UNKNOWN", layout.QUIET),
        (an_app(health=HealthStatus.SUSPENDED), "SUSPENDED", layout.QUIET),
        (drifted(waiting=Waiting("", "ada", automated=False)), "SYNCING", layout.RUNNING),
        (degraded(waiting=Waiting("", "ada", automated=False)), "SYNCING · DEGRADED", layout.CRITICAL),
    ],
)
def test_the_state_is_words_and_a_colour(application, head, accent):
    made = status(application)
    assert words(made)[0] == f"### {head} · shop"
    assert colour(made) == accent


def test_a_status_says_which_it_is_and_since_when():
    assert words(status(an_app()))[1] == f"-# healthy since {AGO} · project default · argocd/shop"
    assert words(status(an_app(health_since=None)))[1] == "-# healthy · project default · argocd/shop"


@pytest.mark.parametrize(
    ("application", "said"),
    [
        (an_app(), "`apps/shop` runs `9be01d7` of main: fix(cart)"),
        (
            an_app(deployed=Deployed(1, (OLD,), NOON)),
            "`apps/shop` runs what main has at `9be01d7`: fix(cart)",
        ),
        (
            drifted(deployed=Deployed(1, (OLD,), NOON)),
            "`apps/shop` runs `4f1c2ab`; main is at `9be01d7`: fix(cart)",
        ),
        (drifted(deployed=None), "`apps/shop` at main is `9be01d7`: fix(cart)"),
        (an_app(revisions=(), deployed=Deployed(1, (OLD,), NOON)), "`apps/shop` at main runs `4f1c2ab`"),
        (
            an_app(
                sources=(
                    Source(repository="https://charts.example.org", chart="redis", target_revision="18.1.0"),
                ),
                revisions=("18.1.0",),
                deployed=Deployed(1, ("18.1.0",), NOON),
            ),
            "`redis` runs `18.1.0`: fix(cart)",
        ),
        (
            drifted(revisions=("main",), deployed=Deployed(1, (OLD,), NOON)),
            "`apps/shop` runs `4f1c2ab`; its source says `main`",
        ),
    ],
)
def test_what_runs_is_told_apart_from_what_the_source_says(application, said):
    made = status(application, commits=(Commit(revision=NEW, subject="fix(cart)"),))
    assert said in words(made)


def test_what_is_ill_comes_with_its_own_message_before_the_last_sync():
    pod = ResourceKey("", "Pod", "shop", "web-7d9f")
    made = words(
        status(
            degraded(last_sync=SyncSummary(phase=SyncPhase.SUCCEEDED, finished_at=NOON, automated=True)),
            detail={"resources": (ResourceState(key=WEB),)},
            resource_health={
                ResourceKey("apps", "ReplicaSet", "shop", "web-7d9f"): ResourceHealth(
                    status=HealthStatus.DEGRADED
                ),
                WEB: ResourceHealth(status=HealthStatus.DEGRADED),
                pod: ResourceHealth(status=HealthStatus.DEGRADED, message="back-off 5m0s restarting *api*"),
                ResourceKey("", "Service", "shop", "web"): ResourceHealth(status=HealthStatus.HEALTHY),
            },
        )
    )
    assert made[3:6] == [
        r"**Pod/web-7d9f** is Degraded: back-off 5m0s restarting \*api\*",
        "**Deployment/web** is Degraded",
        f"The last sync by Argo CD by itself **succeeded** {AGO}",
    ]


def test_drift_is_counted_and_named_and_says_what_only_pruning_removes():
    old = ResourceKey("", "ConfigMap", "shop", "old")
    made = words(
        status(
            drifted(count=2, to_prune=1),
            detail={
                "resources": tuple(ResourceState(key=key, sync=SyncStatus.OUT_OF_SYNC) for key in (WEB, old))
            },
        )
    )
    assert "2 of 14 resources differ: **Deployment/web**, **ConfigMap/old**" in made
    assert "1 of them is in no source any more: only pruning deletes that" in made


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (None, "It was never synced, as far as Argo CD remembers."),
        (
            SyncSummary(
                phase=SyncPhase.FAILED,
                message="quota",
                finished_at=NOON,
                by="the-machine/ada",
                revisions=(NEW,),
            ),
            f"The last sync to `9be01d7` by ada through The Machine **failed** {AGO}: quota",
        ),
        (
            SyncSummary(phase=SyncPhase.RUNNING, message="waiting for Job/x", started_at=NOON, by="bob"),
            f"A sync by bob **is running**, begun {AGO}: waiting for Job/x",
        ),
        (
            SyncSummary(phase=SyncPhase.SUCCEEDED, finished_at=NOON, automated=True, dry_run=True),
            f"The last dry run by Argo CD by itself **succeeded** {AGO}",
        ),
        (
            SyncSummary(phase=SyncPhase.ERROR, finished_at=NOON, by="bob", selective=True),
            f"The last sync of some resources by bob **could not be tried** {AGO}",
        ),
    ],
)
def test_the_last_sync_is_told(last, said):
    assert said in words(status(an_app(last_sync=last)))


def test_what_runs_of_ours_is_told_with_who_asked_and_where_its_card_is():
    operation = Operation(
        id=OperationId("x"),
        plan=a_plan(),
        state=State.PROGRESSING,
        asked_by=ADA,
        asked_at=NOON,
        channel_id=CHANNEL,
    )
    running = SyncSummary(phase=SyncPhase.RUNNING, message="waiting for Job/x", operation="x")
    made = words(status(drifted(last_sync=running), operation=operation))
    assert made[3:5] == [f"Syncing shop: asked by <@{ADA.id}> {AGO}, see <#{CHANNEL}>", "waiting for Job/x"]


def test_a_sync_that_has_not_begun_says_so():
    made = words(status(an_app(waiting=Waiting("", "bob", automated=False))))
    assert "A sync was asked for by bob; Argo CD has **not begun** with it." in made


def test_conditions_are_told():
    wrong = tuple(Condition("ComparisonError", f"cannot render {n}", None) for n in range(5))
    made = words(status(an_app(), detail={"conditions": wrong}))
    assert "**ComparisonError** cannot render 0" in made
    assert "-# and 2 more conditions" in made


@pytest.mark.parametrize(
    ("application", "values", "said"),
    [
        (an_app(), {}, "Auto-sync is off: it is synced only when somebody asks"),
        (
            an_app(auto_sync=AutoSync(enabled=True, prune=True, self_heal=True)),
            {},
            "Auto-sync is on · prunes · heals itself",
        ),
        (an_app(application_set="teams"), {}, "Made by the ApplicationSet `teams`"),
        (
            an_app(parent=ObjectKey("argocd", "root"), wave=2),
            {},
            "Applied by `argocd/root` (not watched), wave 2",
        ),
        (
            an_app(parent=ObjectKey("argocd", "root")),
            {"parent_is_known": True},
            "Applied by `argocd/root`, wave 0",
        ),
        (an_app(kargo_stage="shop:prod"), {}, "Promoted to by the Kargo stage `shop:prod`"),
        (an_app(), {"is_itself": True}, "**It deploys The Machine itself.**"),
        (an_app(deleting=True), {}, "**It is being deleted.**"),
        (an_app(skips_reconcile=True), {}, "**Argo CD is told to leave it alone (skip-reconcile).**"),
        (an_app(), {}, "Deployed to namespace `shop`"),
        (
            an_app(destination=Destination("https://1.2.3.4", "prod-eu", "shop")),
            {},
            "Deployed to namespace `shop` on `prod-eu`",
        ),
    ],
)
def test_what_holds_for_it_is_told(application, values, said):
    assert said in words(status(application, **values))


def test_images_are_told_without_their_registries():
    images = ("registry.example.org/shop/api:1.15.0", "ghcr.io/x/web@sha256:0123456789abcdef", "c", "d")
    made = words(status(an_app(), detail={"images": images}))
    assert "Images `api:1.15.0`, `web@sha256:0123456`, `c` and 1 more" in made


def test_a_closed_window_says_why_and_when_it_opens():
    later = NOON + timedelta(hours=8)
    windows = Windows(
        may_sync=False,
        reason="A sync window denies it now.",
        states=(WindowState(name="nights: deny 0 22 * * *", denies=True, is_open=True, changes_at=later),),
        opens_at=later,
        unsure="the projects were not read",
    )
    made = words(status(drifted(), windows=windows))
    at = f"<t:{int(later.timestamp())}"
    assert "**No sync now**: A sync window denies it now." in made
    assert f"A sync may begin {at}:f>, {at}:R>" in made
    assert rf"-# open until {at}:f> · nights: deny 0 22 \* \* \*" in made
    assert "-# Other sync windows may hold: the projects were not read" in made


@pytest.mark.parametrize(
    ("application", "offered"),
    [
        (an_app(), ["Sync…", "Diff", "History", "Refresh"]),
        (an_app(children=(Child(ObjectKey("argocd", "a"), 0),)), ["Sync…", "Diff", "History", "Tree"]),
        (an_app(waiting=Waiting("", "", automated=True)), ["Terminate", "Diff", "History", "Refresh"]),
        (an_app("x" * 100), []),
    ],
)
def test_four_things_can_be_done_at_once(application, offered):
    assert labels(status(application)) == offered


def test_links_are_text_and_unsafe_ones_are_left_out():
    made = words(
        status(
            an_app(), url="https://argo.example.org/x", detail={"urls": ("https://shop.example.org/a", "x:y")}
        )
    )
    assert "-# runs at [shop.example.org](https://shop.example.org/a)" in made
    assert "-# [Open in Argo CD](https://argo.example.org/x)" in made
    assert not any("Open in Argo CD" in line for line in words(status(an_app(), url="javascript:x")))


def test_a_refresh_says_what_is_different_now():
    def found(**values):
        return words(
            render_refreshed(
                Refreshed(
                    **{
                        "before": an_app(),
                        "after": drifted(),
                        "hard": False,
                        "took_seconds": 2.0,
                        "is_done": True,
                        **values,
                    }
                )
            )
        )

    assert "Argo CD compared it again, in 2.0 s." in found()
    assert "Sync: `Synced` → `OutOfSync`" in found()
    assert "Nothing is different now." in found(after=an_app(), hard=True)
    assert any("has not answered within a minute" in line for line in found(is_done=False))


# Several


def a_list(*applications: Application, **values):
    return render_list(
        Listing(
            **{
                "wanted": Wanted(),
                "applications": applications,
                "total": len(applications),
                "troubled": 0,
                "watch": WATCHED,
                **values,
            }
        )
    )


def test_a_list_is_grouped_by_state_and_those_that_are_well_share_a_line():
    made = a_list(
        degraded("api", destination=Destination("", "", "shop")), drifted("web"), an_app("a"), an_app("b")
    )
    assert words(made) == [
        "### 4 Applications",
        "-# 2 not synced or not healthy",
        "**DEGRADED**",
        f"**api** shop · {AGO}",
        "**OUT OF SYNC**",
        "**web** 3 of 14 differ",
        "**HEALTHY**",
        "a · b",
    ]
    assert options(made) == ["api", "web", "a", "b"]
    assert colour(made) == layout.WARNING


def test_what_finds_no_room_in_a_list_is_attached():
    made = a_list(*(an_app(f"app-{n}") for n in range(5_000)))
    assert "-# and 4,975 more in the attached list" in words(made)
    assert len(options(made)) == 25
    [file] = made.files
    assert file.content.count(b"\n") == 5_000


def test_a_list_says_what_was_asked_for():
    wanted = Wanted(project="p", health=HealthStatus.DEGRADED, sync=SyncStatus.UNKNOWN, text="x")
    made = words(a_list(wanted=wanted, total=7))
    assert made == [
        "### 0 of 7 Applications",
        "-# project `p` · health Degraded · sync Unknown · with `x`",
        "No Application is like that.",
    ]


def test_a_list_of_nothing_says_why():
    assert words(a_list(total=0))[-1] == "There are none that you may see."
    lost = WatchHealth(WatchPhase.UNREACHABLE, "The API server does not answer.", None, 0)
    assert words(a_list(total=0, watch=lost)) == [
        "### Applications",
        "-# **not read yet**: The API server does not answer",
        "No Application could be read so far.",
    ]


def test_a_list_that_may_be_old_says_so():
    lost = WatchHealth(WatchPhase.UNREACHABLE, "The API server does not answer.", NOON, 1)
    assert words(a_list(an_app(), watch=lost))[1] == (
        f"-# all synced and healthy · **may be old**: The API server does not answer, last seen {AGO}"
    )


def test_a_tree_is_indented_and_says_its_waves_and_what_is_missing():
    def branch(name, depth, wave, **values):
        return Branch(key=ObjectKey("argocd", name), depth=depth, wave=wave, **values)

    root = an_app("root")
    made = render_tree(
        Grown(
            root=root,
            branches=(
                branch("root", 0, 0, application=root),
                branch("crds", 1, -1, application=an_app("crds")),
                branch("shop", 1, 2, application=degraded()),
                branch("gone", 2, 0),
                branch("root", 2, 0, application=root, is_again=True),
            ),
            above=(ObjectKey("argocd", "top"),),
            watch=WATCHED,
        )
    )
    assert words(made) == [
        "### Tree of root",
        "-# 3 below it, by sync wave · 2 not synced or not healthy · itself below `top`",
        "**root** healthy",
        "\u2003`wave -1` **crds** healthy",
        f"\u2003`wave 2` **shop** DEGRADED {AGO}",
        "\u2003\u2003`wave 0` **gone** MISSING: it does not exist, or is not watched",
        "\u2003\u2003`wave 0` **root** again, see above",
    ]
    assert options(made) == ["shop", "root", "crds"]


# History


def a_past(application: Application):
    def entry(number, revision, **values):
        source = {"source": {"repoURL": "x"}}
        return HistoryEntry(
            **{"id": number, "revisions": (revision,), "raw_sources": source, "deployed_at": NOON, **values}
        )

    entries = (
        entry(7, NEW, by="the-machine/ada"),
        entry(6, OLD, automated=True),
        entry(5, OLD, raw_sources={}),
    )
    commits = ((Commit(revision=NEW, subject="fix(cart)"),), (None,), ())
    return render_history(Past(application=application, entries=entries, commits=commits))


def test_the_history_says_what_when_and_by_whom_with_a_way_back():
    made = a_past(an_app())
    at = f"<t:{int(NOON.timestamp())}:f>"
    assert words(made)[2:6] == [
        "`9be01d7` fix(cart) **runs now**",
        f"-# 7 · {at} · ada through The Machine",
        "`4f1c2ab`",
        f"-# 6 · {at} · Argo CD by itself",
    ]
    assert options(made) == ["6 · 4f1c2ab · 2026-11-21 12:00 UTC"]


def test_there_is_no_way_back_while_auto_sync_is_on():
    made = a_past(an_app(auto_sync=AutoSync(enabled=True)))
    assert options(made) == []
    assert any("Revert the commit in Git" in line for line in words(made))


def test_an_empty_history_says_so():
    made = render_history(Past(application=an_app(), entries=(), commits=()))
    assert "Nothing was deployed, as far as Argo CD remembers." in words(made)


# Differences


def a_difference(number: int = 0, **values) -> ResourceDifference:
    return ResourceDifference(
        **{
            "key": WEB._replace(name=f"web-{number}"),
            "change": Change.CHANGED,
            "text": "@@ -1 +1 @@\n-image: a\n+image: b",
            "added": 1,
            "removed": 1,
            **values,
        }
    )


def differences(*found: ResourceDifference, page: int = 0, **values):
    given = {
        "application": drifted(),
        "differences": found,
        "named": (),
        "compared_at": NOON,
        "read_at": NOON,
        **values,
    }
    return render_differences(Differences(**given), page)


def test_a_page_shows_one_resource_and_all_are_attached():
    made = differences(*map(a_difference, range(3)), page=1)
    assert words(made)[1:4] == [
        f"-# 3 resources differ · compared {AGO} · read {AGO}",
        "**Deployment/web-1** in `shop` is changed: +1 −1 lines",
        "```diff",
    ]
    assert labels(made) == ["Previous", "Next (2 of 3)", "Sync…"]
    assert made.files[0].content.count(b"+image: b") == 3


@pytest.mark.parametrize(("page", "shown"), [(-5, "web-0"), (0, "web-0"), (2, "web-2"), (99, "web-2")])
def test_a_page_that_is_not_there_is_the_nearest(page, shown):
    assert f"**Deployment/{shown}**" in "\n".join(words(differences(*map(a_difference, range(3)), page=page)))


def test_a_long_difference_is_cut_and_says_where_all_of_it_is():
    made = differences(a_difference(text="\n".join(f"+line {n}" for n in range(999))))
    assert "-# cut here, all of it is in the attached file" in words(made)
    assert b"+line 998" in made.files[0].content


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"change": Change.CREATED}, "is created"),
        ({"change": Change.DELETED}, "is deleted, but only with pruning"),
        ({"text": "", "problem": "it is too long"}, "How cannot be shown: it is too long"),
    ],
)
def test_what_becomes_of_a_resource_is_told(values, said):
    assert said in "\n".join(words(differences(a_difference(**values))))


def test_without_a_server_only_what_differs_is_named_and_why():
    named = tuple(
        ResourceState(key=WEB._replace(name=f"web-{n}"), sync=SyncStatus.OUT_OF_SYNC, requires_pruning=n == 0)
        for n in range(60)
    )
    made = differences(named=named, why_only_named="Argo CD's server is not configured.")
    assert "**Deployment/web-0** in `shop` no source has it any more" in words(made)
    assert "-# and 20 more" in words(made)
    assert "-# Only what differs is known, not how. Argo CD's server is not configured." in words(made)
    assert labels(made) == ["Sync…"]


def test_no_difference_is_good():
    made = differences(application=an_app())
    assert "Nothing: what runs is what the sources say." in words(made)
    assert colour(made) == layout.GOOD
    assert labels(made) == []


# Sets


def a_set(**values) -> ApplicationSet:
    given = {"key": ObjectKey("argocd", "teams"), "generators": ("git", "list"), "applications": 2}
    return ApplicationSet(**{**given, **values})


WRONG = (SetCondition("ErrorOccurred", "True", "x", "cannot *clone*", NOON),)


@pytest.mark.parametrize(
    ("found", "head"),
    [
        (a_set(), "WORKING"),
        (a_set(conditions=WRONG), "FAILING"),
        (a_set(refreshing=True), "REFRESHING"),
        (a_set(deleting=True), "BEING DELETED"),
    ],
)
def test_the_state_of_a_set_is_a_word(found, head):
    assert words(render_set(SetStanding(set=found, applications=())))[0] == f"### {head} · teams"
    assert f"**{head}** · **teams** 2 Applications" in words(
        render_sets(SetListing(sets=(found,), watch=WATCHED))
    )


def test_a_set_shows_what_is_wrong_and_what_it_made():
    made = render_set(SetStanding(set=a_set(conditions=WRONG), applications=(degraded(), an_app("web"))))
    assert words(made)[1:] == [
        "-# ApplicationSet · argocd/teams · generated from git, list · policy sync",
        r"**ErrorOccurred** cannot \*clone\*",
        f"**shop** {AGO} · DEGRADED",
        "**web** · HEALTHY",
    ]
    assert options(made) == ["shop", "web"]
    assert labels(made) == ["Refresh"]
    assert colour(made) == layout.CRITICAL
