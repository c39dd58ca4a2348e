"""What is known of people beyond the moment in which they press something."""

import pytest

from bot.chat.members import Members
from bot.core.errors import UnavailableError
from tests.support.chat import GUILD_ID
from tests.support.people import a_person


@pytest.fixture
def members(town):
    return Members(lambda: town.world.bot, lambda: GUILD_ID)


async def test_people_have_the_roles_that_they_hold_now(town, members):
    then = a_person("alice", user=str(town.alice.id))
    now = await members.look_up(then)

    assert now.id == then.id
    assert str(town.operators.id) in now.roles
    assert str(town.guild.id) in now.roles
    assert not now.administrator


async def test_who_is_not_a_member_is_not_found(town, members):
    assert await members.look_up(a_person("nobody", user="42")) is None


async def test_without_discord_nobody_knows(town):
    def none():
        raise UnavailableError("Nobody is logged in.")

    with pytest.raises(UnavailableError):
        await Members(none, lambda: GUILD_ID).look_up(a_person("alice", user=str(town.alice.id)))
