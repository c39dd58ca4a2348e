"""What the chart lets the bot do in a cluster: its rendered Roles, as rules of the API server of ours."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

from bot.demo.cluster.rights import Rule
from bot.demo.cluster.server import ApiServer
from tests.support.helm import NAMESPACE, RELEASE, has, render

EVERYTHING_ON: Mapping[str, Any] = {
    "image": {"repository": "registry.example.org/the-machine"},
    "secrets": {"existingSecret": "the-machine"},
    "config": {
        "discord": {"guild": "1", "channels": {"alerts": "2"}},
        "alerts": {"routes": [{"channel": "alerts"}]},
        "kubernetes": {"argocd": {"namespaces": [], "write": True}},
        "minecraft": {"discover": True, "write": True, "namespaces": ["games"]},
    },
}
"""Values that turn on all features that need a right, and their writing."""

_OF_EVERYBODY = {"authorization.k8s.io", "authentication.k8s.io"}


@contextmanager
def within_the_charts_rights(server: ApiServer) -> Iterator[None]:
    """Fail at the end if a request was seen that no right of the chart covers, in whatever namespace.

    Without helm nothing is compared.
    """
    yield
    if not has("helm"):
        return
    seen = {each.asked() for each in server.requests if each.verb and each.group not in _OF_EVERYBODY}
    uncovered = [asked for asked in seen if not any(rule.covers(asked) for rule in _granted())]
    assert uncovered == [], "templates/_rbac.tpl of the chart does not allow this"


@cache
def _granted() -> tuple[Rule, ...]:
    rules = rules_of(render(EVERYTHING_ON).documents, namespace=NAMESPACE, account=RELEASE)
    return tuple(replace(rule, namespaces=("*",)) for rule in rules)


def rules_of(documents: Iterable[Mapping[str, Any]], *, namespace: str, account: str) -> tuple[Rule, ...]:
    """Return the rules that Roles and ClusterRoles give to a ServiceAccount."""
    documents = tuple(documents)
    roles = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each["rules"]
        for each in documents
        if each["kind"] in {"Role", "ClusterRole"}
    }
    found: list[Rule] = []
    for binding in documents:
        if binding["kind"] not in {"RoleBinding", "ClusterRoleBinding"}:
            continue
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        if subject not in binding["subjects"]:
            continue
        place = binding["metadata"].get("namespace")
        reference = binding["roleRef"]
        home = place if reference["kind"] == "Role" else None
        found += [_rule(rule, place) for rule in roles[reference["kind"], home, reference["name"]]]
    return tuple(found)


def _rule(rule: Mapping[str, Any], place: str | None) -> Rule:
    return Rule(
        verbs=tuple(rule["verbs"]),
        groups=tuple(rule["apiGroups"]),
        resources=tuple(rule["resources"]),
        namespaces=(place,) if place else ("*",),
        names=tuple(rule.get("resourceNames", ("*",))),
    )


def single(rules: Iterable[Rule]) -> list[Rule]:
    """Return the same rules, one for each verb on each resource: what can be unused."""
    return [
        Rule(
            verbs=(verb,),
            groups=(group,),
            resources=(resource,),
            namespaces=rule.namespaces,
            names=rule.names,
        )
        for rule in rules
        for verb in rule.verbs
        for group in rule.groups
        for resource in rule.resources
    ]
