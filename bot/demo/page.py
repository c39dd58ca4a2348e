"""SimCord's page, made to feel like Discord's: clicks are taken, and ages grow.

SimCord publishes when asked to, and refuses a click on what was published
before that. There is no public way to change it; this is written for
simcord 3.2.1, which is pinned.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import simcord
from discord import app_commands

from bot.core.errors import MachineError

_MINUTE_SECONDS = 60
_STEP_SECONDS = 5
"""How often an age below a minute is drawn anew."""


def make_lively(preview: simcord.Preview, turn: asyncio.Lock) -> None:
    """Have the page's clicks take turns with the rest, and its ages be drawn as they change."""
    act, publish = preview._action, preview._publish  # noqa: SLF001

    async def act_in_turn(context_id: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        async with turn:
            # What happens now is told to the page on which it was asked for.
            preview.env._preview = preview  # noqa: SLF001
            page = preview._pages.get(context_id or "")  # noqa: SLF001
            if page is not None and isinstance(body, dict):
                body = {**body, "published_revision": page.revision}
            return await act(context_id, body)

    def publish_ages(page: Any, **options: Any) -> None:
        # Of several pages SimCord moves the time of one alone.
        preview._advance_presentation_time()  # noqa: SLF001
        publish(page, **options)
        for message in page.snapshot.get("messages", {}).values():
            # The page draws a message anew when anything of it has changed.
            message["ages"] = sorted(ages(message, preview.capture_time))

    preview._action = act_in_turn  # type: ignore[method-assign]  # noqa: SLF001
    preview._publish = publish_ages  # type: ignore[method-assign]  # noqa: SLF001


def make_room(env: simcord.Env) -> None:
    """Have the environment take one more page: it knows of one at a time."""
    env._preview = None  # noqa: SLF001


def is_looked_at(preview: simcord.Preview) -> bool:
    """Tell whether a browser shows the page; SimCord's own look at it counts as a page too."""
    return len(preview._pages) > 1  # noqa: SLF001


def take_refusals_for_answers(env: simcord.Env) -> None:
    """Have only bugs count as errors: after an error the page takes no more commands.

    To be called before a bot lives there.
    """
    record = env._record_error  # noqa: SLF001

    def record_bugs(error: BaseException) -> None:
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        if not isinstance(cause, MachineError):
            record(error)

    env._record_error = record_bugs  # type: ignore[method-assign]  # noqa: SLF001


def ages(node: Any, now: datetime) -> Iterator[int]:
    """Yield a number for each relative time in a message, another one when it reads differently."""
    if isinstance(node, list):
        for item in node:
            yield from ages(item, now)
    elif isinstance(node, dict):
        if node.get("type") == "timestamp" and node.get("style") == "R":
            seconds = int(now.timestamp()) - int(node["unix"])
            step = _STEP_SECONDS if seconds < _MINUTE_SECONDS else _MINUTE_SECONDS
            yield seconds - seconds % step
        for item in node.values():
            yield from ages(item, now)
