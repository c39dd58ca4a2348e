"""Nothing that comes from outside can do anything but be read."""

import re
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.text import (
    code,
    code_block,
    cut,
    cut_plain,
    escape,
    link,
    plain,
    quote,
    safe_url,
    timestamp,
    units,
)

_PAIR = re.compile(r"\\([^0-9A-Za-z\s])")
_ACTIVE = re.compile(
    r"[\\*_~|`<>\[\]]"  # what formats, mentions or links
    r"|https?://"
    r"|:[\w+-]+:"
    r"|^[#+>-]|^\d+[.)]",
    re.MULTILINE,
)
_CONSTRUCTS = [
    *(
        "<@1>",
        "<@!1>",
        "<@&1>",
        "<#1>",
        "</a:1>",
        "<id:browse>",
        "<t:1:R>",
        "<:a:1>",
        "<a:b:1>",
        "@everyone",
        "@here",
    ),
    *(
        "**a**",
        "_a_",
        "~~a~~",
        "||a||",
        "`a`",
        "```a```",
        "# a",
        "-# a",
        "- a",
        "1. a",
        "1) a",
        "> a",
        ">>> a",
    ),
    *(
        "[a](http://b)",
        "http://a.b",
        ":smile:",
        "|",
        "\\",
        "\n",
        "\r\n",
        "\u2028",
        "\t",
        " ",
        "\n# ",
        "\n1. ",
        "\n-# ",
    ),
    *("\u202e", "\u200b", "\ufeff", "\ud800", "\u3164", "\ufe0f", "😀"),
]
_nasty = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(_CONSTRUCTS),
    ),
    max_size=12,
).map("".join)


def _assert_inert(markup: str) -> None:
    assert not re.search(r"<@|@everyone|@here", markup, re.IGNORECASE)
    assert not _ACTIVE.search(_PAIR.sub("·", markup))
    hidden = {c for c in markup if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} and c != "\n"}
    assert not hidden


@given(_nasty, st.sampled_from(["fold", "keep"]), st.integers(0, 60))
def test_escaped_text_is_inert_also_when_cut(text, newlines, budget):
    escaped = escape(text, newlines=newlines)
    _assert_inert(escaped)
    shortened = cut(escaped, budget)
    _assert_inert(shortened)
    assert units(shortened) <= budget


@given(_nasty)
def test_escaped_text_reads_as_the_plain_one(text):
    shown = _PAIR.sub(r"\1", escape(text))
    assert shown.replace("\uff20", "@") == plain(text).replace("\uff20", "@")


@given(_nasty)
def test_folded_text_is_one_line(text):
    assert not re.search(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", escape(text))


@given(_nasty, st.integers(1, 40))
def test_code_is_one_closed_span(text, budget):
    span = code(text, budget=budget)
    assert re.fullmatch(r"`[^`\n]+`", span)
    assert units(span) <= budget + 2


@given(_nasty, st.integers(20, 90))
def test_a_block_of_code_is_one_closed_block_within_its_budget(text, budget):
    first, *lines, last = code_block(text, language="diff", budget=budget).split("\n")
    assert (first, last) == ("```diff", "```")
    for line in lines:
        assert not re.search(r"[`\r\v\f\x1c-\x1e\x85\u2028\u2029]", line)
        assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} for c in line)
    assert units("\n".join([first, *lines, last])) <= budget


def test_a_block_of_code_keeps_indentation_and_says_where_it_was_cut():
    assert code_block("a:\n  - b\n\tc\u200b`\n\n") == "```\na:\n  - b\n    cˋ\n```"
    assert code_block("one\ntwo\n" + "x" * 50 + "\nend", budget=30) == "```\none\ntwo\n…\n```"


@given(_nasty, st.integers(1, 5), st.integers(0, 50))
def test_a_quote_stays_a_quote_within_its_lines(text, lines, budget):
    quoted = quote(text, lines=lines, budget=budget)
    assert units(quoted) <= budget
    assert len(quoted.splitlines()) <= lines
    body = quote(text, lines=lines, budget=100_000)
    for line in body.splitlines():
        assert line.startswith("> ")
        _assert_inert(line.removeprefix("> "))


@given(_nasty, st.text(max_size=40))
def test_a_link_has_one_label_and_one_address(label, tail):
    made = link(label, "https://example.org/" + tail)
    if made is not None:
        assert re.fullmatch(r"\[(?:\\.|[^\]\\\n])+\]\(https://[^\s()<>\[\]\\`*|\"]*\)", made)


@given(st.text(max_size=60), st.integers(0, 20))
def test_plain_text_is_cut_to_its_budget(text, budget):
    assert units(cut_plain(text, budget)) <= budget


@pytest.mark.parametrize(
    ("markup", "budget", "expected"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        (r"ab\*c", 4, "ab…"),
        ("see `kube-system` now", 12, "see…"),
        ("see [runbook](https://example.org/a) now", 20, "see…"),
        ("since <t:1700000000:R> and", 12, "since…"),
        ("``a`b`` c", 8, "``a`b``…"),
        ("😀😀", 3, "😀…"),
        ("anything", 1, "…"),
        ("anything", 0, ""),
    ],
)
def test_markup_is_cut_between_its_parts(markup, budget, expected):
    assert cut(markup, budget) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("disk_full on *node*", r"disk\_full on \*node\*"),
        ("@everyone look", "\uff20everyone look"),
        ("<@&123>", r"\<\@&123\>"),
        ("# big\n- list\n1. one", r"\# big - list 1. one"),
        ("see https://example.org/x", r"see https\://example.org/x"),
        ("10:20:30", r"10\:20:30"),
        ("a\u202eb\u200bc", "abc"),
    ],
)
def test_escaping_shows_the_text_itself(text, expected):
    assert escape(text) == expected


def test_kept_newlines_do_not_start_lists_or_headings():
    assert escape("# a\n\n- b\n2) c", newlines="keep") == "\\# a\n\\- b\n2\\) c"


def test_a_quote_says_that_there_was_more():
    assert quote("a\nb\nc\nd", lines=2) == "> a\n> b …"
    assert quote("\n \n") == ""


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://example.org",
        "//example.org",
        "http://",
        "http://[::1",
        "http://example.org:99999",
        "not a url",
        "https://example.org/" + "a" * 512,
    ],
)
def test_an_unusable_address_gives_no_link(url):
    assert safe_url(url) is None
    assert link("runbook", url) is None


def test_an_address_cannot_leave_its_link():
    assert (
        link("a]b", "https://e.org/x) [y](z)?q=a b") == "[a\\]b](https://e.org/x%29%20%5By%5D%28z%29?q=a%20b)"
    )


def test_an_address_names_nobody():
    assert safe_url("https://g.org/d?q=@everyone&u=a@HERE") == "https://g.org/d?q=%40everyone&u=a%40HERE"
    assert safe_url("https://g.org/@alice") == "https://g.org/@alice"


def test_an_encoded_address_is_not_encoded_twice():
    assert (
        safe_url("https://g.org/graph?g0.expr=up%20%3D%3D%200&x=1")
        == "https://g.org/graph?g0.expr=up%20%3D%3D%200&x=1"
    )


def test_times_are_shown_in_the_zone_of_the_reader():
    assert timestamp(datetime(2026, 1, 1, tzinfo=UTC)) == "<t:1767225600:R>"
    assert timestamp(datetime(2026, 1, 1, tzinfo=UTC), "t") == "<t:1767225600:t>"
