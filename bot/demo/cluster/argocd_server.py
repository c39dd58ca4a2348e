"""The few calls of argocd-server that the bot uses, answered from what the simulated controller knows."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.comparing import find_target
from bot.demo.cluster.failures import Json
from bot.demo.cluster.live import Live
from bot.demo.cluster.manifests import live_manifest, manifest
from bot.demo.cluster.objects import Objects
from bot.demo.cluster.repositories import Piece, ResourceKey
from bot.demo.cluster.store import timestamp

HOST = "127.0.0.1"
TOKEN = "the-machines-argocd-token"  # noqa: S105 — of a server on loopback that keeps no secret

_UNAUTHENTICATED, _DENIED = (401, 16), (403, 7)


class _RefusalError(Exception):
    """A call that is answered by an error of gRPC's gateway."""

    def __init__(self, code: tuple[int, int], message: str) -> None:
        super().__init__(message)
        self.status, self.grpc = code


class ArgoCdServer:
    """An argocd-server; it listens as long as its context is open."""

    def __init__(
        self, cluster: Objects, controller: ArgoController, *, control_plane: str = "argocd", port: int = 0
    ) -> None:
        """Take the cluster that the Applications are in, and the controller that knows what runs."""
        self._cluster = cluster
        self._controller = controller
        self._control_plane = control_plane
        self._port = port
        self._runner: web.AppRunner | None = None
        self.tokens: set[str] = {TOKEN}
        self.hidden_projects: set[str] = set()
        """Projects that no token may see."""
        self.requests: list[str] = []
        """The paths with their queries that were asked for."""
        self.answers: web.Response | None = None
        """What everything is answered with instead, as a proxy or a broken server would."""
        self.hangs = False

    async def __aenter__(self) -> Self:
        """Listen."""
        application = web.Application()
        base = "/api/v1/applications/{name}"
        application.router.add_get(base + "/managed-resources", self._handler(self._managed_resources))
        application.router.add_get(base + "/resource-tree", self._handler(self._resource_tree))
        application.router.add_get(base + "/revisions/{revision}/metadata", self._handler(self._metadata))
        application.router.add_get("/api/v1/session/userinfo", self._user_info)
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{HOST}:{self._port}"

    def _handler(
        self, answer: Callable[[web.Request, Json], Json]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            self.requests.append(str(request.rel_url))
            if self.hangs:
                await asyncio.get_running_loop().create_future()
            if self.answers is not None:
                return _again(self.answers)
            try:
                return web.json_response(answer(request, self._application(request)))
            except _RefusalError as refusal:
                return _refuse(refusal)

        return handle

    async def _user_info(self, request: web.Request) -> web.Response:
        return web.json_response({"loggedIn": self._is_known(request), "username": "the-machine"})

    def _is_known(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and token in self.tokens

    def _application(self, request: web.Request) -> Json:
        """Return the Application that is asked about; of one that is not there, permission is denied."""
        if not self._is_known(request):
            raise _RefusalError(_UNAUTHENTICATED, "invalid session: token is not known")
        namespace = request.query.get("appNamespace") or self._control_plane
        app = self._cluster.find("Application", namespace, request.match_info["name"])
        project = request.query.get("project")
        if app is None or app["spec"]["project"] in self.hidden_projects:
            raise _RefusalError(_DENIED, "permission denied")
        if project is not None and project != app["spec"]["project"]:
            raise _RefusalError(_DENIED, "permission denied")
        return app

    def _managed_resources(self, _: web.Request, app: Json) -> Json:
        wanted = self._wanted(app)
        live = self._live(app)
        items = [
            _managed(key, wanted.get(key), live.get(key))
            for key in sorted({*wanted, *live})
            if key not in wanted or not wanted[key].hook
        ]
        return {"items": items}

    def _resource_tree(self, _: web.Request, app: Json) -> Json:
        created = app["metadata"]["creationTimestamp"]
        nodes = [node for key, live in self._live(app).items() for node in _nodes(key, live, created=created)]
        return {"nodes": nodes, "orphanedNodes": [], "hosts": []}

    def _metadata(self, request: web.Request, app: Json) -> Json:
        spec = app["spec"]
        sources = spec.get("sources") or [spec["source"]]
        place = int(request.query.get("sourceIndex", "0"))
        if place >= len(sources):
            raise _RefusalError((400, 3), f"source index {place} not found")
        revision = request.match_info["revision"]
        commit = self._controller.repositories.find(sources[place]["repoURL"], revision)
        if commit is None:
            raise _RefusalError((500, 2), f"unable to resolve '{revision}' to a commit SHA")
        return {"author": commit.author, "date": timestamp(commit.at), "message": commit.message}

    def _wanted(self, app: Json) -> Mapping[ResourceKey, Piece]:
        return find_target(self._controller.repositories, app, {}).pieces

    def _live(self, app: Json) -> Mapping[ResourceKey, Live]:
        metadata = app["metadata"]
        return self._controller.running(metadata["namespace"], metadata["name"]).resources


def _again(response: web.Response) -> web.Response:
    """Return the same answer once more: an answer can be sent only once."""
    return web.Response(status=response.status, body=response.body, content_type=response.content_type)


def _refuse(refusal: _RefusalError) -> web.Response:
    told = {"error": str(refusal), "code": refusal.grpc, "message": str(refusal)}
    return web.json_response(told, status=refusal.status)


def _managed(key: ResourceKey, wanted: Piece | None, live: Live | None) -> Json:
    target = manifest(key, wanted) if wanted else None
    there = live_manifest(key, live) if live else None
    return {
        "group": key.group,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "targetState": json.dumps(target),
        "liveState": json.dumps(there),
        "normalizedLiveState": json.dumps(there),
        "predictedLiveState": json.dumps(target),
        # Something that is only to be pruned does not count as modified.
        "modified": wanted is not None and target != there,
    }


def _nodes(key: ResourceKey, live: Live, *, created: str) -> list[Json]:
    main = _node(key, live.piece.version, created=created)
    if live.health:
        main["health"] = {"status": live.health}
    if live.piece.image:
        main["images"] = [live.piece.image]
    if key.kind != "Deployment":
        return [main]
    replica_set = ResourceKey("apps", "ReplicaSet", key.namespace, f"{key.name}-6d4cf56db6")
    pod = ResourceKey("", "Pod", key.namespace, f"{key.name}-6d4cf56db6-x2x7p")
    health = {"health": {"status": live.health or "Healthy"}}
    return [
        main,
        _node(replica_set, "v1", created=created, parent=key) | health,
        _node(pod, "v1", created=created, parent=replica_set) | health,
    ]


def _node(key: ResourceKey, version: str, *, created: str, parent: ResourceKey | None = None) -> Json:
    node: Json = {
        **({"group": key.group} if key.group else {}),
        "version": version,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "createdAt": created,
    }
    if parent is not None:
        node["parentRefs"] = [
            {"group": parent.group, "kind": parent.kind, "namespace": parent.namespace, "name": parent.name}
        ]
    return node
