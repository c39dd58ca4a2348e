"""Scripted faults: what goes wrong, for which requests, how often.

`server.faults.add("POST", "/channels/*/messages", server_error(500), times=1, after_commit=True)`: the path is the
one below /api/v10; `*` is one segment, `**` any number. The first fault that matches a request wins; delays add up
and do not hide another fault.
"""

from __future__ import annotations

import enum
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

INVALID_FORM = 50035


class Kind(enum.Enum):
    ANSWER = "answer"
    RESET = "reset"
    """The connection is reset (RST): the client sees ClientOSError."""
    DISCONNECT = "disconnect"
    """The connection is closed without an answer: the client sees ServerDisconnectedError."""
    HANG = "hang"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    status: int = 0
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


RESET = Fault(Kind.RESET)
DISCONNECT = Fault(Kind.DISCONNECT)
HANG = Fault(Kind.HANG)


def slow(seconds: float) -> Fault:
    return Fault(Kind.SLOW, seconds=seconds)


def answer(status: int, code: int, message: str, **more: Any) -> Fault:
    return Fault(Kind.ANSWER, status, {"message": message, "code": code, **more})


def rate_limited(
    retry_after: float = 0.1, *, scope: str = "user", via: bool = True, code: int | None = None
) -> Fault:
    """A 429 for this bot (user), this resource (shared) or all routes (global); without Via it is Cloudflare's ban."""
    body: dict[str, Any] = {
        "message": "You are being rate limited.",
        "retry_after": retry_after,
        "global": scope == "global",
    }
    if code is not None:
        body["code"] = code
    headers = {"Retry-After": str(max(1, round(retry_after))), "X-RateLimit-Scope": scope}
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    if via:
        headers["Via"] = "1.1 google"
    return Fault(Kind.ANSWER, 429, body, headers)


def edit_limit(retry_after: float = 0.1, *, via: bool = True) -> Fault:
    """Too many edits of messages older than an hour."""
    return rate_limited(retry_after, via=via, code=30046)


def server_error(status: int = 500) -> Fault:
    """500, 502, 503 or 504; as Discord's edge does it, only the 500 is JSON."""
    if status == 500:
        return answer(500, 0, "500: Internal Server Error")
    return Fault(Kind.ANSWER, status, f"<html><body>{status}</body></html>")


def unauthorized() -> Fault:
    return answer(401, 0, "401: Unauthorized")


def missing_permissions() -> Fault:
    return answer(403, 50013, "Missing Permissions")


def missing_access() -> Fault:
    return answer(403, 50001, "Missing Access")


def unknown_channel() -> Fault:
    return answer(404, 10003, "Unknown Channel")


def unknown_message() -> Fault:
    return answer(404, 10008, "Unknown Message")


def invalid_form() -> Fault:
    problem = {"components": {"0": {"_errors": [{"code": "BASE_TYPE_BAD_LENGTH", "message": "Scripted."}]}}}
    return answer(400, INVALID_FORM, "Invalid Form Body", errors=problem)


def archived_thread() -> Fault:
    return answer(400, 50083, "Thread is archived")


NAMED: dict[str, Callable[..., Fault]] = {
    "reset": lambda: RESET,
    "disconnect": lambda: DISCONNECT,
    "hang": lambda: HANG,
    "slow": slow,
    "answer": answer,
    "rate_limited": rate_limited,
    "edit_limit": edit_limit,
    "server_error": server_error,
    "unauthorized": unauthorized,
    "missing_permissions": missing_permissions,
    "missing_access": missing_access,
    "unknown_channel": unknown_channel,
    "unknown_message": unknown_message,
    "invalid_form": invalid_form,
    "archived_thread": archived_thread,
}


@dataclass(slots=True)
class Script:
    """A fault with its conditions; `hits` counts how often it struck."""

    method: str
    pattern: re.Pattern[str]
    fault: Fault
    times: int | None
    until: float | None
    after_commit: bool
    hits: int = 0

    def matches(self, method: str, path: str, now: float) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.until is not None and now >= self.until:
            return False
        return self.method in ("*", method) and self.pattern.fullmatch(path) is not None


def pattern_of(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", path)
    return re.compile("".join({"**": ".*", "*": "[^/]+"}.get(part, re.escape(part)) for part in parts))


class Faults:
    """The scripts in force, in the order they were added."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.scripts: list[Script] = []

    def add(
        self,
        method: str,
        path: str,
        fault: Fault,
        *,
        times: int | None = 1,
        for_seconds: float | None = None,
        after_commit: bool = False,
    ) -> Script:
        """Let the next `times` matching requests (None: all) meet this fault, at most for so many seconds."""
        until = None if for_seconds is None else self._clock() + for_seconds
        script = Script(method, pattern_of(path), fault, times, until, after_commit)
        self.scripts.append(script)
        return script

    def add_named(self, description: dict[str, Any]) -> Script:
        """Add a fault given as JSON: kind, its arguments under `with`, and the arguments of `add`."""
        fault = NAMED[description["kind"]](**description.get("with", {}))
        conditions = {k: description[k] for k in ("times", "for_seconds", "after_commit") if k in description}
        return self.add(description.get("method", "*"), description.get("path", "**"), fault, **conditions)

    def clear(self) -> None:
        self.scripts.clear()

    def take(self, method: str, path: str) -> tuple[float, float, Script | None]:
        """The delays that this request suffers before and after its commit, and the fault it meets."""
        before = after = 0.0
        met: Script | None = None
        now = self._clock()
        for script in self.scripts:
            if not script.matches(method, path, now):
                continue
            if script.fault.kind is Kind.SLOW and script.after_commit:
                after += script.fault.seconds
            elif script.fault.kind is Kind.SLOW:
                before += script.fault.seconds
            elif met is None:
                met = script
            else:
                continue
            script.hits += 1
        return before, after, met
