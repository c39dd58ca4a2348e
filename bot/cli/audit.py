"""`machine audit verify [--offline] [--since DAY]`."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from typing import Any

import aiohttp

from bot.cli.configuration import add_config_argument, load_configuration
from bot.core.errors import BrokenError, UnavailableError
from bot.database.engine import Database
from bot.journal.model import PostedHead, Verdict, find_posted_heads
from bot.journal.service import list_vanished, verify_journal
from bot.settings.tree import Settings

_PAGE = 100
_DEADLINE_SECONDS = 15
_TRIES = 5
_LONGEST_PAUSE_SECONDS = 60.0
_TEXT_DISPLAY = 10  # https://discord.com/developers/docs/components/reference
_DISCORD_EPOCH_MS = 1_420_070_400_000

Sleep = Callable[[float], Awaitable[None]]


def add_arguments(parser: ArgumentParser) -> None:
    """Take `verify` and how far it goes."""
    verify = parser.add_subparsers(required=True, metavar="verify").add_parser(
        "verify",
        help="Compute the record's chain anew and compare it with the heads in the audit channel.",
        description="Says whether the record of what people did is whole. What the bot did by itself "
        "stands outside the chain and is not covered.",
    )
    add_config_argument(verify)
    verify.add_argument(
        "--offline", action="store_true", help="do not ask Discord: check only that the record fits itself"
    )
    verify.add_argument(
        "--since",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="compare only heads of this day and later, as after a new database was begun",
    )


def run(arguments: Namespace) -> int:
    """Print what was found: 0 intact, 1 tampered with."""
    settings = load_configuration(arguments).settings
    return asyncio.run(verify(settings, offline=arguments.offline, since=arguments.since))


async def verify(settings: Settings, *, offline: bool = False, since: date | None = None) -> int:
    """Check the journal of a configuration and print what was found; returns the exit code."""
    # The channel first: the journal may grow meanwhile, but never shrink.
    posted = [] if offline else await read_posted_heads(settings, since=since)
    async with Database(settings.database.url.get_secret_value()) as database:
        verdict = await verify_journal(database, posted)
        vanished = [] if offline else await list_vanished(database, posted)
    for line in _report(verdict, [head for head in vanished if since is None or head.day >= since]):
        print(line)
    if not verdict.posted_compared:
        why = "as asked" if offline else f"no head was found in #{settings.notices_channel}"
        print(
            f"Only internal consistency was checked ({why}): that the newest entries were cut off, "
            "or the whole record was written anew, shows only against heads that were posted."
        )
    return 0 if verdict.intact else 1


def _report(verdict: Verdict, vanished: list[PostedHead]) -> Iterator[str]:
    for fault in verdict.faults:
        yield f"TAMPERED: {fault.text}"
    for head in vanished:
        yield f"Warning: the head of {head.day.isoformat()} was posted, but its message is not there any more"
    checked = f"{verdict.head.seq} entries were read, {verdict.posted_compared} posted heads compared"
    if not verdict.intact:
        yield f"The record was tampered with; {checked}."
        return
    yield f"The record is intact: {checked}."
    if verdict.head.seq:
        yield f"Its head is entry {verdict.head.seq}, sha256 {verdict.head.hash}"


async def read_posted_heads(
    settings: Settings, *, since: date | None = None, sleep: Sleep = asyncio.sleep
) -> list[PostedHead]:
    """Return the heads that the bot itself posted to the audit channel.

    Raises:
        UnavailableError: Discord does not answer.
        BrokenError: Discord refuses.
    """
    channel = settings.discord.channels[settings.notices_channel]
    heads: list[PostedHead] = []
    headers = {
        "Authorization": f"Bot {settings.discord.token.get_secret_value()}",
        "User-Agent": "DiscordBot (https://github.com/, 0)",
    }
    async with aiohttp.ClientSession(headers=headers) as session:
        discord = _Discord(session, settings.discord.api_url, sleep)
        myself = str((await discord.get("/users/@me", {}))["id"])
        async for message in discord.list_messages(channel, since):
            if str(message.get("author", {}).get("id")) == myself:
                heads += [head for text in message_texts(message) for head in find_posted_heads(text)]
    return [head for head in heads if since is None or head.day >= since]


def message_texts(message: Any) -> Iterator[str]:
    """Return every text of a message: its content and its text displays, however deep."""
    if not isinstance(message, dict):
        return
    is_display = message.get("type") == _TEXT_DISPLAY or "author" in message
    if is_display and isinstance(message.get("content"), str):
        yield message["content"]
    for component in message.get("components") or ():
        yield from message_texts(component)


class _Discord:
    """Reads from Discord's API, patiently."""

    def __init__(self, session: aiohttp.ClientSession, api_url: str, sleep: Sleep) -> None:
        self._session = session
        self._api_url = api_url
        self._sleep = sleep

    async def list_messages(self, channel: str, since: date | None) -> AsyncIterator[dict[str, Any]]:
        """Return the messages of a channel, newest first, to the first one or to a day."""
        oldest = _first_id_of(since) if since else 0
        query = {"limit": str(_PAGE)}
        while True:
            page = await self.get(f"/channels/{channel}/messages", query)
            for message in page:
                yield message
            if len(page) < _PAGE or int(page[-1]["id"]) < oldest:
                return
            query["before"] = str(page[-1]["id"])

    async def get(self, path: str, query: dict[str, str]) -> Any:
        """Return the JSON that a path answers with; waits where Discord asks for it."""
        for _ in range(_TRIES):
            async with _translated(), self._session.get(self._api_url + path, params=query) as response:
                if response.status == 200:  # noqa: PLR2004 (HTTP's)
                    found = await response.json(content_type=None)
                    pause = _pause_after(response, "X-RateLimit-Reset-After")
                    is_last = response.headers.get("X-RateLimit-Remaining") == "0"
                elif response.status == 429:  # noqa: PLR2004 (HTTP's)
                    found, is_last = None, True
                    pause = _pause_after(response, "Retry-After")
                else:
                    raise _refusal(response.status)
            if is_last:
                await self._sleep(pause)
            if found is not None:
                return found
        raise UnavailableError("Discord asks to wait again and again; try again in a minute")


def _pause_after(response: aiohttp.ClientResponse, header: str) -> float:
    try:
        asked = float(response.headers.get(header, "1"))
    except ValueError:
        asked = 1.0
    return min(max(asked, 0.0), _LONGEST_PAUSE_SECONDS)


def _refusal(status: int) -> UnavailableError | BrokenError:
    if status >= 500:  # noqa: PLR2004 (HTTP's)
        return UnavailableError(f"Discord answers {status}; try again later, or check with --offline")
    advice = {
        401: "Discord does not know the token; copy it again from the developer portal, page Bot",
        403: "the bot may not read the audit channel; grant it VIEW_CHANNEL and READ_MESSAGE_HISTORY",
        404: "Discord knows no such channel; check discord.channels.audit",
    }
    return BrokenError(advice.get(status, f"Discord answers {status} to a plain question"))


def _first_id_of(day: date) -> int:
    moment = datetime.combine(day, time(), UTC)
    return (int(moment.timestamp() * 1000) - _DISCORD_EPOCH_MS) << 22


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            yield
    except TimeoutError as error:
        raise UnavailableError("Discord does not answer; try again later, or check with --offline") from error
    except (aiohttp.ClientError, OSError) as error:
        raise UnavailableError("Discord cannot be reached; check the network, or use --offline") from error
    except ValueError as error:
        raise BrokenError("Discord answers no JSON; check discord.api_url") from error
