"""What a delivery is, and why one is put aside."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from bot.core.errors import InvalidError

DeliveryId = NewType("DeliveryId", int)

FAILURES_ALLOWED = 3
"""A delivery that ends in a bug of ours this often is quarantined."""
STARTS_ALLOWED = 10
"""A delivery that was begun this often is quarantined, even if no failure was seen.

More than the failures, because a start without an end is usually not its fault:
the process was killed, or power failed, while it happened to be at work on it.
"""


class Kind(StrEnum):
    """Who speaks, and so how the body is read."""

    ALERTMANAGER = "alertmanager"
    """Alertmanager, and what sends its format."""
    GRAFANA = "grafana"
    """Grafana's own alerting."""


class DeliveryState(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    APPLIED = "applied"
    REPEAT = "repeat"
    """It said what the last applied one of its group had said."""
    QUARANTINED = "quarantined"
    """Kept, not applied, until a person decides."""


class QuarantineReason(StrEnum):
    """Why a delivery could not be applied."""

    NOT_JSON = "not_json"
    NOT_VERSION_4 = "not_version_4"
    TOO_DEEP = "too_deep"
    WRONG_TYPES = "wrong_types"
    RAW_PROMETHEUS = "raw_prometheus"
    """Prometheus posted its alerts straight to us, past Alertmanager."""
    GRAFANA_ASTRAY = "grafana_astray"
    """Grafana posted to the address that is Alertmanager's."""
    NOT_GRAFANA = "not_grafana"
    FAILED_THREE_TIMES = "failed_three_times"
    NEVER_FINISHED = "never_finished"

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        return _SENTENCES[self]


_SENTENCES = {
    QuarantineReason.NOT_JSON: "The body is not JSON.",
    QuarantineReason.NOT_VERSION_4: "The body is not an Alertmanager webhook of version 4.",
    QuarantineReason.TOO_DEEP: "The body is nested deeper than any alert is.",
    QuarantineReason.WRONG_TYPES: "The body has a field of an unexpected type.",
    QuarantineReason.RAW_PROMETHEUS: (
        "This came from a Prometheus, not from an Alertmanager. Let Prometheus send to Alertmanager "
        "(`alerting.alertmanagers`), and Alertmanager to this address (`receivers.webhook_configs`)."
    ),
    QuarantineReason.GRAFANA_ASTRAY: (
        "This came from a Grafana to the address for Alertmanager. "
        "Let its contact point post to `/webhooks/grafana`."
    ),
    QuarantineReason.NOT_GRAFANA: (
        "The body is not what Grafana's contact points of type webhook send. "
        "If the contact point has a custom payload, take it out."
    ),
    QuarantineReason.FAILED_THREE_TIMES: "Applying it failed three times: a bug of ours.",
    QuarantineReason.NEVER_FINISHED: "The process ended each time while it was applying it.",
}


class UnreadableError(InvalidError):
    """The body of a delivery cannot be understood; it will not get better by trying again."""

    def __init__(self, reason: QuarantineReason, detail: str = "") -> None:
        """Take the reason, and what exactly was wrong in words that are safe to show."""
        super().__init__(f"{reason.sentence} {detail}".strip())
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a sender gave, not yet committed."""

    source: str
    kind: Kind
    received_at: datetime
    body: bytes
    """Decompressed, otherwise exactly as it came."""
    content_type: str = ""
    user_agent: str = ""
    trace: str | None = None
    """What it is a part of, as a W3C traceparent; None where nobody traces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A delivery without its body."""

    id: DeliveryId
    """Counts up as deliveries arrive."""
    source: str
    kind: Kind
    received_at: datetime
    size: int
    """Of the body, in bytes."""
    content_type: str
    user_agent: str
    state: DeliveryState
    starts: int
    """How often applying it was begun."""
    failures: int
    """How often that ended in a bug of ours."""
    error: str
    """Why it failed last, safe to show; empty when it did not."""
    settled_at: datetime | None
    """When it left the state pending."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that was committed."""

    progress: Progress
    body: bytes
    trace: str | None = None
    """What it is a part of, as a W3C traceparent."""

    @property
    def id(self) -> DeliveryId:
        """Name it."""
        return self.progress.id

    @property
    def source(self) -> str:
        """Say where it came from."""
        return self.progress.source
