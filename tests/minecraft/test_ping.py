"""Servers that answer, those that do not, and those that mean harm."""

import asyncio
import socket
import time
from datetime import timedelta

import dns.asyncresolver
import dns.message
import dns.rrset
import pytest

from bot.minecraft.model import Address, Answer, Edition, Server, Trouble
from bot.minecraft.ping import MOST_BYTES, Names, Pinger
from tests.support.minecraft import (
    a_pong,
    a_status,
    bedrock_server,
    framed,
    java_server,
    legacy_kick,
    says,
    varint,
)

SHORT = timedelta(seconds=0.8)


@pytest.fixture
def pinger():
    made = Pinger()
    yield made
    made.close()


def a_server(port, edition=Edition.JAVA, host="127.0.0.1"):
    return Server(name="survival", address=Address(host, port), edition=edition)


async def ping(pinger, port, within=timedelta(seconds=5), **kwargs):
    return await pinger.ping(a_server(port, **kwargs), within=within)


async def test_a_server_that_answers_says_who_is_on(pinger):
    async with java_server(a_status("alice", "bob", online=3)) as server:
        answer = await ping(pinger, server.port)

    assert isinstance(answer, Answer)
    assert (answer.online, answer.most, answer.version, answer.protocol) == (3, 20, "1.21.4", 769)
    assert answer.names == ("alice", "bob")
    assert answer.is_partial
    assert answer.icon is not None
    assert timedelta(0) < answer.latency < timedelta(seconds=1)
    assert b"127.0.0.1" in server.handshakes[0]


async def test_a_server_from_before_1_7_is_asked_in_its_own_language(pinger):
    async with java_server(talk=says(legacy_kick())) as server:
        answer = await ping(pinger, server.port)

    assert isinstance(answer, Answer)
    assert (answer.online, answer.most, answer.version, answer.protocol) == (2, 10, "1.6.4", 78)
    assert [span.text for span in answer.motd] == ["An old server"]


async def test_a_bedrock_server_answers_over_udp(pinger):
    async with bedrock_server() as server:
        answer = await ping(pinger, server.port, edition=Edition.BEDROCK)

    assert isinstance(answer, Answer)
    assert (answer.online, answer.most, answer.version, answer.protocol) == (3, 10, "1.21.50", 766)
    assert answer.brand == "World · Survival"
    assert answer.motd[1].bold


@pytest.mark.parametrize(
    "pong", [b"", b"\x1c", a_pong("MCPE"), a_pong("MCPE;x;a;b;c;d"), a_pong("é" * 9000), b"\xff" * 1500]
)
async def test_a_bedrock_answer_that_is_none_is_said_to_be_none(pinger, pong):
    async with bedrock_server(pong) as server:
        within = SHORT if not pong else timedelta(seconds=5)
        outcome = await ping(pinger, server.port, edition=Edition.BEDROCK, within=within)

    assert outcome in {Trouble.GARBAGE, Trouble.TIMEOUT}


def _closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("edition", Edition)
async def test_a_port_where_nothing_listens_is_offline(pinger, edition):
    assert await ping(pinger, _closed_port(), edition=edition) is Trouble.REFUSED


async def test_a_name_that_does_not_exist_is_said_so(pinger):
    assert await ping(pinger, 25565, host="nowhere.example.test", within=timedelta(seconds=10)) in {
        Trouble.NO_NAME,
        Trouble.TIMEOUT,
    }


async def test_a_server_without_a_pod_is_nowhere_whatever_the_resolver_says(pinger, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 0))])
    async with java_server() as server:
        assert await ping(pinger, server.port, host="survival.invalid") is Trouble.NO_NAME
    assert server.asked == 0


@pytest.mark.parametrize(
    ("talk", "trouble"),
    [
        (says(b""), Trouble.CLOSED),
        (says(b"", then="hold"), Trouble.SILENT),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Trouble.GARBAGE),
        (says(b"SSH-2.0-OpenSSH_9.6\r\n", then="hold"), Trouble.GARBAGE),
        (says(bytes(range(256)) * 4), Trouble.GARBAGE),
        (says(b"\xff" * 400), Trouble.GARBAGE),
        (says(varint(1 << 30) + b"\x00" + b"x" * 1000, then="hold"), Trouble.TOO_LONG),
        (says(varint(MOST_BYTES + 1) + b"\x00"), Trouble.TOO_LONG),
        (says(varint(0) + b"\x00"), Trouble.GARBAGE),
        (says(varint(5) + b"\x00\xff\xff\xff\xff"), Trouble.GARBAGE),
        (says(varint(3) + b"\x00\x7f{"), Trouble.GARBAGE),
        (says(framed(a_status())[:50]), Trouble.GARBAGE),
        (says(framed(a_status())[:50], then="hold"), Trouble.TOO_SLOW),
        (says(framed(a_status()), pause=0.05), Trouble.TOO_SLOW),
        (says(framed("no json")), Trouble.GARBAGE),
        (says(framed("null")), Trouble.GARBAGE),
        (says(framed("{}")), Trouble.GARBAGE),
        (says(framed("[" * 60_000)), Trouble.GARBAGE),
        (says(framed('{"players":{"online":' + "9" * 50_000 + "}}")), Trouble.GARBAGE),
        (says(framed(a_status(most=0))), Trouble.PLACEHOLDER),
        (says(framed(a_status(most=-1))), Trouble.PLACEHOLDER),
        (says(framed(a_status(version={"name": "Offline"}))), Trouble.PLACEHOLDER),
    ],
)
async def test_what_is_no_status_is_said_in_words_and_in_time(pinger, talk, trouble):
    waits = trouble in {Trouble.SILENT, Trouble.TOO_SLOW}
    began = time.monotonic()
    async with java_server(talk=talk) as server:
        outcome = await ping(pinger, server.port, within=SHORT if waits else timedelta(seconds=5))

    assert outcome is trouble
    assert trouble.sentence.endswith(".")
    assert time.monotonic() - began < 3


async def test_an_answer_without_an_end_is_not_kept_in_memory(pinger):
    sent = 0

    async def flood(reader, writer):
        nonlocal sent
        writer.write(varint((1 << 31) - 1) + b"\x00")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with java_server(talk=flood) as server:
        assert await ping(pinger, server.port) is Trouble.TOO_LONG
    assert sent < 8_000_000


@pytest.mark.parametrize(
    "odd",
    [
        {"players": {"online": -5, "max": 20, "sample": "nobody"}},
        {"players": {"online": "many", "max": 20}},
        {"players": {"online": 10**30, "max": 20, "sample": [None, 7, {"name": None}, {"id": "x"}]}},
        {"players": {"online": True, "max": 20, "sample": [{"name": f"player{n}"} for n in range(1000)]}},
        {"version": {"name": ["1.21"], "protocol": 769}},
        {"description": None},
        {"description": {"text": "x" * 100_000}},
        {"description": {"extra": [{"text": "", "bold": True}] * 2000}},
        {"favicon": "data:image/png;base64,!!!!"},
        {"favicon": 7},
        {"favicon": "data:image/png;base64," + "A" * 100_000},
        {"forgeData": {"d": "\x00" * 50}},
        {"modinfo": "yes"},
    ],
)
async def test_odd_fields_do_not_hide_the_others(pinger, odd):
    async with java_server(a_status("alice", **odd)) as server:
        answer = await ping(pinger, server.port)

    assert isinstance(answer, Answer)
    assert answer.most == 20
    assert 0 <= answer.online <= 1_000_000_000
    assert len(answer.names) <= 200
    assert sum(len(span.text) for span in answer.motd) <= 500


async def test_a_nested_description_costs_nothing(pinger):
    inner = {"text": "deep", "extra": [{}] * 20_000}
    for _ in range(300):
        inner = {"bold": True, "extra": [inner]}
    async with java_server(a_status(description=inner)) as server:
        began = time.process_time()
        answer = await ping(pinger, server.port)
    assert isinstance(answer, Answer)
    assert time.process_time() - began < 1


async def test_many_are_asked_at_once_and_a_slow_one_holds_up_nobody(pinger):
    async with java_server() as fast, java_server(talk=says(b"", then="hold")) as slow:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            hanging = [
                group.create_task(ping(pinger, slow.port, within=timedelta(seconds=1))) for _ in range(20)
            ]
            answers = [group.create_task(ping(pinger, fast.port)) for _ in range(50)]
            for task in answers:
                assert isinstance(await task, Answer)
            assert time.monotonic() - began < 0.9
        assert {task.result() for task in hanging} == {Trouble.SILENT}


class _Resolver(asyncio.DatagramProtocol):
    """Knows one SRV record."""

    def __init__(self, port):
        self._port = port
        self.asked = 0

    def connection_made(self, transport):
        self._transport = transport
        self.own_port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, addr):
        self.asked += 1
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        name = query.question[0].name
        if str(name) == "_minecraft._tcp.play.example.test.":
            record = f"0 5 {self._port} localhost."
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", record))
        else:
            answer.set_rcode(3)
        self._transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def resolver(monkeypatch):
    """The resolver of the system, as the library holds it: there is no other way to give it one."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Resolver(0), local_addr=("127.0.0.1", 0)
    )
    made = dns.asyncresolver.Resolver(configure=False)
    made.nameservers = ["127.0.0.1"]
    made.port = protocol.own_port
    monkeypatch.setattr(dns.asyncresolver, "default_resolver", made)
    yield protocol
    transport.close()


async def test_an_srv_record_leads_to_host_and_port_and_is_remembered(resolver):
    now = [0.0]
    pinger = Pinger(Names(lambda: now[0]))
    async with java_server() as server:
        resolver._port = server.port
        for _ in range(3):
            assert isinstance(await ping(pinger, None, host="play.example.test"), Answer)
        assert resolver.asked == 1
        now[0] = 61
        assert isinstance(await ping(pinger, None, host="play.example.test"), Answer)
    assert resolver.asked == 2
    assert b"localhost" in server.handshakes[0]
    pinger.close()


@pytest.mark.parametrize("edition", Edition)
async def test_whoever_has_several_addresses_is_asked_at_one_that_answers(pinger, monkeypatch, edition):
    # What a name leads to is up to the system, and there is no name that leads to two places everywhere.
    found = [(0, 0, 0, "", (host, 0)) for host in ("::1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    opened = bedrock_server() if edition is Edition.BEDROCK else java_server()
    async with opened as server:
        answer = await ping(pinger, server.port, edition=edition, host="two.example.test")
    assert isinstance(answer, Answer)


async def test_without_an_srv_record_the_usual_port_is_asked(resolver):
    found = await Names().find(Address("localhost"), Edition.JAVA)
    assert {address.port for address in found} == {25565}
    assert resolver.asked >= 1
