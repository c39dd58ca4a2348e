"""What the journal records, and the hash chain that makes a change to it visible.

Each entry of a person carries a number without gaps and a hash over its content and
the hash before it. The chain alone shows that an entry was changed, removed or moved;
that the newest entries were cut off, or that everything was computed anew, shows only
against heads that are kept elsewhere: each day's head is posted to the audit channel.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum

from bot.core.actor import Actor
from bot.core.errors import InvalidError

Scalar = str | int | float | bool | None
"""What a detail of an entry can hold."""

GENESIS = "0" * 64
"""Stands where the first entry of the chain names the hash before it."""


class Outcome(StrEnum):
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what to what, and how it ended."""

    actor: Actor
    action: str
    """`<group>:<command>` for what a person does; a word of the same shape for the rest."""
    target: str = ""
    """The thing by its name in the access policy, as `app:argocd/shop`."""
    outcome: Outcome = Outcome.DONE
    reason: str = ""
    """Why it was done, refused or failed, in words."""
    detail: Mapping[str, Scalar] = field(default_factory=dict)
    namespace: str | None = None
    app: str | None = None
    """`<namespace>/<name>` of an Argo CD Application."""
    incident: int | None = None
    operation: str | None = None
    change: bool = False
    """Whether something outside is not as it was before; what was refused or failed never is."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry in the journal."""

    id: int
    """Its number among all entries; larger was written later."""
    at: datetime
    """When it happened. What people do is written at that moment; what was only seen may be written later."""
    entry: Entry
    seq: int | None = None
    """Its number in the chain, from 1, without gaps; None for what the bot did by itself."""
    hash: str | None = None
    """The chain's hash up to and with this entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries are asked for; None: no matter."""

    namespace: str | None = None
    app: str | None = None
    incident: int | None = None
    operation: str | None = None
    actor: str | None = None
    """The id of the one who acted."""
    action: str | None = None
    """A glob: `*` stands for any run of characters, `?` for one."""
    since: datetime | None = None
    """The first moment that counts."""
    until: datetime | None = None
    """The first moment that does not count any more."""
    people_only: bool = False
    """Leaves out what the bot did by itself."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain."""

    seq: int
    """The number of the last entry; 0: the chain is empty."""
    hash: str


EMPTY = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class PostedHead:
    """A head as it is posted to the audit channel; its text is one line."""

    day: date
    seq: int
    hash: str

    def __str__(self) -> str:
        """Return the line to post; `parse_posted_head` reads it back."""
        return f"Journal head {self.day.isoformat()} · entry {self.seq} · sha256 {self.hash}"


class FaultKind(StrEnum):
    """What is wrong with the journal."""

    CHANGED = "changed"
    """The hash does not fit the content, or not the entry before."""
    MISSING = "missing"
    """A number is left out."""
    MOVED = "moved"
    """Numbers and order do not agree."""
    UNREADABLE = "unreadable"
    """What is stored is nothing that the journal ever writes."""
    UNCHAINED = "unchained"
    """An entry of a person stands outside the chain."""
    HEAD_DIFFERS = "head_differs"
    """The recorded head is not the end of the chain."""
    CUT = "cut"
    """A head was posted for an entry that is not there any more."""
    REWRITTEN = "rewritten"
    """A head that was posted has another hash than the entry has now."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the journal."""

    kind: FaultKind
    seq: int | None
    """The number of the entry in the chain."""
    text: str
    """What is wrong, as a sentence."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the chain found."""

    head: Head
    """The last entry that was read, with the hash as computed."""
    faults: tuple[Fault, ...] = ()
    posted_compared: int = 0
    """How many posted heads were compared."""

    @property
    def intact(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.faults


def is_chained(entry: Entry) -> bool:
    """Tell what belongs into the chain: everything that people do."""
    return entry.actor.is_person


def recordable(entry: Entry) -> Entry:
    """Return the entry as every database can hold it and give it back unchanged.

    Of the actor only who it is is kept. NUL and lone surrogates, which PostgreSQL refuses,
    are replaced. What did not come about is no change.
    """
    actor = Actor(entry.actor.kind, _storable(entry.actor.id), _storable(entry.actor.name))
    return replace(
        entry,
        actor=actor,
        action=_storable(entry.action),
        target=_storable(entry.target),
        reason=_storable(entry.reason),
        detail={_storable(key): _storable_scalar(value) for key, value in entry.detail.items()},
        namespace=None if entry.namespace is None else _storable(entry.namespace),
        app=None if entry.app is None else _storable(entry.app),
        operation=None if entry.operation is None else _storable(entry.operation),
        change=entry.change and entry.outcome is Outcome.DONE,
    )


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(seq: int, at: datetime, entry: Entry) -> bytes:
    """Return the bytes that stand for an entry in the chain."""
    content: dict[str, object] = {
        "seq": seq,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": [entry.actor.kind.value, entry.actor.id, entry.actor.name],
        "action": entry.action,
        "target": entry.target,
        "outcome": entry.outcome.value,
        "reason": entry.reason,
        "detail": dict(entry.detail),
        "namespace": entry.namespace,
        "app": entry.app,
        "incident": entry.incident,
        "operation": entry.operation,
    }
    if entry.change:
        # Only where it is set: entries from before there were changes keep their hashes.
        content["change"] = True
    return canonical_json(content).encode("ascii")


def link(previous: Head, at: datetime, entry: Entry) -> Head:
    """Return the head of the chain after one more entry."""
    seq = previous.seq + 1
    return Head(seq, _hash(previous.hash, canonical(seq, at, entry)))


def chain_hash(previous: str, recorded: Recorded) -> str:
    """Return the hash of a chained entry that follows the hash `previous`."""
    if recorded.seq is None:
        raise ValueError("an entry without a number is not in the chain")
    return _hash(previous, canonical(recorded.seq, recorded.at, recorded.entry))


@dataclass(frozen=True, slots=True)
class ChainReader:
    """Reads a chain entry by entry, so that it need not be held whole; stops at the first fault."""

    head: Head = EMPTY
    last_id: int = 0
    fault: Fault | None = None

    def read(self, recorded: Recorded) -> "ChainReader":
        """Return the reader after the next entry, in the order of the numbers."""
        if self.fault is not None:
            return self
        fault = self._fault_reason(recorded)
        if fault is not None:
            return replace(self, fault=fault)
        seq = self.head.seq + 1
        return ChainReader(Head(seq, chain_hash(self.head.hash, recorded)), recorded.id)

    def stop_at_unreadable(self, seq: int) -> "ChainReader":
        """Return the reader after an entry whose content cannot be understood."""
        if self.fault is not None:
            return self
        text = f"entry {seq} was changed: what is stored cannot be read"
        return replace(self, fault=Fault(FaultKind.UNREADABLE, seq, text))

    def _fault_reason(self, recorded: Recorded) -> Fault | None:
        expected = self.head.seq + 1
        if recorded.seq != expected:
            text = f"entry {expected} is missing: entry {recorded.seq} follows {self.head.seq}"
            return Fault(FaultKind.MISSING, expected, text)
        if recorded.hash != chain_hash(self.head.hash, recorded):
            text = f"entry {expected} does not fit its hash: it, or what stands before it, was changed"
            return Fault(FaultKind.CHANGED, expected, text)
        if recorded.id <= self.last_id:
            return Fault(FaultKind.MOVED, expected, f"entry {expected} was moved before an older one")
        return None


def verify_chain(
    entries: Iterable[Recorded], posted: Iterable[PostedHead] = (), *, head: Head | None = None
) -> Verdict:
    """Check the chained entries, in the order of their numbers, against themselves and the heads.

    `head` is the end of the chain as the database records it, `posted` are the heads found
    in the audit channel.
    """
    reader = ChainReader()
    hashes: dict[int, str] = {}
    posted = list(posted)
    wanted = {one.seq for one in posted}
    for recorded in entries:
        reader = reader.read(recorded)
        if reader.head.seq in wanted:
            hashes[reader.head.seq] = reader.head.hash
    return conclude(reader, hashes, posted, head=head)


def conclude(
    reader: ChainReader,
    hashes: Mapping[int, str],
    posted: Iterable[PostedHead],
    *,
    head: Head | None = None,
    unchained: int | None = None,
) -> Verdict:
    """Sum up a reading: `hashes` are those computed at the numbers that were posted.

    `unchained` is the id of an entry of a person that stands outside the chain, if there is one.
    """
    posted = list(posted)
    faults = [] if reader.fault is None else [reader.fault]
    if reader.fault is None:
        if head is not None and head != reader.head:
            faults.append(_head_fault(head, reader.head))
        faults.extend(fault for one in posted if (fault := _posted_fault(one, reader.head, hashes)))
    else:
        # Behind the first fault nothing could be computed: only what was posted before it can be compared.
        posted = [one for one in posted if one.seq <= reader.head.seq]
        faults.extend(fault for one in posted if (fault := _posted_fault(one, reader.head, hashes)))
    if unchained is not None:
        text = f"the journal row {unchained} is of a person but stands outside the chain"
        faults.append(Fault(FaultKind.UNCHAINED, None, text))
    return Verdict(reader.head, tuple(faults), len(posted))


def parse_posted_head(line: str) -> PostedHead:
    """Read the line of one posted head; nothing may stand around it.

    Raises:
        InvalidError: when it is not such a line.
    """
    found = _POSTED.fullmatch(line)
    if found is None:
        raise InvalidError(f"not a journal head: expected “{_EXAMPLE}”")
    try:
        day = date.fromisoformat(found["day"])
    except ValueError as error:
        raise InvalidError(f"not a journal head: there is no day {found['day']}") from error
    return PostedHead(day, int(found["seq"]), found["hash"])


def find_posted_heads(text: str) -> list[PostedHead]:
    """Return the heads among the lines of a text; other lines are passed over."""
    lines = (line.strip() for line in text.split("\n"))
    return [parse_posted_head(line) for line in lines if _is_posted_head(line)]


_EXAMPLE = PostedHead(date(2026, 11, 21), 123, "…")
_POSTED = re.compile(
    r"Journal head (?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r" · entry (?P<seq>[1-9][0-9]{0,17}) · sha256 (?P<hash>[0-9a-f]{64})"
)


def _is_posted_head(line: str) -> bool:
    try:
        parse_posted_head(line)
    except InvalidError:
        return False
    return True


def _head_fault(recorded: Head, found: Head) -> Fault:
    text = (
        f"the recorded head is entry {recorded.seq}, the chain ends with entry {found.seq}"
        if recorded.seq != found.seq
        else f"the recorded head has another hash than entry {found.seq}"
    )
    return Fault(FaultKind.HEAD_DIFFERS, found.seq, text)


def _posted_fault(posted: PostedHead, found: Head, hashes: Mapping[int, str]) -> Fault | None:
    if posted.seq > found.seq:
        text = (
            f"entry {posted.seq} was posted as the head of {posted.day.isoformat()}, "
            f"but the chain ends with entry {found.seq}"
        )
        return Fault(FaultKind.CUT, posted.seq, text)
    if hashes.get(posted.seq) != posted.hash:
        text = f"entry {posted.seq} has another hash than was posted on {posted.day.isoformat()}"
        return Fault(FaultKind.REWRITTEN, posted.seq, text)
    return None


def _hash(previous: str, content: bytes) -> str:
    return hashlib.sha256(previous.encode("ascii") + b"\n" + content).hexdigest()


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _storable_scalar(value: Scalar) -> Scalar:
    return _storable(value) if isinstance(value, str) else value
