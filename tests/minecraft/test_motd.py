import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.minecraft.motd import MOST_TEXT, Span, read_motd, strip_codes


@pytest.mark.parametrize(
    ("raw", "spans"),
    [
        ("A server", (Span("A server"),)),
        ("§lBold §rplain", (Span("Bold ", bold=True), Span("plain"))),
        ("§l§nBoth §cred", (Span("Both ", bold=True, underlined=True), Span("red"))),
        ({"text": "a", "bold": True, "extra": ["b", {"text": "c", "bold": False}]},
         (Span("ab", bold=True), Span("c"))),
        ([{"text": "x", "italic": True}, "y"], (Span("x", italic=True), Span("y"))),
        ({"translate": "multiplayer.status"}, (Span("multiplayer.status"),)),
        ("two\nlines", (Span("two\nlines"),)),
        ("§kmagic", (Span("magic"),)),
        ("ends with §", (Span("ends with §"),)),
        (None, ()), (7, ()), ({}, ()), ([], ()), ({"extra": 5}, ()), ({"text": ["a"]}, (Span("a"),)),
    ],
)  # fmt: skip
def test_a_description_is_read_in_every_form(raw, spans):
    assert read_motd(raw) == spans


def test_in_bedrock_a_colour_keeps_the_style_and_materials_are_no_styles():
    assert read_motd("§lBold §cstill §nmore", bedrock=True) == (Span("Bold still more", bold=True),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["text", "extra", "bold", "italic", "translate", "color", "x"]), inner, max_size=5
        )
    ),
    max_leaves=30,
)


@given(JSON)
def test_whatever_it_is_it_is_read_and_bounded(raw):
    assert sum(len(span.text) for span in read_motd(raw)) <= MOST_TEXT


@given(st.text())
def test_no_code_is_left(text):
    assert "§" not in strip_codes(text)
