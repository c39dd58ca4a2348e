"""The forms in which an object is told: whole, or its metadata alone."""

import json
import re
from collections.abc import Callable

from bot.demo.cluster.failures import Json, not_acceptable
from bot.demo.cluster.kinds import Kind
from bot.demo.cluster.store import Stored, encode

_META_GROUP = "meta.k8s.io"
_BROWSERS = re.compile(r"^(curl|wget|mozilla/5\.0)", re.IGNORECASE)

Form = Callable[[Stored], bytes]
"""Writes an object as it was asked for."""


def whole(stored: Stored) -> bytes:
    """Write everything."""
    return stored.body


def metadata_only(stored: Stored) -> bytes:
    """Write the name, labels, annotations and what else is metadata."""
    return encode(
        {
            "kind": "PartialObjectMetadata",
            "apiVersion": f"{_META_GROUP}/v1",
            "metadata": stored.read()["metadata"],
        }
    )


def in_list(kind: Kind) -> Form:
    """Return how the items of a list are written: those of built-in kinds do not say what they are."""
    if kind.custom:
        return whole

    def bare(stored: Stored) -> bytes:
        read = stored.read()
        return encode({name: value for name, value in read.items() if name not in {"kind", "apiVersion"}})

    return bare


def wants_metadata(accept: str, *, of_list: bool) -> bool:
    """Say which form the `Accept` header asks for first.

    Raises:
        ApiError: 406, none that the server can write.
    """
    for media_type in accept.split(",") if accept.strip() else ("*/*",):
        name, *parameters = (part.strip() for part in media_type.split(";"))
        if name not in {"application/json", "application/*", "*/*"}:
            continue
        asked = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        form = asked.get("as", "")
        if not form:
            return False
        wanted = "PartialObjectMetadataList" if of_list else "PartialObjectMetadata"
        if form == wanted and asked.get("g") == _META_GROUP and asked.get("v") == "v1":
            return True
    raise not_acceptable()


def wants_pretty(query_value: str, user_agent: str) -> bool:
    """Say whether the answer is to be indented for a person, as for curl and browsers."""
    return query_value in {"true", "1"} or (not query_value and bool(_BROWSERS.match(user_agent)))


def pretty(body: bytes) -> bytes:
    """Indent a body."""
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode() + b"\n"


def list_head(kind: Kind, *, version: int, partial: bool, token: str, remaining: int | None) -> Json:
    """Return a list without its items."""
    metadata: Json = {"resourceVersion": str(version)}
    if token or kind.custom:
        metadata["continue"] = token
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    if partial:
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"{_META_GROUP}/v1",
            "metadata": metadata,
        }
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata}
