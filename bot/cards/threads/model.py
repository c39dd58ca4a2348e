"""What a thread is and what it needs next: values and pure decisions."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

LONGEST_NAME = 100
"""https://discord.com/developers/docs/resources/channel#start-thread-from-message"""


class ThreadState(StrEnum):
    """What is known of a thread."""

    ABSENT = "absent"
    LIVE = "live"
    GONE = "gone"
    """Somebody deleted it; a message never gets a second one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """The thread of a card, as it should be and as Discord was last told.

    Discord is told only of what changes here: a person who opens or archives a thread by hand keeps it so.
    """

    kind: str
    key: str
    channel_id: int
    """Kind, key and channel are those of the card."""
    name: str
    over: bool
    """Whether what the card shows is over."""
    archived: bool
    """Whether it should be in the archive: when it is over, or as a person left it."""
    state: ThreadState
    thread_id: int | None
    told_name: str | None
    """Of one that is absent: under which name it was begun; it may be there all the same."""
    told_archived: bool
    wanted: int
    """Counts up with each reason to look again."""
    delivered: int
    failures: int
    retry_at: datetime | None


class Step(Enum):
    """What is to be done about a thread."""

    START = "start"
    OPEN = "open"
    ARCHIVE = "archive"
    RENAME = "rename"
    NOTHING = "nothing"


def next_step(thread: Thread) -> Step:
    """Say what Discord is to be told of a thread.

    What is over before a thread was begun gets none; one that was begun is found, and must not stay open.
    A name changes only where people see it: in the open.
    """
    if thread.state is ThreadState.GONE:
        return Step.NOTHING
    if thread.state is ThreadState.ABSENT:
        return Step.NOTHING if thread.over and thread.told_name is None else Step.START
    if thread.archived != thread.told_archived:
        return Step.ARCHIVE if thread.archived else Step.OPEN
    if not thread.archived and thread.name != thread.told_name:
        return Step.RENAME
    return Step.NOTHING
