"""Requests to the Kubernetes API: plain objects in and out, our errors, a deadline for each.

What a resource means is left to the rooms above; watching is
`bot.kube.reflector`'s.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiohttp

from bot.core.clock import Clock
from bot.core.errors import UnavailableError
from bot.kube.answers import NO_SENSE, error_for
from bot.kube.lists import ObjectList
from bot.kube.model import Json, NotInstalledError, ObjectKey, Resource
from bot.kube.settings import ClusterSettings, Surroundings
from bot.telemetry import tracing
from bot.telemetry.metrics import BACKEND_SECONDS, BACKEND_UP, KUBE_REQUESTS

if TYPE_CHECKING:
    from bot.kube.client import Client

FIELD_MANAGER = "the-machine"
"""Who we are in the managed fields of what we write."""

PAGE = 100
"""Objects a page. With 20 KB each that is 2 MB, which is what is held at once."""

_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_WRITING = (("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict"))
_SELF_REVIEW = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
_DISCOVERY = Resource("", "v1", "apis", "The group", namespaced=False)
_BREATH_SECONDS = 0.008
_MOST_REFUSAL_BYTES = 64 * 1024
_LIST = "the list"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    verb: str
    """In the words of Kubernetes' rights: get, list, watch, create, patch."""
    method: str
    path: str
    resource: Resource
    what: str
    """The object, to begin a sentence with."""
    query: Sequence[tuple[str, str]] = ()
    body: Mapping[str, Any] | None = None
    content_type: str = _JSON
    accept: str = _JSON


class Breather:
    """Lets others run now and then, in work that comes in many small pieces."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._since = self._now()

    async def breathe(self) -> None:
        """Give way, if it is time to."""
        if self._now() - self._since >= _BREATH_SECONDS:
            await asyncio.sleep(0)
            self._since = self._now()


class Lines:
    """A watch that is open: an event a line."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._content = answer.content

    async def next(self, *, within: float) -> bytes:
        """Return the next line, or nothing at its end.

        Raises:
            TimeoutError: Nothing came for so many seconds.
            UnavailableError: The connection broke, perhaps in the middle of a line.
        """
        try:
            async with asyncio.timeout(within):
                line = await self._content.readline()
        except TimeoutError:
            raise
        # The second is a line of more than 4 MiB, which no object is.
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise UnavailableError("The connection to Kubernetes broke.") from error
        if line and not line.endswith(b"\n"):
            raise UnavailableError("The connection to Kubernetes broke.")
        return line


class Cluster:
    """One Kubernetes API server; connects when it is first asked.

    Every method raises, beside what it names: `UnavailableError` (down, slow,
    overloaded; a write may have been done all the same), `ForbiddenError`,
    `NotInstalledError` where the cluster does not know the kind.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        clock: Clock,
        *,
        surroundings: Surroundings | None = None,
        may_act: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what is configured; the surroundings are those of the process unless others are given.

        `may_act` is asked before each request, and raises where another process leads now.
        """
        self.clock = clock
        self._settings = settings
        self._surroundings = surroundings
        self._may_act = may_act
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Return an object.

        Raises:
            NotFoundError: There is none of this name.
        """
        return await self._get(resource, namespace, name, _JSON)

    async def get_metadata(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Return an object's name, labels, annotations and versions; the rest never leaves the server.

        Raises:
            NotFoundError: There is none of this name.
        """
        return await self._get(resource, namespace, name, _METADATA)

    async def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "") -> list[Json]:
        """Return all objects, which are all held at once: for kinds of which there are few."""
        found: list[Json] = []
        await self.list_each(resource, namespace, found.append, labels=labels)
        return found

    async def list_each(
        self,
        resource: Resource,
        namespace: str | None,
        take: Callable[[Json], object],
        *,
        labels: str = "",
    ) -> str:
        """Hand over every object, a page at a time; return the version from which a watch can go on.

        Raises:
            ExpiredError: It took so long that the server has forgotten where we were.
        """
        breather, token = Breather(), ""
        while True:
            page = ObjectList(await self._page(resource, namespace, labels, token))
            for thing in page:
                take(thing)
                await breather.breathe()
            token = page.token
            if not token:
                return page.version

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        *,
        subresource: str = "",
        if_version: str | None = None,
    ) -> Json:
        """Change an object by a JSON merge patch (RFC 7386: None removes) and return it as it is then.

        With `if_version` only if that is still its `resourceVersion`.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It has changed since `if_version`.
            InvalidError: The schema or a rule of the cluster does not allow it.
        """
        if if_version is not None:
            body = {**body, "metadata": {**body.get("metadata", {}), "resourceVersion": if_version}}
        return await self._json(
            _Request(
                verb="patch",
                method="PATCH",
                path=resource.path(namespace, name, subresource),
                resource=resource,
                what=_what(resource, namespace, name),
                query=_WRITING,
                body=body,
                content_type=_MERGE_PATCH,
            )
        )

    async def create(self, resource: Resource, namespace: str | None, body: Mapping[str, Any]) -> Json:
        """Create an object and return it as it is then.

        Raises:
            NotFoundError: The namespace does not exist.
            ConflictError: There is one of this name already.
            InvalidError: The schema or a rule of the cluster does not allow it.
        """
        return await self._json(
            _Request(
                verb="create",
                method="POST",
                path=resource.path(namespace),
                resource=resource,
                what=_what(resource, namespace, body.get("metadata", {}).get("name", "")),
                query=_WRITING,
                body=body,
            )
        )

    async def may(
        self,
        verb: str,
        resource: Resource,
        namespace: str | None = None,
        name: str | None = None,
        *,
        subresource: str = "",
    ) -> bool:
        """Say whether the API server would let us; no namespace means all of them."""
        wanted = {
            "verb": verb,
            "group": resource.group,
            "version": resource.version,
            "resource": resource.plural,
            "subresource": subresource,
            "namespace": namespace or "",
            "name": name or "",
        }
        answer = await self._json(
            _Request(
                verb="create",
                method="POST",
                path=_SELF_REVIEW.path(),
                resource=_SELF_REVIEW,
                what="The question for our rights",
                body={
                    "apiVersion": _SELF_REVIEW.api_version,
                    "kind": _SELF_REVIEW.kind,
                    "spec": {"resourceAttributes": {key: value for key, value in wanted.items() if value}},
                },
            )
        )
        status = answer.get("status")
        return isinstance(status, dict) and status.get("allowed") is True

    async def installed_groups(self) -> frozenset[str]:
        """Return the group versions that the cluster serves, as `Resource.api_version` writes them."""
        groups = await self._discover("/apis")
        found = {
            version["groupVersion"]
            for group in groups.get("groups") or ()
            for version in group.get("versions") or ()
        }
        core = await self._discover("/api")
        return frozenset(found | set(core.get("versions") or ()))

    async def is_installed(self, resource: Resource) -> bool:
        """Say whether the cluster knows the kind."""
        group = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
        try:
            answer = await self._discover(group)
        except NotInstalledError:
            return False
        return any(each.get("name") == resource.plural for each in answer.get("resources") or ())

    @asynccontextmanager
    async def watch_stream(
        self, resource: Resource, namespace: str | None, query: Sequence[tuple[str, str]]
    ) -> AsyncIterator[Lines]:
        """Open a watch; it is closed when the context is left.

        Raises:
            InvalidError: The server does not understand the query.
            ExpiredError: It has forgotten the version that is asked for.
        """
        request = _Request(
            verb="watch",
            method="GET",
            path=resource.path(namespace),
            resource=resource,
            what=_LIST,
            query=[("watch", "true"), *query],
        )
        answer = await self._within_deadline(self._open(request))
        try:
            yield Lines(answer)
        finally:
            # Not released: there is always more to come.
            answer.close()

    async def _get(self, resource: Resource, namespace: str | None, name: str, accept: str) -> Json:
        return await self._json(
            _Request(
                verb="get",
                method="GET",
                path=resource.path(namespace, name),
                resource=resource,
                what=_what(resource, namespace, name),
                accept=accept,
            )
        )

    async def _page(self, resource: Resource, namespace: str | None, labels: str, token: str) -> bytes:
        query = [("limit", str(PAGE))]
        if labels:
            query.append(("labelSelector", labels))
        if token:
            query.append(("continue", token))
        return await self._bytes(
            _Request(
                verb="list",
                method="GET",
                path=resource.path(namespace),
                resource=resource,
                what=_LIST,
                query=query,
            )
        )

    async def _discover(self, path: str) -> Json:
        request = _Request(verb="get", method="GET", path=path, resource=_DISCOVERY, what="The list of kinds")
        return await self._json(request)

    async def _json(self, request: _Request) -> Json:
        body = await self._bytes(request)
        try:
            found = json.loads(body)
        except ValueError as error:
            raise UnavailableError(NO_SENSE) from error
        if not isinstance(found, dict):
            raise UnavailableError(NO_SENSE)
        return found

    async def _bytes(self, request: _Request) -> bytes:
        async def ask() -> bytes:
            answer = await self._open(request)
            try:
                return await answer.read()
            except (aiohttp.ClientError, OSError) as error:
                raise UnavailableError("The connection to Kubernetes broke.") from error
            finally:
                answer.release()

        return await self._within_deadline(ask())

    async def _within_deadline(self, asked: Awaitable[T]) -> T:
        timeout = self._settings.timeout.total_seconds()
        try:
            async with asyncio.timeout(timeout):
                return await asked
        except TimeoutError as error:
            raise UnavailableError(f"Kubernetes did not answer within {timeout:g} s.") from error

    async def _open(self, request: _Request) -> aiohttp.ClientResponse:
        """Send a request and return its answer if that is 2xx; its body is still to be read."""
        client = await self._connected()
        headers = {"Accept": request.accept, "Content-Type": request.content_type}
        span = tracing.begin(f"{request.verb} {request.resource}", tracing.Kind.CLIENT, what=request.what)
        tracing.departing(headers, span)
        with BACKEND_SECONDS.labels("kubernetes").time():
            try:
                answer = await client.open(
                    request.method,
                    request.path,
                    query=request.query,
                    headers=headers,
                    body=request.body,
                )
            except UnavailableError as error:
                tracing.unanswered(span, error)
                _count(request, "none")
                BACKEND_UP.labels("kubernetes").set(0)
                raise
        tracing.answered(span, answer.status)
        _count(request, str(answer.status))
        BACKEND_UP.labels("kubernetes").set(1)
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        try:
            said = await _read_at_most(answer.content, _MOST_REFUSAL_BYTES)
        except (aiohttp.ClientError, OSError):
            said = b""
        finally:
            answer.close()
        raise error_for(answer.status, answer.headers, said, resource=request.resource, what=request.what)

    async def _connected(self) -> "Client":
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> "Client":
        connect = await asyncio.to_thread(_connector)
        surroundings = self._surroundings or Surroundings(os.environ)
        return await connect(self._settings, surroundings, self._may_act)


def _connector() -> "Callable[[ClusterSettings, Surroundings, Callable[[], None]], Awaitable[Client]]":
    from bot.kube.client import connect  # noqa: PLC0415 (20 MB that only a bot with a cluster needs)

    return connect


def _what(resource: Resource, namespace: str | None, name: str) -> str:
    return f"{resource.kind} {ObjectKey(namespace or '', name)}"


def _count(request: _Request, status: str) -> None:
    KUBE_REQUESTS.labels(request.verb, str(request.resource), status).inc()


async def _read_at_most(content: aiohttp.StreamReader, size: int) -> bytes:
    read = bytearray()
    while len(read) < size and (more := await content.read(size - len(read))):
        read += more
    return bytes(read)
