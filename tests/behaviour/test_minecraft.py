"""What people see of servers, and what they can do."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from bot.chat.layout import GOOD, QUIET, WARNING
from bot.core.errors import ConflictError
from bot.database.engine import Database
from bot.minecraft import store
from bot.minecraft.history import HOUR, Hour, Sample, truncate
from tests.support import world as seen
from tests.support.alerting import open_rooms
from tests.support.minecraft import RconServer, a_status
from tests.support.minecraft_town import Town, World
from tests.support.people import a_person
from tests.support.world import buttons_of


def words_of(message):
    """The texts, without the marks that keep 1.21.4 from being the first of a list."""
    return seen.words_of(message).replace("\\.", ".").replace("\u200b", "")


def colour_of(message):
    first = message.components[0]
    return (first if isinstance(first, dict) else first.to_dict()).get("accent_color")


@pytest.fixture
async def world(sqlite_url):
    async with Database(sqlite_url) as database:
        yield World(await open_rooms(database))


@pytest.fixture
def simcord_bot(world):
    return world.bot


@pytest.fixture
async def town(world, simcord_env):
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(world.playground)
        yield Town(simcord_env, world, stack)


@pytest.fixture
async def rcon(town):
    server = RconServer()
    await server.open()
    town.stack.push_async_callback(server.close)
    return server


async def test_a_server_is_shown_with_all_that_it_says(town):
    motd = {"text": "Welcome to §lSurvival", "extra": [{"text": "\n@everyone come in", "italic": True}]}
    await town.serve("survival", a_status("alice", "@everyone", online=5, description=motd))
    await town.world.look()
    shown = await town.alice.slash(town.general, "minecraft status", server="survival")

    words = words_of(shown.response)
    assert shown.ephemeral
    assert "### ONLINE · survival" in words
    assert "Java · 1.21.4" in words
    assert "> Welcome to **Survival**" in words
    assert "**5 of 20** players: alice, " in words
    assert "and 3 more" in words
    assert "@everyone" not in words
    assert "Join at `survival.example.org`" in words
    assert [file.filename for file in shown.response.attachments] == ["icon.png"]
    assert list(buttons_of(shown.response)) == ["Players", "History"]
    assert colour_of(shown.response) == GOOD.value


async def test_each_way_of_not_being_online_has_its_word(town):
    town.watch("survival", 1)
    await town.serve("full", a_status(*[f"p{n}" for n in range(20)]))
    await town.serve("asleep", a_status(most=0))
    await town.world.look()
    answer = await town.alice.slash(town.general, "minecraft status")

    words = words_of(answer.response)
    assert "**survival**  offline since" in words
    assert "nothing listens on the port" in words
    assert "**full**  full  ·  20 of 20" in words
    assert "**asleep**  offline since" in words
    assert colour_of(answer.response) == WARNING.value


async def test_a_server_that_hides_its_players_is_online_all_the_same(town, rcon):
    status = a_status()
    del status["players"]
    await town.serve("survival", status)
    await town.world.look()
    assert "**survival**  online  ·  players hidden  ·  1.21.4" in words_of(town.board)
    shown = await town.alice.slash(town.general, "minecraft status", server="survival")
    assert "It does not say how many play." in words_of(shown.response)
    shown = await town.alice.slash(town.general, "minecraft players", server="survival")
    assert "**survival**  It does not say how many play." in words_of(shown.response)

    rcon.players = ["alice"]
    await town.serve("lobby", status, rcon)
    await town.world.look()
    shown = await town.alice.slash(town.general, "minecraft players", server="lobby")
    assert "**lobby**  1 player\nalice" in words_of(shown.response)


async def test_the_board_is_one_message_that_keeps_itself_current(town):
    server = await town.serve("survival", a_status("alice"))
    town.watch("creative", 1)
    await town.world.look()
    posted = town.board
    assert "**survival**  online  ·  1 of 20  ·  1.21.4" in words_of(posted)
    assert "alice · `survival.example.org`" in words_of(posted)
    assert list(buttons_of(posted)) == ["Players", "History"]

    server.status = a_status("alice", "bob")
    await town.world.look()
    assert town.board.id == posted.id
    assert "2 of 20" in words_of(town.board)
    assert "alice, bob" in words_of(town.board)


async def test_the_board_is_edited_when_something_changed_or_it_is_old(town):
    await town.serve("survival", a_status("alice"))
    await town.world.look()

    def edits():
        return sum(request.method == "PATCH" for request in town.env.http_requests)

    before = edits()
    for _ in range(6):
        await town.world.look()
    assert edits() == before
    for _ in range(8):
        await town.world.look()
    assert edits() == before + 1


async def test_the_board_is_not_edited_because_a_server_names_others_each_time(town):
    server = await town.serve("survival", a_status("alice", online=20, most=50))
    await town.world.look()
    before = town.board.edited_at
    for name in ("bob", "carol", "dave"):
        server.status = a_status(name, online=20, most=50)
        await town.world.look()
    assert town.board.edited_at == before
    server.status = a_status("dave", online=19, most=50)
    await town.world.look()
    assert town.board.edited_at != before


async def test_a_board_goes_where_it_is_not_configured_any_more(town):
    await town.serve("survival")
    await town.world.look()
    town.world.settings = town.world.settings.model_copy(update={"boards": ("general",)})
    await town.world.look()
    assert town.minecraft.history() == []
    assert len(town.general.history()) == 1


async def test_the_presence_says_how_many_play(town):
    await town.serve("survival", a_status("alice", "bob"))
    town.watch("creative", 1)
    await town.world.look()
    activity = town.world.bot.activity
    assert activity is not None
    assert activity.name == "2 players on 1 server"


async def test_who_may_not_look_is_told_which_grant_is_missing(town):
    await town.serve("survival")
    await town.world.look()
    shown = await town.victor.slash(town.general, "minecraft status", server="survival")
    assert 'may: ["minecraft:status"]' in shown.response.content
    assert len(town.env.errors) == 1
    everything = await town.victor.slash(town.general, "minecraft status")
    assert 'may: ["minecraft:status"]' in everything.response.content
    town.env.errors.clear()


async def test_people_are_offered_and_shown_only_the_servers_that_they_may_see(town):
    await town.serve("survival")
    await town.serve("secret")
    await town.world.look()
    offered = await town.steve.autocomplete(town.general, "minecraft status", "server", "s")
    assert [choice["name"] for choice in offered] == ["survival"]
    shown = await town.steve.slash(town.general, "minecraft status")
    assert "secret" not in words_of(shown.response)
    refused = await town.steve.slash(town.general, "minecraft players", server="secret")
    assert "ask for a grant" in refused.response.content
    town.env.errors.clear()


async def test_a_server_that_does_not_exist_is_said_so(town):
    shown = await town.alice.slash(town.general, "minecraft status", server="nowhere")
    assert "no server of this name" in shown.response.content
    town.env.errors.clear()


async def test_players_come_from_the_console_where_there_is_one(town, rcon):
    rcon.players = ["alice", "bob", "carol"]
    await town.serve("survival", a_status("alice", online=3), rcon)
    await town.world.look()
    shown = await town.alice.slash(town.general, "minecraft players", server="survival")
    assert "**survival**  3 players\nalice, bob, carol" in words_of(shown.response)

    await rcon.close()
    shown = await town.alice.slash(town.general, "minecraft players", server="survival")
    assert "The console of survival does not answer." in words_of(shown.response)
    assert "alice and 2 more" in words_of(shown.response)


async def test_without_a_console_the_names_are_said_to_be_partial(town):
    await town.serve("survival", a_status("alice", online=3))
    await town.serve("secret")
    await town.world.look()
    shown = await town.alice.click(town.board, label="Players")
    words = words_of(shown.response)
    assert "alice and 2 more" in words
    assert "It names only some of them." in words
    assert "**secret**  0 players" in words


async def past_of(town, name="survival"):
    """Give a server a day in which it was down for an hour."""
    now = town.world.clock.now()
    samples = [
        Sample(now - timedelta(minutes=5 * n), up=not 60 <= n < 72, players=n % 9, most=20, latency_ms=9)
        for n in range(288, 0, -1)
    ]
    async with town.world.rooms.database.transaction() as tx:
        await store.add_samples(tx, [(name, sample) for sample in samples])


async def test_the_past_is_a_picture_with_the_same_facts_as_text(town):
    town.watch("survival", 1)
    await past_of(town)
    shown = await town.alice.slash(town.general, "minecraft history", server="survival")
    words = words_of(shown.response)
    assert "at most **8**" in words
    assert "down once, 1 h in all:" in words
    assert [file.filename for file in shown.response.attachments] == ["players.png"]
    shown = await town.alice.click(shown.response, label="7d")
    assert "the last 7 days" in words_of(shown.response)


async def test_without_the_library_the_past_is_a_line_of_blocks(town):
    town.world.playground.minecraft._pictures.is_possible = False
    town.watch("survival", 1)
    await past_of(town)
    shown = await town.alice.slash(town.general, "minecraft history", server="survival", period="24h")
    words = words_of(shown.response)
    assert "█" in words
    assert "down once, 1 h in all:" in words
    assert not shown.response.attachments


async def test_a_longer_past_is_made_of_hours_and_of_samples_since_there_are_some(town):
    town.world.playground.minecraft._pictures.is_possible = False
    town.watch("survival", 1)
    await past_of(town)
    now = town.world.clock.now()
    first = truncate(now - timedelta(days=5))
    hours = [
        Hour(first + n * HOUR, HOUR / 2, HOUR / 2, average=9, peak=17, peak_at=first, latency_ms=9)
        for n in range(2)
    ]
    async with town.world.rooms.database.transaction() as tx:
        await store.add_hours(tx, "survival", hours)
    for period in ("7d", "30d"):
        shown = await town.alice.slash(town.general, "minecraft history", server="survival", period=period)
        words = words_of(shown.response)
        assert "at most **17**" in words
        assert "down twice, 2 h in all:" in words
        assert words.count("for 1 h") == 2


async def test_from_the_board_one_chooses_whose_past_to_see(town):
    town.watch("survival", 1)
    town.watch("creative", 1)
    await past_of(town, "creative")
    await town.world.look()
    question = await town.alice.click(town.board, label="History")
    answer = await town.alice.select(question.response, values=["creative"])
    assert "### Players · creative" in words_of(answer.response)


async def test_operators_change_the_whitelist(town, rcon):
    await town.serve("survival", None, rcon)

    async def say(command, **options):
        shown = await town.alice.slash(
            town.general, f"minecraft whitelist {command}", server="survival", **options
        )
        return shown.response.content or words_of(shown.response)

    assert await say("list") == "Nobody is on the whitelist of **survival**."
    assert await say("add", player="Steve") == "**Steve** is on the whitelist of **survival** now."
    assert await say("add", player="Steve") == "**Steve** is on the whitelist of **survival** already."
    assert "its console said `That player does not exist`" in await say("add", player="Nobody")
    assert await say("list") == "**1** on the whitelist of **survival**:\nSteve"
    assert await say("remove", player="Steve") == "**Steve** is not on the whitelist of **survival** now."
    assert rcon.whitelist == []
    assert await town.world.rooms.actions() == ["minecraft:whitelist"] * 4


@pytest.mark.parametrize("player", ["a\nop a", "Steve;stop", "@a", "Steve op"])
async def test_no_command_can_be_smuggled_into_a_name(town, rcon, player):
    await town.serve("survival", None, rcon)
    shown = await town.alice.slash(town.general, "minecraft whitelist add", server="survival", player=player)
    assert "Expected the name of a player" in shown.response.content
    assert rcon.commands == []
    town.env.errors.clear()


async def test_a_server_without_a_console_says_so(town):
    await town.serve("survival")
    shown = await town.alice.slash(town.general, "minecraft whitelist list", server="survival")
    assert "console of survival is not configured" in shown.response.content
    town.env.errors.clear()


async def asked(town, player="Steve", **options):
    shown = await town.steve.slash(
        town.general, "minecraft whitelist request", server="survival", player=player, **options
    )
    await town.world.settle()
    return shown


async def test_a_member_asks_and_an_operator_approves_by_a_button(town, rcon):
    await town.serve("survival", None, rcon)
    shown = await asked(town, note="I am new")
    assert "An operator decides" in shown.response.content
    [card] = town.minecraft.history()
    assert "### Let Steve onto survival?" in words_of(card)
    assert "> I am new" in words_of(card)

    refused = await town.steve.click(card, label="Add")
    assert 'may: ["minecraft:whitelist"]' in refused.followups[0].content
    await town.bob.click(card, label="Add")
    await town.world.settle()

    assert rcon.whitelist == ["Steve"]
    [card] = town.minecraft.history()
    assert "### ADDED · Steve on survival" in words_of(card)
    assert f"settled by <@{town.bob.id}>" in words_of(card)
    [told] = town.general.history()
    assert f"<@{town.steve.id}> **Steve** is on the whitelist" in words_of(told)
    assert [user.id for user in told.mentions] == [town.steve.id]


async def test_a_request_is_declined_with_a_word(town, rcon):
    await town.serve("survival", None, rcon)
    await asked(town)
    dialog = await town.bob.click(town.board, label="Decline")
    await town.bob.submit_modal(dialog, values={"why": "Ask in person"})
    await town.world.settle()

    assert rcon.commands == []
    assert "### DECLINED · Steve on survival" in words_of(town.board)
    assert "Ask in person" in words_of(town.board)
    assert colour_of(town.board) == QUIET.value
    [told] = town.general.history()
    assert "was not put on the whitelist" in words_of(told)


async def test_a_request_whose_name_the_server_refuses_goes_on_waiting(town, rcon):
    await town.serve("survival", None, rcon)
    await asked(town, "Nobody")
    refused = await town.bob.click(town.board, label="Add")
    assert "That player does not exist" in refused.followups[0].content
    await town.world.settle()
    assert list(buttons_of(town.board)) == ["Add", "Decline"]


async def test_only_one_decides_on_a_request_at_a_time(town, rcon):
    await town.serve("survival", None, rcon)
    await asked(town)
    bob, alice = (
        a_person(user=str(member.id), roles=[str(town.operators.id)]) for member in (town.bob, town.alice)
    )
    whitelists = town.world.playground.whitelists
    rcon.may_answer.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(whitelists.approve(1, by=bob))
        async with asyncio.timeout(5):
            while not rcon.commands:  # noqa: ASYNC110 (the console tells nobody what it is told)
                await asyncio.sleep(0.01)
        with pytest.raises(ConflictError, match=f"<@{bob.id}> decides on it at this moment"):
            await whitelists.decline(1, "No", by=alice)
        rcon.may_answer.set()
    await town.world.settle()
    assert "### ADDED · Steve on survival" in words_of(town.board)
    assert rcon.whitelist == ["Steve"]


async def test_a_request_for_a_server_that_is_gone_can_be_declined(town, rcon):
    await town.serve("survival", None, rcon)
    await asked(town)
    [card] = town.minecraft.history()
    town.world.settings = town.world.settings.model_copy(update={"servers": ()})
    refused = await town.bob.click(card, label="Add")
    assert "survival is not watched any more" in refused.followups[0].content
    dialog = await town.bob.click(card, label="Decline")
    await town.bob.submit_modal(dialog, values={"why": ""})
    await town.world.settle()
    [card] = [each for each in town.minecraft.history() if each.id == card.id]
    assert "### DECLINED · Steve on survival" in words_of(card)
    town.env.errors.clear()


async def test_the_same_is_not_asked_twice_and_nobody_asks_for_everybody(town, rcon):
    await town.serve("survival", None, rcon)
    for player in ("A", "B", "C"):
        await asked(town, player)
    assert "asked for a on survival already" in (await asked(town, "a")).response.content
    assert "3 of your requests wait already" in (await asked(town, "D")).response.content
    town.env.errors.clear()


async def test_an_operator_cannot_settle_what_is_settled(town, rcon):
    await town.serve("survival", None, rcon)
    await asked(town)
    [card] = town.minecraft.history()
    await town.bob.click(card, label="Add")
    again = await town.alice.click(card, label="Add")
    assert f"settled already: added by <@{town.bob.id}>" in again.followups[0].content
    assert rcon.commands == ["whitelist add Steve"]


async def down(town):
    """Let a server be down until that is an incident, and return its card."""
    town.watch("survival", 1)
    for _ in range(25):
        await town.world.look()
    [card] = town.alerts.history()
    return card


async def test_a_server_that_stays_down_is_an_incident_that_somebody_takes_on(town):
    card = await down(town)
    assert "### WARNING · MinecraftServerDown" in words_of(card)
    assert "survival is offline" in words_of(card)
    assert list(buttons_of(card)) == ["Acknowledge", "Details"]
    await town.alice.click(card, label="Acknowledge")
    await town.world.settle()
    [card] = town.alerts.history()
    assert f"Acknowledged by <@{town.alice.id}>" in words_of(card)
    assert list(buttons_of(card)) == ["Unacknowledge", "Details"]

    server = await town.serve("elsewhere")
    town.world.settings = town.world.settings.model_copy(update={"servers": ()})
    town.watch("survival", server.port)
    for _ in range(6):
        await town.world.look()
    assert "### RESOLVED · MinecraftServerDown" in words_of(town.alerts.history()[0])


async def test_who_would_silence_it_is_told_what_to_do_instead(town):
    card = await down(town)
    number = buttons_of(card)["Details"].rpartition(":")[2]
    shown = await town.alice.slash(town.general, "alerts silence", incident=number)
    assert "The Machine itself raised this alert" in shown.response.content
    assert "Acknowledge it" in shown.response.content
    town.env.errors.clear()


async def offered(town, typed, person=None, server="survival"):
    person = person or town.alice
    choices = await person.autocomplete(
        town.general, "minecraft whitelist remove", "player", typed, server=server
    )
    return [choice["name"] for choice in choices]


async def test_names_on_the_whitelist_are_offered_to_those_who_may_change_it(town, rcon):
    rcon.whitelist = ["Alex", "Herobrine", "Steve"]
    await town.serve("survival", None, rcon)
    assert await offered(town, "") == ["Alex", "Herobrine", "Steve"]
    assert await offered(town, "ste") == ["Steve"]
    assert rcon.commands == ["whitelist list"]
    assert await offered(town, "", town.steve) == []
    assert await offered(town, "", server="nowhere") == []

    await town.alice.slash(town.general, "minecraft whitelist remove", server="survival", player="Steve")
    assert await offered(town, "") == ["Alex", "Herobrine"]
    rcon.whitelist.append("Notch")
    town.world.clock.advance(timedelta(seconds=31))
    assert await offered(town, "n") == ["Notch", "Herobrine"]
