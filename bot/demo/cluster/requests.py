"""A request in the API's terms: which verb on which resource, and how the asker wants things done."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.demo.cluster.failures import ApiError, bad_request, method_not_allowed
from bot.demo.cluster.rights import Asked

_TRUE = {"true", "1"}


@dataclass(frozen=True, slots=True)
class Address:
    """What the path of a request names."""

    group: str
    version: str
    plural: str = ""
    """Empty: the version itself, whose resources are asked for."""
    namespace: str | None = None
    name: str | None = None
    subresource: str = ""

    @property
    def resource(self) -> str:
        """The plural with the subresource, as rules name it."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural


def parse_address(path: str) -> Address | None:
    """Return what a path names, or None: nothing under `/api/…` or `/apis/…` with a version."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            address = Address("", version)
        case ["apis", group, version, *rest]:
            address = Address(group, version)
        case _:
            return None
    return _parse_rest(address, rest)


def _parse_rest(address: Address, rest: list[str]) -> Address | None:
    group, version = address.group, address.version
    match rest:
        case []:
            return address
        case ["namespaces", namespace, plural, *more] if plural not in {"status", "finalize"}:
            return _named(Address(group, version, plural, namespace), more)
        case ["namespaces", name, *more] if not group:
            # The namespace itself; rules speak of it as being in itself.
            return _named(Address(group, version, "namespaces", name), [name, *more])
        case [plural, *more]:
            return _named(Address(group, version, plural), more)
    return None


def _named(address: Address, more: list[str]) -> Address | None:
    match more:
        case []:
            return address
        case [name]:
            subresource = ""
        case [name, subresource]:
            pass
        case _:
            return None
    return Address(address.group, address.version, address.plural, address.namespace, name, subresource)


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def verb_of(method: str, address: Address, query: Mapping[str, str]) -> str:
    """Return the API's verb for a method.

    Raises:
        ApiError: 405.
    """
    if method in {"GET", "HEAD"}:
        if flag(query, "watch"):
            return "watch"
        return "get" if address.name else "list"
    if method == "DELETE" and not address.name:
        return "deletecollection"
    if method not in _VERBS:
        raise method_not_allowed(method)
    return _VERBS[method]


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return a yes or no of a query; absent means no."""
    return query.get(name, "") in _TRUE


def number(query: Mapping[str, str], name: str) -> int | None:
    """Return a number of a query, or None where there is none.

    Raises:
        ApiError: 400.
    """
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdecimal():
        raise bad_request(f'{name}: Invalid value: "{text}": strconv.ParseUint: invalid syntax')
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How a write is to be done."""

    manager: str
    """Who owns the fields that it changes."""
    named_manager: bool = True
    """The manager was said, and not taken from the user agent."""
    dry_run: bool = False
    validation: str = "Warn"
    """What an unknown field does: `Strict`, `Warn` or `Ignore`."""
    force: bool = False
    """An apply takes fields from their owners."""


def write_options(query: Mapping[str, str], user_agent: str) -> WriteOptions:
    """Read the options of a write.

    Raises:
        ApiError: 400 or 422.
    """
    dry_run = query.get("dryRun", "")
    if dry_run not in {"", "All"}:
        raise ApiError(422, "Invalid", f'dryRun: Unsupported value: "{dry_run}": supported values: "All"')
    validation = query.get("fieldValidation", "") or "Warn"
    if validation not in {"Strict", "Warn", "Ignore"}:
        raise ApiError(
            422,
            "Invalid",
            f'fieldValidation: Unsupported value: "{validation}": '
            'supported values: "", "Ignore", "Strict", "Warn"',
        )
    manager = query.get("fieldManager", "")
    return WriteOptions(
        manager=manager or user_agent.partition("/")[0] or "unknown",
        named_manager=bool(manager),
        dry_run=bool(dry_run),
        validation=validation,
        force=flag(query, "force"),
    )


@dataclass(slots=True)
class Recorded:
    """A request that the server saw; `status` is 0 as long as it is not answered."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes = b""
    user: str = ""
    verb: str = ""
    group: str = ""
    resource: str = ""
    """The plural, with a subresource after a slash."""
    namespace: str | None = None
    name: str | None = None
    status: int = 0

    def name_target(self, address: Address, verb: str) -> None:
        """Write down what it wants."""
        self.verb = verb
        self.group, self.resource = address.group, address.resource
        self.namespace, self.name = address.namespace, address.name

    def asked(self) -> Asked:
        """Return it as rules of rights see it."""
        return Asked(
            verb=self.verb,
            group=self.group,
            resource=self.resource,
            namespace=self.namespace,
            name=self.name,
        )
