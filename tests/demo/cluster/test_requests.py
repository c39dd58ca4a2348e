"""Requests that make no sense are refused as such."""

import pytest

from bot.demo.cluster.requests import Address, parse_address
from tests.support.api import APPLY, JSON_PATCH, path_of
from tests.support.api_contract import STREAMING, an_application, create


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/api/v1", Address("", "v1")),
        ("/api/v1/pods", Address("", "v1", "pods")),
        ("/api/v1/namespaces", Address("", "v1", "namespaces")),
        ("/api/v1/namespaces/shop", Address("", "v1", "namespaces", "shop", "shop")),
        ("/api/v1/namespaces/shop/status", Address("", "v1", "namespaces", "shop", "shop", "status")),
        ("/api/v1/namespaces/shop/pods/web/log", Address("", "v1", "pods", "shop", "web", "log")),
        ("/apis/apps/v1/namespaces/shop/deployments", Address("apps", "v1", "deployments", "shop")),
        (
            "/apis/kargo.akuity.io/v1alpha1/projects/a",
            Address("kargo.akuity.io", "v1alpha1", "projects", name="a"),
        ),
        ("/apis/apps", None),
        ("/version", None),
        ("/api/v1/namespaces/a/pods/b/c/d", None),
    ],
)
def test_paths_name_what_they_are_about(path, address):
    assert parse_address(path) == address


async def test_a_body_must_be_json(api):
    path = api.apps()
    assert (await api.create(path, "nonsense")).status == 400
    protobuf = "application/vnd.kubernetes.protobuf"
    assert (await api.ask("POST", path, "k8s", content_type=protobuf)).status == 415
    await create(api, "shop")
    assert (await api.merge(api.apps("shop"), ["nonsense"])).status == 400
    assert (await api.ask("PATCH", api.apps("shop"), ["x"], content_type=JSON_PATCH)).status == 400
    reply = await api.ask(
        "PATCH", api.apps("shop"), [{"op": "replace", "path": "", "value": 1}], content_type=JSON_PATCH
    )
    assert reply.status == 422


async def test_an_answer_must_be_wanted_as_json(api):
    assert (await api.ask("GET", api.apps(), accept="text/html")).status == 406
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    assert (await api.ask("GET", api.apps(), accept=table)).status == 406
    assert (await api.ask("GET", api.apps(), accept=f"{table},application/json")).status == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"labelSelector": "a ~ b"}, 400),
        ({"fieldSelector": "metadata.name!=b"}, 400),
        ({"limit": "many"}, 400),
        ({"continue": "bm9uc2Vuc2U"}, 400),
        ({"resourceVersionMatch": "Exact"}, 422),
        ({"sendInitialEvents": "true"}, 422),
        ({"watch": "true", "resourceVersionMatch": "NotOlderThan"}, 422),
        ({"watch": "true", "resourceVersion": "x"}, 400),
    ],
)
async def test_a_query_must_make_sense(api, query, status):
    assert (await api.get(api.apps(), **query)).status == status


async def test_options_of_writes_have_known_values(api):
    body = an_application("shop")
    assert (await api.create(api.apps(), body, dryRun="Some")).status == 422
    assert (await api.create(api.apps(), body, fieldValidation="Maybe")).status == 422


async def test_a_verb_needs_its_kind_of_address(api):
    assert (await api.create(api.apps("shop"), an_application("shop"))).status == 405
    assert (await api.ask("DELETE", api.apps())).status == 405
    assert (await api.ask("PUT", api.apps(), {})).status == 405
    assert (await api.get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")).status == 405
    assert (await api.get("/apis/argoproj.io/v1alpha1/applications/shop")).status == 404


async def test_what_an_object_says_of_itself_must_fit_its_address(api):
    before = await create(api, "shop")
    other = {**before.json, "kind": "AppProject"}
    assert (await api.ask("PUT", api.apps("shop"), other)).status == 400
    renamed = {**before.json, "metadata": {**before.json["metadata"], "name": "other"}}
    assert (await api.ask("PUT", api.apps("shop"), renamed)).status == 400
    assert (await api.merge(api.apps("shop"), {"metadata": {"name": "other"}})).status == 422
    assert (await api.merge(api.apps("shop"), {"metadata": {"uid": "other"}})).status == 409
    assert (await api.create(api.apps(), {"spec": an_application("x")["spec"]})).status == 422


async def test_what_is_applied_no_more_is_gone(api):
    body = an_application("shop", annotations={"a": "1", "b": "2"})
    options = {"content_type": APPLY, "fieldManager": "git"}
    assert (await api.ask("PATCH", api.apps("shop"), body, **options)).status == 201
    del body["metadata"]["annotations"]["b"]
    reply = await api.ask("PATCH", api.apps("shop"), body, **options)
    assert (reply.status, reply.json["metadata"]["annotations"]) == (200, {"a": "1"})


async def test_a_dry_deletion_deletes_nothing(api):
    await create(api, "shop")
    assert (await api.ask("DELETE", api.apps("shop"), dryRun="All")).status == 200
    assert (await api.get(api.apps("shop"))).status == 200


async def test_a_status_is_put_beside_the_rest(api):
    path = path_of("v1", None, "namespaces")
    assert (await api.create(path, {"metadata": {"name": "shop"}})).status == 201
    reply = await api.merge(
        f"{path}/shop/status", {"status": {"phase": "Active"}, "spec": {"finalizers": []}}
    )
    assert (reply.json["status"], "spec" in reply.json) == ({"phase": "Active"}, False)


async def test_health_and_version_are_told(api):
    for path in ("/livez", "/readyz", "/healthz"):
        assert (await api.get(path)).raw == b"ok"
    assert (await api.get("/version")).json["major"] == "1"
    assert (await api.get("/api")).json["versions"] == ["v1"]
    assert (await api.get("/apis/apps")).json["preferredVersion"]["groupVersion"] == "apps/v1"
    who = await api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert who.json["status"]["userInfo"]["username"].endswith(":the-machine")


async def test_watches_of_other_namespaces_are_not_told(server, api):
    async with api.watch(api.apps(), **STREAMING) as lines:
        await lines.next()
        server.put("Application", an_application("elsewhere", namespace="other"))
        server.put("Application", an_application("here", namespace="argocd"))
        assert await lines.next_change() == ("ADDED", "here")


def test_python_reaches_the_objects(server):
    kept = {"finalizers": ["the-machine.example.org/wait"]}
    server.put("applications", an_application("a", namespace="argocd", **kept))
    server.put("applications.argoproj.io", an_application("b", namespace="argocd"))
    assert [one["metadata"]["name"] for one in server.objects("Application", "argocd")] == ["a", "b"]
    server.delete("Application", "argocd", "a")
    server.delete("Application", "argocd", "b")
    assert server.get("Application", "argocd", "a")["metadata"]["deletionTimestamp"]
    assert server.find("Application", "argocd", "b") is None
    with pytest.raises(KeyError):
        server.get("Application", "argocd", "b")
    with pytest.raises(KeyError):
        server.objects("Unheard")
