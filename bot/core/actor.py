"""Who does something: a person in Discord, or the bot itself."""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """What sort of actor it is."""

    PERSON = "person"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts, as known at the moment of acting."""

    kind: ActorKind
    id: str
    """Discord's user id for a person; a fixed word for the bot."""
    name: str
    """The display name at the moment of acting; text from outside."""
    roles: frozenset[str] = frozenset()
    """Ids of the Discord roles held."""
    administrator: bool = False
    """Whether Discord's Administrator permission is held."""

    @property
    def is_person(self) -> bool:
        """Tell a person from the bot itself."""
        return self.kind is ActorKind.PERSON


THE_MACHINE = Actor(ActorKind.SYSTEM, "the-machine", "The Machine")
