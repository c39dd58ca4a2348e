"""Discord on loopback: REST and gateway on one port, for transport tests, crash tests and benchmarks.

The state belongs to the server object, not to a listening socket: it survives clients that die and outages
(`stop_listening`, `listen`). Nothing here is a mock of the bot's code; the real discord.py talks to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
import struct
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

from tests.simulators.discord.faults import Fault, Faults, Kind, pattern_of
from tests.simulators.discord.gateway import GUILD_MESSAGES, GUILDS, Gateway
from tests.simulators.discord.interactions import Interaction, Interactions, member_of
from tests.simulators.discord.limits import Limits, Verdict
from tests.simulators.discord.rest import Call, LimitedError, Rest, Route
from tests.simulators.discord.state import (
    TEXT,
    Channel,
    Guild,
    Json,
    Member,
    RequestRecord,
    Role,
    State,
    StoredMessage,
    User,
)
from tests.simulators.discord.validate import ApiError, schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from types import TracebackType

T = TypeVar("T")
API = "/api/v10"
MAX_REQUEST_BYTES = 26 * 1024 * 1024
DEFAULT_TOKEN = "simulated.discord.token"
BODY_ERRORS = frozenset({50035, 50006})


@dataclass(frozen=True, slots=True)
class Violation:
    """A request body that Discord would have refused."""

    method: str
    path: str
    problem: str
    body: Any


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    body: Any
    headers: dict[str, str]
    committed: bool


class DiscordServer:
    """A Discord to connect to at `api_url` and `gateway_url`.

    Args:
        token: the bot's token; any other is answered 401 (REST) and 4004 (gateway).
        port: a fixed port, 0 for any free one. It is kept when listening stops and starts again.
        validate: check bodies against Discord's OpenAPI file if MACHINE_TEST_OPENAPI names it.
        nonce_seconds: how long an enforced nonce is remembered.
        keep_requests: how many requests `requests` holds, the oldest are dropped.
        clock: the wall clock in seconds, for ids, timestamps, nonces and message age.
    """

    def __init__(
        self,
        *,
        token: str = DEFAULT_TOKEN,
        port: int = 0,
        validate: bool = True,
        nonce_seconds: float = 300.0,
        keep_requests: int = 100_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.token = token
        self.port = port
        self.validate = validate
        self.latency = 0.0
        """Seconds that every REST request takes before it is looked at."""
        self.down = False
        """Everything is answered 503."""
        self.state = State(clock=clock, nonce_seconds=nonce_seconds)
        self.limits = Limits()
        self.faults = Faults()
        self.requests: deque[RequestRecord] = deque(maxlen=keep_requests)
        self.violations: list[Violation] = []
        self.answers: Counter[tuple[str, int]] = Counter()
        """How often a route was answered with a status (0: connection cut), all requests included."""
        self.gateway = Gateway(
            self.state, token=lambda: self.token, url=lambda: self.gateway_url, changed=self._changed
        )
        self.interactions = Interactions(self.state, self.gateway, self.wait_for)
        self.rest = Rest(self.state, self.limits, self.interactions, url=lambda: self.url)
        self.extra_paths: dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {}
        """Prefix → handler, for `/_sim/`."""
        self._runner: web.ServerRunner | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiters: set[asyncio.Future[None]] = set()
        self._released = asyncio.Event()

    # Life.

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_listening()

    async def listen(self) -> None:
        """Accept connections, on the same port as before if there was one."""
        self._released.clear()
        server = web.Server(self._handle, request_factory=_make_request, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True, backlog=1024).start()
        self.port = runner.addresses[0][1]
        self._runner = runner

    async def stop_listening(self) -> None:
        """Cut every connection and refuse new ones; the state stays."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._released.set()
        for site in list(runner.sites):
            await site.stop()
        self.gateway.abort()
        await runner.cleanup()

    @contextlib.asynccontextmanager
    async def refusing_connections(self) -> AsyncIterator[None]:
        """An outage in which nothing listens on the port."""
        await self.stop_listening()
        try:
            yield
        finally:
            await self.listen()

    @contextlib.asynccontextmanager
    async def answering_503(self) -> AsyncIterator[None]:
        """An outage in which everything, the gateway's handshake included, is answered 503."""
        self.down = True
        self.gateway.abort()
        try:
            yield
        finally:
            self.down = False

    def release(self) -> None:
        """End the requests that hang: their connections are cut."""
        self._released.set()
        self._released = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        return self.url + API

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/gateway"

    # Looking.

    def messages(self, channel: Channel | int) -> list[StoredMessage]:
        """What a person sees in a channel, oldest first."""
        return list(self.state.history.get(_id_of(channel), {}).values())

    @property
    def deleted(self) -> list[StoredMessage]:
        return self.state.deleted

    def last_message(self, channel: Channel | int) -> StoredMessage:
        return self.messages(channel)[-1]

    def message_with(self, custom_id: str) -> StoredMessage:
        """The youngest message that carries a component with this id."""
        for message in reversed(self.state.every_message.values()):
            if message.deleted_at is None and custom_id in message.custom_ids:
                return message
        raise LookupError(f"no message carries {custom_id!r}")

    def requests_to(self, method: str, path: str) -> list[RequestRecord]:
        """The recorded requests whose path fits a pattern as in `faults.add`."""
        pattern = pattern_of(path)
        return [r for r in self.requests if method in ("*", r.method) and pattern.fullmatch(r.path)]

    @property
    def count_429(self) -> int:
        """How many 429s were answered, for limits and faults."""
        return sum(count for (_, status), count in self.answers.items() if status == 429)

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:
        """Wait until the predicate is true of the state; gives its value.

        It is asked after every request, frame and connection, and when a request begins to wait; never by the clock.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (value := predicate()):
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiters.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiters.discard(waiter)
        except TimeoutError:
            recent = [f"{r.method} {r.path} {r.status}" for r in list(self.requests)[-5:]]
            raise TimeoutError(f"not within {timeout} s; the last requests were {recent}") from None
        return value

    def _changed(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_ready(self, timeout: float = 5.0) -> None:
        await self.wait_for(lambda: self.gateway.ready, timeout)

    def forget_nonces(self) -> None:
        self.state.forget_nonces()

    # Building the world; connected clients are told.

    @property
    def guild(self) -> Guild:
        """The first guild, made on demand."""
        return next(iter(self.state.guilds.values()), None) or self.state.add_guild("Simulated")

    def add_guild(self, name: str, *, guild_id: int | None = None, bot_permissions: int = 0) -> Guild:
        guild = self.state.add_guild(name, guild_id=guild_id, bot_permissions=bot_permissions)
        self.tell("GUILD_CREATE", self.state.full_guild(guild), intent=GUILDS)
        return guild

    def add_channel(
        self, name: str, *, guild: Guild | None = None, kind: int = TEXT, channel_id: int | None = None
    ) -> Channel:
        channel = self.state.add_channel(guild or self.guild, name, kind=kind, channel_id=channel_id)
        self.tell("CHANNEL_CREATE", channel.payload(), intent=GUILDS)
        return channel

    def add_role(
        self,
        name: str,
        *,
        guild: Guild | None = None,
        permissions: int = 0,
        mentionable: bool = False,
        role_id: int | None = None,
    ) -> Role:
        home = guild or self.guild
        role = self.state.add_role(
            home, name, permissions=permissions, mentionable=mentionable, role_id=role_id
        )
        self.tell("GUILD_ROLE_CREATE", {"guild_id": str(home.id), "role": role.payload()}, intent=GUILDS)
        return role

    def add_user(self, name: str, *, user_id: int | None = None) -> User:
        return self.state.add_user(name, user_id=user_id)

    def add_member(
        self,
        user: User | str,
        *,
        guild: Guild | None = None,
        roles: Iterable[Role | int] = (),
        administrator: bool = False,
    ) -> Member:
        person = self.add_user(user) if isinstance(user, str) else user
        return self.state.add_member(
            guild or self.guild, person, roles=[_id_of(role) for role in roles], administrator=administrator
        )

    def post(self, channel: Channel | int, author: Member | User, content: str) -> StoredMessage:
        """Let a person write a message."""
        place = self.state.channels[_id_of(channel)]
        user = author.user if isinstance(author, Member) else author
        message = self.state.create(place, user, {"content": content})
        self.tell(
            "MESSAGE_CREATE", message.payload | {"guild_id": str(place.guild_id)}, intent=GUILD_MESSAGES
        )
        return message

    def delete_message(self, message: StoredMessage) -> None:
        """Let a moderator delete a message."""
        self.rest.remove_message(message)
        self._tell_events()

    def delete_channel(self, channel: Channel) -> None:
        self.rest.remove_channel(channel)
        self._tell_events()

    def change_thread(self, thread: Channel, **changes: bool) -> None:
        """Archive, open, lock or unlock a thread, as a moderator does."""
        for name, value in changes.items():
            setattr(thread, name, value)
        self.rest.events.append(("THREAD_UPDATE", thread.payload(), GUILDS))
        self._tell_events()

    def tell(self, event: str, data: Json, *, intent: int = 0) -> None:
        """Dispatch an event without waiting for it to be written."""
        if self.gateway.sessions:
            work = self.gateway.dispatch(event, data, intent=intent)
            task = asyncio.get_running_loop().create_task(work, name="simulated-discord-dispatch")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._changed()

    def _tell_events(self) -> None:
        events, self.rest.events = self.rest.events, []
        for event, data, intent in events:
            self.tell(event, data, intent=intent)

    # People.

    async def click(
        self, message: StoredMessage | int, custom_id: str, user: Member | User, *, timeout: float = 5.0
    ) -> Interaction:
        """Press a button; gives the interaction once the bot has answered or deferred."""
        stored = self._stored(message)
        return await self.interactions.click(
            stored, custom_id, self._member(user, stored.channel_id), timeout=timeout
        )

    async def select(
        self,
        message: StoredMessage | int,
        custom_id: str,
        values: Sequence[str],
        user: Member | User,
        *,
        timeout: float = 5.0,
    ) -> Interaction:
        stored = self._stored(message)
        member = self._member(user, stored.channel_id)
        return await self.interactions.select(stored, custom_id, values, member, timeout=timeout)

    async def slash(
        self,
        *names: str,
        user: Member | User,
        channel: Channel | int | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 5.0,
    ) -> Interaction:
        """Use a synced slash command: `slash("alerts", "list", user=alice, options={"limit": 5})`."""
        place = self._place(channel)
        member = self._member(user, place.id)
        return await self.interactions.slash(names, options or {}, place, member, timeout=timeout)

    async def autocomplete(
        self,
        *names: str,
        focused: str,
        user: Member | User,
        channel: Channel | int | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 5.0,
    ) -> Interaction:
        """Type into an option; `options` holds what was typed so far, the result's `choices` what was offered."""
        place = self._place(channel)
        given = {focused: "", **(options or {})}
        member = self._member(user, place.id)
        return await self.interactions.slash(names, given, place, member, focused=focused, timeout=timeout)

    async def submit_modal(
        self, opened: Interaction, values: Mapping[str, str | Sequence[str]], *, timeout: float = 5.0
    ) -> Interaction:
        return await self.interactions.submit_modal(opened, values, timeout=timeout)

    def _stored(self, message: StoredMessage | int) -> StoredMessage:
        stored = self.state.every_message[message] if isinstance(message, int) else message
        if stored.deleted_at is not None:
            raise LookupError(f"message {stored.id} is deleted")
        return stored

    def _member(self, user: Member | User, channel_id: int) -> Member:
        return member_of(self.state, user, self.state.channels[channel_id].guild_id)

    def _place(self, channel: Channel | int | None) -> Channel:
        if channel is not None:
            return self.state.channels[_id_of(channel)]
        return next(c for c in self.state.channels.values() if c.guild_id is not None)

    # Requests.

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith(API + "/"):
            return await self._handle_api(request, request.rel_url.raw_path[len(API) :])
        if path.startswith("/gateway"):
            return web.Response(status=503) if self.down else await self.gateway.handle(request)
        if path.startswith("/attachments/"):
            return self._attachment(path)
        for prefix, handler in self.extra_paths.items():
            if path.startswith(prefix):
                return await handler(request)
        return web.Response(status=404)

    async def _handle_api(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        call = await _read(request, path)
        if self.down:
            outcome = Outcome(503, "<html>upstream connect error</html>", {}, committed=False)
            return self._record(request, call, outcome)
        delay, late, script = self.faults.take(call.method, call.path)
        if delay or self.latency:
            self._changed()
            await asyncio.sleep(delay + self.latency)
        if script is not None and not script.after_commit:
            return await self._strike(request, call, script.fault, committed=False)
        outcome = self._answer(call, request.headers.get("Authorization", ""))
        if self.rest.events:
            events, self.rest.events = self.rest.events, []
            if self.gateway.sessions:
                for event, data, intent in events:
                    await self.gateway.dispatch(event, data, intent=intent)
        if late:
            self._changed()
            await asyncio.sleep(late)
        if script is not None:
            return await self._strike(request, call, script.fault, committed=outcome.committed)
        return self._record(request, call, outcome)

    def _answer(self, call: Call, authorization: str) -> Outcome:
        """Do what the request asks for; everything in here happens at one instant."""
        headers: dict[str, str] = {}
        try:
            status, body = self._perform(call, authorization, headers)
        except LimitedError as limited:
            return _limited(limited.verdict, headers)
        except ApiError as error:
            if error.body["code"] in BODY_ERRORS:
                self.violations.append(Violation(call.method, call.path, str(error), call.json))
            return Outcome(error.status, error.body, headers, committed=False)
        return Outcome(status, body, headers, committed=True)

    def _perform(self, call: Call, authorization: str, headers: dict[str, str]) -> tuple[int, Any]:
        """Check and do it, filling in the headers of the bucket on the way."""
        route, values = self.rest.find(call.method, call.path)
        if not route.public:
            if authorization != f"Bot {self.token}":
                raise ApiError(401, 0, "401: Unauthorized")
            refusal = self.limits.take_global()
            if refusal is not None:
                raise LimitedError(refusal)
        if route.bucket is not None:
            major = ":".join(values[:2]) if route.public else (values[0] if values else "")
            verdict = self.limits.take(route.bucket, major)
            headers.update(_limit_headers(verdict, self.state.clock()))
            if not verdict.allowed:
                raise LimitedError(verdict)
        self._check_schema(route, call)
        return route.handler(call, *values)

    def _check_schema(self, route: Route, call: Call) -> None:
        if not self.validate or call.json is None:
            return
        specification = schema()
        if specification is None:
            return
        template = route.template
        if call.path.endswith("/@original"):
            template = template.replace("{message_id}", "@original")
        problem = specification.problem(call.method, template, call.json)
        if problem is not None:
            raise ApiError(
                400, 50035, "Invalid Form Body", {"_errors": [{"code": "SCHEMA", "message": problem}]}
            )

    async def _strike(
        self, request: web.BaseRequest, call: Call, fault: Fault, *, committed: bool
    ) -> web.StreamResponse:
        if fault.kind is Kind.ANSWER:
            outcome = Outcome(fault.status, fault.body, dict(fault.headers), committed)
            return self._record(request, call, outcome)
        answer = self._record(request, call, Outcome(0, None, {}, committed))
        if fault.kind is Kind.HANG:
            await self._released.wait()
        if request.transport is not None:
            if fault.kind is Kind.RESET:
                _reset_on_close(request.transport)
            request.transport.abort()
        return answer

    def _record(self, request: web.BaseRequest, call: Call, outcome: Outcome) -> web.Response:
        name = f"{call.method} {call.path}"
        with contextlib.suppress(ApiError):
            name = f"{call.method} {self.rest.find(call.method, call.path)[0].template}"
        self.answers[name, outcome.status] += 1
        if self.requests.maxlen:
            self.requests.append(
                RequestRecord(
                    call.method,
                    call.path,
                    call.query,
                    call.json,
                    dict(call.files.values()),
                    self.state.now(),
                    outcome.status,
                    outcome.committed,
                    request.host,
                )
            )
        self._changed()
        return _response(outcome)

    def _attachment(self, path: str) -> web.Response:
        _, _, channel_id, attachment_id, name = path.split("/", 4)
        for message in self.messages(int(channel_id)):
            if any(attachment["id"] == attachment_id for attachment in message.payload["attachments"]):
                return web.Response(body=message.files[name])
        return web.Response(status=404)


def _id_of(thing: Channel | Role | int) -> int:
    return thing if isinstance(thing, int) else thing.id


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_REQUEST_BYTES)


async def _read(request: web.BaseRequest, path: str) -> Call:
    files: dict[str, tuple[str, bytes]] = {}
    body: Any = None
    if request.content_type.startswith("multipart/"):
        async for part in await request.multipart():
            assert not isinstance(part, web.StreamResponse)
            name, content = getattr(part, "name", None) or "", bytes(await part.read())  # type: ignore[union-attr]
            if name == "payload_json":
                body = json.loads(content)
            elif name.startswith("files["):
                files[name[6:-1]] = (getattr(part, "filename", None) or "file", content)
    elif request.can_read_body:
        raw = await request.read()
        body = json.loads(raw) if raw else None
    return Call(request.method, path, dict(request.query), body, files)


def _response(outcome: Outcome) -> web.Response:
    if outcome.body is None:
        return web.Response(status=outcome.status or 500, headers=outcome.headers)
    if isinstance(outcome.body, str):
        return web.Response(
            status=outcome.status, text=outcome.body, content_type="text/html", headers=outcome.headers
        )
    # No charset: discord.py compares the whole header.
    content = json.dumps(outcome.body, separators=(",", ":")).encode()
    return web.Response(
        status=outcome.status, body=content, content_type="application/json", headers=outcome.headers
    )


def _limit_headers(verdict: Verdict, now: float) -> dict[str, str]:
    # Rounded up: a client that comes back after exactly this time finds the window open.
    reset_after = math.ceil(verdict.reset_after * 1000) / 1000
    return {
        "X-RateLimit-Limit": str(verdict.limit),
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": f"{now + reset_after:.3f}",
        "X-RateLimit-Reset-After": f"{reset_after:.3f}",
        "X-RateLimit-Bucket": verdict.bucket.replace(":", "-"),
    }


def _limited(verdict: Verdict, headers: dict[str, str]) -> Outcome:
    body: Json = {
        "message": "You are being rate limited.",
        "retry_after": math.ceil(verdict.reset_after * 1000) / 1000,
        "global": verdict.scope == "global",
    }
    if verdict.code is not None:
        body["code"] = verdict.code
        body["message"] = "Maximum number of edits to messages older than 1 hour reached. Try again later"
    told = headers | {
        "Retry-After": str(max(1, round(verdict.reset_after))),
        "X-RateLimit-Scope": verdict.scope,
        "Via": "1.1 google",
    }
    if verdict.scope == "global":
        told["X-RateLimit-Global"] = "true"
    return Outcome(429, body, told, committed=False)


def _reset_on_close(transport: asyncio.BaseTransport) -> None:
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
