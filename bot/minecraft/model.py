"""What a Minecraft server is, what it answered, and what that says of it: values and pure decisions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bot.core.errors import InvalidError
from bot.minecraft.motd import Span

MISSES_ALLOWED: Final = 1
"""Pings in a row that may be lost before a server that was up counts as down."""
STARTING_LASTS: Final = timedelta(minutes=15)
"""A server that says nothing for longer than this is not starting any more: it hangs."""
NOWHERE: Final = ".invalid"
"""The end of a name that nothing has: nobody answers for a server that has no pod."""
_LONGEST_SHOWN: Final = 100
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?")
_PLAYER = re.compile(r"[.*]?[A-Za-z0-9_]{1,16}")
_MOST_PORT = 65535


class Edition(StrEnum):
    """Which of the two games it is."""

    JAVA = "java"
    BEDROCK = "bedrock"

    @property
    def default_port(self) -> int:
        """The port of an address that names none."""
        return 25565 if self is Edition.JAVA else 19132


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int | None = None
    """None: the default one, or what an SRV record says."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address that `mc.example.org`, `10.0.0.7:25570` or `[2001:db8::7]:25565` names.

    Raises:
        InvalidError: It is none.
    """
    found = _ADDRESS.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port <= _MOST_PORT):
        raise InvalidError("expected an address such as mc.example.org or 10.0.0.7:25565")
    return Address(found["host"].strip("[]"), port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that is watched."""

    name: str
    """What we call it, in [a-z0-9._-]."""
    address: Address
    """Where it is asked."""
    edition: Edition = Edition.JAVA
    shown_address: str = ""
    """Plain: what players type; empty: nobody is told."""
    namespace: str = ""
    """Where it runs in Kubernetes, if it does."""

    @property
    def port(self) -> int:
        """Where it is asked, if no SRV record leads elsewhere."""
        return self.address.port or self.edition.default_port

    @property
    def target(self) -> str:
        """Its name in the access policy."""
        return f"server:{self.name}"

    @property
    def targets(self) -> tuple[str, ...]:
        """All of its names in the access policy."""
        return (self.target, f"namespace:{self.namespace}") if self.namespace else (self.target,)


class Condition(StrEnum):
    """How a server is, in a word."""

    ONLINE = "online"
    FULL = "full"
    STARTING = "starting"
    OFFLINE = "offline"
    UNREACHABLE = "unreachable"
    WRONG_PROTOCOL = "wrong protocol"

    @property
    def is_up(self) -> bool:
        """Whether people can play, or could if somebody left."""
        return self in {Condition.ONLINE, Condition.FULL}


class Trouble(StrEnum):
    """Why a ping brought no status."""

    REFUSED = "refused"
    PLACEHOLDER = "placeholder"
    CLOSED = "closed"
    SILENT = "silent"
    TIMEOUT = "timeout"
    NO_ROUTE = "no_route"
    NO_NAME = "no_name"
    GARBAGE = "garbage"
    TOO_LONG = "too_long"
    TOO_SLOW = "too_slow"

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        return _SENTENCES[self]

    @property
    def is_certain(self) -> bool:
        """Whether one is enough to believe it: the host itself says so."""
        return self in {Trouble.REFUSED, Trouble.PLACEHOLDER}


_SENTENCES = {
    Trouble.REFUSED: "Its host answers, but nothing listens on the port.",
    Trouble.PLACEHOLDER: "Something answers in its place: with no room for players, or no protocol.",
    Trouble.CLOSED: "It takes connections and closes them without a word.",
    Trouble.SILENT: "It takes connections and says nothing.",
    Trouble.TIMEOUT: "Nothing answers at its address.",
    Trouble.NO_ROUTE: "The network has no way to its address.",
    Trouble.NO_NAME: "The name of its host cannot be looked up.",
    Trouble.GARBAGE: "Something answers on the port that is no Minecraft server of this edition.",
    Trouble.TOO_LONG: "Its answer is far longer than one of a Minecraft server can be.",
    Trouble.TOO_SLOW: "Its answer trickles in too slowly to wait for.",
}

_CONDITIONS = {
    Trouble.REFUSED: Condition.OFFLINE,
    Trouble.PLACEHOLDER: Condition.OFFLINE,
    Trouble.CLOSED: Condition.STARTING,
    Trouble.SILENT: Condition.STARTING,
    Trouble.TIMEOUT: Condition.UNREACHABLE,
    Trouble.NO_ROUTE: Condition.UNREACHABLE,
    Trouble.NO_NAME: Condition.UNREACHABLE,
    Trouble.GARBAGE: Condition.WRONG_PROTOCOL,
    Trouble.TOO_LONG: Condition.WRONG_PROTOCOL,
    Trouble.TOO_SLOW: Condition.UNREACHABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server says of itself; texts are plain, without formatting codes, cut to a sane length."""

    online: int
    most: int
    version: str
    protocol: int | None
    names: tuple[str, ...] = ()
    """Some of those who are on; a server may tell none, a few, or advertisements."""
    motd: tuple[Span, ...] = ()
    icon: bytes | None = None
    """A PNG."""
    latency: timedelta = timedelta(0)
    brand: str = ""
    """What it says it runs, beside the version: a map, a game mode, that it is modded."""
    hides_players: bool = False
    """Whether it says nothing of how many are on and how many there is room for."""

    @property
    def is_partial(self) -> bool:
        """Whether it names fewer than are on."""
        return len(self.names) < self.online


Outcome = Answer | Trouble
"""What one ping brought."""


def judge(answer: Answer) -> Outcome:
    """Return an answer that counts, or say why it does not: some hosts answer for servers that are off."""
    has_no_room = answer.most <= 0 and not answer.hides_players
    return Trouble.PLACEHOLDER if has_no_room or not answer.protocol else answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Somebody stopped it on purpose."""

    by_id: str
    """Discord's id; empty: it was stopped elsewhere."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a server, from ping to ping."""

    server: str
    condition: Condition
    since: datetime
    """Since when it is up, or since when it is not."""
    starting_since: datetime | None = None
    """Since when it takes connections and says nothing; not written down."""
    trouble: Trouble | None = None
    misses: int = 0
    """Pings in a row that brought nothing and are not believed yet."""
    answer: Answer | None = None
    """What it said last, if it is up."""
    checked_at: datetime
    down_since: datetime | None = None
    """Since when it is down, flaps left out."""
    alarmed: bool = False
    """Whether an incident is open because of it."""
    stop: Stop | None = None

    @property
    def is_up(self) -> bool:
        """Whether people can play."""
        return self.condition.is_up

    @property
    def players(self) -> int:
        """How many are on, as far as it says so."""
        return self.answer.online if self.answer is not None else 0


def settle(before: Standing | None, outcome: Outcome, *, server: str, now: datetime) -> Standing:
    """Return how a server stands after a ping.

    One lost ping says nothing of a server that was up, unless its host itself
    says that it is off.
    """
    if isinstance(outcome, Answer):
        return _up(before, outcome, server=server, now=now)
    if before is not None and before.is_up and not outcome.is_certain and before.misses < MISSES_ALLOWED:
        return replace(before, misses=before.misses + 1, checked_at=now)
    return _down(before, outcome, server=server, now=now)


def _up(before: Standing | None, answer: Answer, *, server: str, now: datetime) -> Standing:
    is_full = answer.online >= answer.most and not answer.hides_players
    condition = Condition.FULL if is_full else Condition.ONLINE
    was_up = before is not None and before.is_up
    return Standing(
        server=server,
        condition=condition,
        since=before.since if was_up and before else now,
        answer=answer,
        checked_at=now,
        down_since=before.down_since if before else None,
        alarmed=before.alarmed if before else False,
        # One that is being stopped answers until it is off.
        stop=before.stop if was_up and before else None,
    )


def _down(before: Standing | None, trouble: Trouble, *, server: str, now: datetime) -> Standing:
    was_down = before is not None and not before.is_up
    # Not since it is down: what was off for days may start now.
    is_quiet = _CONDITIONS[trouble] is Condition.STARTING
    starting_since = ((before and before.starting_since) or now) if is_quiet else None
    return Standing(
        server=server,
        condition=_condition(before, trouble, now - (starting_since or now)),
        since=before.since if was_down and before else now,
        starting_since=starting_since,
        trouble=trouble,
        checked_at=now,
        down_since=(before and before.down_since) or now,
        alarmed=before.alarmed if before else False,
        stop=before.stop if before else None,
    )


def _condition(before: Standing | None, trouble: Trouble, lasting: timedelta) -> Condition:
    """Say how a server is that gave no status; what was just up and is silent does not start, it hangs."""
    condition = _CONDITIONS[trouble]
    if condition is Condition.STARTING:
        hangs = (before is not None and before.is_up) or lasting > STARTING_LASTS
        hung = before is not None and before.trouble is trouble and before.condition is Condition.UNREACHABLE
        return Condition.UNREACHABLE if hangs or hung else condition
    return condition


SHOULD_RUN_AFTER: Final = timedelta(minutes=2)
"""A server that was stopped so long ago and is to run again is no longer stopped on purpose."""


def stopped_by_what_runs_it(standing: Standing, *, is_off: bool | None, now: datetime) -> Standing:
    """Return how a server stands, given whether what runs it says that it is to be off; None: unknown."""
    if is_off and standing.stop is None and not standing.is_up:
        return replace(standing, stop=Stop(by_id="", at=now))
    if is_off is False and standing.stop is not None and now - standing.stop.at >= SHOULD_RUN_AFTER:
        return wanted(standing, now=now)
    return standing


def wanted(standing: Standing, *, now: datetime) -> Standing:
    """Return how a server stands that is to run again: the time for which it was to be off does not count."""
    was_off = standing.stop is not None and not standing.is_up
    return replace(standing, stop=None, down_since=now if was_off else standing.down_since)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownRules:
    """When a server that is down is worth an incident."""

    after: timedelta
    """It must have been down for this long."""
    back_for: timedelta
    """It must be back for this long before it counts as back."""


class Alarm(StrEnum):
    """What is to be done about an incident."""

    OPEN = "open"
    CLOSE = "close"


def alarm(
    standing: Standing, rules: DownRules | None, now: datetime, *, is_awaited: bool = False
) -> Alarm | None:
    """Say whether an incident is to be opened or closed because of how a server stands.

    None is opened of one that is awaited: somebody starts it, and is told how that ends.
    """
    is_over = rules is None or standing.stop is not None or is_back(standing, rules, now)
    if standing.alarmed:
        return Alarm.CLOSE if is_over else None
    if rules is None or is_over or is_awaited or standing.is_up or standing.down_since is None:
        return None
    return Alarm.OPEN if now - standing.down_since >= rules.after else None


def is_back(standing: Standing, rules: DownRules | None, now: datetime) -> bool:
    """Tell whether a server has been up for long enough to believe it."""
    return standing.is_up and (rules is None or now - standing.since >= rules.back_for)


def recovered(standing: Standing, rules: DownRules | None, now: datetime) -> Standing:
    """Forget that a server was down once it is back for good: the next time counts anew."""
    if standing.down_since is not None and is_back(standing, rules, now):
        return replace(standing, down_since=None)
    return standing


def parse_player(text: str) -> str:
    """Return the name of a player, in which nothing can hide that a server would take for a command.

    Raises:
        InvalidError: It is none.
    """
    name = text.strip()
    if not _PLAYER.fullmatch(name):
        raise InvalidError(
            "Expected the name of a player: up to 16 letters, digits and underscores, "
            "for Bedrock players behind a dot."
        )
    return name


def total_words(standings: Sequence[Standing]) -> str:
    """Say in a few words how many play where, as a presence shows it."""
    up = [each for each in standings if each.is_up]
    if not up:
        return "no server is up" if standings else ""
    players = sum(each.players for each in up)
    where = "1 server" if len(up) == 1 else f"{len(up)} servers"
    return f"{players:,} {'player' if players == 1 else 'players'} on {where}"[:_LONGEST_SHOWN]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A server as it is shown."""

    server: Server
    standing: Standing | None = None
    """None: it was not asked yet."""
    can_start: bool = False
    """Whether it runs where we can start and stop it."""
    is_wanted: bool = False
    """Whether what runs it says that it is to run."""
    is_coming: bool = False
    """Whether it is to run, and what runs it is not ready yet."""
    is_being_started: bool = False
    """Whether somebody has asked for it, and waits for its answer."""
    pods: tuple[str, ...] = ()
    """Plain: how each of several pods behind the address is."""
    hint: str = ""
    """A sentence of ours: why it cannot be asked as things are configured."""

    @property
    def is_up(self) -> bool:
        """Whether people can play."""
        return self.standing is not None and self.standing.is_up

    @property
    def condition(self) -> Condition | None:
        """How it is, with what is known of whatever runs it; None: it was not asked yet."""
        if self.standing is None:
            return None
        starts = (self.is_coming or self.is_being_started) and not self.is_up
        return Condition.STARTING if starts else self.standing.condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Playing:
    """Who is on a server."""

    view: View
    names: tuple[str, ...]
    count: int
    from_console: bool
    """Whether the console names them: then it is all of them."""
    problem: str = ""
    """A sentence: why the console did not say."""

    @property
    def is_hidden(self) -> bool:
        """Whether neither the console nor the server says how many are on."""
        answer = self.view.standing.answer if self.view.standing is not None else None
        return not self.from_console and not self.count and answer is not None and answer.hides_players
