"""The whole bot against the loopback Discord: in this process, or as a process of its own that can be killed."""

import asyncio
import contextlib
import io
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from bot.app import App
from bot.chat.connection import DiscordConnection, Patience
from bot.core.clock import SystemClock
from bot.database.engine import Database
from bot.settings.load import load_settings
from tests.simulators.discord.redirect import redirected
from tests.simulators.discord.server import DiscordServer
from tests.simulators.discord.state import THREAD, Channel, StoredMessage
from tests.support.chat import GUILD_ID

TOKEN = "the-webhook-token"
CHANNELS = ("alerts", "critical", "audit")
ROOT = Path(__file__).parents[2]
_TIRED_AFTER = 90.0

QUICK = Patience(
    first=timedelta(milliseconds=50),
    longest=timedelta(milliseconds=200),
    hopeless=timedelta(milliseconds=300),
)


class Town:
    """A simulated Discord with the channels, roles and people that a configuration names."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        guild = server.add_guild("Home", guild_id=GUILD_ID)
        self.channels = {name: server.add_channel(name, guild=guild) for name in CHANNELS}
        self.operators = server.add_role("operators", mentionable=True)
        self.oncall = server.add_role("oncall", mentionable=True)
        self.ada = server.add_member("ada", roles=[self.operators])
        self.guest = server.add_member("guest")

    def configuration(self, database_url: str, *, port: int = 0, **sections: Any) -> dict[str, Any]:
        """What the bot is told of this place; `sections` replace whole sections."""
        return {
            "discord": {
                "token": self.server.token,
                "guild": str(GUILD_ID),
                "channels": {name: str(channel.id) for name, channel in self.channels.items()},
                "roles": {"operators": str(self.operators.id), "oncall": str(self.oncall.id)},
                "api_url": self.server.api_url,
                "gateway_url": self.server.gateway_url,
            },
            "web": {"host": "127.0.0.1", "port": port, "tokens": [TOKEN]},
            "database": {"url": database_url},
            "alertmanagers": [{"name": "main", "urls": ["http://127.0.0.1:9093"]}],
            "alerts": {
                "routes": [
                    {"match": ['severity="critical"'], "channel": "critical", "mention": ["oncall"]},
                    {"channel": "alerts"},
                ],
                # Where it counts that each incident has its card, none is to share a digest.
                "storm": {"after": "1h"},
            },
            "access": {"grants": [{"roles": ["operators"], "may": ["alerts:*", "machine:*"], "on": ["*"]}]},
            "log": {"level": "info", "format": "json"},
            **sections,
        }

    def messages(self, *names: str) -> list[StoredMessage]:
        """What can be read in channels; without names in all."""
        return [
            message for name in names or CHANNELS for message in self.server.messages(self.channels[name])
        ]

    def cards(self) -> list[StoredMessage]:
        """The cards of incidents, wherever they are."""
        return [message for message in self.messages() if details_of(message)]

    def threads(self) -> list[Channel]:
        """The threads of cards."""
        return [channel for channel in self.server.state.channels.values() if channel.type == THREAD]

    def notices(self) -> list[StoredMessage]:
        """The notices to operators."""
        return [message for message in self.messages("audit") if "### NOTICE" in message.text]

    async def see(self, *words: str, timeout: float = 10.0) -> StoredMessage:
        """Wait for the card that says all these words."""

        def found() -> StoredMessage | None:
            return next((card for card in self.cards() if all(word in card.text for word in words)), None)

        try:
            card = await self.server.wait_for(found, timeout)
        except TimeoutError as error:
            texts = "\n---\n".join(message.text for message in self.messages())
            raise AssertionError(f"no card says {words}; there are:\n{texts}") from error
        assert card is not None
        return card

    async def see_notice(self, *words: str, timeout: float = 10.0) -> StoredMessage:
        """Wait for the notice that says all these words."""

        def found() -> StoredMessage | None:
            return next((one for one in self.notices() if all(word in one.text for word in words)), None)

        notice = await self.server.wait_for(found, timeout)
        assert notice is not None
        return notice

    def assert_nothing_was_said_twice(self) -> None:
        """No incident has two messages in one place, not even one that was deleted meanwhile."""
        ever = list(self.server.state.every_message.values())
        told = [(message.channel_id, details_of(message)) for message in ever if details_of(message)]
        assert len(told) == len(set(told)), f"said twice: {sorted(told)}"


def details_of(message: StoredMessage) -> str | None:
    """The custom_id that names the incident of a card."""
    return next((name for name in message.custom_ids if name.startswith("tm:details:")), None)


@contextlib.asynccontextmanager
async def a_town(**options: Any) -> AsyncIterator[Town]:
    """A Discord on loopback; discord.py of this process is led to it."""
    async with DiscordServer(**options) as server:
        with redirected(server):
            yield Town(server)
        server.release()


def write(folder: Path, configuration: Mapping[str, Any]) -> Path:
    """Write a configuration as a rename does, so that nobody reads half of it."""
    path, fresh = folder / "machine.yaml", folder / "machine.yaml.new"
    fresh.write_text(yaml.safe_dump(dict(configuration)), encoding="utf-8")
    fresh.replace(path)
    return path


class Running:
    """An `App` in this process."""

    def __init__(self, app: App, task: "asyncio.Task[None]", stop: asyncio.Event) -> None:
        self.app = app
        self.task = task
        self.stop = stop

    @property
    def port(self) -> int:
        assert self.app.web is not None
        return self.app.web.port

    async def end(self) -> None:
        """Stop as SIGTERM does."""
        self.stop.set()
        await self.task

    async def die(self) -> None:
        """Be gone at once, without a word to anybody, as far as one process can do that to itself."""
        self.task.cancel()
        await asyncio.wait([self.task])


@contextlib.asynccontextmanager
async def an_app(path: Path, *, patience: Patience = QUICK) -> AsyncIterator[Running]:
    """Run the app until it listens; it is stopped at the end if it still runs."""
    loaded = load_settings(path, {})
    token = loaded.settings.discord.token.get_secret_value()

    def connect(make_bot: Any) -> DiscordConnection:
        return DiscordConnection(make_bot, lambda: token, clock=SystemClock(), patience=patience)

    app, stop = App(loaded, path, {}, connect=connect), asyncio.Event()
    task = asyncio.create_task(app.run(stop), name="app")
    running = Running(app, task, stop)
    try:
        async with asyncio.timeout(15):
            while app.web is None or not app.web._runner.addresses:
                assert not task.done(), task.exception()
                await asyncio.sleep(0.01)
        yield running
    finally:
        if not task.done():
            await running.end()


async def post(
    port: int, body: bytes, *, path: str = "/webhooks/alertmanager", token: str | None = TOKEN
) -> tuple[int, Any]:
    """Post a delivery once; gives the status and the answer."""
    headers = {"Content-Type": "application/json", "User-Agent": "Alertmanager/0.28.1"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    url = f"http://127.0.0.1:{port}{path}"
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.post(url, data=io.BytesIO(body), headers=headers) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def send(port: int, body: bytes, *, within: float = _TIRED_AFTER) -> int:
    """Post until 200, as Alertmanager does: every 5xx and every broken connection is tried again."""
    wait = 0.05
    async with asyncio.timeout(within):
        while True:
            try:
                status, answer = await post(port, body)
            except (aiohttp.ClientError, OSError, TimeoutError):
                status, answer = 0, None
            if status == 200:
                return int(answer["id"])
            assert status == 0 or status >= 500, f"Alertmanager gives up on {status}: {answer}"
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 1.5, 1.0)


class Process:
    """`python -m bot run` as a process; it can be killed and started again."""

    def __init__(self, config: Path, *, environ: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.lines: list[dict[str, Any]] = []
        """What all its lives logged."""
        self._environ = {**os.environ, **(environ or {}), "PYTHONUNBUFFERED": "1"}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._said = asyncio.Condition()
        self._born = 0

    async def start(self) -> None:
        self._born = len(self.lines)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run", "--config", str(self.config)),
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=self._environ,
            limit=2**22,
        )
        self._reader = asyncio.create_task(self._read(self._process), name="reads the log")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            try:
                said = json.loads(line)
            except ValueError:
                said = {"event": line.decode("utf-8", "replace").rstrip()}
            async with self._said:
                self.lines.append(said)
                self._said.notify_all()
        async with self._said:
            self._said.notify_all()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def kill(self) -> None:
        """kill -9."""
        if self.is_alive:
            self.signal(signal.SIGKILL)
        await self.wait()

    async def terminate(self, *, within: float = 20.0) -> int:
        """SIGTERM once it listens, as Kubernetes would; gives the exit code."""
        if self.is_alive:
            await self.wait_for("web_listening", since=self._born)
            self.signal(signal.SIGTERM)
        async with asyncio.timeout(within):
            return await self.wait()

    async def wait(self) -> int:
        assert self._process is not None
        assert self._reader is not None
        code = await self._process.wait()
        await self._reader
        return code

    async def wait_for(
        self, event: str, *, since: int = 0, within: float = 30.0, **values: Any
    ) -> dict[str, Any]:
        """Wait for a line of the log, from the `since`-th line on."""

        def found() -> dict[str, Any] | None:
            return next(
                (
                    line
                    for line in self.lines[since:]
                    if line.get("event") == event and values.items() <= line.items()
                ),
                None,
            )

        try:
            async with asyncio.timeout(within), self._said:
                while (line := found()) is None:
                    assert self.is_alive, f"it ended; it said {self.tail()}"
                    await self._said.wait()
        except TimeoutError:
            raise AssertionError(f"it does not say {event}; it said {self.tail()}") from None
        return line

    def tail(self) -> str:
        return "\n".join(json.dumps(line) for line in self.lines[-30:])

    def errors(self) -> list[dict[str, Any]]:
        """What was logged that a person must look at."""
        return [line for line in self.lines if line.get("level") in {"error", "critical"}]


@contextlib.asynccontextmanager
async def a_process(config: Path, *, port: int, **options: Any) -> AsyncIterator[Process]:
    """A process that listens; killed at the end if it still runs."""
    process = Process(config, **options)
    await process.start()
    try:
        await process.wait_for("web_listening", port=port)
        yield process
    finally:
        await process.kill()


async def command(config: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a `machine` command; gives its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments, "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def count(database_url: str, query: Callable[[Any], Any]) -> Any:
    """Ask a store of a database that a process may be using."""
    async with Database(database_url) as database, database.reading() as tx:
        return await query(tx)


def texts(messages: Iterable[StoredMessage]) -> list[str]:
    return [message.text for message in messages]
