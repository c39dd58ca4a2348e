"""What people do with silences, and what is told of those that others made.

Alertmanager is asked while no transaction is open; what it did is written down
in one of its own. A silence that was made without being written down is found
by the next look at Alertmanager's list.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from itertools import chain
from typing import Final, Protocol, TypeVar

import structlog

from bot.access.service import Access
from bot.alerts import kinds
from bot.alerts import store as alerts_store
from bot.alerts.model import Incident, IncidentNumber, Muting, SeverityWords
from bot.alerts.muting import set_muting
from bot.alerts.peers import reading
from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.model import NewSilence, PeerAlert, Silence, SilenceState
from bot.alerts.policy import AlertPolicy
from bot.alerts.showing import CARD, Showing, targets_at, targets_of
from bot.alerts.silences import store
from bot.alerts.silences.card import event_words
from bot.alerts.silences.length import parse_end
from bot.alerts.silences.model import (
    Draft,
    Event,
    Judgement,
    Known,
    Moment,
    Preview,
    SilencePolicy,
    Verdict,
    Width,
    follow,
    judge,
    new_silence,
    prefill,
    preview_of,
    read_matchers,
    widths,
)
from bot.alerts.silences.store import KeptDraft, KeptSilence
from bot.cards.store import Cards, find_card
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import (
    BrokenError,
    ConflictError,
    InvalidError,
    MachineError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from bot.core.matchers import Matcher
from bot.database.engine import Database, Transaction
from bot.journal.model import Entry, Outcome

SILENCE: Final = "alerts:silence"
UNSILENCE: Final = "alerts:unsilence"
USUAL_LENGTH: Final = timedelta(hours=2)
"""What a dialog offers at first."""

_DRAFT_LASTS: Final = timedelta(minutes=20)
"""Longer than the 15 minutes in which a private answer can be pressed."""
_TOKEN_BYTES: Final = 9

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Post(Protocol):
    """Tells operators of something."""

    async def __call__(self, tx: Transaction, key: str, title: str, text: str) -> None:
        """Tell it in the transaction that knows of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """What a draft would do, for the person who is to decide."""

    token: str
    draft: Draft
    preview: Preview
    judgement: Judgement
    policy: SilencePolicy
    named: Mapping[IncidentNumber, Incident]
    """The incidents that it hides."""
    widths: Mapping[Width, tuple[Matcher, ...]]
    """What could be silenced instead."""


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a draft."""

    draft: Draft
    created: Mapping[str, str]
    """The id in each source."""
    failed: Mapping[str, str]
    """Why not, by source."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of silences that somebody ended."""

    ended: tuple[KeptSilence, ...]
    failed: Mapping[str, str]
    """Why not, by source."""


@dataclass(frozen=True, slots=True)
class _Examined:
    sources: tuple[str, ...]
    alerts: Mapping[str, Sequence[PeerAlert]]
    hidden: tuple[Incident, ...]
    preview: Preview
    judgement: Judgement


class Silences:
    """The use cases of people, and the news of silences."""

    def __init__(
        self,
        database: Database,
        access: Access,
        showing: Showing,
        cards: Cards,
        *,
        clusters: Callable[[], Mapping[str, AlertmanagerCluster]],
        clock: Clock,
        policy: Callable[[], AlertPolicy],
        silence_policy: Callable[[], SilencePolicy],
        zone: Callable[[], tzinfo],
        guild: Callable[[], int],
        post: Post,
        audit_channel: Callable[[], int | None] = lambda: None,
        wake_poller: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the leading database, the rooms below, and the Alertmanagers by their names."""
        self._database = database
        self._access = access
        self._showing = showing
        self._cards = cards
        self._clusters = clusters
        self._clock = clock
        self._policy = policy
        self._silence_policy = silence_policy
        self._zone = zone
        self._guild = guild
        self._post = post
        self._audit_channel = audit_channel
        self._wake_poller = wake_poller

    @property
    def zone(self) -> tzinfo:
        """The zone in which people write times of day."""
        return self._zone()

    async def propose(self, number: IncidentNumber, *, by: Actor, comment: str = "") -> Draft:
        """Return what a dialog about an incident begins with.

        Raises:
            NotFoundError: There is no such incident, or nobody who could be asked for a silence.
        """
        async with self._database.reading() as tx:
            incident = await self._incident(tx, number)
        await self._allow(by, SILENCE, [targets_of(incident)], incident)
        self._cluster(incident.source)
        return Draft(
            matchers=prefill(incident),
            ends_at=self._clock.now() + USUAL_LENGTH,
            comment=comment,
            incident=number,
        )

    async def reopen(self, key: str, *, by: Actor) -> Draft:
        """Return a draft, or a silence as a draft that takes its place, for one more dialog."""
        if "/" not in key:
            return (await self._draft(key, by)).draft
        kept = await self._kept(key)
        await self._allow_all(by, SILENCE, kept)
        return _as_draft(kept)

    def read(self, base: Draft, *, matchers: str, length: str | None, comment: str) -> Draft:
        """Return what somebody left in the dialog; without a length the end stays as it is.

        Raises:
            InvalidError: It is not understood; the text says which part and what was expected.
        """
        try:
            found = read_matchers(matchers)
        except InvalidError as error:
            raise InvalidError(f"The matchers are not understood: {error}") from error
        ends_at = base.ends_at if length is None else self._end(length, self._clock.now())
        return replace(base, matchers=found, ends_at=ends_at, comment=comment.strip())

    async def preview(self, draft: Draft, *, by: Actor) -> Previewed:
        """Say what a draft would do, and keep it for the button that does it.

        Raises:
            UnavailableError: No Alertmanager answers.
            InvalidError: Alertmanager does not understand a matcher.
        """
        examined = await self._examine(draft, by)
        return await self._keep(draft, examined, by)

    async def widen(self, token: str, width: Width, *, by: Actor) -> Previewed:
        """Preview a draft with other matchers that its incident offers."""
        draft = (await self._draft(token, by)).draft
        offered = await self._widths(draft)
        if width not in offered:
            raise ConflictError("The incident has changed meanwhile: this is not offered any more.")
        return await self.preview(replace(draft, matchers=offered[width]), by=by)

    async def create(self, token: str, *, by: Actor) -> Made | Previewed:
        """Make what was previewed; where it has become broader than was said, preview it again.

        Raises:
            NotFoundError: The draft is no longer kept.
            ConflictError: It was made already.
            UnavailableError: No Alertmanager took it.
        """
        kept = await self._draft(token, by)
        if kept.draft.ends_at <= self._clock.now():
            raise InvalidError("Its end has passed meanwhile: press Change and give it another.")
        examined = await self._examine(kept.draft, by)
        judgement = examined.judgement
        if judgement.verdict is Verdict.REFUSE or not set(judgement.reasons) <= kept.shown:
            return await self._keep(kept.draft, examined, by)
        return await self._make(token, kept, examined, by)

    async def extend(self, key: str, length: str, *, by: Actor) -> Made | Previewed:
        """Have silences last longer: `length` counts from their end; what is too long is previewed first.

        Raises:
            NotFoundError: They are over.
        """
        kept = await self._kept(key)
        draft = _as_draft(kept)
        draft = replace(draft, ends_at=self._end(length, max(draft.ends_at, self._clock.now())))
        examined = await self._examine(draft, by)
        previewed = await self._keep(draft, examined, by)
        if examined.judgement.verdict is not Verdict.FINE:
            return previewed
        return await self._make(previewed.token, KeptDraft(draft, by.id), examined, by)

    async def end(self, key: str, *, by: Actor) -> Ended:
        """End silences now.

        Raises:
            NotFoundError: They are over.
            UnavailableError: Alertmanager does not answer: they go on.
        """
        kept = await self._kept(key)
        await self._allow_all(by, UNSILENCE, kept)
        outcomes = await asyncio.gather(*(self._expire(each) for each in kept))
        failed = {each.source: error for each, error in zip(kept, outcomes, strict=True) if error is not None}
        ended = tuple(each for each in kept if each.source not in failed)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            for each in ended:
                await self._unmute(tx, each.source, each.silence.id)
                await store.save(tx, _over(each, now))
                await self._cards.touch(tx, kinds.SILENCE_ENDS, each.silence.id)
            for each in kept:
                await self._showing.record(tx, _end_entry(each, by, failed.get(each.source)))
            tx.after_commit(self._wake_poller)
        if not ended:
            raise _same_kind(next(iter(failed.values())), "It is not ended.")
        return Ended(ended, {source: str(error) for source, error in failed.items()})

    async def find(self, key: str, *, by: Actor) -> tuple[KeptSilence, ...]:
        """Return what a button names: `i/<incident>` all that keep it quiet, `s/<id>` one.

        Raises:
            NotFoundError: There is none.
        """
        kept = await self._kept(key)
        await self._allow_all(by, "alerts:show", kept)
        return kept

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
            if event.moment is not Moment.ENDS_SOON:
                await self._cards.touch(tx, kinds.SILENCE_ENDS, changed_id)

    async def _examine(self, draft: Draft, by: Actor) -> _Examined:
        sources = await self._sources(draft)
        clusters = [self._cluster(source) for source in sources]
        seen = await asyncio.gather(*(_outcome(cluster.list_alerts(draft.matchers)) for cluster in clusters))
        failures = {
            source: found
            for source, found in zip(sources, seen, strict=True)
            if isinstance(found, MachineError)
        }
        for failure in failures.values():
            if not isinstance(failure, UnavailableError | BrokenError) or len(failures) == len(sources):
                raise _same_kind(failure, "Nothing was silenced.")
        alerts = {
            source: found for source, found in zip(sources, seen, strict=True) if isinstance(found, tuple)
        }
        async with self._database.reading() as tx:
            numbers = await store.list_hidden(
                tx, {source: {alert.fingerprint for alert in found} for source, found in alerts.items()}
            )
            hidden = tuple(await alerts_store.get_incidents(tx, numbers))
            about = await self._find(tx, draft.incident)
        await self._allow(by, SILENCE, _targets(alerts, hidden, about, sources), about)
        preview = preview_of(
            alerts, hidden, words=self._words, incident=draft.incident, silent=tuple(failures)
        )
        judgement = judge(draft, preview, self._silence_policy(), now=self._clock.now())
        return _Examined(sources, alerts, hidden, preview, judgement)

    @property
    def _words(self) -> SeverityWords:
        return self._policy().words

    async def _keep(self, draft: Draft, examined: _Examined, by: Actor) -> Previewed:
        """Keep a draft as it is shown now, under a token that was never shown before."""
        token = secrets.token_hex(_TOKEN_BYTES)
        judgement = examined.judgement
        kept = KeptDraft(draft, by.id, frozenset(judgement.reasons))
        async with self._database.transaction() as tx:
            await store.insert_draft(tx, token, kept, expires_at=self._clock.now() + _DRAFT_LASTS)
            if judgement.verdict is Verdict.REFUSE:
                await self._showing.record(tx, _refused_entry(draft, judgement, by))
        return Previewed(
            token=token,
            draft=draft,
            preview=examined.preview,
            judgement=judgement,
            policy=self._silence_policy(),
            named={incident.number: incident for incident in examined.hidden},
            widths=await self._widths(draft),
        )

    async def _widths(self, draft: Draft) -> Mapping[Width, tuple[Matcher, ...]]:
        if draft.incident is None:
            return {}
        async with self._database.reading() as tx:
            incident = await self._find(tx, draft.incident)
        return widths(incident) if incident is not None else {}

    async def _make(self, token: str, kept: KeptDraft, examined: _Examined, by: Actor) -> Made:
        draft, now = kept.draft, self._clock.now()
        async with self._database.transaction() as tx:
            if not await store.take_draft(tx, token, now=now):
                raise ConflictError("This silence was asked for already.")
            about = await self._find(tx, draft.incident)
            new = self._new(draft, by, about, await self._card_url(tx, about))
        replaced = dict(draft.replaces)
        outcomes = await asyncio.gather(
            *(
                _outcome(self._create_in(source, new, replaced.get(source) or None, was_tried=kept.was_tried))
                for source in examined.sources
            )
        )
        told = dict(zip(examined.sources, outcomes, strict=True))
        created = {source: made for source, made in told.items() if isinstance(made, str)}
        failed = {source: error for source, error in told.items() if isinstance(error, MachineError)}
        async with self._database.transaction() as tx:
            for source, silence_id in created.items():
                await self._note(tx, source, silence_id, new, kept=kept, examined=examined)
            await self._showing.record(
                tx, _entry(draft, by, created=created, failed=failed, about=about, preview=examined.preview)
            )
            if failed:
                # An empty id: there is none yet.
                sought = {source: replaced.get(source, "") for source in examined.sources}
                left = replace(draft, comment=new.comment, replaces=tuple({**sought, **created}.items()))
                await store.give_back_draft(tx, token, replace(kept, draft=left, was_tried=True))
            tx.after_commit(self._wake_poller)
        if not created and failed:
            raise _same_kind(next(iter(failed.values())), "Nothing was silenced: press the button again.")
        return Made(draft, created, {source: str(error) for source, error in failed.items()})

    def _new(self, draft: Draft, by: Actor, about: Incident | None, url: str) -> NewSilence:
        # Whatever takes the place of a silence has its link already.
        named = draft if not draft.replaces else replace(draft, incident=None)
        title, link = (about.title, url) if about is not None and not draft.replaces else ("", "")
        new = new_silence(named, by, now=self._clock.now(), title=title, url=link)
        return replace(new, ends_at=reading.to_milliseconds(new.ends_at))

    async def _create_in(self, source: str, new: NewSilence, replaces: str | None, *, was_tried: bool) -> str:
        cluster = self._cluster(source)
        if was_tried:
            said = (new.matchers, new.created_by, new.comment, new.ends_at)
            for known in await cluster.list_silences():
                if known.state is not SilenceState.EXPIRED and said == (
                    known.matchers,
                    known.created_by,
                    known.comment,
                    known.ends_at,
                ):
                    return known.id
        if replaces is not None:
            # One that has begun is changed in place only if its beginning stays what it is there.
            new = replace(new, starts_at=(await cluster.get_silence(replaces)).starts_at)
        return await cluster.create_silence(new, replaces=replaces)

    async def _note(
        self,
        tx: Transaction,
        source: str,
        silence_id: str,
        new: NewSilence,
        *,
        kept: KeptDraft,
        examined: _Examined,
    ) -> None:
        """Write down what Alertmanager made, and have the cards of what it hides say so."""
        now, number = self._clock.now(), kept.draft.incident
        old_id = dict(kept.draft.replaces).get(source) or None
        before = await store.list_by_ids(tx, source, [old_id] if old_id is not None else [])
        for each in before:
            number = number if number is not None else each.incident
            if each.silence.id != silence_id:
                await store.save(tx, _over(each, now))
        if number is not None and await self._find(tx, number) is None:
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
        if old_id is not None and old_id != silence_id:
            await self._unmute(tx, source, old_id)
        matched = {alert.fingerprint for alert in examined.alerts.get(source, ())}
        for hidden in examined.hidden:
            if hidden.source == source:
                await self._mute(tx, hidden.number, silence_id, matched)
        for each_id in {silence_id, old_id or silence_id}:
            await self._cards.touch(tx, kinds.SILENCE_ENDS, each_id)

    async def _mute(
        self, tx: Transaction, number: IncidentNumber, silence_id: str, matched: Collection[str]
    ) -> None:
        """Show at once what the next look at Alertmanager will say."""
        incident = await self._find(tx, number)
        if incident is None or not incident.is_open:
            return
        before = incident.muting or Muting()
        quiet = sum(alert.fingerprint in matched for alert in incident.firing)
        after = replace(
            before,
            silences=tuple(dict.fromkeys((*before.silences, silence_id))),
            alerts=min(len(incident.firing), max(before.alerts, quiet)),
            firing=len(incident.firing),
        )
        if (await set_muting(tx, self._showing, incident, after)) is incident:
            await self._showing.show(tx, incident)

    async def _unmute(self, tx: Transaction, source: str, silence_id: str) -> None:
        for number in await store.list_muted_by(tx, source, silence_id):
            incident = await self._find(tx, number)
            if incident is None or incident.muting is None:
                continue
            left = tuple(each for each in incident.muting.silences if each != silence_id)
            after = replace(incident.muting, silences=left)
            is_over = not (after.silences or after.inhibitors or after.intervals)
            await set_muting(tx, self._showing, incident, None if is_over else after)

    async def _sources(self, draft: Draft) -> tuple[str, ...]:
        """Return the Alertmanagers that sent what is to be silenced."""
        if draft.replaces:
            return tuple(source for source, _ in draft.replaces)
        if draft.incident is None:
            raise NotFoundError("There is no incident that this silence is about.")
        async with self._database.reading() as tx:
            incident = await self._incident(tx, draft.incident)
            fingerprints = {alert.fingerprint for alert in incident.firing}
            senders = await store.list_senders(tx, fingerprints)
        self._cluster(incident.source)
        configured = self._clusters()
        return tuple(dict.fromkeys((incident.source, *(each for each in senders if each in configured))))

    async def _kept(self, key: str) -> tuple[KeptSilence, ...]:
        """Return the silences that a key names, as long as they last."""
        kind, _, name = key.partition("/")
        now = self._clock.now()
        async with self._database.reading() as tx:
            if kind == "i" and name.isascii() and name.isdigit():
                incident = await self._incident(tx, IncidentNumber(int(name)))
                ids = incident.muting.silences if incident.muting is not None else ()
                found = [
                    *await store.list_by_ids(tx, incident.source, ids),
                    *await store.list_of_incident(tx, incident.number),
                ]
            else:
                found = await store.find_by_id(tx, name)
        lasting = {
            (each.source, each.silence.id): each
            for each in found
            if each.silence.state is not SilenceState.EXPIRED and each.silence.ends_at > now
        }
        if not lasting:
            raise NotFoundError("This silence is over, or Alertmanager does not list it any more.")
        return tuple(lasting.values())

    async def _draft(self, token: str, by: Actor) -> KeptDraft:
        async with self._database.reading() as tx:
            kept = await store.find_draft(tx, token, now=self._clock.now())
        if kept is None or kept.by_id != by.id:
            raise NotFoundError("This preview has expired: ask for the silence again.")
        return kept

    async def _expire(self, kept: KeptSilence) -> MachineError | None:
        try:
            await self._cluster(kept.source).expire_silence(kept.silence.id)
        except NotFoundError:
            return None
        except MachineError as error:
            return error
        return None

    def _cluster(self, source: str) -> AlertmanagerCluster:
        cluster = self._clusters().get(source)
        if cluster is None:
            raise NotFoundError(
                f"{source} is not among the configured alertmanagers: nothing can be silenced there."
            )
        return cluster

    def _end(self, length: str, start: datetime) -> datetime:
        try:
            return parse_end(length, now=start, zone=self._zone())
        except InvalidError as error:
            raise InvalidError(f"The length is not understood: {error}") from error

    async def _card_url(self, tx: Transaction, incident: Incident | None) -> str:
        for destination in incident.destinations if incident is not None else ():
            channel_id = self._policy().channels.get(destination.channel)
            if incident is None or channel_id is None:
                continue
            card = await find_card(tx, CARD, str(incident.number), channel_id)
            if card is not None and card.message_id is not None:
                return f"https://discord.com/channels/{self._guild()}/{card.posted_in}/{card.message_id}"
        return ""

    async def _allow_all(self, by: Actor, action: str, kept: Iterable[KeptSilence]) -> None:
        """Check access to everything that silences keep quiet."""
        for each in kept:
            async with self._database.reading() as tx:
                numbers = await store.list_muted_by(tx, each.source, each.silence.id)
                about = await self._find(tx, each.incident)
                hidden = await alerts_store.get_incidents(tx, numbers)
            targets = _targets({}, [*hidden, *([about] if about is not None else [])], None, [each.source])
            await self._allow(by, action, targets, about)

    async def _allow(
        self, by: Actor, action: str, targets: Iterable[tuple[str, ...]], about: Incident | None
    ) -> None:
        try:
            for names in dict.fromkeys(targets):
                self._access.check(by, action, names)
        except NotAllowedError as refusal:
            async with self._database.transaction() as tx:
                await self._showing.record(
                    tx,
                    Entry(
                        actor=by,
                        action=action,
                        target=f"incident:{about.number}" if about is not None else "",
                        outcome=Outcome.REFUSED,
                        reason=str(refusal),
                    ),
                )
            raise

    async def _find(self, tx: Transaction, number: IncidentNumber | None) -> Incident | None:
        return await alerts_store.find_incident(tx, number) if number is not None else None

    async def _incident(self, tx: Transaction, number: IncidentNumber) -> Incident:
        incident = await alerts_store.find_incident(tx, number)
        if incident is None:
            raise NotFoundError(f"There is no incident #{number}.")
        return incident


async def _outcome(work: Awaitable[T]) -> T | MachineError:
    try:
        return await work
    except MachineError as error:
        return error


def _same_kind(error: MachineError, conclusion: str) -> MachineError:
    """Return an error that says what it means for the person; a refusal says so itself."""
    if isinstance(error, RefusedError):
        return error
    return type(error)(f"{error} {conclusion}")


def _targets(
    alerts: Mapping[str, Sequence[PeerAlert]],
    hidden: Iterable[Incident],
    about: Incident | None,
    sources: Iterable[str],
) -> list[tuple[str, ...]]:
    """Name everything that is hidden as the access policy does; alerts without an incident by their place."""
    incidents = list(hidden)
    named = [targets_of(incident) for incident in (*incidents, *([about] if about is not None else []))]
    shown = {(incident.source, alert.fingerprint) for incident in incidents for alert in incident.alerts}
    strays = (
        (f"source:{source}", *targets_at((), alert.labels.get("namespace")))
        for source, found in alerts.items()
        for alert in found
        if (source, alert.fingerprint) not in shown
    )
    return list(dict.fromkeys(chain(named, strays))) or [(f"source:{source}",) for source in sources]


def are_one(kept: Sequence[KeptSilence]) -> bool:
    """Say whether silences are the same one in several Alertmanagers."""
    sources = {each.source for each in kept}
    return len(sources) == len(kept) and len({each.silence.conditions for each in kept}) == 1


def _as_draft(kept: Sequence[KeptSilence]) -> Draft:
    """Return a draft that takes the place of silences; only those that are alike can be changed together."""
    first = kept[0].silence
    if any(each.silence.unreadable for each in kept):
        raise ConflictError("It has conditions that only Alertmanager understands: change it there.")
    if not are_one(kept):
        raise ConflictError("Several silences keep this quiet: choose one with `/alerts unsilence`.")
    return Draft(
        matchers=first.matchers,
        ends_at=max(each.silence.ends_at for each in kept),
        comment=first.comment,
        incident=kept[0].incident,
        replaces=tuple((each.source, each.silence.id) for each in kept),
    )


def _over(kept: KeptSilence, now: datetime) -> KeptSilence:
    """Return a silence as ended here: kept until a list is newer than that."""
    ended = replace(kept.silence, state=SilenceState.EXPIRED, ends_at=min(now, kept.silence.ends_at))
    return replace(kept, known=replace(kept.known, silence=ended), touched_at=now)


def _entry(
    draft: Draft,
    by: Actor,
    *,
    created: Mapping[str, str],
    failed: Mapping[str, MachineError],
    about: Incident | None,
    preview: Preview,
) -> Entry:
    return Entry(
        actor=by,
        action=SILENCE,
        target=f"incident:{draft.incident}" if draft.incident is not None else "",
        outcome=Outcome.DONE if created else Outcome.FAILED,
        reason=draft.comment or "; ".join(map(str, failed.values())),
        detail={
            "matchers": ", ".join(map(str, draft.matchers)),
            "until": draft.ends_at.isoformat(),
            "silences": ", ".join(f"{source}/{name}" for source, name in created.items()),
            "failed": ", ".join(failed),
            "alerts": preview.alerts,
        },
        namespace=about.common_labels.get("namespace") if about is not None else None,
        incident=draft.incident,
    )


def _refused_entry(draft: Draft, judgement: Judgement, by: Actor) -> Entry:
    return Entry(
        actor=by,
        action=SILENCE,
        target=f"incident:{draft.incident}" if draft.incident is not None else "",
        outcome=Outcome.REFUSED,
        reason=", ".join(reason.value for reason in judgement.reasons),
        detail={"matchers": ", ".join(map(str, draft.matchers)), "until": draft.ends_at.isoformat()},
        incident=draft.incident,
    )


def _end_entry(kept: KeptSilence, by: Actor, error: MachineError | None) -> Entry:
    return Entry(
        actor=by,
        action=UNSILENCE,
        target=f"incident:{kept.incident}" if kept.incident is not None else "",
        outcome=Outcome.DONE if error is None else Outcome.FAILED,
        reason=str(error) if error is not None else "",
        detail={
            "silence": f"{kept.source}/{kept.silence.id}",
            "matchers": ", ".join(kept.silence.conditions),
        },
        incident=kept.incident,
    )
