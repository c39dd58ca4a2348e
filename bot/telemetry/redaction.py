"""Takes secrets out of what is told: logs and traces."""

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(
    r"(?:^|[_.-])(?:token|tokens|password|passwd|secret|authorization|api[_-]?key|dsn)$", re.IGNORECASE
)
_PATTERNS = (
    # Authorization: Bearer …, Basic …, Bot …
    (re.compile(r"\b(Bearer|Basic|Bot)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1\2{REDACTED}"),
    # A Discord bot's token: the id, the time and a signature, each in base64.
    (re.compile(r"\b[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"), REDACTED),
    # A Discord webhook's or interaction's address ends in its token.
    (re.compile(r"(/(?:webhooks|interactions)/[0-9]{15,20}/)[A-Za-z0-9_-]{20,}"), rf"\1{REDACTED}"),
    # user:password@ in an address.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"']+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    # ?token=… and "password": "…", written by whatever library.
    (
        re.compile(
            r"([\"']?\b(?:[a-z0-9]+[_-])*(?:token|password|passwd|secret|api[_-]?key)[\"']?\s*[=:]\s*)"
            r"(\"[^\"]*\"|'[^']*'|[^\s&,;}\])\"']+)",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    (
        re.compile(r"(\bauthorization[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;}]+)", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    # An acknowledgement's address is its permission.
    (re.compile(r"(/ack/)[A-Za-z0-9._~-]{8,}"), rf"\1{REDACTED}"),
)


def redact(value: Any, name: str = "") -> Any:
    """Return the value without secrets in it; all of it goes if its name says that it is one."""
    if name and _SECRET_NAMES.search(name) and value is not None:
        return REDACTED
    if isinstance(value, Mapping):
        return {key: redact(below, str(key)) for key, below in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redact_text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def redact_text(text: str) -> str:
    """Return the text with everything that looks like a secret blotted out."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
