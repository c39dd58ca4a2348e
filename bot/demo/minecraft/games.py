"""The two servers of the demo: one that runs with a console, one that somebody may start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random

from bot.core.clock import Clock
from bot.database.engine import Database
from bot.demo.cluster.server import ApiServer
from bot.demo.configuration import SimulatedGame
from bot.demo.minecraft.console import PASSWORD
from bot.demo.minecraft.game import Game
from bot.demo.minecraft.host import NAMESPACE, Host, Place
from bot.demo.minecraft.past import Past
from bot.demo.stage import Stage
from bot.demo.world import World

_SEED = 20
_PASTS = (
    Past("survival", usually=7),
    Past("creative", usually=3, ended=timedelta(hours=2, minutes=40)),
)


class Games:
    """The servers, and what goes on there."""

    def __init__(self, host: Host, survival: Place, creative: Place) -> None:
        """Take what runs them."""
        self._host = host
        self._survival = survival
        self._creative = creative

    @property
    def survival_address(self) -> SimulatedGame:
        """Where the server is that the configuration names; the other one is found."""
        place = self._survival
        return SimulatedGame(place.status.port, place.console.port, PASSWORD, NAMESPACE)

    async def play(self, stage: Stage, world: World, clock: Clock, database_url: str) -> None:
        """Let people play; only once somebody looks, so that their first card is not kept waiting."""
        await stage.until_looked_at()
        self._host.expose(self._creative)
        async with Database(database_url) as database:
            for past in _PASTS:
                await past.tell(database, now=clock.now())
        async with stage.turn:
            await world.sam.slash(
                world.games,
                "minecraft whitelist request",
                server="survival",
                player="SamTheBuilder",
                note="My new account",
            )
        await self._host.run()


@asynccontextmanager
async def simulated_games(cluster: ApiServer) -> AsyncIterator[Games]:
    """Have the servers in the cluster."""
    chance = Random(_SEED)  # noqa: S311 (it decides who plays)
    motd = "§a§lSurvival§r with friends\n§7Season 4: §oa dark that is deep"
    survival = Game("survival", motd, most=20, usually=7, chance=chance)
    creative = Game("creative", "§bCreative§r: build what you like", most=10, usually=3, chance=chance)
    host = Host(cluster)
    try:
        yield Games(
            host,
            await host.put(survival, kind="StatefulSet", runs=True),
            await host.put(creative, kind="Deployment", runs=False),
        )
    finally:
        host.close()
