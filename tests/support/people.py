"""People of a guild, for tests."""

from collections.abc import Iterable

from bot.core.actor import Actor, ActorKind


def a_person(
    name: str = "Ada", *, user: str | None = None, roles: Iterable[str] = (), administrator: bool = False
) -> Actor:
    number = user if user is not None else str(1000 + sum(map(ord, name)))
    return Actor(ActorKind.PERSON, number, name, frozenset(roles), administrator)
