"""Shows at once what a silence that was made or ended here means for incidents.

The next look at Alertmanager says the same; until then nobody is called for what is silenced.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from bot.alerts import kinds
from bot.alerts.model.incident import Incident, IncidentNumber, Muting
from bot.alerts.muting import note_silenced, note_unsilenced, set_muting
from bot.alerts.peers.model import NewSilence, Silence, SilenceState
from bot.alerts.showing import Showing
from bot.alerts.silences import store
from bot.alerts.silences.examining import Examined, find
from bot.alerts.silences.model import Known
from bot.alerts.silences.store import KeptDraft, KeptSilence
from bot.cards.store import Cards
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.database.engine import Transaction


class Marks:
    """What is written down of silences that were made or ended here."""

    def __init__(self, showing: Showing, cards: Cards, clock: Clock) -> None:
        """Take what shows incidents."""
        self._showing = showing
        self._cards = cards
        self._clock = clock

    async def note(
        self,
        tx: Transaction,
        source: str,
        silence_id: str,
        new: NewSilence,
        *,
        kept: KeptDraft,
        examined: Examined,
        by: Actor,
    ) -> None:
        """Write down what Alertmanager made, and have the cards of what it hides say so.

        The incident that it was asked for on is told by what is written down of the asking.
        """
        now, number = self._clock.now(), kept.draft.incident
        old_id = dict(kept.draft.replaces).get(source) or None
        before = await store.list_by_ids(tx, source, [old_id] if old_id is not None else [])
        for each in before:
            number = number if number is not None else each.incident
            if each.silence.id != silence_id:
                await store.save(tx, over(each, now))
        if number is not None and await find(tx, number) is None:
            number = None
        silence = Silence(
            id=silence_id,
            matchers=new.matchers,
            starts_at=new.starts_at,
            ends_at=new.ends_at,
            created_by=new.created_by,
            comment=new.comment,
            state=SilenceState.ACTIVE,
        )
        known = Known(silence, has_begun=True)
        await store.save(tx, KeptSilence(source, known, number, touched_at=now))
        is_news = not any(each.silence == silence for each in before)
        matched = {alert.fingerprint for alert in examined.alerts.get(source, ())}
        for hidden in examined.hidden:
            if hidden.source == source:
                after = await self._mute(tx, hidden.number, silence_id, matched, in_place_of=old_id)
                if is_news and after is not None and after.number != kept.draft.incident:
                    await note_silenced(
                        tx, self._showing, after, silence_id, silence, by=by, is_change=old_id is not None
                    )
        # Only now: what both keep quiet is quiet all along, and nobody is reminded in between.
        if old_id is not None and old_id != silence_id:
            await self.unmute(tx, source, old_id, by=by, told_on=kept.draft.incident)
        for each_id in {silence_id, old_id or silence_id}:
            await self._cards.touch(tx, kinds.SILENCE_ENDS, each_id)

    async def _mute(
        self,
        tx: Transaction,
        number: IncidentNumber,
        silence_id: str,
        matched: Collection[str],
        *,
        in_place_of: str | None,
    ) -> Incident | None:
        """Show at once what the next look at Alertmanager will say; what is over is left alone."""
        incident = await find(tx, number)
        if incident is None or not incident.is_open:
            return None
        before = incident.muting or Muting()
        others = tuple(each for each in before.silences if each not in {in_place_of, silence_id})
        quiet = sum(alert.fingerprint in matched for alert in incident.firing)
        is_alone = not (others or before.inhibitors or before.intervals)
        after = replace(
            before,
            silences=(*others, silence_id),
            alerts=quiet if is_alone else min(len(incident.firing), max(before.alerts, quiet)),
            firing=len(incident.firing),
        )
        muted = await set_muting(tx, self._showing, incident, after)
        if muted is incident:
            await self._showing.show(tx, incident)
        return muted

    async def unmute(
        self, tx: Transaction, source: str, silence_id: str, *, by: Actor, told_on: IncidentNumber | None
    ) -> None:
        """Take back what was shown of a silence that somebody ended; on `told_on` that is written down."""
        kept = await store.list_by_ids(tx, source, [silence_id])
        silence = kept[0].silence if kept else None
        for number in await store.list_muted_by(tx, source, silence_id):
            incident = await find(tx, number)
            if incident is None or incident.muting is None:
                continue
            left = tuple(each for each in incident.muting.silences if each != silence_id)
            after = replace(incident.muting, silences=left)
            is_over = not (after.silences or after.inhibitors or after.intervals)
            heard = await set_muting(tx, self._showing, incident, None if is_over else after)
            if number != told_on:
                await note_unsilenced(tx, self._showing, heard, silence_id, silence, by=by)


def over(kept: KeptSilence, now: datetime) -> KeptSilence:
    """Return a silence as ended here: kept until a list is newer than that."""
    ended = replace(kept.silence, state=SilenceState.EXPIRED, ends_at=min(now, kept.silence.ends_at))
    return replace(kept, known=replace(kept.known, silence=ended), touched_at=now)
