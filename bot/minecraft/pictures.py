"""Having the past of a server drawn, in a process of its own and in time; only with the extra `graphs`."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import structlog

from bot.minecraft.history import Past

log = structlog.get_logger(__name__)

_DEADLINE: Final = timedelta(seconds=20)
"""The first picture after an installation waits for a cache of fonts."""
_LARGEST: Final = 4 * 1024 * 1024
_MOST_POINTS: Final = 2000
_KEPT: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "TMPDIR",
    "SYSTEMROOT",
    "VIRTUAL_ENV",
    "PYTHONPATH",
)
"""What the program needs of our environment; it is told no secret."""


class Pictures:
    """Draws one picture at a time."""

    def __init__(
        self,
        *,
        zone: Callable[[], str] = lambda: "UTC",
        within: timedelta = _DEADLINE,
        is_possible: bool | None = None,
    ) -> None:
        """Take the name of the time zone in which times are told, and how long one may take."""
        self._zone = zone
        self.is_possible = find_spec("matplotlib") is not None if is_possible is None else is_possible
        self._within = within
        self._drawing = asyncio.Semaphore(1)

    async def draw(self, past: Past) -> bytes | None:
        """Return a picture, or None where none can be had: the facts are there as text as well."""
        if not self.is_possible or not past.is_known:
            return None
        try:
            async with asyncio.timeout(self._within.total_seconds()), self._drawing:
                return await _drawn(json.dumps(told_of(past, self._zone())).encode())
        except TimeoutError:
            log.warning("picture_too_late", server=past.server)
        except OSError as error:
            log.warning("picture_failed", server=past.server, why=type(error).__name__)
        return None


def told_of(past: Past, zone: str) -> Mapping[str, Any]:
    """Return what the drawing program is told: moments in seconds, None where nothing is known."""
    at: list[float] = []
    players: list[float | None] = []
    last_end = past.start
    # More points than pixels show nothing; the highest of those that fall together counts.
    least = (past.end - past.start).total_seconds() / _MOST_POINTS
    for stretch in past.stretches:
        value = None if stretch.is_down or not stretch.up else float(stretch.peak)
        if stretch.start > last_end:
            at.append(last_end.timestamp())
            players.append(None)
        before = players[-1] if players else None
        if at and before is None and value is None:
            pass  # The gap goes on.
        elif before is not None and value is not None and stretch.start.timestamp() - at[-1] < least:
            players[-1] = max(before, value)
        else:
            at.append(stretch.start.timestamp())
            players.append(value)
        last_end = stretch.end
    at.append(last_end.timestamp())
    players.append(players[-1] if players else None)
    return {
        "zone": zone,
        "title": f"{past.server} · {past.period.value}",
        "start": past.start.timestamp(),
        "end": past.end.timestamp(),
        "at": at,
        "players": players,
        "down": list(_downtimes(past)),
        "peak": past.peak,
        "peak_at": past.peak_at.timestamp() if past.peak_at is not None else None,
    }


def _downtimes(past: Past) -> Iterator[tuple[float, float]]:
    """Return when it was seen to be down: of outages, without the time in which nobody looked."""
    began = ended = None
    for stretch in past.stretches:
        if not stretch.is_down:
            continue
        if ended is not None and began is not None and stretch.start > ended:
            yield began.timestamp(), ended.timestamp()
            began = None
        began, ended = began or stretch.start, stretch.end
    if began is not None and ended is not None:
        yield began.timestamp(), ended.timestamp()


async def _drawn(told: bytes) -> bytes | None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # Where it happens to run is no place to import from.
        "-m",
        "bot.minecraft.drawing",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
        limit=_LARGEST,
    )
    try:
        picture, problem = await process.communicate(told)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode != 0 or len(picture) > _LARGEST:
        log.warning("picture_failed", status=process.returncode, why=problem.decode(errors="replace")[-300:])
        return None
    return picture


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # Where the root is read-only, the cache of fonts goes where files of a moment go.
    fonts = os.environ.get("MPLCONFIGDIR") or str(Path(tempfile.gettempdir()) / "the-machine-fonts")
    return {**kept, "MPLCONFIGDIR": fonts, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
