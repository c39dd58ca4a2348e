"""The gateway: sessions that can be resumed, dispatches with their numbers, and everything that can go wrong there."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulators.discord.state import Json, State

GUILDS, GUILD_MEMBERS, GUILD_MESSAGES = 1 << 0, 1 << 1, 1 << 9
NO_INTENT = 0
REPLAYED_EVENTS = 2_000
MAX_PAYLOAD_BYTES = 4096


@dataclass(slots=True, eq=False)
class Session:
    id: str
    intents: int
    sequence: int = 0
    log: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=REPLAYED_EVENTS))
    socket: web.WebSocketResponse | None = None

    @property
    def connected(self) -> bool:
        return self.socket is not None and not self.socket.closed

    def frame(self, event: str, data: Json) -> str:
        self.sequence += 1
        text = json.dumps({"op": 0, "t": event, "s": self.sequence, "d": data}, separators=(",", ":"))
        self.log.append((self.sequence, text))
        return text


@dataclass(slots=True)
class Counts:
    connects: int = 0
    refused: int = 0
    identifies: int = 0
    resumes: int = 0
    heartbeats: int = 0


class Gateway:
    """One WebSocket path, any number of sessions, one shard.

    Attributes to script it: `acks` (False: heartbeats go unanswered), `refuse_connects` (so many handshakes are
    answered 503; -1: all), `duplicates` (so many next dispatches arrive twice), `heartbeat_interval` in seconds,
    `disallowed_intents` (identifying with one of them closes with 4014).
    """

    def __init__(
        self, state: State, *, token: Callable[[], str], url: Callable[[], str], changed: Callable[[], None]
    ):
        self._state = state
        self._token = token
        self._url = url
        self._changed = changed
        self.sessions: dict[str, Session] = {}
        self.sockets: dict[web.WebSocketResponse, web.BaseRequest] = {}
        self._closed_by_us: set[web.WebSocketResponse] = set()
        self.received: deque[Json] = deque(maxlen=1_000)
        self.counts = Counts()
        self.heartbeat_interval = 41.25
        self.acks = True
        self.refuse_connects = 0
        self.duplicates = 0
        self.disallowed_intents = 0

    @property
    def ready(self) -> bool:
        """Whether a client has identified or resumed and is connected."""
        return any(session.connected for session in self.sessions.values())

    @property
    def connected_sessions(self) -> list[Session]:
        return [session for session in self.sessions.values() if session.connected]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.refuse_connects:
            self.refuse_connects -= self.refuse_connects > 0
            self.counts.refused += 1
            self._changed()
            return web.Response(status=503)
        socket = web.WebSocketResponse(compress=False, timeout=1.0)
        await socket.prepare(request)
        self.counts.connects += 1
        self.sockets[socket] = request
        self._changed()
        session: Session | None = None
        try:
            await socket.send_str(_frame(10, {"heartbeat_interval": int(self.heartbeat_interval * 1000)}))
            async for message in socket:
                if message.type is not WSMsgType.TEXT or len(message.data) > MAX_PAYLOAD_BYTES:
                    await self._close(socket, 4002)
                else:
                    session = await self._receive(socket, session, json.loads(message.data))
        except ConnectionError:
            pass
        finally:
            del self.sockets[socket]
            # A client that leaves with 1000 or 1001 gives its session up.
            if session is not None and session.socket is socket:
                session.socket = None
                if socket.close_code in (1000, 1001) and socket not in self._closed_by_us:
                    self.sessions.pop(session.id, None)
            self._closed_by_us.discard(socket)
            self._changed()
        return socket

    async def _receive(
        self, socket: web.WebSocketResponse, session: Session | None, frame: Json
    ) -> Session | None:
        self.received.append(frame)
        match frame["op"]:
            case 1:
                self.counts.heartbeats += 1
                if self.acks:
                    await socket.send_str(_frame(11, None))
            case 2:
                session = await self._identify(socket, frame["d"])
            case 6:
                session = await self._resume(socket, frame["d"])
            case 8 if session is not None:
                await self._send_members(session, frame["d"])
            case 3 | 4:
                pass
            case _:
                await self._close(socket, 4003 if session is None else 4001)
        self._changed()
        return session

    async def _identify(self, socket: web.WebSocketResponse, data: Json) -> Session | None:
        self.counts.identifies += 1
        if data["token"] != self._token():
            await self._close(socket, 4004)
            return None
        if data["intents"] & self.disallowed_intents:
            await self._close(socket, 4014)
            return None
        # Sessions nobody came back for are dropped, or each restart would leave one that collects events.
        for stale in [s for s in self.sessions.values() if not s.connected]:
            del self.sessions[stale.id]
        session = Session(f"{self._state.ids.next():032x}", data["intents"])
        self.sessions[session.id] = session
        guilds = list(self._state.guilds.values())
        ready = {
            "v": 10,
            "user": self._state.bot.payload()
            | {"verified": True, "mfa_enabled": True, "email": None, "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self._url(),
            "session_type": "normal",
            "application": {"id": str(self._state.application_id), "flags": 0},
            "private_channels": [],
            "relationships": [],
            "presences": [],
        }
        await socket.send_str(session.frame("READY", ready))
        session.socket = socket
        for guild in guilds:
            await self._send(session, "GUILD_CREATE", self._state.full_guild(guild))
        return session

    async def _resume(self, socket: web.WebSocketResponse, data: Json) -> Session | None:
        self.counts.resumes += 1
        session = self.sessions.get(data["session_id"])
        lost = session is not None and session.log and (data["seq"] or 0) + 1 < session.log[0][0]
        if session is None or lost or data["token"] != self._token():
            await socket.send_str(_frame(9, False))
            return None
        session.socket = socket
        for sequence, text in list(session.log):
            if sequence > (data["seq"] or 0):
                await socket.send_str(text)
        await self._send(session, "RESUMED", {})
        return session

    async def _send_members(self, session: Session, data: Json) -> None:
        guild = self._state.guilds[int(data["guild_id"])]
        wanted = {int(user) for user in data.get("user_ids") or ()}
        members = [m for m in guild.members.values() if not wanted or m.id in wanted]
        prefix = data.get("query") or ""
        chosen = [m for m in members if m.user.name.startswith(prefix)]
        chunk: Json = {
            "guild_id": str(guild.id),
            "members": [member.payload() for member in chosen[: data.get("limit") or None]],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [str(user) for user in wanted - {m.id for m in members}],
        }
        if data.get("nonce"):
            chunk["nonce"] = data["nonce"]
        await self._send(session, "GUILD_MEMBERS_CHUNK", chunk)

    async def dispatch(self, event: str, data: Json, *, intent: int = NO_INTENT) -> int:
        """Send an event to every session that asked for it, and keep it for those that will resume.

        Gives the number of sessions that were connected.
        """
        reached = 0
        for session in list(self.sessions.values()):
            if not intent or session.intents & intent:
                reached += session.connected
                await self._send(session, event, data)
        return reached

    async def _send(self, session: Session, event: str, data: Json) -> None:
        text = session.frame(event, data)
        socket = session.socket
        if socket is None or socket.closed:
            return
        try:
            await socket.send_str(text)
            if self.duplicates and event not in ("READY", "GUILD_CREATE", "RESUMED"):
                self.duplicates -= 1
                await socket.send_str(text)
        except ConnectionError:
            pass  # It is in the session's log; a resume brings it.

    # What tests and operators of the simulator do to the connected clients.

    async def request_reconnect(self) -> None:
        """Op 7: clients close and resume."""
        await self._to_all(_frame(7, None))

    async def invalidate(self, *, resumable: bool) -> None:
        """Op 9; without `resumable` the sessions are forgotten first."""
        if not resumable:
            for session in self.connected_sessions:
                del self.sessions[session.id]
        await self._to_all(_frame(9, resumable))

    async def close(self, code: int) -> None:
        """Close every connection with a code. The sessions stay: see `forget_sessions`."""
        await asyncio.gather(*(self._close(socket, code) for socket in list(self.sockets)))

    def abort(self) -> None:
        """Cut every connection without a closing frame."""
        for request in list(self.sockets.values()):
            if request.transport is not None:
                request.transport.abort()

    def forget_sessions(self) -> None:
        """Every later RESUME is answered with op 9 false."""
        self.sessions.clear()

    async def _to_all(self, text: str) -> None:
        for socket in list(self.sockets):
            if not socket.closed:
                await socket.send_str(text)

    async def _close(self, socket: web.WebSocketResponse, code: int) -> None:
        self._closed_by_us.add(socket)
        await socket.close(code=code)


def _frame(op: int, data: Any) -> str:
    return json.dumps({"op": op, "t": None, "s": None, "d": data}, separators=(",", ":"))
