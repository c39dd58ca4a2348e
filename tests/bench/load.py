"""Sends deliveries at a constant rate, from a process of its own: `python -m tests.bench.load`.

Open loop: a delivery is due at its place in the schedule, whatever became of
those before it, and its time counts from then. A sender that waited for answers
would spare a slow server the load, and not count the waiting.
"""

import argparse
import asyncio
import gc
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.alerts import a_body, an_entry

PATH = "/webhooks/alertmanager"
TOKEN = "bench"
ALERTS = 10
_HEAD_END = b"\r\n\r\n"
_WITHIN = 30.0
"""Seconds after the last delivery for which answers are waited for."""
_EARLY = 0.5
"""Seconds before the first delivery, to open the connections."""


@dataclass(slots=True)
class Answers:
    """What the sender saw."""

    took: list[float] = field(default_factory=list)
    """Seconds from when each delivery was due to its answer; only of those answered 200."""
    refused: Counter[int] = field(default_factory=Counter)
    """Answers other than 200, by status; 0 is none at all."""
    lag: float = 0.0
    """Seconds that the sender itself was late at worst."""


class Connection(asyncio.Protocol):
    """One kept connection; one request at a time."""

    def __init__(self, idle: list["Connection"]) -> None:
        self._idle = idle
        self._answered: Callable[[int], None] | None = None
        self._received = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """Be ready."""
        self.transport = transport
        self._idle.append(self)

    def send(self, request: bytes, answered: Callable[[int], None]) -> None:
        """Send a request; the callback is given the status of its answer."""
        self._answered = answered
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer."""
        self._received += data
        head, found, body = self._received.partition(_HEAD_END)
        if not found or len(body) < _content_length(head):
            return
        self._received = b""
        self._finish(int(head[9:12]))
        self._idle.append(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Count a request that was not answered."""
        if self in self._idle:
            self._idle.remove(self)
        self._finish(0)

    def _finish(self, status: int) -> None:
        if self._answered is not None:
            self._answered(status)
        self._answered = None


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def deliveries(count: int, groups: int, alerts: int = ALERTS) -> Iterator[bytes]:
    """Make deliveries of so many groups in turn; each one of a group says something new of one alert."""
    summary = {"summary": "A container restarts again and again.", "runbook_url": "https://example.org/r"}
    for number in range(count):
        turn, group = divmod(number, groups)
        labels = {"alertname": f"Group{group:05}", "namespace": "shop"}
        entries = [
            an_entry(
                labels["alertname"],
                namespace="shop",
                pod=f"api-{index}",
                annotations=summary,
                # The earlier the start, the newer what is told: an episode keeps its earliest one.
                since=f"2026-11-{20 - (turn + index) // alerts % 19:02}T12:00:00Z",
            )
            for index in range(alerts)
        ]
        yield a_body(*entries, group_labels=labels)


def request_of(body: bytes, path: str = PATH) -> bytes:
    """Write a delivery as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nUser-Agent: Alertmanager/0.28\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(port: int, requests: Sequence[bytes], *, rate: float, connections: int = 16) -> Answers:
    """Send each request when it is due."""
    loop = asyncio.get_running_loop()
    answers, idle = Answers(), list[Connection]()
    left = len(requests)
    done = asyncio.Event()

    async def connect() -> Connection:
        _, made = await loop.create_connection(lambda: Connection(idle), "127.0.0.1", port)
        return made

    for _ in range(connections):
        await connect()
    begin = loop.time() + _EARLY

    def answered(due: float, status: int) -> None:
        nonlocal left
        if status == 200:
            answers.took.append(loop.time() - due)
        else:
            answers.refused[status] += 1
        left -= 1
        if left == 0:
            done.set()

    for number, request in enumerate(requests):
        due = begin + number / rate
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        answers.lag = max(answers.lag, loop.time() - due)
        if not idle:
            await connect()
        idle.pop().send(request, lambda status, due=due: answered(due, status))
    try:
        async with asyncio.timeout(_WITHIN):
            await done.wait()
    except TimeoutError:
        answers.refused[0] += left
    return answers


async def send_apart(port: int, *, rate: float, count: int, groups: int, alerts: int = ALERTS) -> Answers:
    """Send from another process, and return what it saw."""
    options = {"port": port, "rate": rate, "count": count, "groups": groups, "alerts": alerts}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.load", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    told = json.loads(output)
    return Answers(told["took"], Counter({int(k): n for k, n in told["refused"].items()}), told["lag"])


def main() -> None:
    """Send as the command line says; print what was seen as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--groups", type=int, required=True)
    parser.add_argument("--alerts", type=int, default=ALERTS)
    arguments = parser.parse_args()
    requests = [request_of(body) for body in deliveries(arguments.count, arguments.groups, arguments.alerts)]
    gc.disable()
    answers = asyncio.run(send(arguments.port, requests, rate=arguments.rate))
    print(json.dumps({"took": answers.took, "refused": answers.refused, "lag": answers.lag}))


if __name__ == "__main__":
    main()
