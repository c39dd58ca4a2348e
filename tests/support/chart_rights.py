"""What the chart lets the bot do in a cluster: its rendered Roles, as rules of the API server of ours."""

from collections.abc import Iterable, Mapping
from typing import Any

from bot.demo.cluster.rights import Rule


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
