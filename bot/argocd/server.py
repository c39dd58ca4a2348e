"""Talks to argocd-server, which knows what the Application resource does not: diffs, commits, live health.

https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/ . Nothing is
written through it: syncs go through the resource, by our own rules of access.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import structlog

from bot.argocd.differences import compare
from bot.argocd.fields import mapping, moment, objects, text, texts
from bot.argocd.model import Application, HealthStatus, ResourceKey
from bot.argocd.settings import ArgoServerSettings
from bot.argocd.views import Commit, ResourceDifference, ResourceHealth
from bot.core.clock import Clock
from bot.core.errors import BrokenError, MachineError, NotFoundError, UnavailableError
from bot.kube.model import Json
from bot.telemetry.metrics import BACKEND_SECONDS, BACKEND_UP

log = structlog.get_logger(__name__)

_BACKEND: Final = "argocd-server"
_MOST_BYTES: Final = 64 * 2**20
_CHUNK: Final = 64 * 1024
_MOST_COMMITS: Final = 2_000
_LONGEST_SUBJECT: Final = 120
_REST_AFTER_FAILURE: Final = timedelta(seconds=30)
_NOT_CONFIGURED: Final = "Argo CD's server is not configured: `kubernetes.argocd.server` says where it is."
_HEALTH: Final[Mapping[str, HealthStatus]] = {status.value: status for status in HealthStatus}


class ArgoServer:
    """The REST API of one argocd-server."""

    def __init__(
        self,
        settings: Callable[[], ArgoServerSettings | None],
        session: aiohttp.ClientSession,
        clock: Clock,
    ) -> None:
        """Take what is configured at the moment of asking, and a session that the caller opens and closes."""
        self._settings = settings
        self._session = session
        self._clock = clock
        self._commits: OrderedDict[tuple[str, str], Commit] = OrderedDict()
        self._rests_until: datetime | None = None

    @property
    def is_configured(self) -> bool:
        """Tell whether there is a server to ask."""
        return self._settings() is not None

    async def list_differences(self, application: Application) -> tuple[ResourceDifference, ...]:
        """Return what a sync would change, as Argo CD last compared it: refresh first for the newest.

        Raises:
            NotFoundError: No server is configured.
            UnavailableError: It cannot be reached.
            BrokenError: It refuses us, or is not understood.
        """
        answer = await self._get(application, "managed-resources")
        # Large manifests are compared apart, so that no webhook waits for them.
        return await asyncio.to_thread(compare, objects(answer.get("items")))

    async def list_resource_health(self, application: Application) -> Mapping[ResourceKey, ResourceHealth]:
        """Return how each live resource is, those that others made (pods, replica sets) included.

        Raises:
            NotFoundError: No server is configured.
            UnavailableError: It cannot be reached.
            BrokenError: It refuses us, or is not understood.
        """
        answer = await self._get(application, "resource-tree")
        return dict(each for node in objects(answer.get("nodes")) if (each := _read_node(node)) is not None)

    async def find_commits(
        self, application: Application, revisions: tuple[str, ...] | None = None
    ) -> tuple[Commit | None, ...]:
        """Return what is known of revisions, those it was compared with unless others are given.

        A commit that nobody knows of is None, and so is everything while the
        server does not answer: what is shown must not depend on it.
        """
        wanted = application.revisions if revisions is None else revisions
        if not self.is_configured:
            return (None,) * len(wanted)
        found = await asyncio.gather(
            *(self._find_commit(application, place, revision) for place, revision in enumerate(wanted))
        )
        return tuple(found)

    async def _find_commit(self, application: Application, place: int, revision: str) -> Commit | None:
        source = application.sources[place] if place < len(application.sources) else None
        if source is None or source.chart or not revision:
            return None
        key = (source.repository, revision)
        if key in self._commits:
            self._commits.move_to_end(key)
            return self._commits[key]
        if self._rests_until is not None and self._clock.now() < self._rests_until:
            return None
        query = {"sourceIndex": str(place)} if application.multi_source else {}
        try:
            answer = await self._get(application, "revisions", revision, "metadata", **query)
        except MachineError as error:
            log.info("commit_unknown", app=str(application.key), why=str(error))
            if isinstance(error, UnavailableError):
                self._rests_until = self._clock.now() + _REST_AFTER_FAILURE
            return None
        self._commits[key] = commit = _read_commit(revision, answer)
        if len(self._commits) > _MOST_COMMITS:
            self._commits.popitem(last=False)
        return commit

    async def who_am_i(self) -> str:
        """Return the name by which the server knows our token.

        Raises:
            BrokenError: It does not know the token, or is no Argo CD.
            UnavailableError: It does not answer.
        """
        settings = self._settings()
        if settings is None:
            raise NotFoundError(_NOT_CONFIGURED)
        status, body = await self._request(settings, f"{settings.url}/api/v1/session/userinfo", {})
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(f"Argo CD's server answers {status}.")
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise BrokenError("Argo CD's server does not accept our token: it may have expired.")
        answer = _parsed(body) if status == HTTPStatus.OK else {}
        if "loggedIn" not in answer and "username" not in answer:
            raise BrokenError("Argo CD's server is not understood: its address may lead elsewhere.")
        if not answer.get("loggedIn"):
            raise BrokenError("Argo CD's server does not accept our token: it may have expired.")
        return text(answer.get("username"))

    async def _get(self, application: Application, *path: str, **query: str) -> Json:
        settings = self._settings()
        if settings is None:
            raise NotFoundError(_NOT_CONFIGURED)
        parts = "/".join(quote(part, safe="") for part in (application.key.name, *path))
        status, body = await self._request(
            settings,
            f"{settings.url}/api/v1/applications/{parts}",
            # Without the project a server answers 403 to whoever may see that project only.
            {"appNamespace": application.key.namespace, "project": application.project, **query},
        )
        if status != HTTPStatus.OK:
            raise _failure(status, application)
        try:
            answer = await asyncio.to_thread(json.loads, body) if len(body) > _CHUNK else json.loads(body)
        except ValueError as error:
            raise BrokenError(
                "Argo CD's server is not understood: its address may lead elsewhere."
            ) from error
        return dict(mapping(answer))

    async def _request(
        self, settings: ArgoServerSettings, url: str, query: Mapping[str, str]
    ) -> tuple[int, bytes]:
        seconds = settings.timeout.total_seconds()
        headers = {
            "Authorization": f"Bearer {settings.token.get_secret_value()}",
            "Accept": "application/json",
        }
        try:
            with BACKEND_SECONDS.labels(_BACKEND).time():
                async with (
                    asyncio.timeout(seconds),
                    # A redirect would be to where people log in.
                    self._session.get(url, params=query, headers=headers, allow_redirects=False) as response,
                ):
                    body = await _read(response)
        except TimeoutError as error:
            BACKEND_UP.labels(_BACKEND).set(0)
            raise UnavailableError(f"Argo CD's server does not answer within {seconds:g} s.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            BACKEND_UP.labels(_BACKEND).set(0)
            log.debug("argocd_server_unreachable", error=type(error).__name__)
            raise UnavailableError("Argo CD's server cannot be reached.") from error
        BACKEND_UP.labels(_BACKEND).set(1)
        return response.status, body


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    left = _MOST_BYTES
    async for part in response.content.iter_chunked(_CHUNK):
        left -= len(part)
        if left < 0:
            raise BrokenError(f"Argo CD's server answers more than {_MOST_BYTES >> 20} MiB.")
        parts.append(part)
    return b"".join(parts)


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(body))
    except ValueError:
        return {}


def _failure(status: int, application: Application) -> MachineError:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return BrokenError("Argo CD's server does not accept our token: it may have expired.")
        case HTTPStatus.FORBIDDEN:
            # It also says so of Applications that do not exist, so as not to tell which ones do.
            return BrokenError(
                "Argo CD's server does not let our token see this Application: the token needs "
                f"`applications, get` in the project {_plain(application.project)}."
            )
        case HTTPStatus.NOT_FOUND:
            return NotFoundError("Argo CD's server does not know this.")
        case HTTPStatus.BAD_REQUEST | HTTPStatus.TOO_MANY_REQUESTS:
            return UnavailableError(f"Argo CD's server answers {status}.")
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnavailableError(f"Argo CD's server answers {status}.")
        case _:
            return BrokenError(f"Argo CD's server answers {status}: its address may lead elsewhere.")


def _plain(name: str) -> str:
    return "".join(char for char in name if char.isalnum() or char in "-._")[:100]


def _read_commit(revision: str, answer: Json) -> Commit:
    lines = text(answer.get("message")).strip().splitlines()
    subject = lines[0].strip() if lines else ""
    return Commit(
        revision=revision,
        subject=subject if len(subject) <= _LONGEST_SUBJECT else subject[: _LONGEST_SUBJECT - 1] + "…",
        author=text(answer.get("author")).partition("<")[0].strip(),
        at=moment(answer.get("date")),
        tags=texts(answer.get("tags")),
    )


def _read_node(node: Mapping[str, Any]) -> tuple[ResourceKey, ResourceHealth] | None:
    health = mapping(node.get("health"))
    status = _HEALTH.get(text(health.get("status")))
    if status is None:
        return None
    key = ResourceKey(*(text(node.get(part)) for part in ("group", "kind", "namespace", "name")))
    return key, ResourceHealth(status=status, message=text(health.get("message")))
