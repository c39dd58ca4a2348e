"""Who is admitted: the tables of a door."""

import base64

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import SecretStr

from bot.web.authentication import Tokens


def admitted(*authorizations: str, tokens: tuple[str, ...] = ("old-token", "new-token")) -> bool:
    headers = CIMultiDict(("Authorization", value) for value in authorizations)
    return Tokens(SecretStr(token) for token in tokens).admit(CIMultiDictProxy(headers))


def basic(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return "Basic " + base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer old-token",
        "Bearer new-token",
        "bearer new-token",
        "BEARER   new-token  ",
        basic("alertmanager:new-token"),
        basic(":old-token"),
        basic("anybody at all:old-token"),
    ],
)
def test_any_of_the_tokens_is_admitted(shown):
    assert admitted(shown)


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer ",
        "Bearer old-token new-token",
        "Bearer old-toke",
        "Bearer old-token0",
        "old-token",
        "Token old-token",
        "Digest old-token",
        "",
        "Basic",
        "Basic old-token",
        "Basic %%%%",
        basic("old-token"),
        basic("old-token:"),
        basic("user:wrong"),
        basic(b"\xff\xfe:\xff"),
        "Bearer \udcff\udcfe",
    ],
)
def test_nothing_else_is_admitted(shown):
    assert not admitted(shown)


def test_a_request_without_credentials_is_refused():
    assert not admitted()


def test_a_request_that_shows_two_credentials_is_refused():
    assert not admitted("Bearer old-token", "Bearer old-token")


def test_a_password_may_hold_colons_and_letters_of_any_script():
    assert admitted(basic("user:pass:wörd"), tokens=("pass:wörd",))


def test_without_tokens_nobody_is_admitted():
    assert not admitted("Bearer ", tokens=())
    assert not admitted("Bearer old-token", tokens=())


def test_an_empty_token_is_no_token():
    assert not admitted("Bearer ", tokens=("",))
    assert not admitted(basic("user:"), tokens=("",))
