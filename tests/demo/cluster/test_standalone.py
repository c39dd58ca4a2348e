"""The cluster runs by itself, and whoever has its kubeconfig is known there."""

import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.support.api import an_api


async def test_it_prints_a_kubeconfig_and_ends_at_sigterm():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.demo.cluster", "--applications", "2", stdout=asyncio.subprocess.PIPE
    )
    try:
        told = json.loads(await process.stdout.readline())
        async with an_api(Path(told["kubeconfig"])) as api:
            listed = (await api.get(api.apps())).json
        assert [item["metadata"]["name"] for item in listed["items"]] == ["checkout", "payments"]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert not await asyncio.to_thread(Path(told["kubeconfig"]).exists)
    finally:
        if process.returncode is None:
            process.kill()
