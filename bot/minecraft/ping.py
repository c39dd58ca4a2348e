"""Asking a server for its status: once, with a hard deadline, and believing nothing of what comes back.

mcstatus looks up SRV records and speaks with Bedrock servers and with Java servers
from before 1.7 (`bot.minecraft.mcstatus`). The status of today's Java servers is asked
here: mcstatus reads as many bytes as a peer cares to announce, waits for each of them
anew, and reads nested descriptions without bounds, so that one hostile server could
take all memory.
"""

import asyncio
import errno
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bot.minecraft.answers import read_java
from bot.minecraft.model import NOWHERE, Address, Answer, Edition, Outcome, Server, Trouble, judge

if TYPE_CHECKING:
    from bot.minecraft.mcstatus import Mcstatus

T = TypeVar("T")

MOST_BYTES: Final = 131_068 + 8
"""The longest text of Minecraft's protocol, with what stands before it; icons are in it."""
REMEMBERED_FOR: Final = timedelta(minutes=1)
"""How long it is believed where a name leads."""

_ANY_VERSION: Final = -1
_STATUS: Final = 1
_STATUS_FOLLOWS: Final = b"\x00"
_LONGEST_NUMBER: Final = 5
_LOOKUPS_AT_ONCE: Final = 8
_FIRST_TRY_SECONDS: Final = 1.5
"""For each address but the last: one that is silent must leave time for the others."""
_UNREACHABLE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_NONSENSE: Final = (
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
)
"""What reading an answer raises that is none; a nest too deep for Python is a RuntimeError."""


class _NoAnswerError(Exception):
    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


@dataclass(slots=True)
class _Attempt:
    """How far an attempt got: what running out of time means depends on it."""

    connected: bool = False
    heard: bool = False
    started: float = field(default_factory=time.perf_counter)

    @property
    def out_of_time(self) -> Trouble:
        if self.heard:
            return Trouble.TOO_SLOW
        return Trouble.SILENT if self.connected else Trouble.TIMEOUT

    @property
    def latency(self) -> timedelta:
        return timedelta(seconds=time.perf_counter() - self.started)


class _LazyMcstatus:
    """mcstatus, loaded when it is first needed: 8 MB and 0.1 s that servers named by numbers do without."""

    def __init__(self) -> None:
        self._loaded: Mcstatus | None = None

    async def get(self) -> "Mcstatus":
        if self._loaded is None:
            self._loaded = await asyncio.to_thread(_load)
        return self._loaded


def _load() -> "Mcstatus":
    from bot.minecraft.mcstatus import Mcstatus  # noqa: PLC0415 (see `_LazyMcstatus`)

    return Mcstatus()


class Names:
    """Where names lead: looked up in threads of its own, so that a slow resolver holds up nobody else."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take the clock that says when to look again."""
        self.mcstatus = _LazyMcstatus()
        self._monotonic = monotonic
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="minecraft-names")
        self._found: dict[tuple[Address, Edition], tuple[float, tuple[Address, ...]]] = {}

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def find(self, address: Address, edition: Edition) -> tuple[Address, ...]:
        """Return the addresses, host first as it was named, that an address leads to.

        Raises:
            OSError: It cannot be looked up.
        """
        known = self._found.get((address, edition))
        if known is not None and known[0] > self._monotonic():
            return known[1]
        target = await self._redirected(address, edition)
        port = target.port or edition.default_port
        hosts = [target.host] if _is_ip(target.host) else await self._look_up(target.host, port)
        found = (Address(target.host, port), *(Address(host, port) for host in hosts))
        self._found[address, edition] = (self._monotonic() + REMEMBERED_FOR.total_seconds(), found)
        return found

    async def _redirected(self, address: Address, edition: Edition) -> Address:
        """Follow the SRV record that a name without a port may have."""
        if edition is Edition.BEDROCK or address.port is not None or _is_ip(address.host):
            return address
        try:
            return await (await self.mcstatus.get()).follow(address)
        except (OSError, *_NONSENSE):
            return address

    async def _look_up(self, host: str, port: int) -> list[str]:
        if host.endswith(NOWHERE):
            # Nobody has such a name (RFC 6761), but some resolvers lead every name somewhere.
            raise socket.gaierror(socket.EAI_NONAME, "no such host")

        def look_up() -> list[Any]:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Pinger:
    """Asks servers for their status."""

    def __init__(self, names: Names | None = None) -> None:
        """Take what looks names up."""
        self._names = names or Names()
        self._mcstatus = self._names.mcstatus

    def close(self) -> None:
        """Let everything go."""
        self._names.close()

    async def ping(self, server: Server, *, within: timedelta) -> Outcome:
        """Return what a server says, or why it says nothing; never later than `within`."""
        attempt = _Attempt()
        try:
            async with asyncio.timeout(within.total_seconds()):
                return judge(await self._ask(server, attempt))
        except _NoAnswerError as none:
            return none.trouble
        except OSError as error:
            return _trouble(error, attempt)
        except _NONSENSE:
            return Trouble.GARBAGE

    async def _ask(self, server: Server, attempt: _Attempt) -> Answer:
        named, *addresses = await self._names.find(server.address, server.edition)
        if server.edition is Edition.BEDROCK:
            return await _first_of(addresses, (await self._mcstatus.get()).ask_bedrock)
        try:
            return await _ask_java(named, addresses, attempt)
        except _NoAnswerError as none:
            if none.trouble not in {Trouble.CLOSED, Trouble.GARBAGE}:
                raise
            try:
                return await _first_of(addresses, (await self._mcstatus.get()).ask_legacy)
            except (OSError, *_NONSENSE):
                raise none from None


def _trouble(error: OSError, attempt: _Attempt) -> Trouble:
    match error:
        case socket.gaierror():
            return Trouble.NO_NAME
        case ConnectionRefusedError():
            return Trouble.REFUSED
        case OSError(errno=number) if number in _UNREACHABLE:
            return Trouble.NO_ROUTE
        case _:
            return attempt.out_of_time


async def _ask_java(named: Address, addresses: list[Address], attempt: _Attempt) -> Answer:
    reader, writer = await _first_of(
        addresses, lambda address: asyncio.open_connection(address.host, address.port)
    )
    attempt.connected = True
    attempt.started = time.perf_counter()
    try:
        writer.write(_handshake(named) + b"\x01\x00")
        body = await _read_status(reader, attempt)
        latency = attempt.latency
    except (ConnectionError, asyncio.IncompleteReadError):
        raise _NoAnswerError(Trouble.GARBAGE if attempt.heard else Trouble.CLOSED) from None
    finally:
        # Without waiting for the peer: it might never agree to the end.
        writer.transport.abort()
    answer = read_java(json.loads(body), latency)
    if answer is None:
        raise _NoAnswerError(Trouble.GARBAGE)
    return answer


async def _first_of(addresses: list[Address], reach: Callable[[Address], Awaitable[T]]) -> T:
    """Return what the first address brings that leads anywhere; not all of a host's need to."""
    for address in addresses[:-1]:
        try:
            async with asyncio.timeout(_FIRST_TRY_SECONDS):
                return await reach(address)
        except OSError:
            continue
    return await reach(addresses[-1])


async def _read_status(reader: asyncio.StreamReader, attempt: _Attempt) -> str:
    length = await _read_number(reader, attempt)
    # Looked at first: whoever speaks another language may well be waiting for our next word.
    if await reader.readexactly(1) != _STATUS_FOLLOWS:
        raise _NoAnswerError(Trouble.GARBAGE)
    if length > MOST_BYTES:
        raise _NoAnswerError(Trouble.TOO_LONG)
    frame = await reader.readexactly(length - 1)
    size, at = _number(frame, 0)
    if at + size > len(frame):
        raise _NoAnswerError(Trouble.GARBAGE)
    return frame[at : at + size].decode()


async def _read_number(reader: asyncio.StreamReader, attempt: _Attempt) -> int:
    read = b""
    while not read or read[-1] & 0x80:
        if len(read) == _LONGEST_NUMBER:
            raise _NoAnswerError(Trouble.GARBAGE)
        read += await reader.readexactly(1)
        attempt.heard = True
    return _number(read, 0)[0]


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return the VarInt that begins at a place, and where it ends."""
    value = 0
    for position in range(_LONGEST_NUMBER):
        byte = data[at + position]
        value |= (byte & 0x7F) << 7 * position
        if not byte & 0x80:
            return value, at + position + 1
    raise _NoAnswerError(Trouble.GARBAGE)


def _varint(value: int) -> bytes:
    made = bytearray()
    left = value & 0xFFFFFFFF
    while left > 0x7F:  # noqa: PLR2004 (seven bits of each byte count)
        made.append(left & 0x7F | 0x80)
        left >>= 7
    made.append(left)
    return bytes(made)


def _handshake(named: Address) -> bytes:
    host = named.host.encode()
    packet = b"".join(
        (
            _varint(0),
            _varint(_ANY_VERSION),
            _varint(len(host)),
            host,
            struct.pack(">H", named.port),
            _varint(_STATUS),
        )
    )
    return _varint(len(packet)) + packet


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
