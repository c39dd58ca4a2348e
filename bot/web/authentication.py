"""Who may post: a bearer token, or the password of basic authentication."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from multidict import CIMultiDictProxy
from pydantic import SecretStr

CHALLENGES = ('Bearer realm="the-machine"', 'Basic realm="the-machine"')
"""What a refused sender is asked for, one header each."""


class Tokens:
    """The tokens that are valid now: several, so that one can be rotated."""

    def __init__(self, tokens: Iterable[SecretStr]) -> None:
        """Keep a digest of each; an empty token is no token."""
        self._digests = tuple(
            _digest(token.get_secret_value().encode()) for token in tokens if token.get_secret_value()
        )

    def admit(self, headers: CIMultiDictProxy[str]) -> bool:
        """Tell whether a request shows a valid token; without any token nobody is admitted.

        Every token is compared in full, whichever matches, so that the time
        taken tells nothing about them.
        """
        shown = _digest(_secret_shown(headers))
        matches = [hmac.compare_digest(shown, known) for known in self._digests]
        return any(matches)


def _digest(secret: bytes) -> bytes:
    # Of one length, because comparing different lengths would tell the length.
    return hashlib.sha256(secret).digest()


def _secret_shown(headers: CIMultiDictProxy[str]) -> bytes:
    """Return what the sender shows; empty, which no token is, where it is unclear."""
    values = headers.getall("Authorization", [])
    if len(values) != 1:
        return b""
    scheme, _, credentials = values[0].strip().partition(" ")
    # aiohttp decodes headers this way; the bytes on the wire are what is compared.
    secret = credentials.strip().encode("utf-8", "surrogateescape")
    match scheme.lower():
        case "bearer":
            return secret
        case "basic":
            return _password(secret)
        case _:
            return b""


def _password(credentials: bytes) -> bytes:
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return b""
    return decoded.partition(b":")[2]
