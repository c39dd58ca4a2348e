"""A real server, joined by a real client, asked by us."""

from datetime import timedelta

import pytest

from bot.minecraft.model import Address, Answer, Server, Trouble
from bot.minecraft.ping import Pinger
from tests.support.minecraft_real import program

WITHIN = timedelta(seconds=10)


@pytest.fixture
def pinger():
    made = Pinger()
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("version", ["1.8.8", "1.20.1", "1.21.4"])
async def test_who_joins_a_real_server_is_seen_on_it(pinger, version):
    async with program("server.js", version) as running:
        port = await running.told("port")
        server = Server(name="real", address=Address("127.0.0.1", port))
        empty = await pinger.ping(server, within=WITHIN)
        assert isinstance(empty, Answer)
        assert (empty.online, empty.most, empty.names) == (0, 20, ())
        assert version in empty.version
        assert "".join(span.text for span in empty.motd) == "A real server"
        assert [span.text for span in empty.motd if span.bold] == ["real"]

        async with program("client.js", port, "Herobrine", version):
            assert await running.told("joined") == "Herobrine"
            joined = await pinger.ping(server, within=WITHIN)
            assert isinstance(joined, Answer)
            assert (joined.online, joined.names) == (1, ("Herobrine",))
    assert await pinger.ping(server, within=WITHIN) is Trouble.REFUSED


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_who_joins_a_whole_server_with_a_world_is_counted_on_it(pinger):
    async with program("squid.js", "1.21.4") as running:
        server = Server(name="squid", address=Address("127.0.0.1", await running.told("port")))
        empty = await pinger.ping(server, within=WITHIN)
        assert isinstance(empty, Answer)
        assert (empty.online, empty.most) == (0, 20)
        assert "".join(span.text for span in empty.motd) == "A real world"

        async with program("client.js", server.port, "Herobrine", "1.21.4") as client:
            assert await client.told("playing") == "Herobrine"
            joined = await pinger.ping(server, within=WITHIN)
            assert isinstance(joined, Answer)
            # It counts those who are on, and names none of them.
            assert (joined.online, joined.names, joined.is_partial) == (1, (), True)
    assert await pinger.ping(server, within=WITHIN) is Trouble.REFUSED
