"""What argocd-server answers, and what else may answer in its place."""

import aiohttp
import pytest
from aiohttp import web

from bot.argocd.reading import read_application
from bot.argocd.server import ArgoServer
from bot.argocd.settings import ArgoServerSettings
from bot.core.errors import BrokenError, NotFoundError, UnavailableError
from tests.support.argocd import SHA, a_raw_application
from tests.support.clock import ManualClock

APP = read_application(a_raw_application())


class Answering:
    """Something that answers at its address, as it was told to."""

    def __init__(self):
        self.answer = web.Response(status=200, text="{}", content_type="application/json")
        self.asked = []

    async def handle(self, request):
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        status, body, headers = self.answer.status, self.answer.body, dict(self.answer.headers)
        return web.Response(status=status, body=body, headers=headers)


@pytest.fixture
async def place():
    answering = Answering()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    answering.url = f"http://127.0.0.1:{runner.addresses[0][1]}/argo"
    yield answering
    await runner.cleanup()


@pytest.fixture
async def server(place):
    settings = ArgoServerSettings.model_validate({"url": place.url, "token": "secret-token"})
    async with aiohttp.ClientSession() as session:
        yield ArgoServer(lambda: settings, session, ManualClock())


async def test_it_is_asked_below_its_prefix_with_project_and_namespace(server, place):
    await server.list_differences(APP)
    (asked,) = place.asked
    assert asked.path == "/argo/api/v1/applications/shop/managed-resources"
    assert dict(asked.query) == {"appNamespace": "argocd", "project": "default"}
    assert asked.headers["Authorization"] == "Bearer secret-token"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response(status=200, text="<html>log in</html>"), BrokenError),
        (web.Response(status=302, headers={"Location": "/login"}), BrokenError),
        (web.Response(status=401), BrokenError),
        (web.Response(status=403), BrokenError),
        (web.Response(status=404), NotFoundError),
        (web.Response(status=400), UnavailableError),
        (web.Response(status=429), UnavailableError),
        (web.Response(status=500, text="boom"), UnavailableError),
        (web.Response(status=502, text="<html>"), UnavailableError),
    ],
)
async def test_whatever_else_answers_is_an_error_in_words(server, place, answer, error):
    place.answer = answer
    with pytest.raises(error) as caught:
        await server.list_resource_health(APP)
    assert "secret-token" not in str(caught.value)
    assert str(caught.value).endswith((".", "`."))


@pytest.mark.parametrize(
    "body", ["null", "[]", '"text"', '{"items": null}', '{"items": [1, {"kind": null}]}']
)
async def test_answers_of_an_odd_shape_are_nothing(server, place, body):
    place.answer = web.Response(status=200, text=body)
    assert await server.list_differences(APP) == ()
    assert await server.list_resource_health(APP) == {}


async def test_nobody_is_asked_for_commits_while_it_rests(server, place):
    place.answer = web.Response(status=503)
    assert await server.find_commits(APP) == (None,)
    assert await server.find_commits(APP) == (None,)
    assert len(place.asked) == 1


async def test_a_commit_is_its_first_line(server, place):
    place.answer = web.Response(
        status=200,
        text='{"author": "Ada <ada@example.org>", "date": "2026-03-11T12:00:00Z", "message": "\\nFix it\\n\\nWhy"}',
    )
    (commit,) = await server.find_commits(APP)
    assert (commit.revision, commit.subject, commit.author) == (SHA, "Fix it", "Ada")


async def test_without_a_server_nothing_is_asked():
    async with aiohttp.ClientSession() as session:
        server = ArgoServer(lambda: None, session, ManualClock())
        assert not server.is_configured
        assert await server.find_commits(APP) == (None,)
        with pytest.raises(NotFoundError, match="not configured"):
            await server.list_differences(APP)
