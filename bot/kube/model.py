"""What the rooms above know of Kubernetes: resources, keys, how a watch is, what can go wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote

from bot.core.errors import BrokenError, InvalidError, NotFoundError, UnavailableError

Json = dict[str, Any]
"""An object as the API gives it."""


class ObjectKey(NamedTuple):
    """What names one object among those of its kind; the namespace is empty where the kind has none."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects, by the names that the API has for it."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """The group and version as objects and discovery write it: `argoproj.io/v1alpha1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the path of an object, or of all objects (of a namespace) if no name is given.

        Raises:
            InvalidError: The namespace or the name could not be one; it might lead elsewhere.
        """
        parts = ["/apis" if self.group else "/api", self.api_version]
        if namespace and self.namespaced:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def reference(self, key: ObjectKey, uid: str = "") -> "Reference":
        """Return what an Event needs to know of an object of this kind."""
        return Reference(self.api_version, self.kind, key.namespace, key.name, uid)


@dataclass(frozen=True, slots=True)
class Reference:
    """One object of any kind, as an Event names it."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""

    @classmethod
    def of(cls, thing: Mapping[str, Any]) -> "Reference":
        """Return the reference of an object as the API gave it."""
        about = thing["metadata"]
        return cls(
            thing["apiVersion"],
            thing["kind"],
            about.get("namespace", ""),
            about["name"],
            about.get("uid", ""),
        )


@dataclass(frozen=True, slots=True)
class Right:
    """Something that the API server lets us do, or not."""

    verb: str
    resource: Resource
    namespace: str | None = None
    """None: in all namespaces."""
    name: str | None = None
    subresource: str = ""

    def __str__(self) -> str:
        part = f"/{self.subresource}" if self.subresource else ""
        name = f" {self.name}" if self.name else ""
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{part}{name}{where}"


class WatchPhase(StrEnum):
    """How a watch is."""

    STARTING = "starting"
    """Not all objects are known yet."""
    SYNCED = "synced"
    """What is known is what there is, give or take a moment."""
    NOT_INSTALLED = "not installed"
    """The cluster does not know the kind; it is looked for now and then."""
    FORBIDDEN = "forbidden"
    """The cluster does not let us see it; what is known is from before."""
    UNREACHABLE = "unreachable"
    """The cluster does not answer; what is known is from before."""


@dataclass(frozen=True, slots=True)
class WatchHealth:
    """How a watch is, for people."""

    phase: WatchPhase
    problem: str
    """A sentence, safe to show; empty when all is well."""
    last_contact: datetime | None
    """When the cluster last said something about it; where several namespaces are watched, of the stalest."""
    objects: int


class NotInstalledError(NotFoundError):
    """The cluster does not know the kind at all."""


class ForbiddenError(BrokenError):
    """The cluster does not know us, or does not let us do this; the text names who may not do what."""


class ExpiredError(UnavailableError):
    """The server has forgotten the version that was asked for: one must list again."""


class BusyError(UnavailableError):
    """The server asks to be left alone for a while."""

    def __init__(self, text: str, retry_after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


def key_of(thing: Mapping[str, Any]) -> ObjectKey:
    """Return the key of an object as the API gave it."""
    about = thing["metadata"]
    return ObjectKey(about.get("namespace", ""), about["name"])


_LONGEST_SEGMENT = 253


def _segment(text: str) -> str:
    if not text or len(text) > _LONGEST_SEGMENT or text in {".", ".."} or "/" in text or "%" in text:
        raise InvalidError("Expected the name of an object in Kubernetes.")
    return quote(text, safe=":")
