"""What fits into one message, and what Discord would refuse."""

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.action import button, select
from bot.chat.layout import (
    container,
    content_length,
    divider,
    fitting,
    gap,
    problems,
    row,
    subtext,
    text,
    view,
)
from bot.chat.text import units


def a_view(*items):
    return view(container(text("### CRITICAL · DiskFull", subtext("#520")), gap(), *items))


def test_a_card_of_all_parts_is_fine():
    made = a_view(
        text("disk"), divider(), row(button("ack", "520", "Acknowledge"), button("details", "520", "Details"))
    )
    assert problems(made) == []
    assert made.timeout is None
    assert made.has_components_v2()


def test_length_is_counted_in_utf16():
    assert content_length(view(text("a😀"), container(text("bc")))) == 5


def test_absent_lines_leave_no_trace():
    assert text("a", None, "", "b").content == "a\nb"


LINES = st.lists(st.text(max_size=8), max_size=12)


@given(LINES, st.integers(-3, 60))
def test_lines_that_fit_are_the_first_ones_whole_and_as_many_as_go(lines, budget):
    kept = fitting(lines, budget)
    assert kept == lines[: len(kept)]
    assert not kept or units("\n".join(kept)) < budget
    if len(kept) < len(lines):
        assert sum(units(line) + 1 for line in lines[: len(kept) + 1]) > budget


def test_a_line_that_is_too_long_lets_no_later_one_overtake_it():
    assert fitting(["a", "b" * 20, "c"], 10) == ["a"]


def _options(count, **more):
    return [discord.SelectOption(label=str(n), value=str(n), **more) for n in range(count)]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (view, "is empty"),
        (lambda: view(text(" ")), "text is empty"),
        (lambda: view(text("😀" * 2001)), "4002 units of text"),
        (lambda: view(row(button("a", "1", "A"), button("a", "1", "B"))), "used 2 times"),
        (lambda: view(row(discord.ui.Button(custom_id="x"))), "no label"),
        (lambda: view(row(discord.ui.Button(label="a", url="https://e.org/" + "a" * 512))), "url"),
        (lambda: view(container(discord.ui.ActionRow())), "row or container is empty"),
        (lambda: view(row(discord.ui.Select(options=[]))), "no options"),
    ],
)
def test_what_discord_would_refuse_is_named(message, problem):
    assert any(problem in found for found in problems(message()))


def test_factories_make_labels_and_options_fit():
    made = view(
        row(button("a", "1", "x" * 200)),
        row(select("s", "1", _options(30, description="d" * 200), "p" * 300)),
    )
    assert problems(made) == []


@pytest.mark.parametrize(
    ("action", "key"), [("Ack", "1"), ("ack", ""), ("ack", "a b"), ("ack", "x" * 81), ("a" * 90, "1" * 20)]
)
def test_a_custom_id_outside_the_pattern_is_a_bug(action, key):
    with pytest.raises(ValueError, match="no custom_id"):
        button(action, key, "Label")
