"""What the API answers when it does not do as asked: a `Status` in its own words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.demo.cluster.kinds import Kind

Json = dict[str, Any]
"""An object as the API gives it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong with an object."""

    field: str
    """The path of the field, as in `spec.project`."""
    message: str
    reason: str = "FieldValueInvalid"

    def as_json(self) -> Json:
        """Return it as it stands in a `Status`."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


@dataclass
class ApiError(Exception):
    """A request that fails, with the answer that tells so."""

    code: int
    reason: str
    message: str
    details: Json = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    plain: bool = False
    """The body is the bare message, for nothing of the API stands behind that address."""
    content_type: str = "text/plain; charset=utf-8"

    def status(self) -> Json:
        """Return the `Status`."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            **({"reason": self.reason} if self.reason else {}),
            **({"details": self.details} if self.details else {}),
            "code": self.code,
        }

    def event(self) -> bytes:
        """Return the line by which a watch tells of it."""
        return json.dumps({"type": "ERROR", "object": self.status()}, separators=(",", ":")).encode() + b"\n"


def _details(kind: Kind, name: str | None, **more: Any) -> Json:
    return {
        **({"name": name} if name else {}),
        **({"group": kind.group} if kind.group else {}),
        "kind": kind.plural,
        **more,
    }


def unauthorized() -> ApiError:
    """Nobody is known by that token."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(
    user: str, verb: str, *, group: str, resource: str, namespace: str | None, name: str | None
) -> ApiError:
    """The rights of this user do not cover that."""
    plural = resource.partition("/")[0]
    called = f"{plural}.{group}" if group else plural
    subject = f'{called} "{name}"' if name else called
    place = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    return ApiError(
        403,
        "Forbidden",
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{resource}" '
        f'in API group "{group}" {place}',
        {**({"name": name} if name else {}), **({"group": group} if group else {}), "kind": plural},
    )


def nothing_here() -> ApiError:
    """No kind has this address: the answer of a group that is not installed."""
    return ApiError(404, "", "404 page not found\n", plain=True)


def not_found(kind: Kind, name: str) -> ApiError:
    """The kind is there, the object is not."""
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    """Another object has the name."""
    return ApiError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str) -> ApiError:
    """The object is not any more as the writer saw it."""
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
        _details(kind, name),
    )


def precondition_failed(kind: Kind, name: str, what: str, wanted: str, there: str) -> ApiError:
    """A deletion named a uid or a version, and the object has another."""
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {kind.resource} "{name}": '
        f"the {what} in the precondition ({wanted}) does not match the {what} in record ({there}). "
        "The object might have been deleted and then recreated",
        _details(kind, name),
    )


def apply_conflict(owned: Sequence[tuple[str, str]]) -> ApiError:
    """An apply would change what others own: pairs of manager and field."""
    plural = "" if len(owned) == 1 else "s"
    lines = ", ".join(f'conflict with "{manager}": {path}' for manager, path in owned)
    return ApiError(
        409,
        "Conflict",
        f"Apply failed with {len(owned)} conflict{plural}: {lines}",
        {
            "causes": [
                Cause(path, f'conflict with "{manager}"', "FieldManagerConflict").as_json()
                for manager, path in owned
            ]
        },
    )


def bad_request(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> ApiError:
    """The object breaks rules of its kind."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    return ApiError(
        422,
        "Invalid",
        f'{kind.qualified} "{name}" is invalid: {told[0] if len(told) == 1 else "[" + ", ".join(told) + "]"}',
        {
            "name": name,
            **({"group": kind.group} if kind.group else {}),
            "kind": kind.kind,
            "causes": [cause.as_json() for cause in causes],
        },
    )


def invalid_options(*causes: Cause) -> ApiError:
    """The query of a list or a watch contradicts itself."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    return ApiError(
        422,
        "Invalid",
        'ListOptions.meta.k8s.io "" is invalid: '
        + (told[0] if len(told) == 1 else "[" + ", ".join(told) + "]"),
        {
            "group": "meta.k8s.io",
            "kind": "ListOptions",
            "causes": [cause.as_json() for cause in causes],
        },
    )


def invalid_patch(patch: str, why: str) -> ApiError:
    """What the patch gives cannot be read as an object of the kind."""
    cause = Cause("patch", f"Invalid value: {json.dumps(patch)}: {why}")
    return ApiError(
        422,
        "Invalid",
        f' "" is invalid: {cause.field}: {cause.message}',
        {"causes": [cause.as_json()]},
    )


def manager_required() -> ApiError:
    """An apply does not say whose fields these will be."""
    cause = Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
    return ApiError(
        422,
        "Invalid",
        f'PatchOptions.meta.k8s.io "" is invalid: {cause.field}: {cause.message}',
        {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [cause.as_json()]},
    )


def failed_test() -> ApiError:
    """A JSON patch tested for something that is not so, or named a place that is not there."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request")


def unsupported_patch(kind: Kind) -> ApiError:
    """The kind takes no patch of this type."""
    types = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
    if not kind.custom:
        types.insert(2, "application/strategic-merge-patch+json")
    return ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(types),
    )


def unsupported_body() -> ApiError:
    """The body is in protobuf, or in something stranger."""
    return ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json",
    )


def not_acceptable() -> ApiError:
    """No way of writing the answer is one that the asker takes."""
    return ApiError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf",
    )


def method_not_allowed(method: str) -> ApiError:
    """The resource knows no such verb."""
    return ApiError(
        405, "MethodNotAllowed", f"the server does not allow this method on the requested resource: {method}"
    )


def expired(asked: int, oldest: int) -> ApiError:
    """The history does not reach back that far."""
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def expired_page() -> ApiError:
    """The list that a page belongs to cannot be told on."""
    return ApiError(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a "
        "new list without the continue parameter, or use the continue token in this response to retrieve "
        "the remainder of the results.",
    )


def too_large_version(asked: int, current: int) -> ApiError:
    """A version was named that there has not been yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {"causes": [cause], "retryAfterSeconds": 1},
        {"Retry-After": "1"},
    )
