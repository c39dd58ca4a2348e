"""The calls of argocd-server that the bot uses are answered as it answers them."""

import json

import aiohttp
import pytest
from aiohttp import web

from bot.demo.cluster.applications import an_application
from bot.demo.cluster.argocd import ArgoController
from bot.demo.cluster.argocd_server import TOKEN, ArgoCdServer
from bot.demo.cluster.repositories import Piece

REPO = "https://git.example.org/platform.git"


@pytest.fixture
async def argo(server):
    """A server that knows an Application with one resource to change, one to add and one to prune."""
    controller = ArgoController(server)
    old = [
        Piece(kind="Deployment", name="web", image="shop:1"),
        Piece(kind="ConfigMap", name="old"),
        Piece(kind="Secret", name="key"),
    ]
    controller.repositories.commit(REPO, "apps/shop", old, message="Begin")
    server.put("Application", an_application("shop", automated={}))
    for _ in range(2):
        await controller.step()
    server.patch("Application", "argocd", "shop", {"spec": {"syncPolicy": None}})
    new = [
        Piece(kind="Deployment", name="web", image="shop:2"),
        Piece(kind="ConfigMap", name="new"),
        Piece(kind="Secret", name="key"),
        Piece(kind="Job", name="migrate", hook="PreSync"),
    ]
    controller.repositories.commit(REPO, "apps/shop", new, message="Ship it\n\nAt last.", author="bo <bo@x>")
    await controller.step()
    async with ArgoCdServer(server, controller) as opened:
        yield opened


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as opened:
        yield opened


async def ask(session, argo, what, name="shop", **query):
    url = f"{argo.url}/api/v1/applications/{name}/{what}"
    async with session.get(url, params={"appNamespace": "argocd", "project": "default", **query}) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_managed_resources_are_what_a_diff_is_made_from(argo, session):
    status, body = await ask(session, argo, "managed-resources")
    assert status == 200
    items = {item["name"]: item for item in body["items"]}
    assert items.keys() == {"web", "old", "new", "key"}
    live = json.loads(items["web"]["normalizedLiveState"])
    predicted = json.loads(items["web"]["predictedLiveState"])
    images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in (live, predicted)]
    assert (images, items["web"]["modified"]) == (["shop:1", "shop:2"], True)
    assert (items["new"]["liveState"], items["new"]["modified"]) == ("null", True)
    assert (items["old"]["targetState"], items["old"]["modified"]) == ("null", False)
    assert items["key"]["modified"] is False
    assert "++++" in items["key"]["liveState"]


async def test_the_tree_knows_the_health_of_pods(argo, session):
    _, body = await ask(session, argo, "resource-tree")
    nodes = {(node["kind"], node.get("health", {}).get("status")) for node in body["nodes"]}
    assert nodes == {
        ("Deployment", "Healthy"),
        ("ReplicaSet", "Healthy"),
        ("Pod", "Healthy"),
        ("ConfigMap", None),
        ("Secret", None),
    }


async def test_a_commit_tells_who_wrote_what(argo, server, session):
    revision = server.get("Application", "argocd", "shop")["status"]["sync"]["revision"]
    status, body = await ask(session, argo, f"revisions/{revision}/metadata")
    assert (status, body["author"], body["message"]) == (200, "bo <bo@x>", "Ship it\n\nAt last.")
    status, body = await ask(session, argo, "revisions/nobody/metadata")
    assert (status, body["code"]) == (500, 2)


async def test_what_one_may_not_see_looks_like_what_is_not_there(argo, session):
    denied = {"error": "permission denied", "code": 7, "message": "permission denied"}
    assert await ask(session, argo, "resource-tree", name="nobody") == (403, denied)
    assert await ask(session, argo, "resource-tree", project="other") == (403, denied)
    argo.hidden_projects.add("default")
    assert await ask(session, argo, "resource-tree") == (403, denied)


async def test_an_unknown_token_is_unauthenticated(argo, session):
    argo.tokens.clear()
    status, body = await ask(session, argo, "resource-tree")
    assert (status, body["code"]) == (401, 16)


async def test_it_can_answer_nonsense(argo, session):
    argo.answers = web.Response(status=502, text="<html>", content_type="text/html")
    for _ in range(2):
        async with session.get(f"{argo.url}/api/v1/applications/shop/resource-tree") as answer:
            assert (answer.status, await answer.text()) == (502, "<html>")


async def test_it_says_who_asks(argo, session):
    async with session.get(f"{argo.url}/api/v1/session/userinfo") as answer:
        assert (await answer.json())["loggedIn"] is True
