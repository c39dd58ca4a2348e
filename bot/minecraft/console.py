"""The words of the console: what we say to it, and what its answers mean. Pure.

A command is made of our own words and of the names of players, which are checked
(`parse_player`), so that nothing else can stand in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bot.minecraft.motd import strip_codes

LIST: Final = "list"
WHITELIST: Final = "whitelist list"
SAVE: Final = "save-all flush"
STOP: Final = "stop"
MOST_NAMES: Final = 1000
_LONGEST: Final = 200
_NAME: Final = re.compile(r"[.*]?[A-Za-z0-9_]{1,16}")
_APART: Final = re.compile(r",|\sand\s")
"""Servers from before 1.13 put `and` before the last name of a whitelist."""
_TAG: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>")
_ONLINE: Final = re.compile(
    r"There are (?P<seen>\d{1,9})(?:/(?P<all>\d{1,9}))?"
    r"(?: of a max(?:imum)?(?: of)? | out of maximum |/)\d{1,9} players online[.:]?(?P<names>.*)",
    re.DOTALL | re.IGNORECASE,
)
_LISTED: Final = re.compile(
    r"There (?:are|is) (?:no|\d{1,9}) .*?whitelisted.*?(?::(?P<names>.*))?$", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Online:
    """Who is on, as the console says."""

    count: int
    names: tuple[str, ...]


class Change(Enum):
    """What became of a change of the whitelist."""

    DONE = "done"
    ALREADY = "already"
    """It was so before."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a change."""

    server: str
    player: str
    change: Change
    said: str
    """Plain: what the console said."""


def add_command(player: str) -> str:
    """Return the command that lets a player in."""
    return f"whitelist add {player}"


def remove_command(player: str) -> str:
    """Return the command that lets a player in no more."""
    return f"whitelist remove {player}"


def say_command(words: str) -> str:
    """Return the command that says our own words to everybody in the game."""
    return f"say {words}"


def read_online(text: str) -> Online | None:
    """Return who is on, if the console says so in a way that is known."""
    found = _ONLINE.search(strip_codes(text))
    if found is None:
        return None
    # EssentialsX tells those apart who are hidden from others.
    return Online(int(found["all"] or found["seen"]), tuple(_names(found["names"])))


def read_whitelist(text: str) -> tuple[str, ...] | None:
    """Return who is on the whitelist, if the console says so in a way that is known."""
    found = _LISTED.search(strip_codes(text).strip())
    return None if found is None else tuple(_names(found["names"] or ""))


def read_change(text: str) -> Change:
    """Say what an answer to a change of the whitelist means."""
    said = strip_codes(text).strip().lower()
    if "already whitelisted" in said or "is not whitelisted" in said or "already on the whitelist" in said:
        return Change.ALREADY
    if said.startswith(("added ", "removed ")) or "added to the whitelist" in said:
        return Change.DONE
    return Change.REFUSED


def read_words(text: str) -> str:
    """Return what a console says as plain text of a sane length."""
    return " ".join(strip_codes(text).split())[:_LONGEST]


def _names(text: str) -> Iterator[str]:
    """Return the names in a list, whatever ranks and groups stand before them."""
    found = 0
    for line in text.splitlines():
        for part in _APART.split(line.rpartition(":")[2]):
            words = _TAG.sub(" ", part).split()
            if words and _NAME.fullmatch(words[-1]) and found < MOST_NAMES:
                found += 1
                yield words[-1]
