"""Lists, whole or page by page, each page of the same moment."""

import base64
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from bot.demo.cluster.failures import (
    Cause,
    bad_request,
    expired_page,
    invalid_options,
    too_large_version,
)
from bot.demo.cluster.kinds import Kind
from bot.demo.cluster.representations import Form, in_list, list_head, metadata_only
from bot.demo.cluster.requests import number
from bot.demo.cluster.selectors import field_selector, label_selector
from bot.demo.cluster.store import Store, Stored, encode

_KEPT_MOMENTS = 16


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind a list or a watch is about."""

    namespace: str | None
    labels: str = ""
    fields: str = ""

    def predicate(self) -> "Predicate":
        """Return what decides.

        Raises:
            ApiError: 400, a selector that cannot be read.
        """
        return Predicate(self)


class Predicate:
    """Decides which objects are meant."""

    def __init__(self, selection: Selection) -> None:
        """Read the selectors."""
        self._namespace = selection.namespace
        self._labels = label_selector(selection.labels)
        self._fields = field_selector(selection.fields)

    def __call__(self, stored: Stored | None) -> bool:
        """Say whether an object is meant; none is not."""
        if stored is None or (self._namespace is not None and stored.key.namespace != self._namespace):
            return False
        if self._fields.get("metadata.name", stored.key.name) != stored.key.name:
            return False
        if self._fields.get("metadata.namespace", stored.key.namespace) != stored.key.namespace:
            return False
        return self._labels(stored.labels)


@dataclass(frozen=True, slots=True)
class _Moment:
    """The objects of a list that is told in pages."""

    version: int
    objects: list[Stored]


class Lists:
    """Answers lists."""

    def __init__(self, store: Store) -> None:
        """Take the objects."""
        self._store = store
        self._moments: OrderedDict[tuple[Kind, int], _Moment] = OrderedDict()

    def forget(self) -> None:
        """Have every page that was promised be gone, as a compaction does."""
        self._moments.clear()

    def answer(self, kind: Kind, selection: Selection, query: Mapping[str, str], *, partial: bool) -> bytes:
        """Return the body of a list.

        Raises:
            ApiError: 400, 410 or 422.
        """
        check_list_options(query)
        moment, start = self._moment(kind, query)
        predicate = selection.predicate()
        found = [
            (place, stored) for place, stored in enumerate(moment.objects[start:], start) if predicate(stored)
        ]
        limit = number(query, "limit") or len(found)
        page, rest = found[:limit], found[limit:]
        token = ""
        if rest:
            self._keep(kind, moment)
            token = _token(moment.version, rest[0][0])
        form = metadata_only if partial else in_list(kind)
        head = list_head(
            kind,
            version=moment.version,
            partial=partial,
            token=token,
            # The real one cannot count what a selector will take.
            remaining=len(rest) if rest and not selection.labels and not selection.fields else None,
        )
        return _join(encode(head), [stored for _, stored in page], form)

    def _moment(self, kind: Kind, query: Mapping[str, str]) -> tuple[_Moment, int]:
        if token := query.get("continue", ""):
            version, start = _read_token(token)
            kept = self._moments.get((kind, version))
            if kept is None:
                raise expired_page()
            return kept, start
        asked = number(query, "resourceVersion") or 0
        if asked > self._store.version:
            raise too_large_version(asked, self._store.version)
        return _Moment(self._store.version, self._store.collection(kind).listed(None)), 0

    def _keep(self, kind: Kind, moment: _Moment) -> None:
        self._moments[kind, moment.version] = moment
        while len(self._moments) > _KEPT_MOMENTS:
            self._moments.popitem(last=False)


def check_list_options(query: Mapping[str, str]) -> None:
    """Refuse what contradicts itself.

    Raises:
        ApiError: 422.
    """
    match = query.get("resourceVersionMatch", "")
    causes = []
    if match and not query.get("resourceVersion"):
        causes.append("resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match and query.get("continue"):
        causes.append("resourceVersionMatch is forbidden when continue is provided")
    told = [Cause("resourceVersionMatch", f"Forbidden: {cause}", "FieldValueForbidden") for cause in causes]
    if query.get("sendInitialEvents"):
        why = "Forbidden: sendInitialEvents is forbidden for list"
        told.append(Cause("sendInitialEvents", why, "FieldValueForbidden"))
    if told:
        raise invalid_options(*told)


def _join(head: bytes, page: list[Stored], form: Form) -> bytes:
    return b"".join((head[:-1], b',"items":[', b",".join(map(form, page)), b"]}\n"))


def _token(version: int, start: int) -> str:
    told = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, int]:
    try:
        told = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(told["rv"]), int(told["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request("continue key is not valid: it is not one of this server") from error
