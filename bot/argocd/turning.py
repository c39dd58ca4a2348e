"""Keeps what readers of differences were shown, so that turning a page asks nobody and shows the same.

Argo CD's server makes megabytes of an Application's manifests for each answer, and
one that is asked again may have compared anew: a reader would miss what moved
between two pages.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.argocd.model import Application
from bot.argocd.views import Differences
from bot.core.actor import Actor
from bot.core.clock import Clock
from bot.kube.model import ObjectKey

LASTS: Final = timedelta(minutes=5)
MOST_CHARACTERS: Final = 4 * 2**20
"""Of all that is kept together."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What somebody was shown."""

    found: Differences
    targets: tuple[str, ...]
    """What grants can name to mean the Application."""
    characters: int


class Turning:
    """The last answers, one for each reader and Application."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock by which they grow old."""
        self._clock = clock
        self._kept: OrderedDict[tuple[str, ObjectKey], Kept] = OrderedDict()

    def keep(self, found: Differences, *, by: Actor, targets: tuple[str, ...]) -> None:
        """Keep an answer for its further pages, in place of the asker's last one about that Application."""
        place = (by.id, found.application.key)
        self._kept.pop(place, None)
        characters = sum(len(each.text) for each in found.differences)
        if len(found.differences) > 1 and characters <= MOST_CHARACTERS:
            self._kept[place] = Kept(found, targets, characters)
        self._forget_the_oldest()

    def find(self, key: ObjectKey, *, by: Actor, now: Application | None) -> Kept | None:
        """Return what somebody was shown of an Application, if it is `now` what it was then."""
        self._forget_the_oldest()
        kept = self._kept.get((by.id, key))
        if kept is None or now is None or _compared(now) != _compared(kept.found.application):
            return None
        return kept

    def _forget_the_oldest(self) -> None:
        oldest = self._clock.now() - LASTS
        while self._kept:
            place, kept = next(iter(self._kept.items()))
            total = sum(each.characters for each in self._kept.values())
            if kept.found.read_at > oldest and total <= MOST_CHARACTERS:
                return
            del self._kept[place]


def _compared(application: Application) -> tuple[object, ...]:
    """Return what differences depend on, as far as it is watched."""
    return application.revisions, application.deployed, application.sync, application.out_of_sync_names
