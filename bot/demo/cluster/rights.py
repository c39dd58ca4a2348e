"""Who may do what: tokens name users, and rules like those of a Role say what a user may."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bot.demo.cluster.failures import forbidden, unauthorized

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is allowed or forbidden; `*` stands for everything, subresources are `plural/status`."""

    verbs: tuple[str, ...] = (ANY,)
    groups: tuple[str, ...] = (ANY,)
    resources: tuple[str, ...] = (ANY,)
    namespaces: tuple[str, ...] = (ANY,)
    """Without `*` the whole cluster cannot be listed."""
    names: tuple[str, ...] = (ANY,)
    """As with a Role's `resourceNames`: without `*`, nothing can be listed or created."""

    def covers(self, asked: "Asked") -> bool:
        """Say whether this rule speaks of that."""
        return (
            _covers(self.verbs, asked.verb)
            and _covers(self.groups, asked.group)
            and _covers(self.resources, asked.resource)
            and _covers(self.namespaces, asked.namespace or "")
            and _covers(self.names, asked.name or "")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request wants to do."""

    verb: str
    group: str
    resource: str
    namespace: str | None = None
    name: str | None = None


def _covers(listed: tuple[str, ...], wanted: str) -> bool:
    return ANY in listed or wanted in listed


EVERYTHING = (Rule(),)


@dataclass(slots=True)
class Rights:
    """The users of a cluster and what each may do."""

    _tokens: dict[str, str] = field(default_factory=dict)
    _rules: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    _forbidden: list[tuple[str, Rule]] = field(default_factory=list)

    def add_user(self, user: str, token: str, rules: Iterable[Rule] = EVERYTHING) -> None:
        """Know a user by a token, with what he may do; called again, with the rules of the last call.

        The empty token is for whoever says nothing: `kubectl` sends no token without TLS.
        """
        self._tokens[token] = user
        self._rules[user] = tuple(rules)

    def revoke(self, token: str) -> None:
        """Know a token no more."""
        self._tokens.pop(token, None)

    def forbid(self, user: str, rule: Rule) -> Callable[[], None]:
        """Forbid a user something that his rules allow, `*` meaning all users; returns what lifts that."""
        entry = (user, rule)
        self._forbidden.append(entry)
        return lambda: self._forbidden.remove(entry)

    def user_of(self, authorization: str) -> str:
        """Return who sends this header.

        Raises:
            ApiError: 401.
        """
        scheme, _, token = authorization.partition(" ")
        user = self._tokens.get(token.strip())
        if user is None or scheme.lower() != ("bearer" if token else ""):
            raise unauthorized()
        return user

    def allows(self, user: str, asked: Asked) -> bool:
        """Say whether a user may do that."""
        if any(who in {user, ANY} and rule.covers(asked) for who, rule in self._forbidden):
            return False
        return any(rule.covers(asked) for rule in self._rules.get(user, ()))

    def check(self, user: str, asked: Asked) -> None:
        """Let a user do what he may.

        Raises:
            ApiError: 403, in the server's words.
        """
        if not self.allows(user, asked):
            raise forbidden(
                user,
                asked.verb,
                group=asked.group,
                resource=asked.resource,
                namespace=asked.namespace,
                name=asked.name,
            )
