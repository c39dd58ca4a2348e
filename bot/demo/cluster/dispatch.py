"""From a request to its answer: reads, writes, reviews and discovery; everything but connections."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.demo.cluster import discovery, reviews
from bot.demo.cluster.failures import (
    Json,
    bad_request,
    method_not_allowed,
    not_found,
    nothing_here,
    unsupported_body,
    unsupported_patch,
)
from bot.demo.cluster.kinds import Kind, Kinds
from bot.demo.cluster.listing import Lists, Selection
from bot.demo.cluster.patches import apply_operations, merge
from bot.demo.cluster.representations import metadata_only, wants_metadata, whole
from bot.demo.cluster.requests import Address, Recorded, write_options
from bot.demo.cluster.rights import Rights
from bot.demo.cluster.store import Key, Store, encode
from bot.demo.cluster.writing import Patched, Writer, Written

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back in one piece."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Dispatcher:
    """Answers every request but watches."""

    def __init__(self, kinds: Kinds, store: Store, writer: Writer, lists: Lists, rights: Rights) -> None:
        """Take what answers are made from."""
        self._kinds = kinds
        self._store = store
        self._writer = writer
        self._lists = lists
        self._rights = rights

    def about_itself(self, path: str) -> Answer:
        """Answer what everybody may ask of the server.

        Raises:
            ApiError: 404, it is nothing of that.
        """
        told: Json | None = None
        match path.strip("/").split("/"):
            case ["healthz" | "livez" | "readyz"]:
                return Answer(200, b"ok", {"Content-Type": "text/plain; charset=utf-8"})
            case ["version"]:
                told = discovery.VERSION
            case ["api"]:
                told = discovery.CORE_VERSIONS
            case ["api", version]:
                told = discovery.resource_list(self._kinds, "", version)
            case ["apis"]:
                told = discovery.group_list(self._kinds)
            case ["apis", group]:
                told = discovery.group(self._kinds, group)
            case ["apis", group, version]:
                told = discovery.resource_list(self._kinds, group, version)
        if told is None:
            raise nothing_here()
        return Answer(200, encode(told) + b"\n")

    def kind_of(self, address: Address) -> Kind:
        """Return the kind that an address names.

        Raises:
            ApiError: 404 in plain text, as for a CustomResourceDefinition that is not installed.
        """
        kind = self._kinds.find(address.group, address.version, address.plural)
        if kind is None or (address.namespace and not kind.namespaced and address.plural != "namespaces"):
            raise nothing_here()
        if address.subresource and not (address.subresource == "status" and kind.has_status):
            # The kind is known, but it has no such address: the object is said not to be found.
            raise not_found(kind, address.name or "")
        return kind

    def answer(self, address: Address, request: Recorded) -> Answer:
        """Answer a request that its user may make.

        Raises:
            ApiError: Whatever the API has to say against it.
        """
        if review := reviews.REVIEWS.get((address.group, address.plural)):
            return self._review(review, request)
        kind = self.kind_of(address)
        accept = request.headers.get("accept", "")
        partial = wants_metadata(accept, of_list=request.verb == "list")
        match request.verb:
            case "get":
                return self._get(kind, address, partial=partial)
            case "list":
                selection = selection_of(kind, address, request.query)
                return Answer(200, self._lists.answer(kind, selection, request.query, partial=partial))
            case "create" if not address.name:
                options = write_options(request.query, request.headers.get("user-agent", ""))
                body = _json_object(request)
                written = self._writer.create(kind, address.namespace, body, options)
            case "update":
                options = write_options(request.query, request.headers.get("user-agent", ""))
                body = _json_object(request)
                key = _key(kind, address)
                written = self._writer.replace(kind, key, body, options, subresource=address.subresource)
            case "patch":
                written = self._patch(kind, address, request)
            case "delete":
                return self._delete(kind, address, request)
            case _:
                raise method_not_allowed(request.method)
        return _written(written, partial=partial)

    def _get(self, kind: Kind, address: Address, *, partial: bool) -> Answer:
        stored = self._store.find(kind, _key(kind, address))
        if stored is None:
            raise not_found(kind, address.name or "")
        return Answer(200, (metadata_only if partial else whole)(stored) + b"\n")

    def _patch(self, kind: Kind, address: Address, request: Recorded) -> Written:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip()
        options = write_options(request.query, request.headers.get("user-agent", ""))
        key, text = _key(kind, address), request.body.decode("utf-8", "replace")
        if content_type == APPLY:
            return self._writer.apply(kind, key, _object(request.body), options)
        patch = _decode(request.body)
        if content_type == MERGE:
            patched = Patched(lambda body: merge(body, patch), text)
            _object(request.body)
        elif content_type == JSON_PATCH:
            patched = Patched(lambda body: apply_operations(body, patch), text)
        else:
            raise unsupported_patch(kind)
        return self._writer.patch(kind, key, patched, options, subresource=address.subresource)

    def _delete(self, kind: Kind, address: Address, request: Recorded) -> Answer:
        given = _object(request.body) if request.body.strip() else {}
        key = _key(kind, address)
        dry_run = request.query.get("dryRun") == "All" or given.get("dryRun") == ["All"]
        conditions = given.get("preconditions") or {}
        written = self._writer.delete(kind, key, conditions=conditions, dry_run=dry_run)
        if not written.gone:
            return Answer(200, written.stored.body + b"\n")
        told = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {
                "name": key.name,
                **({"group": kind.group} if kind.group else {}),
                "kind": kind.plural,
                "uid": written.stored.read()["metadata"]["uid"],
            },
        }
        return Answer(200, encode(told) + b"\n")

    def _review(self, review: reviews.Review, request: Recorded) -> Answer:
        if request.verb != "create":
            raise method_not_allowed(request.method)
        told = reviews.answer(review, self._rights, request.user, _json_object(request))
        return Answer(201, encode(told) + b"\n")


def selection_of(kind: Kind, address: Address, query: Mapping[str, str]) -> Selection:
    """Return which objects a list or a watch is about."""
    fields = query.get("fieldSelector", "")
    if address.name:
        fields = ",".join(filter(None, (fields, f"metadata.name={address.name}")))
    namespace = address.namespace if kind.namespaced else None
    return Selection(namespace, query.get("labelSelector", ""), fields)


def _key(kind: Kind, address: Address) -> Key:
    if not address.name:
        raise method_not_allowed("on a whole collection")
    if kind.namespaced and address.namespace is None:
        raise nothing_here()
    return Key((address.namespace or "") if kind.namespaced else "", address.name)


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise bad_request(f"error decoding: {error}") from error


def _json_object(request: Recorded) -> Json:
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if content_type != "application/json":
        raise unsupported_body()
    return _object(request.body)


def _object(body: bytes) -> Json:
    decoded = _decode(body)
    if not isinstance(decoded, dict):
        raise bad_request("json: cannot unmarshal into Go value of type map[string]interface {}")
    return decoded


def _written(written: Written, *, partial: bool) -> Answer:
    form = metadata_only if partial else whole
    headers = {"Warning": ", ".join(f"299 - {json.dumps(text)}" for text in written.warnings)}
    return Answer(
        201 if written.created else 200,
        form(written.stored) + b"\n",
        headers if written.warnings else {},
    )
