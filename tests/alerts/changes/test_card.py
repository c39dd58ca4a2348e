"""The lines of changes on a card."""

from datetime import timedelta

from bot.alerts.changes.card import changed_lines
from bot.journal.changes import Changed
from tests.support.clock import NOON
from tests.support.people import a_person

HOUR = timedelta(hours=1)


def a_change(minute):
    return Changed(
        at=NOON + timedelta(minutes=minute),
        actor=a_person("Ada", user="111"),
        action="secrets:rotate",
        target="secret:shop/db",
    )


def lines(*minutes, more=0, is_all=True, window=HOUR, url=""):
    shown = [(a_change(minute), url) for minute in minutes]
    return list(changed_lines(shown, more=more, is_all=is_all, began=NOON, window=window))


def test_nothing_is_said_where_nothing_changed():
    assert lines() == []


def test_the_heading_says_which_time_is_meant():
    assert lines(-5)[0] == "**Changed here in the hour before**"
    assert lines(5, -5)[0] == "**Changed here in the hour before, and since**"
    assert lines(-5, window=2 * HOUR)[0] == "**Changed here in the 2 h before**"


def test_a_change_says_when_who_what_and_where_its_card_is():
    (_, line) = lines(-5, url="https://discord.com/channels/1/2/3")
    moment = int(NOON.timestamp()) - 300
    assert line == f"<t:{moment}:R> <@111> rotated **db** · [card](https://discord.com/channels/1/2/3)"


def test_what_is_left_out_is_counted():
    assert lines(-5, more=2)[-1] == "-# and 2 more: `/machine changes`"
    assert lines(-5, more=21, is_all=False)[-1] == "-# and more: `/machine changes`"
    assert lines(-5, is_all=False)[-1] == "-# and more: `/machine changes`"
