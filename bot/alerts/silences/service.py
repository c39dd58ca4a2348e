"""What people do with silences.

Alertmanager is asked while no transaction is open; what it did is written down
in one of its own. A silence that was made without being written down is found
by the next look at Alertmanager's list.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

import structlog

from bot.access.service import Access
from bot.alerts import kinds
from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.peers import reading
from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.model import NewSilence, Silence, SilenceState
from bot.alerts.policy import AlertPolicy
from bot.alerts.showing import CARD, Showing, targets_of
from bot.alerts.silences import store
from bot.alerts.silences.ending import Heard, mark_of
from bot.alerts.silences.entries import SILENCE, UNSILENCE, asked_entry, ended_entry, refused_entry
from bot.alerts.silences.examining import Examined, Examiner, find, outcome, same_kind
from bot.alerts.silences.length import parse_end
from bot.alerts.silences.marks import Marks, over
from bot.alerts.silences.model import (
    Draft,
    Judgement,
    Preview,
    SilencePolicy,
    Verdict,
    Width,
    Written,
    new_silence,
    prefill,
    prefill_common,
    read_matchers,
    widths,
    write_matchers,
)
from bot.alerts.silences.news import News, Post
from bot.alerts.silences.store import KeptDraft, KeptSilence
from bot.alerts.store.reading import get_incident, get_incidents
from bot.alerts.storm import store as storm_store
from bot.alerts.storm.service import page_key
from bot.cards.store import Cards, find_card
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import (
    BrokenError,
    ConflictError,
    InvalidError,
    MachineError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from bot.core.matchers import Matcher
from bot.database.engine import Database, Transaction

USUAL_LENGTH: Final = timedelta(hours=2)
"""What a dialog offers at first."""

_DRAFT_LASTS: Final = timedelta(minutes=20)
"""Longer than the 15 minutes in which a private answer can be pressed."""
_TOKEN_BYTES: Final = 9

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CardName:
    """What a message is found by."""

    kind: str
    key: str
    channel_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """What a draft would do, for the person who is to decide."""

    token: str
    draft: Draft
    preview: Preview
    judgement: Judgement
    policy: SilencePolicy
    named: Mapping[IncidentNumber, Incident]
    """The incidents that it hides, and those that it leaves out."""
    widths: Mapping[Width, tuple[Matcher, ...]]
    """What could be silenced instead."""


@dataclass(frozen=True, slots=True)
class Misunderstood:
    """What was typed could not be previewed; it is kept for another try."""

    token: str
    why: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Silences were not ended yet: they hide more than what they are ended for."""

    kept: tuple[KeptSilence, ...]
    heard: Heard
    named: Mapping[IncidentNumber, Incident]
    """The incidents that are heard again."""
    mark: str
    """Says that just this was told: `Silences.end` takes it for a yes."""


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
        self._showing = showing
        self._cards = cards
        self._clock = clock
        self._policy = policy
        self._silence_policy = silence_policy
        self._zone = zone
        self._guild = guild
        self._wake_poller = wake_poller
        self._examiner = Examiner(
            database,
            access,
            showing,
            clusters=clusters,
            clock=clock,
            policy=policy,
            silence_policy=silence_policy,
        )
        self._marks = Marks(showing, cards, clock)
        self._news = News(
            cards,
            clock=clock,
            silence_policy=silence_policy,
            post=post,
            audit_channel=audit_channel,
            showing=showing,
        )

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
            incident = await get_incident(tx, number)
        await self._examiner.allow(by, SILENCE, [targets_of(incident)], incident)
        self._examiner.cluster(incident.source)
        return Draft(
            matchers=prefill(incident),
            ends_at=self._clock.now() + USUAL_LENGTH,
            comment=comment,
            incident=number,
        )

    async def propose_common(
        self, numbers: Sequence[IncidentNumber], *, by: Actor, shown_as: CardName
    ) -> Draft:
        """Return what a dialog about several incidents begins with: the labels that all their alerts share.

        Those whose sender cannot be asked for a silence are left out. `shown_as` names the message that
        the comment links to.

        Raises:
            ConflictError: They are over, or share no label.
            NotFoundError: Whoever sent them cannot be asked for a silence.
        """
        async with self._database.reading() as tx:
            found = [each for each in await get_incidents(tx, numbers) if each.is_open]
            url = await self._url_of(tx, shown_as)
        if not found:
            raise ConflictError("None of them is open any more: there is nothing to silence.")
        meant = [each for each in found if self._examiner.can_ask(each.source)] or found
        await self._examiner.allow(by, SILENCE, map(targets_of, meant), None)
        async with self._database.reading() as tx:
            sources = await self._examiner.senders(tx, meant)
        matchers = prefill_common(meant)
        if not matchers:
            raise ConflictError(
                "Their alerts have no label in common, so one silence cannot mean just these. Choose one "
                "of them and silence it, or use `/alerts silence`, where you can write matchers of your own."
            )
        counted = f"{len(meant)} incident{'' if len(meant) == 1 else 's'} of a storm"
        return Draft(
            matchers=matchers,
            ends_at=self._clock.now() + USUAL_LENGTH,
            sources=sources,
            left_out=tuple(each.number for each in found if each not in meant),
            about=" ".join(part for part in (counted, url) if part),
        )

    async def reopen(self, key: str, *, by: Actor) -> tuple[Draft, Written | None]:
        """Return a draft, or a silence as a draft that takes its place, for one more dialog.

        With it comes what was typed the last time, if that could not be previewed.
        """
        if "/" not in key:
            again = await self._draft(key, by)
            return again.draft, again.written
        kept = await self._kept(key)
        await self._examiner.allow_all(by, SILENCE, kept)
        return _as_draft(kept), None

    async def submit(self, base: Draft, written: Written, *, by: Actor) -> Previewed | Misunderstood:
        """Preview what somebody left in the dialog, or keep it for another try."""
        try:
            draft = self.read(base, matchers=written.matchers, length=written.length, comment=written.comment)
            return await self.preview(draft, by=by)
        except (RefusedError, UnavailableError, BrokenError) as error:
            log.info("silence_not_previewed", error=type(error).__name__, why=str(error))
            return Misunderstood(await self._keep_written(base, written, by), str(error))

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
        examined = await self._examiner.examine(draft, by)
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
        if kept.written is not None:
            raise ConflictError("This was not previewed yet.")
        if kept.draft.ends_at <= self._clock.now():
            raise InvalidError("Its end has passed meanwhile: press Change and give it another.")
        examined = await self._examiner.examine(kept.draft, by)
        judgement = examined.judgement
        if judgement.verdict is Verdict.REFUSE or not set(judgement.reasons) <= kept.shown:
            return await self._keep(kept.draft, examined, by)
        return await self._make(token, kept, examined, by)

    async def extend(self, key: str, length: str, *, by: Actor) -> Made | Previewed | Misunderstood:
        """Have silences last longer: `length` counts from their end; what is too long is previewed first.

        What was typed is kept for another try where it is not understood or Alertmanager does not answer.

        Raises:
            NotFoundError: They are over.
        """
        base = _as_draft(await self._kept(key))
        try:
            draft = replace(base, ends_at=self._end(length, max(base.ends_at, self._clock.now())))
            examined = await self._examiner.examine(draft, by)
        except (InvalidError, UnavailableError, BrokenError) as error:
            log.info("silence_not_previewed", error=type(error).__name__, why=str(error))
            written = Written(matchers=write_matchers(base.matchers), length=length, comment=base.comment)
            return Misunderstood(await self._keep_written(base, written, by), str(error))
        previewed = await self._keep(draft, examined, by)
        if examined.judgement.verdict is not Verdict.FINE:
            return previewed
        return await self._make(previewed.token, KeptDraft(draft, by.id), examined, by)

    async def end(self, key: str, *, by: Actor, told: str = "") -> Ended | Asked:
        """End silences now; where other incidents are heard again then, that is asked first.

        `told` is the mark of the question that somebody said yes to.

        Raises:
            NotFoundError: They are over.
            UnavailableError: Alertmanager does not answer: they go on.
        """
        kept = await self._kept(key)
        await self._examiner.allow_all(by, UNSILENCE, kept)
        heard, hidden = await self._examiner.heard_without(kept, _incident_of(key))
        mark = mark_of(((each.source, each.silence.id) for each in kept), heard)
        if heard.incidents and told != mark:
            return Asked(kept=kept, heard=heard, named={each.number: each for each in hidden}, mark=mark)
        return await self._end_all(kept, by)

    async def find(self, key: str, *, by: Actor) -> tuple[KeptSilence, ...]:
        """Return what a button names: `i/<incident>` all that keep it quiet, `s/<id>` one.

        Raises:
            NotFoundError: There is none.
        """
        kept = await self._kept(key)
        await self._examiner.allow_all(by, "alerts:show", kept)
        return kept

    async def follow(
        self, tx: Transaction, source: str, listed: Iterable[Silence], *, taken_at: datetime
    ) -> None:
        """Note what Alertmanager lists, as of before `taken_at`, and tell what is new about it."""
        await self._news.follow(tx, source, listed, taken_at=taken_at)

    async def _end_all(self, kept: Sequence[KeptSilence], by: Actor) -> Ended:
        outcomes = await asyncio.gather(*(self._expire(each) for each in kept))
        failed = {each.source: error for each, error in zip(kept, outcomes, strict=True) if error is not None}
        ended = tuple(each for each in kept if each.source not in failed)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            # Of two who end one at once, the first is written down.
            mine = [each for each in kept if each.source in failed or not await _is_over(tx, each)]
            for each in ended:
                await self._marks.unmute(tx, each.source, each.silence.id, by=by, told_on=each.incident)
                await store.save(tx, over(each, now))
                await self._cards.touch(tx, kinds.SILENCE_ENDS, each.silence.id)
            for each in mine:
                await self._showing.record(tx, ended_entry(each, by, failed.get(each.source)))
            tx.after_commit(self._wake_poller)
        if not ended:
            raise same_kind(next(iter(failed.values())), "It is not ended.")
        return Ended(ended, {source: str(error) for source, error in failed.items()})

    async def _keep(self, draft: Draft, examined: Examined, by: Actor) -> Previewed:
        """Keep a draft as it is shown now, under a token that was never shown before."""
        token = secrets.token_hex(_TOKEN_BYTES)
        judgement = examined.judgement
        kept = KeptDraft(draft, by.id, frozenset(judgement.reasons))
        async with self._database.transaction() as tx:
            await store.insert_draft(tx, token, kept, expires_at=self._clock.now() + _DRAFT_LASTS)
            if judgement.verdict is Verdict.REFUSE:
                await self._showing.record(tx, refused_entry(draft, judgement, by))
            left_out = await get_incidents(tx, draft.left_out)
        return Previewed(
            token=token,
            draft=draft,
            preview=examined.preview,
            judgement=judgement,
            policy=self._silence_policy(),
            named={incident.number: incident for incident in (*examined.hidden, *left_out)},
            widths=await self._widths(draft),
        )

    async def _keep_written(self, base: Draft, written: Written, by: Actor) -> str:
        token = secrets.token_hex(_TOKEN_BYTES)
        async with self._database.transaction() as tx:
            kept = KeptDraft(base, by.id, written=written)
            await store.insert_draft(tx, token, kept, expires_at=self._clock.now() + _DRAFT_LASTS)
        return token

    async def _widths(self, draft: Draft) -> Mapping[Width, tuple[Matcher, ...]]:
        if draft.incident is None:
            return {}
        async with self._database.reading() as tx:
            incident = await find(tx, draft.incident)
        return widths(incident) if incident is not None else {}

    async def _make(self, token: str, kept: KeptDraft, examined: Examined, by: Actor) -> Made:
        draft, now = kept.draft, self._clock.now()
        async with self._database.transaction() as tx:
            if not await store.take_draft(tx, token, now=now):
                raise ConflictError("This silence was asked for already.")
            about = await find(tx, draft.incident)
            new = self._new(draft, by, about, await self._card_url(tx, about))
        replaced = dict(draft.replaces)
        outcomes = await asyncio.gather(
            *(
                outcome(self._create_in(source, new, replaced.get(source) or None, was_tried=kept.was_tried))
                for source in examined.sources
            )
        )
        told = dict(zip(examined.sources, outcomes, strict=True))
        created = {source: made for source, made in told.items() if isinstance(made, str)}
        failed = {source: error for source, error in told.items() if isinstance(error, MachineError)}
        async with self._database.transaction() as tx:
            for source, silence_id in created.items():
                await self._marks.note(tx, source, silence_id, new, kept=kept, examined=examined, by=by)
            await self._showing.record(
                tx,
                asked_entry(draft, by, created=created, failed=failed, about=about, preview=examined.preview),
            )
            if failed:
                # An empty id: there is none yet.
                sought = {source: replaced.get(source, "") for source in examined.sources}
                left = replace(
                    draft,
                    comment=new.comment,
                    replaces=tuple({**sought, **created}.items()),
                    author=new.created_by,
                )
                await store.give_back_draft(tx, token, replace(kept, draft=left, was_tried=True))
            tx.after_commit(self._wake_poller)
        if not created and failed:
            raise same_kind(next(iter(failed.values())), "Nothing was silenced: press the button again.")
        return Made(draft, created, {source: str(error) for source, error in failed.items()})

    def _new(self, draft: Draft, by: Actor, about: Incident | None, url: str) -> NewSilence:
        title = about.title if about is not None else ""
        new = new_silence(draft, by, now=self._clock.now(), title=title, url=url)
        return replace(new, ends_at=reading.to_milliseconds(new.ends_at))

    async def _create_in(self, source: str, new: NewSilence, replaces: str | None, *, was_tried: bool) -> str:
        cluster = self._examiner.cluster(source)
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
            try:
                # One that has begun is changed in place only if its beginning stays what it is there.
                new = replace(new, starts_at=(await cluster.get_silence(replaces)).starts_at)
            except NotFoundError:
                # Alertmanager lost it, and whoever changes it wants it to be there.
                replaces = None
        return await cluster.create_silence(new, replaces=replaces)

    async def _kept(self, key: str) -> tuple[KeptSilence, ...]:
        """Return the silences that a key names, as long as they last."""
        _, _, name = key.partition("/")
        now, number = self._clock.now(), _incident_of(key)
        ids: tuple[str, ...] = (name,)
        async with self._database.reading() as tx:
            if number is not None:
                incident = await get_incident(tx, number)
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
        if not lasting and not ids:
            raise NotFoundError(f"No silence keeps #{name} quiet now.")
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
            await self._examiner.cluster(kept.source).expire_silence(kept.silence.id)
        except NotFoundError:
            return None
        except MachineError as error:
            return error
        return None

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
            shown = CardName(CARD, str(incident.number), channel_id)
            if url := await self._url_of(tx, shown) or await self._digest_url(tx, incident, channel_id):
                return url
        return ""

    async def _digest_url(self, tx: Transaction, incident: Incident, channel_id: int) -> str:
        """Return the address of what stands for the card of an incident in a storm."""
        storm = (await storm_store.list_latest(tx)).get(channel_id)
        line = await storm_store.find_line(tx, storm.id, incident.number) if storm is not None else None
        if storm is None or line is None or line.page is None:
            return ""
        return await self._url_of(tx, CardName(kinds.DIGEST, page_key(storm.id, line.page), channel_id))

    async def _url_of(self, tx: Transaction, name: CardName) -> str:
        card = await find_card(tx, name.kind, name.key, name.channel_id)
        if card is None or card.message_id is None:
            return ""
        return f"https://discord.com/channels/{self._guild()}/{card.posted_in}/{card.message_id}"


def are_one(kept: Sequence[KeptSilence]) -> bool:
    """Say whether silences are the same one in several Alertmanagers."""
    sources = {each.source for each in kept}
    return len(sources) == len(kept) and len({each.silence.conditions for each in kept}) == 1


def _incident_of(key: str) -> IncidentNumber | None:
    """Return the incident whose silences a key names, if it names those of one."""
    kind, _, name = key.partition("/")
    return IncidentNumber(int(name)) if kind == "i" and name.isascii() and name.isdigit() else None


async def _is_over(tx: Transaction, kept: KeptSilence) -> bool:
    """Say whether somebody ended a silence since it was looked up."""
    found = await store.list_by_ids(tx, kept.source, [kept.silence.id])
    return any(each.silence.state is SilenceState.EXPIRED for each in found)


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
        author=first.created_by,
    )
