"""Time and turns in the simulated Discord: whoever acts there waits for the others.

SimCord lets one thing happen at a time and refuses the second: a click, a
colleague's command, the clock.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import simcord

from bot.core.clock import Clock
from bot.demo.page import is_looked_at, make_lively, make_room

_EVERY_SECONDS = 0.25
_BETWEEN_PUBLICATIONS_SECONDS = 0.6
_WITHOUT_NEWS_SECONDS = 5.0
"""How often a page is published on which nothing happens but that time passes."""


class Stage:
    """The simulated Discord as long as it is looked at."""

    def __init__(self, env: simcord.Env, clock: Clock) -> None:
        """Take a running environment and the clock that it is to follow."""
        self.env = env
        self.turn = asyncio.Lock()
        """Held by whoever acts."""
        self._clock = clock
        self._previews: list[simcord.Preview] = []
        self._published_at = 0.0
        self._published = 0

    @asynccontextmanager
    async def page(
        self,
        channel: simcord.ChannelHandle,
        *viewers: simcord.MemberActor,
        port: int,
        timezone: str,
    ) -> AsyncIterator[simcord.Preview]:
        """Serve the page of a channel; raises `SetupError` if it cannot."""
        make_room(self.env)
        preview = self.env.preview(channel, viewers=viewers, layout="channel", port=port, timezone=timezone)
        make_lively(preview, self.turn)
        async with preview:
            self._previews.append(preview)
            try:
                yield preview
            finally:
                self._previews.remove(preview)

    async def until_looked_at(self) -> None:
        """Return once a browser shows a page."""
        while not any(map(is_looked_at, self._previews)):  # noqa: ASYNC110 (SimCord tells nobody)
            await asyncio.sleep(_EVERY_SECONDS)

    def find_message(self, channel: simcord.ChannelHandle, *said: str) -> str | None:
        """Return the components of the newest public message that has these texts in it, as JSON."""
        messages = self.env.backend.messages.get(channel.id, {})
        for _, message in sorted(messages.items(), reverse=True):
            written = json.dumps(message.components, ensure_ascii=False)
            if not message.is_ephemeral and all(text in written for text in said):
                return written
        return None

    async def follow_clock(self) -> None:
        """Bring the simulated Discord to the clock's moment."""
        async with self.turn:
            await self._advance()

    async def run(self) -> NoReturn:
        """Let time pass and the page show what happened, until cancelled."""
        while True:
            # What takes longer than SimCord waits for goes on, and is shown the next time.
            with suppress(TimeoutError):
                async with self.turn:
                    await self._advance()
                    await self._publish()
            await asyncio.sleep(_EVERY_SECONDS)

    async def _advance(self) -> None:
        late = (self._clock.now() - self.env.now()).total_seconds()
        if late > 0:
            await self.env.advance_time(late)

    async def _publish(self) -> None:
        happened, now = len(self.env.backend.transcript), time.monotonic()
        pause = _BETWEEN_PUBLICATIONS_SECONDS if happened != self._published else _WITHOUT_NEWS_SECONDS
        if now - self._published_at < pause:
            return
        self._published, self._published_at = happened, now
        for preview in filter(is_looked_at, self._previews):
            with suppress(simcord.SetupError):  # The page was closed meanwhile.
                await preview.refresh()
