"""Tokens name users, and rules say what they may."""

import pytest

from bot.demo.cluster.rights import Rule
from tests.support.api import an_api, path_of
from tests.support.api_contract import an_application

ANA = "system:serviceaccount:argocd:ana"
READ = Rule(verbs=("get", "list", "watch"), groups=("argoproj.io",), resources=("applications",))


@pytest.fixture
async def ana(server, tmp_path):
    server.rights.add_user(ANA, "anas-token", [READ])
    async with an_api(server.kubeconfig(tmp_path, token="anas-token", user="ana")) as opened:
        yield opened


async def test_an_unknown_token_is_unauthorized(server, tmp_path):
    async with an_api(server.kubeconfig(tmp_path, token="stolen")) as stranger:
        reply = await stranger.get(stranger.apps())
    assert (reply.status, reply.json["reason"], reply.message) == (401, "Unauthorized", "Unauthorized")


async def test_a_revoked_token_is_unauthorized(server, ana):
    assert (await ana.get(ana.apps())).status == 200
    server.rights.revoke("anas-token")
    assert (await ana.get(ana.apps())).status == 401


async def test_what_is_forbidden_is_told_in_the_words_of_rbac(ana, server):
    server.put("Application", an_application("shop", namespace="argocd"))
    reply = await ana.merge(ana.apps("shop"), {"operation": {"sync": {}}})
    assert (reply.status, reply.json["reason"]) == (403, "Forbidden")
    assert reply.message == (
        'applications.argoproj.io "shop" is forbidden: User "system:serviceaccount:argocd:ana" cannot patch '
        'resource "applications" in API group "argoproj.io" in the namespace "argocd"'
    )
    assert reply.json["details"] == {"name": "shop", "group": "argoproj.io", "kind": "applications"}


async def test_a_forbidden_list_of_the_cluster_names_the_cluster(ana):
    reply = await ana.get("/api/v1/pods")
    assert reply.message == (
        'pods is forbidden: User "system:serviceaccount:argocd:ana" cannot list '
        'resource "pods" in API group "" at the cluster scope'
    )


async def test_rights_in_a_namespace_are_no_rights_elsewhere(server, ana):
    server.rights.add_user(ANA, "anas-token", [Rule(namespaces=("argocd",))])
    assert (await ana.get(ana.apps())).status == 200
    assert (await ana.get(path_of("argoproj.io/v1alpha1", None, "applications"))).status == 403
    assert (await ana.get(path_of("v1", "default", "pods"))).status == 403


async def test_rights_to_named_objects_are_no_right_to_list(server, ana):
    server.put("Application", an_application("shop", namespace="argocd"))
    server.rights.add_user(ANA, "anas-token", [Rule(names=("shop",))])
    assert (await ana.get(ana.apps("shop"))).status == 200
    assert (await ana.get(ana.apps("other"))).status == 403
    assert (await ana.get(ana.apps())).status == 403


async def test_forbidding_can_be_lifted(server, api):
    lift = server.forbid(verb="watch", resource="applications")
    assert (await api.get(api.apps(), watch="true")).status == 403
    lift()
    async with api.watch(api.apps(), timeoutSeconds="1") as lines:
        assert lines.response.status == 200


async def test_without_rights_a_kind_that_is_not_installed_is_forbidden_too(ana):
    assert (await ana.get("/apis/nobody.example.org/v1/things")).status == 403


async def test_everybody_may_ask_what_he_may(ana):
    body = {"spec": {"resourceAttributes": {"verb": "patch", "group": "argoproj.io"}}}
    for resource, verb, allowed in (("applications", "get", True), ("applications", "patch", False)):
        body["spec"]["resourceAttributes"] |= {"resource": resource, "verb": verb}
        reply = await ana.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        assert (reply.status, reply.json["status"]["allowed"]) == (201, allowed)


async def test_requests_are_recorded_as_rules_see_them(server, api):
    server.put("Application", an_application("shop", namespace="argocd"))
    await api.merge(api.apps("shop"), {"metadata": {"annotations": {"a": "1"}}}, fieldManager="the-machine")
    (call,) = server.calls("patch", "applications")
    assert (call.group, call.namespace, call.name, call.status) == ("argoproj.io", "argocd", "shop", 200)
    assert call.query["fieldManager"] == "the-machine"
    assert call.headers["content-type"] == "application/merge-patch+json"
    assert call.user == "system:serviceaccount:the-machine:the-machine"


async def test_curl_is_answered_for_people_to_read(server, tmp_path):
    async with an_api(server.kubeconfig(tmp_path), agent="curl/8") as curl:
        assert (await curl.get("/apis")).raw.startswith(b'{\n  "kind"')
