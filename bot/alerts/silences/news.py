"""Follows the silences that Alertmanager lists, and tells what is new about them, whoever did it."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

import structlog

from bot.alerts import kinds
from bot.alerts.model.incident import IncidentNumber
from bot.alerts.muting import note_silenced
from bot.alerts.peers.model import Silence, SilenceState
from bot.alerts.showing import CARD, Showing
from bot.alerts.silences import store
from bot.alerts.silences.card import event_words
from bot.alerts.silences.entries import seen_entry
from bot.alerts.silences.model import Event, Moment, SilencePolicy, follow
from bot.alerts.silences.store import KeptSilence
from bot.alerts.store.reading import find_incident
from bot.cards.store import Cards
from bot.core.clock import Clock
from bot.database.engine import Transaction

log = structlog.get_logger(__name__)


class Post(Protocol):
    """Tells operators of something."""

    async def __call__(self, tx: Transaction, key: str, title: str, text: str) -> None:
        """Tell it in the transaction that knows of it."""
        ...


class News:
    """What happens to silences, as Alertmanager's list shows it."""

    def __init__(
        self,
        cards: Cards,
        *,
        clock: Clock,
        silence_policy: Callable[[], SilencePolicy],
        post: Post,
        audit_channel: Callable[[], int | None],
        showing: Showing,
    ) -> None:
        """Take where it is told and written down, and what the policy says of ends that are near."""
        self._cards = cards
        self._clock = clock
        self._silence_policy = silence_policy
        self._post = post
        self._audit_channel = audit_channel
        self._showing = showing

    async def follow(
        self, tx: Transaction, source: str, listed: Iterable[Silence], *, taken_at: datetime
    ) -> None:
        """Note what Alertmanager lists, as of before `taken_at`, and tell what is new about it."""
        now = self._clock.now()
        kept = {each.silence.id: each for each in await store.list_of_source(tx, source)}
        # What was done here since then is newer than the list.
        ours = {name for name, each in kept.items() if each.touched_at and each.touched_at >= taken_at}
        followed = follow(
            {
                name: each.known
                for name, each in kept.items()
                if name not in ours and each.silence.state is not SilenceState.EXPIRED
            }
            if await store.was_looked_at(tx, source)
            else None,
            [silence for silence in listed if silence.id not in ours],
            now=now,
            tell_before_end=self._silence_policy().tell_before_end,
        )
        heirs = {
            event.silence.id: kept[event.before.id].incident
            for event in followed.events
            if event.before is not None and event.before.id in kept
        }
        for name, known in followed.known.items():
            before = kept.get(name)
            if before is None or before.known != known:
                number = before.incident if before is not None else heirs.get(name)
                await store.save(tx, KeptSilence(source, known, number))
        await store.forget(tx, source, kept.keys() - followed.known.keys() - ours)
        await store.note_look(tx, source, now)
        for event in followed.events:
            await self._tell(tx, source, event)

    async def _tell(self, tx: Transaction, source: str, event: Event) -> None:
        silence_id = event.silence.id
        log.info("silence_news", source=source, silence=silence_id, moment=event.moment.value)
        if (entry := seen_entry(event, source)) is not None:
            await self._showing.record(tx, entry)
        channel = self._audit_channel()
        if event.moment is Moment.ENDS_SOON and channel is not None:
            await self._cards.want(tx, kinds.SILENCE_ENDS, silence_id, channel)
        else:
            title, text = event_words(event, source=source)
            moment = event.moment.name.lower()
            await self._post(tx, f"silence:{source}:{silence_id}:{moment}", title, text)
        for changed_id in {silence_id, event.before.id if event.before is not None else silence_id}:
            for number in await store.list_muted_by(tx, source, changed_id):
                await self._cards.touch(tx, CARD, str(number))
                await self._note(tx, number, event)
            if event.moment is not Moment.ENDS_SOON:
                await self._cards.touch(tx, kinds.SILENCE_ENDS, changed_id)

    async def _note(self, tx: Transaction, number: IncidentNumber, event: Event) -> None:
        """Have the timeline of an incident say that what hides it ends at another time."""
        before, silence = event.before, event.silence
        if event.moment is not Moment.CHANGED or before is None or before.id != silence.id:
            # What begins or ends to hide it is noted when that is seen of its alerts.
            return
        incident = await find_incident(tx, number)
        if incident is not None and before.ends_at != silence.ends_at:
            await note_silenced(tx, self._showing, incident, silence.id, silence, is_change=True)
