from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.examination.online import NEEDED, NEEDED_FOR_THREADS, check_online, permissions_in
from bot.settings.tree import Settings
from bot.settings.validation import settings_from

EVERYTHING = sum(NEEDED.values())
ME = "10"


class Outside:
    """A Discord and an Alertmanager with one answer for each path."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {
            "/users/@me": (200, {"id": ME, "username": "machine"}),
            "/guilds/1": (200, self.guild(EVERYTHING)),
            "/guilds/1/members/10": (200, {"user": {"id": ME}, "roles": ["5"]}),
            "/channels/2": (200, {"id": "2", "guild_id": "1", "type": 0, "name": "alerts"}),
            "/api/v2/status": (200, {"versionInfo": {"version": "0.28.0"}}),
        }
        self.credentials: dict[str, str | None] = {}
        self.headers: dict[str, str] = {}
        self.kind = "alertmanager"
        self.threads = False

    @staticmethod
    def guild(permissions: int) -> dict[str, Any]:
        roles = [
            {"id": "1", "name": "@everyone", "permissions": "0"},
            {"id": "5", "name": "bot", "permissions": str(permissions)},
            {"id": "7", "name": "Oncall", "permissions": "0", "mentionable": True},
        ]
        return {"id": "1", "name": "Home", "owner_id": "99", "roles": roles}

    async def answer(self, request: web.Request) -> web.Response:
        self.credentials[request.path] = request.headers.get("Authorization")
        status, body = self.answers.get(request.path, (404, {}))
        return web.json_response(body, status=status, headers=self.headers)


@pytest.fixture
async def outside() -> Outside:
    return Outside()


Check = Callable[[], Awaitable[dict[str, str]]]


@pytest.fixture
async def check(outside: Outside) -> AsyncIterator[Check]:
    app = web.Application()
    app.router.add_get("/{path:.*}", outside.answer)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")

        async def ask() -> dict[str, str]:
            return {
                finding.subject.split(" ")[0]: str(finding)
                for finding in await check_online(_settings(url, outside.kind, threads=outside.threads))
            }

        yield ask


def _settings(url: str, kind: str = "alertmanager", *, threads: bool = False) -> Settings:
    return settings_from(
        {
            "discord": {
                "token": "t",
                "guild": "1",
                "channels": {"alerts": "2"},
                "roles": {"oncall": "7"},
                "api_url": url,
            },
            "web": {"tokens": ["x"]},
            "alertmanagers": [
                {"name": "main", "kind": kind, "urls": [url], "basic": {"username": "u", "password": "p"}}
            ],
            "alerts": {"routes": [{"channel": "alerts", "mention": ["oncall"], "thread": threads}]},
        }
    )


async def test_when_all_agree_every_finding_is_fine(check: Check, outside: Outside) -> None:
    said = await check()
    assert list(said) == [
        "discord.token",
        "clock",
        "discord.guild",
        "discord.roles.oncall",
        "discord.channels.alerts",
        "alertmanagers.main",
    ]
    assert all(text.startswith("ok") for text in said.values()), said
    assert outside.credentials["/users/@me"] == "Bot t"
    assert outside.credentials["/api/v2/status"] == "Basic dTpw"


async def test_a_clock_that_is_wrong_needs_a_look(check: Check, outside: Outside) -> None:
    outside.headers["Date"] = "Sat, 21 Nov 2020 12:00:00 GMT"
    said = (await check())["clock"]
    assert said.startswith("FAIL")
    assert "fast" in said
    assert "NTP" in said
    outside.headers["Date"] = "noon"
    assert "clock" not in await check()


async def test_a_grafana_is_asked_below_its_prefix(check: Check, outside: Outside) -> None:
    outside.kind = "grafana"
    outside.answers["/api/alertmanager/grafana/api/v2/status"] = (200, {"versionInfo": {"version": "N/A"}})
    assert (await check())["alertmanagers.main"].startswith("ok")


@pytest.mark.parametrize(
    ("path", "answer", "subject", "expected"),
    [
        ("/users/@me", (401, {}), "discord.token", "copy it again"),
        ("/users/@me", (503, {}), "discord.token", "try again later"),
        ("/users/@me", (200, []), "discord.token", "check the address"),
        ("/guilds/1", (404, {}), "discord.guild", "invite the bot"),
        ("/channels/2", (403, {}), "discord.channels.alerts", "grant VIEW_CHANNEL"),
        ("/channels/2", (404, {}), "discord.channels.alerts", "no such id"),
        ("/channels/2", (200, {"guild_id": "9", "type": 0}), "discord.channels.alerts", "another server"),
        ("/channels/2", (200, {"guild_id": "1", "type": 2}), "discord.channels.alerts", "a text channel"),
        ("/guilds/1", (200, Outside.guild(EVERYTHING & ~NEEDED["ATTACH_FILES"])), "discord.channels.alerts", "lacks ATTACH_FILES in #alerts"),
        ("/guilds/1", (200, Outside.guild(EVERYTHING) | {"roles": []}), "discord.roles.oncall", "no such role"),
        ("/api/v2/status", (401, {}), "alertmanagers.main", "set token or basic"),
        ("/api/v2/status", (404, {}), "alertmanagers.main", "check the address and its path"),
    ],
)  # fmt: skip
async def test_what_does_not_agree_is_said_with_what_to_do(  # noqa: PLR0917 (the table's columns)
    check: Check, outside: Outside, path: str, answer: tuple[int, Any], subject: str, expected: str
) -> None:
    outside.answers[path] = answer
    said = (await check())[subject]
    assert said.startswith("FAIL")
    assert expected in said


async def test_a_role_that_nobody_may_mention_needs_the_permission(check: Check, outside: Outside) -> None:
    guild = Outside.guild(EVERYTHING)
    guild["roles"][2]["mentionable"] = False
    outside.answers["/guilds/1"] = (200, guild)
    assert (
        "lacks MENTION_EVERYONE (or let everybody mention oncall)"
        in (await check())["discord.channels.alerts"]
    )
    guild["roles"][1]["permissions"] = str(EVERYTHING | 1 << 17)
    assert (await check())["discord.channels.alerts"].startswith("ok")


async def test_a_route_with_threads_needs_more(check: Check, outside: Outside) -> None:
    outside.threads = True
    said = (await check())["discord.channels.alerts"]
    assert "lacks CREATE_PUBLIC_THREADS, SEND_MESSAGES_IN_THREADS in #alerts" in said
    outside.answers["/guilds/1"] = (200, Outside.guild(EVERYTHING + sum(NEEDED_FOR_THREADS.values())))
    assert (await check())["discord.channels.alerts"].startswith("ok")


async def test_a_thread_cannot_have_threads(check: Check, outside: Outside) -> None:
    outside.threads = True
    outside.answers["/channels/3"] = outside.answers["/channels/2"]
    outside.answers["/channels/2"] = (
        200,
        {"id": "2", "guild_id": "1", "type": 11, "name": "talk", "parent_id": "3"},
    )
    assert "a thread cannot have threads" in (await check())["discord.channels.alerts"]


async def test_what_cannot_be_reached_is_said(unused_tcp_port: int) -> None:
    findings = await check_online(_settings(f"http://127.0.0.1:{unused_tcp_port}"))
    assert [finding.is_fine for finding in findings] == [False, False]
    assert all("cannot be reached" in finding.text for finding in findings)


@pytest.mark.parametrize(
    ("overwrites", "expected"),
    [
        ([], 3),
        ([{"id": "1", "allow": "4", "deny": "1"}], 6),
        ([{"id": "1", "allow": "0", "deny": "3"}, {"id": "5", "allow": "1", "deny": "0"}], 1),
        ([{"id": "5", "allow": "0", "deny": "1"}, {"id": ME, "allow": "1", "deny": "2"}], 1),
        ([{"id": "8", "allow": "4", "deny": "3"}], 3),
    ],
)
def test_overwrites_count_from_everyone_over_roles_to_the_member(
    overwrites: list[Any], expected: int
) -> None:
    guild = {
        "id": "1",
        "owner_id": "99",
        "roles": [{"id": "1", "permissions": "1"}, {"id": "5", "permissions": "2"}],
    }
    member = {"user": {"id": ME}, "roles": ["5"]}
    assert permissions_in({"permission_overwrites": overwrites}, guild, member) == expected
