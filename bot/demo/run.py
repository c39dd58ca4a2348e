"""Puts the demo together: the app as it is, its Alertmanager, its cluster and its Discord made up."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import discord
import simcord
from simcord import SetupError

from bot.app import App
from bot.core.clock import Clock, SystemClock
from bot.core.errors import UnavailableError
from bot.core.tasks import first_of, running
from bot.demo.alertmanager import Alertmanager
from bot.demo.applications import SINCE, Applications
from bot.demo.chat import SimulatedChat
from bot.demo.clock import LateClock
from bot.demo.cluster import argocd_server
from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.argocd_server import ArgoCdServer
from bot.demo.cluster.server import ApiServer
from bot.demo.configuration import HOST, TOKEN, Simulated, SimulatedCluster, write_configuration
from bot.demo.minecraft.games import simulated_games
from bot.demo.page import take_refusals_for_answers
from bot.demo.ports import Ports
from bot.demo.stage import Stage
from bot.demo.story import Morning
from bot.demo.words import goodbye, welcome
from bot.demo.world import World, build_world, own_time_zone
from bot.settings.load import load_settings
from bot.telemetry.logs import configure_logging

_THE_STORY_BEGINS = timedelta(hours=1)
_UNSETTLED_AFTER_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 0.02


def run_demo(ports: Ports) -> None:
    """Run until a signal comes or the page is closed; raises `UnavailableError` when it cannot."""
    configure_logging("warning", json=False)
    with TemporaryDirectory(prefix="the-machine-demo-") as folder:
        try:
            asyncio.run(_run(ports, Path(folder)))
        except OSError as error:
            raise UnavailableError(f"The demo could not listen: {error.strerror or error}.") from error
    print(goodbye(), flush=True)


async def _run(ports: Ports, folder: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = LateClock(SystemClock(), behind=_THE_STORY_BEGINS)
    async with AsyncExitStack() as stack:
        stage = Stage(await stack.enter_async_context(_simulated_discord()), clock)
        await stage.follow_clock()
        world = build_world(stage.env)
        cluster = await stack.enter_async_context(_simulated_cluster(clock, folder))
        games = await stack.enter_async_context(simulated_games(cluster.server))
        file = write_configuration(
            folder, ports.webhook, world, Simulated(cluster.address, games.survival_address)
        )
        online = asyncio.Event()
        app = App(
            load_settings(file, {}),
            file,
            {},
            clock=clock,
            connect=lambda make_bot: SimulatedChat(make_bot, stage, clock, online),
        )
        session = await stack.enter_async_context(aiohttp.ClientSession(f"http://{HOST}:{ports.webhook}"))
        await stack.enter_async_context(_running(app, stop))
        morning = Morning(world, stage, clock, Alertmanager(session, TOKEN), cluster.applications)
        async with running([_begin(session, online, morning)]) as beginning:
            await first_of(beginning, stop.wait())
        if not stop.is_set():
            url = load_settings(file, {}).settings.database.url.get_secret_value()
            playing = games.play(stage, world, clock, url)
            await _show(stage, world, [morning.tell_what_is(), cluster.work(), playing], ports, stop)


@asynccontextmanager
async def _simulated_discord() -> AsyncIterator[simcord.Env]:
    """Run a Discord with a client that does nothing; the app brings the bot."""
    nobody = discord.Client(intents=discord.Intents(guilds=True))
    async with simcord.run(nobody, settle_timeout=_UNSETTLED_AFTER_SECONDS, check_errors=False) as env:
        take_refusals_for_answers(env)
        yield env


@dataclass(frozen=True, slots=True)
class _Cluster:
    """The made-up cluster."""

    server: ApiServer
    controller: ArgoController
    applications: Applications
    address: SimulatedCluster

    async def work(self) -> None:
        """Have Argo CD work there at its own pace."""
        await self.controller.loop().run()


@asynccontextmanager
async def _simulated_cluster(clock: Clock, folder: Path) -> AsyncIterator[_Cluster]:
    """Run a cluster in which everything is deployed already."""
    its_clock = LateClock(clock, behind=SINCE)
    async with ApiServer(clock=its_clock) as server:
        controller = ArgoController(server)
        applications = Applications(server, controller, its_clock)
        applications.tell_what_was()
        async with ArgoCdServer(server, controller) as argocd:
            address = SimulatedCluster(server.kubeconfig(folder), argocd.url, argocd_server.TOKEN)
            yield _Cluster(server, controller, applications, address)


@asynccontextmanager
async def _running(app: App, stop: asyncio.Event) -> AsyncIterator[None]:
    """Run the app; where it ends by itself, everything does."""
    task = asyncio.create_task(app.run(stop), name="app")
    task.add_done_callback(lambda _task: stop.set())
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait([task])
    task.result()


async def _begin(session: aiohttp.ClientSession, online: asyncio.Event, morning: Morning) -> None:
    """Wait until the app takes webhooks and its bot has logged in; then let it hear what was."""
    while True:
        with suppress(aiohttp.ClientConnectionError):
            async with session.get("/readyz") as response:
                if response.ok:
                    break
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    await online.wait()
    await morning.tell_what_was()


async def _show(
    stage: Stage, world: World, story: Iterable[Coroutine[Any, Any, None]], ports: Ports, stop: asyncio.Event
) -> None:
    """Serve the page and tell the story, until there is a reason to end."""
    zone, viewers = own_time_zone(), (world.alex, world.sam, world.robin)
    try:
        async with (
            stage.page(world.channel, *viewers, port=ports.page, timezone=zone) as page,
            stage.page(world.games, *viewers, port=ports.games, timezone=zone) as games,
        ):
            print(welcome(page.url, games.url, f"http://{HOST}:{ports.webhook}"), flush=True)
            async with running([stage.run(), *story]) as playing:
                await first_of(stop.wait(), page.wait_closed(), playing)
    except SetupError as error:
        raise UnavailableError(f"The page cannot be shown: {error}") from error
