"""Servers that are found in a cluster, started and stopped there, with restarts of the bot in between."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from bot.core.tasks import running
from bot.database.engine import Database
from bot.demo.cluster.server import ApiServer
from bot.minecraft.discovery import INSTANCE, OPERATION, PING, TRACKING
from bot.minecraft.settings import ConsoleSettings
from tests.support.alerting import open_rooms
from tests.support.chart_rights import within_the_charts_rights
from tests.support.kube import a_client
from tests.support.minecraft import JavaServer, RconServer, a_status
from tests.support.minecraft_cluster import a_pod, a_service, a_workload
from tests.support.minecraft_town import Town, World
from tests.support.world import buttons_of, words_of

READY = {"status": {"replicas": 1, "readyReplicas": 1}}
GONE = {"status": {"replicas": 0, "readyReplicas": 0}}


class Stage:
    """A cluster with one Deployment, and the server that runs while it has a replica."""

    def __init__(self, server: ApiServer, game: JavaServer) -> None:
        self.server = server
        self.game = game
        self.put(replicas=0)
        self.serve()

    def put(self, *, about=None, **options):
        made = a_workload("survival", **options)
        made["metadata"]["labels"] = about or {}
        self.server.put("Deployment", made)

    def serve(self):
        ping = {PING: f"127.0.0.1:{self.game.port}"}
        self.server.put("Service", a_service(annotations=ping))

    @property
    def workload(self):
        return self.server.get("Deployment", "games", "survival")

    def happens(self, body):
        """Have the cluster say how the Deployment is."""
        self.server.patch("Deployment", "games", "survival", body)

    def patches(self):
        return self.server.calls("patch", "deployments")


@pytest.fixture
async def stage():
    game = JavaServer(a_status("alice", "bob"))
    await game.open()
    await game.close()
    async with ApiServer() as server:
        with within_the_charts_rights(server):
            yield Stage(server, game)
    await game.close()


@pytest.fixture
async def stack():
    async with AsyncExitStack() as opened:
        yield opened


async def a_world(stage, database, folder, stack, namespaces=("games",), *, sees=True):
    settings = {"discover": True, "write": True, "namespaces": namespaces}
    kube = await stack.enter_async_context(a_client(stage.server, folder))
    world = World(await open_rooms(database), kube, **settings)
    await stack.enter_async_context(world.playground)
    if sees:
        await see(world, stack)
    return world


async def see(world, stack):
    """Have the cluster be watched."""
    await stack.enter_async_context(running(loop.run() for loop in world.playground.loops[3:]))
    await until(world.playground._servers)


async def until(holds):
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 (a watch of a cluster tells no test that it has seen something)
            await asyncio.sleep(0.01)


@pytest.fixture
async def world(stage, sqlite_url, tmp_path, stack):
    database = await stack.enter_async_context(Database(sqlite_url))
    return await a_world(stage, database, tmp_path, stack)


@pytest.fixture
def simcord_bot(world):
    return world.bot


@pytest.fixture
async def town(world, simcord_env, stack):
    return Town(simcord_env, world, stack)


async def seen(town, stage):
    """Have the bot see what the cluster says, and ask the servers."""
    wanted = stage.workload

    def is_seen():
        known = town.world.playground._workload("survival")
        status = wanted.get("status", {})
        return known is not None and (known.wanted, known.ready) == (
            wanted["spec"]["replicas"],
            status.get("readyReplicas", 0),
        )

    await until(is_seen)
    town.world.operations.wake()
    await town.world.look()


async def asked(town, stage, command="start", person=None):
    """Type the command and confirm."""
    person = person or town.alice
    shown = await person.slash(town.general, f"minecraft {command}", server="survival")
    words = words_of(shown.response)
    await person.click(shown.response, label="Confirm")
    await town.world.settle()
    return words


async def test_a_server_is_stopped_from_its_own_card(playing, stage):
    town = playing
    shown = await town.alice.slash(town.general, "minecraft status", server="survival")
    assert list(buttons_of(shown.response)) == ["Players", "History", "Stop…"]
    assert 'may: ["minecraft:stop"]' in await refused(town, "stop", town.steve)
    preview = await town.alice.click(shown.response, label="Stop…")
    assert "### Stop survival?" in words_of(preview.response)
    await town.alice.click(preview.response, label="Confirm")
    await town.world.settle()
    assert "### Stopping survival" in words_of(card_of(town))
    assert stage.workload["spec"]["replicas"] == 0


async def test_a_stop_goes_on_through_a_restart_and_happens_once(playing, stage, tmp_path, stack):
    town = playing
    await asked(town, stage, "stop")
    old = town.world
    await old.bot.close()
    new = await a_world(stage, old.rooms.database, tmp_path, stack)
    new.clock.advance(old.clock.now() - new.clock.now())
    town.move_in(new)
    await town.env.restart_bot(town.world.bot)
    await stage.game.close()
    stage.happens(GONE)
    for _ in range(30):
        await seen(town, stage)
    assert "### Stopped survival" in words_of(card_of(town))
    assert f"stopped by <@{town.alice.id}>" in words_of(town.board)
    assert "alerts:opened" not in await new.rooms.actions()
    assert len(stage.patches()) == 1


def card_of(town):
    [card] = town.general.history()
    return card


async def test_a_server_that_was_found_is_started_from_the_board(town, stage):
    await town.world.look()
    board = town.board
    assert "**survival**  offline since" in words_of(board)
    assert list(buttons_of(board)) == ["Start survival…", "Players", "History"]

    preview = await town.alice.click(board, label="Start survival…")
    assert "### Start survival?" in words_of(preview.response)
    assert "Deployment `survival`  0 replicas → **1 replica**" in words_of(preview.response)
    await town.alice.click(preview.response, label="Confirm")
    await town.world.settle()
    [card] = [message for message in town.minecraft.history() if message.id != board.id]
    assert "### Starting survival" in words_of(card)
    assert stage.workload["spec"]["replicas"] == 1
    assert OPERATION in stage.workload["metadata"]["annotations"]


async def test_a_start_is_followed_until_the_server_answers(town, stage):
    await town.world.look()
    await asked(town, stage)
    await seen(town, stage)
    assert "waiting for the pod" in words_of(card_of(town))
    assert "**survival**  starting\n-# Its pod is not ready yet." in words_of(town.board)
    assert list(buttons_of(town.board)) == ["Players", "History"]
    stage.happens(READY)
    await seen(town, stage)
    assert "waiting for an answer" in words_of(card_of(town))
    assert "1 of 1 pods ready" in words_of(card_of(town))
    assert "**survival**  starting\n-# It does not answer yet." in words_of(town.board)
    await stage.game.open()
    await seen(town, stage)
    await seen(town, stage)
    assert "### Started survival" in words_of(card_of(town))
    assert "It answers after" in words_of(card_of(town))
    assert len(stage.patches()) == 1


async def test_a_start_goes_on_through_a_restart_and_happens_once(town, stage, tmp_path, stack):
    await town.world.look()
    await asked(town, stage)
    old = town.world
    await old.bot.close()
    new = await a_world(stage, old.rooms.database, tmp_path, stack)
    new.clock.advance(old.clock.now() - new.clock.now())
    town.move_in(new)
    await town.env.restart_bot(town.world.bot)
    stage.happens(READY)
    await stage.game.open()
    await seen(town, stage)
    await seen(town, stage)
    assert "### Started survival" in words_of(card_of(town))
    assert len(stage.patches()) == 1


async def test_a_server_that_never_answers_is_said_to_have_failed(town, stage):
    await town.world.look()
    await asked(town, stage)
    stage.happens(READY)
    town.world.clock.advance(timedelta(minutes=16))
    await seen(town, stage)
    assert "### FAILED · Start survival" in words_of(card_of(town))
    assert "nothing listens on the port" in words_of(card_of(town))


async def test_a_restart_shows_nothing_new_before_it_was_seen_what_there_is(town, stage, tmp_path, stack):
    await town.world.look()
    shown = words_of(town.board)
    assert "**survival**  offline since" in shown
    old = town.world
    await old.bot.close()
    new = await a_world(stage, old.rooms.database, tmp_path, stack, sees=False)
    new.clock.advance(old.clock.now() - new.clock.now())
    town.move_in(new)
    await town.env.restart_bot(new.bot)
    await new.look()
    assert words_of(town.board) == shown
    assert list(new.playground._polling.standings) == ["survival"]
    await see(new, stack)
    await new.look()
    assert "stopped on purpose" in words_of(town.board)


@pytest.fixture
async def playing(town, stage):
    """Two players are on."""
    await stage.game.open()
    stage.put(replicas=1)
    await seen(town, stage)
    return town


async def test_who_stops_a_server_is_told_whom_that_throws_out(playing, stage):
    town = playing
    shown = await town.alice.slash(town.general, "minecraft stop", server="survival")
    assert "**2 players will be thrown out**: alice, bob" in words_of(shown.response)
    assert "no console is configured" in words_of(shown.response)
    await town.alice.click(shown.response, label="Confirm")
    await town.world.settle()
    assert stage.workload["spec"]["replicas"] == 0
    await stage.game.close()
    stage.happens(GONE)
    await seen(town, stage)
    assert "### Stopped survival" in words_of(card_of(town))
    await seen(town, stage)
    assert f"stopped by <@{town.alice.id}>" in words_of(town.board)


async def test_what_was_stopped_on_purpose_is_no_incident_and_neither_is_what_others_stopped(playing, stage):
    town = playing
    await asked(town, stage, "stop")
    await stage.game.close()
    stage.happens(GONE)
    for _ in range(30):
        await seen(town, stage)
    assert "alerts:opened" not in await town.world.rooms.actions()

    stage.put(replicas=1)
    await stage.game.open()
    await seen(town, stage)
    await stage.game.close()
    stage.put(replicas=0)
    for _ in range(30):
        await seen(town, stage)
    assert "stopped on purpose" in words_of(town.board)
    assert "alerts:opened" not in await town.world.rooms.actions()


async def test_whoever_joins_before_it_stops_is_not_thrown_out_unasked(town, stage):
    stage.game.status = a_status()
    await stage.game.open()
    stage.put(replicas=1)
    await seen(town, stage)
    shown = await town.alice.slash(town.general, "minecraft stop", server="survival")
    assert "thrown out" not in words_of(shown.response)
    stage.game.status = a_status("carol")
    await town.world.look()
    await town.alice.click(shown.response, label="Confirm")
    await town.world.settle()
    assert "Somebody has joined meanwhile." in words_of(card_of(town))
    assert stage.patches() == []


async def test_it_is_said_in_the_game_and_saved_first(playing, stage):
    town = playing
    rcon = RconServer()
    await rcon.open()
    town.stack.push_async_callback(rcon.close)
    workload = {"namespace": "games", "kind": "deployment", "name": "survival"}
    town.watch("survival", stage.game.port, rcon, workload=workload)
    await town.world.look()
    words = await asked(town, stage, "stop")
    assert "First it is said in the game and the world is saved." in words
    assert rcon.commands == ["say This server stops now.", "save-all flush"]
    assert stage.workload["spec"]["replicas"] == 0


async def test_a_server_that_could_not_be_saved_is_stopped_and_that_is_said(playing, stage):
    town = playing
    rcon = RconServer()
    await rcon.open()
    await rcon.close()
    workload = {"namespace": "games", "kind": "deployment", "name": "survival"}
    town.watch("survival", stage.game.port, rcon, workload=workload)
    await town.world.look()
    await asked(town, stage, "stop")
    unsaved = "It was not saved before it was stopped: The console of survival does not answer."
    await seen(town, stage)
    assert "### Stopping survival" in words_of(card_of(town))
    assert unsaved in words_of(card_of(town))
    await stage.game.close()
    stage.happens(GONE)
    await seen(town, stage)
    assert "### Stopped survival" in words_of(card_of(town))
    assert unsaved in words_of(card_of(town))


async def test_a_server_is_not_off_while_its_pod_still_ends(playing, stage):
    town = playing
    stage.server.put("Pod", a_pod("survival-0", deletionTimestamp="2026-11-21T12:00:00Z"))
    cluster, workload = town.world.playground._cluster, town.world.playground._workload("survival")
    await until(lambda: cluster.list_pods(workload))
    await asked(town, stage, "stop")
    await stage.game.close()
    # A Deployment does not count it any more.
    stage.happens(GONE)
    await seen(town, stage)
    assert "### Stopping survival" in words_of(card_of(town))
    assert "waiting for the pod to end" in words_of(card_of(town))
    stage.server.delete("Pod", "games", "survival-0")
    await until(lambda: not cluster.list_pods(workload))
    await seen(town, stage)
    assert "### Stopped survival" in words_of(card_of(town))


async def refused(town, command="start", person=None):
    shown = await (person or town.alice).slash(town.general, f"minecraft {command}", server="survival")
    town.env.errors.clear()
    return shown.response.content


async def test_where_argo_cd_would_undo_it_that_is_the_answer(town, stage):
    tracked = {TRACKING: "games:apps/Deployment:games/survival"}
    stage.put(replicas=0, annotations=tracked)
    stage.server.put("Application", an_application())
    await seen(town, stage)
    assert "Argo CD would undo it: `argocd/games` heals itself" in await refused(town)
    ignored = [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]
    stage.server.patch("Application", "argocd", "games", {"spec": {"ignoreDifferences": ignored}})
    shown = await town.alice.slash(town.general, "minecraft start", server="survival")
    assert "### Start survival?" in words_of(shown.response)


def an_application(**status):
    return {
        "metadata": {"name": "games", "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://example.org/x.git"},
            "destination": {"namespace": "games"},
            "syncPolicy": {"automated": {"selfHeal": True}},
        },
        "status": status,
    }


async def test_where_applications_may_not_be_read_the_doubt_is_said(town, stage):
    stage.server.put("Application", an_application())
    stage.put(replicas=0, annotations={TRACKING: "games:apps/Deployment:games/survival"})
    stage.server.forbid(resource="applications")
    await seen(town, stage)
    shown = await town.alice.slash(town.general, "minecraft start", server="survival")
    assert "Argo CD may undo it: whether `argocd/games` heals itself" in words_of(shown.response)
    await town.alice.click(shown.response, label="Confirm")
    await town.world.settle()
    assert stage.workload["spec"]["replicas"] == 1


async def test_a_label_counts_where_the_application_lists_what_runs_the_server(town, stage):
    stage.server.put("Application", an_application())
    stage.put(replicas=0, about={INSTANCE: "games"})
    await seen(town, stage)
    shown = await town.alice.slash(town.general, "minecraft start", server="survival")
    assert "### Start survival?" in words_of(shown.response)
    listed = [
        {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "games", "name": "survival"}
    ]
    stage.server.patch("Application", "argocd", "games", {"status": {"resources": listed}})
    assert "Argo CD would undo it: `argocd/games` heals itself" in await refused(town)


async def test_what_runs_is_not_started_and_what_is_off_not_stopped(town, stage):
    await town.world.look()
    assert "is stopped already" in await refused(town, "stop")
    stage.put(replicas=1)
    await seen(town, stage)
    assert "is to run already: it has 1 replica" in await refused(town)


async def test_without_write_nothing_can_be_started(town):
    town.world.settings = town.world.settings.model_copy(update={"write": False})
    await town.world.look()
    assert "switched off (`minecraft.write`)" in await refused(town)
    assert "Start survival…" not in buttons_of(town.board)


async def test_a_server_that_does_not_run_there_cannot_be_started(town):
    town.watch("survival", 1)
    await town.world.look()
    assert "does not run where it could be started" in await refused(town)


async def test_who_may_not_start_is_told_which_grant_is_missing(town):
    await town.world.look()
    assert 'may: ["minecraft:start"]' in await refused(town, person=town.steve)


async def test_servers_come_and_go_with_their_services(town, stage):
    await town.world.look()
    ping = {PING: "127.0.0.1:1"}
    stage.server.put("Service", a_service("creative", selector={"app": "creative"}, annotations=ping))
    await until(lambda: len(town.world.playground._servers()) == 2)
    await town.world.look()
    assert "**creative**" in words_of(town.board)
    stage.server.delete("Service", "games", "creative")
    await until(lambda: len(town.world.playground._servers()) == 1)
    await town.world.look()
    assert "**creative**" not in words_of(town.board)


@pytest.fixture
async def everywhere(stage, town, tmp_path, stack):
    """The bot looks in the whole cluster, where it does not watch pods."""
    old = town.world
    await old.bot.close()
    new = await a_world(stage, old.rooms.database, tmp_path, stack, namespaces=())
    town.move_in(new)
    await town.env.restart_bot(new.bot)
    return town


async def test_where_pods_are_not_watched_it_is_said_what_to_configure(everywhere, stage):
    town = everywhere
    stage.server.put("Deployment", a_workload("creative"))
    await until(lambda: len(town.world.playground._servers()) == 2)
    await town.world.look()
    shown = await town.alice.slash(town.general, "minecraft status", server="creative")
    assert "name its namespace in `minecraft.namespaces`" in words_of(shown.response)
    assert "name its namespace in `minecraft.namespaces`" in words_of(town.board)


async def test_a_server_that_cannot_be_asked_is_no_incident_and_is_started_by_its_pod(everywhere, stage):
    town = everywhere
    stage.server.put("Deployment", a_workload("creative"))
    await until(lambda: len(town.world.playground._servers()) == 2)
    for _ in range(30):
        await town.world.look()
    assert "alerts:opened" not in await town.world.rooms.actions()
    shown = await town.alice.slash(town.general, "minecraft history", server="creative")
    assert "Nothing is known of this time." in words_of(shown.response)

    await asked(town, stage)
    stage.happens(READY)
    await seen(town, stage)
    card = town.general.history()[-1]
    assert "### Started survival" in words_of(card)
    assert "Whether it answers cannot be asked." in words_of(card)


async def test_a_server_that_was_found_has_the_console_that_is_configured_for_it(playing, stage):
    town = playing
    rcon = RconServer()
    await rcon.open()
    town.stack.push_async_callback(rcon.close)
    rcon.players = ["alice", "bob"]
    console = {"name": "survival", "address": f"127.0.0.1:{rcon.port}", "password": rcon.password}
    consoles = (ConsoleSettings.model_validate(console),)
    town.world.settings = town.world.settings.model_copy(update={"consoles": consoles})
    shown = await town.alice.slash(town.general, "minecraft players", server="survival")
    assert "alice, bob" in words_of(shown.response)
    assert rcon.commands == ["list"]
