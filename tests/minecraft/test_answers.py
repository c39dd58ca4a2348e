import json
from datetime import UTC, datetime, timedelta

import pytest

from bot.minecraft.answers import read_icon, read_java
from bot.minecraft.model import Condition, Trouble, judge, settle
from tests.support.minecraft import a_png, a_status, an_icon

NOW = timedelta(milliseconds=12)


def test_names_are_plain_and_hidden_ones_are_left_out():
    answer = read_java(a_status("§calice", "Anonymous Player", "@everyone", " "), NOW)
    assert answer is not None
    assert answer.names == ("alice", "@everyone")


def test_a_server_that_names_nobody_may_still_have_players():
    answer = read_java({"version": {"name": "x", "protocol": 1}, "players": {"online": 5, "max": 9}}, NOW)
    assert answer is not None
    assert answer.names == ()
    assert answer.is_partial


def test_halves_of_characters_are_left_out():
    odd = json.loads('{"version": {"name": "1.\\ud8002", "protocol": 5}, "players": {"online": 1, "max": 5}}')
    answer = read_java(odd, NOW)
    assert answer is not None
    assert answer.version == "1.2"


def test_a_server_that_hides_its_players_is_told_from_one_without_room():
    status = a_status()
    del status["players"]
    hidden = read_java(status, NOW)
    assert hidden is not None
    assert judge(hidden) is hidden
    standing = settle(None, hidden, server="survival", now=datetime(2026, 11, 21, tzinfo=UTC))
    assert standing.condition is Condition.ONLINE
    assert judge(read_java(a_status(players={}), NOW)) is Trouble.PLACEHOLDER


def test_a_modded_server_is_known_by_what_it_adds():
    answer = read_java(a_status(forgeData={"mods": []}), NOW)
    assert answer is not None
    assert answer.brand == "modded"


def test_an_icon_is_a_png_of_a_sane_size():
    assert read_icon(an_icon()) == a_png()
    broken = an_icon()[:40] + "\n" + an_icon()[40:]
    assert read_icon(broken) == a_png()


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "https://example.org/icon.png",
        "data:image/jpeg;base64,AAAA",
        an_icon(b""),
        an_icon(b"GIF89a" + bytes(60)),
        an_icon(a_png()[:-12]),
        an_icon(a_png(1024, 1024)),
        an_icon(a_png() + b"<script>"),
        "data:image/png;base64," + "A" * 10_000_000,
    ],
)
def test_what_is_no_such_picture_is_not_shown(raw):
    assert read_icon(raw) is None
