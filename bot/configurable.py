"""What the settings of every room are made of: the base model and the kinds of values that they share.

Each room describes its own part of the configuration in its `settings.py`;
`bot.settings` puts the parts together. A string under a field is its
description in the JSON Schema and in the reference.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
)

from bot.core.durations import EXPECTED, format_duration, parse_duration
from bot.core.errors import InvalidError
from bot.core.matchers import parse_matchers


class Section(BaseModel):
    """A part of the configuration: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


@dataclass(frozen=True, slots=True)
class FileTwin:
    """Marks a field that can also be read from the file that its `…_file` twin names; never both."""

    lines: bool = False
    """Whether the file holds one value a line, for a field that is a list."""


@dataclass(frozen=True, slots=True)
class NeedsRestart:
    """Marks a field, or a whole section, whose change takes effect only after a restart."""


@dataclass(frozen=True, slots=True)
class NeedsRestartToAppear:
    """Marks a section that comes and goes only with a restart; what is in it says so for itself."""


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected {EXPECTED}")  # noqa: TRY004 (pydantic turns only this one into an error)
    try:
        return parse_duration(value)
    except InvalidError as error:
        raise ValueError(str(error)) from error


def _more_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("expected a duration of more than nothing")
    return value


def _digits(value: object) -> object:
    # bool is an int in Python, and `true` is no id.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID):
        raise ValueError("expected a Discord id: up to 20 digits, best in quotation marks")
    return text


_LONGEST_ID = 20


def _http_url(value: str) -> str:
    try:
        url = urlsplit(value)
        usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("expected an address such as https://host:9093/path")
    if url.username or url.password:
        raise ValueError("expected an address without user and password in it; they have keys of their own")
    return value.rstrip("/")


def _matchers(text: str) -> str:
    try:
        found = parse_matchers(text)
    except InvalidError as error:
        raise ValueError(str(error)) from error
    if not found:
        raise ValueError('expected a matcher such as severity="critical"')
    return text


def _not_blank(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("expected a value that is not empty")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_more_than_nothing),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": "^[0-9]+(w|d|h|m|s|ms)([0-9]+(d|h|m|s|ms))*$", "examples": ["15m"]}
    ),
]
"""A length of time above zero, written `1h30m`."""

DiscordId = Annotated[
    str,
    BeforeValidator(_digits),
    WithJsonSchema(
        {"type": ["string", "integer"], "pattern": "^[0-9]{1,20}$", "examples": ["1136200000000000000"]}
    ),
]
"""An id of Discord's, kept as text; a whole number is accepted."""

HttpUrl = Annotated[
    str, AfterValidator(_http_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})
]
"""An address without credentials in it and without a slash at its end."""

MatcherText = Annotated[str, AfterValidator(_matchers)]
"""A condition over labels in Alertmanager's syntax, as it was written."""

Secret = Annotated[SecretStr, AfterValidator(_not_blank)]
"""A value that no log and no message shows."""
