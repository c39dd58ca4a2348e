"""Who made a silence is found again in what Alertmanager keeps of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.peers.authors import created_by, maker_of, person_in
from bot.core.actor import Actor, ActorKind


@given(name=st.text(max_size=100), person=st.integers(1, 10**19))
def test_the_person_is_found_in_what_was_written_whatever_the_name(name, person):
    written = created_by(Actor(ActorKind.PERSON, str(person), name))
    assert person_in(written) == str(person)
    assert "\n" not in written


@pytest.mark.parametrize("text", ["carol", " carol ", "carol (Discord 111) via The Machine"])
def test_the_maker_of_a_silence_has_a_name(text):
    assert maker_of(text) == "carol"
    assert maker_of("") == "somebody"
