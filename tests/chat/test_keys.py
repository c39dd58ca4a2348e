"""What a button's key holds comes back as it was, whatever it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.action import custom_id
from bot.chat.keys import LONGEST_KEY, pack, unpack
from bot.core.errors import InvalidError, NotFoundError


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=2, max_size=3))
def test_every_text_comes_back(parts):
    try:
        key = pack(*parts)
    except InvalidError:
        return
    custom_id("list", key)
    assert unpack(key, len(parts)) == parts


def test_words_stay_readable():
    assert pack("open", "critical", "disk full_2") == "open/critical/disk.full_5f2"


def test_what_does_not_fit_is_refused():
    assert len(pack("x" * LONGEST_KEY)) == LONGEST_KEY
    with pytest.raises(InvalidError):
        pack("x" * LONGEST_KEY, keep_back=1)


def test_the_key_of_another_version_is_refused():
    with pytest.raises(NotFoundError):
        unpack("open/critical", 3)
