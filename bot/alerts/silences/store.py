"""The tables of silences: those that are known, and drafts behind the buttons of previews."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Row,
    Table,
    Text,
    cast,
    delete,
    func,
    select,
    update,
)

from bot.alerts.model.alert import AlertStatus
from bot.alerts.model.incident import IncidentNumber
from bot.alerts.peers.model import Silence, SilenceState
from bot.alerts.silences.model import Breadth, Draft, Known, Written
from bot.alerts.store.tables import alert, incident
from bot.core.matchers import parse_matcher
from bot.database.engine import Transaction
from bot.database.facts import find_fact, set_fact
from bot.database.schema import BigId, Json, UtcDateTime, metadata

silence = Table(
    "silence",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("body", Json, nullable=False),
    Column("has_begun", Boolean, nullable=False),
    Column("end_is_told", Boolean, nullable=False),
    Column("incident", BigId, ForeignKey("incident.number", ondelete="SET NULL")),
    Column("touched_at", UtcDateTime),
)
Index("ix_silence_incident", silence.c.incident)

draft = Table(
    "silence_draft",
    metadata,
    Column("token", Text, primary_key=True),
    Column("body", Json, nullable=False),
    Column("by_id", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("taken_at", UtcDateTime),
)

_MOST_NAMES = 100


@dataclass(frozen=True, slots=True)
class KeptSilence:
    """A silence as we keep it."""

    source: str
    known: Known
    incident: IncidentNumber | None = None
    """The one it was made for here."""
    touched_at: datetime | None = None
    """When it was last made, changed or ended here; what was listed before that is older than it."""

    @property
    def silence(self) -> Silence:
        """What Alertmanager has."""
        return self.known.silence


@dataclass(frozen=True, slots=True)
class KeptDraft:
    """A draft as we keep it."""

    draft: Draft
    by_id: str
    shown: frozenset[Breadth] = frozenset()
    """In what way its author was told that it is broad."""
    was_tried: bool = False
    """Whether Alertmanager was asked for it before, and may have heard."""
    written: Written | None = None
    """What was typed in its place and could not be previewed."""


async def list_of_source(tx: Transaction, source: str) -> list[KeptSilence]:
    """Return everything that is kept of a source."""
    rows = await tx.execute(select(silence).where(silence.c.source == source).order_by(silence.c.id))
    return [_kept(row) for row in rows]


async def list_by_ids(tx: Transaction, source: str, ids: Iterable[str]) -> list[KeptSilence]:
    """Return those of a source that are kept, of these ids."""
    rows = await tx.execute(
        select(silence).where(silence.c.source == source, silence.c.id.in_(list(ids))).order_by(silence.c.id)
    )
    return [_kept(row) for row in rows]


async def list_of_incident(tx: Transaction, number: IncidentNumber) -> list[KeptSilence]:
    """Return those that were made for an incident."""
    rows = await tx.execute(
        select(silence).where(silence.c.incident == number).order_by(silence.c.source, silence.c.id)
    )
    return [_kept(row) for row in rows]


async def find_by_id(tx: Transaction, silence_id: str) -> list[KeptSilence]:
    """Return what is kept under an id: ids are random, so that is one silence in one source."""
    rows = await tx.execute(select(silence).where(silence.c.id == silence_id))
    return [_kept(row) for row in rows]


async def list_hidden(tx: Transaction, matched: Mapping[str, Collection[str]]) -> list[IncidentNumber]:
    """Return the open incidents in which an alert fires that is among these: fingerprints by source."""
    numbers: set[int] = set()
    for source, fingerprints in matched.items():
        for chunk in batched(sorted(fingerprints)):
            rows = await tx.execute(
                select(incident.c.number)
                .join(alert, alert.c.incident == incident.c.number)
                .where(
                    incident.c.closed_at.is_(None),
                    incident.c.source == source,
                    alert.c.status == AlertStatus.FIRING.value,
                    alert.c.fingerprint.in_(chunk),
                )
                .distinct()
            )
            numbers.update(row.number for row in rows)
    return [IncidentNumber(number) for number in sorted(numbers)]


async def list_muted_by(tx: Transaction, source: str, silence_id: str) -> list[IncidentNumber]:
    """Return the open incidents of a source that a silence keeps quiet."""
    rows = await tx.execute(
        select(incident.c.number)
        .where(
            incident.c.closed_at.is_(None),
            incident.c.source == source,
            incident.c.muting.is_not(None),
            cast(incident.c.muting, Text).contains(silence_id, autoescape=True),
        )
        .order_by(incident.c.number)
    )
    return [IncidentNumber(row.number) for row in rows]


async def list_senders(tx: Transaction, fingerprints: Collection[str]) -> list[str]:
    """Return the sources that say that one of these alerts fires."""
    sources: set[str] = set()
    for chunk in batched(sorted(fingerprints)):
        rows = await tx.execute(
            select(incident.c.source)
            .join(alert, alert.c.incident == incident.c.number)
            .where(incident.c.closed_at.is_(None), alert.c.fingerprint.in_(chunk))
            .distinct()
        )
        sources.update(row.source for row in rows)
    return sorted(sources)


async def list_names(tx: Transaction, source: str, fingerprints: Collection[str]) -> list[str]:
    """Return the different names of alerts of a source, as far as we know them."""
    rows = await tx.execute(
        select(alert.c.labels)
        .join(incident, alert.c.incident == incident.c.number)
        .where(incident.c.source == source, alert.c.fingerprint.in_(list(fingerprints)[:_MOST_NAMES]))
    )
    return sorted({row.labels.get("alertname", "") for row in rows} - {""})


async def save(tx: Transaction, kept: KeptSilence) -> None:
    """Keep a silence in place of what was kept of it."""
    await forget(tx, kept.source, [kept.silence.id])
    await tx.execute(
        silence.insert().values(
            source=kept.source,
            id=kept.silence.id,
            body=_write_silence(kept.silence),
            has_begun=kept.known.has_begun,
            end_is_told=kept.known.end_is_told,
            incident=kept.incident,
            touched_at=kept.touched_at,
        )
    )


async def forget(tx: Transaction, source: str, ids: Iterable[str]) -> None:
    """Keep these silences of a source no longer."""
    await tx.execute(delete(silence).where(silence.c.source == source, silence.c.id.in_(list(ids))))


async def was_looked_at(tx: Transaction, source: str) -> bool:
    """Say whether the silences of a source were ever listed."""
    return await find_fact(tx, f"silences:{source}") is not None


async def note_look(tx: Transaction, source: str, at: datetime) -> None:
    """Remember that the silences of a source were listed."""
    await set_fact(tx, f"silences:{source}", at.isoformat())


async def insert_draft(tx: Transaction, token: str, kept: KeptDraft, *, expires_at: datetime) -> None:
    """Keep a draft for the buttons that name its token."""
    await tx.execute(
        draft.insert().values(token=token, body=_write_draft(kept), by_id=kept.by_id, expires_at=expires_at)
    )


async def find_draft(tx: Transaction, token: str, *, now: datetime) -> KeptDraft | None:
    """Return a draft that has not expired."""
    row = (await tx.execute(select(draft).where(draft.c.token == token, draft.c.expires_at > now))).first()
    return _read_draft(row.body, row.by_id) if row is not None else None


async def take_draft(tx: Transaction, token: str, *, now: datetime) -> bool:
    """Say whether the caller is the one who turns a draft into silences: of several, one is."""
    taken = await tx.execute(
        update(draft)
        .where(draft.c.token == token, draft.c.taken_at.is_(None))
        .values(taken_at=now)
        .returning(draft.c.token)
    )
    return taken.first() is not None


async def give_back_draft(tx: Transaction, token: str, kept: KeptDraft) -> None:
    """Let a draft be taken, as what is left of it."""
    await tx.execute(
        update(draft).where(draft.c.token == token).values(taken_at=None, body=_write_draft(kept))
    )


async def purge_drafts(tx: Transaction, *, now: datetime) -> int:
    """Delete drafts that expired; return how many."""
    expired = draft.c.expires_at <= now
    count = int((await tx.execute(select(func.count()).select_from(draft).where(expired))).scalar_one())
    if count:
        await tx.execute(delete(draft).where(expired))
    return count


def batched(values: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """Yield parts that fit into one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _kept(row: Row[Any]) -> KeptSilence:
    known = Known(_read_silence(row.body), has_begun=row.has_begun, end_is_told=row.end_is_told)
    number = IncidentNumber(row.incident) if row.incident is not None else None
    return KeptSilence(row.source, known, number, row.touched_at)


def _write_silence(value: Silence) -> dict[str, Any]:
    return {
        "id": value.id,
        "matchers": [str(matcher) for matcher in value.matchers],
        "unreadable": list(value.unreadable),
        "starts_at": value.starts_at.isoformat(),
        "ends_at": value.ends_at.isoformat(),
        "created_by": value.created_by,
        "comment": value.comment,
        "state": value.state.value,
    }


def _read_silence(body: Mapping[str, Any]) -> Silence:
    return Silence(
        id=body["id"],
        matchers=tuple(map(parse_matcher, body["matchers"])),
        unreadable=tuple(body["unreadable"]),
        starts_at=datetime.fromisoformat(body["starts_at"]),
        ends_at=datetime.fromisoformat(body["ends_at"]),
        created_by=body["created_by"],
        comment=body["comment"],
        state=SilenceState(body["state"]),
    )


def _write_draft(kept: KeptDraft) -> dict[str, Any]:
    value = kept.draft
    return {
        "matchers": [str(matcher) for matcher in value.matchers],
        "ends_at": value.ends_at.isoformat(),
        "comment": value.comment,
        "incident": value.incident,
        "replaces": [list(pair) for pair in value.replaces],
        "sources": list(value.sources),
        "left_out": list(value.left_out),
        "about": value.about,
        "author": value.author,
        "shown": sorted(breadth.value for breadth in kept.shown),
        "was_tried": kept.was_tried,
        "written": asdict(kept.written) if kept.written is not None else None,
    }


def _read_draft(body: Mapping[str, Any], by_id: str) -> KeptDraft:
    number = body["incident"]
    value = Draft(
        matchers=tuple(map(parse_matcher, body["matchers"])),
        ends_at=datetime.fromisoformat(body["ends_at"]),
        comment=body["comment"],
        incident=IncidentNumber(number) if number is not None else None,
        replaces=tuple((source, silence_id) for source, silence_id in body["replaces"]),
        # Drafts of the version before have none of these.
        sources=tuple(body.get("sources", ())),
        left_out=tuple(map(IncidentNumber, body.get("left_out", ()))),
        about=body.get("about", ""),
        author=body.get("author", ""),
    )
    written = body.get("written")
    return KeptDraft(
        value,
        by_id,
        frozenset(map(Breadth, body["shown"])),
        was_tried=body["was_tried"],
        written=Written(**written) if written is not None else None,
    )
