"""How soon it is ready, and what memory it holds then."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.figures import Figure, at_most
from tests.bench.system import Place, discord, machine, resident_mib

_TIMES = 3
_QUIET_SECONDS = 5
_LIBRARIES = "aiohttp, discord.ext.commands, sqlalchemy.ext.asyncio, pydantic, alembic.command, structlog"


async def measure(place: Place, folder: Path) -> AsyncIterator[Figure]:
    """Start several times: first on an empty database, then on the same one."""
    imported, libraries = await _libraries()
    async with discord() as there:
        took: list[float] = []
        url = await place.fresh()
        for _ in range(_TIMES):
            async with machine(folder, url, there) as bot:
                await bot.wait_ready(there)
                took.append(bot.ready_after)
                if len(took) == _TIMES:
                    await asyncio.sleep(_QUIET_SECONDS)
                    idle = bot.resident_mib
        baseline = f"importing the libraries: {imported:.1f} s"
        yield at_most(f"start to ready, new database, {place.name}", took[0], 4, "s", baseline=baseline)
        yield at_most(f"start to ready, {place.name}", max(took[1:]), 4, "s", baseline=baseline)
        baseline = f"the libraries: {libraries:.0f} MiB"
        yield at_most(f"resident, idle, {place.name}", idle, 140, "MiB", baseline=baseline)


async def _libraries() -> tuple[float, float]:
    """Return the seconds and the MiB that the libraries alone take."""
    program = f"import {_LIBRARIES}; print(flush=True); input()"
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    took, held = time.perf_counter() - began, resident_mib(process.pid)
    await process.communicate(b"\n")
    return took, held
