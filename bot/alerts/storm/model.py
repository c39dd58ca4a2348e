"""When a channel's incidents share messages, who is called then, and when that is over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.policy import StormRules
from bot.cards.model import Pressure

PAGE_LINES = 40
"""Incidents on a page. In any state, with the longest names, so many lines fit into a message."""
HAND_HOLDS = timedelta(minutes=30)
"""How long a storm that a person ended does not begin again by itself."""
CALM_SHARE = 3
"""It is calm when the channel has several times less to do than what begins a storm."""
SPARE = timedelta(seconds=3)
"""Incidents are given their cards back while less than this waits for the channel."""

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """The storm of a channel, which may be over."""

    id: int
    channel_id: int
    since: datetime
    forced: bool = False
    """A person wants it: it does not end by itself."""
    ended_at: datetime | None = None
    ended_by: str | None = None
    """The Discord id of who ended it; None: it became calm."""
    settled_at: datetime | None = None
    """When the last of its incidents had a card of its own, or was over."""

    @property
    def is_on(self) -> bool:
        """Whether new incidents get no cards of their own."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Line:
    """The place of an incident in a storm."""

    incident: IncidentNumber
    page: int | None
    """The digest page that names it, from 1; None: it had a card of its own from the beginning."""
    joined_at: datetime
    released_at: datetime | None = None
    """When it got a card of its own, or was over when the storm was."""

    @property
    def is_held(self) -> bool:
        """Whether the digest stands for its card."""
        return self.page is not None and self.released_at is None


class Verdict(Enum):
    """What becomes of a storm."""

    BEGIN = "more waits than the channel takes"
    END = "it is calm"
    STAY = "nothing changes"


class Place(Enum):
    """Where an incident is shown in a channel."""

    CARD = "a card as ever"
    QUIET_CARD = "a card that calls for nobody: others do, or did"
    DIGEST = "a line on a digest"


def decide(
    storm: Storm | None, pressure: Pressure, newcomers: int, *, now: datetime, rules: StormRules
) -> Verdict:
    """Decide whether the storm of a channel begins or ends.

    `newcomers` are the incidents that joined the storm within `rules.calm_for`: on digests they
    do not wait, but they would, and the storm would begin again.
    """
    if storm is None or not storm.is_on:
        return Verdict.BEGIN if pressure.drain > rules.after and not _held_off(storm, now) else Verdict.STAY
    if storm.forced or now - storm.since < rules.calm_for:
        return Verdict.STAY
    weighed = timedelta(seconds=(pressure.waiting + newcomers) / pressure.rate)
    return Verdict.END if weighed * CALM_SHARE <= rules.after else Verdict.STAY


def _held_off(storm: Storm | None, now: datetime) -> bool:
    if storm is None or storm.ended_by is None or storm.ended_at is None:
        return False
    return now - storm.ended_at < HAND_HOLDS


def is_critical(severity: Severity) -> bool:
    """Tell which incidents keep cards of their own in a storm."""
    return severity is Severity.CRITICAL


def place_of(line: Line | None, storm: Storm, *, has_card: bool, goes_first: bool) -> Place:
    """Say where an incident belongs; `goes_first`: it is critical, and the channel has room for its card."""
    if line is not None:
        return Place.DIGEST if line.is_held and not goes_first else Place.QUIET_CARD
    if has_card or not storm.is_on:
        return Place.CARD
    return Place.QUIET_CARD if goes_first else Place.DIGEST


def room_for(rate: float, rules: StormRules) -> int:
    """Return how many critical incidents may wait for cards of their own: even they can be too many."""
    return max(1, int(rate * rules.after.total_seconds()))


def page_for(last_page: int, lines_on_it: int) -> int:
    """Return the page for a newcomer: pages fill one after the other and then rarely change."""
    return last_page + 1 if lines_on_it >= PAGE_LINES or last_page == 0 else last_page


def batch(pressure: Pressure) -> int:
    """Return how many incidents get their cards back at a time; 0 while the channel is busy."""
    if pressure.drain > SPARE:
        return 0
    return max(1, int(pressure.rate * SPARE.total_seconds()))


@dataclass(frozen=True, slots=True)
class Owed:
    """A mention in a storm: for how many incidents it is owed, and when it was last said."""

    mention: str
    owed: int
    said_at: datetime | None

    def due_at(self, rules: StormRules) -> datetime | None:
        """Return from when on it may be said; None: never yet said."""
        return None if self.said_at is None else self.said_at + rules.mention_every


def due_mentions(owed: Iterable[Owed], *, now: datetime, rules: StormRules) -> list[str]:
    """Return who is to be called now: at most once within the window, whatever happens."""
    return [
        one.mention
        for one in owed
        if one.owed > 0 and (one.said_at is None or now - one.said_at >= rules.mention_every)
    ]


def busiest_minute(joined: Sequence[datetime]) -> int:
    """Return the most incidents that joined within a minute."""
    ordered = sorted(joined)
    most = begin = 0
    for end, moment in enumerate(ordered):
        while moment - ordered[begin] >= _MINUTE:
            begin += 1
        most = max(most, end - begin + 1)
    return most


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A storm in numbers."""

    incidents: int
    critical: int
    """With cards of their own."""
    alerts: int
    held: int
    """Still without a card of their own."""
    pages: int
    busiest_minute: int
    resolved: int
    """Of all, those that are over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one message of a digest shows."""

    storm: Storm
    number: int
    lines: tuple[Line, ...]
    incidents: Mapping[IncidentNumber, Incident]
    totals: Totals

    @property
    def named(self) -> tuple[Incident, ...]:
        """The incidents for which it stands, the newest first."""
        held = (
            self.incidents[line.incident]
            for line in self.lines
            if line.is_held and line.incident in self.incidents
        )
        return tuple(sorted(held, key=lambda incident: -incident.number))

    @property
    def all(self) -> tuple[Incident, ...]:
        """All incidents that it ever named, the newest first."""
        known = (self.incidents[line.incident] for line in self.lines if line.incident in self.incidents)
        return tuple(sorted(known, key=lambda incident: -incident.number))
