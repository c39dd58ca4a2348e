"""Values of any kind with the worst texts in them, for laws about what is drawn."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import discord
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bot.chat import layout

HOSTILE = st.one_of(
    st.text(max_size=30),
    st.lists(
        st.sampled_from(
            [
                "@everyone", "@here", "<@123456789012345678>", "<@&123456789012345678>", "<#1>", "<t:1:R>",
                "[x](https://evil.example.org)", "https://e.example.org", "```", "`", "**", "||", "\\", "\n",
                "# ", "> ", "-# ", "\u202e", "\u200b", "\x00", "\ud800", "🔥", "é", "<", "@", "/", "x" * 50,
            ]
        ),
        max_size=20,
    ).map("".join),
    st.sampled_from(["", "*" * 300, "🔥" * 200, "x" * 700, "a\n" * 200, "\u200b" * 50]),
)  # fmt: skip
EARLIEST, LATEST = (datetime(year, 1, 2) for year in (1970, 9000))  # noqa: DTZ001  # As st.datetimes wants.
MOMENTS = st.datetimes(timezones=st.just(UTC), min_value=EARLIEST, max_value=LATEST)
_INACTIVE = re.compile(r"\\.|```.*?```|`[^`]*`", re.DOTALL)
_MENTION = re.compile(r"<(?:@[!&]?|#)\d+>|@everyone|@here", re.IGNORECASE)

slowly = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None, max_examples=40
)


def anything(kind: Any, given: Mapping[Any, st.SearchStrategy[Any]] | None = None) -> st.SearchStrategy[Any]:
    """Return values of a type, its fields filled with anything; `given` says of which types we know better."""
    known = dict(given or {})
    if kind in known:
        return known[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin == UnionType or (arguments and NoneType in arguments):
        return st.one_of(*(anything(each, known) for each in arguments))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(anything(arguments[0], known), max_size=2).map(tuple)
        return st.tuples(*(anything(each, known) for each in arguments))
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(anything(arguments[0], known), anything(arguments[1], known), max_size=3)
    return _plain(kind, known)


def _plain(kind: Any, known: dict[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    simple = {
        str: HOSTILE,
        int: st.integers(0, 10**7),
        float: st.floats(0, 10**5),
        bool: st.booleans(),
        datetime: MOMENTS,
        NoneType: st.none(),
        Any: HOSTILE,
    }
    if kind in simple:
        return simple[kind]
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    hints = get_type_hints(kind)
    names = [each.name for each in fields(kind) if each.init] if is_dataclass(kind) else list(kind._fields)
    needed = {each.name for each in fields(kind) if each.default is MISSING} if is_dataclass(kind) else names
    drawn = {name: st.deferred(lambda name=name: anything(hints[name], known)) for name in names}
    whole = st.fixed_dictionaries(drawn)
    some = st.fixed_dictionaries(
        {name: drawn[name] for name in names if name in needed},
        optional={name: drawn[name] for name in names if name not in needed},
    )
    return st.one_of(some, whole).map(lambda values: kind(**values))


def assert_sound(view: discord.ui.LayoutView, *, mentions: frozenset[str] = frozenset()) -> None:
    """Hold a message to Discord's limits, and to pinging nobody but those who are meant."""
    assert layout.problems(view) == []
    words = "\n".join(
        item.content for item in view.walk_children() if isinstance(item, discord.ui.TextDisplay)
    )
    assert set(_MENTION.findall(_INACTIVE.sub("", words))) <= mentions
