"""Everything that changes an object: the rules between a request and the store."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from bot.core.clock import Clock
from bot.demo.cluster import ownership
from bot.demo.cluster.failures import (
    Cause,
    Json,
    already_exists,
    apply_conflict,
    bad_request,
    conflict,
    invalid,
    invalid_patch,
    manager_required,
    not_found,
    precondition_failed,
)
from bot.demo.cluster.kinds import NAMESPACE, Kind
from bot.demo.cluster.patches import merge
from bot.demo.cluster.requests import WriteOptions
from bot.demo.cluster.schemas import Schemas, dotted, prune
from bot.demo.cluster.store import Key, Store, Stored, encode, timestamp

_STRICT = "Strict"
_GENERATED_LETTERS = 5


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a write."""

    stored: Stored
    warnings: tuple[str, ...] = ()
    created: bool = False
    gone: bool = False
    """Nothing is left of the object."""


@dataclass(frozen=True, slots=True)
class Patched:
    """A patch, as a function of the object, and as its text stands in an error."""

    change: Callable[[Json], Json]
    text: str


class Writer:
    """Carries out writes."""

    def __init__(self, store: Store, schemas: Schemas, *, clock: Clock, new_uid: Callable[[], str]) -> None:
        """Take the objects, and who knows what they must look like."""
        self._store = store
        self._schemas = schemas
        self._clock = clock
        self._new_uid = new_uid

    def create(self, kind: Kind, namespace: str | None, body: Json, options: WriteOptions) -> Written:
        """Add an object.

        Raises:
            ApiError: 400, 404 (of the namespace), 409 or 422.
        """
        self._check_kind(kind, body)
        metadata = body.setdefault("metadata", {})
        if kind.namespaced and metadata.get("namespace", namespace) != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        name = metadata.get("name") or self._generate(metadata.get("generateName", ""))
        if not name:
            message = "Required value: name or generateName is required"
            raise invalid(kind, "", [Cause("metadata.name", message, "FieldValueRequired")])
        key = Key((namespace or "") if kind.namespaced else "", name)
        if kind.namespaced and self._store.find(NAMESPACE, Key("", key.namespace)) is None:
            raise not_found(NAMESPACE, key.namespace)
        if self._store.find(kind, key) is not None:
            raise already_exists(kind, name)
        prepared = self._store.prepare_new(kind, key, body)
        if kind.has_status:
            prepared.pop("status", None)
        warnings = self._judge(kind, key, prepared, options, patch=None)
        paths = set(ownership.leaves(prepared))
        self._own(kind, prepared, [], (options.manager, "Update"), paths)
        return self._add(kind, key, prepared, options, warnings)

    def replace(
        self, kind: Kind, key: Key, body: Json, options: WriteOptions, *, subresource: str = ""
    ) -> Written:
        """Put an object in the place of the one that the writer saw.

        Raises:
            ApiError: 400, 404, 409 or 422.
        """
        self._check_kind(kind, body)
        old = self._get(kind, key)
        given = body.get("metadata") or {}
        if given.get("name", key.name) != key.name:
            raise bad_request(
                f"the name of the object ({given['name']}) does not match the name on the URL ({key.name})"
            )
        if kind.custom and not given.get("resourceVersion"):
            message = "Invalid value: 0x0: must be specified for an update"
            raise invalid(kind, key.name, [Cause("metadata.resourceVersion", message)])
        return self._change(kind, old, body, options, subresource=subresource, patch=None)

    def patch(
        self, kind: Kind, key: Key, patched: Patched, options: WriteOptions, *, subresource: str = ""
    ) -> Written:
        """Change an object.

        Raises:
            ApiError: 404, 409 or 422.
        """
        old = self._get(kind, key)
        body = patched.change(old.read())
        if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
            raise invalid_patch(patched.text, "the result is no object")
        return self._change(kind, old, body, options, subresource=subresource, patch=patched.text)

    def apply(self, kind: Kind, key: Key, applied: Json, options: WriteOptions) -> Written:
        """Have an object carry some fields, owned by their manager from now on; it is created if needed.

        Raises:
            ApiError: 400, 404, 409 (others own what would change) or 422.
        """
        if not options.named_manager:
            raise manager_required()
        self._check_kind(kind, applied)
        old = self._store.find(kind, key)
        if old is None:
            created = self.create(kind, key.namespace or None, applied, options)
            return created if options.dry_run else self._owned_by_apply(kind, created, applied, options)
        live = old.read()
        entries = live["metadata"].get("managedFields", [])
        fields = ownership.leaves(applied)
        clashes = ownership.contested(entries, options.manager, fields, ownership.leaves(live))
        if clashes and not options.force:
            raise apply_conflict(clashes)
        dropped = ownership.owned(entries).get((options.manager, "Apply"), set()) - fields.keys()
        body = merge(_without(live, dropped), applied)
        return self._change(
            kind, old, body, options, patch=None, owner=(options.manager, "Apply"), fields=set(fields)
        )

    def delete(self, kind: Kind, key: Key, *, conditions: Json, dry_run: bool) -> Written:
        """Have an object gone, or going as long as it has finalizers.

        Raises:
            ApiError: 404 or 409.
        """
        old = self._get(kind, key)
        body = old.read()
        for name, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            wanted, there = conditions.get(name), body["metadata"][name]
            if wanted is not None and wanted != there:
                raise precondition_failed(kind, key.name, what, wanted, there)
        if dry_run:
            return Written(old, gone=not body["metadata"].get("finalizers"))
        if body["metadata"].get("finalizers"):
            return Written(self._store.mark_for_deletion(kind, old))
        return Written(self._store.remove(kind, old, body), gone=True)

    def _change(
        self,
        kind: Kind,
        old: Stored,
        body: Json,
        options: WriteOptions,
        *,
        subresource: str = "",
        patch: str | None,
        owner: tuple[str, str] | None = None,
        fields: set[ownership.Path] | None = None,
    ) -> Written:
        before = old.read()
        self._check_identity(kind, before, body)
        if kind.has_status:
            body = _with_status_of(before, body) if not subresource else _only_status_of(before, body)
        prepared = self._store.prepare_changed(kind, before, body)
        warnings = self._judge(kind, old.key, prepared, options, patch=patch)
        entries = before["metadata"].get("managedFields", [])
        prepared["metadata"]["managedFields"] = entries
        if not entries:
            del prepared["metadata"]["managedFields"]
        if fields is not None or prepared != before:
            taken = ownership.changed_fields(before, prepared) if fields is None else fields
            self._own(kind, prepared, entries, owner or (options.manager, "Update"), taken)
        if options.dry_run:
            return Written(_as_stored(old, prepared), warnings)
        changed = self._store.change(kind, old, prepared)
        return Written(changed, warnings)

    def _add(
        self, kind: Kind, key: Key, prepared: Json, options: WriteOptions, warnings: tuple[str, ...]
    ) -> Written:
        if options.dry_run:
            labels = prepared["metadata"].get("labels") or {}
            return Written(Stored(key, 0, labels, encode(prepared)), warnings, created=True)
        return Written(self._store.add(kind, key, prepared), warnings, created=True)

    def _owned_by_apply(self, kind: Kind, created: Written, applied: Json, options: WriteOptions) -> Written:
        fields = set(ownership.leaves(applied))
        body = created.stored.read()
        body["metadata"]["managedFields"] = ownership.written(
            kind.api_version, timestamp(self._clock.now()), {(options.manager, "Apply"): fields}
        )
        prepared = self._store.prepare_changed(kind, created.stored.read(), body)
        return Written(self._store.change(kind, created.stored, prepared), created.warnings, created=True)

    def _own(
        self,
        kind: Kind,
        prepared: Json,
        entries: list[Json],
        owner: tuple[str, str],
        fields: set[ownership.Path],
    ) -> None:
        owners = ownership.take_over(entries, owner, fields, set(ownership.leaves(prepared)))
        if owners == ownership.owned(entries):
            return
        at = timestamp(self._clock.now())
        prepared["metadata"]["managedFields"] = ownership.written(kind.api_version, at, owners)

    def _judge(
        self, kind: Kind, key: Key, body: Json, options: WriteOptions, *, patch: str | None
    ) -> tuple[str, ...]:
        """Check an object against its schema; unknown fields are refused, told of, or just pruned."""
        problems = self._schemas.problems(kind, body)
        unknown = [problem for problem in problems if problem.unknown]
        told = [f'unknown field "{dotted(problem.path)}"' for problem in unknown]
        if told and options.validation == _STRICT:
            why = "strict decoding error: " + ", ".join(told)
            raise bad_request(why) if patch is None else invalid_patch(patch, why)
        if wrong := [problem.cause() for problem in problems if not problem.unknown]:
            raise invalid(kind, key.name, wrong)
        prune(body, (problem.path for problem in unknown))
        return tuple(told) if options.validation == "Warn" else ()

    def _check_kind(self, kind: Kind, body: Json) -> None:
        if (
            body.get("kind", kind.kind) != kind.kind
            or body.get("apiVersion", kind.api_version) != kind.api_version
        ):
            raise bad_request(
                f"the API version in the data ({body.get('apiVersion')}, Kind={body.get('kind')}) "
                f"does not match the expected API version ({kind.api_version}, Kind={kind.kind})"
            )

    def _check_identity(self, kind: Kind, before: Json, body: Json) -> None:
        there, given = before["metadata"], body.get("metadata") or {}
        if given.get("resourceVersion") not in {None, "", there["resourceVersion"]}:
            raise conflict(kind, there["name"])
        if given.get("uid") not in {None, "", there["uid"]}:
            raise precondition_failed(kind, there["name"], "UID", given["uid"], there["uid"])
        for name in ("name", "namespace"):
            if given.get(name, there.get(name)) != there.get(name):
                message = f"Invalid value: {json.dumps(given[name])}: field is immutable"
                raise invalid(kind, there["name"], [Cause(f"metadata.{name}", message)])

    def _get(self, kind: Kind, key: Key) -> Stored:
        stored = self._store.find(kind, key)
        if stored is None:
            raise not_found(kind, key.name)
        return stored

    def _generate(self, prefix: str) -> str:
        return prefix + self._new_uid().replace("-", "")[-_GENERATED_LETTERS:] if prefix else ""


def _with_status_of(before: Json, body: Json) -> Json:
    """Return what the main address of a kind with a status of its own writes: everything else."""
    rest = {name: value for name, value in body.items() if name != "status"}
    return {**rest, "status": before["status"]} if "status" in before else rest


def _only_status_of(before: Json, body: Json) -> Json:
    rest = {name: value for name, value in before.items() if name != "status"}
    return {**rest, "status": body["status"]} if "status" in body else rest


def _without(body: Json, paths: set[ownership.Path]) -> Json:
    copied: Json = json.loads(json.dumps(body))
    for path in paths:
        parent = copied
        for step in path[:-1]:
            parent = parent.get(step, {})
        parent.pop(path[-1], None)
    return copied


def _as_stored(old: Stored, prepared: Json) -> Stored:
    return Stored(old.key, old.version, prepared["metadata"].get("labels") or {}, encode(prepared))
