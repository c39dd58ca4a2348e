"""A button of any age does what it says, or says why not."""

import discord
import pytest
import structlog

from bot.chat.action import button, select
from bot.chat.handlers import Actions
from bot.chat.layout import container, row, text, view
from bot.chat.replies import GuardedModal, acknowledge, actor_from, defer, reply
from bot.core.errors import ConflictError, UnavailableError
from bot.telemetry.metrics import REGISTRY
from tests.support.chat import GUILD_ID, a_bot


class NoteModal(GuardedModal):
    note = discord.ui.Label(text="Note", component=discord.ui.TextInput())

    def __init__(self):
        super().__init__("note", title="A note")

    async def submitted(self, interaction):
        if self.note.component.value == "boom":
            raise RuntimeError("secret detail")
        await reply(interaction, f"Noted: {self.note.component.value}")


def the_actions(pressed):
    async def ack(interaction, key):
        pressed.append((key, actor_from(interaction)))
        await reply(interaction, f"Acknowledged {key}.")

    async def pick(interaction, key, values):
        pressed.append((key, values))
        await acknowledge(interaction)

    async def slow(interaction, key):
        await defer(interaction)
        await reply(interaction, view(container(text("first"))))
        await reply(interaction, "second")

    async def refuse(interaction, key):
        raise ConflictError("bob holds it.")

    async def down(interaction, key):
        await defer(interaction)
        raise UnavailableError("Alertmanager does not answer.")

    async def bug(interaction, key):
        raise RuntimeError("secret detail")

    async def note(interaction, key):
        await interaction.response.send_modal(NoteModal())

    actions = Actions()
    for name, handler in {
        "ack": ack,
        "slow": slow,
        "refuse": refuse,
        "down": down,
        "bug": bug,
        "note": note,
    }.items():
        actions.register(name, handler)
    actions.register_select("pick", pick)
    return actions


@pytest.fixture
def pressed():
    return []


@pytest.fixture
def simcord_bot(pressed):
    return a_bot(actions=the_actions(pressed))


@pytest.fixture
def guild(simcord_env):
    return simcord_env.create_guild(id=GUILD_ID)


@pytest.fixture
def channel(guild):
    return guild.create_text_channel("alerts")


@pytest.fixture
def operators(guild):
    return guild.create_role("operators")


@pytest.fixture
def alice(simcord_env, guild, operators):
    return guild.add_member(simcord_env.create_user("alice"), roles=[operators])


async def post(bot, channel, *items):
    return await bot.get_partial_messageable(channel.id).send(view=view(container(text("card"), row(*items))))


async def test_a_button_does_what_was_registered(simcord_bot, channel, alice, operators, pressed):
    await post(simcord_bot, channel, button("ack", "520", "Acknowledge"))
    answer = await alice.click(channel.last_message, label="Acknowledge")
    assert answer.ephemeral
    assert answer.response.content == "Acknowledged 520."
    [(key, actor)] = pressed
    assert key == "520"
    assert (actor.id, actor.name, actor.administrator) == (str(alice.id), "alice", False)
    assert actor.roles == {str(operators.id), str(GUILD_ID)}


def timed(name):
    return REGISTRY.get_sample_value("the_machine_interaction_duration_seconds_count", {"command": name}) or 0


async def test_how_long_the_answer_to_a_button_took_is_told(simcord_bot, channel, alice):
    before = timed("ack")
    await post(simcord_bot, channel, button("ack", "520", "Acknowledge"))
    await alice.click(channel.last_message, label="Acknowledge")
    assert timed("ack") == before + 1


async def test_a_button_from_before_a_restart_works(simcord_env, simcord_bot, channel, alice, pressed):
    await post(simcord_bot, channel, button("ack", "a/b.c-1", "Acknowledge"))
    await simcord_bot.close()
    await simcord_env.restart_bot(a_bot(actions=the_actions(pressed)))
    answer = await alice.click(channel.last_message, label="Acknowledge")
    assert answer.response.content == "Acknowledged a/b.c-1."


async def test_a_select_gives_its_values_whatever_was_sent_last(
    simcord_env, simcord_bot, channel, alice, pressed
):
    options = [discord.SelectOption(label=word, value=word) for word in ("one", "two")]
    await post(simcord_bot, channel, select("pick", "520", options, "Pick", most=2))
    chooser = channel.last_message
    await post(simcord_bot, channel, button("ack", "1", "Acknowledge"))
    await alice.select(chooser, ["one", "two"])
    await alice.click(channel.last_message, label="Acknowledge")
    assert pressed[0] == ("520", ("one", "two"))
    assert pressed[1][0] == "1"


async def test_an_unknown_button_says_that_it_is_of_another_version(simcord_env, simcord_bot, channel, alice):
    await post(simcord_bot, channel, button("levitate", "1", "Levitate"))
    answer = await alice.click(channel.last_message, label="Levitate")
    assert answer.ephemeral
    assert "another version" in answer.response.content


async def test_a_refusal_is_told_privately_and_is_no_error(simcord_env, simcord_bot, channel, alice):
    await post(simcord_bot, channel, button("refuse", "1", "Go"))
    with structlog.testing.capture_logs() as logs:
        answer = await alice.click(channel.last_message, label="Go")
    assert answer.ephemeral
    assert answer.response.content == "bob holds it."
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("interaction_refused", "info")]


async def test_an_outage_is_told_in_place_of_the_promised_answer(simcord_env, simcord_bot, channel, alice):
    await post(simcord_bot, channel, button("down", "1", "Go"))
    answer = await alice.click(channel.last_message, label="Go")
    assert answer.response.content == "Alertmanager does not answer."
    assert answer.followups == []


async def test_a_bug_gives_the_person_a_reference_that_is_in_the_log(
    simcord_env, simcord_bot, channel, alice
):
    await post(simcord_bot, channel, button("bug", "1", "Go"))
    with structlog.testing.capture_logs() as logs:
        answer = await alice.click(channel.last_message, label="Go")
    [failed] = [entry for entry in logs if entry["event"] == "interaction_failed"]
    assert answer.ephemeral
    assert answer.response.content == f"Something went wrong on our side. Reference `{failed['reference']}`."
    assert isinstance(failed["exc_info"], RuntimeError)


async def test_answers_come_at_first_in_place_of_the_promise_then_after_it(
    simcord_env, simcord_bot, channel, alice
):
    await post(simcord_bot, channel, button("slow", "1", "Go"))
    answer = await alice.click(channel.last_message, label="Go")
    assert "first" in str(answer.response.components)
    assert [followup.content for followup in answer.followups] == ["second"]


@pytest.mark.parametrize(("typed", "told"), [("on it", "Noted: on it"), ("boom", "Reference `")])
async def test_a_dialog_answers_and_so_do_its_errors(simcord_bot, channel, alice, typed, told):
    await post(simcord_bot, channel, button("note", "1", "Note…"))
    shown = await alice.click(channel.last_message, label="Note…")
    field = shown.modal["components"][0]["component"]["custom_id"]
    answer = await alice.submit_modal(shown, {field: typed})
    assert told in answer.response.content
    assert "secret" not in answer.response.content


async def test_nobody_is_pinged_by_an_answer(simcord_env, simcord_bot, channel, alice):
    async def shout(interaction, key):
        await reply(interaction, f"<@{alice.id}> @everyone", private=False)

    simcord_bot.actions.register("shout", shout)
    await post(simcord_bot, channel, button("shout", "1", "Go"))
    await alice.click(channel.last_message, label="Go")
    assert simcord_env.http_requests[-1].json["data"]["allowed_mentions"] == {"parse": []}
