"""What is known of a resource agrees with what there is, whatever happens to the connection."""

import asyncio
import contextlib
import random
from dataclasses import dataclass
from datetime import timedelta

import pytest
import structlog

from bot.core.loops import AT_ONCE
from bot.demo.cluster import faults
from bot.demo.cluster.kinds import APPLICATION
from bot.demo.cluster.rights import Rule
from bot.demo.cluster.server import ApiServer
from bot.demo.cluster.watching import StreamingLists
from bot.kube.model import ObjectKey, WatchPhase
from bot.kube.reflector import Watched
from bot.kube.transport import PAGE
from bot.kube.watching import Patience
from bot.telemetry.metrics import REGISTRY
from tests.support.kube import APPLICATIONS, a_client, an_application

QUICK = Patience(
    silence_in_list=timedelta(milliseconds=300),
    silence=timedelta(seconds=5),
    settled=timedelta(milliseconds=20),
    first_retry=timedelta(milliseconds=10),
    longest_retry=timedelta(milliseconds=40),
    not_installed=timedelta(milliseconds=30),
)
NEVER_TWICE = Patience(first_retry=timedelta(minutes=5), longest_retry=timedelta(minutes=5))
SHOP = ObjectKey("argocd", "shop")


@dataclass(frozen=True, slots=True)
class App:
    revision: str


def trim(thing):
    return App(thing["spec"]["source"]["targetRevision"])


async def until(condition, *, within=5.0):
    """Wait for what nobody tells of: the phase, or what the server sees of a connection."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 (that is the point)
            await asyncio.sleep(0.002)


class Following:
    """A watch with everything that it told."""

    def __init__(self, watched):
        self.watched = watched
        self.changes = []
        self.synced = 0
        watched.on_change(lambda key, old, new: self.changes.append((key.name, old, new)))
        watched.on_synced(self._count)

    def _count(self):
        self.synced += 1

    @property
    def phase(self):
        return self.watched.health.phase

    async def until_synced(self):
        await until(lambda: self.phase is WatchPhase.SYNCED)

    async def until_it_is(self, revisions, *, within=5.0):
        """Wait until these names have these revisions, and nothing else is there."""
        await until(lambda: self.revisions == revisions, within=within)

    @property
    def revisions(self):
        return {key.name: app.revision for key, app in self.watched.items()}


@contextlib.asynccontextmanager
async def following(cluster, *, patience=QUICK, **options):
    watched = Watched(cluster, APPLICATIONS, **{"trim": trim, "patience": patience, **options})
    there = Following(watched)
    tasks = [asyncio.create_task(loop.run()) for loop in watched.loops]
    yield there
    for task in tasks:
        assert not task.done(), task.exception()
        task.cancel()
    await asyncio.wait(tasks)


def put(server, name, revision="main", **metadata):
    return server.put(APPLICATIONS, an_application(name, revision=revision, **metadata))


def sample(name, **labels):
    labels = {"resource": "applications.argoproj.io", **labels}
    return REGISTRY.get_sample_value(f"the_machine_kube_watch_{name}", labels) or 0


# What it is for.


async def test_everything_is_known_after_the_first_list_and_told_of(server, cluster, clock):
    put(server, "shop")
    put(server, "api", "v1")
    async with following(cluster) as there:
        await there.until_synced()
        assert there.watched.find(SHOP) == App("main")
        assert there.watched.find(ObjectKey("argocd", "none")) is None
        assert len(there.watched) == len(there.watched.values()) == len(there.watched.keys()) == 2
        assert there.changes == [("api", None, App("v1")), ("shop", None, App("main"))]
        assert there.synced == 1
        assert there.watched.health.problem == ""
        assert there.watched.health.last_contact == clock.now()
        there.watched.on_synced(there._count)
        assert there.synced == 2
        assert (sample("synced"), sample("objects")) == (1, 2)
        assert sample("last_contact_timestamp_seconds") == clock.now().timestamp()
    (request,) = server.calls(resource="applications")
    assert request.verb == "watch"
    assert 300 <= int(request.query.pop("timeoutSeconds")) <= 600
    assert request.query == {
        "watch": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }


async def test_changes_are_told_of_with_what_was_before(server, cluster):
    put(server, "shop")
    async with following(cluster) as there:
        await there.until_synced()
        there.changes.clear()
        put(server, "shop", "v2")
        put(server, "api")
        server.delete(APPLICATIONS, "argocd", "shop")
        await there.until_it_is({"api": "main"})
        assert there.changes == [
            ("shop", App("main"), App("v2")),
            ("api", None, App("main")),
            ("shop", App("v2"), None),
        ]


async def test_what_makes_no_difference_is_not_told_of(server, cluster):
    put(server, "shop")
    async with following(cluster) as there:
        await there.until_synced()
        put(server, "shop", annotations={"seen": "1"})
        put(server, "api")
        await there.until_it_is({"shop": "main", "api": "main"})
        assert [name for name, *_ in there.changes] == ["shop", "api"]


async def test_the_callback_sees_the_store_as_it_is_afterwards(server, cluster):
    async with following(cluster) as there:
        await there.until_synced()
        seen = []
        there.watched.on_change(lambda key, _, new: seen.append(there.watched.find(key) == new))
        put(server, "shop")
        put(server, "shop", "v2")
        server.delete(APPLICATIONS, "argocd", "shop")
        await until(lambda: len(seen) == 3)
        assert seen == [True, True, True]


async def test_only_the_namespaces_named_are_watched(server, cluster):
    for namespace in ("a", "b", "c"):
        put(server, f"in-{namespace}", namespace=namespace)
    async with following(cluster, namespaces=["a", "b", "a"]) as there:
        assert len(there.watched.loops) == 2
        await there.until_synced()
        assert there.revisions == {"in-a": "main", "in-b": "main"}
        assert there.synced == 1
    assert {request.namespace for request in server.calls("watch")} == {"a", "b"}


async def test_a_list_of_one_namespace_leaves_the_others_alone(server, cluster):
    put(server, "in-a", namespace="a")
    put(server, "in-b", namespace="b")
    async with following(cluster, namespaces=["a", "b"]) as there:
        await there.until_synced()
        server.watches.expire()
        await until(lambda: len(server.calls("watch")) == 4)
        await there.until_synced()
        assert sorted(there.changes) == [("in-a", None, App("main")), ("in-b", None, App("main"))]


async def test_health_is_that_of_the_worst_namespace(server, tmp_path, clock):
    server.rights.add_user("guest", "guests-token", [Rule(namespaces=("a",))])
    kubeconfig = server.kubeconfig(tmp_path, user="guest", token="guests-token")
    put(server, "in-a", namespace="a")
    async with (
        a_client(server, tmp_path, clock, kubeconfig=kubeconfig) as cluster,
        following(cluster, namespaces=["a", "b"]) as there,
    ):
        await until(lambda: there.revisions and there.phase is WatchPhase.FORBIDDEN)
        assert "guest watch applications.argoproj.io in b" in there.watched.health.problem
        assert there.watched.health.last_contact is None
        assert not there.watched.has_synced


async def test_objects_can_be_chosen_by_label(server, cluster):
    put(server, "shop", labels={"team": "a"})
    put(server, "api", labels={"team": "b"})
    async with following(cluster, labels="team=a") as there:
        await there.until_it_is({"shop": "main"})
        put(server, "api", labels={"team": "a"})
        await there.until_it_is({"shop": "main", "api": "main"})
        put(server, "shop", labels={})
        await there.until_it_is({"api": "main"})


async def test_an_object_of_no_interest_is_not_kept(server, cluster):
    put(server, "shop")
    put(server, "api", "v1")
    async with following(
        cluster, trim=lambda thing: trim(thing) if trim(thing) != App("v1") else None
    ) as there:
        await there.until_synced()
        assert there.revisions == {"shop": "main"}
        put(server, "shop", "v1")
        await there.until_it_is({})


async def test_an_object_that_is_not_understood_stays_as_it_was_and_is_told_of_once(server, cluster):
    def picky(thing):
        if thing["metadata"].get("annotations"):
            raise KeyError("annotations")
        return trim(thing)

    put(server, "shop")
    before = sample("failures_total", reason="not_understood")
    async with following(cluster, trim=picky) as there:
        await there.until_synced()
        with structlog.testing.capture_logs() as logs:
            for number in range(3):
                put(server, "shop", f"v{number}", annotations={"odd": "1"})
            put(server, "api")
            await there.until_it_is({"shop": "main", "api": "main"})
            put(server, "shop", "v9")
            await there.until_it_is({"shop": "v9", "api": "main"})
    told = [entry for entry in logs if entry["event"] == "object_not_understood"]
    assert [entry["key"] for entry in told] == ["argocd/shop"]
    assert sample("failures_total", reason="not_understood") == before + 3


# Lists.


@pytest.mark.parametrize("streaming", [StreamingLists.REFUSED, StreamingLists.UNKNOWN])
async def test_a_server_without_streaming_lists_is_asked_for_pages(server, cluster, streaming):
    server.streaming_lists = streaming
    names = {f"app-{number:03}": "main" for number in range(2 * PAGE + 5)}
    for name in names:
        put(server, name)
    async with following(cluster) as there:
        await there.until_synced()
        assert there.revisions == names
        put(server, "app-000", "v2")
        await there.until_it_is({**names, "app-000": "v2"})
        server.watches.expire()
        await until(lambda: len(server.calls("watch")) == 3)
        await there.until_synced()
    assert [request.verb for request in server.calls()] == [
        *("watch", "list", "list", "list", "watch", "list", "list", "list", "watch")
    ]


async def test_a_server_that_never_ends_its_list_and_is_never_quiet_is_asked_for_pages(server, cluster):
    server.streaming_lists = StreamingLists.UNKNOWN
    patience = Patience(list_within=timedelta(milliseconds=150), settled=timedelta(0))
    async with following(cluster, patience=patience) as there:
        for number in range(1000):
            put(server, "shop", f"v{number}")
            await asyncio.sleep(0.01)
            if there.phase is WatchPhase.SYNCED:
                break
    assert server.calls("list")


async def test_a_list_that_is_cut_is_begun_again_and_told_of_once(server, cluster):
    for number in range(5):
        put(server, f"app-{number}")
    server.faults.add(faults.cut_mid_line(3), verb="watch")
    async with following(cluster) as there:
        await there.until_synced()
        assert sorted(name for name, *_ in there.changes) == [f"app-{number}" for number in range(5)]


async def test_pages_that_are_forgotten_midway_are_listed_anew(server, cluster):
    server.streaming_lists = StreamingLists.REFUSED
    for number in range(2 * PAGE):
        put(server, f"app-{number:03}")
    server.faults.add(faults.EXPIRED, verb="list")
    async with following(cluster) as there:
        await there.until_synced()
        assert len(there.watched) == 2 * PAGE


# Going on.


async def test_a_watch_that_ends_goes_on_where_it_was(server, cluster):
    put(server, "shop")
    async with following(cluster) as there:
        await there.until_synced()
        put(server, "shop", "v2")
        await there.until_it_is({"shop": "v2"})
        lists = sample("lists_total", way="stream")
        with structlog.testing.capture_logs() as logs:
            server.faults.add(faults.slow(0.1), verb="watch")
            server.watches.end()
            await until(lambda: len(server.calls("watch")) == 2)
            put(server, "shop", "v3")
            server.delete(APPLICATIONS, "argocd", "shop")
            put(server, "api")
            await there.until_it_is({"api": "main"})
        assert ("shop", App("v2"), App("v3")) in there.changes
        assert logs == []
        assert sample("lists_total", way="stream") == lists
    last = server.calls("watch")[-1]
    assert "sendInitialEvents" not in last.query
    assert int(last.query["resourceVersion"]) > 1000
    assert last.query["allowWatchBookmarks"] == "true"


async def test_bookmarks_keep_a_quiet_watch_young(tmp_path):
    async with (
        ApiServer(bookmark_seconds=0.05, remembered=5) as server,
        a_client(server, tmp_path) as cluster,
    ):
        put(server, "shop")
        async with following(cluster) as there:
            await there.until_synced()
            listed_at = server.version
            server.advance(100)
            server.forget_history()
            watch = there.watched._watches[0]
            await until(lambda: int(watch._version) > listed_at)
            server.watches.end()
            put(server, "shop", "v2")
            await there.until_it_is({"shop": "v2"})
        assert [request for request in server.calls("watch") if "sendInitialEvents" in request.query] == [
            server.calls("watch")[0]
        ]


async def test_a_link_that_is_cut_is_resumed_without_a_list(server, cluster):
    put(server, "shop")
    async with following(cluster) as there:
        await there.until_synced()
        for number, mid_line in enumerate((True, False)):
            await server.watches.cut(mid_line=mid_line)
            put(server, "shop", f"v{number}")
            await there.until_it_is({"shop": f"v{number}"}, within=1)
    assert sum("sendInitialEvents" in request.query for request in server.calls("watch")) == 1


async def test_an_outage_is_told_of_once_and_so_is_its_end(server, cluster):
    put(server, "shop")
    async with following(cluster) as there:
        await there.until_synced()
        with structlog.testing.capture_logs() as logs:
            async with server.outage():
                await until(lambda: there.watched._watches[0]._failures > 4)
                assert there.phase is WatchPhase.UNREACHABLE
                assert there.watched.health.problem
                assert there.revisions == {"shop": "main"}
                assert sample("synced") == 0
            # A quiet kind is well again although nothing happens to it.
            await there.until_synced()
        assert [entry["event"] for entry in logs] == ["watch_lost", "watch_back"]
        assert there.synced == 1
        put(server, "shop", "v2")
        await there.until_it_is({"shop": "v2"})


async def test_a_dead_link_is_noticed_by_its_silence(server, cluster):
    put(server, "shop")
    patience = Patience(silence=timedelta(milliseconds=200), first_retry=timedelta(milliseconds=10))
    async with following(cluster, patience=patience) as there:
        await there.until_synced()
        server.watches.stall()
        put(server, "shop", "v2")
        await there.until_it_is({"shop": "v2"})
        assert sum("sendInitialEvents" in request.query for request in server.calls("watch")) == 1


@pytest.mark.parametrize("as_line", [True, False])
async def test_a_version_that_is_forgotten_means_a_new_list(server, cluster, as_line):
    put(server, "shop")
    put(server, "api")
    async with following(cluster) as there:
        await there.until_synced()
        server.faults.add(faults.HANG, verb="watch", times=1)
        server.watches.end()
        await until(lambda: len(server.calls("watch")) == 2)
        server.delete(APPLICATIONS, "argocd", "shop")
        server.forget_history()
        server.faults.add(faults.EXPIRED_LINE if as_line else faults.EXPIRED, verb="watch")
        assert there.revisions == {"shop": "main", "api": "main"}
        server.cut_connections()
        await there.until_it_is({"api": "main"})
        assert there.changes[-1] == ("shop", App("main"), None)
        assert sum("sendInitialEvents" in request.query for request in server.calls("watch")) == 2


# Trouble.


TROUBLE = {
    "dropped": faults.DROP,
    "empty": faults.EMPTY,
    "unauthorized": faults.UNAUTHORIZED,
    "forbidden": faults.FORBIDDEN_PRETTY,
    "expired": faults.EXPIRED,
    "expired line": faults.EXPIRED_LINE,
    "server error": faults.SERVER_ERROR,
    "unavailable": faults.UNAVAILABLE,
    "bad gateway": faults.BAD_GATEWAY,
    "cut": faults.cut_mid_line(),
    "too many": faults.too_many(0),
}


@pytest.mark.parametrize("fault", TROUBLE.values(), ids=TROUBLE)
async def test_trouble_that_lasts_is_met_ever_more_slowly_and_got_over(server, cluster, fault):
    put(server, "shop")
    watched = Watched(cluster, APPLICATIONS, trim=trim)
    (watch,) = watched._watches
    script = server.faults.add(fault, times=None)
    waits = [await watch.step() for _ in range(8)]
    assert all(wait >= timedelta(milliseconds=250) for wait in waits[1:])
    assert timedelta(seconds=15) <= waits[-1] <= timedelta(seconds=30)
    assert watched.health.phase in {WatchPhase.UNREACHABLE, WatchPhase.FORBIDDEN}
    server.faults.remove(script)
    step = asyncio.create_task(watch.step())
    await Following(watched).until_synced()
    put(server, "shop", "v2")
    await until(lambda: watched.find(SHOP) == App("v2"))
    server.watches.end()
    assert await step == AT_ONCE
    server.faults.add(faults.SERVER_ERROR)
    assert await watch.step() <= timedelta(milliseconds=500)


async def test_a_watch_that_is_ended_at_once_again_and_again_is_not_hammered(server, cluster):
    watched = Watched(cluster, APPLICATIONS, trim=trim)
    (watch,) = watched._watches
    step = asyncio.create_task(watch.step())
    await Following(watched).until_synced()
    server.watches.end()
    assert await step == AT_ONCE
    server.faults.add(faults.EMPTY, times=None)
    waits = [await watch.step() for _ in range(8)]
    assert waits[0] >= timedelta(milliseconds=250)
    assert waits[-1] >= timedelta(seconds=15)


async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(server, cluster):
    (watch,) = Watched(cluster, APPLICATIONS, trim=trim)._watches
    server.faults.add(faults.too_many(77))
    assert await watch.step() == timedelta(seconds=77)


async def test_what_is_forbidden_is_said_and_comes_on_again(server, cluster):
    put(server, "shop")
    async with following(cluster) as there:
        await there.until_synced()
        allow = server.forbid(verb="watch", resource="applications")
        server.watches.end()
        await until(lambda: there.phase is WatchPhase.FORBIDDEN)
        assert there.watched.health.problem == (
            "Kubernetes does not let system:serviceaccount:the-machine:the-machine watch "
            "applications.argoproj.io in the whole cluster."
        )
        assert there.revisions == {"shop": "main"}
        allow()
        await there.until_synced()


async def test_a_kind_that_is_not_installed_is_looked_for_now_and_then(server, cluster):
    server.uninstall(APPLICATIONS)
    with structlog.testing.capture_logs() as logs:
        async with following(cluster) as there:
            await until(lambda: len(server.calls("watch")) >= 3)
            assert there.phase is WatchPhase.NOT_INSTALLED
            assert there.watched.health.problem == (
                "Application (argoproj.io/v1alpha1) is not installed in this cluster."
            )
            server.install(APPLICATION)
            put(server, "shop")
            await there.until_it_is({"shop": "main"})
            await there.until_synced()
            assert there.synced == 1
    assert [entry["event"] for entry in logs] == ["watch_lost", "watch_back", "watch_synced"]


async def test_the_next_look_for_a_kind_is_a_minute_later(server, cluster):
    server.uninstall(APPLICATIONS)
    (watch,) = Watched(cluster, APPLICATIONS, trim=trim)._watches
    assert [await watch.step() for _ in range(5)] == [timedelta(minutes=1)] * 5


async def test_the_objects_of_a_kind_that_is_gone_are_gone_once_that_is_sure(server, cluster):
    put(server, "shop")
    watched = Watched(cluster, APPLICATIONS, trim=trim)
    (watch,) = watched._watches
    step = asyncio.create_task(watch.step())
    await Following(watched).until_synced()
    server.faults.add(faults.NOT_INSTALLED, times=3)
    server.watches.end()
    await step
    await watch.step()
    assert watched.find(SHOP) == App("main")
    await watch.step()
    assert watched.find(SHOP) is None


async def test_a_bug_in_a_callback_loses_nothing(server, cluster, caplog):
    async with following(cluster) as there:
        await there.until_synced()
        once = iter([ZeroDivisionError()])

        def stumble(*_):
            for error in once:
                raise error

        there.watched.on_change(stumble)
        put(server, "shop")
        put(server, "api")
        await there.until_it_is({"shop": "main", "api": "main"})
    assert "loop_failed" in caplog.text


async def test_the_end_of_a_loop_closes_its_connection(server, cluster):
    async with following(cluster) as there:
        await there.until_synced()
        assert server.watches.count() == 1
    await until(lambda: server.watches.count() == 0)


# Whatever happens.


@pytest.mark.parametrize("seed", range(6))
async def test_it_ends_in_agreement_whatever_happens(tmp_path, seed):
    chance = random.Random(seed)
    async with ApiServer(remembered=20) as server, a_client(server, tmp_path) as cluster:
        server.streaming_lists = chance.choice([StreamingLists.SUPPORTED, StreamingLists.REFUSED])

        async def cut():
            await server.watches.cut(mid_line=chance.random() < 0.5)

        trouble = [
            server.watches.end,
            server.watches.expire,
            server.forget_history,
            server.cut_connections,
            lambda: server.faults.add(faults.DROP, verb="watch"),
            lambda: server.faults.add(faults.SERVER_ERROR, verb="watch"),
            lambda: server.faults.add(faults.EXPIRED, verb="watch"),
            lambda: server.faults.add(faults.cut_mid_line(chance.randrange(4)), verb="watch"),
            lambda: server.faults.add(faults.NOT_INSTALLED, verb="watch"),
            lambda: server.faults.add(faults.EMPTY),
        ]
        patience = Patience(
            first_retry=timedelta(milliseconds=1),
            longest_retry=timedelta(milliseconds=5),
            not_installed=timedelta(milliseconds=5),
        )
        told = {}
        async with following(cluster, patience=patience) as there:
            there.watched.on_change(lambda key, _, new: told.update({key.name: new}))
            for _ in range(300):
                name = f"app-{chance.randrange(30)}"
                if chance.random() < 0.3 and server.find(APPLICATIONS, "argocd", name):
                    server.delete(APPLICATIONS, "argocd", name)
                else:
                    put(server, name, f"v{chance.randrange(5)}")
                if chance.random() < 0.1:
                    chance.choice(trouble)()
                if chance.random() < 0.02:
                    await cut()
                if chance.random() < 0.3:
                    await asyncio.sleep(0.002)
            server.faults.clear()
            truth = {
                thing["metadata"]["name"]: thing["spec"]["source"]["targetRevision"]
                for thing in server.objects(APPLICATIONS)
            }
            await there.until_it_is(truth)
            await there.until_synced()
            assert {name: app.revision for name, app in told.items() if app is not None} == truth
