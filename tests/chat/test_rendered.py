"""What is attached to a message is seen in it."""

from dataclasses import replace

import discord

from bot.chat.layout import container, problems, text, view
from bot.chat.rendered import Rendered, TextFile


def _shown(rendered: Rendered) -> list[str]:
    return [item.media.url for item in rendered.view.walk_children() if isinstance(item, discord.ui.File)]


def test_each_file_has_a_component_that_shows_it():
    files = (TextFile("a.txt", b"a"), TextFile("b.txt", b"b"))
    rendered = Rendered(view=view(container(text("words"))), marker="", files=files)
    assert _shown(rendered) == ["attachment://a.txt", "attachment://b.txt"]
    assert problems(rendered.view) == []


def test_a_file_is_shown_once_also_in_a_copy():
    rendered = Rendered(view=view(text("words")), marker="", files=(TextFile("a.txt", b"a"),))
    assert _shown(replace(rendered, reply_to=5)) == ["attachment://a.txt"]
