"""What a card is and what it needs next: values and pure decisions."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, IntEnum, StrEnum

_LONGEST_NONCE = 25


class Priority(IntEnum):
    """Which card goes first when a channel cannot take all at once."""

    LOW = 0
    NORMAL = 10
    HIGH = 20
    URGENT = 30


class CardState(StrEnum):
    """What is known of the message."""

    ABSENT = "absent"
    CREATING = "creating"
    """A creation was begun; whether Discord took it is not known until it answers."""
    LIVE = "live"
    GONE = "gone"
    """It should not exist any more, and does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One live message that should agree with what its source renders."""

    id: int
    kind: str
    key: str
    channel_id: int
    """Where it belongs."""
    posted_in: int
    """Where it is: another channel while the first one refuses us."""
    priority: Priority
    wanted: int
    """Counts up with each reason to render again."""
    delivered: int
    """The version that Discord shows; 0: none yet."""
    state: CardState
    message_id: int | None
    generation: int
    """How often the message was lost and posted again."""
    creating_since: datetime | None
    marker: str | None
    """The custom_id by which a message of unknown outcome is found again."""
    touched_at: datetime
    announced: bool
    """Whether it was ever shown, or said in another way: then it pings nobody when it is posted."""
    failures: int
    retry_at: datetime | None
    trace: str | None = None
    """What touched it last, as a W3C traceparent; None where nobody traces."""

    def url(self, guild_id: int) -> str | None:
        """Return the address that opens it in Discord, once it was shown there."""
        if self.message_id is None:
            return None
        return f"https://discord.com/channels/{guild_id}/{self.posted_in}/{self.message_id}"

    def nonce(self, began: datetime) -> str:
        """Return the text by which Discord recognises a repetition of the creation that began then.

        It must not come again for another message while Discord remembers it: the numbers
        alone would, in a database that was made anew.
        """
        facts = (
            self.kind,
            self.key,
            self.posted_in,
            self.id,
            self.generation,
            began.isoformat(" ", "seconds"),
        )
        return hashlib.sha256("/".join(map(str, facts)).encode()).hexdigest()[:_LONGEST_NONCE]


class Need(Enum):
    """What a card that is due needs from Discord."""

    CREATE = "create"
    FIND = "find"
    """Look whether an earlier creation got through before creating."""
    EDIT = "edit"


def need_of(card: Card) -> Need:
    """Say how a card is brought into agreement.

    A nonce protects a creation for minutes only and a restart forgets what was on
    the wire, so a creation whose outcome is unknown is always looked up first.
    """
    match card.state:
        case CardState.LIVE:
            return Need.EDIT
        case CardState.CREATING:
            return Need.FIND
        case CardState.ABSENT | CardState.GONE:
            return Need.CREATE


@dataclass(frozen=True, slots=True)
class Pressure:
    """What waits for a channel, against what the channel takes."""

    channel_id: int
    waiting: int
    """Cards that wait to be created, those that were put aside left out."""
    rate: float
    """Creations a second that the channel takes for long."""

    @property
    def drain(self) -> timedelta:
        """Return how long it takes until all that waits is created."""
        return timedelta(seconds=self.waiting / self.rate)


def backoff(failures: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """Return how long to wait after so many failures in a row: doubling, capped."""
    doubled: timedelta = first * int(2 ** min(max(failures - 1, 0), 16))
    return min(doubled, longest)
