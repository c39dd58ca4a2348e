"""Asks the systems that a configuration names whether they agree with it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import aiohttp

from bot.alerts.peers.settings import AlertmanagerSettings
from bot.core.clock import SystemClock
from bot.core.durations import spoken_duration
from bot.core.errors import BrokenError, MachineError, UnavailableError
from bot.core.findings import Finding
from bot.examination.cluster import check_cluster
from bot.settings.tree import Settings

DEADLINE_SECONDS = 15
MOST_FAST = timedelta(seconds=10)
"""How far our clock may be from Discord's, the way of an answer included."""

# https://discord.com/developers/docs/topics/permissions
ADMINISTRATOR = 1 << 3
MENTION_EVERYONE = 1 << 17
NEEDED = {
    "VIEW_CHANNEL": 1 << 10,
    "SEND_MESSAGES": 1 << 11,
    "EMBED_LINKS": 1 << 14,
    "ATTACH_FILES": 1 << 15,
    "READ_MESSAGE_HISTORY": 1 << 16,
}
NEEDED_FOR_THREADS = {
    "CREATE_PUBLIC_THREADS": 1 << 35,
    "SEND_MESSAGES_IN_THREADS": 1 << 38,
}
_TEXT_CHANNELS = frozenset({0, 5, 10, 11, 12})
_THREADS = frozenset({10, 11, 12})
_EVERYTHING = (1 << 53) - 1

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """The guild as the bot sees it."""

    guild: Json
    member: Json

    @property
    def roles(self) -> dict[str, Json]:
        return {str(role["id"]): role for role in self.guild.get("roles", ())}


async def check_online(settings: Settings) -> list[Finding]:
    """Return what Discord, every Alertmanager and the cluster say; raises nothing."""
    # Discord asks for this form: https://discord.com/developers/docs/reference#user-agent
    headers = {"User-Agent": f"DiscordBot (https://the-machine.dev, {version('the-machine')})"}
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.TaskGroup() as tasks:
        discord = tasks.create_task(_Discord(session, settings).check(), name="check-discord")
        others = [
            tasks.create_task(_check_alertmanager(session, one, url), name=f"check-{one.name}")
            for one in settings.alertmanagers
            for url in one.api_urls
        ]
        cluster = tasks.create_task(
            check_cluster(settings.kubernetes, session, minecraft=settings.minecraft), name="check-cluster"
        )
    return [*discord.result(), *(other.result() for other in others), *cluster.result()]


class _Discord:
    """Asks Discord, in order: without a token nothing else can be known."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        self._session = session
        self._settings = settings
        self._fast: timedelta | None = None

    async def check(self) -> list[Finding]:
        discord = self._settings.discord
        try:
            me = await self._get("/users/@me")
        except MachineError as error:
            return [Finding("discord.token", is_fine=False, text=str(error))]
        findings = [Finding("discord.token", is_fine=True, text=f"the bot is {me.get('username', '?')}")]
        findings += [check_clock(self._fast)] if self._fast is not None else []
        try:
            guild = await self._get(f"/guilds/{discord.guild}")
            member = await self._get(f"/guilds/{discord.guild}/members/{me['id']}")
        except MachineError as error:
            return [*findings, Finding("discord.guild", is_fine=False, text=str(error))]
        place = _Place(guild, member)
        findings.append(Finding("discord.guild", is_fine=True, text=str(guild.get("name", "?"))))
        findings += [self._role(name, role, place) for name, role in discord.roles.items()]
        for name, channel in discord.channels.items():
            findings.append(await self._channel(name, channel, place))
        return findings

    async def _channel(self, name: str, channel_id: str, place: _Place) -> Finding:
        subject = f"discord.channels.{name}"
        try:
            channel = await self._get(f"/channels/{channel_id}")
            if channel.get("type") in _THREADS:
                # A thread has the permissions of its channel.
                parent = await self._get(f"/channels/{channel['parent_id']}")
                channel = {**channel, "permission_overwrites": parent.get("permission_overwrites", ())}
        except MachineError as error:
            return Finding(subject, is_fine=False, text=str(error))
        if str(channel.get("guild_id")) != self._settings.discord.guild:
            return Finding(
                subject, is_fine=False, text="it is in another server; take a channel of discord.guild"
            )
        if channel.get("type") not in _TEXT_CHANNELS:
            return Finding(subject, is_fine=False, text="messages cannot be sent there; take a text channel")
        if channel["type"] in _THREADS and self._has_threads(name):
            text = "a thread cannot have threads; take a text channel, or thread out of its routes"
            return Finding(subject, is_fine=False, text=text)
        missing = self._missing(name, channel, place)
        if missing:
            where = f"#{channel.get('name')}"
            text = f"the bot lacks {', '.join(missing)} in {where}; grant it to the bot's role there"
            return Finding(subject, is_fine=False, text=text)
        return Finding(subject, is_fine=True, text=f"#{channel.get('name')}")

    def _missing(self, name: str, channel: Json, place: _Place) -> list[str]:
        held = permissions_in(channel, place.guild, place.member)
        needed = dict(NEEDED)
        if channel.get("type") in _THREADS:
            needed["SEND_MESSAGES_IN_THREADS"] = NEEDED_FOR_THREADS["SEND_MESSAGES_IN_THREADS"]
            del needed["SEND_MESSAGES"]
        if self._has_threads(name):
            needed |= NEEDED_FOR_THREADS
        missing = [permission for permission, bit in needed.items() if not held & bit]
        unmentionable = [
            role for role in self._mentioned_roles(name) if not self._is_mentionable(role, place)
        ]
        if unmentionable and not held & MENTION_EVERYONE:
            missing.append(f"MENTION_EVERYONE (or let everybody mention {', '.join(unmentionable)})")
        return missing

    def _has_threads(self, channel: str) -> bool:
        return any(route.thread for route in self._settings.alerts.routes if route.channel == channel)

    def _mentioned_roles(self, channel: str) -> list[str]:
        mentions = [
            mention.removeprefix("role:")
            for route in self._settings.alerts.routes
            if route.channel == channel
            for mention in route.mention
            if mention.startswith("role:")
        ]
        return list(dict.fromkeys(mentions))

    def _is_mentionable(self, name: str, place: _Place) -> bool:
        role = place.roles.get(self._settings.discord.roles.get(name, name), {})
        return bool(role.get("mentionable"))

    def _role(self, name: str, role_id: str, place: _Place) -> Finding:
        subject = f"discord.roles.{name}"
        role = place.roles.get(role_id)
        if role is None:
            return Finding(
                subject, is_fine=False, text="no such role in the server; copy the id of one that exists"
            )
        return Finding(subject, is_fine=True, text=f"@{role.get('name')}")

    async def _get(self, path: str) -> Json:
        token = self._settings.discord.token.get_secret_value()
        async with (
            _translated("Discord"),
            self._session.get(
                self._settings.discord.api_url + path, headers={"Authorization": f"Bot {token}"}
            ) as response,
        ):
            self._fast = _fast(response.headers.get("Date"))
            if response.status in _DISCORD_ADVICE:
                raise BrokenError(_DISCORD_ADVICE[response.status])
            return await _json(response, "Discord")


_DISCORD_ADVICE = {
    401: "Discord does not know the token; copy it again from the developer portal, page Bot",
    403: "the bot may not see it; invite the bot to the server, and grant VIEW_CHANNEL",
    404: "Discord knows no such id, or the bot is not in that server; copy the id again, or invite the bot",
    429: "Discord asks to wait; try again in a minute",
}


def permissions_in(channel: Json, guild: Json, member: Json) -> int:
    """Return the bits of what the member may do in the channel, as Discord computes them."""
    role_ids = {str(role) for role in member.get("roles", ())}
    guild_id = str(guild["id"])
    held = 0
    for role in guild.get("roles", ()):
        if str(role["id"]) in role_ids | {guild_id}:
            held |= int(role["permissions"])
    member_id = str(member.get("user", {}).get("id", ""))
    if held & ADMINISTRATOR or str(guild.get("owner_id")) == member_id:
        return _EVERYTHING
    overwrites = {str(overwrite["id"]): overwrite for overwrite in channel.get("permission_overwrites", ())}
    held = _overwritten(held, [overwrites.get(guild_id)])
    held = _overwritten(held, [overwrites.get(role) for role in role_ids])
    return _overwritten(held, [overwrites.get(member_id)])


def _overwritten(held: int, overwrites: Iterable[Json | None]) -> int:
    there = [overwrite for overwrite in overwrites if overwrite is not None]
    denied = allowed = 0
    for overwrite in there:
        denied |= int(overwrite["deny"])
        allowed |= int(overwrite["allow"])
    return held & ~denied | allowed


def check_clock(fast: timedelta) -> Finding:
    """Say whether our clock agrees with Discord's: reminders, approvals and windows go by it."""
    if abs(fast) <= MOST_FAST:
        return Finding("clock", is_fine=True, text="it agrees with Discord's")
    how = "fast" if fast > timedelta(0) else "slow"
    text = f"it is {spoken_duration(abs(fast))} {how} by Discord's; have the node keep time (NTP)"
    return Finding("clock", is_fine=False, text=text)


def _fast(date: str | None) -> timedelta | None:
    """Return how far our clock is ahead of what an answer says."""
    try:
        return SystemClock().now() - parsedate_to_datetime(date) if date else None
    except (TypeError, ValueError):
        return None


async def _check_alertmanager(
    session: aiohttp.ClientSession, settings: AlertmanagerSettings, url: str
) -> Finding:
    subject = f"alertmanagers.{settings.name} {url}"
    try:
        async with (
            _translated("Alertmanager", settings.timeout.total_seconds()),
            session.get(f"{url}/api/v2/status", headers=settings.request_headers) as response,
        ):
            if response.status in {401, 403} and settings.kind == "grafana" and not settings.has_credentials:
                return Finding(subject, is_fine=True, text="Grafana, which is not asked without a token")
            if response.status in {401, 403}:
                raise BrokenError("it refuses the credentials; set token or basic")
            if response.status != HTTPStatus.OK:
                raise BrokenError(f"it answers {response.status}; check the address and its path")
            status = await _json(response, "Alertmanager")
    except MachineError as error:
        return Finding(subject, is_fine=False, text=str(error))
    if settings.kind == "grafana":
        return Finding(subject, is_fine=True, text="Grafana")  # Its Alertmanager knows no version.
    running = status.get("versionInfo", {}).get("version", "?")
    return Finding(subject, is_fine=True, text=f"Alertmanager {running}")


async def _json(response: aiohttp.ClientResponse, who: str) -> Json:
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UnavailableError(f"{who} answers {response.status}; try again later")
    try:
        found = await response.json(content_type=None)
    except ValueError as error:
        raise BrokenError(f"{who} answers no JSON; check the address") from error
    if not isinstance(found, dict):
        raise BrokenError(f"{who} answers something else than expected; check the address")
    return found


@asynccontextmanager
async def _translated(who: str, seconds: float = DEADLINE_SECONDS) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise UnavailableError(f"{who} does not answer within {seconds:g} s; check the address") from error
    except (aiohttp.ClientError, OSError) as error:
        raise UnavailableError(f"{who} cannot be reached; check the address and the network") from error
