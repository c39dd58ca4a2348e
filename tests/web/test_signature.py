"""Signatures as Grafana makes them, and what is tried instead."""

import asyncio
import hashlib
import hmac
from datetime import timedelta

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import SecretStr

from bot.web.server import Route, json_answer
from bot.web.signature import Claim, SignatureProblem, Signing, read_claim, signature_problem
from tests.support.clock import NOON

HEADER = "X-Grafana-Alerting-Signature"
PLAIN = Signing(secret=SecretStr("s3cret"), header=HEADER)
TIMED = Signing(
    secret=SecretStr("s3cret"), header=HEADER, timestamp_header="X-Time", tolerance=timedelta(seconds=30)
)
NOW = str(int(NOON.timestamp()))


def headers(*items: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(items))


def sign(body: bytes, secret: str = "s3cret") -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def problem(signing: Signing, body: bytes, *items: tuple[str, str]) -> SignatureProblem | None:
    claim = read_claim(signing, headers(*items), now=NOON)
    return signature_problem(signing, claim, body) if isinstance(claim, Claim) else claim


def test_a_known_signature_is_recognised():
    # echo -n '{"version":"1"}' | openssl dgst -sha256 -hmac s3cret
    known = "c859b35672b3200f3e6b662c7e2ef6e9db8cd75cf5c97a27b13913efe70b1e70"
    assert problem(PLAIN, b'{"version":"1"}', (HEADER, known)) is None
    assert problem(PLAIN, b'{"version":"1"}', (HEADER.lower(), f" {known.upper()} ")) is None
    assert problem(PLAIN, b'{"version":"2"}', (HEADER, known)) is SignatureProblem.WRONG


@given(st.binary(), st.text(min_size=1).filter(lambda text: text.isprintable()), st.binary())
def test_only_what_was_signed_with_the_same_secret_counts(body, secret, other):
    signing = Signing(secret=SecretStr(secret), header=HEADER)
    assert problem(signing, body, (HEADER, sign(body, secret))) is None
    if other != body:
        assert problem(signing, other, (HEADER, sign(body, secret))) is SignatureProblem.WRONG
    assert problem(signing, body, (HEADER, sign(body, f"{secret}x"))) is SignatureProblem.WRONG


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], SignatureProblem.MISSING),
        ([(HEADER, sign(b"x")), (HEADER, sign(b"x"))], SignatureProblem.MISSING),
        ([(HEADER, "")], SignatureProblem.MALFORMED),
        ([(HEADER, "sha256=" + sign(b"x"))], SignatureProblem.MALFORMED),
        ([(HEADER, sign(b"x")[:-2])], SignatureProblem.MALFORMED),
        ([(HEADER, " ".join(["00"] * 32))], SignatureProblem.MALFORMED),
        ([(HEADER, "٠" * 64)], SignatureProblem.MALFORMED),
        ([(HEADER, "0" * 64)], SignatureProblem.WRONG),
        # Signed with a time that nobody told us to expect.
        ([(HEADER, sign(f"{NOW}:x".encode())), ("X-Time", NOW)], SignatureProblem.WRONG),
    ],
)
def test_what_is_no_signature_is_refused_with_the_reason(items, expected):
    assert problem(PLAIN, b"x", *items) is expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (NOW, None),
        (str(int(NOW) + 30), None),
        (str(int(NOW) - 30), None),
        (str(int(NOW) + 31), SignatureProblem.UNTIMELY),
        (str(int(NOW) - 31), SignatureProblem.UNTIMELY),
        (f"{NOW}000", SignatureProblem.UNTIMELY),
        ("9" * 400, SignatureProblem.UNTIMELY),
        ("-1", SignatureProblem.UNTIMELY),
        ("noon", SignatureProblem.UNTIMELY),
        ("", SignatureProblem.UNTIMELY),
        (None, SignatureProblem.UNTIMED),
    ],
)
def test_a_signed_time_must_be_near(seconds, expected):
    items = [(HEADER, sign(f"{seconds}:x".encode())), *([("X-Time", seconds)] if seconds is not None else [])]
    assert problem(TIMED, b"x", *items) is expected


def test_the_time_cannot_be_exchanged():
    shown = [(HEADER, sign(f"{int(NOW) - 9}:x".encode())), ("X-Time", NOW)]
    assert problem(TIMED, b"x", *shown) is SignatureProblem.WRONG


def a_route(signing=lambda _: PLAIN) -> Route:
    async def handler(request: web.Request) -> web.Response:
        return json_answer({})

    return Route("POST", "/hook", handler, signing=signing)


async def test_the_body_of_one_who_claims_nothing_is_not_read(serve):
    async with serve(a_route()) as (_, client):

        async def endless():
            yield b"x"
            await asyncio.Event().wait()

        refused = {"Authorization": "", HEADER: "nonsense"}
        async with client.post("/hook", data=endless(), headers=refused) as answer:
            assert answer.status == 401


async def test_what_anybody_may_claim_to_have_signed_is_bounded_together(serve):
    reading = asyncio.Event()

    def signing(_: web.Request) -> Signing:
        reading.set()
        return PLAIN

    async def slow():
        yield b"x"
        await asyncio.Event().wait()

    claimed = {"Authorization": "", HEADER: "0" * 64}
    async with serve(a_route(signing), body_within=timedelta(seconds=2)) as (server, client):
        server._signed._most_bytes = 10

        async def held() -> int:
            async with client.post("/hook", data=slow(), headers=claimed) as answer:
                return answer.status

        holding = asyncio.create_task(held())
        await reading.wait()
        async with client.post("/hook", data=b"0123456789", headers=claimed) as answer:
            assert answer.status == 503
        # Whoever shows a token is not held up by those who might be anybody.
        async with client.post("/hook", data=b"0123456789") as answer:
            assert answer.status == 200
        assert await holding == 503
        async with client.post("/hook", data=b"x", headers={**claimed, HEADER: sign(b"x")}) as answer:
            assert answer.status == 200


async def test_a_large_signed_body_is_proven_too(serve):
    body = b"x" * 2**20
    headers = {"Authorization": "", HEADER: sign(body)}
    async with serve(a_route()) as (_, client), client.post("/hook", data=body, headers=headers) as answer:
        assert answer.status == 200
