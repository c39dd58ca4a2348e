"""When Discord takes the next request for a channel, learnt from its answers.

Nothing here is a constant of ours: the limits are stated in the headers of every answer
(https://discord.com/developers/docs/topics/rate-limits). discord.py would wait by itself, but
holding a message that has grown old meanwhile: who asks here first can render later.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Monotonic = Callable[[], float]
"""Seconds that only grow."""


class Verb(StrEnum):
    """What is done in a channel; each has limits of its own."""

    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    READ = "read"
    THREAD = "thread"
    """Starting the thread of a message."""
    CHANGE = "change"
    """Changing the channel or thread itself."""


_CHANNELS: Final = re.compile(r"/channels/(?P<channel>\d+)(?P<what>(?:/messages(?:/\d+(?:/threads)?)?)?)$")
_ID: Final = re.compile(r"\d+")
_VERBS: Final = {
    ("POST", "/messages"): Verb.CREATE,
    ("PATCH", "/messages/*"): Verb.EDIT,
    ("DELETE", "/messages/*"): Verb.DELETE,
    ("GET", "/messages"): Verb.READ,
    ("GET", "/messages/*"): Verb.READ,
    ("POST", "/messages/*/threads"): Verb.THREAD,
    ("PATCH", ""): Verb.CHANGE,
}
_BAN_SECONDS: Final = 300.0
"""How long to keep still after a 429 that names no time: it comes from the edge; pushing makes it a ban."""
_MOST_SLOTS: Final = 1024
"""Slots remembered before those that are free again are forgotten."""
_CAUTIOUS_RATE: Final = 1.0
"""Requests a second, assumed until an answer states a limit: Discord takes five messages in five seconds."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer of Discord says about limits."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    """Read for a 429 only."""

    @property
    def verb(self) -> tuple[int, Verb] | None:
        """Return the channel and what was done there, if it is something that we pace."""
        found = _CHANNELS.search(self.path)
        verb = _VERBS.get((self.method, _ID.sub("*", found["what"]))) if found else None
        return (int(found["channel"]), verb) if found and verb else None

    @property
    def from_the_edge(self) -> bool:
        """Whether Discord itself never saw the request: a ban is near or here."""
        return self.status == TOO_MANY_REQUESTS and "Via" not in self.headers

    @property
    def is_global(self) -> bool:
        """Whether the limit holds for every request of the bot."""
        return self.from_the_edge or _said(self.body).get("global") is True

    @property
    def retry_after(self) -> float:
        """Seconds that a 429 asks for."""
        said = (_number(_said(self.body).get("retry_after")), _number(self.headers.get("Retry-After")))
        return max((seconds for seconds in said if seconds is not None), default=_BAN_SECONDS)

    @property
    def slot_in(self) -> float:
        """Seconds until a request like this one is taken again."""
        if self.status == TOO_MANY_REQUESTS:
            return self.retry_after
        if _number(self.headers.get("X-RateLimit-Remaining")) == 0:
            return _number(self.headers.get("X-RateLimit-Reset-After")) or 0.0
        return 0.0

    @property
    def window(self) -> tuple[int, float] | None:
        """Return how many requests are taken, and the seconds until as many are taken again."""
        limit = _number(self.headers.get("X-RateLimit-Limit"))
        seconds = _number(self.headers.get("X-RateLimit-Reset-After"))
        return (int(limit), seconds) if limit and limit >= 1 and seconds and seconds > 0 else None


TOO_MANY_REQUESTS: Final = 429


class Pacing:
    """Remembers when the next request of each kind is taken."""

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._free_at: dict[tuple[int, str], float] = {}
        self._windows: dict[tuple[int, str], tuple[int, float]] = {}
        self._all_free_at = 0.0

    def rate(self, channel_id: int, verb: str) -> float:
        """Return how many such requests a second are taken for long; a cautious guess until that is known."""
        limit, seconds = self._windows.get((channel_id, verb), (_CAUTIOUS_RATE, 1.0))
        return limit / seconds

    def ready_in(self, channel_id: int, verb: str) -> float:
        """Return the seconds until such a request is taken; 0 when it is now."""
        free_at = max(self._free_at.get((channel_id, verb), 0.0), self._all_free_at)
        return max(0.0, free_at - self._monotonic())

    def hold(self, channel_id: int, verb: str, seconds: float) -> None:
        """Have such requests wait for reasons of our own, such as an outage."""
        self._note((channel_id, verb), self._monotonic() + seconds)

    def learn(self, answer: Answer) -> None:
        """Take note of what an answer says about the next request."""
        now = self._monotonic()
        if answer.status == TOO_MANY_REQUESTS and answer.is_global:
            self._all_free_at = max(self._all_free_at, now + answer.slot_in)
        elif answer.verb is not None:
            self._note(answer.verb, now + answer.slot_in)
            if answer.window is not None:
                self._widen(answer.verb, *answer.window)

    def _widen(self, slot: tuple[int, str], limit: int, seconds: float) -> None:
        """Take note of a limit; its window is as long as the longest wait that was ever stated with it."""
        known_limit, known_seconds = self._windows.pop(slot, (limit, 0.0))
        if len(self._windows) >= _MOST_SLOTS:
            self._windows.pop(next(iter(self._windows)))
        # Put last: who was heard of least recently is forgotten first.
        self._windows[slot] = (limit, max(seconds, known_seconds) if limit == known_limit else seconds)

    def _note(self, slot: tuple[int, str], free_at: float) -> None:
        if free_at <= self._monotonic():
            # Answers come in another order than their requests: a wait once stated runs its time.
            if self._free_at.get(slot, 0.0) <= free_at:
                self._free_at.pop(slot, None)
            return
        if len(self._free_at) >= _MOST_SLOTS:
            self._free_at = {kept: at for kept, at in self._free_at.items() if at > self._monotonic()}
        self._free_at[slot] = max(free_at, self._free_at.get(slot, 0.0))


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]  # Whatever was sent: a wrong type is caught.
    except (TypeError, ValueError):
        return None


def _said(body: bytes) -> Mapping[str, object]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
