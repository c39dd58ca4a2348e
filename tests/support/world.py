"""Everything between a webhook and a person, put together around a simulated Discord."""

import time
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import discord

from bot.access.model import Grant, Policy
from bot.alerts import kinds
from bot.alerts.showing import CARD, PING
from bot.alerts.silences.model import SilencePolicy
from bot.alerts.silences.service import Silences
from bot.alerts.silences.sources import SilenceEndCards
from bot.alerts.sources import IncidentCards, PingCards
from bot.alerts.storm.sources import CallCards, DigestCards
from bot.cards.courier import Courier
from bot.cards.notices.service import KIND as NOTICE
from bot.cards.notices.service import Notices
from bot.cards.threads.service import ThreadKeeper
from bot.chat.handlers import Actions
from bot.chat.messages import DiscordMessages
from bot.chat.pacing import Pacing
from bot.core.findings import Finding
from bot.core.status import StatusLine
from bot.database.engine import Database
from bot.housekeeping import HEAD, HeadCards
from bot.oversight.service import Oversight
from cogs.alerts import AlertsCog
from cogs.digests import DigestsCog
from cogs.machine import MachineCog
from cogs.silences import SilencesCog
from cogs.threads import ThreadsCog
from tests.support.alerting import Rooms, a_policy, a_route, open_rooms
from tests.support.chat import GUILD_ID, FastBot, a_bot

ROUTES = (
    a_route('alertname="Watchdog"', None, index=0),
    a_route(
        'severity="critical"',
        "critical",
        mention=("role:oncall",),
        remind=timedelta(minutes=15),
        goes_on=True,
        index=1,
    ),
    a_route("", "alerts", mention=("role:oncall",), index=2),
)


class World:
    """The rooms, a courier and a bot; replaced as a whole by a restart, over the same database."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.clock = rooms.clock
        self.audit_channel: int | None = None
        self.status = [StatusLine("database", ok=True, text="SQLite")]
        self.findings = [Finding("program", is_fine=True, text="The Machine")]
        self.actions = Actions()
        self.pacing = Pacing(time.monotonic)
        self.notices = Notices(rooms.database, rooms.cards, rooms.clock, lambda: self.audit_channel)
        self.oversight = Oversight(
            rooms.database,
            rooms.journal,
            rooms.access,
            self.notices,
            clock=rooms.clock,
            status=self._status,
            examine=self._examine,
            places=rooms.showing.index.places,
            guild=lambda: GUILD_ID,
            started_at=rooms.clock.now(),
        )
        self.clusters: dict[str, Any] = {}
        self.silence_policy = SilencePolicy()
        self.silences = Silences(
            rooms.database,
            rooms.access,
            rooms.showing,
            rooms.cards,
            clusters=lambda: self.clusters,
            clock=rooms.clock,
            policy=self._policy,
            silence_policy=lambda: self.silence_policy,
            zone=lambda: UTC,
            guild=lambda: GUILD_ID,
            post=self.notices.post,
            audit_channel=lambda: self.audit_channel,
        )
        self.bot: FastBot = a_bot(actions=self.actions, pacing=self.pacing, make_cogs=self._make_cogs)
        messages = DiscordMessages(lambda: self.bot)
        self.refused_threads: list[str] = []
        self.keeper = ThreadKeeper(
            rooms.database,
            messages,
            self.pacing,
            rooms.cards,
            clock=rooms.clock,
            on_start=rooms.timelines.begin,
            on_refusal=lambda _thread, why: self.refused_threads.append(why),
        )
        self.courier = Courier(
            rooms.database,
            messages,
            self.pacing,
            {
                CARD: IncidentCards(rooms.database, rooms.clock, self._policy, rooms.changes),
                PING: PingCards(rooms.database, rooms.clock, self._policy),
                kinds.DIGEST: DigestCards(rooms.database, rooms.clock),
                kinds.CALL: CallCards(rooms.database, self._policy),
                kinds.SILENCE_ENDS: SilenceEndCards(rooms.database, rooms.clock),
                kinds.TIMELINE: rooms.timelines,
                NOTICE: self.notices,
                HEAD: HeadCards(),
            },
            clock=rooms.clock,
            fallback_channel=lambda: self.audit_channel,
            listener=rooms.storms,
            threads=self.keeper,
            in_threads=frozenset({kinds.TIMELINE}),
        )

    def _make_cogs(self, _bot):
        return [
            AlertsCog(self.rooms.alerts, self.silences, self.actions),
            SilencesCog(self.silences, self.actions),
            DigestsCog(self.rooms.digests, self.silences, self.actions, self.clock),
            MachineCog(self.oversight, self.actions),
            ThreadsCog(self.keeper),
        ]

    async def _examine(self) -> list[Finding]:
        return self.findings

    async def _status(self):
        return self.status

    def _policy(self):
        return self.rooms.policy

    async def receive(self, *bodies: bytes) -> None:
        """Take deliveries the whole way, from the inbox to Discord."""
        await self.rooms.receive(*bodies)
        await self.settle()

    async def settle(self) -> None:
        """Do everything that is due."""
        await self.rooms.timers.step()
        while await self.rooms.applier.step() is not None:
            pass
        await self.courier.dispatch()
        await self.courier.settle()

    async def pass_time(self, by: timedelta) -> None:
        self.clock.advance(by)
        await self.settle()


class Town:
    """The people and channels of the simulated guild, and the world that serves them."""

    def __init__(self, env: Any, world: World) -> None:
        self.env = env
        self.world = world
        self.guild = env.create_guild(id=GUILD_ID)
        self.alerts = self.guild.create_text_channel("alerts")
        self.critical = self.guild.create_text_channel("critical")
        self.audit = self.guild.create_text_channel("audit")
        self.operators = self.guild.create_role("operators")
        self.viewers = self.guild.create_role("viewers")
        self.oncall = self.guild.create_role("oncall")
        self.alice = self._person("alice", self.operators)
        self.bob = self._person("bob", self.operators)
        self.victor = self._person("victor", self.viewers)
        self.move_in(world)

    def _person(self, name: str, *roles: Any) -> Any:
        return self.guild.add_member(self.env.create_user(name), roles=list(roles))

    def move_in(self, world: World) -> None:
        """Tell the world our ids, as its configuration would."""
        self.world = world
        world.audit_channel = self.audit.id
        world.rooms.policy = replace(
            a_policy(*ROUTES),
            channels={"alerts": self.alerts.id, "critical": self.critical.id, "audit": self.audit.id},
            roles={"oncall": str(self.oncall.id)},
        )
        world.rooms.access.use(
            Policy(
                (
                    Grant(
                        name="access.grants[0]",
                        roles=frozenset({str(self.operators.id)}),
                        may=("alerts:*", "machine:*"),
                    ),
                    Grant(
                        name="access.grants[1]",
                        roles=frozenset({str(self.viewers.id)}),
                        may=("alerts:list", "alerts:show"),
                        on=("channel:alerts",),
                    ),
                )
            )
        )

    async def restart(self) -> None:
        """End the process and start another one over the same database and the same Discord."""
        old = self.world
        await old.bot.close()
        database = Database(old.rooms.database._writer.url.render_as_string(hide_password=False))
        rooms = await open_rooms(database)
        rooms.clock.advance(old.clock.now() - rooms.clock.now())
        await old.rooms.database.__aexit__()
        self.move_in(World(rooms))
        await rooms.alerts.load()
        await self.env.restart_bot(self.world.bot)

    def refusals(self) -> list[str]:
        """The refusals that commands were answered with since the last look; SimCord notes them as errors."""
        return [str(getattr(error, "original", error)) for error in self.env.errors]


def words_of(message: Any) -> str:
    """Return every text of a message or of an answer, a line each."""
    if message is None:
        return ""
    components = message.components
    raw = [c if isinstance(c, dict) else c.to_dict() for c in components]
    return "\n".join(part for part in (message.content, *_texts(raw)) if part)


def _texts(components: list[dict[str, Any]]) -> list[str]:
    found = []
    for component in components:
        if isinstance(component.get("content"), str):
            found.append(component["content"])
        found += _texts(component.get("components") or [])
    return found


def buttons_of(message: Any) -> dict[str, str]:
    """Return the labels and custom_ids of the buttons that can be pressed."""
    raw = [c if isinstance(c, dict) else c.to_dict() for c in message.components]
    return {
        c["label"]: c["custom_id"]
        for c in _all(raw)
        if c.get("label") and c.get("custom_id") and not c.get("disabled")
    }


def _all(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [inner for c in components for inner in (c, *_all(c.get("components") or []))]


def colour_of(message: discord.Message) -> int | None:
    return message.components[0].to_dict().get("accent_color")
