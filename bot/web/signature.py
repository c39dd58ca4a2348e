"""Who may post, where no token is shown: one who signs the body with a secret that we share.

The signature is what Grafana makes: HMAC-SHA256 in hex, over the body as it is on
the wire, with `<seconds since 1970>:` before it where a header tells the time
(https://github.com/grafana/alerting/blob/main/http/hmac.go).
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from aiohttp import web
from multidict import CIMultiDictProxy
from pydantic import SecretStr

from bot.core.clock import Clock
from bot.core.errors import UnavailableError
from bot.web.body import LIMITS, receive_body

_HEXADECIMAL = re.compile("[0-9a-fA-F]{64}")
_LONGEST_SECONDS = 12
_HASHED_APART = 2**20
"""Larger bodies are hashed in a thread."""
_UNPROVEN_BYTES = 64 * 2**20
"""Anybody can claim to have signed: this much of such bodies is held at once, unless one alone is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How a sender signs."""

    secret: SecretStr
    header: str
    """The header with the signature."""
    timestamp_header: str | None = None
    """The header with the time of signing. Without it an old body can be sent again by whoever saw it."""
    tolerance: timedelta = timedelta(minutes=5)
    """How far that time may be from ours."""


class SignatureProblem(StrEnum):
    """Why a signature does not count."""

    MISSING = "no signature"
    MALFORMED = "a signature that is not 64 hexadecimal digits"
    UNTIMED = "no time of signing"
    UNTIMELY = "the time of signing is too far from ours"
    WRONG = "a wrong signature"


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature that may be right; only the body can say."""

    digest: bytes
    prefix: bytes
    """What was signed before the body."""


def read_claim(
    signing: Signing, headers: CIMultiDictProxy[str], *, now: datetime
) -> Claim | SignatureProblem:
    """Return what a request claims, or why its body need not be read."""
    shown = _only(headers, signing.header)
    if shown is None:
        return SignatureProblem.MISSING
    if not _HEXADECIMAL.fullmatch(shown):
        return SignatureProblem.MALFORMED
    digest = bytes.fromhex(shown)
    if signing.timestamp_header is None:
        return Claim(digest, b"")
    seconds = _only(headers, signing.timestamp_header)
    if seconds is None:
        return SignatureProblem.UNTIMED
    if not _is_timely(seconds, signing, now):
        return SignatureProblem.UNTIMELY
    return Claim(digest, seconds.encode() + b":")


def signature_problem(signing: Signing, claim: Claim, body: bytes) -> SignatureProblem | None:
    """Say why a claim is not proven by the body, in a time that tells nothing about the secret."""
    secret = signing.secret.get_secret_value().encode()
    made = hmac.new(secret, claim.prefix, hashlib.sha256)
    made.update(body)
    return None if hmac.compare_digest(made.digest(), claim.digest) else SignatureProblem.WRONG


class SignedBodies:
    """Reads the bodies that somebody claims to have signed, within bounds."""

    def __init__(self, clock: Clock, *, most_bytes: int = _UNPROVEN_BYTES) -> None:
        """Take the clock by which the time of signing is judged."""
        self._clock = clock
        self._most_bytes = most_bytes
        self._bytes = 0

    async def problem(self, request: web.Request, signing: Signing) -> SignatureProblem | None:
        """Say why a request is not admitted by its signature; its body has been read if it is.

        Raises:
            UnavailableError: Too much is being read of those that might be anybody.
            BodyTooLargeError: The body is larger than the server's limit.
        """
        claim = read_claim(signing, request.headers, now=self._clock.now())
        if isinstance(claim, SignatureProblem):
            return claim
        with self._room(request):
            body = await receive_body(request)
        if len(body) > _HASHED_APART:
            return await asyncio.to_thread(signature_problem, signing, claim, body)
        return signature_problem(signing, claim, body)

    @contextmanager
    def _room(self, request: web.Request) -> Iterator[None]:
        announced = request.content_length
        size = request.app[LIMITS].max_bytes if announced is None else announced
        if self._bytes and self._bytes + size > self._most_bytes:
            raise UnavailableError("too many signed bodies arrive at once")
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size


def _is_timely(seconds: str, signing: Signing, now: datetime) -> bool:
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= _LONGEST_SECONDS):
        return False
    away = now.timestamp() - int(seconds)
    return abs(away) <= signing.tolerance.total_seconds()


def _only(headers: CIMultiDictProxy[str], name: str) -> str | None:
    """Return a header that is there once; of several nobody knows which counts."""
    values = headers.getall(name, [])
    return values[0].strip() if len(values) == 1 else None
