"""What follows when Alertmanager begins or ends to keep an incident quiet."""

from collections.abc import Mapping
from dataclasses import replace

from bot.alerts.model.incident import Incident, Muting
from bot.alerts.peers.authors import maker_of, person_in
from bot.alerts.peers.model import Silence, is_edit
from bot.alerts.showing import Showing
from bot.alerts.store.writing import update_incident
from bot.alerts.timeline.model import MUTED, SILENCED, UNMUTED, UNSILENCED
from bot.core.actor import Actor
from bot.database.engine import Transaction


async def set_muting(tx: Transaction, showing: Showing, before: Incident, muting: Muting | None) -> Incident:
    """Store what keeps an incident quiet: its cards say so, and nobody is called for what is silenced."""
    after = replace(before, muting=muting)
    if after == before:
        return before
    await update_incident(tx, before, after)
    await showing.show(tx, after)
    if after.is_muted and not before.is_muted:
        await showing.fall_silent(tx, after)
    elif before.is_muted and not after.is_muted and after.acknowledgement is None:
        await showing.remind_again(tx, after)
    return after


async def note_muting(
    tx: Transaction, showing: Showing, before: Incident, after: Incident, silences: Mapping[str, Silence]
) -> None:
    """Write down why an incident is quiet, or is no more; `silences` are those that are known, by id."""
    had = before.muting.silences if before.muting is not None else ()
    has = after.muting.silences if after.muting is not None else ()
    began, ended = [each for each in has if each not in had], [each for each in had if each not in has]
    for name in began:
        silence = silences.get(name)
        old = [each for each in ended if silence and each in silences and is_edit(silences[each], silence)]
        ended = [each for each in ended if each not in old]
        await note_silenced(tx, showing, after, name, silence, is_change=bool(old))
    for name in ended:
        await note_unsilenced(tx, showing, after, name, silences.get(name))
    if after.is_muted and not before.is_muted and not began:
        await showing.note(tx, after, MUTED, **_other_reasons(after))
    elif before.is_muted and not after.is_muted and not ended:
        await showing.note(tx, after, UNMUTED)


async def note_silenced(
    tx: Transaction,
    showing: Showing,
    incident: Incident,
    name: str,
    silence: Silence | None,
    *,
    by: Actor | None = None,
    is_change: bool = False,
) -> None:
    """Write down that a silence hides an incident, or lasts otherwise; `by` is who did it here.

    Who changed one elsewhere, Alertmanager does not say.
    """
    muting = incident.muting
    author = silence.created_by if silence is not None and not is_change else ""
    await showing.note(
        tx,
        incident,
        SILENCED,
        silence=f"{incident.source}/{name}",
        matchers=", ".join(silence.conditions) if silence is not None else "",
        until=silence.ends_at.isoformat() if silence is not None else None,
        by=by.name if by is not None else (maker_of(author) if author else None),
        by_id=by.id if by is not None else person_in(author),
        replaces=is_change,
        quiet=muting.alerts if muting is not None and not muting.is_whole else None,
    )


async def note_unsilenced(
    tx: Transaction,
    showing: Showing,
    incident: Incident,
    name: str,
    silence: Silence | None,
    *,
    by: Actor | None = None,
) -> None:
    """Write down that a silence hides an incident no more; `by` is who ended it here."""
    await showing.note(
        tx,
        incident,
        UNSILENCED,
        silence=f"{incident.source}/{name}",
        matchers=", ".join(silence.conditions) if silence is not None else "",
        by=by.name if by is not None else None,
        by_id=by.id if by is not None else None,
        still=incident.is_muted,
    )


def _other_reasons(incident: Incident) -> Mapping[str, bool]:
    muting = incident.muting or Muting()
    return {"inhibited": bool(muting.inhibitors), "at_this_time": bool(muting.intervals)}
