"""The simulator's own small HTTP API, for whoever runs it in another process: benchmarks and crash tests.

| call | does |
| --- | --- |
| `GET /_sim/messages?channel=ID` | messages with their versions; `&deleted=1` the deleted ones |
| `GET /_sim/seen?channel=ID&pattern=REGEX` | when each match first stood in a text, and in an attached file |
| `GET /_sim/stats` | counters |
| `GET /_sim/requests?since=N` | the requests from the N-th on |
| `POST /_sim/faults` | adds a fault: `{"method", "path", "kind", "with": {…}, "times", "for_seconds", "after_commit"}` |
| `DELETE /_sim/faults` | removes all faults, ends hanging requests |
| `POST /_sim/limits` | `{"channel_create": [5, 5.0], "old_after_seconds": 3600, …}` |
| `POST /_sim/set` | `{"latency": 0.03, "down": false, "validate": false}` |
| `POST /_sim/gateway` | `{"do": "reconnect" or "invalidate" or "resume" or "abort" or "close", "code": 4000}` |
| `POST /_sim/click` | `{"message": ID, "custom_id": …, "user": ID}`; answers once the bot has |
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.simulators.discord.server import DiscordServer
    from tests.simulators.discord.state import Json, StoredMessage

PREFIX = "/_sim/"


class Inspection:
    """Answers below /_sim/ for one server."""

    def __init__(self, server: DiscordServer) -> None:
        self._server = server
        self._calls: dict[tuple[str, str], Callable[[dict[str, str], Json], Awaitable[Any]]] = {
            ("GET", "messages"): self._messages,
            ("GET", "seen"): self._seen,
            ("GET", "stats"): self._stats,
            ("GET", "requests"): self._requests,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "limits"): self._set_limits,
            ("POST", "set"): self._set,
            ("POST", "gateway"): self._gateway,
            ("POST", "click"): self._click,
        }

    def install(self) -> None:
        self._server.extra_paths[PREFIX] = self.handle

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        call = self._calls.get((request.method, request.path.removeprefix(PREFIX)))
        if call is None:
            return web.Response(status=404)
        raw = await request.read()
        try:
            answer = await call(dict(request.query), json.loads(raw) if raw else {})
        except (KeyError, LookupError, TypeError, ValueError, TimeoutError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response(answer)

    async def _messages(self, query: dict[str, str], body: Json) -> Any:
        channel = int(query["channel"])
        if "deleted" in query:
            chosen = [message for message in self._server.deleted if message.channel_id == channel]
        else:
            chosen = self._server.messages(channel)
        return [_described(message) for message in chosen]

    async def _seen(self, query: dict[str, str], body: Json) -> Any:
        pattern, channel = re.compile(query["pattern"]), int(query["channel"])
        texts: dict[str, str] = {}
        files: dict[str, str] = {}
        versions = [
            version
            for message in self._server.state.every_message.values()
            if message.channel_id == channel
            for version in message.versions
        ]
        for version in sorted(versions, key=lambda version: version.at):
            at = version.at.isoformat()
            for match in pattern.finditer(version.text):
                texts.setdefault(_groups(match), at)
            for content in version.files.values():
                for match in pattern.finditer(content.decode()):
                    files.setdefault(_groups(match), at)
        return {"texts": texts, "files": files}

    async def _stats(self, query: dict[str, str], body: Json) -> Any:
        server, counts = self._server, self._server.gateway.counts
        return {
            "answers": {f"{route} {status}": n for (route, status), n in server.answers.items()},
            "count_429": server.count_429,
            "limited": dict(server.limits.rejected),
            "messages": sum(map(len, server.state.history.values())),
            "deleted": len(server.deleted),
            "edits": sum(len(message.edits) for message in server.state.every_message.values()),
            "violations": [f"{v.method} {v.path}: {v.problem}" for v in server.violations],
            "gateway": {name: getattr(counts, name) for name in counts.__slots__}
            | {"ready": server.gateway.ready},
        }

    async def _requests(self, query: dict[str, str], body: Json) -> Any:
        since = int(query.get("since", "0"))
        return [
            {
                "method": r.method,
                "path": r.path,
                "at": r.at.isoformat(),
                "status": r.status,
                "committed": r.committed,
            }
            for r in list(self._server.requests)[since:]
        ]

    async def _add_fault(self, query: dict[str, str], body: Json) -> Any:
        self._server.faults.add_named(body)
        return {}

    async def _clear_faults(self, query: dict[str, str], body: Json) -> Any:
        self._server.faults.clear()
        self._server.release()
        return {}

    async def _set_limits(self, query: dict[str, str], body: Json) -> Any:
        for name, value in body.items():
            if name.startswith("_") or not hasattr(self._server.limits, name):
                raise KeyError(name)
            setattr(self._server.limits, name, tuple(value) if isinstance(value, list) else value)
        return {}

    async def _set(self, query: dict[str, str], body: Json) -> Any:
        for name, value in body.items():
            if name not in ("latency", "down", "validate"):
                raise KeyError(name)
            setattr(self._server, name, value)
        return {}

    async def _gateway(self, query: dict[str, str], body: Json) -> Any:
        gateway = self._server.gateway
        match body["do"]:
            case "reconnect":
                await gateway.request_reconnect()
            case "resume" | "invalidate" as kind:
                await gateway.invalidate(resumable=kind == "resume")
            case "abort":
                gateway.abort()
            case "close":
                await gateway.close(body["code"])
            case other:
                raise KeyError(other)
        return {}

    async def _click(self, query: dict[str, str], body: Json) -> Any:
        user = self._server.state.users[int(body["user"])]
        click = await self._server.click(int(body["message"]), body["custom_id"], user)
        return {"callback": click.callback, "answered_after": click.answered_after}


def _groups(match: re.Match[str]) -> str:
    return "/".join(group for group in match.groups() if group is not None) or match[0]


def _described(message: StoredMessage) -> Json:
    return {
        "id": str(message.id),
        "text": message.text,
        "custom_ids": message.custom_ids,
        "nonce": message.nonce,
        "created_at": message.created_at.isoformat(),
        "deleted_at": message.deleted_at.isoformat() if message.deleted_at else None,
        "versions": [{"at": version.at.isoformat(), "text": version.text} for version in message.versions],
        "pinged_roles": [str(role) for role in message.pinged_roles],
        "pinged_users": [str(user) for user in message.pinged_users],
    }
