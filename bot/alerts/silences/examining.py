"""Asks what a draft would hide, who may hide it, and what the policy says to that."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from bot.access.service import Access
from bot.alerts.model.incident import Incident, IncidentNumber
from bot.alerts.model.notification import OURSELVES
from bot.alerts.peers.client import AlertmanagerCluster
from bot.alerts.peers.model import PeerAlert
from bot.alerts.policy import AlertPolicy
from bot.alerts.showing import Showing, targets_at, targets_of
from bot.alerts.silences import store
from bot.alerts.silences.ending import Heard, heard_without
from bot.alerts.silences.entries import SILENCE
from bot.alerts.silences.model import Draft, Judgement, Preview, SilencePolicy, judge, preview_of
from bot.alerts.silences.store import KeptSilence
from bot.alerts.store.reading import find_incident, get_incident, get_incidents
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.core.errors import (
    BrokenError,
    MachineError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from bot.database.engine import Database, Transaction
from bot.journal.model import Entry, Outcome

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Examined:
    """What a draft would do, and whether it may."""

    sources: tuple[str, ...]
    alerts: Mapping[str, Sequence[PeerAlert]]
    hidden: tuple[Incident, ...]
    preview: Preview
    judgement: Judgement


class Examiner:
    """Looks at drafts before anything is made of them."""

    def __init__(
        self,
        database: Database,
        access: Access,
        showing: Showing,
        *,
        clusters: Callable[[], Mapping[str, AlertmanagerCluster]],
        clock: Clock,
        policy: Callable[[], AlertPolicy],
        silence_policy: Callable[[], SilencePolicy],
    ) -> None:
        """Take the leading database, the rooms below, and the Alertmanagers by their names."""
        self._database = database
        self._access = access
        self._showing = showing
        self._clusters = clusters
        self._clock = clock
        self._policy = policy
        self._silence_policy = silence_policy

    async def examine(self, draft: Draft, by: Actor) -> Examined:
        """Ask every Alertmanager that is meant what a draft matches; raises what access refuses."""
        sources = await self._sources(draft)
        clusters = [self.cluster(source) for source in sources]
        seen = await asyncio.gather(*(outcome(cluster.list_alerts(draft.matchers)) for cluster in clusters))
        failures = {
            source: found
            for source, found in zip(sources, seen, strict=True)
            if isinstance(found, MachineError)
        }
        for failure in failures.values():
            if not isinstance(failure, UnavailableError | BrokenError) or len(failures) == len(sources):
                raise same_kind(failure, "Nothing was silenced.")
        alerts = {
            source: found for source, found in zip(sources, seen, strict=True) if isinstance(found, tuple)
        }
        async with self._database.reading() as tx:
            numbers = await store.list_hidden(
                tx, {source: {alert.fingerprint for alert in found} for source, found in alerts.items()}
            )
            hidden = tuple(await get_incidents(tx, numbers))
            about = await find(tx, draft.incident)
        await self.allow(by, SILENCE, targets_hidden(alerts, hidden, about, sources), about)
        preview = preview_of(
            alerts, hidden, words=self._policy().words, incident=draft.incident, silent=tuple(failures)
        )
        judgement = judge(draft, preview, self._silence_policy(), now=self._clock.now())
        return Examined(sources, alerts, hidden, preview, judgement)

    async def _sources(self, draft: Draft) -> tuple[str, ...]:
        """Return the Alertmanagers that sent what is to be silenced."""
        if draft.replaces:
            return tuple(source for source, _ in draft.replaces)
        if draft.sources:
            return draft.sources
        if draft.incident is None:
            raise NotFoundError("There is no incident that this silence is about.")
        async with self._database.reading() as tx:
            incident = await get_incident(tx, draft.incident)
            return await self.senders(tx, [incident])

    async def senders(self, tx: Transaction, incidents: Sequence[Incident]) -> tuple[str, ...]:
        """Return the configured Alertmanagers that sent incidents, or alerts that fire in them.

        Raises:
            NotFoundError: Whoever sent one of them is not configured.
        """
        named = dict.fromkeys(incident.source for incident in incidents)
        for source in named:
            self.cluster(source)
        fingerprints = {alert.fingerprint for incident in incidents for alert in incident.firing}
        senders = await store.list_senders(tx, fingerprints)
        configured = self._clusters()
        return tuple(dict.fromkeys((*named, *(each for each in senders if each in configured))))

    def can_ask(self, source: str) -> bool:
        """Say whether a source is an Alertmanager of the configuration."""
        return source in self._clusters()

    def cluster(self, source: str) -> AlertmanagerCluster:
        """Return the Alertmanager of a source; raises `NotFoundError`."""
        cluster = self._clusters().get(source)
        if cluster is None and source == OURSELVES:
            raise NotFoundError(
                "The Machine itself raised this alert, so there is no Alertmanager in which it could be "
                "silenced. Acknowledge it: that ends reminders and escalation."
            )
        if cluster is None:
            raise NotFoundError(
                f"It came from {source}, which `alertmanagers` in the configuration does not name: it cannot "
                "be silenced from here. Acknowledge it: that ends reminders and escalation."
            )
        return cluster

    async def allow_all(self, by: Actor, action: str, kept: Iterable[KeptSilence]) -> None:
        """Check access to everything that silences keep quiet."""
        for each in kept:
            async with self._database.reading() as tx:
                numbers = await store.list_muted_by(tx, each.source, each.silence.id)
                about = await find(tx, each.incident)
                hidden = await get_incidents(tx, numbers)
            targets = targets_hidden(
                {}, [*hidden, *([about] if about is not None else [])], None, [each.source]
            )
            await self.allow(by, action, targets, about)

    async def heard_without(
        self, kept: Sequence[KeptSilence], number: IncidentNumber | None
    ) -> tuple[Heard, tuple[Incident, ...]]:
        """Say what else is heard again without silences, and return the incidents that they hide.

        `number` is the incident on whose card they are ended; without one it is what they were made
        for, or the only one that they hide.
        """
        async with self._database.reading() as tx:
            numbers = {
                hidden
                for each in kept
                for hidden in await store.list_muted_by(tx, each.source, each.silence.id)
            }
            made_for = next((each.incident for each in kept if each.incident in numbers), None)
            only = next(iter(numbers)) if len(numbers) == 1 else made_for
            hidden = tuple(await get_incidents(tx, sorted(numbers)))
            besides = await find(tx, number if number is not None else only)
        ids = {each.silence.id for each in kept}
        return heard_without(ids, hidden, besides=besides, words=self._policy().words), hidden

    async def allow(
        self, by: Actor, action: str, targets: Iterable[tuple[str, ...]], about: Incident | None
    ) -> None:
        """Check access, and write down a refusal."""
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


async def find(tx: Transaction, number: IncidentNumber | None) -> Incident | None:
    """Return an incident, if one is meant and kept."""
    return await find_incident(tx, number) if number is not None else None


async def outcome(work: Awaitable[T]) -> T | MachineError:
    """Return what comes of work, or why nothing does."""
    try:
        return await work
    except MachineError as error:
        return error


def same_kind(error: MachineError, conclusion: str) -> MachineError:
    """Return an error that says what it means for the person; a refusal says so itself."""
    if isinstance(error, RefusedError):
        return error
    return type(error)(f"{error} {conclusion}")


def targets_hidden(
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
