"""Rules that one section alone cannot check: names that must be known elsewhere, an order that makes sense.

They look at the data before it has become a model, so that a mistake in one
place does not hide those in another. Each rule passes over what is malformed:
the models have said so already.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from bot.alerts.settings import NO_CHANNEL, normalise_mention
from bot.settings.problems import KeyPath, nearest
from bot.web.settings import WebSettings

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is not kept, and where."""

    path: KeyPath
    expected: str
    nearest: str | None = None
    hint: str | None = None
    is_warning: bool = False


def check_rules(data: Data) -> Iterator[Finding]:
    """Say which rules the configuration breaks."""
    yield from _own_names(data)
    yield from _routes_lead_somewhere(data)
    yield from _routes_catch_all(data)
    yield from _mentions_are_known(data)
    yield from _severities_are_told_apart(data)
    yield from _alertmanagers_have_names_of_their_own(data)
    yield from _grants_are_for_somebody(data)
    yield from _webhooks_are_guarded(data)
    yield from _operations_are_shown(data)
    yield from _news_lead_somewhere(data)
    yield from _minecraft_servers_are_told_apart(data)
    yield from _minecraft_is_shown(data)
    yield from _minecraft_needs_a_cluster(data)


def _own_names(data: Data) -> Iterator[Finding]:
    if NO_CHANNEL in _mapping(data, "discord", "channels"):
        path = ("discord", "channels", NO_CHANNEL)
        yield Finding(path, f"expected another name: {NO_CHANNEL} means that there is no channel")


def _routes_lead_somewhere(data: Data) -> Iterator[Finding]:
    channels = _mapping(data, "discord", "channels")
    for path, route in _items(data, "alerts", "routes"):
        yield from _unknown_channel(route.get("channel"), channels, (*path, "channel"))


def _unknown_channel(name: object, channels: Mapping[str, Any], path: KeyPath) -> Iterator[Finding]:
    if channels and isinstance(name, str) and name not in channels and name != NO_CHANNEL:
        close = nearest(name, [*channels, NO_CHANNEL])
        yield Finding(path, "expected a name of discord.channels, or none", close)


def _routes_catch_all(data: Data) -> Iterator[Finding]:
    routes = list(_items(data, "alerts", "routes"))
    if not routes or len(routes) != len(_sequence(data, "alerts", "routes")):
        return
    last_path, last = routes[-1]
    if last.get("match"):
        yield Finding(
            (*last_path, "match"),
            "expected a last route without match, so that no alert goes nowhere",
            hint="add one: - {channel: …}",
        )
    elif last.get("channel") == NO_CHANNEL:
        yield Finding(
            (*last_path, "channel"), "expected a channel: the last route catches what no other does"
        )
    for path, route in routes[:-1]:
        if not route.get("match") and not route.get("continue"):
            yield Finding(
                path,
                "expected a match: without one no later route is ever reached",
                hint="or continue: true",
            )


def _mentions_are_known(data: Data) -> Iterator[Finding]:
    roles = _mapping(data, "discord", "roles")
    for path, route in _items(data, "alerts", "routes"):
        for index, mention in enumerate(_as_sequence(route.get("mention"))):
            yield from _unknown_role(_role_in(mention), roles, (*path, "mention", index))


def _role_in(mention: object) -> str | None:
    try:
        kind, _, name = normalise_mention(mention if isinstance(mention, str) else "").partition(":")
    except ValueError:
        return None
    is_id = name.isascii() and name.isdigit()
    return name if kind == "role" and not is_id else None


def _unknown_role(name: object, roles: Mapping[str, Any], path: KeyPath) -> Iterator[Finding]:
    if isinstance(name, str) and name not in roles:
        yield Finding(path, "expected a name of discord.roles", nearest(name, roles))


def _severities_are_told_apart(data: Data) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    severities = _mapping(data, "alerts", "severities")
    for level in ("critical", "warning", "info"):
        for index, value in enumerate(_as_sequence(severities.get(level))):
            if isinstance(value, str) and seen.setdefault(value, level) != level:
                path = ("alerts", "severities", level, index)
                yield Finding(path, f"expected a value of one severity only: it is {seen[value]} already")


def _alertmanagers_have_names_of_their_own(data: Data) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, alertmanager in _items(data, "alertmanagers"):
        name = alertmanager.get("name")
        if isinstance(name, str):
            if name in seen:
                yield Finding((*path, "name"), "expected a name of its own: an earlier one has it")
            seen.add(name)
    if not _sequence(data, "alertmanagers"):
        yield Finding(
            ("alertmanagers",),
            "without it an incident whose end Alertmanager never reports stays open",
            is_warning=True,
        )


def _grants_are_for_somebody(data: Data) -> Iterator[Finding]:
    if data.get("access") is None:
        expected = "without it only members with Administrator may act"
        yield Finding(("access",), expected, is_warning=True)
    roles = _mapping(data, "discord", "roles")
    for path, grant in _items(data, "access", "grants"):
        names = _as_sequence(grant.get("roles"))
        if not names and not grant.get("users"):
            yield Finding(path, "expected roles or users whom the grant is for")
        for index, name in enumerate(names):
            yield from _unknown_role(name, roles, (*path, "roles", index))


def _webhooks_are_guarded(data: Data) -> Iterator[Finding]:
    web = _mapping(data, "web")
    if web.get("tokens") or not isinstance(data.get("web", {}), Mapping):
        return
    if any(sender.get("hmac_secret") for _, sender in _items(data, "alertmanagers")):
        return  # Whoever has nothing but a signature to show is not let in without one.
    host = web.get("host", WebSettings.model_fields["host"].default)
    if isinstance(host, str) and not _is_loopback(host):
        yield Finding(
            ("web", "tokens"),
            "expected a token (or tokens_file): others than this machine can send webhooks",
            hint="or host: 127.0.0.1",
        )
    else:
        yield Finding(
            ("web", "tokens"), "without it everybody on this machine can send webhooks", is_warning=True
        )


def _operations_are_shown(data: Data) -> Iterator[Finding]:
    channels, name = _mapping(data, "discord", "channels"), _mapping(data, "operations").get("channel")
    if channels and isinstance(name, str) and name not in channels:
        path = ("operations", "channel")
        yield Finding(path, "expected a name of discord.channels", nearest(name, channels))


def _news_lead_somewhere(data: Data) -> Iterator[Finding]:
    channels = _mapping(data, "discord", "channels")
    for path, route in _items(data, "kubernetes", "argocd", "news"):
        yield from _unknown_channel(route.get("channel"), channels, (*path, "channel"))


def _minecraft_servers_are_told_apart(data: Data) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, server in _items(data, "minecraft", "servers"):
        name = server.get("name")
        if isinstance(name, str):
            if name in seen:
                yield Finding((*path, "name"), "expected a name of its own: an earlier one has it")
            seen.add(name)


def _minecraft_is_shown(data: Data) -> Iterator[Finding]:
    channels, minecraft = _mapping(data, "discord", "channels"), _mapping(data, "minecraft")
    named: list[tuple[KeyPath, Any]] = [
        (("minecraft", "boards", index), name)
        for index, name in enumerate(_as_sequence(minecraft.get("boards")))
    ]
    named.append((("minecraft", "requests"), minecraft.get("requests")))
    for path, name in named:
        if channels and isinstance(name, str) and name not in channels:
            yield Finding(path, "expected a name of discord.channels", nearest(name, channels))


def _minecraft_needs_a_cluster(data: Data) -> Iterator[Finding]:
    if data.get("kubernetes") is not None:
        return
    minecraft = _mapping(data, "minecraft")
    for key in ("discover", "write"):
        if minecraft.get(key) is True:
            yield Finding(("minecraft", key), "expected the section kubernetes beside it")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _at(data: Data, keys: Iterable[str]) -> Any:
    here: Any = data
    for key in keys:
        here = here.get(key) if isinstance(here, Mapping) else None
    return here


def _mapping(data: Data, *keys: str) -> Mapping[str, Any]:
    found = _at(data, keys)
    return found if isinstance(found, Mapping) else {}


def _sequence(data: Data, *keys: str) -> list[Any]:
    return _as_sequence(_at(data, keys))


def _as_sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _items(data: Data, *keys: str) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    for index, item in enumerate(_sequence(data, *keys)):
        if isinstance(item, Mapping):
            yield (*keys, index), item
