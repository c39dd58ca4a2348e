"""What the API server says when it refuses, in our errors.

Its own words are taken apart, not repeated: they may hold the values that were
sent. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from bot.core.errors import (
    BrokenError,
    ConflictError,
    InvalidError,
    MachineError,
    NotFoundError,
    UnavailableError,
)
from bot.kube.model import BusyError, ExpiredError, ForbiddenError, Json, NotInstalledError, Resource

NO_SENSE = "Kubernetes gives an answer that cannot be read; perhaps something else answers in its place."

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]{1,200})" cannot (?P<verb>[\w-]{1,40}) (?:resource|path) "(?P<resource>[^"]{1,200})"'
    r'(?: in API group "(?P<group>[\w.-]*)")?'
    r'(?: in the namespace "(?P<namespace>[\w.-]+)"| at the cluster scope)?'
)
_FIELD = re.compile(r'(?:unknown|duplicate) field "([\w.\[\]/-]{1,200})"')
_PLACE = re.compile(r"[\w.\[\]/~\"-]{1,200}")
_DENIED = re.compile(r"admission webhook \"[\w.-]+\" denied the request(?:: (?P<why>.+))?", re.DOTALL)
_PATCH = "patch"
"""Named as the field where the patch as a whole is meant."""
_LONGEST_WHY = 300
_MOST_FIELDS = 5
_LONGEST_WAIT = 300


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    body: bytes
    retry_after: timedelta | None
    resource: Resource
    what: str
    said: Json | None
    """The Status object of the body, if it is one."""

    @property
    def message(self) -> str:
        return str((self.said or {}).get("message", ""))

    @property
    def details(self) -> Mapping[str, Any]:
        details = (self.said or {}).get("details")
        return details if isinstance(details, dict) else {}


def error_for(
    status: int, headers: Mapping[str, str], body: bytes, *, resource: Resource, what: str
) -> MachineError:
    """Return the error that an answer other than 2xx is; `what` names the object, to begin a sentence."""
    said = _status_object(body)
    refusal = _Refusal(status, body, _retry_after(headers), resource, what, said)
    if denied := _DENIED.search(refusal.message):
        return InvalidError(_denial(denied["why"] or ""))
    return _READINGS.get(status, _other)(refusal)


def watch_error(thing: Json) -> MachineError:
    """Return the error that a line of kind ERROR in a watch is."""
    if thing.get("code") == HTTPStatus.GONE:
        return ExpiredError("Kubernetes has forgotten the version that we know.")
    code = thing.get("code")
    status = code if isinstance(code, int) else "unknown"
    return UnavailableError(f"Kubernetes ends the watch with status {status}.")


def not_installed(resource: Resource) -> NotInstalledError:
    """Return the error of a kind that the cluster does not know."""
    return NotInstalledError(f"{resource.kind} ({resource.api_version}) is not installed in this cluster.")


def _status_object(body: bytes) -> Json | None:
    try:
        said = json.loads(body)
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.get("kind") == "Status" else None


def _unauthorized(_: _Refusal) -> MachineError:
    return ForbiddenError("Kubernetes does not accept our credentials.")


def _forbidden(refusal: _Refusal) -> MachineError:
    found = _FORBIDDEN.search(refusal.message)
    if found is None:
        return ForbiddenError(f"Kubernetes does not let us do this with {refusal.resource}.")
    group = f".{found['group']}" if found["group"] else ""
    where = f" in {found['namespace']}" if found["namespace"] else " in the whole cluster"
    return ForbiddenError(
        f"Kubernetes does not let {found['user']} {found['verb']} {found['resource']}{group}{where}."
    )


def _missing(refusal: _Refusal) -> MachineError:
    if refusal.said is None:
        is_of_kubernetes = refusal.body.strip().lower().startswith(b"404 page not found")
        return not_installed(refusal.resource) if is_of_kubernetes else UnavailableError(NO_SENSE)
    if not refusal.details.get("name"):
        return not_installed(refusal.resource)
    if refusal.details.get("kind") == "namespaces" and refusal.resource.plural != "namespaces":
        return NotFoundError("The namespace does not exist.")
    return NotFoundError(f"{refusal.what} does not exist.")


def _conflict(refusal: _Refusal) -> MachineError:
    if (refusal.said or {}).get("reason") == "AlreadyExists":
        return ConflictError(f"{refusal.what} exists already.")
    return ConflictError(f"{refusal.what} was changed by somebody else in the meantime.")


def _gone(_: _Refusal) -> MachineError:
    return ExpiredError("Kubernetes has forgotten the version that we know.")


def _invalid(refusal: _Refusal) -> MachineError:
    causes = refusal.details.get("causes")
    named = (
        [cause.get("field") for cause in causes if isinstance(cause, dict)]
        if isinstance(causes, list)
        else []
    )
    fields = [
        field for field in named if isinstance(field, str) and field != _PATCH and _PLACE.fullmatch(field)
    ]
    fields = list(dict.fromkeys([*fields, *_FIELD.findall(refusal.message)]))[:_MOST_FIELDS]
    if not fields:
        return InvalidError(f"Kubernetes does not accept the change of {refusal.what}.")
    return InvalidError(f"Kubernetes does not accept the change of {refusal.what}: see {', '.join(fields)}.")


def _busy(refusal: _Refusal) -> MachineError:
    return BusyError("Kubernetes has too much to do.", refusal.retry_after)


def _other(refusal: _Refusal) -> MachineError:
    if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        text = f"Kubernetes fails with status {refusal.status}."
        return BusyError(text, refusal.retry_after) if refusal.retry_after else UnavailableError(text)
    if refusal.said is not None:
        return BrokenError(f"Kubernetes refuses the request with status {refusal.status}.")
    return UnavailableError(NO_SENSE)


_READINGS: Mapping[int, Callable[[_Refusal], MachineError]] = {
    HTTPStatus.BAD_REQUEST: _invalid,
    HTTPStatus.UNAUTHORIZED: _unauthorized,
    HTTPStatus.FORBIDDEN: _forbidden,
    HTTPStatus.NOT_FOUND: _missing,
    HTTPStatus.CONFLICT: _conflict,
    HTTPStatus.GONE: _gone,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: _invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: _invalid,
    HTTPStatus.TOO_MANY_REQUESTS: _busy,
}


def _denial(why: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in why).split())
    if not text:
        return "The cluster's own rules do not allow it."
    shown = text if len(text) <= _LONGEST_WHY else f"{text[: _LONGEST_WHY - 1]}…"
    return f"The cluster's own rules do not allow it: {shown}"


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    text = headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit()):
        return None
    return timedelta(seconds=min(int(text), _LONGEST_WAIT))
