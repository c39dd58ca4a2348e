"""The API server: HTTP on loopback in front of the objects."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.core.clock import Clock, SystemClock
from bot.demo.cluster.connections import OpenWatch, OpenWatches, fail, respond, respond_error
from bot.demo.cluster.dispatch import Answer, Dispatcher, selection_of
from bot.demo.cluster.failures import ApiError
from bot.demo.cluster.faults import Fault, Faults, Script
from bot.demo.cluster.kinds import ARGO_CD, BUILT_IN, Kind
from bot.demo.cluster.kubeconfig import write_kubeconfig
from bot.demo.cluster.listing import Lists
from bot.demo.cluster.objects import Objects
from bot.demo.cluster.representations import wants_metadata, wants_pretty
from bot.demo.cluster.requests import Address, Recorded, number, parse_address, verb_of
from bot.demo.cluster.reviews import REVIEWS
from bot.demo.cluster.rights import ANY, Rights, Rule
from bot.demo.cluster.schemas import Schemas
from bot.demo.cluster.watching import StreamingLists, Watch
from bot.demo.cluster.writing import Writer

HOST = "127.0.0.1"
THE_MACHINE = "system:serviceaccount:the-machine:the-machine"
"""The user that every server knows from the start."""
TOKEN = "the-machine-token"  # noqa: S105 — of a server on loopback that keeps no secret
_MAX_BODY = 3 * 1024 * 1024
_LONGEST_WATCH_SECONDS = 1800
_NOTHING = Answer(200, b"")


def _random_uid() -> str:
    return str(uuid.uuid4())


class ApiServer(Objects):
    """A Kubernetes API server; it listens as long as its context is open."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        new_uid: Callable[[], str] = _random_uid,
        schemas: Schemas | None = None,
        kinds: Iterable[Kind] = (*BUILT_IN, *ARGO_CD),
        port: int = 0,
        remembered: int = 2_000,
        bookmark_seconds: float = 60.0,
        kept_requests: int = 10_000,
    ) -> None:
        """Take what knows the schemas, if anybody does; `remembered` is the history of each kind."""
        clock = clock or SystemClock()
        super().__init__(clock=clock, new_uid=new_uid, schemas=schemas, kinds=kinds, remembered=remembered)
        self.rights = Rights()
        self.rights.add_user(THE_MACHINE, TOKEN)
        self.faults = Faults()
        self.watches = OpenWatches()
        self.requests: deque[Recorded] = deque(maxlen=kept_requests)
        """What was asked, oldest first."""
        self.bookmark_seconds = bookmark_seconds
        self.streaming_lists = StreamingLists.SUPPORTED
        self._lists = Lists(self._store)
        writer = Writer(self._store, self._schemas, clock=clock, new_uid=new_uid)
        self._dispatcher = Dispatcher(self.kinds, self._store, writer, self._lists, self.rights)
        self._port = port
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        application = web.Application(client_max_size=_MAX_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await self._listen(self._runner)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut every connection and listen no more."""
        self.cut_connections()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        self._site = web.TCPSite(runner, HOST, self._port, reuse_address=True)
        await self._site.start()
        self._port = int(runner.addresses[0][1])

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{HOST}:{self._port}"

    def kubeconfig(
        self,
        folder: Path,
        *,
        token: str = TOKEN,
        token_file: Path | None = None,
        user: str = "the-machine",
        namespace: str = "default",
    ) -> Path:
        """Write a kubeconfig into a folder; returns its path."""
        return write_kubeconfig(
            folder / f"{user}.kubeconfig",
            server=self.url,
            user=user,
            token=token,
            token_file=token_file,
            namespace=namespace,
        )

    def calls(self, verb: str = ANY, resource: str = ANY) -> list[Recorded]:
        """Return the requests of a verb and a resource (`applications`, `deployments/status`)."""
        return [
            request
            for request in self.requests
            if verb in {ANY, request.verb} and resource in {ANY, request.resource}
        ]

    def forbid(
        self,
        *,
        user: str = ANY,
        verb: str = ANY,
        group: str = ANY,
        resource: str = ANY,
        namespace: str = ANY,
    ) -> Callable[[], None]:
        """Forbid something that was allowed; returns what lifts that."""
        rule = Rule(verbs=(verb,), groups=(group,), resources=(resource,), namespaces=(namespace,))
        return self.rights.forbid(user, rule)

    def forget_history(self) -> None:
        """Compact: versions of the past cannot be watched from, pages that were promised are gone: 410."""
        for kind in self.kinds:
            self._store.collection(kind).forget(self._store.version)
        self._lists.forget()

    def cut_connections(self) -> None:
        """Reset every connection, whether it waits for an answer or not."""
        server = self._runner.server if self._runner else None
        for connection in server.connections if server else ():
            if connection.transport is not None:
                connection.transport.abort()

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Be gone for a while: connections are reset and refused; afterwards all is as it was."""
        site, runner = self._site, self._runner
        if site is None or runner is None:
            raise RuntimeError("The server does not listen: nothing can fail.")
        await site.stop()
        self.cut_connections()
        try:
            yield
        finally:
            await self._listen(runner)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        recorded = Recorded(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        self.requests.append(recorded)
        pretty = wants_pretty(recorded.query.get("pretty", ""), recorded.headers.get("user-agent", ""))
        try:
            response = await self._respond(request, recorded, pretty=pretty)
        except ApiError as error:
            response = respond_error(error, pretty=pretty)
        recorded.status = response.status
        self._happened.set()
        return response

    async def _respond(self, request: web.Request, recorded: Recorded, *, pretty: bool) -> web.StreamResponse:
        address = parse_address(recorded.path)
        if address is not None:
            recorded.name_target(address, verb_of(recorded.method, address, recorded.query))
        script = self.faults.take(recorded)
        if script is not None and not script.after_commit:
            await asyncio.sleep(script.fault.delay)
            if script.fault.strikes_at_once:
                return await fail(request, script.fault, _NOTHING, pretty=pretty)
        recorded.user = self.rights.user_of(recorded.headers.get("authorization", ""))
        if address is None or not address.plural:
            return respond(self._dispatcher.about_itself(recorded.path), pretty=pretty)
        if (address.group, address.plural) not in REVIEWS:
            self.rights.check(recorded.user, recorded.asked())
        if recorded.verb == "watch":
            fault = script.fault if script else None
            return await self._watch(request, recorded, address, fault, pretty=pretty)
        return await self._finish(request, self._dispatcher.answer(address, recorded), script, pretty=pretty)

    async def _finish(
        self, request: web.Request, answer: Answer, script: Script | None, *, pretty: bool
    ) -> web.StreamResponse:
        self._happened.set()
        if script is None:
            return respond(answer, pretty=pretty)
        if script.after_commit:
            await asyncio.sleep(script.fault.delay)
        return await fail(request, script.fault, answer, pretty=pretty)

    async def _watch(
        self, request: web.Request, recorded: Recorded, address: Address, fault: Fault | None, *, pretty: bool
    ) -> web.StreamResponse:
        kind = self._dispatcher.kind_of(address)
        watch = Watch(
            self._store,
            kind,
            selection_of(kind, address, recorded.query),
            recorded.query,
            partial=wants_metadata(recorded.headers.get("accept", ""), of_list=False),
            streaming_lists=self.streaming_lists,
            bookmark_seconds=self.bookmark_seconds,
        )
        seconds = number(recorded.query, "timeoutSeconds") or _LONGEST_WATCH_SECONDS
        opened = OpenWatch(request, watch, resource=recorded.resource, pretty=pretty)
        with self.watches.holding(opened):
            self._happened.set()
            response = await opened.run(seconds=seconds, fault=fault)
        self._happened.set()
        return response
