"""A real Alertmanager and a real Prometheus, as Debian has them, started on free ports."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.ports import free_port
from tests.support.running import TOKEN


def find_program(*names: str) -> str:
    """The program under the first name that is installed; skips the test without it, and fails it in CI."""
    for name in names:
        if found := shutil.which(name):
            return found
    reason = f"{names[0]} is not installed (Debian: {names[0]})"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}: CI must have it")
    pytest.skip(reason)


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session
        self._began = datetime.now(UTC)

    async def fire(self, *alerts: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> None:
        """Say what Prometheus says while a rule is true."""
        await self._post([self._alert(labels, annotations, until=None) for labels in alerts])

    async def resolve(self, *alerts: Mapping[str, str]) -> None:
        """Say what Prometheus says once a rule is no longer true."""
        now = datetime.now(UTC)
        await self._post([self._alert(labels, None, until=now) for labels in alerts])

    def _alert(
        self, labels: Mapping[str, str], annotations: Mapping[str, str] | None, *, until: datetime | None
    ) -> dict[str, Any]:
        ends = until or datetime.now(UTC) + timedelta(minutes=5)
        return {
            "labels": dict(labels),
            "annotations": dict(annotations or {"summary": "A test."}),
            "startsAt": self._began.isoformat(),
            "endsAt": ends.isoformat(),
            "generatorURL": "http://prometheus.example.org/graph",
        }

    async def amtool(self, *arguments: str) -> str:
        """Run amtool against it, as somebody at a terminal would; return what it prints."""
        command = (find_program("amtool"), f"--alertmanager.url={self.url}", *arguments)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed
        return printed.decode().strip()

    async def _post(self, alerts: list[dict[str, Any]]) -> None:
        async with self._session.post(f"{self.url}/api/v2/alerts", json=alerts) as answer:
            assert answer.status == 200, await answer.text()


@contextlib.asynccontextmanager
async def an_alertmanager(
    folder: Path,
    bot_port: int,
    *,
    group_by: tuple[str, ...] = ("alertname",),
    path: str = "",
    port: int | None = None,
) -> AsyncIterator[Alertmanager]:
    """Run one whose only receiver is the bot, as the README describes it, only more hasty.

    The same folder and port again make it one that was restarted.
    """
    program = find_program("prometheus-alertmanager", "alertmanager")
    port = port or free_port()
    webhook = {
        "url": f"http://127.0.0.1:{bot_port}/webhooks/alertmanager{path}",
        "http_config": {"authorization": {"credentials": TOKEN}},
        "send_resolved": True,
    }
    config = folder / "alertmanager.yml"
    config.write_text(
        yaml.safe_dump(
            {
                # A peer is believed that an alert is over once it is up for that long.
                "global": {"resolve_timeout": "1s"},
                "route": {
                    "receiver": "discord",
                    "group_by": list(group_by),
                    "group_wait": "1s",
                    "group_interval": "2s",
                    "repeat_interval": "1h",
                },
                "receivers": [{"name": "discord", "webhook_configs": [webhook]}],
            }
        ),
        encoding="utf-8",
    )
    arguments = (
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    async with _program(folder / "alertmanager.log", program, *arguments), aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}"
        await _until_ready(session, f"{url}/-/ready")
        yield Alertmanager(url, session)


@contextlib.asynccontextmanager
async def a_prometheus(folder: Path, bot_port: int, *, path_prefix: str) -> AsyncIterator[None]:
    """Run one that takes the bot for an Alertmanager, a mistake that people make; its rule always fires."""
    program = find_program("prometheus")
    port = free_port()
    rules = folder / "rules.yml"
    rules.write_text(
        yaml.safe_dump(
            {
                "groups": [
                    {"name": "all", "interval": "1s", "rules": [{"alert": "Always", "expr": "vector(1)"}]}
                ]
            }
        ),
        encoding="utf-8",
    )
    config = folder / "prometheus.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"evaluation_interval": "1s"},
                "rule_files": [str(rules)],
                "alerting": {
                    "alertmanagers": [
                        {
                            "path_prefix": path_prefix,
                            "authorization": {"credentials": TOKEN},
                            "static_configs": [{"targets": [f"127.0.0.1:{bot_port}"]}],
                        }
                    ]
                },
            }
        ),
        encoding="utf-8",
    )
    arguments = (
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        # Its first alert is sent before it has learnt where its Alertmanagers are.
        "--rules.alert.resend-delay=1s",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    async with _program(folder / "prometheus.log", program, *arguments):
        yield


@contextlib.asynccontextmanager
async def _program(log: Path, *command: str) -> AsyncIterator[None]:
    # The loop may wait for this file.
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(*command, stdout=stream, stderr=stream)
    try:
        yield
    except TimeoutError as error:
        error.add_note(log.read_text(encoding="utf-8", errors="replace")[-3000:])  # noqa: ASYNC240  # At the end.
        raise
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(15):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            # It says so in no other way.
            await asyncio.sleep(0.05)
