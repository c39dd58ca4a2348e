"""Discord's REST routes: what each call does to the state and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.simulators.discord.gateway import GUILD_MESSAGES, GUILDS
from tests.simulators.discord.interactions import ATTACHMENT_SIZE_LIMIT, MODAL, Interaction, Interactions
from tests.simulators.discord.state import (
    ANNOUNCEMENT,
    COMPONENTS_V2,
    DIRECT,
    EPHEMERAL,
    FORUM,
    HAS_THREAD,
    LOADING,
    PRIVATE_THREAD,
    SUPPRESS_EMBEDS,
    SUPPRESS_NOTIFICATIONS,
    TEXT,
    THREAD,
    Channel,
    Guild,
    Json,
    Role,
    State,
    StoredMessage,
    User,
)
from tests.simulators.discord.validate import ApiError, check_message, check_modal, invalid, number_components

if TYPE_CHECKING:
    from tests.simulators.discord.limits import Limits, Verdict

PARSE_ALL: Json = {"parse": ["users", "roles", "everyone"]}
PARSE_USERS: Json = {"parse": ["users"]}
NO_CONTENT = 204

CREATED_FLAGS = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2
EDITED_FLAGS = SUPPRESS_EMBEDS | COMPONENTS_V2


class LimitedError(Exception):
    """A limit that only the handler can judge."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.bucket)
        self.verdict = verdict


@dataclass(slots=True)
class Call:
    """One request, read whole."""

    method: str
    path: str
    query: dict[str, str]
    json: Any
    files: dict[str, tuple[str, bytes]]
    """Name and bytes by `n` of `files[n]`."""


Answer = tuple[int, Any]
Handler = Callable[..., Answer]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    template: str
    """As in Discord's OpenAPI file."""
    bucket: str | None
    """The name in `Limits`; None for the routes outside all limits."""
    handler: Handler
    public: bool = False
    """Needs no bot token: the path carries one."""
    segments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.template.strip("/").split("/")))

    def match(self, parts: list[str]) -> list[str] | None:
        values = []
        for expected, part in zip(self.segments, parts, strict=True):
            if expected[0] == "{":
                values.append(part)
            elif expected != part:
                return None
        return values


class Rest:
    """The routes over one state. Handlers are synchronous: what a call changes, it changes at once."""

    def __init__(
        self, state: State, limits: Limits, interactions: Interactions, *, url: Callable[[], str]
    ) -> None:
        self._state = state
        self._limits = limits
        self._interactions = interactions
        self._url = url
        self.events: list[tuple[str, Json, int]] = []
        """Gateway events that the last calls caused: name, data, needed intent."""
        self._routes: dict[tuple[str, int], list[Route]] = {}
        for route in self._table():
            self._routes.setdefault((route.method, len(route.segments)), []).append(route)

    def find(self, method: str, path: str) -> tuple[Route, list[str]]:
        parts = path.strip("/").split("/")
        for route in self._routes.get((method, len(parts)), ()):
            values = route.match(parts)
            if values is not None:
                return route, values
        raise ApiError(404, 0, "404: Not Found")

    def _table(self) -> list[Route]:
        c, m = "/channels/{channel_id}", "/channels/{channel_id}/messages/{message_id}"
        g, app = "/guilds/{guild_id}", "/applications/{application_id}"
        hook = "/webhooks/{webhook_id}/{webhook_token}"
        read = "channel_read"
        return [
            Route("GET", "/gateway", "other:gateway", self._gateway),
            Route("GET", "/gateway/bot", "other:gateway_bot", self._gateway),
            Route("GET", "/users/@me", "other:me", self._me),
            Route("GET", "/users/@me/guilds", "other:my_guilds", self._my_guilds),
            Route("POST", "/users/@me/channels", "other:direct", self._open_direct),
            Route("GET", "/users/{user_id}", "other:user", self._user),
            Route("GET", "/applications/@me", "other:application", self._application),
            Route("GET", "/oauth2/applications/@me", "other:application", self._application),
            Route("GET", f"{app}/commands", "other:commands", self._get_commands),
            Route("PUT", f"{app}/commands", "other:commands", self._put_commands),
            Route("GET", f"{app}/guilds/{{guild_id}}/commands", "other:guild_commands", self._get_commands),
            Route("PUT", f"{app}/guilds/{{guild_id}}/commands", "other:guild_commands", self._put_commands),
            Route("GET", g, "other:guild", self._guild),
            Route("GET", f"{g}/channels", "other:guild_channels", self._guild_channels),
            Route("GET", f"{g}/roles", "other:guild_roles", self._guild_roles),
            Route("GET", f"{g}/members", "other:guild_members", self._guild_members),
            Route("GET", f"{g}/members/{{user_id}}", "other:guild_member", self._guild_member),
            Route("GET", f"{g}/threads/active", "other:guild_threads", self._guild_threads),
            Route("GET", c, read, self._get_channel),
            Route("PATCH", c, "other:channel_edit", self._edit_channel),
            Route("DELETE", c, "other:channel_delete", self._delete_channel),
            Route("GET", f"{c}/messages", read, self._list_messages),
            Route("POST", f"{c}/messages", "channel_create", self._create_message),
            Route("GET", m, read, self._get_message),
            Route("PATCH", m, "channel_edit", self._edit_message),
            Route("DELETE", m, "channel_delete", self._delete_message),
            Route("POST", f"{c}/messages/bulk-delete", "other:bulk_delete", self._bulk_delete),
            Route("POST", f"{m}/threads", "other:threads", self._thread_from_message),
            Route("POST", f"{c}/threads", "other:threads", self._thread),
            Route("POST", f"{c}/typing", "other:typing", self._nothing),
            Route("PUT", f"{c}/pins/{{message_id}}", "other:pins", self._pin),
            Route("DELETE", f"{c}/pins/{{message_id}}", "other:pins", self._unpin),
            Route("PUT", f"{c}/messages/pins/{{message_id}}", "other:pins", self._pin),
            Route("DELETE", f"{c}/messages/pins/{{message_id}}", "other:pins", self._unpin),
            Route("PUT", f"{m}/reactions/{{emoji_name}}/@me", "other:reactions", self._react),
            Route("PUT", f"{c}/thread-members/{{user_id}}", "other:thread_members", self._nothing),
            Route(
                "POST",
                "/interactions/{interaction_id}/{interaction_token}/callback",
                None,
                self._callback,
                public=True,
            ),
            Route("POST", hook, "webhook", self._follow_up, public=True),
            Route("GET", f"{hook}/messages/{{message_id}}", "webhook", self._get_answer, public=True),
            Route("PATCH", f"{hook}/messages/{{message_id}}", "webhook", self._edit_answer, public=True),
            Route("DELETE", f"{hook}/messages/{{message_id}}", "webhook", self._delete_answer, public=True),
        ]

    # Looking things up.

    def _channel(self, channel_id: str) -> Channel:
        channel = self._state.channels.get(_id(channel_id))
        if channel is None:
            raise ApiError(404, 10003, "Unknown Channel")
        if channel.refusal is not None:
            raise ApiError(
                403, channel.refusal, {50001: "Missing Access"}.get(channel.refusal, "Missing Permissions")
            )
        return channel

    def _message(self, channel_id: str, message_id: str) -> StoredMessage:
        message = self._state.find(self._channel(channel_id).id, _id(message_id))
        if message is None:
            raise ApiError(404, 10008, "Unknown Message")
        return message

    def _guild_of(self, guild_id: str) -> Guild:
        guild = self._state.guilds.get(_id(guild_id))
        if guild is None:
            raise ApiError(404, 10004, "Unknown Guild")
        return guild

    def _interaction(self, token: str, *, callback: bool = False) -> Interaction:
        interaction = self._interactions.by_token.get(token)
        if interaction is None or self._interactions.expired(interaction, callback=callback):
            error = (
                ApiError(404, 10062, "Unknown interaction")
                if callback
                else ApiError(404, 10015, "Unknown Webhook")
            )
            if interaction is not None:
                interaction.refusals.append(error.body)
            raise error
        return interaction

    # People, guilds, commands.

    def _gateway(self, call: Call) -> Answer:
        session = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        url = self._url().replace("http://", "ws://") + "/gateway"
        return 200, {"url": url, "shards": 1, "session_start_limit": session}

    def _me(self, call: Call) -> Answer:
        return 200, self._state.bot.payload() | {
            "verified": True,
            "mfa_enabled": True,
            "email": None,
            "flags": 0,
        }

    def _my_guilds(self, call: Call) -> Answer:
        keys = ("id", "name", "icon", "features")
        found = [guild.payload() for guild in self._state.guilds.values()]
        return 200, [
            {key: guild[key] for key in keys} | {"owner": False, "permissions": "0"} for guild in found
        ]

    def _user(self, call: Call, user_id: str) -> Answer:
        user = self._state.users.get(_id(user_id))
        if user is None:
            raise ApiError(404, 10013, "Unknown User")
        return 200, user.payload()

    def _open_direct(self, call: Call) -> Answer:
        user = self._state.users.get(_id(str(call.json["recipient_id"])))
        if user is None:
            raise ApiError(404, 10013, "Unknown User")
        for channel in self._state.channels.values():
            if channel.type == DIRECT and channel.recipient is user:
                return 200, channel.payload()
        return 200, self._state.add_channel(None, "", kind=DIRECT, recipient=user).payload()

    def _application(self, call: Call) -> Answer:
        return 200, self._state.application()

    def _get_commands(self, call: Call, application_id: str, guild_id: str | None = None) -> Answer:
        return 200, self._state.commands.get(self._guild_of(guild_id).id if guild_id else None, [])

    def _put_commands(self, call: Call, application_id: str, guild_id: str | None = None) -> Answer:
        scope = self._guild_of(guild_id).id if guild_id else None
        former = {(c["name"], c["type"]): c["id"] for c in self._state.commands.get(scope, [])}
        stored: list[Json] = []
        for command in call.json:
            kind = command.get("type") or 1
            key = (command["name"], kind)
            if any((other["name"], other["type"]) == key for other in stored):
                raise ApiError(400, 50035, f"Application command names must be unique: {command['name']}")
            identity = {
                "id": former.get(key) or str(self._state.ids.next()),
                "application_id": str(self._state.application_id),
                "version": str(self._state.ids.next()),
                "type": kind,
                "description": command.get("description") or "",
                "default_member_permissions": command.get("default_member_permissions"),
            }
            if guild_id:
                identity["guild_id"] = guild_id
            stored.append(command | identity)
        self._state.commands[scope] = stored
        self._state.command_syncs += 1
        return 200, stored

    def _guild(self, call: Call, guild_id: str) -> Answer:
        guild = self._guild_of(guild_id)
        counts: Json = {}
        if call.query.get("with_counts") in ("1", "true", "True"):
            counts = {"approximate_member_count": len(guild.members), "approximate_presence_count": 0}
        return 200, guild.payload() | counts

    def _guild_channels(self, call: Call, guild_id: str) -> Answer:
        guild = self._guild_of(guild_id)
        return 200, [c.payload() for c in self._state.guild_channels(guild.id, threads=False)]

    def _guild_roles(self, call: Call, guild_id: str) -> Answer:
        roles: list[Role] = list(self._guild_of(guild_id).roles.values())
        return 200, [role.payload() for role in roles]

    def _guild_members(self, call: Call, guild_id: str) -> Answer:
        after = _id(call.query.get("after", "0"))
        members = sorted(self._guild_of(guild_id).members.values(), key=lambda member: member.id)
        chosen = [member.payload() for member in members if member.id > after]
        return 200, chosen[: int(call.query.get("limit", "1"))]

    def _guild_member(self, call: Call, guild_id: str, user_id: str) -> Answer:
        sought = self._state.bot.id if user_id == "@me" else _id(user_id)
        member = self._guild_of(guild_id).members.get(sought)
        if member is None:
            raise ApiError(404, 10007, "Unknown Member")
        return 200, member.payload()

    def _guild_threads(self, call: Call, guild_id: str) -> Answer:
        guild = self._guild_of(guild_id)
        threads = [c.payload() for c in self._state.guild_channels(guild.id, threads=True) if not c.archived]
        return 200, {"threads": threads, "members": []}

    # Channels and threads.

    def _get_channel(self, call: Call, channel_id: str) -> Answer:
        return 200, self._channel(channel_id).payload()

    def _edit_channel(self, call: Call, channel_id: str) -> Answer:
        channel = self._channel(channel_id)
        if channel.archived and call.json.get("archived") is not False:
            raise ApiError(400, 50083, "Thread is archived")
        if channel.is_thread:
            self._check_may_change(channel, call.json)
        channel.archived = call.json.get("archived", channel.archived)
        channel.locked = call.json.get("locked", channel.locked)
        channel.name = call.json.get("name", channel.name)
        event = "THREAD_UPDATE" if channel.is_thread else "CHANNEL_UPDATE"
        self.events.append((event, channel.payload(), GUILDS))
        return 200, channel.payload()

    def _delete_channel(self, call: Call, channel_id: str) -> Answer:
        channel = self._channel(channel_id)
        self.remove_channel(channel)
        return 200, channel.payload()

    def remove_channel(self, channel: Channel) -> None:
        del self._state.channels[channel.id]
        event = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
        self.events.append((event, channel.payload(), GUILDS))

    def _thread_from_message(self, call: Call, channel_id: str, message_id: str) -> Answer:
        parent = self._channel(channel_id)
        if parent.forbids_threads:
            raise ApiError(403, 50013, "Missing Permissions")
        if parent.type not in {TEXT, ANNOUNCEMENT}:
            raise ApiError(400, 50024, "Cannot execute action on this channel type")
        message = self._message(channel_id, message_id)
        if message.flags & HAS_THREAD:
            raise ApiError(400, 160004, "A thread has already been created for this message")
        if self._state.count_active_threads(parent.guild_id) >= self._state.most_active_threads:
            raise ApiError(400, 160006, "Maximum number of active threads reached")
        thread = self._new_thread(parent, call.json, THREAD, channel_id=message.id)
        self._state.edit(
            message, {"flags": message.flags | HAS_THREAD, "thread": thread.payload()}, silent=True
        )
        return 201, thread.payload()

    def _thread(self, call: Call, channel_id: str) -> Answer:
        parent = self._channel(channel_id)
        if parent.type != FORUM:
            return 201, self._new_thread(parent, call.json, call.json.get("type", PRIVATE_THREAD)).payload()
        first = call.json.get("message") or {}
        thread = self._new_thread(parent, call.json, THREAD)
        message = self._post(thread, self._state.bot, first, call.files, default=PARSE_ALL)
        return 201, thread.payload() | {"message": message.payload}

    def _new_thread(
        self, parent: Channel, body: Json, kind: int, *, channel_id: int | None = None
    ) -> Channel:
        if not 1 <= len(body.get("name") or "") <= 100:
            raise invalid("name", "Must be between 1 and 100 in length.", "BASE_TYPE_BAD_LENGTH")
        guild = self._state.guilds[parent.guild_id or 0]
        thread = self._state.add_channel(
            guild,
            body["name"],
            kind=kind,
            channel_id=channel_id,
            parent_id=parent.id,
            owner_id=self._state.bot.id,
        )
        self.events.append(("THREAD_CREATE", thread.payload() | {"newly_created": True}, GUILDS))
        return thread

    def _check_may_change(self, thread: Channel, changes: Json) -> None:
        """Whoever started a thread may change it, others may only open it; one that is locked stays so."""
        only_opens = changes.keys() == {"archived"} and changes["archived"] is False and not thread.locked
        if (thread.locked or thread.owner_id != self._state.bot.id) and not only_opens:
            raise ApiError(403, 50013, "Missing Permissions")
        self._check_may_write_in(thread)

    def _check_may_write_in(self, channel: Channel) -> None:
        parent = self._state.channels.get(channel.parent_id or 0)
        if channel.is_thread and parent is not None and parent.forbids_threads:
            raise ApiError(403, 50013, "Missing Permissions")

    def _nothing(self, call: Call, *_: str) -> Answer:
        return NO_CONTENT, None

    # Messages.

    def _list_messages(self, call: Call, channel_id: str) -> Answer:
        limit = int(call.query.get("limit", "50"))
        if not 1 <= limit <= 100:
            raise invalid("limit", "int value should be between 1 and 100.", "NUMBER_TYPE_MAX")
        bounds = {key: _id(call.query[key]) for key in ("before", "after", "around") if key in call.query}
        page = self._state.page(self._channel(channel_id).id, limit=limit, **bounds)
        return 200, [message.payload for message in page]

    def _get_message(self, call: Call, channel_id: str, message_id: str) -> Answer:
        return 200, self._message(channel_id, message_id).payload

    def _create_message(self, call: Call, channel_id: str) -> Answer:
        channel = self._channel(channel_id)
        self._check_may_write_in(channel)
        if channel.locked:
            raise ApiError(403, 160005, "Thread is locked")
        if channel.archived:
            # Writing opens a thread, as Discord does it; whatever else is done in one has to open it first.
            channel.archived = False
            self.events.append(("THREAD_UPDATE", channel.payload(), GUILDS))
        if channel.type == FORUM:
            raise ApiError(400, 40058, "Cannot message this channel")
        body = call.json
        nonce = None if body.get("nonce") is None else str(body["nonce"])
        if nonce is not None and len(nonce) > 25:
            raise invalid("nonce", "Must be 25 or fewer in length.", "NONCE_TYPE_TOO_LONG")
        if nonce is not None and body.get("enforce_nonce"):
            existing = self._state.remembered(channel.id, self._state.bot, nonce)
            if existing is not None:
                return 200, existing.payload | {"nonce": nonce}
        message = self._post(channel, self._state.bot, body, call.files, default=PARSE_ALL, nonce=nonce)
        shown = message.payload if nonce is None else message.payload | {"nonce": nonce}
        guild = {} if channel.guild_id is None else {"guild_id": str(channel.guild_id)}
        self.events.append(("MESSAGE_CREATE", shown | guild, GUILD_MESSAGES))
        return 200, shown

    def _post(
        self,
        channel: Channel,
        author: User,
        body: Json,
        files: dict[str, tuple[str, bytes]],
        *,
        default: Json,
        nonce: str | None = None,
        hidden: bool = False,
        more: Json | None = None,
    ) -> StoredMessage:
        attachments, stored = self._attach(channel, body.get("attachments"), files, kept=[])
        values: Json = {
            "content": body.get("content") or "",
            "embeds": [{"type": "rich"} | embed for embed in body.get("embeds") or []],
            "components": body.get("components") or [],
            "attachments": attachments,
            "flags": (body.get("flags") or 0) & (CREATED_FLAGS | EPHEMERAL),
        }
        check_message(
            values | {"poll": body.get("poll"), "sticker_ids": body.get("sticker_ids")}, body, creating=True
        )
        values |= self._reference(channel, body.get("message_reference"))
        values["components"] = self._echoed(values["components"], attachments)
        mentioned = self._mention(values, channel, body.get("allowed_mentions"), default)
        message = self._state.create(
            channel, author, values | (more or {}), files=stored, nonce=nonce, hidden=hidden
        )
        message.pinged_users = tuple(mentioned["users"])
        message.pinged_roles = tuple(mentioned["roles"])
        message.pinged_everyone = mentioned["everyone"]
        return message

    def _mention(self, values: Json, channel: Channel, allowed: Json | None, default: Json) -> Json:
        mentioned = self._state.mentions(values, channel.guild_id, allowed, default=default)
        values["mentions"] = [self._state.users[user].payload() for user in mentioned["users"]]
        values["mention_roles"] = [str(role) for role in mentioned["roles"]]
        values["mention_everyone"] = mentioned["everyone"]
        return mentioned

    def _reference(self, channel: Channel, reference: Json | None) -> Json:
        if not reference:
            return {}
        target = self._state.find(channel.id, _id(str(reference["message_id"])))
        if target is None:
            if reference.get("fail_if_not_exists", True):
                raise invalid("message_reference", "Unknown message", "REPLIES_UNKNOWN_MESSAGE")
            return {}
        shown = {"type": 0, "message_id": str(target.id), "channel_id": str(channel.id)}
        if channel.guild_id is not None:
            shown["guild_id"] = str(channel.guild_id)
        return {"type": 19, "message_reference": shown, "referenced_message": target.payload}

    def _attach(
        self,
        channel: Channel,
        listed: list[Json] | None,
        files: dict[str, tuple[str, bytes]],
        *,
        kept: list[Json],
    ) -> tuple[list[Json], dict[str, bytes]]:
        """The attachments of a message after a request, and the bytes of the new ones by file name."""
        if listed is None:
            described: list[Json] = [*kept, *({"id": number} for number in files)]
        else:
            described = list(listed)
            named = {str(entry.get("id")) for entry in described}
            described += [{"id": number} for number in files if number not in named]
        former = {attachment["id"]: attachment for attachment in kept}
        shown: list[Json] = []
        stored: dict[str, bytes] = {}
        for entry in described:
            key = str(entry.get("id"))
            if key in former:
                shown.append(former[key])
                continue
            if key not in files:
                raise invalid("attachments", f"Attachment {key} has no file.", "ATTACHMENT_NOT_FOUND")
            name, content = entry.get("filename") or files[key][0], files[key][1]
            if len(content) > ATTACHMENT_SIZE_LIMIT:
                raise ApiError(413, 40005, "Request entity too large")
            identifier = str(self._state.ids.next())
            url = f"{self._url()}/attachments/{channel.id}/{identifier}/{quote(name)}"
            stored[name] = content
            shown.append(
                {
                    "id": identifier,
                    "filename": name,
                    "size": len(content),
                    "url": url,
                    "proxy_url": url,
                    "content_type": "application/octet-stream",
                    **({"description": entry["description"]} if entry.get("description") else {}),
                }
            )
        return shown, stored

    def _echoed(self, components: list[Json], attachments: list[Json]) -> list[Json]:
        """Components as stored: numbered, their attachment links resolved."""
        if not components:
            return []
        numbered = number_components(components)
        by_name = {attachment["filename"]: attachment for attachment in attachments}
        _resolve_media(numbered, by_name)
        return numbered

    def _edit_message(self, call: Call, channel_id: str, message_id: str) -> Answer:
        message = self._message(channel_id, message_id)
        channel = self._channel(channel_id)
        if channel.archived:
            raise ApiError(400, 50083, "Thread is archived")
        if channel.locked:
            raise ApiError(403, 160005, "Thread is locked")
        if message.author is not self._state.bot:
            raise ApiError(403, 50005, "Cannot edit a message authored by another user")
        if (self._state.now() - message.created_at).total_seconds() > self._limits.old_after_seconds:
            refusal = self._limits.take_old_edit(channel_id)
            if refusal is not None:
                raise LimitedError(refusal)
        self._change(message, channel, call, default=PARSE_ALL)
        guild = {} if channel.guild_id is None else {"guild_id": str(channel.guild_id)}
        self.events.append(("MESSAGE_UPDATE", message.payload | guild, GUILD_MESSAGES))
        return 200, message.payload

    def _change(self, message: StoredMessage, channel: Channel, call: Call, *, default: Json) -> None:
        body = call.json or {}
        old = message.payload
        attachments, stored = self._attach(
            channel, body.get("attachments"), call.files, kept=old["attachments"]
        )
        flags = message.flags & ~LOADING
        if body.get("flags") is not None:
            flags = (flags & ~EDITED_FLAGS) | (body["flags"] & EDITED_FLAGS)
        values: Json = {
            "content": (body["content"] or "") if "content" in body else old["content"],
            "embeds": (body["embeds"] or []) if "embeds" in body else old["embeds"],
            "components": (body["components"] or []) if "components" in body else old["components"],
            "attachments": attachments,
            "flags": flags,
        }
        sent = {key: value for key, value in body.items() if key not in ("content", "embeds") or value}
        check_message(values, sent, creating=False, was_v2=bool(message.flags & COMPONENTS_V2))
        if "components" in body:
            values["components"] = self._echoed(values["components"], attachments)
        self._mention(values, channel, body.get("allowed_mentions"), default)
        kept = {attachment["filename"] for attachment in attachments}
        files = {name: content for name, content in message.files.items() if name in kept} | stored
        self._state.edit(message, values, files=files)

    def _delete_message(self, call: Call, channel_id: str, message_id: str) -> Answer:
        self.remove_message(self._message(channel_id, message_id))
        return NO_CONTENT, None

    def _bulk_delete(self, call: Call, channel_id: str) -> Answer:
        for message_id in call.json["messages"]:
            message = self._state.find(self._channel(channel_id).id, _id(str(message_id)))
            if message is not None:
                self.remove_message(message)
        return NO_CONTENT, None

    def remove_message(self, message: StoredMessage) -> None:
        self._state.delete(message)
        gone = {"id": str(message.id), "channel_id": str(message.channel_id)}
        self.events.append(("MESSAGE_DELETE", gone, GUILD_MESSAGES))

    def _pin(self, call: Call, channel_id: str, message_id: str) -> Answer:
        self._state.edit(self._message(channel_id, message_id), {"pinned": True}, silent=True)
        return NO_CONTENT, None

    def _unpin(self, call: Call, channel_id: str, message_id: str) -> Answer:
        self._state.edit(self._message(channel_id, message_id), {"pinned": False}, silent=True)
        return NO_CONTENT, None

    def _react(self, call: Call, channel_id: str, message_id: str, emoji: str) -> Answer:
        self._message(channel_id, message_id)
        return NO_CONTENT, None

    # Interactions.

    def _callback(self, call: Call, interaction_id: str, token: str) -> Answer:
        interaction = self._interaction(token, callback=True)
        if interaction.callback is not None:
            error = ApiError(400, 40060, "Interaction has already been acknowledged.")
            interaction.refusals.append(error.body)
            raise error
        body, kind = call.json, call.json["type"]
        data = body.get("data") or {}
        message = self._answer_message(interaction, kind, data, call)
        interaction.original = message
        interaction.callback = body
        interaction.answered_after = self._interactions.clock() - interaction.born
        if call.query.get("with_response") not in ("1", "true", "True"):
            return NO_CONTENT, None
        about: Json = {
            "id": str(interaction.id),
            "type": interaction.type,
            "response_message_loading": kind == 5,
            "response_message_ephemeral": bool(message and message.flags & EPHEMERAL),
            "channel_id": str(interaction.channel.id),
            "guild_id": str(interaction.member.guild_id),
        }
        if message is not None:
            about["response_message_id"] = str(message.id)
        resource: Json = {"type": kind}
        if message is not None and kind in (4, 5, 7):
            resource["message"] = message.payload
        return 200, {"interaction": about, "resource": resource}

    def _answer_message(
        self, interaction: Interaction, kind: int, data: Json, call: Call
    ) -> StoredMessage | None:
        """The message that a callback creates or changes."""
        state, channel = self._state, interaction.channel
        if kind == 4:
            hidden = bool((data.get("flags") or 0) & EPHEMERAL)
            return self._post(
                channel,
                state.bot,
                data,
                call.files,
                default=PARSE_USERS,
                hidden=hidden,
                more=self._origin(interaction),
            )
        if kind == 5:
            flags = (data.get("flags") or 0) & EPHEMERAL
            values = {"flags": flags | LOADING, "type": 20} | self._origin(interaction)
            return state.create(channel, state.bot, values, hidden=bool(flags))
        if kind in (6, 7):
            if interaction.source is None:
                raise invalid("type", "There is no message to update.", "INTERACTION_TYPE_INVALID")
            if kind == 7:
                inner = Call(call.method, call.path, call.query, data, call.files)
                self._change(interaction.source, channel, inner, default=PARSE_USERS)
            return interaction.source
        if kind == 8:
            if len(data.get("choices") or ()) > 25:
                raise invalid("data/choices", "Must be 25 or fewer in length.", "BASE_TYPE_BAD_LENGTH")
        elif kind == 9:
            if interaction.type == MODAL:
                raise invalid("type", "A modal cannot answer a modal.", "INTERACTION_TYPE_INVALID")
            check_modal(data)
        else:
            raise invalid("type", f"Unknown callback type {kind}.", "BASE_TYPE_CHOICES")
        return None

    def _origin(self, interaction: Interaction) -> Json:
        about = {
            "id": str(interaction.id),
            "type": interaction.type,
            "user": interaction.member.user.payload(),
            "authorizing_integration_owners": {"0": str(interaction.member.guild_id)},
        }
        return {"interaction_metadata": about, "webhook_id": str(self._state.application_id)}

    def _follow_up(self, call: Call, webhook_id: str, token: str) -> Answer:
        interaction = self._interaction(token)
        if interaction.callback is None:
            raise ApiError(404, 10015, "Unknown Webhook")
        original = interaction.original
        if interaction.callback_type == 5 and original is not None and original.flags & LOADING:
            # The first followup after "thinking" edits the thinking message, and keeps its visibility.
            visible = {key: value for key, value in call.json.items() if key != "flags"}
            visible["flags"] = (call.json.get("flags") or 0) & EDITED_FLAGS
            self._change(
                original,
                interaction.channel,
                Call(call.method, call.path, call.query, visible, call.files),
                default=PARSE_USERS,
            )
            interaction.followups.append(original)
            return 200, original.payload
        hidden = bool((call.json.get("flags") or 0) & EPHEMERAL)
        message = self._post(
            interaction.channel,
            self._state.bot,
            call.json,
            call.files,
            default=PARSE_USERS,
            hidden=hidden,
            more=self._origin(interaction),
        )
        interaction.followups.append(message)
        return 200, message.payload

    def _answer_of(self, token: str, message_id: str) -> tuple[Interaction, StoredMessage]:
        interaction = self._interaction(token)
        if message_id == "@original":
            message = interaction.original
        else:
            message = self._state.every_message.get(_id(message_id))
        if message is None or message.deleted_at is not None:
            raise ApiError(404, 10008, "Unknown Message")
        return interaction, message

    def _get_answer(self, call: Call, webhook_id: str, token: str, message_id: str) -> Answer:
        return 200, self._answer_of(token, message_id)[1].payload

    def _edit_answer(self, call: Call, webhook_id: str, token: str, message_id: str) -> Answer:
        interaction, message = self._answer_of(token, message_id)
        self._change(message, interaction.channel, call, default=PARSE_USERS)
        if message is interaction.original:
            interaction.edits.append(call.json)
        return 200, message.payload

    def _delete_answer(self, call: Call, webhook_id: str, token: str, message_id: str) -> Answer:
        self.remove_message(self._answer_of(token, message_id)[1])
        return NO_CONTENT, None


def _id(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid("id", f"Value {text!r} is not snowflake.", "NUMBER_TYPE_COERCE") from None


def _resolve_media(components: list[Json], by_name: dict[str, Json]) -> None:
    for component in components:
        for holder in (component, *(component.get("items") or ())):
            for key in ("media", "file"):
                link = holder.get(key)
                if isinstance(link, dict) and link["url"].startswith("attachment://"):
                    attachment = by_name[link["url"].removeprefix("attachment://")]
                    holder[key] = {
                        "url": attachment["url"],
                        "proxy_url": attachment["proxy_url"],
                        "attachment_id": attachment["id"],
                    }
                    if key == "file":
                        component["name"], component["size"] = attachment["filename"], attachment["size"]
        _resolve_media(component.get("components") or [], by_name)
        if isinstance(component.get("accessory"), dict):
            _resolve_media([component["accessory"]], by_name)
