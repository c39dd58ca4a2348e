"""What can be made to go wrong: faults for the next requests of some kind, in the order of adding."""

import json
from dataclasses import dataclass
from enum import Enum

from bot.demo.cluster.failures import ApiError, expired
from bot.demo.cluster.requests import Recorded

ANY = "*"


class Break(Enum):
    """How a connection fails that gets no proper answer."""

    HANG = "hang"
    """Nothing is answered, and the connection stays open until the server lets go."""
    DROP = "drop"
    """The connection is cut before a byte was answered."""
    CUT_MID_LINE = "cut mid-line"
    """The answer begins, and the connection is cut inside the next line or halfway through the body."""
    STALL = "stall"
    """A watch answers its headers and what it has, and then never again: a link that hangs."""
    EMPTY = "empty"
    """200 without a body."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a request fails; either an answer, or a break, or only a delay."""

    error: ApiError | None = None
    broken: Break | None = None
    delay: float = 0.0
    """Seconds before the request is looked at."""
    pretty: bool = False
    as_line: bool = False
    """Told as a line of a watch that begins with 200."""
    lines: int = 0
    """How many lines a watch tells before it breaks."""

    @property
    def strikes_at_once(self) -> bool:
        """Whether the request is not even looked at."""
        if self.error is not None:
            return not self.as_line
        return self.broken in {Break.HANG, Break.DROP, Break.EMPTY}


HANG = Fault(broken=Break.HANG)
DROP = Fault(broken=Break.DROP)
EMPTY = Fault(broken=Break.EMPTY)
UNAUTHORIZED = Fault(ApiError(401, "Unauthorized", "Unauthorized"))
FORBIDDEN_PRETTY = Fault(ApiError(403, "Forbidden", "Forbidden by a proxy"), pretty=True)
NOT_INSTALLED = Fault(ApiError(404, "", "404 page not found\n", plain=True))
EXPIRED = Fault(expired(1, 1000))
EXPIRED_LINE = Fault(expired(1, 1000), as_line=True)
SERVER_ERROR = Fault(ApiError(500, "InternalError", "Internal error occurred: etcdserver: leader changed"))
UNAVAILABLE = Fault(ApiError(503, "ServiceUnavailable", "apiserver not ready"))
BAD_GATEWAY = Fault(
    ApiError(
        502,
        "",
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body>\r\n</html>\r\n",
        plain=True,
        content_type="text/html",
    )
)


def slow(seconds: float) -> Fault:
    """Answer properly, but late."""
    return Fault(delay=seconds)


def too_many(retry_after: int = 1) -> Fault:
    """Ask for patience: 429."""
    return Fault(
        ApiError(
            429,
            "TooManyRequests",
            "Too many requests, please try again later.",
            {"retryAfterSeconds": retry_after},
            {"Retry-After": str(retry_after)},
        )
    )


def cut_mid_line(after: int = 0) -> Fault:
    """Cut the connection inside a line, after so many whole ones."""
    return Fault(broken=Break.CUT_MID_LINE, lines=after)


def stall(after: int = 0) -> Fault:
    """Let a watch hang after so many lines."""
    return Fault(broken=Break.STALL, lines=after)


@dataclass(slots=True)
class Script:
    """A fault with its conditions."""

    fault: Fault
    verb: str
    resource: str
    name: str
    times: int | None
    after_commit: bool
    hits: int = 0
    """How often it struck."""

    def matches(self, request: Recorded) -> bool:
        """Say whether it strikes this request."""
        return (
            (self.times is None or self.hits < self.times)
            and self.verb in {ANY, request.verb}
            and self.resource in {ANY, request.resource}
            and self.name in {ANY, request.name or ""}
        )


class Faults:
    """The scripts in force."""

    def __init__(self) -> None:
        """Begin without any."""
        self._scripts: list[Script] = []

    def add(
        self,
        fault: Fault,
        *,
        verb: str = ANY,
        resource: str = ANY,
        name: str = ANY,
        times: int | None = 1,
        after_commit: bool = False,
    ) -> Script:
        """Let the next requests of that kind meet a fault; `times=None`: all, until `remove` or `clear`.

        With `after_commit` the request is carried out and its answer is lost in
        favour of the fault: the asker does not learn what became of it.
        """
        script = Script(fault, verb, resource, name, times, after_commit)
        self._scripts.append(script)
        return script

    def remove(self, script: Script) -> None:
        """Take a fault back."""
        self._scripts.remove(script)

    def clear(self) -> None:
        """Take all faults back."""
        self._scripts.clear()

    def take(self, request: Recorded) -> Script | None:
        """Return the fault that a request meets, counted."""
        for script in self._scripts:
            if script.matches(request):
                script.hits += 1
                return script
        return None


def error_body(error: ApiError, *, pretty: bool) -> tuple[bytes, str]:
    """Return the body of an answer that tells of an error, and its media type."""
    if error.plain:
        return error.message.encode(), error.content_type
    text = json.dumps(error.status(), indent=2 if pretty else None, separators=None if pretty else (",", ":"))
    return text.encode() + b"\n", "application/json"
