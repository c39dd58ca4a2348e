"""Messages at Discord: create, edit, delete, find; every failure in our words.

Every call ends within its deadline. Nobody is pinged but those that a message names for its creation.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp
import discord

from bot.chat.errors import (
    ChannelForbiddenError,
    ChannelGoneError,
    DiscordUnavailableError,
    EditLimitedError,
    MessageGoneError,
    MessageRejectedError,
    ThreadArchivedError,
    ThreadExistsError,
    ThreadLockedError,
)
from bot.chat.pacing import TOO_MANY_REQUESTS
from bot.chat.rendered import Rendered
from bot.chat.replies import NO_MENTIONS, files_of
from bot.chat.wire import Attempt, attempt
from bot.core.errors import MachineError

DEADLINE: Final = timedelta(seconds=15)
"""For one call; reading many pages gets a multiple."""
CLOCK_DIFFERENCE: Final = timedelta(minutes=2)
"""How far our clock may be from Discord's when a message is looked for by its time."""
MOST_LOOKED_AT: Final = 1000
THREAD_SHOWN_MINUTES: Final = 7 * 24 * 60
"""How long Discord keeps a quiet thread in the list of channels: as long as it can."""
MOST_PINGED: Final = 100
"""Of each kind (https://discord.com/developers/docs/resources/message#allowed-mentions-object)."""

_UNKNOWN_CHANNEL: Final = 10003
_UNKNOWN_MESSAGE: Final = 10008
_EDIT_LIMIT: Final = 30046
_ARCHIVED: Final = 50083
_THREAD_EXISTS: Final = 160004
_THREAD_LOCKED: Final = 160005
_TOO_MANY_THREADS: Final = 160006
_OVERLOADED: Final = 130000
_FORBIDDEN: Final = frozenset({50001, 50013})
_NOT_DISCORDS_OWN: Final = frozenset({0, 40333})
"""Codes of a refusal that Discord itself has not written, and of its edge's."""
_SERVICE_UNAVAILABLE: Final = 503
_SERVER_ERRORS: Final = 500


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A message as it stands in a channel."""

    id: int
    author_is_us: bool
    text: str
    """Its content and all texts of its components, a line each."""
    at: datetime


class DiscordMessages:
    """Our messages in the channels of one guild."""

    def __init__(self, client: Callable[[], discord.Client], *, deadline: timedelta = DEADLINE) -> None:
        """Take what returns the client of the moment, or raises `UnavailableError`."""
        self._client = client
        self._deadline = deadline

    async def create(self, channel_id: int, rendered: Rendered, *, nonce: str) -> int:
        """Post a message and return its id; the same nonce within minutes returns the same message."""
        async with self._call(channel_id) as channel:
            message = await channel.send(
                view=rendered.view,
                files=files_of(rendered),
                nonce=nonce,
                silent=rendered.silent,
                allowed_mentions=_pings(rendered),
                **_reply(channel_id, rendered),
            )
        return message.id

    async def edit(self, channel_id: int, message_id: int, rendered: Rendered) -> None:
        """Make a message look like this; its former attachments go."""
        async with self._call(channel_id) as channel:
            await channel.get_partial_message(message_id).edit(
                view=rendered.view, attachments=files_of(rendered), allowed_mentions=NO_MENTIONS
            )

    async def delete(self, channel_id: int, message_id: int) -> None:
        """Delete a message; one that is gone already is fine."""
        try:
            async with self._call(channel_id) as channel:
                await channel.get_partial_message(message_id).delete()
        except MessageGoneError:
            return

    async def start_thread(self, channel_id: int, message_id: int, name: str) -> int:
        """Start the thread of a message and return its id.

        Raises:
            ThreadExistsError: It has one; a message never gets a second one.
        """
        async with self._call(channel_id):
            # discord.py's own way wants the guild from the gateway; this one call needs nothing but ids.
            thread = await self._client().http.start_thread_with_message(
                channel_id, message_id, name=name, auto_archive_duration=THREAD_SHOWN_MINUTES
            )
        return int(thread["id"])

    async def change_thread(
        self, thread_id: int, *, name: str | None = None, archived: bool | None = None
    ) -> None:
        """Rename a thread, archive it or take it out of the archive; what is None stays as it is."""
        wanted: dict[str, Any] = {"name": name, "archived": archived}
        async with self._call(thread_id):
            await self._client().http.edit_channel(
                thread_id, **{key: value for key, value in wanted.items() if value is not None}
            )

    async def unarchive(self, thread_id: int) -> None:
        """Take a thread out of the archive, so that it can be written to."""
        await self.change_thread(thread_id, archived=False)

    async def find(self, channel_id: int, marker: str, *, since: datetime) -> int | None:
        """Return our oldest message after a moment that carries a custom_id, looking at 1000 at most."""
        async with self._call(channel_id, pages=MOST_LOOKED_AT // 100) as channel:
            async for message in self._after(channel, since - CLOCK_DIFFERENCE):
                if self._is_ours(message) and marker in _custom_ids(message.components):
                    return message.id
        return None

    async def history(self, channel_id: int, after: datetime) -> list[MessageSummary]:
        """Return the messages since a moment, oldest first, 1000 at most."""
        async with self._call(channel_id, pages=MOST_LOOKED_AT // 100) as channel:
            return [
                MessageSummary(message.id, self._is_ours(message), _text(message), message.created_at)
                async for message in self._after(channel, after)
            ]

    @asynccontextmanager
    async def _call(self, channel_id: int, *, pages: int = 1) -> AsyncIterator[discord.PartialMessageable]:
        """Give the channel; bound the time and translate the errors of what is done with it."""
        channel = self._client().get_partial_messageable(channel_id)
        deadline = asyncio.timeout(self._deadline.total_seconds() * pages)
        with attempt(deadline) as watched:
            try:
                async with deadline:
                    yield channel
            except discord.HTTPException as error:
                raise _translate(error, channel_id, watched) from error
            except discord.RateLimited as error:
                raise _limited(error.retry_after, watched) from error
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                if watched.limited_for is not None:
                    raise _limited(watched.limited_for, watched) from error
                raise DiscordUnavailableError(
                    "no answer in time" if isinstance(error, TimeoutError) else "the connection broke",
                    outcome_unknown=watched.outcome_unknown,
                ) from error

    def _after(self, channel: discord.PartialMessageable, moment: datetime) -> AsyncIterator[discord.Message]:
        return channel.history(after=moment, oldest_first=True, limit=MOST_LOOKED_AT)

    def _is_ours(self, message: discord.Message) -> bool:
        us = self._client().user
        return us is not None and message.author.id == us.id


def _reply(channel_id: int, rendered: Rendered) -> dict[str, Any]:
    if rendered.reply_to is None:
        return {}
    reference = discord.MessageReference(
        message_id=rendered.reply_to, channel_id=channel_id, fail_if_not_exists=False
    )
    return {"reference": reference}


def _pings(rendered: Rendered) -> discord.AllowedMentions:
    return discord.AllowedMentions(
        everyone=False,
        roles=[discord.Object(role) for role in rendered.ping_roles[:MOST_PINGED]],
        users=[discord.Object(user) for user in rendered.ping_users[:MOST_PINGED]],
        replied_user=False,
    )


def _limited(retry_after: float, watched: Attempt) -> MachineError:
    if watched.outcome_unknown:
        return DiscordUnavailableError("it limits us", outcome_unknown=True, retry_after=retry_after)
    return EditLimitedError(retry_after)


def _translate(  # noqa: PLR0911  # A table of Discord's codes.
    error: discord.HTTPException, channel_id: int, watched: Attempt
) -> MachineError:
    match error.code:
        case code if code == _EDIT_LIMIT:
            return _limited(watched.limited_for or 0.0, watched)
        case code if code == _UNKNOWN_MESSAGE:
            return MessageGoneError("The message was deleted.")
        case code if code == _UNKNOWN_CHANNEL:
            return ChannelGoneError(channel_id)
        case code if code in _FORBIDDEN:
            return ChannelForbiddenError(channel_id)
        case code if code == _ARCHIVED:
            return ThreadArchivedError(channel_id)
        case code if code == _THREAD_LOCKED:
            return ThreadLockedError(channel_id)
        case code if code == _THREAD_EXISTS:
            return ThreadExistsError("The message has a thread already.")
        case code if code == _TOO_MANY_THREADS:
            return MessageRejectedError("The server has as many active threads as Discord allows.")
        case code if code == _OVERLOADED:
            return DiscordUnavailableError("it is overloaded", outcome_unknown=watched.outcome_unknown)
        case _:
            return _translate_status(error, channel_id, watched)


def _translate_status(  # noqa: PLR0911  # A table too.
    error: discord.HTTPException, channel_id: int, watched: Attempt
) -> MachineError:
    match error.status:
        case status if status == TOO_MANY_REQUESTS:
            return DiscordUnavailableError(
                "its edge blocks us",
                outcome_unknown=watched.outcome_unknown,
                retry_after=watched.limited_for,
            )
        case status if status >= _SERVER_ERRORS:
            return DiscordUnavailableError(f"it answered {status}", outcome_unknown=watched.outcome_unknown)
        case 401:
            return DiscordUnavailableError("it refuses the token", outcome_unknown=False)
        case 403 | 404 if error.code in _NOT_DISCORDS_OWN:
            # Its edge or a proxy: the channel is there, and moving every card out of it would be wrong.
            return DiscordUnavailableError("something in between refuses us", outcome_unknown=False)
        case 403:
            return ChannelForbiddenError(channel_id)
        case 404:
            return ChannelGoneError(channel_id)
        case status:
            return MessageRejectedError(f"Discord refuses the message ({status}, code {error.code}).")


def _custom_ids(components: list[Any]) -> set[str]:
    return {name for component in _walk(components) if (name := getattr(component, "custom_id", None))}


def _text(message: discord.Message) -> str:
    texts = [c.content for c in _walk(message.components) if isinstance(c, discord.TextDisplay)]
    return "\n".join(text for text in (message.content, *texts) if text)


def _walk(components: list[Any]) -> list[Any]:
    """Return components with all nested ones; discord.py's types share no base with children."""
    found = []
    for component in components:
        accessory = getattr(component, "accessory", None)
        found += [
            component,
            *_walk(list(getattr(component, "children", ()))),
            *([accessory] if accessory else []),
        ]
    return found
