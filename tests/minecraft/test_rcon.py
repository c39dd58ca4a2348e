import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import BrokenError, InvalidError, UnavailableError
from bot.minecraft.console import (
    Change,
    read_change,
    read_online,
    read_whitelist,
    read_words,
)
from bot.minecraft.rcon import LONGEST_COMMAND, Consoles, Rcon, RconTarget
from tests.support.minecraft import rcon_server


@pytest.fixture
async def server():
    async with rcon_server() as opened:
        yield opened


@pytest.fixture
async def rcon(server):
    made = Rcon("survival", RconTarget("127.0.0.1", server.port, "secret"), within=timedelta(seconds=0.5))
    yield made
    made.close()


async def test_a_command_is_answered_and_the_connection_kept(server, rcon):
    assert await rcon.run("whitelist add Steve") == "Added Steve to the whitelist"
    assert await rcon.run("whitelist list") == "There are 1 whitelisted player(s): Steve"
    assert server.logins == 1


async def test_answers_of_many_packets_are_put_together(server, rcon):
    server.answers["list"] = "".join(f"player{n}, " for n in range(3000))
    server.answers["exact"] = "x" * 4096
    assert await rcon.run("list") == server.answers["list"]
    assert await rcon.run("exact") == server.answers["exact"]
    assert await rcon.run("whitelist list") == "There are no whitelisted players"
    assert server.logins == 1


async def test_many_commands_at_once_get_each_its_own_answer(server, rcon):
    for n in range(20):
        server.answers[f"say {n}"] = f"{n}" * (n * 700 + 1)
    answers = await asyncio.gather(*(rcon.run(f"say {n}") for n in range(20)))
    assert answers == [server.answers[f"say {n}"] for n in range(20)]


async def test_an_answer_to_another_command_is_passed_over(server, rcon):
    server.mode = "stray"
    assert await rcon.run("whitelist list") == "There are no whitelisted players"


async def test_after_a_timeout_the_next_command_begins_anew(server, rcon):
    server.mode = "hang"
    with pytest.raises(UnavailableError, match="survival does not answer"):
        await rcon.run("list")
    server.mode = ""
    assert "0 of a max" in await rcon.run("list")
    assert server.logins == 2


async def test_a_server_that_was_restarted_is_asked_again(server, rcon):
    await rcon.run("list")
    await server.close()
    with pytest.raises(UnavailableError):
        await rcon.run("list")
    await server.open()
    await rcon.run("list")
    await server.close()
    await server.open()
    assert "0 of a max" in await rcon.run("list")


async def test_a_server_that_hangs_up_on_us_does_not_answer(server, rcon):
    server.mode = "close"
    with pytest.raises(UnavailableError):
        await rcon.run("list")


async def test_a_wrong_password_is_said_without_saying_it(server):
    rcon = Rcon("survival", RconTarget("127.0.0.1", server.port, "hunter2"))
    with pytest.raises(BrokenError) as refused:
        await rcon.run("list")
    assert "hunter2" not in str(refused.value) + repr(rcon.target)
    assert server.commands == []


@pytest.mark.parametrize("command", ["a\nb", "a\x00b", "x" * (LONGEST_COMMAND + 1), "é" * 800])
async def test_what_is_more_than_one_command_is_never_sent(server, rcon, command):
    with pytest.raises(InvalidError):
        await rcon.run(command)
    assert server.commands == []


async def test_garbage_in_place_of_packets_does_not_hang_or_grow():
    async def talk(_reader, writer):
        writer.write(b"\xff\xff\xff\x7f" + b"x" * 100_000)
        writer.close()

    garbage = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = garbage.sockets[0].getsockname()[1]
    with pytest.raises(UnavailableError):
        await Rcon("survival", RconTarget("127.0.0.1", port, "x")).run("list")
    garbage.close()


async def test_consoles_follow_the_configuration(server):
    targets = {"survival": RconTarget("127.0.0.1", server.port, "secret")}
    consoles = Consoles(targets.get)
    first = consoles.find("survival")
    assert consoles.find("survival") is first
    assert consoles.find("creative") is None
    targets["survival"] = RconTarget("127.0.0.1", server.port, "new")
    assert consoles.find("survival") is not first
    consoles.close()


@pytest.mark.parametrize(
    ("text", "count", "names"),
    [
        ("There are 2 of a max of 20 players online: alice, bob", 2, ("alice", "bob")),
        ("There are 0 of a max of 20 players online: ", 0, ()),
        ("There are 2/20 players online:\nalice, bob", 2, ("alice", "bob")),
        ("§6There are §c2§6 out of maximum §c20§6 players online.\n§6admins§f: §c[AFK]§f alice\ndefault: bob",
         2, ("alice", "bob")),
        ("There are 1 of a max of 20 players online: [Admin] alice (afk)", 1, ("alice",)),
        ("There are 1 of a max of 20 players online: @everyone", 1, ()),
        ("There are 1/2 out of maximum 20 players online.\ndefault: alice, [HIDDEN]bob", 2, ("alice", "bob")),
        ("There are 2 of a max of 20 players online: .alice, and", 2, (".alice", "and")),
    ],
)  # fmt: skip
def test_who_is_on_is_read_from_what_servers_say(text, count, names):
    online = read_online(text)
    assert online is not None
    assert (online.count, online.names) == (count, names)


def test_what_is_not_known_is_not_guessed():
    assert read_online("Unknown command") is None
    assert read_whitelist("Unknown command") is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("There are no whitelisted players", ()),
        ("There are 2 whitelisted player(s): alice, bob", ("alice", "bob")),
        ("There are 2 whitelisted players: alice, bob", ("alice", "bob")),
        ("There are 1 (out of 9 seen) whitelisted players:\nalice", ("alice",)),
        ("There are 2 (out of 9 seen) whitelisted players:alice and bob", ("alice", "bob")),
        ("There are 3 (out of 9 seen) whitelisted players:\na, b and .c", ("a", "b", ".c")),
    ],
)
def test_the_whitelist_is_read_from_what_servers_say(text, names):
    assert read_whitelist(text) == names


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("Added Steve to the whitelist", Change.DONE),
        ("Removed Steve from the whitelist", Change.DONE),
        ("\n§2Added Steve to the whitelist\n", Change.DONE),
        ("Player is already whitelisted", Change.ALREADY),
        ("Player is not whitelisted", Change.ALREADY),
        ("That player does not exist", Change.REFUSED),
        ("", Change.REFUSED),
    ],
)
def test_what_became_of_a_change_is_read(text, change):
    assert read_change(text) is change


@given(st.text())
def test_no_answer_breaks_the_reading(text):
    read_online(text)
    read_whitelist(text)
    read_change(text)
    assert len(read_words(text)) <= 200
