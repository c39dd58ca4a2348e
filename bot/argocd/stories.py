"""What about an Application is news, and how long it is one story. Pure.

A story begins when something about an Application is wrong for longer
than a moment, and ends when nothing is; whatever happens in between belongs to it.
What was wrong already when the bot first saw the Application is no news.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bot.argocd.initiators import Initiator, initiator_of
from bot.argocd.model import (
    Application,
    HealthStatus,
    SyncPhase,
    SyncStatus,
    SyncSummary,
    was_terminated,
)
from bot.core.matchers import Matcher
from bot.kube.model import ObjectKey

REOPENS_WITHIN: Final = timedelta(minutes=30)
"""What is wrong again so soon after all was well goes on with the same story."""
MOST_ALONE: Final = 10
"""Stories that begin in a channel within `TOGETHER_WITHIN` and go on, each on a card of its own."""
TOGETHER_WITHIN: Final = timedelta(minutes=10)

_MOST_HAPPENINGS: Final = 12
_LONGEST_WORDS: Final = 300


class News(StrEnum):
    """What can be news; the label `event` of routes."""

    SYNC_FAILED = "sync-failed"
    DEGRADED = "degraded"
    DRIFTED = "drifted"
    """It is not what its sources say: they moved on, or somebody changed what runs."""
    ERROR = "error"
    """Argo CD cannot work out what it should be, or says that its specification is wrong."""
    DEPLOYED = "deployed"
    """Another revision runs."""
    WELL = "well"
    """Nothing is wrong any more."""
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the routing table of news."""

    matchers: tuple[Matcher, ...] = ()
    channel_id: int | None = None
    """None: the journal alone is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsPolicy:
    """What the configuration says about news."""

    routes: tuple[Route, ...] = ()
    quiet: bool = True
    settle: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is remembered of an Application between two looks at it, across restarts."""

    sync: str = ""
    """The last sync that was over, as `sync_name` calls it."""
    deployed: str = ""
    """What ran."""
    told: frozenset[News] = frozenset()
    """What was wrong and is known to be: told, or there from the beginning."""
    story: int | None = None
    """The story that goes on."""
    history: int | None = None
    """The number of the last deployment that is noted; None: not known."""
    finished_at: datetime | None = None
    """When the last sync was over that is noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened in a story."""

    news: News
    at: datetime
    words: str = ""
    """Plain text of Argo CD's, or who did it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story about an Application: what its card shows."""

    id: int
    key: ObjectKey
    channel_id: int
    opened_at: datetime
    closed_at: datetime | None = None
    happenings: tuple[Happening, ...] = ()
    """Oldest first; of many the newest."""
    wrong: frozenset[News] = frozenset()
    """What is wrong now."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Plain: `project`, `namespace`, `cluster`, `health`, `sync`, `phase`, `revision`, `message`,
    `error`, `out_of_sync` (a number), `differs` (names, with commas between)."""
    crowd: int | None = None
    """The number of the first story of those that it shares a card with; None: it has a card of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Stories that are told together: what their card shows."""

    id: int
    """The number of the first."""
    stories: tuple[Story, ...]
    """One for each Application; at least one."""

    @property
    def opened_at(self) -> datetime:
        """When the first of them began."""
        return min(story.opened_at for story in self.stories)

    @property
    def closed_at(self) -> datetime | None:
        """When the last of them ended; None: some go on."""
        ends = [story.closed_at for story in self.stories if story.closed_at is not None]
        return max(ends) if len(ends) == len(self.stories) else None


def sync_name(sync: SyncSummary) -> str:
    """Return what tells one sync that is over from all others of its Application."""
    began = sync.started_at.isoformat() if sync.started_at is not None else ""
    return f"{began} {sync.phase.value} {sync.operation or sync.promotion or sync.by}".strip()


def deployed_name(application: Application) -> str:
    """Return what runs, to be compared with what ran."""
    return " ".join(application.deployed.revisions) if application.deployed is not None else ""


def finished_sync(application: Application) -> SyncSummary | None:
    """Return the last sync, if it is over and changed something or tried to."""
    sync = application.last_sync
    return sync if sync is not None and sync.is_over and not sync.dry_run else None


def wrong_with(application: Application) -> frozenset[News]:
    """Return what is wrong with an Application at this moment."""
    found = set()
    sync = finished_sync(application)
    if (
        sync is not None
        and sync.phase in {SyncPhase.FAILED, SyncPhase.ERROR}
        and not was_terminated(sync.phase, sync.message)
        and initiator_of(sync) is not Initiator.OURS
    ):
        found.add(News.SYNC_FAILED)
    if application.health is HealthStatus.DEGRADED:
        found.add(News.DEGRADED)
    if application.sync is SyncStatus.OUT_OF_SYNC and not application.is_syncing:
        found.add(News.DRIFTED)
    if application.error is not None:
        found.add(News.ERROR)
    return frozenset(found)


def words_about(news: News, application: Application) -> str:
    """Return what Argo CD says of it, plain and raw."""
    sync = application.last_sync
    match news:
        case News.SYNC_FAILED:
            return sync.message if sync is not None else ""
        case News.ERROR:
            return application.error.message if application.error is not None else ""
        case News.DRIFTED:
            return ", ".join(application.out_of_sync_names)
        case News.DEPLOYED:
            return name_of_initiator(sync) if sync is not None else ""
        case _:
            return ""


def happenings_of(
    fresh: Iterable[News], application: Application, *, now: datetime, not_before: datetime | None = None
) -> list[Happening]:
    """Return what happened, oldest first, each at the time that Argo CD says, if that can be."""
    happened = []
    for news in fresh:
        at = min(_moment_of(news, application) or now, now)
        at = at if not_before is None else max(at, not_before)
        happened.append(Happening(news=news, at=at, words=words_about(news, application)[:_LONGEST_WORDS]))
    return sorted(happened, key=lambda happening: happening.at)


def _moment_of(news: News, application: Application) -> datetime | None:
    match news:
        case News.SYNC_FAILED:
            return application.last_sync.finished_at if application.last_sync is not None else None
        case News.DEGRADED:
            return application.health_since
        case News.ERROR:
            return application.error.since if application.error is not None else None
        case News.DEPLOYED:
            return application.deployed.at if application.deployed is not None else None
        case _:
            return None


def name_of_initiator(sync: SyncSummary) -> str:
    """Return who began a sync, plain."""
    match initiator_of(sync):
        case Initiator.AUTO_SYNC:
            return "auto-sync"
        case Initiator.APPLICATION_SET:
            return "ApplicationSet"
        case Initiator.KARGO:
            return "Kargo"
        case _:
            return sync.by


def facts_of(application: Application) -> dict[str, str]:
    """Return what a card shows of an Application."""
    sync = application.last_sync
    facts = {
        "project": application.project,
        "namespace": application.destination.namespace,
        "cluster": application.destination.cluster,
        "health": application.health.value,
        "sync": application.sync.value,
        "phase": sync.phase.value if sync is not None else "",
        "revision": application.revision,
        "message": sync.message if sync is not None else "",
        "error": words_about(News.ERROR, application),
        "by": sync.by if sync is not None else "",
        "out_of_sync": str(application.out_of_sync),
        "differs": ", ".join(application.out_of_sync_names),
    }
    return {name: value for name, value in facts.items() if value}


def labels_of(application: Application, news: News) -> dict[str, str]:
    """Return what routes match against; Argo CD's own words win over an Application's labels."""
    sync = application.last_sync
    return {
        **dict(application.labels),
        "project": application.project,
        "app": application.key.name,
        "namespace": application.destination.namespace,
        "health": application.health.value,
        "sync": application.sync.value,
        "phase": sync.phase.value if sync is not None else "",
        "event": news.value,
    }


def channel_for(routes: Iterable[Route], labels: Mapping[str, str]) -> int | None:
    """Return where something is told: by the first route that fits."""
    for route in routes:
        if all(matcher.matches(labels) for matcher in route.matchers):
            return route.channel_id
    return None


def is_quiet_deployment(application: Application, policy: NewsPolicy) -> bool:
    """Tell whether a new revision is for the journal alone: ours have cards, auto-sync is mostly quiet."""
    sync = finished_sync(application)
    who = initiator_of(sync) if sync is not None else Initiator.AUTO_SYNC
    automatic = who in {Initiator.AUTO_SYNC, Initiator.APPLICATION_SET}
    return who is Initiator.OURS or (automatic and policy.quiet)


def go_on(story: Story, happenings: Sequence[Happening]) -> Story:
    """Return a story with what happened since."""
    return replace(story, happenings=(*story.happenings, *happenings)[-_MOST_HAPPENINGS:])


def is_crowded(told_at: Collection[datetime], *, now: datetime) -> bool:
    """Tell whether a story that begins now shares a card.

    `told_at` says when those of its channel that go on were first told: not when they began,
    which Argo CD may tell long afterwards.
    """
    return sum(now - at < TOGETHER_WITHIN for at in told_at) >= MOST_ALONE


def crowd_of(number: int, stories: Iterable[Story]) -> Crowd:
    """Return the crowd of these stories, oldest first; of each Application the newest counts."""
    return Crowd(id=number, stories=tuple({story.key: story for story in stories}.values()))
