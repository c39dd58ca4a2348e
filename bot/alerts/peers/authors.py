"""Who made a silence, as it is written in Alertmanager, which knows names but no people of Discord."""

import re
from typing import Final

from bot.core.actor import Actor

_LONGEST_NAME: Final = 80
_BY_DISCORD: Final = re.compile(r"\(Discord ([0-9]{1,20})\)")


def created_by(actor: Actor) -> str:
    """Return what a silence says of who made it; `person_in` finds the id again."""
    return f"{signature(actor)} via The Machine"


def signature(actor: Actor) -> str:
    """Return a person's name with their Discord id."""
    name = " ".join(actor.name.replace("(", " ").replace(")", " ").split())
    return f"{name[:_LONGEST_NAME].rstrip() or 'somebody'} (Discord {actor.id})"


def person_in(text: str) -> str | None:
    """Return the Discord id that `created_by` wrote."""
    found = _BY_DISCORD.search(text)
    return found[1] if found else None


def maker_of(text: str) -> str:
    """Return the name in what a silence says of who made it, also where `created_by` wrote that."""
    found = _BY_DISCORD.search(text)
    return (text[: found.start()].rstrip(" (") if found else text.strip()) or "somebody"
