"""Writes into the cluster what the bot did there, and for whom: the Events that `kubectl describe` shows."""

import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from bot.core.errors import MachineError
from bot.kube.model import Json, Reference, Resource
from bot.kube.transport import FIELD_MANAGER, Cluster

log = structlog.get_logger(__name__)

EVENTS = Resource("", "v1", "events", "Event")
ASKED_BY = "the-machine.dev/asked-by"
"""The annotation that names the person on Discord."""

_LONGEST_MESSAGE = 1024
"""The API server takes no more; see the documentation of Event."""
_LONGEST_NAME = 100
_LONGEST_REASON = 128
_DEFAULT_NAMESPACE = "default"
"""Where Events about things without a namespace are kept."""


async def write_event(
    cluster: Cluster,
    *,
    about: Reference | Mapping[str, Any],
    reason: str,
    message: str,
    by: str,
    warning: bool = False,
) -> None:
    """Write an Event; where that fails it is logged, for what it tells of was done all the same.

    `reason` is a word in CamelCase, `by` the name of a person on Discord.
    """
    try:
        subject = about if isinstance(about, Reference) else Reference.of(about)
        body = _event(subject, reason, message, by, warning=warning, at=cluster.clock.now())
        await cluster.create(EVENTS, body["metadata"]["namespace"], body)
    except MachineError as error:
        log.warning("event_not_written", reason=reason, why=str(error))


def _event(about: Reference, reason: str, message: str, by: str, *, warning: bool, at: datetime) -> Json:
    person = _cut(by, _LONGEST_NAME)
    suffix = f" (asked for by {person} on Discord)"
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    involved = {
        "apiVersion": about.api_version,
        "kind": about.kind,
        "namespace": about.namespace,
        "name": about.name,
        "uid": about.uid,
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "generateName": f"{about.name}.",
            "namespace": about.namespace or _DEFAULT_NAMESPACE,
            "annotations": {ASKED_BY: person},
        },
        "involvedObject": {key: value for key, value in involved.items() if value},
        "reason": _cut(reason, _LONGEST_REASON),
        "message": _cut(message, _LONGEST_MESSAGE - len(suffix)) + suffix,
        "type": "Warning" if warning else "Normal",
        "count": 1,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": socket.gethostname(),
    }


def _cut(text: str, limit: int) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
