"""Reads the answers of Alertmanager's API v2, and writes what it is asked for.

The format: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml.
Unknown fields are ignored. An entry that cannot be read spoils the whole
answer: left out, its alert would count as gone.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.alerts.peers.model import (
    ClusterState,
    NewSilence,
    PeerAlert,
    PeerGroup,
    PeerState,
    PeerStatus,
    Silence,
    SilenceState,
    Timing,
)
from bot.core.durations import parse_duration
from bot.core.errors import BrokenError, InvalidError
from bot.core.matchers import Matcher, MatchOp

_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TIME_LINE = re.compile(
    r"^[ ]+(?:- )?(resolve_timeout|group_wait|group_interval): ([0-9a-z]+)$", re.MULTILINE
)
# Definitions stand at the margin; only a route that uses one is indented.
_MUTE_LINE = re.compile(r"^[ ]+(?:- )?(?:mute|active)_time_intervals:", re.MULTILINE)


def read_json(body: bytes) -> Any:
    """Return the tree of an answer, without NUL and lone surrogates, which no database stores."""
    try:
        text = body.decode("utf-8", "replace")
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenError("Expected JSON, and it answered something else.") from error
    return _storable(tree) if _UNSTORABLE.search(text) else tree


def read_alerts(tree: Any) -> tuple[PeerAlert, ...]:
    """Return what `GET /alerts` answers."""
    return tuple(map(_alert, _list(tree, "alerts")))


def read_groups(tree: Any) -> tuple[PeerGroup, ...]:
    """Return what `GET /alerts/groups` answers."""
    return tuple(
        PeerGroup(
            _text(_object(_object(group, "a group").get("receiver"), "a receiver"), "name"),
            _texts(group, "labels"),
            read_alerts(group.get("alerts")),
        )
        for group in _list(tree, "groups")
    )


def read_silences(tree: Any) -> tuple[Silence, ...]:
    """Return what `GET /silences` answers."""
    return tuple(map(read_silence, _list(tree, "silences")))


def read_silence(tree: Any) -> Silence:
    """Return what `GET /silence/{id}` answers."""
    told = _object(tree, "a silence")
    matchers: list[Matcher] = []
    unreadable: list[str] = []
    for entry in _list(told.get("matchers"), "matchers"):
        op, name, value = _condition(entry)
        try:
            matchers.append(Matcher(name, op, value))
        except InvalidError:
            unreadable.append(f"{name}{op}{json.dumps(value, ensure_ascii=False)}")
    state = _object(told.get("status") or {}, "a status").get("state")
    return Silence(
        id=_needed(told, "id"),
        matchers=tuple(matchers),
        unreadable=tuple(unreadable),
        starts_at=_moment_needed(told, "startsAt"),
        ends_at=_moment_needed(told, "endsAt"),
        created_by=_text(told, "createdBy"),
        comment=_text(told, "comment"),
        state=SilenceState(state) if state in set(SilenceState) else SilenceState.ACTIVE,
    )


def read_silence_id(tree: Any) -> str:
    """Return what `POST /silences` answers."""
    return _needed(_object(tree, "an answer"), "silenceID")


def read_status(tree: Any) -> PeerStatus:
    """Return what `GET /status` answers."""
    told = _object(tree, "a status")
    cluster = _object(told.get("cluster") or {}, "a cluster").get("status")
    config = _text(_object(told.get("config") or {}, "a configuration"), "original")
    return PeerStatus(
        started_at=_moment(told, "uptime"),
        cluster=ClusterState(cluster) if cluster in set(ClusterState) else ClusterState.UNKNOWN,
        version=_text(_object(told.get("versionInfo") or {}, "a version"), "version"),
        timing=_timing(config),
    )


def read_refusal(body: bytes) -> str:
    """Return the reason that a refusal gives, however it is wrapped; empty if it gives none."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace").strip()
    if isinstance(tree, dict):
        tree = tree.get("message") or tree.get("error")
    return tree if isinstance(tree, str) else ""


def write_silence(new: NewSilence, *, replaces: str | None = None) -> dict[str, Any]:
    """Return the body of `POST /silences`."""
    body: dict[str, Any] = {
        "matchers": [
            {
                "name": matcher.name,
                "value": matcher.value,
                "isRegex": matcher.op.is_regex,
                "isEqual": matcher.op.is_positive,
            }
            for matcher in new.matchers
        ],
        "startsAt": _written(new.starts_at),
        "endsAt": _written(new.ends_at),
        "createdBy": new.created_by,
        "comment": new.comment,
    }
    return body if replaces is None else {"id": replaces, **body}


def to_milliseconds(moment: datetime) -> datetime:
    """Cut a moment as Alertmanager's answers do."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _timing(config: str) -> Timing:
    longest: dict[str, timedelta] = {}
    for name, written in _TIME_LINE.findall(config):
        try:
            length = parse_duration(written)
        except InvalidError:
            continue
        longest[name] = max(longest.get(name, length), length)
    return Timing(**longest, mutes_by_time=bool(_MUTE_LINE.search(config)))


def _alert(entry: Any) -> PeerAlert:
    told = _object(entry, "an alert")
    status = _object(told.get("status") or {}, "a status")
    state = status.get("state")
    starts_at = _moment_needed(told, "startsAt")
    return PeerAlert(
        fingerprint=_needed(told, "fingerprint"),
        labels=_texts(told, "labels"),
        annotations=_texts(told, "annotations"),
        starts_at=starts_at,
        ends_at=_moment(told, "endsAt"),
        updated_at=_moment(told, "updatedAt") or starts_at,
        state=PeerState(state) if state in set(PeerState) else PeerState.ACTIVE,
        silenced_by=_names(status, "silencedBy") or (),
        inhibited_by=_names(status, "inhibitedBy") or (),
        muted_by=_names(status, "mutedBy"),
        receivers=tuple(
            _text(_object(each, "a receiver"), "name")
            for each in _list(told.get("receivers") or [], "receivers")
        ),
        generator_url=_text(told, "generatorURL"),
    )


def _condition(entry: Any) -> tuple[MatchOp, str, str]:
    told = _object(entry, "a matcher")
    is_regex, is_equal = told.get("isRegex") is True, told.get("isEqual") is not False
    if is_regex:
        op = MatchOp.REGEX if is_equal else MatchOp.NOT_REGEX
    else:
        op = MatchOp.EQUAL if is_equal else MatchOp.NOT_EQUAL
    return op, _needed(told, "name"), _text(told, "value")


def _storable(value: Any) -> Any:
    match value:
        case str():
            return _SURROGATE.sub("\ufffd", value.replace("\x00", ""))
        case dict():
            return {_storable(name): _storable(item) for name, item in value.items()}
        case list():
            return [_storable(item) for item in value]
        case _:
            return value


def _object(tree: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(tree, dict):
        raise BrokenError(f"Expected {what} to be an object, and it answered something else.")
    return tree


def _list(tree: Any, what: str) -> list[Any]:
    if not isinstance(tree, list):
        raise BrokenError(f"Expected {what} to be a list, and it answered something else.")
    return tree


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BrokenError(f"Expected {name} to be a text, and it answered something else.")
    return value


def _needed(told: Mapping[str, Any], name: str) -> str:
    value = _text(told, name)
    if not value:
        raise BrokenError(f"Expected {name}, and it answered without it.")
    return value


def _texts(told: Mapping[str, Any], name: str) -> Mapping[str, str]:
    value = _object(told.get(name) or {}, name)
    if not all(isinstance(item, str) for item in value.values()):
        raise BrokenError(f"Expected {name} to hold texts, and it answered something else.")
    return value


def _names(told: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = told.get(name)
    if value is None:
        return None
    return tuple(item for item in _list(value, name) if isinstance(item, str))


def _moment(told: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(told, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.year == 1:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BrokenError(f"Expected {name} to be a time, and it answered something else.") from error


def _moment_needed(told: Mapping[str, Any], name: str) -> datetime:
    moment = _moment(told, name)
    if moment is None:
        raise BrokenError(f"Expected {name} to be a time, and it answered without it.")
    return moment
