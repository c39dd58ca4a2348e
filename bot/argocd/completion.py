"""What is offered while somebody types: only from memory, no request leaves the process."""

import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

from bot.access.model import Policy
from bot.access.service import Access
from bot.argocd.cluster import ArgoCluster
from bot.argocd.detail import ApplicationDetail
from bot.argocd.door import Door, set_targets
from bot.argocd.model import Application, Earlier, ResourceKey
from bot.argocd.search import Index
from bot.argocd.views import Suggestion
from bot.argocd.words import short
from bot.chat.text import cut_plain
from bot.core.actor import Actor
from bot.core.errors import RefusedError
from bot.kube.model import ObjectKey

MOST: Final = 25

_LONGEST: Final = 100
_LOOKS_FOR: Final = timedelta(milliseconds=10)
"""So much of the processor's time is spent on what the asker may do, at one key stroke."""
_RIGHTS_LAST: Final = timedelta(minutes=1)
"""Grants may hold at some times only."""
_MOST_PEOPLE: Final = 16
_MOST_REMEMBERED: Final = 200


@dataclass(frozen=True, slots=True)
class _Rights:
    """To what somebody may do something, found out while they type."""

    policy: Policy
    since: float
    known: dict[ObjectKey, bool]


class Completion:
    """Offers names that fit, of what the asker may have to do with."""

    def __init__(self, argo: ArgoCluster, door: Door, access: Access) -> None:
        """Take what is watched, and who knows who may what."""
        self._argo = argo
        self._door = door
        self._access = access
        self._details: OrderedDict[ObjectKey, ApplicationDetail] = OrderedDict()
        self._rights: OrderedDict[tuple[Actor, str], _Rights] = OrderedDict()
        argo.applications.on_change(self._changed)

    def remember(self, detail: ApplicationDetail) -> None:
        """Keep what was read of an Application for a while: its resources and history are offered then."""
        self._details[detail.key] = detail
        self._details.move_to_end(detail.key)
        if len(self._details) > _MOST_REMEMBERED:
            self._details.popitem(last=False)

    def applications(self, typed: str, *, by: Actor, action: str) -> list[Suggestion]:
        """Return Applications that fit, the best first."""
        if not self._door.may_at_all(by, action):
            return []
        offered = self._allowed(self._door.index.rank(typed), by, action)
        return [Suggestion(name=self._named(each), value=str(each.key)) for each in offered]

    def _allowed(self, keys: Iterable[ObjectKey], by: Actor, action: str) -> list[Application]:
        """Return the first that somebody may do an action to, as far as can be found out at once."""
        known = self._known_rights(by, action)
        left = _LOOKS_FOR.total_seconds()
        found: list[Application] = []
        for key in keys:
            application = self._argo.applications.find(key)
            if application is None or len(str(key)) > _LONGEST:
                continue
            if key not in known:
                if left < 0:
                    # The next key stroke goes on from here.
                    break
                began = time.thread_time()
                known[key] = self._door.may(by, action, application)
                left -= time.thread_time() - began
            if known[key]:
                found.append(application)
            if len(found) == MOST:
                break
        return found

    def _known_rights(self, by: Actor, action: str) -> dict[ObjectKey, bool]:
        """Return to which Applications somebody may do an action, as far as that was just found out."""
        who, now, policy = (by, action), time.perf_counter(), self._access.policy
        rights = self._rights.get(who)
        if rights is None or rights.policy is not policy or now - rights.since > _RIGHTS_LAST.total_seconds():
            rights = self._rights[who] = _Rights(policy, now, {})
        self._rights.move_to_end(who)
        if len(self._rights) > _MOST_PEOPLE:
            self._rights.popitem(last=False)
        return rights.known

    def _changed(self, key: ObjectKey, old: Application | None, new: Application | None) -> None:
        del old, new
        for rights in self._rights.values():
            rights.known.pop(key, None)

    def _named(self, application: Application) -> str:
        key = application.key
        name = key.name if key.namespace == self._argo.home else str(key)
        facts = (application.project, application.sync.value, application.health.value)
        return cut_plain(f"{name} · {' · '.join(facts)}", _LONGEST)

    def projects(self, typed: str, *, by: Actor, action: str) -> list[Suggestion]:
        """Return projects that fit."""
        if not self._door.may_at_all(by, action):
            return []
        names = {project.key.name for project in self._argo.projects.values()}
        return _ranked(typed, names)

    def sets(self, typed: str, *, by: Actor, action: str) -> list[Suggestion]:
        """Return ApplicationSets that fit."""
        keys = [
            str(each.key)
            for each in self._argo.sets.values()
            if self._access.decide(by, action, set_targets(each)).allowed
        ]
        return _ranked(typed, keys)

    def resources(self, name: str, typed: str, *, by: Actor, action: str) -> list[Suggestion]:
        """Return resources of an Application for what comes after the last comma; those that differ first."""
        application = self._find(name, by, action)
        if application is None:
            return []
        before, _, last = typed.rpartition(",")
        done = [part.strip() for part in before.split(",") if part.strip()]
        offered = [each for each in self._resource_names(application) if each not in done]
        whole = [", ".join([*done, each.name]) for each in _ranked(last, offered, keep_order=True)]
        return [Suggestion(name=text, value=text) for text in whole if len(text) <= _LONGEST]

    def _resource_names(self, application: Application) -> list[str]:
        detail = self._details.get(application.key)
        if detail is None:
            workloads = [f"{each.kind}/{each.name}" for each in application.workloads]
            differing = [_without_group(each) for each in application.out_of_sync_names]
            return list(dict.fromkeys([*differing, *workloads]))
        compared = [each for each in detail.resources if not each.hook]
        compared.sort(key=lambda each: each.sync is None or each.sync.badness == 0)
        return name_resources([each.key for each in compared])

    def history(self, name: str, typed: str, *, by: Actor, action: str) -> list[Suggestion]:
        """Return entries of the history, newest first, but for the one that runs."""
        application = self._find(name, by, action)
        offered = []
        for entry in self._earlier(application) if application is not None else ():
            at = f" · {entry.at:%Y-%m-%d %H:%M} UTC" if entry.at else ""
            text = f"{entry.id} · {entry.revision}{at}"
            if typed.strip().lower() in text.lower():
                offered.append(Suggestion(name=cut_plain(text, _LONGEST), value=str(entry.id)))
        return offered[:MOST]

    def _earlier(self, application: Application) -> Iterable[Earlier]:
        detail = self._details.get(application.key)
        # What was read is whole, but may be older than what is watched.
        if detail is None or detail.application.deployed != application.deployed:
            return [each._replace(revision=short(each.revision)) for each in application.earlier]
        return [
            Earlier(entry.id, _in_short(entry.revisions), entry.deployed_at) for entry in detail.history[1:]
        ]

    def _find(self, name: str, by: Actor, action: str) -> Application | None:
        try:
            application = self._argo.applications.find(self._door.resolve(name))
        except RefusedError:
            return None
        if application is None or not self._door.may(by, action, application):
            return None
        return application


def name_resources(keys: Sequence[ResourceKey]) -> list[str]:
    """Return the shortest names by which people can mean each: `Kind/name`, longer where two have that."""
    short_names = [f"{key.kind}/{key.name}" for key in keys]
    counts = Counter(short_names)
    return [
        name if counts[name] == 1 else f"{key.group}/{key.kind}/{key.namespace}/{key.name}"
        for key, name in zip(keys, short_names, strict=True)
    ]


def _in_short(revisions: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(short(each) for each in revisions if each)) or short("")


def _without_group(name: str) -> str:
    return "/".join(name.split("/")[-2:])


def _ranked(typed: str, names: Iterable[str], *, keep_order: bool = False) -> list[Suggestion]:
    index = Index()
    given = list(names)
    if keep_order and not typed.strip():
        return [Suggestion(name=name, value=name) for name in given[:MOST] if len(name) <= _LONGEST]
    for name in given:
        index.put(ObjectKey("", name))
    found = [key.name for key in islice(index.rank(typed), MOST)]
    return [Suggestion(name=name, value=name) for name in found if len(name) <= _LONGEST]
