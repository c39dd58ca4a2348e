import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import UnavailableError
from bot.kube.lists import ObjectList


def read(body):
    page = ObjectList(body)
    return list(page), page.version, page.token


ITEMS = st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))


@given(ITEMS, st.booleans(), st.sampled_from([None, 2]))
def test_a_list_is_read_whatever_the_order_and_the_spaces(items, items_first, indent):
    about = {"metadata": {"resourceVersion": "7", "continue": "t"}, "kind": "List", "items,:": [":", ","]}
    tree = {"items": items, **about} if items_first else {**about, "items": items}
    assert read(json.dumps(tree, indent=indent).encode()) == (items, "7", "t")


def test_a_list_without_items_is_empty():
    assert read(b'{"metadata": {"resourceVersion": "7"}, "items": null}') == ([], "7", "")
    assert read(b'{"metadata": {"resourceVersion": "7"}}') == ([], "7", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{",
        b'{"items": [',
        b'{"items": [1]}',
        b'{"items": []}',
        b'{"items": [], "metadata": 1}',
        b'{"items": [{}',
        b"\xff",
    ],
)
def test_what_is_no_list_is_no_answer(body):
    with pytest.raises(UnavailableError):
        read(body)


@given(st.binary())
def test_nothing_else_is_raised(body):
    with suppress(UnavailableError):
        read(body)
