"""What the simulated Discord remembers: guilds, people, channels, messages with all their versions.

It knows nothing of connections: a client may come and go, the server may stop and start, this stays.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Json = dict[str, Any]

EPOCH_MS = 1_420_070_400_000
ADMINISTRATOR = 1 << 3
MENTION_EVERYONE = 1 << 17
ALL_PERMISSIONS = (1 << 53) - 1
ORDINARY_PERMISSIONS = 0x0000_0000_0010_C4C0 | 1 << 31 | 1 << 38

SUPPRESS_EMBEDS = 1 << 2
HAS_THREAD = 1 << 5
EPHEMERAL = 1 << 6
LOADING = 1 << 7
SUPPRESS_NOTIFICATIONS = 1 << 12
COMPONENTS_V2 = 1 << 15

TEXT, DIRECT, ANNOUNCEMENT, THREAD, PRIVATE_THREAD, FORUM = 0, 1, 5, 11, 12, 15
THREADS = frozenset({10, THREAD, PRIVATE_THREAD})


@dataclass(slots=True)
class Role:
    id: int
    guild_id: int
    name: str
    permissions: int = 0
    mentionable: bool = False
    position: int = 1

    def payload(self) -> Json:
        return {
            "id": str(self.id),
            "name": self.name,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "icon": None,
            "unicode_emoji": None,
            "position": self.position,
            "permissions": str(self.permissions),
            "managed": False,
            "mentionable": self.mentionable,
            "flags": 0,
        }


@dataclass(slots=True)
class User:
    id: int
    name: str
    bot: bool = False

    def payload(self) -> Json:
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": None if self.bot else self.name.capitalize(),
            "discriminator": "0001" if self.bot else "0",
            "avatar": None,
            "bot": self.bot,
            "public_flags": 0,
        }


@dataclass(slots=True)
class Member:
    user: User
    guild_id: int
    roles: list[int] = field(default_factory=list)
    administrator: bool = False
    permissions: int | None = None
    """Overrides what follows from the roles."""

    @property
    def id(self) -> int:
        return self.user.id

    def payload(self) -> Json:
        return {
            "user": self.user.payload(),
            "nick": None,
            "avatar": None,
            "roles": [str(role) for role in self.roles],
            "joined_at": "2026-01-01T00:00:00+00:00",
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
            "communication_disabled_until": None,
        }


@dataclass(slots=True)
class Channel:
    id: int
    guild_id: int | None
    name: str
    type: int = TEXT
    position: int = 0
    parent_id: int | None = None
    owner_id: int = 0
    archived: bool = False
    locked: bool = False
    message_count: int = 0
    refusal: int | None = None
    """The error code that every call to this channel is answered with: 50001 (403) or 50013 (403)."""
    forbids_threads: bool = False
    """The bot lacks Create Public Threads and Send Messages in Threads here: 50013 (403)."""
    recipient: User | None = None

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS

    def payload(self) -> Json:
        if self.type == DIRECT:
            assert self.recipient is not None
            return {
                "id": str(self.id),
                "type": DIRECT,
                "last_message_id": None,
                "flags": 0,
                "recipients": [self.recipient.payload()],
            }
        shown: Json = {
            "id": str(self.id),
            "guild_id": str(self.guild_id),
            "type": self.type,
            "name": self.name,
            "parent_id": None if self.parent_id is None else str(self.parent_id),
            "last_message_id": None,
            "rate_limit_per_user": 0,
            "flags": 0,
        }
        if self.is_thread:
            shown |= {
                "owner_id": str(self.owner_id),
                "message_count": self.message_count,
                "member_count": 1,
                "total_message_sent": self.message_count,
                "applied_tags": [],
                "thread_metadata": {
                    "archived": self.archived,
                    "locked": self.locked,
                    "auto_archive_duration": 1440,
                    "archive_timestamp": "2026-01-01T00:00:00+00:00",
                    "create_timestamp": "2026-01-01T00:00:00+00:00",
                },
            }
        else:
            shown |= {
                "position": self.position,
                "topic": None,
                "nsfw": False,
                "permission_overwrites": [],
            }
        return shown


@dataclass(slots=True)
class Guild:
    id: int
    name: str
    owner: User
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)

    def payload(self) -> Json:
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "banner": None,
            "description": None,
            "owner_id": str(self.owner.id),
            "region": "deprecated",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "verification_level": 0,
            "default_message_notifications": 1,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "nsfw": False,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "premium_progress_bar_enabled": False,
            "preferred_locale": "en-US",
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "safety_alerts_channel_id": None,
            "application_id": None,
            "vanity_url_code": None,
            "features": [],
            "emojis": [],
            "stickers": [],
            "roles": [role.payload() for role in self.roles.values()],
        }


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a message; the first is its creation, every other an edit."""

    at: datetime
    payload: Json
    files: dict[str, bytes]

    @property
    def text(self) -> str:
        return text_of(self.payload)


@dataclass(slots=True)
class StoredMessage:
    id: int
    channel_id: int
    author: User
    payload: Json
    files: dict[str, bytes]
    versions: list[Version]
    nonce: str | None = None
    deleted_at: datetime | None = None
    hidden: bool = False
    """Ephemeral: absent from the channel's history."""
    pinged_roles: tuple[int, ...] = ()
    pinged_users: tuple[int, ...] = ()
    pinged_everyone: bool = False

    @property
    def created_at(self) -> datetime:
        return self.versions[0].at

    @property
    def content(self) -> str:
        return str(self.payload["content"])

    @property
    def components(self) -> list[Json]:
        return list(self.payload["components"])

    @property
    def flags(self) -> int:
        return int(self.payload["flags"])

    @property
    def text(self) -> str:
        """Content and all text displays, in reading order, a line each."""
        return text_of(self.payload)

    @property
    def edits(self) -> list[Version]:
        return self.versions[1:]

    @property
    def custom_ids(self) -> list[str]:
        return [c["custom_id"] for c in walk(self.payload["components"]) if "custom_id" in c]

    def component(self, custom_id: str) -> Json:
        for component in walk(self.payload["components"]):
            if component.get("custom_id") == custom_id:
                return component
        raise LookupError(f"message {self.id} has no component {custom_id!r}, only {self.custom_ids}")


def walk(components: Iterable[Json]) -> Iterator[Json]:
    """Every component, parents before their children, accessories and labelled inputs included."""
    for component in components:
        yield component
        yield from walk(component.get("components") or ())
        for key in ("accessory", "component"):
            if isinstance(component.get(key), dict):
                yield from walk((component[key],))


def text_of(payload: Json) -> str:
    shown = [payload.get("content") or ""]
    shown += [c.get("content", "") for c in walk(payload.get("components") or ()) if c.get("type") == 10]
    return "\n".join(part for part in shown if part)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it arrived, and the status it was answered with (0: the connection was cut)."""

    method: str
    path: str
    query: dict[str, str]
    json: Any
    files: dict[str, bytes]
    at: datetime
    status: int
    committed: bool
    host: str = ""
    """By which of its names this server was asked."""


class Snowflakes:
    """Ids that sort by time, as Discord's do."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        fresh = (int(self._clock() * 1000) - EPOCH_MS) << 22
        self._last = max(fresh, self._last + 1)
        return self._last


class State:
    """Everything that outlives a connection."""

    def __init__(self, *, clock: Callable[[], float] = time.time, nonce_seconds: float = 300.0) -> None:
        self.clock = clock
        self.nonce_seconds = nonce_seconds
        self.ids = Snowflakes(lambda: self.clock())  # noqa: PLW0108 - the clock may be replaced
        self.bot = User(self.ids.next(), "the-machine", bot=True)
        self.application_id = self.bot.id
        self.owner = User(self.ids.next(), "owner")
        self.users: dict[int, User] = {self.bot.id: self.bot, self.owner.id: self.owner}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.history: dict[int, dict[int, StoredMessage]] = {}
        self.every_message: dict[int, StoredMessage] = {}
        self.deleted: list[StoredMessage] = []
        self.commands: dict[int | None, list[Json]] = {None: []}
        self.most_active_threads = 1000
        self.command_syncs = 0
        self._nonces: dict[tuple[int, int, str], tuple[float, StoredMessage]] = {}

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    # People and places.

    def add_user(self, name: str, *, user_id: int | None = None) -> User:
        user = User(user_id or self.ids.next(), name)
        self.users[user.id] = user
        return user

    def add_guild(self, name: str, *, guild_id: int | None = None, bot_permissions: int = 0) -> Guild:
        guild = Guild(guild_id or self.ids.next(), name, self.owner)
        guild.roles[guild.id] = Role(guild.id, guild.id, "@everyone", ORDINARY_PERMISSIONS, position=0)
        self.guilds[guild.id] = guild
        self.commands[guild.id] = []
        self.add_member(guild, self.bot, permissions=bot_permissions or None)
        self.add_member(guild, self.owner)
        return guild

    def add_role(
        self,
        guild: Guild,
        name: str,
        *,
        permissions: int = 0,
        mentionable: bool = False,
        role_id: int | None = None,
    ) -> Role:
        role = Role(role_id or self.ids.next(), guild.id, name, permissions, mentionable, len(guild.roles))
        guild.roles[role.id] = role
        return role

    def add_member(
        self,
        guild: Guild,
        user: User,
        *,
        roles: Iterable[int] = (),
        administrator: bool = False,
        permissions: int | None = None,
    ) -> Member:
        member = Member(user, guild.id, list(roles), administrator, permissions)
        guild.members[user.id] = member
        return member

    def add_channel(
        self,
        guild: Guild | None,
        name: str,
        *,
        kind: int = TEXT,
        channel_id: int | None = None,
        parent_id: int | None = None,
        owner_id: int = 0,
        recipient: User | None = None,
    ) -> Channel:
        channel = Channel(
            channel_id or self.ids.next(),
            guild.id if guild else None,
            name,
            kind,
            position=len(self.channels),
            parent_id=parent_id,
            owner_id=owner_id,
            recipient=recipient,
        )
        self.channels[channel.id] = channel
        self.history.setdefault(channel.id, {})
        return channel

    def permissions_of(self, member: Member) -> int:
        guild = self.guilds[member.guild_id]
        if member.administrator or guild.owner.id == member.id:
            return ALL_PERMISSIONS
        if member.permissions is not None:
            return member.permissions
        granted = guild.roles[guild.id].permissions
        for role in member.roles:
            granted |= guild.roles[role].permissions if role in guild.roles else 0
        return ALL_PERMISSIONS if granted & ADMINISTRATOR else granted

    def guild_channels(self, guild_id: int, *, threads: bool) -> list[Channel]:
        return [c for c in self.channels.values() if c.guild_id == guild_id and c.is_thread is threads]

    def count_active_threads(self, guild_id: int | None) -> int:
        return sum(not thread.archived for thread in self.guild_channels(guild_id or 0, threads=True))

    def full_guild(self, guild: Guild) -> Json:
        """The payload of GUILD_CREATE, for a client with the GUILDS intent alone."""
        return guild.payload() | {
            "joined_at": "2026-01-01T00:00:00+00:00",
            "large": False,
            "unavailable": False,
            "member_count": len(guild.members),
            "members": [guild.members[self.bot.id].payload()],
            "channels": [c.payload() for c in self.guild_channels(guild.id, threads=False)],
            "threads": [c.payload() for c in self.guild_channels(guild.id, threads=True) if not c.archived],
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    def application(self) -> Json:
        return {
            "id": str(self.application_id),
            "name": "The Machine",
            "icon": None,
            "description": "",
            "bot_public": False,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "owner": self.owner.payload(),
            "team": None,
            "flags": 0,
            "summary": "",
            "install_params": None,
            "interactions_endpoint_url": None,
            "bot": self.bot.payload(),
        }

    # Messages.

    def remembered(self, channel_id: int, author: User, nonce: str) -> StoredMessage | None:
        found = self._nonces.get((channel_id, author.id, nonce))
        if found is None or self.clock() >= found[0] or found[1].deleted_at is not None:
            return None
        return found[1]

    def forget_nonces(self) -> None:
        self._nonces.clear()

    def create(
        self,
        channel: Channel,
        author: User,
        values: Json,
        *,
        files: dict[str, bytes] | None = None,
        nonce: str | None = None,
        hidden: bool = False,
    ) -> StoredMessage:
        """Store a message made of `values`, which override the empty message's fields."""
        now = self.now()
        message_id = self.ids.next()
        payload: Json = {
            "id": str(message_id),
            "channel_id": str(channel.id),
            "type": 0,
            "content": "",
            "author": author.payload(),
            "timestamp": now.isoformat(),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": 0,
        }
        if author.bot:
            payload["application_id"] = str(self.application_id)
        payload.update(values)
        stored_files = files or {}
        message = StoredMessage(
            message_id,
            channel.id,
            author,
            payload,
            stored_files,
            [Version(now, payload, stored_files)],
            nonce,
            hidden=hidden,
        )
        self.every_message[message_id] = message
        if not hidden:
            self.history.setdefault(channel.id, {})[message_id] = message
            channel.message_count += 1
        if nonce is not None:
            self._nonces[channel.id, author.id, nonce] = (self.clock() + self.nonce_seconds, message)
        return message

    def edit(
        self,
        message: StoredMessage,
        values: Json,
        *,
        files: dict[str, bytes] | None = None,
        silent: bool = False,
    ) -> None:
        """Replace the payload; the former one stays in `versions` untouched."""
        now = self.now()
        edited = {} if silent else {"edited_timestamp": now.isoformat()}
        message.payload = message.payload | values | edited
        if files is not None:
            message.files = files
        message.versions.append(Version(now, message.payload, message.files))

    def delete(self, message: StoredMessage) -> None:
        message.deleted_at = self.now()
        self.history.get(message.channel_id, {}).pop(message.id, None)
        self.deleted.append(message)

    def find(self, channel_id: int, message_id: int) -> StoredMessage | None:
        return self.history.get(channel_id, {}).get(message_id)

    def page(
        self,
        channel_id: int,
        *,
        limit: int,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
    ) -> list[StoredMessage]:
        """Messages newest first, chosen as `GET /channels/{c}/messages` does."""
        held = self.history.get(channel_id, {})
        if around is not None:
            older = self.page(channel_id, limit=limit // 2 + 1, before=around + 1)
            return (self.page(channel_id, limit=limit // 2, after=around) + older)[:limit]
        if after is not None:
            chosen = []
            for message_id, message in held.items():
                if message_id > after:
                    chosen.append(message)
                    if len(chosen) == limit:
                        break
            return chosen[::-1]
        chosen = []
        for message_id in reversed(held):
            if before is None or message_id < before:
                chosen.append(held[message_id])
                if len(chosen) == limit:
                    break
        return chosen

    # Mentions.

    def mentions(self, payload: Json, guild_id: int | None, allowed: Json | None, *, default: Json) -> Json:
        """Which users, roles and everyone a text with these allowances mentions."""
        allowance = default if allowed is None else allowed
        parse = allowance.get("parse") or []
        text = text_of(payload)
        users = [int(found) for found in re.findall(r"<@!?(\d+)>", text)]
        roles = [int(found) for found in re.findall(r"<@&(\d+)>", text)]
        listed_users = {int(user) for user in allowance.get("users") or ()}
        listed_roles = {int(role) for role in allowance.get("roles") or ()}
        guild = self.guilds.get(guild_id or 0)
        strong = bool(guild and self.permissions_of(guild.members[self.bot.id]) & MENTION_EVERYONE)
        return {
            "users": [
                u for u in dict.fromkeys(users) if u in self.users and ("users" in parse or u in listed_users)
            ],
            "roles": [
                r
                for r in dict.fromkeys(roles)
                if guild
                and r in guild.roles
                and ("roles" in parse or r in listed_roles)
                and (strong or guild.roles[r].mentionable)
            ],
            "everyone": strong and "everyone" in parse and bool(re.search("@everyone|@here", text)),
        }
