"""People using the bot: clicks, selections, commands, completion and forms, and what the bot made of them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tests.simulators.discord.state import EPHEMERAL, Channel, Json, Member, State, StoredMessage, User, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulators.discord.gateway import Gateway

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
ATTACHMENT_SIZE_LIMIT = 10 * 1024 * 1024

SUBCOMMAND, GROUP = 1, 2
OPTION_USER, OPTION_CHANNEL, OPTION_ROLE, OPTION_MENTIONABLE = 6, 7, 8, 9

BUTTON, MODAL_LABEL = 2, 18


class WaitFor(Protocol):
    """Wait until a condition holds that changes with the server's state."""

    async def __call__(self, predicate: Callable[[], Any], timeout: float = 5.0) -> Any: ...


@dataclass(slots=True, eq=False)
class Interaction:
    """One interaction and everything the bot answered to it so far."""

    id: int
    token: str
    type: int
    channel: Channel
    member: Member
    born: float
    wait_for: WaitFor
    source: StoredMessage | None = None
    callback: Json | None = None
    """The body of the callback, None until it came."""
    answered_after: float | None = None
    """Seconds between the dispatch and the callback."""
    original: StoredMessage | None = None
    edits: list[Json] = field(default_factory=list)
    """The bodies of the edits of `@original`, in order."""
    followups: list[StoredMessage] = field(default_factory=list)
    refusals: list[Json] = field(default_factory=list)
    """Answers of Discord's to this interaction that were errors (10062, 40060, …)."""

    @property
    def acknowledged(self) -> bool:
        return self.callback is not None

    @property
    def callback_type(self) -> int | None:
        return None if self.callback is None else int(self.callback["type"])

    @property
    def deferred(self) -> bool:
        return self.callback_type in (5, 6)

    @property
    def ephemeral(self) -> bool:
        """Whether only the asker sees the answer."""
        if self.callback_type in (4, 5) and self.original is not None:
            return bool(self.original.flags & EPHEMERAL)
        return any(message.flags & EPHEMERAL for message in self.followups)

    @property
    def modal(self) -> Json | None:
        return self.callback["data"] if self.callback is not None and self.callback_type == 9 else None

    @property
    def choices(self) -> list[Json]:
        assert self.callback is not None
        return list(self.callback["data"].get("choices") or [])

    @property
    def text(self) -> str:
        """What the asker reads: the answer, then the followups."""
        messages = ([self.original] if self.original else []) + self.followups
        return "\n".join(message.text for message in messages)

    async def edited(self, times: int = 1, *, timeout: float = 5.0) -> StoredMessage:
        """Wait until `@original` was edited so often; gives the message."""
        await self.wait_for(lambda: len(self.edits) >= times, timeout)
        assert self.original is not None
        return self.original

    async def followed_up(self, times: int = 1, *, timeout: float = 5.0) -> StoredMessage:
        """Wait for so many followups; gives the last of them."""
        await self.wait_for(lambda: len(self.followups) >= times, timeout)
        return self.followups[times - 1]

    async def answered(self, *, timeout: float = 5.0) -> StoredMessage:
        """Wait until the asker has something to read: an answer, an edit after a defer, or a followup."""
        await self.wait_for(
            lambda: self.edits or self.followups or self.callback_type in (4, 7),
            timeout,
        )
        if self.followups and not self.edits and self.callback_type not in (4, 7):
            return self.followups[-1]
        assert self.original is not None
        return self.original


class Interactions:
    """Creates interactions, delivers them, and finds them again by token."""

    def __init__(self, state: State, gateway: Gateway, wait_for: WaitFor) -> None:
        self._state = state
        self._gateway = gateway
        self._wait_for = wait_for
        self.by_token: dict[str, Interaction] = {}
        self.answer_seconds = 3.0
        self.token_seconds = 900.0
        self.clock: Callable[[], float] = time.monotonic

    async def click(
        self, message: StoredMessage, custom_id: str, member: Member, *, timeout: float
    ) -> Interaction:
        component = message.component(custom_id)
        _clickable(component)
        data = {"custom_id": custom_id, "component_type": BUTTON, "id": component.get("id", 0)}
        return await self._send(
            COMPONENT, data, self._channel_of(message), member, source=message, timeout=timeout
        )

    async def select(
        self, message: StoredMessage, custom_id: str, values: Sequence[str], member: Member, *, timeout: float
    ) -> Interaction:
        component = message.component(custom_id)
        _clickable(component)
        offered = {option["value"] for option in component.get("options") or ()}
        if component["type"] == 3 and not set(values) <= offered:
            raise ValueError(f"{sorted(set(values) - offered)} is not offered, only {sorted(offered)}")
        data: Json = {
            "custom_id": custom_id,
            "component_type": component["type"],
            "id": component.get("id", 0),
            "values": list(values),
        }
        if component["type"] != 3:
            data["resolved"] = self._resolved(member, values)
        return await self._send(
            COMPONENT, data, self._channel_of(message), member, source=message, timeout=timeout
        )

    async def slash(
        self,
        names: Sequence[str],
        options: Mapping[str, Any],
        channel: Channel,
        member: Member,
        *,
        focused: str | None = None,
        timeout: float,
    ) -> Interaction:
        data = self._command_data(names, options, channel, member, focused)
        kind = COMMAND if focused is None else AUTOCOMPLETE
        return await self._send(kind, data, channel, member, timeout=timeout)

    async def submit_modal(
        self, opened: Interaction, values: Mapping[str, str | Sequence[str]], *, timeout: float
    ) -> Interaction:
        """Fill the form that answered `opened`; what is not given keeps its default value."""
        modal = opened.modal
        if modal is None:
            raise ValueError("that interaction was not answered with a modal")
        known = {c["custom_id"] for c in walk(modal["components"]) if "custom_id" in c}
        if not set(values) <= known:
            raise LookupError(f"the modal has no {sorted(set(values) - known)}, only {sorted(known)}")
        data = {
            "custom_id": modal["custom_id"],
            "components": [_filled(component, values) for component in modal["components"]],
        }
        return await self._send(
            MODAL, data, opened.channel, opened.member, source=opened.source, timeout=timeout
        )

    def expired(self, interaction: Interaction, *, callback: bool) -> bool:
        allowed = self.answer_seconds if callback else self.token_seconds
        return self.clock() - interaction.born > allowed

    def _channel_of(self, message: StoredMessage) -> Channel:
        return self._state.channels[message.channel_id]

    async def _send(
        self,
        kind: int,
        data: Json,
        channel: Channel,
        member: Member,
        *,
        source: StoredMessage | None = None,
        timeout: float,
    ) -> Interaction:
        await self._wait_for(lambda: self._gateway.ready, timeout)
        interaction = Interaction(
            self._state.ids.next(),
            secrets.token_urlsafe(48),
            kind,
            channel,
            member,
            self.clock(),
            self._wait_for,
            source,
        )
        self.by_token[interaction.token] = interaction
        await self._gateway.dispatch("INTERACTION_CREATE", self._payload(interaction, data))
        await self._wait_for(lambda: interaction.acknowledged, timeout)
        return interaction

    def _payload(self, interaction: Interaction, data: Json) -> Json:
        member, channel, state = interaction.member, interaction.channel, self._state
        permissions = str(state.permissions_of(member))
        payload: Json = {
            "id": str(interaction.id),
            "application_id": str(state.application_id),
            "type": interaction.type,
            "token": interaction.token,
            "version": 1,
            "attachment_size_limit": ATTACHMENT_SIZE_LIMIT,
            "guild_id": str(member.guild_id),
            "guild": {"id": str(member.guild_id), "locale": "en-US", "features": []},
            "guild_locale": "en-US",
            "locale": "en-US",
            "channel_id": str(channel.id),
            "channel": channel.payload() | {"permissions": permissions},
            "member": member.payload() | {"permissions": permissions},
            "app_permissions": str(state.permissions_of(state.guilds[member.guild_id].members[state.bot.id])),
            "authorizing_integration_owners": {"0": str(member.guild_id)},
            "context": 0,
            "entitlements": [],
            "data": data,
        }
        if interaction.source is not None:
            payload["message"] = interaction.source.payload
        return payload

    def _command_data(
        self,
        names: Sequence[str],
        options: Mapping[str, Any],
        channel: Channel,
        member: Member,
        focused: str | None,
    ) -> Json:
        command = self._command(names[0], member.guild_id)
        chain, described = [command], command.get("options") or []
        for name in names[1:]:
            step = next(
                (o for o in described if o["name"] == name and o["type"] in (SUBCOMMAND, GROUP)), None
            )
            if step is None:
                raise LookupError(
                    f"/{' '.join(names)}: there is no {name!r} in {[o['name'] for o in described]}"
                )
            chain.append(step)
            described = step.get("options") or []
        given = [self._option(described, name, value, focused) for name, value in options.items()]
        missing = {o["name"] for o in described if o.get("required")} - set(options)
        if missing and focused is None:
            raise ValueError(f"/{' '.join(names)} needs {sorted(missing)}")
        for step in reversed(chain[1:]):
            given = [{"name": step["name"], "type": step["type"], "options": given}]
        data: Json = {"id": command["id"], "name": command["name"], "type": 1, "options": given}
        if command.get("guild_id"):
            data["guild_id"] = command["guild_id"]
        identifiers = [
            str(options[o["name"]])
            for o in described
            if o["name"] in options
            and o["type"] in (OPTION_USER, OPTION_CHANNEL, OPTION_ROLE, OPTION_MENTIONABLE)
        ]
        if identifiers:
            data["resolved"] = self._resolved(member, identifiers)
        return data

    def _command(self, name: str, guild_id: int) -> Json:
        synced = self._state.commands.get(guild_id, []) + self._state.commands[None]
        for command in synced:
            if command["name"] == name and command.get("type", 1) == 1:
                return command
        raise LookupError(f"/{name} was not synced, only {[command['name'] for command in synced]}")

    def _option(self, described: list[Json], name: str, value: Any, focused: str | None) -> Json:
        option = next((o for o in described if o["name"] == name), None)
        if option is None:
            raise LookupError(f"there is no option {name!r}, only {[o['name'] for o in described]}")
        choices = [choice["value"] for choice in option.get("choices") or ()]
        if choices and value not in choices and focused is None:
            raise ValueError(f"{name}: {value!r} is none of {choices}")
        if option["type"] in (OPTION_USER, OPTION_CHANNEL, OPTION_ROLE, OPTION_MENTIONABLE):
            value = str(value)
        sent: Json = {"name": name, "type": option["type"], "value": value}
        if name == focused:
            sent["focused"] = True
        return sent

    def _resolved(self, member: Member, identifiers: Sequence[str]) -> Json:
        state, guild = self._state, self._state.guilds[member.guild_id]
        resolved: Json = {"users": {}, "members": {}, "roles": {}, "channels": {}}
        for text in identifiers:
            identifier = int(text)
            if identifier in guild.members:
                found = guild.members[identifier]
                resolved["users"][text] = found.user.payload()
                shown = found.payload() | {"permissions": str(state.permissions_of(found))}
                del shown["user"]
                resolved["members"][text] = shown
            elif identifier in state.users:
                resolved["users"][text] = state.users[identifier].payload()
            elif identifier in guild.roles:
                resolved["roles"][text] = guild.roles[identifier].payload()
            elif identifier in state.channels:
                resolved["channels"][text] = state.channels[identifier].payload() | {"permissions": "0"}
        return {kind: found for kind, found in resolved.items() if found}


def member_of(state: State, person: Member | User, guild_id: int | None) -> Member:
    if isinstance(person, Member):
        return person
    return state.guilds[guild_id or 0].members[person.id]


def _clickable(component: Json) -> None:
    if component.get("disabled"):
        raise ValueError(f"{component['custom_id']!r} is disabled")


def _filled(component: Json, values: Mapping[str, str | Sequence[str]]) -> Json:
    """A component of a modal as it comes back."""
    filled: Json = {"type": component["type"], "id": component.get("id", 0)}
    if component["type"] == MODAL_LABEL:
        return filled | {"component": _filled(component["component"], values)}
    if component["type"] == 1:
        return filled | {"components": [_filled(child, values) for child in component["components"]]}
    if "custom_id" not in component:
        return filled
    given = values.get(component["custom_id"])
    filled["custom_id"] = component["custom_id"]
    if component["type"] == 4:
        return filled | {"value": given if given is not None else component.get("value") or ""}
    preset = [option["value"] for option in component.get("options") or () if option.get("default")]
    return filled | {"values": list(given) if given is not None else preset}
