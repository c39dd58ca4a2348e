"""Applications that apply Applications: who belongs to whom, and in which order a whole tree is synced.

A parent lists its children among its resources, a child names its parent in its
tracking annotation, and an ApplicationSet that a parent applies makes children of
its own. Either end may be missing or stale, and nothing keeps people from building
a circle.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from bot.argocd.model import Application, Child, HealthStatus, SyncStatus
from bot.argocd.views import Branch
from bot.kube.model import ObjectKey

_DEEPEST: Final = 50
"""Nobody builds a tree that deep; whatever is below is left out."""


class Family:
    """Who belongs to whom among the Applications that are known at this moment."""

    def __init__(self, applications: Mapping[ObjectKey, Application]) -> None:
        """Look through all Applications once."""
        self._applications = applications
        self._children: dict[ObjectKey, dict[ObjectKey, int]] = defaultdict(dict)
        self._parents: dict[ObjectKey, list[ObjectKey]] = defaultdict(list)
        by_set: dict[ObjectKey, list[Application]] = defaultdict(list)
        for application in applications.values():
            if application.application_set:
                by_set[ObjectKey(application.key.namespace, application.application_set)].append(application)
        for application in applications.values():
            for child in application.children:
                self._join(application.key, child.key, child.wave)
            for made_by in application.child_sets:
                for made in by_set.get(made_by.key, ()):
                    self._join(application.key, made.key, made_by.wave)
            if application.parent is not None and application.parent in applications:
                self._join(application.parent, application.key, application.wave)

    def _join(self, parent: ObjectKey, child: ObjectKey, wave: int) -> None:
        if parent == child:
            return
        known = self._children[parent]
        if child not in known:
            self._parents[child].append(parent)
        # Before Argo CD 3 a parent's list has no waves: then the child's own counts.
        known[child] = known.get(child) or wave or self._own_wave(child)

    def _own_wave(self, key: ObjectKey) -> int:
        application = self._applications.get(key)
        return application.wave if application else 0

    def children(self, key: ObjectKey) -> tuple[Child, ...]:
        """Return its children by wave, then by name."""
        found = (Child(child, wave) for child, wave in self._children.get(key, {}).items())
        return tuple(sorted(found, key=lambda child: (child.wave, child.key)))

    def above(self, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """Return its parent, the parent of that, and so on; where there are several, the first by name."""
        chain = [key]
        while len(chain) <= _DEEPEST and (parents := self._parents.get(chain[-1])):
            parent = min(parents)
            if parent in chain:
                break
            chain.append(parent)
        return tuple(chain[1:])

    def grow(self, root: ObjectKey) -> tuple[Branch, ...]:
        """Return the tree below an Application, itself first, each line before those below it."""
        branches: list[Branch] = []
        seen: set[ObjectKey] = set()
        pending = [(Child(root, self._own_wave(root)), 0)]
        while pending:
            child, depth = pending.pop()
            again = child.key in seen
            seen.add(child.key)
            branches.append(
                Branch(
                    key=child.key,
                    depth=depth,
                    wave=child.wave,
                    application=self._applications.get(child.key),
                    is_again=again,
                )
            )
            if not again and depth < _DEEPEST:
                pending += [(below, depth + 1) for below in reversed(self.children(child.key))]
        return tuple(branches)

    def find(self, key: ObjectKey) -> Application | None:
        """Return an Application, if it is known."""
        return self._applications.get(key)


class TreeState(StrEnum):
    """How far one Application of a tree that is being synced is."""

    RUNNING = "running"
    DONE = "done"
    """Synced and healthy, or left alone on purpose."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSteps:
    """What comes next when a tree is synced."""

    start: tuple[ObjectKey, ...] = ()
    """These can be begun now."""
    running: tuple[ObjectKey, ...] = ()
    missing: tuple[ObjectKey, ...] = ()
    """A parent names them, but they do not exist (yet): their wave waits for them."""
    failed: tuple[ObjectKey, ...] = ()
    done: tuple[ObjectKey, ...] = ()
    left: tuple[ObjectKey, ...] = ()
    """Neither begun nor about to be."""
    wave: int | None = None
    """The wave that is being worked on: of the first one that is not done."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more comes: all is done, or something failed and nothing runs any more."""
        return not self.start and not self.running and not (self.missing and not self.failed)

    @property
    def succeeded(self) -> bool:
        """Tell whether all is done."""
        return self.is_over and not self.failed

    @property
    def total(self) -> int:
        """How many Applications the tree has, as far as is known by now."""
        parts = (self.start, self.running, self.missing, self.failed, self.done, self.left)
        return sum(map(len, parts))


def is_settled(application: Application) -> bool:
    """Tell whether the next wave may follow: it is synced and healthy."""
    well = application.health in {HealthStatus.HEALTHY, HealthStatus.SUSPENDED}
    return application.sync is SyncStatus.SYNCED and well


def next_steps(
    family: Family, root: ObjectKey, states: Mapping[ObjectKey, TreeState], *, at_once: int
) -> TreeSteps:
    """Say what to begin next: a parent before its children, a wave after the one before it is done.

    `states` has what was begun so far; `at_once` is how many may run. New children
    that a parent's sync brings are found because `family` is made afresh each time.
    After a failure nothing more is begun.
    """
    walk = _Walk(family, states)
    walk.visit(Child(root, 0), 0)
    free = 0 if walk.failed else max(at_once - len(walk.running), 0)
    start = tuple(walk.ready[:free])
    met = {*start, *walk.running, *walk.missing, *walk.failed, *walk.done}
    keys = dict.fromkeys(branch.key for branch in family.grow(root))
    return TreeSteps(
        start=start,
        running=tuple(walk.running),
        missing=tuple(walk.missing),
        failed=tuple(walk.failed),
        done=tuple(walk.done),
        left=tuple(key for key in keys if key not in met),
        wave=walk.wave,
    )


class _Walk:
    """One walk down a tree, as far as it may be worked on."""

    def __init__(self, family: Family, states: Mapping[ObjectKey, TreeState]) -> None:
        self._family = family
        self._states = states
        self._seen: set[ObjectKey] = set()
        self.ready: list[ObjectKey] = []
        self.running: list[ObjectKey] = []
        self.missing: list[ObjectKey] = []
        self.failed: list[ObjectKey] = []
        self.done: list[ObjectKey] = []
        self.wave: int | None = None

    def visit(self, child: Child, depth: int) -> bool:
        """Tell whether an Application and all below it are done."""
        if child.key in self._seen:
            return True
        self._seen.add(child.key)
        place = self._place(child.key)
        place.append(child.key)
        if place is not self.done:
            self.wave = child.wave if self.wave is None and depth else self.wave
            return False
        return depth >= _DEEPEST or self._visit_waves(self._family.children(child.key), depth)

    def _place(self, key: ObjectKey) -> list[ObjectKey]:
        match self._states.get(key):
            case TreeState.RUNNING:
                return self.running
            case TreeState.FAILED:
                return self.failed
            case TreeState.DONE:
                return self.done
            case None:
                return self.ready if self._family.find(key) else self.missing

    def _visit_waves(self, children: Iterable[Child], depth: int) -> bool:
        for _, wave in groupby(children, key=lambda child: child.wave):
            # All of a wave are visited, so that they are begun together.
            done = [self.visit(child, depth + 1) for child in wave]
            if not all(done):
                return False
        return True
