"""Argo CD's resources in the cluster: what is watched, what is read at this moment, what is changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
import yaml

from bot.argocd.detail import ApplicationDetail
from bot.argocd.fields import mapping, pairs, text
from bot.argocd.projects import GlobalProject, read_global_projects, read_project
from bot.argocd.reading import read_application, read_detail
from bot.argocd.sets import ApplicationSet, read_application_set
from bot.chat.text import code
from bot.core.clock import Clock
from bot.core.errors import ConflictError, MachineError, NotFoundError, UnavailableError
from bot.core.loops import Loop
from bot.kube.events import EVENTS, write_event
from bot.kube.model import Json, ObjectKey, Reference, Resource, Right
from bot.kube.reflector import Watched
from bot.kube.transport import Cluster

log = structlog.get_logger(__name__)

APPLICATIONS: Final = Resource("argoproj.io", "v1alpha1", "applications", "Application")
PROJECTS: Final = Resource("argoproj.io", "v1alpha1", "appprojects", "AppProject")
APPLICATION_SETS: Final = Resource("argoproj.io", "v1alpha1", "applicationsets", "ApplicationSet")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")

USUAL_NAMESPACE: Final = "argocd"
"""Where Argo CD is when the whole cluster is watched."""

_CONFIG: Final = "argocd-cm"
_MOST_TRIES: Final = 6
_CONFIG_LASTS: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Fresh:
    """An Application as it was read a moment ago."""

    detail: ApplicationDetail
    reference: Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoConfig:
    """What Argo CD's own configuration says that concerns us."""

    url: str = ""
    global_projects: tuple[GlobalProject, ...] = ()
    problem: str = ""
    """Plain, a sentence: why it is not known, or not the newest; empty when all is well."""


class ArgoCluster:
    """Argo CD's resources of one cluster."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str], clock: Clock) -> None:
        """Take the cluster and where Applications are, Argo CD's own namespace first; none: everywhere."""
        self._cluster = cluster
        self._clock = clock
        self.namespaces = tuple(namespaces)
        self.home = namespaces[0] if namespaces else USUAL_NAMESPACE
        self.applications = Watched(cluster, APPLICATIONS, trim=read_application, namespaces=namespaces)
        self.projects = Watched(cluster, PROJECTS, trim=read_project, namespaces=(self.home,))
        self.sets = Watched(cluster, APPLICATION_SETS, trim=read_application_set, namespaces=namespaces)
        self._config = ArgoConfig(problem="Argo CD's configuration has not been read yet.")
        self._config_read_at: datetime | None = None

    @property
    def loops(self) -> tuple[Loop, ...]:
        """What keeps the watched resources current."""
        return (*self.applications.loops, *self.projects.loops, *self.sets.loops)

    async def read(self, key: ObjectKey) -> Fresh:
        """Return an Application as it is at this moment.

        Raises:
            NotFoundError: There is none (any more).
        """
        return _fresh(await self._cluster.get(APPLICATIONS, key.namespace, key.name))

    async def patch(self, key: ObjectKey, body: Mapping[str, Any]) -> Fresh:
        """Change an Application and return it as it is then.

        Raises:
            NotFoundError: There is none (any more).
            ConflictError: It has changed since the version that the patch names.
        """
        return _fresh(await self._cluster.merge_patch(APPLICATIONS, key.namespace, key.name, body))

    async def change(self, key: ObjectKey, decide: Callable[[Fresh], Json | None]) -> tuple[Fresh, bool]:
        """Change an Application by what is decided over its state of this moment; None: it stays as it is.

        Where somebody else was quicker it is read and decided again. Returns the
        state after it and whether it was changed.

        Raises:
            NotFoundError: There is none (any more).
            UnavailableError: It changes all the time; or there was no answer, and perhaps it was done.
        """
        for _ in range(_MOST_TRIES):
            fresh = await self.read(key)
            body = decide(fresh)
            if body is None:
                return fresh, False
            try:
                return await self.patch(key, body), True
            except ConflictError:
                continue
        raise UnavailableError(f"{code(str(key))} is changed all the time by others.")

    async def read_set(self, key: ObjectKey) -> ApplicationSet:
        """Return an ApplicationSet as it is at this moment."""
        return read_application_set(await self._cluster.get(APPLICATION_SETS, key.namespace, key.name))

    async def patch_set(self, key: ObjectKey, body: Mapping[str, Any]) -> ApplicationSet:
        """Change an ApplicationSet and return it as it is then."""
        return read_application_set(
            await self._cluster.merge_patch(APPLICATION_SETS, key.namespace, key.name, body)
        )

    async def config(self) -> ArgoConfig:
        """Return what `argocd-cm` says, at most a minute old; while it is not read, what was known before."""
        now = self._clock.now()
        if self._config_read_at is not None and now - self._config_read_at < _CONFIG_LASTS:
            return self._config
        try:
            raw = await self._cluster.get(CONFIG_MAPS, self.home, _CONFIG)
        except NotFoundError:
            self._config = ArgoConfig(problem=f"There is no ConfigMap {_CONFIG} in {self.home}.")
        except MachineError as error:
            log.info("argocd_config_unread", why=str(error))
            self._config = replace(self._config, problem=f"Argo CD's configuration is not known. {error}")
        else:
            self._config = _read_config(pairs(raw.get("data")))
        self._config_read_at = now
        return self._config

    async def tell(self, about: Reference, *, reason: str, message: str, by: str) -> None:
        """Write an Event about what was done; a failure to do so is only logged."""
        await write_event(self._cluster, about=about, reason=reason, message=message, by=by)


def rights_needed(namespaces: Sequence[str], *, write: bool) -> tuple[Right, ...]:
    """Return what the API server must let us do, for `missing_rights`."""
    places: Sequence[str | None] = tuple(namespaces) or (None,)
    home = namespaces[0] if namespaces else USUAL_NAMESPACE
    reading = [
        Right(verb, resource, place)
        for resource in (APPLICATIONS, APPLICATION_SETS)
        for place in places
        for verb in ("get", "list", "watch")
    ]
    reading += [Right(verb, PROJECTS, home) for verb in ("list", "watch")]
    reading.append(Right("get", CONFIG_MAPS, home, _CONFIG))
    if not write:
        return tuple(reading)
    writing = [
        Right("patch", resource, place) for resource in (APPLICATIONS, APPLICATION_SETS) for place in places
    ]
    writing += [Right("create", EVENTS, place) for place in places]
    return (*reading, *writing)


def _fresh(raw: dict[str, Any]) -> Fresh:
    metadata = mapping(raw.get("metadata"))
    reference = Reference(
        APPLICATIONS.api_version,
        APPLICATIONS.kind,
        text(metadata.get("namespace")),
        text(metadata.get("name")),
        text(metadata.get("uid")),
    )
    return Fresh(read_detail(raw), reference)


def _read_config(data: Mapping[str, str]) -> ArgoConfig:
    url = data.get("url", "").rstrip("/")
    try:
        parsed = yaml.safe_load(data.get("globalProjects", ""))
    except yaml.YAMLError:
        return ArgoConfig(url=url, problem="The global projects in Argo CD's configuration are not YAML.")
    return ArgoConfig(url=url, global_projects=read_global_projects(parsed))
