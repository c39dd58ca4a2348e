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
